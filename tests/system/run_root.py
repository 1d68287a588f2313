#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots an emulated machine: first Redoubt, then a stock Debian kernel above it as the root partition.

Shows the stages as they pass, looks around inside the root, checks a disk and the
network, powers the machine off and sums up. The whole console goes to a log file.

    run_root.py                      6.1 on q35, 2 CPUs, hypervisor loaded by QEMU
    run_root.py --boot grub-uefi     the same through UEFI firmware and GRUB
    run_root.py --keep               a shell on the root's serial console instead

Exit status: 0 all well, 1 something failed, 2 wrong use or set-up.
"""

import argparse
import os
import re
import select
import sys
import termios
import time
import tty

import images
import machine as mc
from product import Product
from rootcase import FACTOR, FATAL, QUIET, RT, EchoServer

ESCAPE = b"\x1d"        # Ctrl-]

# what the log shows -> what a person is told; each once, in any order
STAGES = (
    (r"BdsDxe: starting", "UEFI firmware starts the boot loader"),
    (r"GRUB: loading", "GRUB loads the hypervisor, the root kernel and its initramfs"),
    (r"^redoubt: (?!error|warning)(.*)", None),
    (r"Linux version (\S+)", "root kernel starts: Linux {0}, as Debian ships it"),
    (r"smp: Brought up .*?(\d+) CPU", "root has {0} CPU(s)"),
    (r"Run /init as init process", "root kernel is up, its first process starts"),
    (r"RT ready", "root's drivers are loaded"),
)
CHECK_TEXT = {
    "show": "looked around inside the root",
    "cpus": "CPUs", "disk-ahci": "disk on AHCI", "disk-virtio": "disk on virtio",
    "net-virtio": "network on virtio", "net-e1000": "network on e1000", "interrupts": "interrupts",
}


class Progress:
    def __init__(self, hypervisor_lines=12):
        self.seen = set()
        self.left = hypervisor_lines

    def say(self, seconds, text):
        print(f"[{seconds:7.1f} s] {text}", flush=True)

    def line(self, seconds, text):
        for pattern, told in STAGES:
            found = re.search(pattern, text)
            if not found:
                continue
            if told is None:
                if self.left > 0:
                    self.left -= 1
                    self.say(seconds, f"Redoubt: {found.group(1)}")
            elif pattern not in self.seen:
                self.seen.add(pattern)
                self.say(seconds, told.format(*found.groups()))
            return
        if re.search(r"^redoubt: (error|warning)", text):
            self.say(seconds, text)


def interactive(m):
    """Joins this terminal and the root's serial port until the machine ends."""
    print("--- the root's console. 'exit' powers off; Ctrl-] ends at once. Programs of this build: /x", flush=True)
    fd = sys.stdin.fileno()
    saved = termios.tcgetattr(fd) if os.isatty(fd) else None
    out = sys.stdout.fileno()

    def show(data):
        while data:
            data = data[os.write(out, data):]

    m.raw = show
    m.send("\n")
    try:
        if saved:
            tty.setraw(fd)
        open_input = True
        while m.running():
            ready, _, _ = select.select([fd] if open_input else [], [], [], 0.2)
            if not ready:
                continue
            data = os.read(fd, 256)
            if not data:            # end of a script: leave the shell, which powers off
                open_input = False
                m.send("\nexit\n")
            elif saved and ESCAPE in data:
                break
            else:
                m.send(data)
    finally:
        m.raw = None
        if saved:
            termios.tcsetattr(fd, termios.TCSADRAIN, saved)
        print(flush=True)


def follow(m, progress):
    """Reads results until the root ends its checks: ({check: (verdict, text)}, JSON text or None)."""
    results, info, current = {}, None, None
    while True:
        found = m.expect(r"\bRT show (.*)|" + RT.pattern, 300 * FACTOR, fail=FATAL)
        if found.group(1) is not None:
            print(f"            {found.group(1)}", flush=True)
            continue
        verb, name, text = found.groups()[1:]
        if verb == "json":
            info = f"{name} {text}"
        elif verb == "start":
            current = name
            if name == "show":
                progress.say(m.elapsed(), "inside the root:")
        elif verb in ("pass", "fail", "skip"):
            results[name] = (verb, text)
            if name != "show":
                mark = {"pass": "ok", "fail": "FAILED", "skip": "skipped"}[verb]
                progress.say(m.elapsed(), f"{CHECK_TEXT.get(name, name)}: {mark}: {text}")
            current = None
        elif verb == "end":
            if current:
                results[current] = ("fail", "ended without a result")
            return results, info


def mib(count):
    return f"{count / (1 << 20):.1f} MiB"


