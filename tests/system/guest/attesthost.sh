#!/bin/busybox sh
# SPDX-License-Identifier: MIT
# The root of a machine that is attested: manager, agent, guests; then commands of the harness, a line each, from the console.
# Comes with the initramfs as /x/attesthost.sh; /dev/vda has definitions of guests (*.yaml) and their files.
# Lines for the harness start with "RT ": step TEXT, ask (a command is read), hex TEXT, code NUMBER TEXT.
export PATH=/bin:/x
dmesg -n 1 # a line of the kernel's would be in the middle of one of ours
chmod +x /x/* 2>/dev/null
mkdir -p /run/redoubt /sys/fs/cgroup /vm
mount -t securityfs s /sys/kernel/security 2>/dev/null
[ -e /dev/redoubt ] || insmod /x/redoubt.ko || { echo "RT fail insmod redoubt.ko"; exit 1; }
mount -t cgroup2 cgroup2 /sys/fs/cgroup 2>/dev/null
mount -t ext4 -o ro /dev/vda /vm || { echo "RT fail no disk with the guests' files"; exit 1; }
mkdir -p /dev/pts; mount -t devpts devpts /dev/pts 2>/dev/null
vmmgr --programs /x --log-dir /run/redoubt >/run/redoubt/vmmgr.log 2>&1 &
attestd >/run/redoubt/attestd.log 2>&1 &
n=0
while [ ! -S /run/redoubt/manager.sock ] || [ ! -S /run/redoubt/attestd.sock ]; do
	n=$((n + 1))
	[ $n -lt 300 ] || { cat /run/redoubt/*.log; echo "RT fail manager or agent do not come up"; exit 1; }
	sleep 0.1
done
sed 's/^/RT step /' /run/redoubt/attestd.log
dump() { hexdump -v -e '"RT hex '"$1"' " 120/1 "%02x" "\n"' "$2"; }
# COMMAND...: its exit status and last word to the harness; what it made, as text
run() {
	rm -f /run/out
	"$@" >/run/said 2>&1
	code=$?
	[ ! -s /run/out ] || dump out /run/out
	echo "RT code $code $(tail -1 /run/said | tr -d '\r')"
}
while echo "RT ask" && read -r verb a b; do
	case $verb in
	identity)
		mkdir -p /run/id
		hvctl attest --identity /run/id >/run/said 2>&1
		code=$?
		for f in /run/id/*; do dump "${f##*/}" "$f"; done
		echo "RT code $code $(tail -1 /run/said)"
		;;
	activate) # OCTAL ESCAPES
		printf "$a" >/run/challenge
		run hvctl attest --activate /run/challenge --out /run/out
		;;
	start)
		hvctl create "/vm/$a.yaml" >/run/said 2>&1
		run hvctl start "$a"
		;;
	own) # VM SECONDS: a guest that leaves its own report on its disk; the report
		dd if=/dev/zero of=/run/report.img bs=1048576 count=2 2>/dev/null
		hvctl create "/vm/$a.yaml" >/run/said 2>&1
		n=0
		hvctl start "$a" >>/run/said 2>&1 || n=$b
		while [ $n -lt "$b" ] && ! grep -q '^VM \(pass\|fail\) \(no\)\?report ' "/run/redoubt/$a.console"; do
			n=$((n + 1))
			sleep 1
		done
		rm -f /run/out
		hvctl ps | tr -s ' ' | sed 's/^/RT step /'
		line=$(grep '^VM \(pass\|fail\) ' "/run/redoubt/$a.console" | tr -d '\r' | tr '\n' ';')
		size=$(echo "$line" | sed -n 's/.*VM pass report \([0-9]*\) bytes.*/\1/p')
		[ -z "$size" ] || { head -c "$size" /run/report.img >/run/out; dump out /run/out; }
		echo "RT code 0 $line $(tail -1 /run/said)"
		;;
	killed) # PROGRAM: the process of the one guest is killed; whether another comes, in its own identity and filter
		old=$(pidof "$a")
		kill -9 "$old"
		n=0
		while [ $n -lt 60 ] && ! hvctl ps | grep -q "/$a .*ready"; do
			n=$((n + 1))
			sleep 1
		done
		new=$(pidof "$a")
		state=$(grep -E '^(Uid|CapBnd|Seccomp):' "/proc/$new/status" | tr -s '\t\n ' ' ')
		code=1
		case $state in *"Uid: 6"*"CapBnd: 0000000000000000"*"Seccomp: 2"*) [ "$new" = "$old" ] || code=0 ;; esac
		echo "RT code $code $old, then $new: $state"
		;;
	stop) run hvctl stop "$a" --timeout 0 ;;
	host) run hvctl attest --host --nonce "$a" --out /run/out ;;
	vm) run hvctl attest "$a" --nonce "$b" --out /run/out ;;
	ps) run sh -c "grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp)' /proc/\$(pidof attestd)/status | tr -s '\\t\\n ' ' '" ;;
	end) break ;;
	esac
done
killall attestd vmmgr 2>/dev/null
sleep 1
