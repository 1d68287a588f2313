#!/bin/busybox sh
# SPDX-License-Identifier: MIT
# First process of a machine that then runs systemd: /usr is the test machine's own, read-only, through 9p; all else is
# made here and kept in memory. /opt/redoubt is the tree that the test has prepared, with guest/fuzzhost.py in it.
export PATH=/bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
while read -r m; do
	insmod "/m/$m.ko" || echo "RT fail boot insmod $m"
done </m/list
mkdir /r
mount -t tmpfs -o mode=755 root /r
for d in usr opt/redoubt proc sys dev run tmp root etc/systemd/system/multi-user.target.wants var/lib var/log; do
	mkdir -p "/r/$d"
done
chmod 1777 /r/tmp
for d in usr opt/redoubt; do
	mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=512000 "${d#*/}" "/r/$d" || echo "RT fail boot /$d"
done
for d in bin sbin lib lib32 lib64; do
	[ ! -d "/r/usr/$d" ] || ln -s "usr/$d" "/r/$d"
done
cd /r/etc || exit
printf 'root:x:0:0:root:/root:/bin/sh\nfuzz:x:700:700:fuzz:/nonexistent:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n' >passwd
printf 'root:x:0:\nfuzz:x:700:\nnogroup:x:65534:\n' >group
printf 'passwd: files systemd\ngroup: files systemd\nhosts: files\n' >nsswitch.conf
echo 0123456789abcdef0123456789abcdef >machine-id
echo redoubt-fuzz-host >hostname
ln -s ../usr/lib/os-release os-release
cat >systemd/system/check.service <<EOT
[Unit]
Description=The test's checks
After=basic.target
[Service]
Type=oneshot
StandardOutput=file:/dev/ttyS0
StandardError=file:/dev/ttyS0
ExecStart=/usr/bin/python3 -B /opt/redoubt/fuzzhost.py
EOT
ln -s ../check.service systemd/system/multi-user.target.wants/check.service
cd /
echo "RT init $(uname -r)"
exec switch_root /r /usr/lib/systemd/systemd
