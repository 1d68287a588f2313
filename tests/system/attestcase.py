# SPDX-License-Identifier: MIT
"""Measured boot: what the root sees of the TPM and of the event log, and why other machines are not attestable.

The log comes out of the root over the serial port together with the PCRs. It is judged here, by Debian's tpm2_eventlog and by a
second replay: both must give what the TPM says, in every bank.
"""

import hashlib
import re
import shutil
import struct
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import images
import machine as mc
from rootcase import BOOT_TIME, FACTOR, FATAL, QUIET

OPTIONS = "pool=64M"
CONFIG = b"# measured, too\nloglevel = info\n"
CMDLINE = "console=ttyS0 panic=-1 rt=x:attest.sh rtend=poweroff"
BANKS = {4: "sha1", 11: "sha256", 12: "sha384", 13: "sha512"}
TAG, TAGGED = 0x52440001, 6
WHAT = {1: "hypervisor", 2: "options", 3: "root kernel", 4: "root initrd", 5: "root command line", 7: "report key", 8: "end"}
WITH_TEXT = (2, 5)
RC_LOCALITY = "00000907"

# Commands to the TPM at locality 0, as the root can send them. PCR 16 anybody may extend and reset: the proof that they are well formed.
SCRIPT = r"""#!/bin/sh
dmesg -n 1
mount -t securityfs s /sys/kernel/security
[ ! -e /x/redoubt.ko ] || insmod /x/redoubt.ko
pcrs() {
	for b in sha1 sha256 sha384 sha512; do
		for p in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 17 18 19 20 21 22 23; do
			[ ! -e /sys/class/tpm/tpm0/pcr-$b/$p ] || echo "AT pcr $1 $b $p $(cat /sys/class/tpm/tpm0/pcr-$b/$p)"
		done
	done
}
tpm() { # name, command as octal escapes
	exec 3<>/dev/tpm0
	printf "$2" >&3
	echo "AT rc $1 $(dd bs=4096 count=1 <&3 2>/dev/null | hexdump -v -n 10 -e '1/1 "%02x"' | cut -c13-20)"
	exec 3>&-
}
auth='\0\0\0\011\100\0\0\011\0\0\0\0\0'
event() { tpm event-$1 "\200\002\0\0\0\041\0\0\001\074\0\0\0$2$auth\0\004evil"; }
reset() { tpm reset-$1 "\200\002\0\0\0\033\0\0\001\075\0\0\0$2$auth"; }
pcrs before
event 16 '\020'
event 22 '\026'
reset 16 '\020'
reset 22 '\026'
pcrs after
hexdump -v -e '"AT log " 60/1 "%02x" "\n"' /sys/kernel/security/tpm0/binary_bios_measurements
/x/hvctl info | sed 's/^/AT info /'
echo "AT done"
"""


@dataclass(frozen=True)
class AttestCase:
    kernel: str = "6.1"
    boot: str = "grub-uefi"
    tpm: str = "tis"
    why: str = ""               # words of the reason; empty: attestable
    default: bool = False

    @property
    def name(self):
        return f"{self.kernel}-attest-{self.boot}-{self.tpm or 'no-tpm'}"

    def tests(self):
        return ["boot", "reason"] if self.why else ["boot", "own-events", "eventlog", "replay", "locality", "info", "poweroff"]


def matrix(bare=False):
    if bare:
        return []
    return [AttestCase(default=True), AttestCase("6.12"),
            AttestCase(tpm="", why="no TPM 2.0"), AttestCase(tpm="crb", why="no TIS interface"),
            AttestCase(tpm="tis12", why="TPM 1.2"), AttestCase(boot="grub-bios", why="loader is not measured"),
            AttestCase(boot="mb1", why="loader is not measured")]


# --- the log --------------------------------------------------------------------

def parse(log):
    """[(pcr, type, {bank: digest}, event data)] of a crypto-agile log; the first event is left out."""
    size = struct.unpack_from("<I", log, 28)[0]
    count = struct.unpack_from("<I", log, 32 + 24)[0]
    sizes = dict(struct.unpack_from("<HH", log, 32 + 28 + 4 * i) for i in range(count))
    at, events = 32 + size, []
    while at < len(log):
        pcr, kind, n = struct.unpack_from("<III", log, at)
        at += 12
        digests = {}
        for _ in range(n):
            alg, = struct.unpack_from("<H", log, at)
            digests[alg] = log[at + 2:at + 2 + sizes[alg]]
            at += 2 + sizes[alg]
        n, = struct.unpack_from("<I", log, at)
        events.append((pcr, kind, digests, log[at + 4:at + 4 + n]))
        at += 4 + n
    if at != len(log):
        raise ValueError("the last event is cut short")
    return events


