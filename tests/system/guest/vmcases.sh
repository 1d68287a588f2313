#!/bin/busybox sh
# SPDX-License-Identifier: MIT
# Guests, in the root: what tests/system/guestcase.py asks for in /x/vmcases.conf:
#   GROUPS_WANTED  functions below whose names begin with group_, in order
#   GUESTS    KERNEL:VPS ... of group_guests; kernels are /x/KERNEL.bz and /x/KERNEL.gz
#   SMALL     the kernel of the guests of all other groups
#   WITHOUT   PROGRAM:RULE:NUMBER ... of group_sandbox: rules to leave out, and their system calls
#   ROUNDS    of group_delete
#   FACTOR    everything may take longer by this
# Lines for the harness are those of init.sh.
export PATH=/bin:/x
RUN=/run/redoubt
LOG=$RUN/vmmgr.log
ROOT_IP=10.77.0.1
. /x/vmcases.conf

# --- results ------------------------------------------------------------------

begin() { T=$1 WHY=; echo "RT start $T"; }
no() { WHY="${WHY:+$WHY; }$*"; }
is() { # WHAT HAVE WANT
	[ "$2" = "$3" ] || no "$1 is '$2', not '$3'"
}
finish() { # TEXT...
	if [ -z "$WHY" ]; then
		echo "RT pass $T $*"
		return
	fi
	for c in $(ls -t $RUN/*.console 2>/dev/null | head -2); do
		[ -e "$c" ] && tail -n 8 "$c" | tr -d '\r' | cut -c1-160 | sed "s,^,RT info $T ${c##*/}: ,"
	done
	tail -8 $LOG | sed "s/^/RT info $T manager: /"
	hvctl dmesg 2>/dev/null | tail -4 | sed "s/^/RT info $T hypervisor: /"
	echo "RT fail $T $WHY"
}

# --- guests -------------------------------------------------------------------

