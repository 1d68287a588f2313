#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A stock Debian guest: boots from a virtual disk to its login prompt, is used, and powers off.

Run by run_tests.py. By itself, with the same results:
    debian_case.py --build build --guest 6.1-cloud --verbose
"""

import argparse
import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import debianimage
import images
import machine as mc
from product import REPO, Product
from rootcase import BOOT_TIME, FACTOR, FATAL, QUIET

STARTERS = ("vmmgr", "vmstart")     # who starts the guest
MEM_MIB = 384               # of the guest
POOL_MIB = 512
MACHINE_MIB = 2048
GUEST_BOOT = 600 * FACTOR
GUEST_TIME = 2400 * FACTOR  # all of the guest's life
COMMAND = 120 * FACTOR
DATA_MIB = 8
GONE = r"\bRT (pass|fail) debian .*|" + FATAL
CLOCK_OFF = 30              # seconds that the guest's clock may be wrong on a busy computer
NO_LOGIN = r"emergency mode|Dependency failed for serial-getty|Gave up waiting for root|" + GONE
ADDRESS, HOST_ADDRESS = "10.9.0.2", "10.9.0.1"
TESTS = ("boot", "login-prompt", "login", "kernel", "cpus", "clock", "disk", "units", "network", "write",
         "guest-poweroff", "sandboxes", "machine-off", "poweroff", "file-system")
OF_MANAGER = ("network", "sandboxes", "machine-off")
WANTED = ("vmworker", "storvsp", "netvsp0", "ic", "console")   # processes of the machine
DEFINITION = """\
name: debian
memory: {memory}
vps: {vps}
kernel: /tmp/vmlinuz
initrd: /tmp/initrd.img
cmdline: {cmdline}
disks:
  - path: {disk}
nics:
  - {{}}
