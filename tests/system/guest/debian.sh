#!/bin/busybox sh
# SPDX-License-Identifier: MIT
# In the test root: starts one Debian guest and gives it the serial port until it ends. /x/debian.conf sets
#   START=vmmgr|vmstart   who starts it
#   DISK=DEVICE           its disk
#   BOOT=DEVICE           a tar archive with vmlinuz, initrd.img, its command line and its definition
#   ADDRESS=A.B.C.D       the root's, in the guest's network
#   MEM=MIB VPS=N TIME=SECONDS   for vmstart
. /x/debian.conf
fail() {
	busybox stty sane
	echo "RT fail debian $*"
	exit 1
}

start_vmstart() {
	busybox stty raw -echo
	echo "RT info debian start"
	/x/vmstart --mem "$MEM" --vps "$VPS" --kernel vmlinuz --initrd initrd.img --cmdline "$(cat cmdline)" \
		--worker /x/vmworker --storvsp /x/storvsp --disk "$DISK" --ic /x/ic --timeout "$TIME" --input ||
		fail "vmstart: status $?"
}

start_vmmgr() {
	mkdir -p /run/redoubt /tmp/log /dev/pts
	mount -t devpts devpts /dev/pts
	mount -t cgroup2 cgroup2 /sys/fs/cgroup || echo "RT note no cgroups"
	/x/vmmgr --programs /x --log-dir /tmp/log --uplink tap0 </dev/null &
	manager=$!
	n=0
	while ! [ -S /run/redoubt/manager.sock ]; do
		n=$((n + 1))
		[ $n -lt 200 ] || fail "no vmmgr"
		sleep 0.1
	done
	/x/hvctl create definition || fail "hvctl create: status $?"
	busybox stty raw -echo
	echo "RT info debian start"
	/x/hvctl start debian || fail "hvctl start: status $?"
	/x/hvctl ps debian --json | tr -d '\n' | sed 's/^/RT json ps /'
	echo
	ip addr add "$ADDRESS/24" dev tap0 && ip link set tap0 up || echo "RT note no tap0"
	/x/hvctl console debian || fail "hvctl console: status $?"
	/x/hvctl list
	/x/hvctl show debian --json | tr -d '\n' | sed 's/^/RT json show /'
	echo
	kill $manager
	wait $manager || fail "vmmgr: status $?"
}

insmod /x/redoubt.ko || fail "insmod redoubt.ko"
n=0
while ! [ -b "$DISK" ] || ! [ -b "$BOOT" ]; do
	n=$((n + 1))
	[ $n -lt 100 ] || fail "no $DISK or $BOOT"
	sleep 0.1
done
cd /tmp || exit
busybox tar -x -f "$BOOT" || fail "no archive on $BOOT"
"start_$START"
busybox stty sane
dmesg | tail -5
echo "RT pass debian the guest has ended"
