#!/bin/sh
# SPDX-License-Identifier: MIT
# A Debian test guest's address, from the kernel command line: redoubt.ip=A.B.C.D/BITS[,GATEWAY]
set -eu
for w in $(cat /proc/cmdline); do
	case $w in redoubt.ip=*) word=${w#redoubt.ip=} ;; esac
done
address=${word%%,*} gateway=${word#"$address"}
udevadm settle --timeout=60 || echo "udev is still busy" # until then names change
n=0
while :; do
	for i in /sys/class/net/*; do
		[ -e "$i/device" ] && break 2
	done
	n=$((n + 1))
	[ $n -lt 200 ] || { echo "no network interface"; exit 1; }
	sleep 0.1
done
i=${i##*/}
ip address replace "$address" dev "$i"
ip link set "$i" up
[ -z "$gateway" ] || ip route replace default via "${gateway#,}"
echo "$i has $address"
