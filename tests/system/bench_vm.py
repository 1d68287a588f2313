#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measures a Debian guest above Redoubt, and the same kernel and program bare, in virtual time.

QEMU counts instructions (-icount shift=1): one instruction is 2 virtual ns, the TSC runs at
1 GHz from power-on. Figures are path lengths: caches and TLB misses cost nothing, VMRUN and
#VMEXIT one instruction each. The guest's disk is a RAM disk of the root, so that a request's
time is its path and nothing else; the bare machine has no such disk, its place is taken by what
the root itself gets from the RAM disk.

--peers puts other hypervisors beside it: a file of lines "METRIC VALUE" with the metrics' names
as in --json, "#" begins a comment. Without it the files in tests/system/peers stand there.

Exit status: 0 measured, 1 a boot failed (or, with --check, an aim was missed), 2 wrong use or set-up.
"""

import argparse
import gzip
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import figures
import images
import machine as mc
from debian_case import starter
from product import Product
from rootcase import FACTOR, FATAL

# name, what it is, unit, aim: at most or at least so much in the unit
ROWS = (
    ("create_to_init", "create to the first line of init (bare: power-on)", "ms", ("most", 3000)),
    ("cpuid", "CPUID", "ns", ("most", 800)),
    ("msr_apic_base", "MSR read by /dev/cpu/0/msr", "ns", None),
    ("port_none", "port that nobody serves, read", "ns", None),
    ("port_uart_status", "UART's line status, read", "ns", None),
    ("port_worker", "port of the worker (UART's scratch register), read", "ns", ("most", 15000)),
    ("page_touch_first", "first touch of a page", "ns", ("most", 7400)),
    ("page_touch", "touch of a page", "ns", None),
    ("sleep_200us", "sleep of 200 us", "us", ("most", 275)),
    ("syscall", "system call (getppid)", "ns", None),
    ("pipe_round_trip", "pipe, there and back (2 switches)", "ns", None),
    ("fork_exit", "fork + exit + wait", "us", None),
    ("cpu_loop", "CPU loop, one round", "ns", None),
    ("disk_read_4k", "disk, random 4 KiB read", "us", ("most", 75)),
    ("disk_write_4k", "disk, random 4 KiB write", "us", None),
    ("disk_read_4k_depth_8", "disk, random 4 KiB read, 8 under way: each", "us", None),
    ("disk_sequential", "disk, sequential read, 128 KiB each", "MB/s", ("least", 1200)),
    ("memory", "memory beyond the guest's own, all processes", "MiB", ("most", 8)),
    ("memory_root", "  the same, as the root's free memory tells it", "MiB", None),
    ("memory_hypervisor", "  hypervisor's heap for it", "MiB", None),
)
SHARED = ("vmmgr", "vswitch")       # one per host
GUEST_MODULES = ("hv_vmbus", "sd_mod", "hv_storvsc", "msr")
GUEST_MIB, POOL_MIB, ROOT_MIB, DISK_MIB = 256, 512, 2048, 64
PROGRAMS = {
    "vmmgr": ("vmmgr", "hvctl", "vmworker", "storvsp", "ic", "hvsock", "console", "vswitch", "netvsp"),
    "vmstart": ("hvctl", "vmworker", "storvsp", "ic"),
}
PEERS = Path(__file__).resolve().parent / "peers"
BEGIN, END = "<!-- bench vm: begin -->", "<!-- bench vm: end -->"

ROOT_SCRIPT = """#!/bin/busybox sh
export PATH=/x:/bin
run=/run/redoubt
mkdir -p $run /sys/fs/cgroup /dev/pts
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t devpts devpts /dev/pts
insmod /x/redoubt.ko || exit 1
insmod /x/brd.ko rd_nr=1 rd_size=$((@DISK@ * 1024))
dd if=/dev/zero of=/dev/ram0 bs=1048576 count=@DISK@ 2>/dev/null
cat /x/* >/dev/null
vmbench disk /dev/ram0
heap() { echo "VB heap $(hvctl info --json | tr -d ' \\n' | sed 's/.*"heap_free_bytes":\\([0-9]*\\).*/\\1/')"; }
start_vmmgr() {
	cat >$run/$1.yaml <<-D
	name: $1
	memory: @MEM@
	kernel: /x/bzImage
	initrd: /x/guest.gz
	cmdline: @CMDLINE@
	attest: @ATTEST@
	disks:
	  - path: /dev/ram0
	D
	hvctl create $run/$1.yaml >/dev/null
	vmbench mark create
	hvctl start $1 >/dev/null || echo "VB note hvctl start: status $?"
}
off_vmmgr() { while ! hvctl list | grep -q "^$1 .*off"; do sleep 0.1; done; }
start_vmstart() {
	mkfifo $run/log 2>/dev/null || mknod $run/log p 2>/dev/null
	cat <$run/log >$run/err &
	vmbench mark create
	vmstart --mem @MEM@ --kernel /x/bzImage --initrd /x/guest.gz --cmdline "@CMDLINE@" --worker /x/vmworker --storvsp /x/storvsp --disk /dev/ram0 --ic /x/ic >$run/$1.console 2>$run/log &
	pid=$!
}
off_vmstart() { wait $pid || { echo "VB note vmstart: status $?"; tail -3 $run/err; }; }
[ @START@ = vmstart ] || {
	vmmgr --programs /x --log-dir $run >$run/vmmgr.log 2>&1 &
	while [ ! -S $run/manager.sock ]; do sleep 0.1; done
}
i=0
while [ $i -lt @RUNS@ ]; do
	i=$((i + 1))
	: >$run/g$i.console
	heap
	vmbench free
	vmbench follow $run/g$i.console &
	f=$!
	start_@START@ g$i
	@MEANWHILE@
	wait $f
	vmbench memory vmworker storvsp ic console vmmgr vswitch
	heap
	vmbench free
	off_@START@ g$i
	echo "VB off"
	sleep 1
