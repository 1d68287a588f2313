#!/bin/busybox sh
# SPDX-License-Identifier: MIT
# First process of a test guest. Words on the kernel command line choose what it does:
#   vm=a,b:arg,...   checks to run, below
#   vmroot=any       go on from the disk with a root file system (letters of disks are given as they are found)
#   vmip=A.B.C.D     address of eth0, network of 24 bits
#   vmend=poweroff | reboot | halt | crash | key | wait | login
# Every line for the test harness starts with "VM ".
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys 2>/dev/null
mount -t devtmpfs dev /dev 2>/dev/null
mount -t tmpfs tmp /tmp
end=poweroff checks= address= root=
for w in $(cat /proc/cmdline); do
	case $w in
	vm=*) checks=${w#vm=} ;;
	vmend=*) end=${w#vmend=} ;;
	vmip=*) address=${w#vmip=} ;;
	vmroot=*) root=${w#vmroot=} ;;
	esac
done
[ -e /m/list ] && echo "VM init $(uname -r) cpus $(nproc) clock $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
while read -r m; do
	insmod "/m/$m.ko" 2>/tmp/err || echo "VM note insmod $m: $(cat /tmp/err)"
done 2>/dev/null </m/list
if [ -n "$root" ] && [ -e /m/list ]; then
	n=0
	while [ $n -lt 100 ]; do
		for d in /dev/sd?; do
			if mount -t ext4 "$d" /mnt 2>/dev/null && [ -x /mnt/init ]; then
				umount /proc
				exec switch_root -c /dev/console /mnt /init
			fi
		done
		n=$((n + 1))
		sleep 0.1
	done
	echo "VM fail root no disk has a root file system"
fi
echo "VM ready on $(awk '$2 == "/" { print $1 }' /proc/mounts | tail -1) uptime $(cut -d' ' -f1 /proc/uptime) mem $(awk '/MemTotal/ { print $2 }' /proc/meminfo) date $(date -u +%FT%TZ)"

wait_for() { # COMMAND...: up to 10 s
	n=0
	while ! "$@" >/dev/null 2>&1; do
		n=$((n + 1))
		[ $n -lt 100 ] || return 1
		sleep 0.1
	done
}

disk_of() { # lunN or a name: DISK is its device
	case $1 in
	lun*)
		DISK=
		for b in /sys/bus/scsi/devices/*:0:0:${1#lun}/block/*; do
			[ -e "$b" ] && DISK=/dev/${b##*/}
		done
		;;
	*) DISK=/dev/$1 ;;
	esac
	[ -b "$DISK" ]
}

