#!/bin/busybox sh
# SPDX-License-Identifier: MIT
# First process of the test root. Words on the kernel command line choose what it does:
#   rt=a,b:arg,c     checks to run, see run_check below; none by default
#   rtend=poweroff | reboot | shell | halt     what comes after them (default poweroff)
#   rtlog=N          kernel messages of a level below N reach the console (default 5)
# Every line for the test harness starts with "RT ":
#   RT init ...            the first line of this script
#   RT ready ...           drivers are loaded
#   RT start NAME          a check begins
#   RT info NAME text      what it saw
#   RT pass|fail|skip NAME text
#   RT json TEXT           what hvctl info --json says
#   RT end WHAT            all checks are done
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
end=poweroff level=5 checks=
for w in $(cat /proc/cmdline); do
	case $w in
	rt=*) checks=${w#rt=} ;;
	rtend=*) end=${w#rtend=} ;;
	rtlog=*) level=${w#rtlog=} ;;
	esac
done
echo "RT init $(uname -r) cpus $(nproc)"
dmesg -n "$level"
while read -r m; do
	insmod "/m/$m.ko" 2>/tmp/err || echo "RT note insmod $m: $(cat /tmp/err)"
done </m/list
echo "RT ready uptime $(cut -d' ' -f1 /proc/uptime)"

# net KIND PORT: address by DHCP, ping the gateway, then TCP to the host's echo server
net() {
	case $1 in virtio) driver=virtio_net ;; *) driver=$1 ;; esac
	n=0
	while ! dev=$(roottest iface "$driver") && [ $n -lt 40 ]; do
		sleep 0.1
		n=$((n + 1))
	done
	[ -n "$dev" ] || { echo "RT fail $RT_NAME no interface of $driver"; return; }
	ip link set lo up
	ip link set "$dev" up
	if ! udhcpc -i "$dev" -n -q -t 10 -T 2 -s /etc/udhcpc.sh >/tmp/dhcp 2>&1; then
		echo "RT fail $RT_NAME no address by DHCP: $(tail -1 /tmp/dhcp)"
		return
	fi
	echo "RT info $RT_NAME $dev has $(ip -4 -o addr show "$dev" | awk '{print $4}')"
	if ! ping -c 3 -W 10 10.0.2.2 >/tmp/ping 2>&1; then
		echo "RT fail $RT_NAME no answer to ping: $(tail -2 /tmp/ping | head -1)"
		return
	fi
	echo "RT info $RT_NAME $(grep round-trip /tmp/ping)"
	roottest tcp 10.0.2.2 "$2"
	ip addr flush dev "$dev"
	ip link set "$dev" down
}

# hv: the driver of the hypervisor loads, hvctl answers; its JSON goes to the harness
hv() {
	[ -e /x/redoubt.ko ] && [ -e /x/hvctl ] || { echo "RT skip hv no redoubt.ko or hvctl in this build"; return; }
	if ! insmod /x/redoubt.ko 2>/tmp/err; then
		echo "RT fail hv insmod redoubt.ko: $(cat /tmp/err)"
		return
	fi
	if ! /x/hvctl info --json >/tmp/info 2>/tmp/err; then
		echo "RT fail hv hvctl info: $(cat /tmp/err)"
		return
	fi
	echo "RT json $(tr -d '\n' </tmp/info)"
	if ! /x/hvctl dmesg >/tmp/hvlog 2>/tmp/err || [ ! -s /tmp/hvlog ]; then
		echo "RT fail hv hvctl dmesg: $(cat /tmp/err)"
		return
	fi
	echo "RT pass hv hvctl info, $(wc -l </tmp/hvlog) lines of hvctl dmesg"
}

# show: what a newcomer wants to see; lines "RT show text"
show() {
	{
		echo "\$ uname -a"
		uname -a
		echo "\$ nproc"
		nproc
		echo "\$ free -m"
		free -m | head -2
		if [ -e /x/hvctl ]; then
			[ -e /dev/redoubt ] || [ ! -e /x/redoubt.ko ] || insmod /x/redoubt.ko 2>&1
			echo "\$ hvctl info"
			/x/hvctl info 2>&1
			echo "\$ hvctl dmesg | tail -20"
			/x/hvctl dmesg 2>&1 | tail -20
			/x/hvctl info --json 2>/dev/null | tr -d '\n' >/tmp/info
		fi
	} | sed 's/^/RT show /'
	[ ! -s /tmp/info ] || echo "RT json $(cat /tmp/info)"
	echo "RT pass show"
}

run_check() {
	case $1 in
	disk-*) roottest disk "${1#disk-}" ;;
	net-*) net "${1#net-}" "$2" ;;
	sleep | clocks | rtc | timerfd | soak) roottime "$@" ;;
	hv) hv ;;
	show) show ;;
	hwclock)
		if t=$(hwclock -r -u 2>&1); then echo "RT pass hwclock $t"; else echo "RT fail hwclock $t"; fi
		;;
	x)	# a script or program that came with the initramfs
		if [ -e "/x/$2" ]; then chmod +x "/x/$2"; "/x/$2"; else echo "RT fail x no /x/$2"; fi
		;;
	*) roottest "$@" ;;
	esac
}

IFS=,
for c in $checks; do
	IFS=:
	set -- $c
	unset IFS
	export RT_NAME="$1"
	echo "RT start $RT_NAME"
	run_check "$@"
	code=$?
	[ $code -ge 128 ] && echo "RT fail $RT_NAME ended by signal $((code - 128))"
done

echo "RT end $end"
case $end in
shell)
	mkdir -p /home /etc
	echo 'export PATH=/bin:/x; PS1="root@redoubt# "' >/home/.profile
	cd /home
	HOME=/home setsid cttyhack sh -l
	poweroff -f
	;;
reboot) reboot -f ;;
halt) while :; do sleep 1000; done ;;
panic) echo c >/proc/sysrq-trigger ;;
esac
poweroff -f