define() { # NAME KERNEL MIB VPS WORDS [IMAGE[:ro] ...]
	local name=$1 kernel=$2 mib=$3 vps=$4 words=$5 d
	shift 5
	{
		echo "name: $name"
		echo "memory: $mib"
		echo "vps: $vps"
		echo "kernel: /x/$kernel.bz"
		echo "initrd: /x/$kernel.gz"
		echo "cmdline: console=ttyS0 quiet panic=-1 $words"
		[ $# = 0 ] || echo "disks:"
		for d in "$@"; do
			echo "  - path: ${d%:ro}"
			[ "$d" = "${d%:ro}" ] || echo "    read_only: true"
		done
		echo "nics:"
		echo "  - uplink: tap0"
		[ -z "$ATTEST" ] || echo "attest: $ATTEST"
	} >$RUN/$name.yaml
	rm -f $RUN/$name.console
	hvctl create $RUN/$name.yaml --replace >/tmp/out 2>&1 || no "create $name: $(tail -1 /tmp/out)"
}
start() { # NAME
	hvctl start "$1" >/tmp/out.$1 2>&1 || { no "start $1: $(tail -1 /tmp/out.$1)"; return 1; }
}
disk() { # NAME MIB: an image of zeros
	rm -f /vm/$1
	dd if=/dev/zero of=/vm/$1 bs=1048576 count=0 seek="$2" 2>/dev/null
}
lines() { # NAME PATTERN: how many on its console
	grep -a -c "$2" $RUN/$1.console 2>/dev/null || true
}
said() { grep -a "$2" $RUN/$1.console 2>/dev/null | tail -1 | tr -d '\r' | sed 's/.*VM /VM /'; }
now() { read -r up rest </proc/uptime; NOW=${up%.*}; }
wait_for() { # SECONDS COMMAND...
	local end
	now
	end=$((NOW + $1 * FACTOR))
	shift
	until "$@" >/dev/null 2>&1; do
		now
		[ "$NOW" -lt $end ] || return 1
		sleep 0.4
	done
}
more_lines() { [ "$(lines "$1" "$2")" -gt "$3" ]; }
wait_line() { # NAME PATTERN SECONDS
	wait_for "$3" more_lines "$1" "$2" 0 || { no "$1 does not say '$2'"; return 1; }
}
no_failures() { # NAME [COUNT]: no more than it had
	[ "$(lines "$1" 'VM fail')" = "${2:-0}" ] || no "$1: $(said "$1" 'VM fail')"
	[ "$(lines "$1" 'Kernel panic\|BUG:\|Call Trace')" = 0 ] || no "$1: $(said "$1" 'Kernel panic\|BUG:\|Call Trace')"
}
state() { hvctl list | awk -v n="$1" '$1 == n { print $2 }'; }
state_is() { [ "$(state "$1")" = "$2" ]; }
reason() { hvctl show "$1" --json | sed -n 's/.*"reason": "\(.*\)".*/\1/p'; }
process() { hvctl ps $1 | awk -v n="$2" '$1 == n && $2 == "ready" { print $3 }'; } # VM PROCESS: its number
number() { hvctl info --json | sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p"; }
programs_left() {
	for p in /proc/[0-9]*; do
		case $(tr '\0' ' ' <$p/cmdline 2>/dev/null) in
		"vmworker "* | "storvsp "* | "netvsp "* | "ic "* | "console "*) echo "$(cat $p/cmdline | tr '\0' ' ')${p#/proc/}" ;;
		esac
	done
}
none_left() { [ -z "$(programs_left)" ]; }
pool_is() { [ "$(number pool_free_bytes)" = "$1" ]; }
nothing_left() { # POOL BYTES: nothing of a guest remains
	wait_for 60 pool_is "$1" || no "pool: $(number pool_free_bytes) of $1 bytes free"
	wait_for 30 none_left || no "processes left: $(programs_left | tr '\n' ' ')"
}
gone() { # NAME...
	local g
	for g in "$@"; do
		state_is "$g" running && hvctl kill "$g" >/dev/null 2>&1
		hvctl delete "$g" >/tmp/out 2>&1 || no "delete $g: $(tail -1 /tmp/out)"
	done
}

# --- the manager --------------------------------------------------------------

manager() { # WORDS...
	rm -f $RUN/manager.sock
	vmmgr --programs /x --log-dir $RUN --uplink tap0 "$@" >>$LOG 2>&1 &
	MANAGER=$!
	wait_for 20 test -S $RUN/manager.sock || no "the manager does not come up: $(tail -1 $LOG)"
}
manager_ends() {
	kill $MANAGER
	wait $MANAGER
}
uplink() {
	wait_for 10 test -e /sys/class/net/tap0
	ip addr add $ROOT_IP/24 dev tap0 2>/dev/null
	ip link set tap0 up
}

# --- groups -------------------------------------------------------------------

# Every kernel and number of processors, all at once.
group_guests() {
	i=10
	for g in $GUESTS; do
		i=$((i + 1)) k=${g%:*} v=${g#*:} n=$k-${v}vp
		begin "$n"
		disk $n.img 16
		define $n $k $((v > 2 ? 256 : 192)) $v \
			"vmip=10.77.0.$i vm=vmbus,disk:sda,clock,smp,absent,ping:$ROOT_IP vmend=wait" /vm/$n.img
		start $n
		[ -z "$WHY" ] || finish
	done
	uplink
	i=10
	for g in $GUESTS; do
		i=$((i + 1)) k=${g%:*} v=${g#*:} n=$k-${v}vp
		begin "$n"
		if wait_line $n "VM end" 400; then
			is "$n: processors" "$(said $n 'VM init' | sed 's/.* cpus \([0-9]*\) .*/\1/')" $v
			is "$n: clock" "$(said $n 'VM init' | sed 's/.* clock //')" hyperv_clocksource_tsc_page
			case $k in *cloud) has=$(said $n 'VM init' | grep -c cloud) ;; *) has=$(said $n 'VM init' | grep -vc cloud) ;; esac
			is "$n: kernel" "$has" 1
			is "$n: checks" "$(lines $n 'VM pass')" 6
			ping -c 1 -W 10 10.77.0.$i >/dev/null || no "no answer to the root's ping"
		fi
		no_failures $n
		finish "$(said $n 'VM init' | sed 's/VM init //'), $(said $n 'pass clock' | sed 's/VM pass clock //')"
	done
	begin stop
	pool=$POOL
	for g in $GUESTS; do
		n=${g%:*}-${g#*:}vp
		hvctl stop $n --timeout 90 --json >/tmp/out 2>&1
		grep -q '"forced": false' /tmp/out || no "$n was stopped by force"
		is "$n: reason" "$(reason $n)" "shut down"
		wait_line $n "VM bye" 1
		gone $n
	done
	nothing_left $pool
	finish "$(echo $GUESTS | wc -w) guests powered off by themselves"
}

refused() { # WORDS: of the answer; COMMAND...
	local w want=$1
	shift
	if "$@" >/tmp/out 2>&1; then no "'$*' succeeds"; return; fi
	for w in $want; do
		grep -q -e "$w" /tmp/out || no "'$(cat /tmp/out)' does not name $w"
	done
}
group_errors() {
	begin definition-errors
	printf 'name: bad\nmemory: banana\nkernel: /x/%s.bz\n' $SMALL >$RUN/bad.yaml
	refused "bad.yaml:2: memory: digits" hvctl create $RUN/bad.yaml
	printf 'name: bad\nmemory: 64\nkernal: /x\n' >$RUN/bad.yaml
	refused "bad.yaml:3: kernal known:" hvctl create $RUN/bad.yaml
	printf 'name: bad\nmemory: 64\n' >$RUN/bad.yaml
	refused "kernel: missing add" hvctl create $RUN/bad.yaml
	printf 'name: ../bad\nmemory: 64\nkernel: /x\n' >$RUN/bad.yaml
	refused "bad.yaml:1: name: letters" hvctl create $RUN/bad.yaml
	refused "/nowhere definition" hvctl create /nowhere
	is machines "$(hvctl list | wc -l)" 1
	finish
	begin start-errors
	define e $SMALL 96 1 ""
	sed -i 's,^kernel:.*,kernel: /x/none,' $RUN/e.yaml
	hvctl create $RUN/e.yaml --replace >/dev/null
	refused "/x/none No.such.file definition" hvctl start e
	define e $SMALL 262144 1 ""
	refused "262144.MiB pool=" hvctl start e
	define e $SMALL 96 1 "" /vm/none.img
	refused "/vm/none.img No.such.file" hvctl start e
	sed 's,^kernel:.*,kernel: /x/vmcases.sh,; /^disks/,/none/d' $RUN/e.yaml >$RUN/f.yaml
	hvctl create $RUN/f.yaml --replace >/dev/null
	refused "did.not.start kernel:.boot.flag" hvctl start e
	refused "no.such.machine" hvctl start nobody
	refused "is.off" hvctl kill e
	gone e
	nothing_left $POOL
	finish
}

# A guest with several disks that works for ever: other groups use it.
group_work() {
	begin disks
	disk w.img 16
	disk ro.img 16
	disk cut.img 16
	mkdir -p /small
	mount -t tmpfs -o size=1m small /small
	dd if=/dev/zero of=/small/full.img bs=1048576 count=0 seek=16 2>/dev/null
	define w $SMALL 128 1 "vmip=10.77.0.11 vm=vmbus,disk:lun0,readonly:lun1,ioerror:lun2:write,ioerror:lun3:read,serve:2,work:lun0 vmend=wait" \
		/vm/w.img /vm/ro.img:ro /small/full.img /vm/cut.img
	start w
	uplink
	# the fourth disk loses its bytes while the guest reads them
	wait_line w "VM pass ioerror" 180 && sleep 1
	[ "$(lines w 'VM pass ioerror')" = 1 ] || no "an I/O error before the image was cut"
	dd if=/dev/null of=/vm/cut.img bs=1048576 seek=1 2>/dev/null
	wait_line w "VM end" 300
	no_failures w
	is "disks that the guest has" "$(lines w 'VM pass disk')$(lines w 'VM pass readonly')$(lines w 'VM pass ioerror')" 112
	errors=$(hvctl show w --json | sed -n 's/.*"errors": \([0-9]*\).*/\1/p')
	[ "${errors:-0}" -gt 0 ] || no "hvctl show counts no error"
	cmp -n 4096 /vm/ro.img /dev/zero >/dev/null || no "the read-only image was written"
	finish "$(said w 'pass readonly' | sed 's/VM pass //'), $(said w 'pass ioerror' | sed 's/VM pass //')"
}
# What the hypervisor measured of a machine of the manager is what redoubt-measure finds in its files.
measured_as() { # NAME: the running machine, and what the tool makes of its files; sets MEASURED
	local have want number
	number=$(hvctl show $1 --json | sed -n 's/.*"partition": \([0-9]*\).*/\1/p')
	have=$(childtest measurement "${number:-0}" 2>&1)
	want=$(redoubt-measure vm $RUN/$1.yaml 2>&1)
	MEASURED=${have%% *}
	is "measurement of $1" "${have%% *}" "${want%% *}"
	case $have in *" sealed 0 pages" | *open*) no "$1: $have" ;; esac
}
group_attest() {
	local first
	begin measured
	define m $SMALL 128 2 "vmip=10.77.0.11 vm=vmbus vmend=wait"
	echo "attest: true" >>$RUN/m.yaml
	echo "svn: 3" >>$RUN/m.yaml
	hvctl create $RUN/m.yaml --replace >/tmp/out 2>&1 || no "create m: $(tail -1 /tmp/out)"
	start m
	measured_as m
	first=$MEASURED
	wait_line m "VM end" 300
	measured_as m
	is "measurement of the guest that runs" "$MEASURED" "$first"
	gone m
	sed 's/vmend=wait/vmend=wait more/' $RUN/m.yaml >$RUN/n.yaml
	mv $RUN/n.yaml $RUN/m.yaml
	hvctl create $RUN/m.yaml --replace >/tmp/out 2>&1 || no "create m: $(tail -1 /tmp/out)"
	start m
	measured_as m
	[ "$MEASURED" != "$first" ] || no "another command line has the same measurement"
	gone m
	finish "$first"
	begin childtest-attest
	RT_NAME=$T timeout $((200 * FACTOR)) childtest attest
}
group_reboot() {
	begin reboot
	define again $SMALL 96 1 "vmend=reboot"
	start again
	wait_for 300 more_lines again "VM init" 1 || no "no second start: state $(state again)"
	resets=$(hvctl show again --json | sed -n 's/.*"resets": \([0-9]*\).*/\1/p')
	[ "${resets:-0}" -ge 1 ] || no "hvctl show counts no reset"
	grep -q "again: reset: the guest reset itself" $LOG || no "the manager's log has no reset"
	hvctl kill again >/dev/null 2>&1
	is state "$(state again)" off
	gone again
	finish "$resets resets"
}
# Drivers that go and come back; then a kernel that dies: it unloads VMBus, resets, and connects anew.
group_reconnect() {
	begin reconnect
	disk r.img 16
	define r $SMALL 96 2 "vmip=10.77.0.12 vm=disk:lun0,reload,vmbus,disk:lun0,ping:$ROOT_IP vmend=crash" /vm/r.img
	start r
	uplink
	wait_line r "VM end crash" 300
	is checks "$(lines r 'VM pass')" 5
	wait_for 300 more_lines r "VM init" 1 || no "no second start: state $(state r)"
	wait_for 300 more_lines r "VM end crash" 1 || no "the second start does not end"
	[ "$(lines r 'VM fail')" = 0 ] || no "$(said r 'VM fail')"
	grep -q "r: reset: the guest reset itself" $LOG || no "the manager's log has no reset"
	hvctl dmesg | grep -q "guest crash" || no "the hypervisor's log has no crash of the guest"
	hvctl kill r >/dev/null 2>&1
	gone r
	finish "$(lines r 'VM pass') checks in $(lines r 'VM init') lives"
}
descriptors() { # PROCESS: how many it has
	ls /proc/$(process r r/$1)/fd | wc -l
}
recorded_as() { # WHAT: hvctl show and the descriptors of the processes; BEFORE of each
	is "recorded" "$(hvctl show r --json | sed -n 's/.*"recorded": \([a-z]*\).*/\1/p')" $1
}
# Nothing is recorded unless asked for; then messages of every device are, and it is over with the listener.
group_record() {
	begin record
	disk r.img 16
	define r $SMALL 128 1 "vmip=10.77.0.12 vm=disk:lun0,work:lun0,ping:$ROOT_IP vmend=wait" /vm/r.img
	rm -f $RUN/r.rec $RUN/r2.rec
	hvctl record r --out $RUN/r.rec --seconds 3600 --json >/tmp/recorded 2>&1 &
	job=$!
	wait_for 20 test -s $RUN/r.rec || no "no file: $(tail -1 /tmp/recorded)"
	is "mode of the file" "$(stat -c %a $RUN/r.rec)" 600
	recorded_as true
	refused "being.recorded" hvctl record r --out $RUN/r2.rec
	[ ! -e $RUN/r2.rec ] || no "a refused recording leaves a file"
	refused "exists new.file" hvctl record r --out $RUN/r.rec
	refused "no.such.machine" hvctl record nobody --out $RUN/r2.rec
	start r
	uplink
	wait_line r "VM end" 300
	no_failures r
	with="$(descriptors vmworker) $(descriptors storvsp) $(descriptors netvsp0) $(descriptors ic)"
	kill -INT $job
	wait $job || no "hvctl record ends with $?"
	for p in vmworker storvsp netvsp ic; do
		n=$(sed -n '/"records"/,/}/s/.*"'$p'": \([0-9]*\).*/\1/p' /tmp/recorded)
		[ "${n:-0}" -gt 0 ] || no "nothing of $p: $(tr -d '\n' </tmp/recorded)"
	done
	grep -q '"malformed": 0' /tmp/recorded || no "malformed records: $(tr -d '\n' </tmp/recorded)"
	# HV_MESSAGE_HYPERCALL and HV_MESSAGE_MSR with 240 bytes each: what ends in the hypervisor is in it, too
	for m in 50000080f0 01000180f0; do
		head -c 400000 $RUN/r.rec | od -An -v -tx1 | tr -d ' \n' | grep -q $m || no "no intercept $m"
	done
	[ "$(wc -c <$RUN/r.rec)" = "$(sed -n 's/.*"bytes": \([0-9]*\).*/\1/p' /tmp/recorded)" ] || no "the file has $(wc -c <$RUN/r.rec) bytes"
	recorded_as false
	rounds=$(lines r "VM work round")
	wait_for 240 more_lines r "VM work round" $((rounds + 1)) || no "no disk work after the recording"
	is "storvsp's descriptors afterwards" "$(($(descriptors storvsp) + 1))" "$(echo $with | cut -d' ' -f2)"
	ended=$(lines r "VM end")
	hvctl kill r >/dev/null 2>&1
	start r
	wait_for 300 more_lines r "VM end" "$ended" || no "the second start does not end"
	recorded_as false
	is "storvsp's descriptors by default" "$(($(descriptors storvsp) + 1))" "$(echo $with | cut -d' ' -f2)"
	gone r
	nothing_left $POOL
	finish "$(sed -n '/"records"/,/}/s/[ ",]//gp' /tmp/recorded | tr '\n' ' ')"
}
group_ps() {
	begin ps
	echo "RT json ps $(hvctl ps --json | tr -d '\n')"
	echo "RT info ps told"
	finish "told"
}
works_on() { # NAME TEXT: its disk work goes on by two rounds, its network too
	r=$(lines w "VM work round")
	wait_for 240 more_lines w "VM work round" $((r + 1)) || no "$1: no more disk work"
	wait_for 120 ping -c 1 -W 2 10.77.0.11 || no "$1: no more network"
}
fetch() {
	rm -f /tmp/got
	vmtest fetch 10.77.0.11 /tmp/got >/tmp/fetch 2>&1
	md5sum /tmp/got 2>/dev/null | cut -d' ' -f1
}
group_kill() {
	sum=$(said w 'info serve' | sed 's/.*md5 //')
	for p in storvsp netvsp0 ic console vswitch; do
		begin kill-$p
		full=w/$p vm=w
		[ $p != vswitch ] || full=vswitch vm=
		old=$(process "$vm" $full)
		[ -n "$old" ] || no "no process $full"
		fetch >/tmp/sum &
		job=$!
		sleep 0.3
		[ -z "$old" ] || kill -9 $old
		wait_for 120 sh -c "[ -n \"\$(hvctl ps $vm | awk '\$1 == \"$full\" && \$2 == \"ready\" && \$3 != \"$old\"')\" ]" ||
			no "$full does not start again"
		works_on $p
		wait $job
		is "the file that came meanwhile" "$(cat /tmp/sum)" "$sum"
		no_failures w
		is state "$(state w)" running
		finish "process $old, then $(process "$vm" $full)"
	done
}
group_worker() {
	begin module-in-use
	if rmmod redoubt 2>/tmp/out; then no "rmmod redoubt succeeds while a guest runs"; fi
	is state "$(state w)" running
	finish "$(tail -1 /tmp/out)"
	begin kill-vmworker
	kill -9 "$(process w w/vmworker)"
	wait_for 120 state_is w failed || no "state $(state w)"
	case $(reason w) in vmworker*KILL*) ;; *) no "reason: $(reason w)" ;; esac
	nothing_left $POOL
	text=$(reason w)
	gone w
	finish "$text"
}
group_stop() {
	begin stop-by-force
	define s $SMALL 96 1 "vmend=wait"
	start s
	hvctl stop s --timeout 1 --json >/tmp/out 2>&1
	grep -q '"forced": true' /tmp/out || no "not by force: $(tr -d '\n' </tmp/out)"
	is state "$(state s)" off
	start s
	hvctl stop s --timeout 0 --json >/tmp/out 2>&1
	grep -q '"forced": true' /tmp/out || no "at once: not by force: $(tr -d '\n' </tmp/out)"
	refused "is.off" hvctl stop s
	text=$(reason s)
	gone s
	nothing_left $POOL
	finish "$text"
}
# A guest that halts is there until it is stopped.
group_halt() {
	begin halt
	define h $SMALL 96 2 "vmend=halt"
	start h
	wait_for 120 state_is h halted || no "state $(state h)"
	refused "is.not.off" hvctl start h
	hvctl stop h --timeout 30 --json >/tmp/out 2>&1
	grep -q '"forced": false' /tmp/out || no "by force: $(tr -d '\n' </tmp/out)"
	is state "$(state h)" off
	is reason "$(reason h)" "halted, then stopped"
	grep -q "h: halted: VP .: halted for ever" $LOG || no "the manager's log has no halt"
	gone h
	nothing_left $POOL
	finish
}

