#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""In which layer the time of a guest's sequential read passes: instructions per request, 2 virtual ns each.

Boots the machine of bench_vm.py, whose guest then reads its disk without end, lets QEMU log every
instruction for some seconds, and counts them by the program they belong to: the guest's kernel and
the hypervisor, storvsp, and in the root's kernel the RAM disk and all else. The guest's kernel and the
RAM disk are the same under any hypervisor: together they are the bound of this benchmark.

Exit status: 0 measured, 1 the boot failed or the log made no sense, 2 wrong use or set-up.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bench_vm
import figures
import images
import machine as mc
from product import REPO, Product
from rootcase import FACTOR, FATAL

BEGIN, END = "<!-- bench profile: begin -->", "<!-- bench profile: end -->"
# Where things lie, told by the root while the guest runs. An interpreter's line each: "VB root ...".
MEANWHILE = ("sleep 0.2; grep -E ' [tT] (_text|__submit_bio|brd_submit_bio)\\b' /proc/kallsyms | sed 's/^/VB root symbol /';"
             " grep -A1 -E ' [tT] __submit_bio$' /proc/kallsyms | tail -1 | sed 's/^/VB root behind /';"
             " sed 's/^/VB root module /' /proc/modules;"
             " grep ' r-xp .*/storvsp' /proc/$(pidof storvsp)/maps | sed 's/^/VB root map /'")
LAYERS = (
    ("guest", "guest's kernel: system call, block layer, SCSI, storvsc, scheduler"),
    ("copy", "root's RAM disk: the copy itself"),
    ("brd", "root's RAM disk: the rest of it"),
    ("root", "root's kernel: interrupt, system calls, io_uring, pages, block layer"),
    ("storvsp", "storvsp"),
    ("hypervisor", "hypervisor"),
    ("program", "guest's program"),
)
BOUND = ("guest", "copy", "brd", "program")
GUEST_MODE = 0x200000           # QEMU's translation flags: SVM guest (target/i386/cpu.h, HF_GUEST_MASK)
TRACE = re.compile(r"/([0-9a-f]{16})/([0-9a-f]{8})/")
KERNEL = 0xffffffff80000000
IMAGE = 0x4000000               # a kernel's text and data are less
NS = 2                          # of one instruction, by mc.ICOUNT


class Places:
    """What lies where, from the machine's serial lines."""

    def __init__(self, lines):
        self.guest, self.root, self.storvsp, self.symbol = [], [], [], {}
        for text in lines:
            m = re.search(r"VB root map ([0-9a-f]+)-([0-9a-f]+) ", text)
            if m:
                self.storvsp.append((int(m[1], 16), int(m[2], 16)))
            m = re.search(r"VB (root )?module \S+ (\d+) .* 0x([0-9a-f]+)", text)
            if m:
                start = int(m[3], 16)
                (self.root if m[1] else self.guest).append((start, start + int(m[2])))
            m = re.search(r"VB (root )?(symbol|behind) ([0-9a-f]+) \w (\w+)", text)
            if m:
                start = int(m[3], 16)
                if m[4] == "_text":
                    (self.root if m[1] else self.guest).append((start, start + IMAGE))
                elif m[1]:
                    self.symbol["behind" if m[2] == "behind" else m[4]] = start
        wanted = {"__submit_bio", "brd_submit_bio", "behind"}
        if not self.guest or not self.root or not self.storvsp or wanted - set(self.symbol):
            raise mc.MachineError(f"the machine did not say where all lies: {vars(self)}")

    def of(self, pc):
        for name in ("storvsp", "guest", "root"):
            if any(a <= pc < b for a, b in getattr(self, name)):
                return name
        return "other" if pc >= KERNEL else "program"


def overlap(places):
    return any(a < d and c < b for a, b in places.guest for c, d in places.root)


def count(lines, places):
    """{layer: instructions per request}, requests. A request begins where the root's kernel enters the RAM disk."""
    total, requests, inside, last = {}, 0, False, None
    began, part, known = False, {}, {}
    entry, back, behind = (places.symbol[n] for n in ("brd_submit_bio", "__submit_bio", "behind"))
    for line in lines:
        m = TRACE.search(line)
        if not m:
            continue
        where = known.get(m[0])
        if where is None:
            pc = int(m[1], 16)
            where = known[m[0]] = (pc, places.of(pc) if int(m[2], 16) & GUEST_MODE else "hypervisor")
        pc, layer = where
        if layer == "root":
            if pc == entry and last != pc:
                inside = True
                if began:       # whole requests only
                    requests += 1
                    for name, n in part.items():
                        total[name] = total.get(name, 0) + n
                began, part = True, {}
            elif inside and back <= pc < behind:
                inside = False
            if inside:
                layer = "copy" if pc == last else "brd"
        last = pc
        if began:
            part[layer] = part.get(layer, 0) + 1
    return {name: n / requests for name, n in total.items()} if requests else {}, requests