def replay(events):
    """{(bank, PCR): value}"""
    pcrs = {}
    for pcr, kind, digests, _ in events:
        if kind != 3:
            for alg, digest in digests.items():
                name = BANKS[alg]
                old = pcrs.get((name, pcr), bytes(len(digest)))
                pcrs[name, pcr] = hashlib.new(name, old + digest).digest()
    return pcrs


def cbor(data, at=0):
    """One item of the little CBOR that own events use: (value, next offset)."""
    major, low = data[at] >> 5, data[at] & 31
    at += 1
    if low >= 24:
        n = 1 << (low - 24)
        low = int.from_bytes(data[at:at + n], "big")
        at += n
    if major == 0:
        return low, at
    if major == 2:
        return data[at:at + low], at + low
    if major == 5:
        out = {}
        for _ in range(low):
            key, at = cbor(data, at)
            out[key], at = cbor(data, at)
        return out, at
    raise ValueError(f"CBOR major type {major}")


def image_of(elf):
    """What the loader makes of redoubt.elf: its one segment, the rest of it zero."""
    data = Path(elf).read_bytes()
    off, _, _, filesz, memsz = struct.unpack_from("<IIIII", data, 52 + 4)
    return data[off:off + filesz].ljust(memsz, b"\0")


def own_events(events, spec):
    """Complaints about the hypervisor's own events."""
    bad, seen = [], []
    initrd, kernel = Path(spec.initrd).read_bytes(), Path(spec.kernel).read_bytes()
    want = {1: image_of(spec.hv), 2: OPTIONS.encode() + b"\n" + CONFIG, 3: kernel, 4: initrd, 5: CMDLINE.encode()}
    for pcr, kind, digests, data in events:
        if pcr != 22:
            continue
        for alg, digest in digests.items():
            if hashlib.new(BANKS[alg], data).digest() != digest:
                bad.append(f"a digest of {BANKS[alg]} is not that of the event's data")
        tag, size = struct.unpack_from("<II", data)
        body, end = cbor(data, 8)
        if kind != TAGGED or tag != TAG or size != len(data) - 8 or end != len(data):
            bad.append(f"an event of PCR 22 is not ours: type {kind:#x}, tag {tag:#x}")
            continue
        what = body[1]
        seen.append(what)
        if what in want and (body[2], body[3]) != (hashlib.sha384(want[what]).digest(), len(want[what])):
            bad.append(f"{WHAT[what]}: digest or size is not that of the file")
        if what in WITH_TEXT and body.get(4) != want[what]:
            bad.append(f"{WHAT[what]}: text {body.get(4)}")
        if what == 7 and (hashlib.sha384(body[5]).digest() != body[2] or len(body[6]) != 32 or len(set(body[6])) < 8):
            bad.append("report key: its digest or the bootseed is wrong")
    if seen != list(WHAT):
        bad.append(f"events {seen}, wanted {list(WHAT)}")
    return bad


def tools_replay(log):
    """{(bank, PCR): value} by tpm2_eventlog."""
    if shutil.which("tpm2_eventlog") is None:
        raise mc.SetupError("tpm2_eventlog is not installed: apt-get install tpm2-tools")
    with tempfile.NamedTemporaryFile() as f:
        f.write(log)
        f.flush()
        done = subprocess.run(["tpm2_eventlog", f.name], capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"tpm2_eventlog: {done.stderr.strip()[-300:]}")
    pcrs, bank = {}, None
    for line in done.stdout[done.stdout.rindex("\npcrs:"):].splitlines():
        if found := re.fullmatch(r"\s+(sha\d+):", line):
            bank = found.group(1)
        elif found := re.fullmatch(r"\s+(\d+)\s*: 0x([0-9a-f]+)", line):
            pcrs[bank, int(found.group(1))] = bytes.fromhex(found.group(2))
    return pcrs


