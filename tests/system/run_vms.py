#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The main job: boots an emulated machine with Redoubt and a stock Debian root partition, and starts two guests.

Each guest is a stock Debian kernel with disk, network and console; every virtual device is served by a process of its own in
a sandbox. Shows the stages, what the guests say, that they reach each other and copy a file, the list of processes with
their sandboxes; then asks the guests to power off, and powers off the machine. The whole console goes to a log file.

    run_vms.py                       two guests on 2 CPUs
    run_vms.py --guest 6.12 --vps 2  another guest kernel, two virtual processors each
    run_vms.py --keep                guests keep running, a shell of the root on this terminal (hvctl console one)

Exit status: 0 all well, 1 something failed, 2 wrong use or set-up.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import images
import machine as mc
from product import Product
from rootcase import FACTOR, FATAL, QUIET
from run_root import Progress, interactive

PROGRAMS = ("vmmgr", "vmworker", "storvsp", "netvsp", "ic", "hvsock", "console", "vswitch", "hvctl")
WORD = re.compile(r"\bRT (show|step|pass|fail|note|json|end) ?(.*)")


def program_files(product):
    found = {}
    for name in PROGRAMS:
        path = product.folder / name
        if not path.is_file():
            raise mc.SetupError(f"no {name} in {product.folder}: run 'tools/dev build'")
        found[name] = path
    return found


def host_disk(folder, guest_disk):
    """An ext4 disk for the emulated machine that holds the guests' disk images."""
    tree = Path(folder) / "tree"
    tree.mkdir()
    for name in ("one", "two"):
        subprocess.run(["cp", "--sparse=always", guest_disk, tree / f"{name}.img"], check=True)
        with open(tree / f"{name}-data.img", "wb") as f:
            f.truncate(32 << 20)
    disk = Path(folder) / "host.img"
    with open(disk, "wb") as f:
        f.truncate(256 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-d", str(tree), str(disk)], check=True)
    return disk


def fetch_records(disk, folder):
    Path(folder).mkdir(parents=True, exist_ok=True)
    for name in ("one", "two"):
        to = Path(folder) / f"{name}.rec"
        subprocess.run(["debugfs", "-R", f"dump {name}.rec {to}", disk], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        print(f"  recorded    {to}, {to.stat().st_size} bytes")


def initrd(product, root_kernel, guest_kernel, keep, record=False):
    extra = {**product.extras(root_kernel.name_given), **program_files(product)}
    extra["vms.sh"] = images.GUEST / "vms.sh"
    extra["guest.bz"] = guest_kernel.image
    extra["guest.gz"] = images.guest_initramfs(guest_kernel)
    extra["keep" if keep else "run"] = b"1\n"
    if record:
        extra["record"] = b"1\n"
    return images.initramfs(root_kernel, extra, modules=images.MODULES + images.HOST_MODULES)


def follow(m, progress, limit):
    """Reads what the root says until it ends: ([(verdict, name, text)], clean)."""
    results, end = [], time.monotonic() + limit
    while True:
        found = m.expect(WORD.pattern, max(1, end - time.monotonic()), fail=FATAL)
        verb, text = found.group(1), found.group(2).rstrip()
        if verb == "show":
            print(f"            {text}", flush=True)
        elif verb == "step":
            progress.say(m.elapsed(), text)
        elif verb in ("pass", "fail"):
            name, _, rest = text.partition(" ")
            results.append((verb, name, rest))
            progress.say(m.elapsed(), f"{name}: {'ok' if verb == 'pass' else 'FAILED'}: {rest}")
        elif verb == "end":
            return results


def summary(a, results, power, log, seconds):
    bad = [n for v, n, _ in results if v == "fail"]
    print()
    print("Summary: hardware (emulated) -> Redoubt -> Debian as root partition -> two Debian guests")
    print(f"  machine     {a.machine}, {a.cpus} CPUs, {a.mem} MiB, in QEMU ({a.accel}); guests: Debian {a.guest}, {a.vps} VP(s) each")
    for verdict, name, text in results:
        print(f"  {'ok' if verdict == 'pass' else 'FAILED':10}  {name}: {text}")
    print(f"  power off   {'clean' if power == 'guest-shutdown' else power}")
    print(f"  took        {seconds:.0f} s; whole console in {log}")
    good = results and not bad and power == "guest-shutdown"
    print("RESULT: " + ("all well" if good else "FAILED" + (": " + ", ".join(bad) if bad else "")))
    return 0 if good else 1


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    mc.run_options(p, "768M", "memory for the guests", "leave it running, with a shell of the root")
    p.add_argument("--kernel", choices=images.KERNELS, default="6.1", help="the root's Debian kernel (default 6.1)")
    p.add_argument("--guest", choices=images.GUEST_KERNELS, default="6.1-cloud", help="the guests' (default 6.1-cloud)")
    p.add_argument("--vps", type=int, default=1, choices=range(1, 9), metavar="N", help="virtual processors of each guest")
    p.add_argument("--record", metavar="FOLDER", help="what the guests send is recorded (hvctl record), into FOLDER/{one,two}.rec")
    a = mc.run_arguments(p, 1536)
    start, m = time.monotonic(), None
    try:
        product = Product(a.build)
        print("preparing Debian's kernel packages, an initramfs and disk images (downloaded and made once)", flush=True)
        kern, guest = images.kernel(a.kernel), images.kernel(a.guest)
        kern.name_given = a.kernel
        with tempfile.TemporaryDirectory(prefix="redoubt-") as folder:
            words = f"rt=x:vms.sh rtend={'shell' if a.keep else 'poweroff'} vmvps={a.vps}"
            log = product.logs() / f"vms-{a.kernel}-{a.guest}-{a.machine}.log"
            disk = host_disk(folder, images.guest_disk())
            spec = mc.Spec(
                kernel=kern.image, initrd=initrd(product, kern, guest, a.keep, a.record), cmdline=f"console=ttyS0 panic=-1 {words}",
                boot="mb1", hv=product.hv(), hv_options=f"pool={a.pool}", machine=a.machine, cpus=a.cpus, mem=a.mem,
                accel=a.accel, disks=(("virtio", disk),), iommu=a.machine == "q35")
            progress = Progress()
            progress.say(0, f"machine on: {a.machine}, {a.cpus} CPUs, {a.mem} MiB, emulated by QEMU ({a.accel})")
            full = lambda t, s: print(f"[{t:9.3f}] {s}", flush=True)
            with mc.Machine(spec, log, full if a.verbose else progress.line) as m:
                m.expect(r"\bRT ready\b", 300 * FACTOR, fail=FATAL, quiet=QUIET)
                results = follow(m, progress, 600 * FACTOR)
                if a.keep:
                    m.echo = None
                    interactive(m)
                    print(f"whole console in {log}")
                    return 0
                power = m.wait_exit(60 * FACTOR)
                progress.say(m.elapsed(), "machine is off")
            if a.record:
                fetch_records(disk, a.record)
            return summary(a, results, power, log, time.monotonic() - start)
    except mc.MachineError as e:
        print(f"run_vms: {e}\nrun_vms: FAILED; whole console in {m.log_path}", file=sys.stderr)
        return 1
    except (mc.SetupError, images.ImageError, OSError, subprocess.CalledProcessError) as e:
        print(f"run_vms: {e}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nrun_vms: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