done
echo "VB end"
poweroff -f
"""


def guest_archive(kern):
    """The guest's initramfs: the program as /init and the drivers it loads, nothing else."""
    c = images.Cpio()
    for d in ("dev", "proc", "sys", "m"):
        c.mkdir(d)
    c.node("dev/console", 5, 1)
    order = kern.closure(GUEST_MODULES)
    with tempfile.TemporaryDirectory(prefix="redoubt-bench-") as tmp:
        def stripped(data):
            path = Path(tmp) / "object"
            path.write_bytes(data)
            subprocess.run(["strip", "-S", path], check=True)
            return path.read_bytes()
        c.add("init", stripped(images.guest_program("vmbench.c")), 0o755)
        for name, data in order:
            c.add(f"m/{name}.ko", stripped(data))
    c.add("m/list", "".join(f"{n}\n" for n, _ in order).encode())
    return gzip.compress(c.finish(), 9, mtime=0)


class Said:
    """What one boot printed."""

    def __init__(self):
        self.runs = []          # of each guest: {metric: [min, median, max]}
        self.host = {}          # what the root gets from the RAM disk
        self.notes = []
        self.now = {}

    def figure(self, name, values):
        if name.startswith("host_"):
            self.host["disk_" + name[5:]] = values
        else:
            self.now[name] = values

    def single(self, name, value):
        self.now[name] = [value] * 3

    def finish(self):
        """The guest is off: its memory from what was said before and while it was there."""
        mib = 1 << 20
        processes = self.now.pop("processes", {})
        own = sum(v for n, v in processes.items() if n not in SHARED)
        if own:
            self.single("memory", own / 1024)
        for name, unit in (("free", 1024), ("heap", mib)):
            pair = self.now.pop(name, [])
            if len(pair) == 2:
                self.single({"free": "memory_root", "heap": "memory_hypervisor"}[name], (pair[0] - pair[1]) / unit)
        self.now.pop("create", None)
        self.runs.append(self.now)
        self.now = {}

    def line(self, text):
        found = re.search(r"\bVB (?:at (\d+) )?(?:.*?\bVB )?(\S+) ?(.*)$", text)
        if not found:
            return None
        at, word, rest = found.groups()
        if word == "create":
            self.now["create"] = int(at)
        elif word == "init":
            came = int(at or rest)
            self.single("create_to_init", (came - self.now.get("create", 0)) / 1e6)
        elif word == "memory":
            name, kib = rest.split()
            p = self.now.setdefault("processes", {})
            p[name] = p.get(name, 0) + int(kib)
        elif word in ("free", "heap"):
            self.now.setdefault(word, []).append(int(rest))
        elif word == "note":
            self.notes.append(rest)
        elif re.fullmatch(r"\S+ [-\d.]+ [-\d.]+ [-\d.]+", rest):
            self.figure(word, [float(x) for x in rest.split()[1:]])
        return word


