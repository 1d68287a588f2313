#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Measures a Debian root bare and above Redoubt on the same emulated machine, in virtual time.

QEMU counts instructions (-icount shift=1): one instruction is 2 virtual ns, the TSC
runs at 1 GHz from power-on. Figures are path lengths: caches and TLB misses cost
nothing, VMRUN and #VMEXIT one instruction each. They repeat whatever else the
computer does. Disk figures are the CPU's cost of a request, not its latency: a disk
of QEMU answers in the host's time, which virtual time knows nothing of. They fall
into two groups some 12 us apart, by how the scheduler falls into step with the
timer tick: read them as "within 12 us", the others as within 1 %.

Exit status: 0 measured, 1 a boot failed (or, with --check, an aim was missed), 2 wrong use or set-up.
"""

import argparse
import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path

import figures
import images
import machine as mc
from product import Product
from rootcase import FACTOR, FATAL

# name, what it is, unit, aim: greatest ratio to bare, or greatest figure in the unit
ROWS = (
    ("time_to_init", "power-on to the first line of init", "ms", ("ratio", 1.10)),
    ("cpu_loop", "CPU loop, one round", "ns", ("ratio", 1.01)),
    ("syscall", "system call (getppid)", "ns", ("ratio", 1.01)),
    ("pipe_round_trip", "pipe, there and back (2 switches)", "ns", None),
    ("fork_exec", "fork + exec + wait", "us", None),
    ("page_touch_first", "page touch, 64 MiB not used since boot", "ns", ("ratio", 1.05)),
    ("page_touch", "page touch, 64 MiB", "ns", ("ratio", 1.05)),
    ("sleep_200us", "sleep of 200 us", "us", ("ratio", 1.25)),
    ("disk_virtio_read_4k", "virtio, random 4 KiB read: CPU cost", "us", None),
    ("disk_virtio_read_128k", "virtio, sequential 128 KiB read: CPU cost", "us", None),
    ("disk_ahci_read_4k", "AHCI, random 4 KiB read: CPU cost", "us", None),
    ("disk_ahci_read_128k", "AHCI, sequential 128 KiB read: CPU cost", "us", None),
    ("cpuid_0", "CPUID leaf 0", "ns", ("most", 600)),
    ("cpuid_40000000", "CPUID leaf 0x40000000", "ns", ("most", 600)),
)
MEMORY_AIM = 8      # MiB
BEGIN, END = "<!-- bench root: begin -->", "<!-- bench root: end -->"


def boot_once(a, kern, initrd, hv, product, disk, run):
    """One boot; returns {name: [min, median, max]} and what hvctl said."""
    name = "redoubt" if hv else "bare"
    spec = mc.Spec(
        kernel=kern.image, initrd=initrd, cmdline="console=ttyS0 quiet panic=-1",
        boot="mb1" if hv else "bare", hv=hv, machine=a.machine, cpus=1, mem=a.mem, icount=mc.ICOUNT,
        disks=(("virtio", disk), ("ahci", disk_copy(disk))), extra=("-rtc", "base=2026-01-01,clock=vm"))
    log = product.logs() / f"bench-{name}-{run}.log"
    values, info = {}, None
    echo = (lambda t, s: print(f"      [{t:8.3f}] {s}", file=sys.stderr, flush=True)) if a.verbose else None
    with mc.Machine(spec, log, echo) as m:
        while True:
            found = m.expect(r"\bRB (\S+) ?(.*)", 400 * FACTOR, fail=FATAL)
            word, rest = found.groups()
            if word == "done":
                break
            if word == "json":
                try:
                    info = json.loads(rest)
                except ValueError:
                    print(f"bench: hvctl's JSON is malformed: {rest[:200]}", file=sys.stderr)
            elif word == "note":
                print(f"bench: {name}: {rest}", file=sys.stderr)
            elif re.fullmatch(r"\S+ [-\d.]+ [-\d.]+ [-\d.]+", rest):
                values[word] = [float(x) for x in rest.split()[1:]]
        m.wait_exit(60 * FACTOR)
    return values, info


def disk_copy(disk):
    """A second file of the same content: QEMU locks the first."""
    other = disk.with_name("second.img")
    if not other.exists():
        other.write_bytes(disk.read_bytes())
    return other


def judge(aim, bare, ours):
    """(text of the aim, whether it was met or None)."""
    if aim is None:
        return "", None
    kind, limit = aim
    value = ours[1] / bare[1] if kind == "ratio" and bare[1] else ours[1]
    text = f"<= {limit:.2f} x" if kind == "ratio" else f"<= {limit}"
    return text, value <= limit + 0.0005


def table(bare, ours, info):
    """Rows of text: measurement, unit, bare, Redoubt, ratio, aim, verdict."""
    rows = []
    span = lambda v: f"{v[1]:.1f} ({v[0]:.1f} to {v[2]:.1f})" if v[0] != v[2] else f"{v[1]:.1f}"
    for name, what, unit, aim in ROWS:
        if name not in bare:
            continue
        b, o = bare[name], ours.get(name) if ours else None
        if o is None:
            rows.append([what, unit, span(b), "-", "-", "", ""])
            continue
        goal, met = judge(aim, b, o)
        ratio = f"{o[1] / b[1]:.3f}" if b[1] else "-"
        rows.append([what, unit, span(b), span(o), ratio, goal, {True: "met", False: "MISSED", None: ""}[met]])
    if info and "hypervisor_bytes" in info:
        size = info["hypervisor_bytes"] / (1 << 20)
        rows.append(["hypervisor's own memory", "MiB", "0", f"{size:.1f}", "-", f"<= {MEMORY_AIM}",
                     "met" if size <= MEMORY_AIM else "MISSED"])
    return rows


HEAD = ["measurement", "unit", "bare", "Redoubt", "ratio", "aim", ""]


def markdown(rows, kern, a):
    lines = [
        BEGIN,
        f"Debian {kern.release} bare and above Redoubt, QEMU TCG, {a.machine}, 1 CPU, {a.mem} MiB,",
        f"`-icount {mc.ICOUNT}` (1 instruction = 2 virtual ns), {a.runs} boots each: median (least to greatest).",
        "Made by `tools/dev bench root --write`. Disk figures are the CPU's cost of a request, not its latency.",
        "",
        "| " + " | ".join(HEAD[:-1] + ["verdict"]) + " |",
        "|---|---|--:|--:|--:|--:|---|",
        *("| " + " | ".join(r) + " |" for r in rows),
        END,
    ]
    return "\n".join(lines) + "\n"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    figures.options(p, "boots of each", "redoubt.elf")
    p.add_argument("--kernel", choices=images.KERNELS, default="6.1")
    p.add_argument("--machine", choices=mc.MACHINES, default="q35")
    p.add_argument("--mem", type=int, default=2048, metavar="MB")
    p.add_argument("--bare", action="store_true", help="only without the hypervisor")
    a = figures.arguments(p, 50)
    try:
        product = Product(a.build)
        hv = None if a.bare else product.hv()
        kern = images.kernel(a.kernel)
        init = images.guest_program("rootbench.c")
        # the same archive for both: hvctl and its driver lie in it unused when bare
        initrd = images.initramfs(kern, product.extras(a.kernel) if hv else None, init=init, programs=())
        boots, info = {"bare": [], "redoubt": []}, None
        with tempfile.TemporaryDirectory(prefix="redoubt-bench-") as tmp:
            disk = Path(tmp) / "disk.img"
            disk.write_bytes(os.urandom(1 << 20) * 64)
            for run in range(1, a.runs + 1):
                for name, elf in (("bare", None), ("redoubt", hv)):
                    if name == "redoubt" and hv is None:
                        continue
                    start = time.monotonic()
                    values, said = boot_once(a, kern, initrd, elf, product, disk, run)
                    boots[name].append(values)
                    info = said or info
                    print(f"bench: {name} boot {run} of {a.runs}: {len(values)} figures, init at "
                          f"{values.get('time_to_init', [0, 0, 0])[1]:.0f} virtual ms, "
                          f"{time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    except mc.MachineError as e:
        print(f"bench: {e}", file=sys.stderr)
        return 1
    except (mc.SetupError, images.ImageError, OSError) as e:
        print(f"bench: {e}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    bare, ours = figures.merge(boots["bare"]), figures.merge(boots["redoubt"]) if hv else None
    rows = table(bare, ours, info)
    if a.json:
        json.dump({"kernel": kern.release, "machine": a.machine, "mem": a.mem, "runs": a.runs, "bare": bare,
                   "redoubt": ours, "hypervisor_bytes": (info or {}).get("hypervisor_bytes")}, sys.stdout, indent=1)
        print()
    else:
        figures.print_table(HEAD, rows)
    if a.write:
        figures.write_markdown(Path(a.write), markdown(rows, kern, a), BEGIN, END)
        print(f"bench: wrote {a.write}", file=sys.stderr)
    missed = [r[0] for r in rows if r[-1] == "MISSED"]
    return 1 if a.check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
