# SPDX-License-Identifier: MIT
"""A host that fuzzes for ever: fuzz/redoubt-fuzz.service under a real systemd, from its installation to a fleet.

The machine is QEMU without Redoubt: Debian's kernel, and this computer's own /usr, read-only through 9p; so systemd as process 1,
Python and AFL++ are those of this computer. Nothing is installed and no root rights are needed. A container or namespace here would
do with less, but needs a writable cgroup v2, which CI's containers do not have, and systemd is not to be mocked: MemoryMax is the
kernel's. What is fuzzed is the toy target of tests/fuzz with one input that fails. guest/fuzzhost.py makes the checks.

By itself: run_tests.py --only fuzz-host --verbose
"""
import re
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import images
import machine as mc
from product import REPO
from rootcase import BOOT_TIME, FACTOR, FATAL, QUIET

SYSTEMD = Path("/usr/lib/systemd/systemd")
MODULES = ("virtio_pci", "9pnet_virtio", "9p", "autofs4")
# Of what Debian starts: what this machine has no devices, users or disks for, and the seconds that costs here.
MASKED = ("systemd-udevd.service", "systemd-udev-trigger.service", "systemd-udevd-control.socket",
          "systemd-udevd-kernel.socket", "systemd-sysusers.service", "systemd-logind.service", "dbus.service",
          "dbus.socket", "proc-sys-fs-binfmt_misc.automount", "systemd-binfmt.service", "systemd-random-seed.service",
          "systemd-tmpfiles-setup-dev.service", "systemd-update-utmp.service", "getty.target", "dev-ttyS0.device")
STEP = 400 * FACTOR     # seconds for one test; guest/fuzzhost.py gives up before
BUG = b"the one input that fails"     # a seed, so that there is a finding at once and only one
TESTS = ("boot", "install", "sandbox", "limits", "fuzzes", "memory", "restart", "stop", "refused", "fleet", "poweroff")


@dataclass(frozen=True)
class FuzzHost:
    name: str = "fuzz-host"
    default: bool = True

    def tests(self):
        return list(TESTS)


def matrix(bare=False):
    return [] if bare else [FuzzHost()]


def _block(text, title):
    """The indented lines of docs/fuzzing.md that follow a paragraph which begins so."""
    found = re.search(rf"^{re.escape(title)}[^\n]*\n(?:[^\t\n][^\n]*\n)*\n((?:\t[^\n]*\n)+)", text, re.M)
    if not found:
        raise mc.SetupError(f"docs/fuzzing.md: no block of lines after '{title}'")
    return re.sub(r"^\t", "", found.group(1), flags=re.M)


def _tree(tree):
    """What /opt/redoubt holds: fuzz/ as it is here, the toy target built, the commands of the documentation."""
    sys.path.insert(0, str(REPO / "tests/fuzz"))
    import toy  # pylint: disable=import-outside-toplevel
    tree.chmod(0o755)
    built = tree / "build/fuzz"
    built.mkdir(parents=True)
    manifest = toy.build(built, *toy.secrets(b"?", b"??", BUG))
    (built / "seeds/bug").write_bytes(BUG)
    manifest.write_text(manifest.read_text().replace(f"{tree}/", ""))
    (tree / "fuzz").mkdir()
    for name in ("campaign", "campaign.conf", "redoubt-fuzz.service"):
        shutil.copy(REPO / "fuzz" / name, tree / "fuzz" / name)
    shutil.copytree(REPO / "fuzz/lib", tree / "fuzz/lib", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(images.GUEST / "fuzzhost.py", tree / "fuzzhost.py")
    text = (REPO / "docs/fuzzing.md").read_text()
    (tree / "install").write_text(_block(text, "Then, as root"))
    (tree / "fleet.conf").write_text(_block(text, "A host of a fleet"))


def _spec(tree):
    if not SYSTEMD.exists():
        raise mc.SetupError(f"{SYSTEMD} is missing: apt-get install systemd")
    kern, shares = images.kernel("6.1"), []
    for tag, path in (("usr", "/usr"), ("redoubt", tree)):
        shares += ["-fsdev", f"local,id={tag},path={path},security_model=none,readonly=on,multidevs=remap",
                   "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]
    return mc.Spec(
        kernel=kern.image, initrd=images.initramfs(kern, init=images.GUEST / "fuzzhost.sh", programs=(), modules=MODULES),
        cmdline="console=ttyS0 panic=-1 quiet loglevel=4 systemd.log_color=0 systemd.unit=multi-user.target "
                + " ".join(f"systemd.mask={unit}" for unit in MASKED), cpus=1, mem=1024, extra=tuple(shares))


def _watch(m, left, result):
    m.expect(r"\bRT init\b", BOOT_TIME, fail=FATAL, quiet=QUIET)
    found = m.expect(r"\bRT start (.*)", BOOT_TIME, fail=FATAL)
    result(found.group(1) == "systemd", "boot", f"process 1 is {found.group(1)}; basic system after {m.elapsed():.0f} s")
    while [t for t in left if t != "poweroff"]:
        found = m.expect(r"\bRT (pass|fail) (\S+) (.*)", STEP, fail=FATAL)
        if found.group(1) == "fail":
            m.wait_exit(120 * FACTOR)    # what systemd says of the unit follows
            raise mc.MachineError(m.report(f"{found.group(2)}: {found.group(3)}"))
        result(True, found.group(2), found.group(3))
    why = m.wait_exit(240 * FACTOR)  # the campaign ends in good order
    result(why == "guest-shutdown", "poweroff", why)


def run(case, tests, product, rep, soak=None, verbose=False):
    """Boots the machine and reports every test of `tests`. soak is for other kinds of case."""
    left, since, log = [t for t in case.tests() if t in tests], time.monotonic(), product.logs() / f"{case.name}.log"
    ahead = list(case.tests())

    def result(good, test, detail=""):
        nonlocal since
        now = time.monotonic()
        ahead.remove(test)
        if test in left:
            left.remove(test)
            rep.result("PASS" if good else "FAIL", case.name, test, now - since, detail)
        since = now
    echo = (lambda t, s: print(f"      [{t:8.3f}] {s}", flush=True)) if verbose else None
    why = "not selected"
    with tempfile.TemporaryDirectory(prefix="redoubt-fuzz-host-") as work:
        _tree(Path(work))
        try:
            with mc.Machine(_spec(work), log, echo) as m:
                _watch(m, ahead, result)
        except mc.MachineError as e:
            current = ahead[0]
            result(False, current, f"{e}\nserial log: {log}")
            why = f"not reached: {current} failed"
    if left:
        rep.skip_rest(case.name, left, why)