# Definitions outlive the manager, also one that dies.
group_keep() {
	begin definitions-kept
	define k1 $SMALL 96 1 "vmend=wait"
	define k2 $SMALL 96 1 ""
	hvctl delete k2 >/tmp/out 2>&1 || no "delete k2: $(tail -1 /tmp/out)"
	manager_ends
	manager
	is machines "$(hvctl list | awk 'NR > 1 { print $1 }' | tr '\n' ' ')" "k1 "
	start k1
	is state "$(state k1)" running
	kill -9 $MANAGER
	wait $MANAGER
	wait_for 20 none_left || no "processes left: $(programs_left | tr '\n' ' ')"
	printf 'name: k3\nmemory: banana\n' >/var/lib/redoubt/vms/k3.yaml
	manager
	grep -q 'k3.yaml:2: memory: .*not taken' $LOG || no "a rotten file: $(tail -2 $LOG | tr '\n' ' ')"
	rm /var/lib/redoubt/vms/k3.yaml
	is "machines after kill -9" "$(hvctl list | awk 'NR > 1 { print $1 " " $2 }' | tr '\n' ' ')" "k1 off "
	start k1
	gone k1
	nothing_left $POOL
	finish
}
group_delete() {
	begin delete
	i=0
	disk d.img 16
	while [ $i -lt "$ROUNDS" ]; do
		i=$((i + 1))
		define d $SMALL 96 2 "vmip=10.77.0.11 vm=disk:sda,work:sda vmend=wait" /vm/d.img
		hvctl start d >/tmp/start 2>&1 &
		job=$!
		while [ "$(state d)" = off ] && kill -0 $job 2>/dev/null; do :; done # the manager has not heard of it yet
		ms=$(($(od -An -N2 -tu2 /dev/urandom) % 3000))
		sleep "$((ms / 1000)).$(printf %03d $((ms % 1000)))"
		refused "is.not.off" hvctl delete d
		hvctl kill d >/tmp/out 2>&1 || no "round $i, $ms ms: $(tail -1 /tmp/out)"
		wait $job
		is "round $i, $ms ms: state" "$(state d)" off
		gone d
		nothing_left $POOL
		[ -z "$WHY" ] || break
	done
	finish "$i times, then $POOL bytes of the pool are free"
}

