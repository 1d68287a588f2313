#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Boots one machine and shows its serial port live. For first boots and debugging.

    boot.py --boot bare                          the plain kernel, no hypervisor
    boot.py --build build --boot mb1 --cpus 1    redoubt.elf from build/hv/
    boot.py --boot mb1 -- -d int,cpu_reset       words after -- go to QEMU

Ends when the machine does, at --until's regex, or after --timeout seconds.
Exit status: 0 ended or regex seen, 1 time out or a reset, 2 wrong use.
"""

import argparse
import sys
from pathlib import Path

import images
import machine as mc
from product import Product


def main():
    own, qemu = sys.argv[1:], []
    if "--" in own:
        cut = own.index("--")
        own, qemu = own[:cut], own[cut + 1:]
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", help="build folder with redoubt.elf or hv/redoubt.elf (default: build)")
    p.add_argument("--hv", help="redoubt.elf itself, instead of --build")
    p.add_argument("--plain", action="store_true", help="GRUB boots plain Linux, without the hypervisor")
    p.add_argument("--kernel", choices=images.KERNELS, default="6.1")
    p.add_argument("--machine", choices=mc.MACHINES, default="q35")
    p.add_argument("--boot", choices=mc.BOOTS, default="mb1")
    p.add_argument("--cpus", type=int, default=1)
    p.add_argument("--mem", type=int, default=2048, help="MiB")
    p.add_argument("--accel", choices=("tcg", "tcg,thread=multi", "kvm"), default="tcg",
                   help="tcg,thread=multi: a thread per CPU, with QEMU's defect (docs/architecture.md)")
    p.add_argument("--icount", action="store_true", help="virtual time: 1 instruction = 2 ns (1 CPU)")
    p.add_argument("--iommu", action="store_true", help="amd-iommu (q35)")
    p.add_argument("--virtio-iommu", action="store_true", help="with --iommu: virtio devices behind it too")
    p.add_argument("--edu", action="store_true", help="the edu DMA test device")
    p.add_argument("--disk", action="append", choices=("ahci", "virtio"), default=[], help="a 64 MiB disk")
    p.add_argument("--nic", action="append", choices=("e1000", "virtio"), default=[])
    p.add_argument("--append", default="", help="words for the root kernel, such as rt=basic rtend=poweroff")
    p.add_argument("--hv-options", default="", help="the hypervisor's own options")
    p.add_argument("--config", help="configuration module (default: empty)")
    p.add_argument("--extra", action="append", default=[], metavar="NAME=FILE", help="a file for /x/ in the root")
    p.add_argument("--log", help="keep the serial log here")
    p.add_argument("--debugcon", action="store_true", help="port 0xe9 into LOG.debugcon (with --log)")
    p.add_argument("--reboot", action="store_true", help="let the machine restart")
    p.add_argument("--timeout", type=float, default=60)
    p.add_argument("--until", metavar="REGEX", help="stop when a line matches")
    a = p.parse_args(own)
    mc.stop_on_signals()
    try:
        kern = images.kernel(a.kernel)
        product = Product(a.build)
        more = product.extras(a.kernel)
        for pair in a.extra:
            name, _, path = pair.partition("=")
            if not path or not Path(path).is_file():
                raise mc.SetupError(f"--extra {pair}: want NAME=FILE of a file that exists")
            more[name] = path
        hv = None
        if a.boot != "bare" and not a.plain:
            hv = Path(a.hv) if a.hv else product.hv()
        spec = mc.Spec(
            kernel=kern.image, initrd=images.initramfs(kern, more), boot=a.boot, hv=hv,
            cmdline=f"console=ttyS0 panic=-1 {a.append}".strip(), hv_options=a.hv_options,
            config=Path(a.config).read_bytes() if a.config else b"", machine=a.machine,
            cpus=a.cpus, mem=a.mem, accel=a.accel, icount=mc.ICOUNT if a.icount else None,
            iommu=a.iommu, virtio_iommu=a.virtio_iommu, edu=a.edu, disks=tuple((d, 64) for d in a.disk), nics=tuple(a.nic),
            debugcon=a.debugcon, no_reboot=not a.reboot, extra=tuple(qemu))
        with mc.Machine(spec, log=a.log, echo=lambda t, s: print(f"[{t:8.3f}] {s}", flush=True)) as m:
            try:
                if a.until:
                    m.expect(a.until, a.timeout)
                    print(f"boot: matched after {m.elapsed():.1f} s", file=sys.stderr)
                    return 0
                why = m.wait_exit(a.timeout)
            except mc.MachineError as e:
                print(f"boot: {str(e).splitlines()[0]}", file=sys.stderr)
                if m.qemu_says():
                    print(f"QEMU: {m.qemu_says()}", file=sys.stderr)
                return 1
            print(f"boot: machine ended after {m.elapsed():.1f} s: {why} {m.qemu_says()}", file=sys.stderr)
            return 0 if why == "guest-shutdown" else 1
    except (mc.SetupError, images.ImageError, OSError) as e:
        print(f"boot: {e}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