def boot(spec, log, last, what, verbose):
    """One boot, to the line `last`; returns Said."""
    said = Said()
    echo = (lambda t, s: print(f"      [{t:8.3f}] {s}", file=sys.stderr, flush=True)) if verbose else None
    start = time.monotonic()
    with mc.Machine(spec, log, echo) as m:
        while True:
            word = said.line(m.expect(r"\bVB .*", 400 * FACTOR, fail=FATAL).group(0))
            if word == "off" or word == last == "done":
                said.finish()
            if word == last:
                break
        m.wait_exit(60 * FACTOR)
    for note in said.notes:
        print(f"bench: {what}: {note}", file=sys.stderr)
    print(f"bench: {what}: {len(said.runs)} runs, {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    return said


def bare_spec(a, kern, archive):
    return mc.Spec(kernel=kern.image, initrd=archive, cmdline="console=ttyS0 quiet panic=-1", boot="bare",
                   machine=a.machine, cpus=1, mem=GUEST_MIB, icount=mc.ICOUNT)


def root_spec(a, kern, archive, product, words="", meanwhile=":"):
    """words: more of the guest's command line; meanwhile: a command that the root runs while the guest does."""
    root = images.kernel(a.kernel)
    extra = product.extras(a.kernel)
    extra.update((name, product.folder / name) for name in PROGRAMS[a.start])
    if a.module:
        extra["redoubt.ko"] = Path(a.module)
    for name, path in {"redoubt.ko": None, **extra}.items():
        if path is None or not Path(path).is_file():
            raise mc.SetupError(f"no {name} for Linux {a.kernel} in {product.folder}: run 'tools/dev build'")
    if a.start == "vmstart":
        extra["vmstart"] = starter()
    script = ROOT_SCRIPT
    for key, value in {"DISK": DISK_MIB, "MEM": GUEST_MIB, "START": a.start, "RUNS": a.runs, "ATTEST": str(a.attest).lower(),
                       "CMDLINE": f"console=ttyS0 quiet panic=-1 vbdisk {words}".rstrip(),
                       "MEANWHILE": meanwhile}.items():
        script = script.replace(f"@{key}@", str(value))
    extra.update({"vmbench": images.guest_program("vmbench.c"), "bench.sh": script.encode(),
                  "brd.ko": root.read_module("brd"), "bzImage": kern.image, "guest.gz": archive})
    return mc.Spec(kernel=root.image, initrd=images.initramfs(root, extra, programs=(), modules=()), boot="mb1",
                   hv=product.hv(), hv_options=f"pool={POOL_MIB}M", machine=a.machine, cpus=1, mem=ROOT_MIB,
                   cmdline="console=ttyS0 quiet panic=-1 rt=x:bench.sh rtlog=1", icount=mc.ICOUNT)


def read_peers(words):
    """[NAME=]FILE... -> {name: {metric: value}}"""
    out = {}
    for word in words:
        name, _, path = word.rpartition("=")
        path = Path(path)
        values = {}
        for number, line in enumerate(path.read_text().splitlines(), 1):
            line = line.split("#")[0].split()
            if not line:
                continue
            try:
                values[line[0]] = float(line[1])
            except (IndexError, ValueError):
                raise mc.SetupError(f"{path}:{number}: want METRIC VALUE") from None
            if line[0] not in {r[0] for r in ROWS}:
                raise mc.SetupError(f"{path}:{number}: no metric '{line[0]}'")
        out[name or path.stem] = values
    return out


def number(v):
    return f"{v:.0f}" if abs(v) >= 1000 else f"{v:.1f}"


def span(v):
    if v is None:
        return "-"
    return number(v[1]) if number(v[0]) == number(v[2]) else f"{number(v[1])} ({number(v[0])} to {number(v[2])})"


def table(base, ours, peers):
    """(head, rows) of text."""
    head = ["measurement", "unit", "bare", "Redoubt", "aim", "", *peers]
    rows = []
    for name, what, unit, aim in ROWS:
        if name not in ours and name not in base:
            continue
        o = ours.get(name)
        goal = verdict = ""
        if aim:
            goal = f"{'<=' if aim[0] == 'most' else '>='} {aim[1]}"
            met = o is not None and (o[1] <= aim[1] if aim[0] == "most" else o[1] >= aim[1])
            verdict = "met" if met else "MISSED"
        rows.append([what, unit, span(base.get(name)), span(o), goal, verdict,
                     *(number(p[name]) if name in p else "-" for p in peers.values())])
    return head, rows


def markdown(head, rows, kern, a):
    head = ["verdict" if h == "" else h for h in head]
    return "\n".join([
        BEGIN,
        f"Debian {kern.release} as a guest of {GUEST_MIB} MiB, above Redoubt with a root of {images.kernel(a.kernel).release}, and bare;",
        f"QEMU TCG, {a.machine}, 1 CPU, `-icount {mc.ICOUNT}` (1 instruction = 2 virtual ns), {a.runs} guests:",
        "median (least to greatest). The disk is a RAM disk of the root; in the column \"bare\" stands what the root itself gets from it.",
        "Made by `tools/dev bench vm --write`.",
        "",
        "| " + " | ".join(head) + " |",
        "|---|---" + "|--:" * 3 + "|---" + "|--:" * (len(head) - 6) + "|",
        *("| " + " | ".join(r) + " |" for r in rows),
        END]) + "\n"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    figures.options(p, "guests, one after the other", "redoubt.elf and the programs")
    p.add_argument("--module", metavar="FILE", help="redoubt.ko for the root (default: the build's)")
    p.add_argument("--kernel", choices=images.KERNELS, default="6.1", help="of the root")
    p.add_argument("--guest", choices=images.GUEST_KERNELS, default="6.1-cloud", help="kernel of the guest")
    p.add_argument("--start", choices=PROGRAMS, default="vmmgr", help="who starts the guest")
    p.add_argument("--machine", choices=mc.MACHINES, default="pc")
    p.add_argument("--attest", action="store_true", help="the guest is measured at launch (with vmmgr)")
    p.add_argument("--peers", action="append", default=[], metavar="[NAME=]FILE", help="figures of another hypervisor")
    a = figures.arguments(p, 20)
    try:
        peers = read_peers(a.peers or sorted(map(str, PEERS.glob("*.txt"))))
        product = Product(a.build)
        kern = images.kernel(a.guest)
        with tempfile.TemporaryDirectory(prefix="redoubt-bench-") as tmp:
            archive = Path(tmp) / "guest.gz"
            archive.write_bytes(guest_archive(kern))
            root = root_spec(a, kern, archive, product)
            base = boot(bare_spec(a, kern, archive), product.logs() / "bench-vm-bare.log", "done", "bare", a.verbose)
            ours = boot(root, product.logs() / "bench-vm-redoubt.log", "end", "redoubt", a.verbose)
    except mc.MachineError as e:
        print(f"bench: {e}", file=sys.stderr)
        return 1
    except (mc.SetupError, images.ImageError, OSError, subprocess.CalledProcessError) as e:
        print(f"bench: {e}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    bare_figures, redoubt_figures = {**figures.merge(base.runs), **ours.host}, figures.merge(ours.runs)
    head, rows = table(bare_figures, redoubt_figures, peers)
    if a.json:
        json.dump({"guest": kern.release, "root": images.kernel(a.kernel).release, "machine": a.machine,
                   "start": a.start, "runs": len(ours.runs), "bare": bare_figures, "redoubt": redoubt_figures,
                   "peers": peers}, sys.stdout, indent=1)
        print()
    else:
        figures.print_table(head, rows)
    if a.write:
        figures.write_markdown(Path(a.write), markdown(head, rows, kern, a), BEGIN, END)
        print(f"bench: wrote {a.write}", file=sys.stderr)
    if len(ours.runs) != a.runs:
        print(f"bench: only {len(ours.runs)} of {a.runs} guests ended", file=sys.stderr)
        return 1
    return 1 if a.check and any("MISSED" in r for r in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