def record(a, tmp):
    """One boot, with the log of some seconds; (places, path of the log)."""
    product = Product(a.build)
    kern = images.kernel(a.guest)
    archive, trace = tmp / "guest.gz", tmp / "trace"
    archive.write_bytes(bench_vm.guest_archive(kern))
    spec = bench_vm.root_spec(a, kern, archive, product, f"vbprofile={a.size}", MEANWHILE)
    spec.cmdline += " nokaslr"      # the guest's is elsewhere
    with mc.Machine(spec, product.logs() / "bench-profile.log") as m:
        def monitor(text):
            m.qmp("human-monitor-command", 60, **{"command-line": text})
        print("bench: booting", file=sys.stderr, flush=True)
        m.expect(r"\bVB .*profile$", 400 * FACTOR, fail=FATAL)
        time.sleep(2 * FACTOR)
        print(f"bench: logging instructions for {a.seconds} s", file=sys.stderr, flush=True)
        for text in ("singlestep on", f"logfile {trace}", "log exec,nochain"):
            monitor(text)
        time.sleep(a.seconds)
        monitor("log none")
        return Places(text for _, text in m.lines), trace


def markdown(rows, a, requests):
    kern = images.kernel(a.guest)
    return "\n".join([
        BEGIN,
        f"Where the time of one sequential read of {a.size // 1024} KiB passes: {kern.release} as a guest, root {images.kernel(a.kernel).release},",
        f"instructions of {requests} requests counted one by one in QEMU's log. Made by `tools/dev bench profile --write`.",
        "",
        "| layer | us per request | MB/s |",
        "|---|--:|--:|",
        *(f"| {what} | {us:.1f} | {rate} |" for what, us, rate in rows),
        END]) + "\n"


def table(counts, size):
    """[(what, microseconds, MB/s as text)]"""
    rows = [(what, counts.get(name, 0) * NS / 1000, "") for name, what in LAYERS]
    for what, names in (("sum", counts), ("bound: guest and RAM disk alone, the same under any hypervisor", BOUND)):
        us = sum(counts.get(n, 0) for n in names) * NS / 1000
        rows.append((what, us, f"{size / us:.0f}"))
    return rows


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", help="build folder with redoubt.elf and the programs (default: build)")
    p.add_argument("--kernel", choices=images.KERNELS, default="6.1", help="of the root")
    p.add_argument("--guest", choices=images.GUEST_KERNELS, default="6.1-cloud", help="kernel of the guest")
    p.add_argument("--size", type=int, default=131072, metavar="BYTES", help="of a request (default 131072)")
    p.add_argument("--seconds", type=float, default=5, help="of logging (default 5; 30 MB of log each)")
    p.add_argument("--write", nargs="?", const=str(REPO / "docs" / "benchmarks.md"), metavar="FILE",
                   help="put the table into FILE (default docs/benchmarks.md)")
    a = p.parse_args()
    if a.size < 4096 or a.size % 4096 or a.size > 1 << 18:
        p.error("--size wants a multiple of 4096 up to 262144")
    a.module, a.start, a.runs, a.machine = None, "vmmgr", 1, "pc"
    mc.stop_on_signals()
    try:
        with tempfile.TemporaryDirectory(prefix="redoubt-profile-") as tmp:
            places, trace = record(a, Path(tmp))
            if overlap(places):
                raise mc.MachineError("the two kernels lie at the same addresses; once more, please")
            with open(trace, encoding="ascii", errors="replace") as f:
                counts, requests = count(f, places)
    except mc.MachineError as e:
        print(f"bench: {e}", file=sys.stderr)
        return 1
    except (mc.SetupError, images.ImageError, OSError, subprocess.CalledProcessError) as e:
        print(f"bench: {e}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    if requests < 5:
        print(f"bench: only {requests} requests were logged: give more --seconds", file=sys.stderr)
        return 1
    rows = table(counts, a.size)
    for what, us, rate in rows:
        print(f"{us:8.1f} us  {rate and rate + ' MB/s':>9}  {what}")
    print(f"bench: {requests} requests", file=sys.stderr)
    if a.write:
        figures.write_markdown(Path(a.write), markdown(rows, a, requests), BEGIN, END)
        print(f"bench: wrote {a.write}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