"""


@dataclass(frozen=True)
class DebianCase:
    guest: str                  # name in images.GUEST_KERNELS
    kernel: str = "6.1"         # the root's
    disk: str = "virtio"        # how the emulated machine holds the guest's disk
    cpus: int = 2
    vps: int = 1
    start: str = "vmmgr"        # or vmstart
    default: bool = False

    @property
    def name(self):
        tags = ["debian", self.guest, "on", self.kernel]
        tags += [self.disk] if self.disk != "virtio" else []
        tags += [f"{self.vps}vp"] if self.vps > 1 else []
        tags += [self.start] if self.start != "vmmgr" else []
        return "-".join(tags)

    def tests(self):
        return [t for t in TESTS if self.start == "vmmgr" or t not in OF_MANAGER]


def matrix(bare=False):
    if bare:
        return []
    return [
        DebianCase("6.1-cloud", default=False),
        DebianCase("6.1"),
        DebianCase("6.12-cloud", disk="ahci"),
        DebianCase("6.12", kernel="6.12", default=False),
        DebianCase("6.12-cloud", vps=2),
    ]


# --- what the machine gets --------------------------------------------------

def starter():
    """tests/system/guest/vmstart.c with the product's own IPC, as a static program."""
    sources = [images.GUEST / "vmstart.c", REPO / "hv/host/lib/ipc.c", REPO / "hv/wire/procmsg.c"]
    headers = [REPO / h for h in ("hv/host/lib/ipc.h", "hv/root/ioctl.h", "hv/wire/procmsg.h", "hv/abi/tlfs.h",
                                  "hv/abi/redoubt.h")]
    flags = ["-static", "-O2", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", f"-I{REPO}"]
    text = b"".join(p.read_bytes() for p in sources + headers)
    folder = images.cache_dir() / "programs"
    folder.mkdir(exist_ok=True)
    final = folder / f"vmstart-{hashlib.sha256(' '.join(flags[:-1]).encode() + text).hexdigest()[:16]}"
    if not final.exists():
        with tempfile.TemporaryDirectory(dir=folder, prefix="tmp-") as work:
            out = Path(work) / "vmstart"
            done = subprocess.run(["gcc", *flags, "-o", out, *sources], capture_output=True, text=True)
            if done.returncode:
                raise mc.SetupError(f"vmstart.c does not compile:\n{done.stderr[-2000:]}")
            out.replace(final)
    return final


def _archive(path, image, **texts):
    """What the root needs to start the guest, as a disk that holds a tar archive."""
    files = {"vmlinuz": image.kernel.read_bytes(), "initrd.img": image.initrd.read_bytes()}
    files.update((name, text.encode()) for name, text in texts.items())
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as t:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            t.addfile(entry, io.BytesIO(data))
    return path


def _spec(case, product, image, work):
    extra = product.guest_extras(case.kernel)
    disk, boot = ("/dev/sda", "/dev/vda") if case.disk == "ahci" else ("/dev/vda", "/dev/vdb")
    if case.start == "vmstart":
        extra["vmstart"] = starter()
    extra["debian.sh"] = images.GUEST / "debian.sh"
    extra["debian.conf"] = (f"START={case.start} DISK={disk} BOOT={boot} MEM={MEM_MIB} VPS={case.vps} "
                            f"TIME={int(GUEST_TIME)} ADDRESS={HOST_ADDRESS}\n").encode()
    # a busy computer may need more than the usual 90 s until udev names the console's device
    cmdline = image.cmdline("panic=-1", "quiet", "loglevel=4", "systemd.show_status=1", "systemd.log_color=0",
                            "systemd.default_timeout_start_sec=900",
                            *((f"redoubt.ip={ADDRESS}/24,{HOST_ADDRESS}",) if case.start == "vmmgr" else ()))
    definition = DEFINITION.format(memory=MEM_MIB, vps=case.vps, cmdline=cmdline, disk=disk)
    archive = _archive(work / "boot.img", image, cmdline=cmdline, definition=definition)
    kern = images.kernel(case.kernel)
    return mc.Spec(
        kernel=kern.image, initrd=images.initramfs(kern, extra, modules=images.MODULES + images.HOST_MODULES),
        boot="mb1", hv=product.hv(),
        cmdline="console=ttyS0 panic=-1 rt=x:debian.sh rtend=poweroff", hv_options=f"pool={POOL_MIB}M",
        cpus=case.cpus, mem=MACHINE_MIB,
        disks=((case.disk, work / "disk.img"), ("virtio", archive)))


# --- the guest's console ----------------------------------------------------

class _Run:
    def __init__(self, case, tests, rep):
        self.case, self.rep, self.left = case, rep, [t for t in case.tests() if t in tests]
        self.since = time.monotonic()

    def result(self, good, test, detail=""):
        now = time.monotonic()
        if test in self.left:
            self.left.remove(test)
            self.rep.result("PASS" if good else "FAIL", self.case.name, test, now - self.since, detail)
        self.since = now


def _command(m, text, limit=COMMAND):
    """Types a command; returns (its status, its lines)."""
    m.send(f"{text}; echo end-$?-$((6*7))\n")
    first = m.next
    found = m.expect(r"^end-(\d+)-42$", limit, fail=GONE)
    lines = [s for _, s in m.lines[first:m.next - 1] if "echo end-$?" not in s and s]
    return int(found.group(1)), lines


def _log_in(m, r):
    m.expect(rf"^{debianimage.HOSTNAME} login: ", GUEST_BOOT, fail=NO_LOGIN, partial=True)
    r.result(True, "login-prompt", f"{time.monotonic() - r.since:.0f} s after the guest's start, "
                                   f"{m.elapsed():.0f} s after the machine's")
    m.send("root\n")
    m.expect(r"^root@" + debianimage.HOSTNAME, COMMAND, fail=GONE, partial=True)
    r.result(True, "login")


def _units(m, r):
    """Everything that Debian starts has started."""
    _, lines = _command(m, "systemctl is-system-running --wait", GUEST_BOOT)
    state = lines[-1] if lines else "no answer"
    if state == "running":
        r.result(True, "units", state)
        return
    _, failed = _command(m, "systemctl --failed --no-legend --plain")
    text = [state, *failed]
    for unit in (line.split()[0] for line in failed[:3]):
        text += _command(m, f"systemctl status --no-pager -n 8 {unit}")[1]
    r.result(False, "units", "\n".join(text))


def _use(m, r, image):
    """Works in the guest as its administrator would; returns the MD5 sum of the file that was written."""
    _, lines = _command(m, "uname -r")
    r.result(lines[-1:] == [image.release], "kernel", " ".join(lines))
    _, lines = _command(m, "nproc")
    r.result(lines[-1:] == [str(r.case.vps)], "cpus", " ".join(lines))
    # the image knows no better than when it was made: only the host can have told it
    _, lines = _command(m, "date +%s")
    off = int(lines[-1]) - time.time() if lines and lines[-1].isdigit() else None
    r.result(off is not None and abs(off) < CLOCK_OFF, "clock", " ".join(lines) if off is None else f"{off:+.1f} s")
    _, lines = _command(m, "lsblk -bnro NAME,TYPE,SIZE,MOUNTPOINT")
    want = f"sda disk {debianimage.SIZE_MIB << 20} /"
    r.result(want in lines, "disk", want if want in lines else f"want '{want}', lsblk says:\n" + "\n".join(lines))
    _units(m, r)
    if "network" in r.case.tests():
        status, lines = _command(m, f"ping -c 3 -W 10 {HOST_ADDRESS}")
        r.result(status == 0, "network", lines[-1] if status == 0 and lines else "\n".join(lines))
    status, lines = _command(m, f"dd if=/dev/urandom of=/var/r bs=1M count={DATA_MIB} conv=fsync 2>/var/e"
                                " && md5sum /var/r")
    sums = [found.group(1) for s in lines if (found := re.match(r"([0-9a-f]{32})  /var/r$", s))]
    r.result(status == 0 and len(sums) == 1, "write", f"{DATA_MIB} MiB" if sums else "\n".join(lines))
    return sums[0] if sums else None


def _power_off(m, r):
    m.send("systemctl poweroff\n")
    found = m.expect(GONE, GUEST_BOOT)
    if found.group(1) != "pass":
        raise mc.MachineError(m.report(found.group(0)))
    r.result(True, "guest-poweroff")


def _told(m, what):
    """What the root printed of one of hvctl's answers."""
    for _, line in m.lines:
        found = re.search(rf"\bRT json {what} (\{{.*\}})$", line)
        if found:
            try:
                return json.loads(found.group(1))
            except ValueError as e:
                raise mc.MachineError(m.report(f"hvctl {what} --json: {e}: {line}")) from None
    raise mc.MachineError(m.report(f"no answer of hvctl {what} --json"))


def _sandboxes(m, r):
    """Each process of the machine is on its own, without rights, files and system calls that it does not need."""
    faults, names = [], []
    for p in _told(m, "ps")["processes"]:
        name = p["process"].split("/")[-1]
        names.append(name)
        caps = {p[k] for k in p if k.startswith("Cap")}
        if p["state"] != "ready" or p["Seccomp"] != "2" or p["NoNewPrivs"] != "1" or caps != {"0" * 16}:
            faults.append(f"{name}: {p}")
        if p["root_entries"] != 0 or set(p["namespaces"].values()) != {"own"}:
            faults.append(f"{name}: {p['root_entries']} files, namespaces {p['namespaces']}")
    if sorted(names) != sorted(WANTED):
        faults.append(f"processes {sorted(names)}, not {sorted(WANTED)}")
    r.result(not faults, "sandboxes", "\n".join(faults) or " ".join(names))


def _machine_off(m, r):
    """The manager knows how the machine ended, and that its disk was used without an error."""
    machine = _told(m, "show")["machine"]
    disk = machine["storage"]
    good = (machine["state"] == "off" and machine["reason"] == "the guest powered off" and machine["resets"] == 0
            and disk["errors"] == 0 and min(disk["reads"], disk["writes"], disk["flushes"]) > 0)
    r.result(good, "machine-off", f"{machine['state']}, {machine['reason']}, {machine['resets']} resets; {disk}")


def _inspect(disk, wanted):
    """What is wrong with the disk after the guest is gone: [] when nothing."""
    faults = []
    done = subprocess.run(["e2fsck", "-f", "-n", str(disk)], capture_output=True, text=True)
    if done.returncode:
        faults += [f"e2fsck -n: status {done.returncode}", *(done.stdout + done.stderr).splitlines()[-20:]]
    done = subprocess.run(["debugfs", "-R", "cat /var/r", str(disk)], capture_output=True)
    found = hashlib.md5(done.stdout).hexdigest()
    if found != wanted:
        faults.append(f"the file that the guest wrote: {len(done.stdout)} bytes, MD5 {found}, not {wanted}")
    return faults


# --- one case ---------------------------------------------------------------

def _machine(m, r, image):
    m.expect(r"\bRT init\b", BOOT_TIME, fail=FATAL, quiet=QUIET)
    m.expect(r"\bRT info debian start\b", 120 * FACTOR, fail=GONE)
    r.result(True, "boot", f"the guest begins after {m.elapsed():.1f} s")
    _log_in(m, r)
    digest = _use(m, r, image)
    _power_off(m, r)
    if r.case.start == "vmmgr":
        _sandboxes(m, r)
        _machine_off(m, r)
    why = m.wait_exit(120 * FACTOR)
    r.result(why == "guest-shutdown", "poweroff", why)
    return digest


def run(case, tests, product, rep, soak=None, verbose=False):
    """Boots the case and reports every test of `tests`. soak is for other kinds of case."""
    r = _Run(case, tests, rep)
    log = product.logs() / f"{case.name}.log"
    echo = (lambda t, s: print(f"      [{t:8.3f}] {s}", flush=True)) if verbose else None
    try:
        image = debianimage.image(case.guest)
    except debianimage.NeedsRoot as e:
        rep.skip_rest(case.name, r.left, str(e).splitlines()[0])
        return
    why = "not selected"
    with tempfile.TemporaryDirectory(prefix="redoubt-debian-") as work:
        work = Path(work)
        image.copy_disk(work / "disk.img")
        try:
            r.since = time.monotonic()
            with mc.Machine(_spec(case, product, image, work), log, echo) as m:
                digest = _machine(m, r, image)
            faults = _inspect(work / "disk.img", digest)
            r.result(not faults, "file-system", "\n".join(faults) or "e2fsck finds nothing; the guest's file is intact")
        except mc.MachineError as e:
            current = r.left[0] if r.left else "poweroff"
            r.result(False, current, f"{e}\nserial log: {log}")
            why = f"not reached: {current} failed"
    if r.left:
        rep.skip_rest(case.name, r.left, why)


def main():
    from run_tests import Reporter
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", help="build folder (default: build)")
    p.add_argument("--guest", choices=images.GUEST_KERNELS, default="6.1-cloud", help="kernel of the guest")
    p.add_argument("--kernel", choices=images.KERNELS, default="6.1", help="kernel of the root")
    p.add_argument("--disk", choices=("virtio", "ahci"), default="virtio", help="what the guest's disk is for the root")
    p.add_argument("--cpus", type=int, default=2)
    p.add_argument("--vps", type=int, default=1)
    p.add_argument("--start", choices=STARTERS, default="vmmgr", help="who starts the guest")
    p.add_argument("--verbose", action="store_true", help="show the serial port while it runs")
    a = p.parse_args()
    mc.stop_on_signals()
    rep = Reporter(False)
    case = DebianCase(a.guest, a.kernel, a.disk, a.cpus, a.vps, a.start)
    try:
        run(case, case.tests(), Product(a.build), rep, verbose=a.verbose)
    except (mc.SetupError, images.ImageError, OSError) as e:
        print(f"debian_case: {e}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0 if rep.count("FAIL") == 0 and rep.count("PASS") > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
