#!/bin/sh
# SPDX-License-Identifier: MIT
# Called by busybox udhcpc with the event in $1 and the lease in the environment.
case $1 in
deconfig)
	ip addr flush dev "$interface"
	ip link set "$interface" up
	;;
bound | renew)
	ip addr add "$ip/${mask:-24}" dev "$interface"
	[ -n "$router" ] && ip route replace default via "${router%% *}" dev "$interface"
	;;
esac
exit 0
