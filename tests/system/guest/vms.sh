#!/bin/busybox sh
# SPDX-License-Identifier: MIT
# The main job, in the root: the manager, two guests with disk and network, and what a newcomer wants to see of them.
# Comes with the initramfs as /x/vms.sh; /x also has the programs, the guests' kernel (guest.bz) and initramfs (guest.gz).
# With a file /x/keep the guests go on; with /x/record what they send is recorded, into /vm/NAME.rec. The word vmvps=N of the kernel's command line: virtual processors of each guest.
# Lines for the harness start with "RT ": show TEXT, step TEXT, pass|fail NAME TEXT.
export PATH=/bin:/x
fail() {
	echo "RT fail $1 $2"
	tail -5 /run/redoubt/vmmgr.log | sed 's/^/RT show manager: /'
	hvctl dmesg 2>/dev/null | tail -5 | sed 's/^/RT show hypervisor: /'
}
show() { # TITLE COMMAND...
	echo "RT show "
	echo "RT show \$ $*"
	"$@" 2>&1 | sed 's/^/RT show /'
}
# wait_line NAME PATTERN SECONDS: until the console log of a guest has it
wait_line() {
	n=$(($3 * 5))
	while ! grep -a -q "$2" "/run/redoubt/$1.console" 2>/dev/null; do
		n=$((n - 1))
		[ $n -gt 0 ] || return 1
		sleep 0.2
	done
}
said() { grep -a "$2" "/run/redoubt/$1.console" | tail -1 | tr -d '\r'; }

chmod +x /x/* 2>/dev/null
mkdir -p /run/redoubt /vm /dev/net /sys/fs/cgroup
[ -e /dev/redoubt ] || insmod /x/redoubt.ko || { echo "RT fail vms insmod redoubt.ko"; exit 1; }
[ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200
mount -t cgroup2 cgroup2 /sys/fs/cgroup 2>/dev/null
mount -t devpts devpts /dev/pts 2>/dev/null || { mkdir -p /dev/pts; mount -t devpts devpts /dev/pts; }
mount -t ext4 /dev/vda /vm || { echo "RT fail vms no disk with the guests' images"; exit 1; }
for w in $(cat /proc/cmdline); do
	case $w in vmvps=*) VM_VPS=${w#vmvps=} ;; esac
done

echo "RT step the manager of virtual machines starts"
vmmgr --programs /x --log-dir /run/redoubt --uplink tap0 >/run/redoubt/vmmgr.log 2>&1 &
n=0
while [ ! -S /run/redoubt/manager.sock ]; do
	n=$((n + 1))
	[ $n -lt 100 ] || { fail vms "the manager does not come up"; exit 1; }
	sleep 0.1
done
define() { # NAME ADDRESS CHECKS
	cat >/run/redoubt/$1.yaml <<-D
	name: $1
	memory: ${VM_MEM:-192}
	vps: ${VM_VPS:-1}
	kernel: /x/guest.bz
	initrd: /x/guest.gz
	cmdline: console=ttyS0 quiet panic=-1 vmroot=any vmip=$2 vm=$3 vmend=wait
	disks:
	  - path: /vm/$1.img
	  - path: /vm/$1-data.img
	nics:
	  - uplink: tap0
	D
	hvctl create /run/redoubt/$1.yaml || fail "$1" "hvctl create"
}
define one 10.77.0.11 vmbus,disk:data,ping:10.77.0.1,serve:2
define two 10.77.0.12 vmbus,disk:data,ping:10.77.0.11,fetch:10.77.0.11
for g in one two; do
	echo "RT step guest $g: start"
	if [ -e /x/record ]; then
		rm -f /vm/$g.rec
		hvctl record $g --out /vm/$g.rec --seconds 3600 >/run/redoubt/$g.recorded 2>&1 &
		n=0
		while [ ! -s /vm/$g.rec ] && [ $n -lt 100 ]; do n=$((n + 1)); sleep 0.1; done
	fi
	hvctl start $g >/run/redoubt/start 2>&1 || { fail $g "hvctl start: $(tail -1 /run/redoubt/start)"; exit 1; }
done
n=0
while [ ! -e /sys/class/net/tap0 ] && [ $n -lt 50 ]; do n=$((n + 1)); sleep 0.1; done
ip addr add 10.77.0.1/24 dev tap0 && ip link set tap0 up || fail uplink "no tap0"
for g in one two; do
	wait_line $g "VM init" 120 && echo "RT step guest $g is up: $(said $g 'VM init')" || { fail $g "its first process does not start"; exit 1; }
done
for g in one two; do
	wait_line $g "VM end" 120 || fail $g "its checks do not end"
done
for g in one two; do
	if grep -a -q "VM fail" /run/redoubt/$g.console; then
		fail $g "$(said $g 'VM fail')"
	else
		echo "RT pass $g $(grep -a -c 'VM pass' /run/redoubt/$g.console) checks; $(said $g 'VM net' | sed 's/^VM net //')"
	fi
done
echo "RT step what they did"
for g in one two; do show grep -a "^VM" /run/redoubt/$g.console; done
a=$(said one 'info serve' | sed 's/.*md5 //') b=$(said two 'pass fetch' | sed 's/.*md5 //')
if [ -n "$a" ] && [ "$a" = "$b" ]; then
	echo "RT pass file a file went from one to two: $(said two 'pass fetch' | sed 's/VM pass fetch //')"
else
	echo "RT fail file one has $a, two got $b"
fi
if ping -c 2 -W 5 10.77.0.12 >/tmp/ping 2>&1; then
	echo "RT pass uplink the root reaches guest two: $(grep round-trip /tmp/ping)"
else
	echo "RT fail uplink the root does not reach guest two: $(tail -1 /tmp/ping)"
fi
show hvctl list
show hvctl ps
[ -e /x/keep ] && exit 0
echo "RT step power off"
for g in one two; do
	if hvctl stop $g --timeout 30 >/run/redoubt/stop 2>&1; then
		echo "RT pass stop-$g $(tail -1 /run/redoubt/stop)"
	else
		echo "RT fail stop-$g $(tail -1 /run/redoubt/stop)"
	fi
done
[ ! -e /x/record ] || { sleep 1; show cat /run/redoubt/one.recorded /run/redoubt/two.recorded; umount /vm; }
show hvctl list
hvctl info --json 2>/dev/null | tr -d '\n' | sed 's/^/RT json /'
echo
killall vmmgr 2>/dev/null || kill "$(ps | awk '/vmmgr/ && !/awk/ { print $1; exit }')" 2>/dev/null
sleep 1