def summary(a, boot, results, info, power, log, seconds, hv):
    import json
    bad = [n for n, (v, _) in results.items() if v == "fail"]
    print()
    if hv:
        print("Summary: hardware (emulated) -> Redoubt -> Debian's own kernel")
    else:
        print("Summary: hardware (emulated) -> Debian's own kernel, without the hypervisor (--bare)")
    print(f"  machine     {a.machine}, {a.cpus} CPUs, {a.mem} MiB, booted by {boot}, in QEMU ({a.accel})")
    if info and hv:
        try:
            d = json.loads(info)
            print(f"  hypervisor  Redoubt {d['version']} uses {mib(d['hypervisor_bytes'])}; "
                  f"{mib(d['pool_bytes'])} set aside for child partitions")
            warning = (d.get("iommu") or {}).get("warning")
            print(f"  devices     {warning or 'the IOMMU keeps devices away from hypervisor memory'}")
        except (ValueError, KeyError, TypeError) as e:
            print(f"  hypervisor  hvctl info gave something unexpected: {e}")
    elif hv:
        print("  hypervisor  no answer from hvctl (not in this build?)")
    for name, (verdict, text) in results.items():
        if name != "show":
            print(f"  {'ok' if verdict == 'pass' else verdict.upper():10}  {CHECK_TEXT.get(name, name)}: {text}")
    print(f"  power off   {'clean' if power == 'guest-shutdown' else power}")
    print(f"  took        {seconds:.0f} s; whole console in {log}")
    good = not bad and power == "guest-shutdown"
    print("RESULT: " + ("all well" if good else "FAILED" + (": " + ", ".join(bad) if bad else "")))
    return 0 if good else 1


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    mc.run_options(p, "256M", "memory for child partitions", "shell on the root's serial console")
    p.add_argument("--kernel", choices=images.KERNELS, default="6.1", help="Debian's kernel (default 6.1)")
    p.add_argument("--boot", choices=("mb1", "grub-bios", "grub-uefi"), default="mb1",
                   help="mb1: QEMU loads the hypervisor itself (default)")
    p.add_argument("--no-iommu", action="store_true", help="leave the machine's AMD IOMMU away (only q35 has one)")
    p.add_argument("--bare", action="store_true", help="without the hypervisor, for comparison")
    a = mc.run_arguments(p, 512)
    server, m = EchoServer(), None
    start = time.monotonic()
    try:
        product = Product(a.build)
        hv = None if a.bare else product.hv()
        print("preparing Debian's kernel package and an initramfs (downloaded once, 70 to 110 MB)", flush=True)
        kern = images.kernel(a.kernel)
        initrd = images.initramfs(kern, product.extras(a.kernel) if hv else None)
        checks = f"show,cpus:{a.cpus},disk-ahci,disk-virtio,net-e1000:{server.port},net-virtio:{server.port}"
        words = "rtend=shell" if a.keep else f"rt={checks} rtend=poweroff"
        boot = "bare" if a.bare and a.boot == "mb1" else a.boot
        log = product.logs() / f"run-{a.kernel}-{a.machine}-{boot}.log"
        spec = mc.Spec(
            kernel=kern.image, initrd=initrd, cmdline=f"console=ttyS0 panic=-1 {words}", boot=boot, hv=hv,
            hv_options=f"pool={a.pool}" if hv else "", machine=a.machine, cpus=a.cpus, mem=a.mem, accel=a.accel,
            disks=(("ahci", 64), ("virtio", 64)), nics=("e1000", "virtio"), iommu=a.machine == "q35" and not a.no_iommu)
        progress = Progress()
        progress.say(0, f"machine on: {a.machine}, {a.cpus} CPUs, {a.mem} MiB, emulated by QEMU ({a.accel})")
        full = lambda t, s: print(f"[{t:9.3f}] {s}", flush=True)
        with mc.Machine(spec, log, full if a.verbose else progress.line) as m:
            m.expect(r"\bRT ready\b", 300 * FACTOR, fail=FATAL, quiet=QUIET)
            if a.keep:
                m.expect(r"\bRT end shell", 60 * FACTOR, fail=FATAL)
                m.echo = None
                interactive(m)
                print(f"whole console in {log}")
                return 0
            results, info = follow(m, progress)
            power = m.wait_exit(60 * FACTOR)
            progress.say(m.elapsed(), "machine is off")
        return summary(a, boot, results, info, power, log, time.monotonic() - start, hv)
    except mc.MachineError as e:
        print(f"run_root: {e}\nrun_root: FAILED; whole console in {m.log_path}", file=sys.stderr)
        return 1
    except (mc.SetupError, images.ImageError, OSError) as e:
        print(f"run_root: {e}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nrun_root: interrupted", file=sys.stderr)
        return 130
    finally:
        server.close()


if __name__ == "__main__":
    sys.exit(main())