# --- the share of a busy guest --------------------------------------------------

mean() { awk '/VM count/ { n++; s += $NF } END { printf "%d", n ? s / n : 0 }'; }
group_share() {
	begin share
	define busy $SMALL 96 "$(nproc)" "vm=count:1:100000 vmend=wait"
	define other $SMALL 96 1 "vm=count:1:100000 vmend=wait"
	start busy
	start other
	wait_line busy "VM count" 120
	wait_line other "VM count" 120
	r=$(vmtest count 1 5 | mean)
	b=$(grep -a "VM count" $RUN/busy.console | tr -d '\r' | tail -4 | mean)
	o=$(grep -a "VM count" $RUN/other.console | tr -d '\r' | tail -4 | mean)
	sleep 7
	b2=$(grep -a "VM count" $RUN/busy.console | tr -d '\r' | tail -3 | mean)
	o2=$(grep -a "VM count" $RUN/other.console | tr -d '\r' | tail -3 | mean)
	# Parts of what all do in the same seconds, which the load of the machine below changes for all alike. Weights are 4 : 1 : 1; root
	# and busy want all CPUs, other wants one: a third of each share will do; a sixth for short rounds
	all=$((r + b + o)) n=$(nproc)
	[ "$r" -gt $((all / 5)) ] || no "the root is slowed down"
	[ "$o" -gt $((all / (18 * n))) ] || no "the other guest is slowed down"
	[ "$b" -gt $((all / 18)) ] || no "the busy guest gets less than its share"
	# without the root 1 : 1 on one CPU, and both have more than beside it
	all=$((b2 + o2))
	[ "$o2" -gt $((all / (12 * n))) ] || no "the other guest is slowed down while the root is idle"
	[ "$b2" -gt $((all / 12)) ] || no "the busy guest gets less than its share while the root is idle"
	[ "$all" -gt $((b + o)) ] || no "the guests have no more while the root is idle"
	text="in a second: beside each other root $r, busy guest $b, other guest $o; root idle: busy guest $b2, other guest $o2"
	[ -z "$WHY" ] || no "$text"
	gone busy other
	nothing_left $POOL
	finish "$text"
}