# Letters of disks are given as they are found: sda is any of them, lun0 is the first.
run_check() {
	name=$1
	case $name in
	vmbus)
		wait_for test -d /sys/bus/vmbus/devices
		echo "VM info vmbus $(ls /sys/bus/vmbus/devices | wc -l) devices: $(cat /sys/bus/vmbus/devices/*/class_id 2>/dev/null | sort | tr '\n' ' ')"
		echo "VM pass vmbus"
		;;
	disk)	# disk[:DEVICE]: what is written comes back; DEVICE data: the one without the root file system
		d=${2:-sda}
		if [ "$d" = data ]; then
			wait_for test -b /dev/sdb
			d=$(for d in /dev/sd?; do grep -q "^$d " /proc/mounts || echo "${d#/dev/}"; done | head -1)
		fi
		if ! wait_for disk_of "$d"; then echo "VM fail disk no $d"; return; fi
		vmtest disk "$DISK"
		;;
	readonly)
		if ! wait_for disk_of "${2:-sdb}"; then echo "VM fail readonly no $2"; return; fi
		if dd if=/dev/zero of="$DISK" bs=4096 count=1 conv=fsync 2>/tmp/err; then
			echo "VM fail readonly a write went through"
		else
			echo "VM pass readonly $(tail -1 /tmp/err)"
		fi
		;;
	retarget) # every channel signals CPU 1 from now on
		for c in /sys/bus/vmbus/devices/*/channels/*/cpu; do
			echo 1 >"$c" 2>/tmp/err || echo "VM note retarget $(tail -1 /tmp/err)"
		done
		echo "VM pass retarget $(cat /sys/bus/vmbus/devices/*/channels/*/cpu | tr '\n' ' ')"
		;;
	reload)	# the drivers go and come back: channels close and open again
		# Not hv_vmbus: it stops synthetic timers in direct mode without putting others in their place.
		for m in hv_netvsc hv_storvsc hv_utils; do
			rmmod $m 2>/tmp/err || { echo "VM fail reload rmmod $m: $(cat /tmp/err)"; return; }
		done
		for m in hv_utils hv_storvsc hv_netvsc; do
			insmod "/m/$m.ko" 2>/tmp/err || { echo "VM fail reload insmod $m: $(cat /tmp/err)"; return; }
		done
		[ -z "$address" ] || net_up
		echo "VM pass reload"
		;;
	unbind)	# every driver leaves its device: channels close
		for d in /sys/bus/vmbus/drivers/*/vmbus* /sys/bus/vmbus/drivers/*/*-*-*; do
			[ -e "$d" ] && echo "${d##*/}" >"${d%/*}/unbind"
		done
		echo "VM pass unbind"
		;;
	ioerror) # ioerror:DEVICE:read|write: it must fail, soon
		if ! wait_for disk_of "$2"; then echo "VM fail ioerror no $2"; return; fi
		timeout 150 vmtest ioerror "$DISK" "$3" || [ $? = 1 ] || echo "VM fail ioerror $2 hangs"
		;;
	work)	# work:DEVICE: as disk, for ever, beside what follows
		if ! wait_for disk_of "$2"; then echo "VM fail work no $2"; return; fi
		vmtest work "$DISK" &
		;;
	background) # background:CHECK:...: beside what follows
		shift
		vmtest "$@" &
		;;
	ping)	# ping:ADDRESS
		if wait_for ping -c 1 -W 1 "$2" && ping -c 3 -W 5 "$2" >/tmp/ping 2>&1; then
			echo "VM pass ping $2 $(grep round-trip /tmp/ping)"
		else
			echo "VM fail ping $2 $(tail -1 /tmp/ping)"
		fi
		;;
	serve)	# serve:MIB: a file over TCP to whoever asks
		dd if=/dev/urandom of=/tmp/file bs=1048576 count="${2:-1}" 2>/dev/null
		echo "VM info serve md5 $(md5sum /tmp/file | cut -d' ' -f1)"
		vmtest serve /tmp/file &
		echo "VM pass serve"
		;;
	fetch)	# fetch:ADDRESS
		vmtest fetch "$2" /tmp/got
		if [ -s /tmp/got ]; then
			echo "VM pass fetch $(wc -c </tmp/got) bytes, md5 $(md5sum /tmp/got | cut -d' ' -f1)"
		else
			echo "VM fail fetch nothing came from $2"
		fi
		;;
	channels) # what the rings hold, for a person
		for c in /sys/bus/vmbus/devices/*/channels/*; do
			echo "VM info channels $(cat "$c/../../class_id" | cut -c2-9) $(for f in in_mask out_mask read_avail write_avail interrupts events pending; do echo -n "$f $(cat "$c/$f" 2>/dev/null) "; done)"
		done
		;;
	report) # report:HEX: the guest's own report for these 64 bytes, onto the first disk
		if ! /x/redoubt-report --data "$2" -o /tmp/report 2>/tmp/err; then
			echo "VM fail report $(tail -1 /tmp/err)"
		elif ! wait_for disk_of lun0 || ! dd if=/tmp/report of="$DISK" bs=512 conv=sync,fsync 2>/tmp/err; then
			echo "VM fail report disk: $(tail -1 /tmp/err)"
		else
			echo "VM pass report $(wc -c </tmp/report) bytes"
		fi
		;;
	noreport) # the host gives it none, and the tool says so
		/x/redoubt-report --data "$2" -o /tmp/report 2>/tmp/err
		if [ $? = 2 ] && grep -q 'has no report service' /tmp/err && [ ! -e /tmp/report ]; then
			echo "VM pass noreport $(tail -1 /tmp/err)"
		else
			echo "VM fail noreport $(tail -1 /tmp/err)"
		fi
		;;
	blocked) echo w >/proc/sysrq-trigger ;; # tasks that wait, into the kernel's log
	dmesg) dmesg | tail -n "${2:-20}" | sed 's/^/VM info dmesg /' ;;
	sleep) sleep "$2"; echo "VM pass sleep" ;;
	*) vmtest "$@" ;;
	esac
}

net_up() {
	ip link set lo up
	if wait_for test -e /sys/class/net/eth0; then
		ip addr add "$address/24" dev eth0
		ip link set eth0 up
		echo "VM net eth0 $(cat /sys/class/net/eth0/address) $address"
	else
		echo "VM fail net no eth0"
		run_check channels
		run_check dmesg 15
	fi
}
[ -z "$address" ] || net_up

IFS=,
for c in $checks; do
	IFS=:
	set -- $c
	unset IFS
	run_check "$@"
done
unset IFS
echo "VM end $end"
vmtest drain
case $end in
reboot) reboot -f ;;
halt) halt -f ;;
key) read -r line ;; # something is typed: power off
crash) echo c >/proc/sysrq-trigger ;; # the kernel unloads VMBus, and restarts by panic=-1
wait)	# until the host asks for power off: the kernel runs /sbin/poweroff, which sends this signal
	trap 'echo "VM bye"; vmtest drain; poweroff -f' USR2
	trap 'echo "VM bye"; vmtest drain; reboot -f' TERM
	while :; do sleep 0.5; done
	;;
login)	# a shell on the console
	mkdir -p /home
	cd /home
	while :; do setsid cttyhack sh; done
	;;
esac
poweroff -f