def differ(replayed, pcrs):
    """Complaints: PCRs that the log does not explain. The TPM's banks are the log's."""
    bad = [f"{b}:{p} is {v.hex()[:16]}.. by the log, {pcrs[b, p].hex()[:16] if (b, p) in pcrs else 'absent'} in the TPM"
           for (b, p), v in replayed.items() if pcrs.get((b, p)) != v]
    bad += [f"{b}:{p} is not zero and not in the log" for (b, p), v in pcrs.items()
            if (b, p) not in replayed and p in (*range(10), 14, 22) and any(v)]
    if {b for b, _ in replayed} != {b for b, _ in pcrs}:
        bad.append("the log has other banks than the TPM")
    bad += [f"{b}:22 is not in the log" for b in {b for b, _ in pcrs} if (b, 22) not in replayed]
    return bad


# --- one boot -------------------------------------------------------------------

def _spec(case, product):
    kern = images.kernel(case.kernel)
    files = {**product.extras(case.kernel), "attest.sh": SCRIPT.encode()}
    return mc.Spec(kernel=kern.image, initrd=images.initramfs(kern, files), cmdline=CMDLINE, boot=case.boot, hv=product.hv(),
                   hv_options=OPTIONS, config=CONFIG, cpus=1, tpm=case.tpm)


class _Root:
    """What the script in the root said."""

    def __init__(self, m):
        self.pcrs = {"before": {}, "after": {}}
        self.codes, self.info, log = {}, "", []
        while True:
            found = m.expect(r"^AT (\w+) ?(.*)", 180 * FACTOR, fail=FATAL)
            word, rest = found.groups()
            if word == "done":
                break
            if word == "pcr":
                when, bank, pcr, value = rest.split()
                self.pcrs[when][bank, int(pcr)] = bytes.fromhex(value)
            elif word == "rc":
                name, _, code = rest.partition(" ")
                self.codes[name] = code
            elif word == "log":
                log.append(rest.replace(" ", ""))
            elif word == "info":
                self.info += rest + "\n"
        self.log = bytes.fromhex("".join(log))


def _locality(root):
    want = {"event-16": "00000000", "event-22": RC_LOCALITY, "reset-16": "00000000", "reset-22": RC_LOCALITY}
    bad = [f"{n}: answer {root.codes.get(n)}, wanted {c}" for n, c in want.items() if root.codes.get(n) != c]
    return bad + [f"{b}:{p} has changed" for (b, p), v in root.pcrs["after"].items() if root.pcrs["before"].get((b, p)) != v]


def run(case, tests, product, rep, soak=None, verbose=False):
    """Boots the case and reports every test of `tests`."""
    log = product.logs() / f"{case.name}.log"
    echo = (lambda t, s: print(f"      [{t:8.3f}] {s}", flush=True)) if verbose else None
    since, left = time.monotonic(), list(tests)

    def result(test, bad, detail=""):
        nonlocal since
        if test in left:
            left.remove(test)
            rep.result("FAIL" if bad else "PASS", case.name, test, time.monotonic() - since, "\n".join(bad) if bad else detail)
        since = time.monotonic()

    spec, current = _spec(case, product), "boot"
    with mc.Machine(spec, log, echo) as m:
        try:
            found = m.expect(r"redoubt: (?:warning: NOT ATTESTABLE: (.*)|attestation: .*)", BOOT_TIME, fail=FATAL, quiet=QUIET)
            if case.why:
                result("boot", [])
                result("reason", [] if case.why in (found.group(1) or "") else [f"the hypervisor says: {found.group(0)}"],
                       found.group(0))
                return
            m.expect(r"\bRT ready\b", BOOT_TIME, fail=FATAL, quiet=QUIET)
            result("boot", [found.group(0)] if found.group(1) else [], found.group(0))
            current = "own-events"
            root = _Root(m)
            events = parse(root.log)
            result("own-events", own_events(events, spec), f"{len(events)} events in all, {len(root.log)} bytes")
            current = "eventlog"
            result("eventlog", differ(tools_replay(root.log), root.pcrs["before"]), "tpm2_eventlog agrees with the TPM")
            current = "replay"
            result("replay", differ(replay(events), root.pcrs["before"]), f"{len(replay(events))} values in all banks")
            result("locality", _locality(root), "the root cannot extend or reset PCR 22")
            result("info", [] if re.search(r"attestable\W+yes", root.info) else [f"hvctl info says:\n{root.info}"])
            current = "poweroff"
            why = m.wait_exit(60 * FACTOR)
            result("poweroff", [] if why == "guest-shutdown" else [f"QEMU ended by {why}"])
        except (mc.MachineError, ValueError, KeyError, struct.error) as e:
            result(current, [f"{type(e).__name__}: {e}", f"serial log: {log}"])
    if left:
        rep.skip_rest(case.name, left, f"not reached: {current} failed")