# --- each rule of a sandbox is needed -------------------------------------------

killed_by_filter() { dmesg | grep -q "type=1326 .*sig=31 .*syscall=$1 "; }
enough() { killed_by_filter "$1" || more_lines sb "VM end" 0 || state_is sb failed; }
ready_again() { killed_by_filter "$3" || case $(process sb "$1") in "" | "$2") false ;; esac; }
over() { killed_by_filter "$1" || ! state_is sb running; }
# What only a user or a death brings about: a device process that ends and comes back, keys on the console, and by these the guest's end.
stir() { # CALL
	old=$(process sb sb/ic)
	[ -z "$old" ] || kill -9 "$old"
	wait_for 20 ready_again sb/ic "$old" "$1"
	printf 'x\n' | timeout 3 hvctl console sb >/dev/null 2>&1
	wait_for 40 over "$1"
}
group_sandbox() {
	manager_ends
	disk sb.img 16
	last=
	for w in $WITHOUT; do
		p=${w%%:*} rest=${w#*:}
		rule=${rest%%:*} call=${rest#*:}
		if [ "$p" != "$last" ]; then
			[ -z "$last" ] || finish "$count rules"
			begin sandbox-$p
			last=$p count=0
		fi
		count=$((count + 1))
		dmesg -c >/dev/null
		manager --test-without $p:$rule
		work="retarget,disk:sda,ping:$ROOT_IP,unbind" ATTEST=
		[ $p != hvsock ] || ATTEST=true work="hvdeep,report:$(printf '%0128d' 7)" # nobody answers here: that is an answer, too
		define sb $SMALL 96 2 "vmip=10.77.0.11 vm=$work vmend=key" /vm/sb.img
		# almost as long as it may be: the console turns it
		[ $p != console ] || dd if=/dev/zero of=$RUN/sb.console bs=256 count=2047 2>/dev/null
		hvctl start sb >/tmp/out 2>&1
		uplink
		wait_for 120 enough $call
		killed_by_filter $call || ! state_is sb running || stir $call
		# what is needed for a second process, a stop, or an end
		killed_by_filter $call || hvctl stop sb --timeout $((20 * FACTOR)) >/dev/null 2>&1
		hvctl kill sb >/dev/null 2>&1
		killed_by_filter $call || manager_ends
		killed_by_filter $call ||
			no "rule $rule, system call $call: nothing was killed ($(dmesg | grep -o 'sig=31.*syscall=[0-9]*' | tail -1))"
		now
		echo "RT info $T uptime $NOW: rule $rule: $(dmesg | grep -o 'type=1326.*' | tail -1)"
		kill $MANAGER 2>/dev/null
		wait $MANAGER
		none_left || no "processes left: $(programs_left | tr '\n' ' ')"
	done
	[ -z "$last" ] || finish "$count rules"
	ATTEST=
	manager
}

# --- redoubt.ko -----------------------------------------------------------------

group_module() {
	begin module-reload
	manager_ends
	rmmod redoubt 2>/tmp/out || no "rmmod: $(tail -1 /tmp/out)"
	[ ! -e /dev/redoubt ] || no "/dev/redoubt is still there"
	insmod /x/redoubt.ko 2>/tmp/out || no "insmod: $(tail -1 /tmp/out)"
	is "free pool" "$(number pool_free_bytes)" "$POOL"
	finish
	for t in args memory "direct /dev/loop0" vp channel messages storm; do
		begin childtest-${t%% *}
		disk direct.img 64
		# A file of the root file system has no direct I/O before Linux 6.6.
		case $t in direct*) busybox losetup /dev/loop0 /vm/direct.img 2>/tmp/out || no "losetup: $(tail -1 /tmp/out)" ;; esac
		RT_NAME=$T timeout $((200 * FACTOR)) childtest $t
	done
	begin module-again
	rmmod redoubt 2>/tmp/out || no "rmmod: $(tail -1 /tmp/out)"
	insmod /x/redoubt.ko 2>/tmp/out || no "insmod: $(tail -1 /tmp/out)"
	is "free pool" "$(number pool_free_bytes)" "$POOL"
	finish
	manager
}

chmod +x /x/* 2>/dev/null
mkdir -p $RUN /vm /dev/net /sys/fs/cgroup /dev/pts
begin setup
[ -e /dev/redoubt ] || insmod /x/redoubt.ko 2>/tmp/out || no "insmod redoubt.ko: $(tail -1 /tmp/out)"
[ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t devpts devpts /dev/pts
POOL=$(number pool_free_bytes)
manager
finish "$POOL bytes in the pool"
[ -z "$WHY" ] || exit 1
for g in $GROUPS_WANTED; do
	group_$g
done
begin manager-end
manager_ends
code=$?
is "its exit status" $code 0
nothing_left "$POOL"
oops=$(dmesg | grep 'BUG:\|Call Trace\|Oops' | tail -1)
[ -z "$oops" ] || no "the root's log: $oops"
finish
