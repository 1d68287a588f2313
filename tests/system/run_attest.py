#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Attestation from the firmware to a virtual machine, judged from far away.

Boots an emulated machine (OVMF, a software TPM, GRUB, Redoubt, Debian as root), enrols its TPM, starts guests, fetches reports
with fresh nonces over hvctl attest, and lets redoubt-verify judge them by policies made from the files of this build alone. Then
everything that must be refused: changed files, an old report, another machine's key; each with its own reason and exit code.

    run_attest.py                one boot
    run_attest.py --all          also machines that really boot a changed Redoubt and a changed command line, and another TPM
    run_attest.py --keep FOLDER  leaves reports, keys and policies there, to try redoubt-verify by hand

Exit status: 0 all well, 1 something failed, 2 wrong use or set-up.
"""

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import attesthost as ah
import attestinterop
import grubimage
import images
import machine as mc
from product import REPO, Product
from rootcase import FACTOR


class Checks:
    def __init__(self):
        self.start, self.bad, self.count = time.monotonic(), [], 0

    def say(self, text):
        print(f"[{time.monotonic() - self.start:7.1f} s] {text}", flush=True)

    def check(self, good, name, text):
        self.count += 1
        if not good:
            self.bad.append(name)
        self.say(f"{name}: {'ok' if good else 'FAILED'}: {text}")
        return good


def sha384(data):
    return hashlib.sha384(data).hexdigest()


class Verifier:
    """The side that is far away: it has the files of the build, and what the host sends."""

    def __init__(self, site, folder, checks):
        self.site, self.folder, self.checks = site, Path(folder), checks
        self.name, self.number, self.before = None, 0, None

    def file(self, name, data):
        path = self.folder / name
        path.write_bytes(data)
        return path

    def enrol(self, host):
        keys = host.need("identity")
        for name, data in keys.items():
            self.file(name, data)
        challenge, secret = self.folder / "challenge", self.folder / "secret"
        code, _, err = self.site.tool("redoubt-verify", "enroll", "--ek", self.folder / "ek.tpm2b", "--ak", self.folder / "ak.tpm2b",
                                      "--out", challenge, "--secret", secret)
        if code:
            raise mc.MachineError(f"redoubt-verify enroll: {err}")
        recovered = self.file("recovered", host.need("activate", ah.octal(challenge.read_bytes()))["out"])
        code, _, err = self.site.tool("redoubt-verify", "enroll", "--check", "--secret", secret, "--recovered", recovered)
        self.checks.check(code == 0, "enrolment", "the TPM with this endorsement key holds the attestation key " + err)
        self.name = "000b" + hashlib.sha256((self.folder / "ak.tpm2b").read_bytes()[2:]).hexdigest()
        if "ek.der" in keys:
            done = subprocess.run(["openssl", "x509", "-inform", "der", "-noout", "-issuer"], input=keys["ek.der"], capture_output=True)
            self.checks.check(done.returncode == 0, "ek-certificate", done.stdout.decode().strip())

    def policy(self, vm=None, hv=None, kernel=None, initrd=None, cmdline=None, options=None, name=None):
        """A policy made from files: digests as redoubt-measure and sha384 give them."""
        s = self.site
        self.number += 1
        out = self.folder / f"policy{self.number}.json"
        words = ["make-policy", "--ak-name", name or self.name, "--hypervisor", s.measured("hypervisor", hv or s.hv),
                 "--options", sha384(options or (ah.OPTIONS.encode() + b"\n" + ah.CONFIG)),
                 "--kernel", sha384((kernel or s.kernel).read_bytes()), "--initrd", sha384((initrd or s.initrd).read_bytes()),
                 "--cmdline", sha384((cmdline or ah.CMDLINE).encode()), "--out", out, *self.loader()]
        words += ["--vm", f"{vm}={s.measured('vm', s.definition(vm), '--root', s.root)}"] if vm else ["--host"]
        code, _, err = s.tool("redoubt-verify", *words)
        if code:
            raise mc.MachineError(f"redoubt-verify make-policy: {err}")
        return out

    def loader(self):
        """What may run and be read before Redoubt: firmware's and GRUB's part of the policy, from the files of the boot image."""
        if self.before is None:
            lists = grubimage.loader_digests(self.site.spec(None))
            self.before = [w for option, digests in zip(("--boot-application", "--loader-command", "--loaded-file"), lists)
                           for w in (option, self.file(option[2:], "\n".join(digests).encode()))]
        return self.before

    def fetch(self, host, vm=None):
        """(file, nonce) of a report with a nonce that was made for it."""
        nonce = ah.nonce()
        self.number += 1
        return self.file(f"report{self.number}-{vm or 'host'}.cbor",
                         host.need(*(("vm", vm, nonce) if vm else ("host", nonce)))["out"]), nonce

    def judge(self, name, report, policy, want=(0, None), nonce=None):
        code, answer = self.site.verify("report", report[0], "--policy", policy, "--nonce", nonce or report[1])
        said = next((c for c in answer.get("checks", []) if c.get("id") == answer.get("failed")), {})
        text = "ACCEPTED" if code == 0 else f"REJECTED, exit {code}, {answer.get('failed')}: {said.get('text', '')}"
        good = (code, answer.get("failed")) == want
        self.checks.check(good, name, text if good else f"{text}; wanted exit {want[0]}, {want[1]}")
        return answer


def changed_files(site, folder):
    """{what: words of Verifier.policy} with one byte changed in each."""
    flip = lambda path, name, at: ah.change_byte(path, folder / name, at)
    return {
        "redoubt": {"hv": flip(site.hv, "redoubt.elf", ah.text_in(site.hv, b"attestation: "))},
        "root-kernel": {"kernel": flip(site.kernel, "vmlinuz", 0x4000)},
        "root-initrd": {"initrd": flip(site.initrd, "initrd.img", 4)},
        "root-cmdline": {"cmdline": ah.CMDLINE[:-1] + chr(ord(ah.CMDLINE[-1]) ^ 1)},
        "options": {"options": ah.OPTIONS.encode() + b"\n" + ah.CONFIG.replace(b"info", b"debug")},
    }


def readme(v, host, checks):
    """The four lines of the README, as they stand there; the second, at the host, goes over the console instead of ssh."""
    text = (REPO / "README.md").read_text()
    lines = re.findall(r"^    (.+)$", text[text.index("## Verify a report"):], re.M)[:4]
    at = next((i for i, line in enumerate(lines) if line == "ssh host hvctl attest one --nonce $NONCE > one.report"), None)
    if at is None:
        checks.check(False, "readme", "no line that asks the host for a report")
        return
    where, folder = v.site, v.folder / "readme"
    folder.mkdir()
    (folder / "redoubt.elf").symlink_to(Path(where.hv).resolve())
    (folder / "first.report").write_bytes(v.fetch(host, "one")[0].read_bytes())
    (folder / "one.yaml").write_text(where.definition("one").read_text().replace("/vm/", f"{where.root}/vm/"))
    before, after = "\n".join(lines[:at]), "\n".join(lines[at + 1:])
    env = {"PATH": f"{Path(where.product.folder).resolve()}:/usr/bin:/bin", "AK": v.name}
    shell = lambda text, **more: subprocess.run(["bash", "-euc", text], cwd=folder, env=env | more, capture_output=True, text=True, timeout=120)
    nonce = shell(before + "\necho $NONCE").stdout.strip()
    (folder / "one.report").write_bytes(host.need("vm", "one", nonce)["out"])
    done = shell(after, NONCE=nonce)
    last = (done.stdout.strip().splitlines() or [""])[-1]
    checks.check(done.returncode == 0 and last.startswith("ACCEPTED") and len(lines) == 4, "readme", f"{last} {done.stderr.strip()[-200:]}")


def one_host(v, host, folder, checks):
    """Everything of one boot; returns a report that stays for later."""
    v.enrol(host)
    host.need("start", "one", limit=240)
    checks.say("a guest runs")
    of_host, of_vm = v.fetch(host), v.fetch(host, "one")
    for_host, for_vm = v.policy(), v.policy("one")
    v.judge("host", of_host, for_host)
    v.judge("vm", of_vm, for_vm)
    for name, complaints in attestinterop.checks(v.site.product.folder / "redoubt-verify", *of_vm, v.folder):
        checks.check(not complaints, name, "; ".join(complaints) or "agrees")
    readme(v, host, checks)
    v.judge("replay", v.fetch(host, "one"), for_vm, (2, "nonce"), nonce=of_vm[1])
    v.judge("old-report", of_vm, for_vm, (2, "nonce"), nonce=ah.nonce())
    for what, words in changed_files(v.site, folder).items():
        v.judge(f"changed-{what}", of_host, v.policy(**words), (3, "reference"))
    v.judge("changed-byte", (v.file("flipped.cbor", flipped(of_vm[0].read_bytes())), of_vm[1]), for_vm, (2, "token.signature"))
    v.judge("other-machine", of_vm, v.policy("one", name="000b" + "11" * 32), (2, "ak.trusted"))
    host.need("stop", "one")
    for vm, what in (("patched", "changed-vm-kernel"), ("larger", "changed-vm-definition")):
        host.need("start", vm, limit=240)
        report = v.fetch(host, vm)
        v.judge(what, report, for_vm, (3, "vm.measurement"))
        v.judge(f"{what}-known", report, v.policy(vm))
        host.need("stop", vm)
    code, text, _ = host.ask("vm", "one", ah.nonce())
    checks.check(code == 1 and "run" in text, "vm-off", text)
    own_report(v, host, checks)
    sandbox(host, checks)
    return of_vm


def own_report(v, host, checks):
    """A guest's program fetches the guest's report over hv_sock; what it wanted it for comes out, and nothing else does."""
    _, text, files = host.ask("own", "own", "120", limit=300)
    if not checks.check("out" in files and "VM fail" not in text and "VM pass hvdeep" in text, "own-report-guest", text):
        return
    report = v.file("own.cbor", files["out"]), v.site.data
    policy = v.policy("own")
    answer = v.judge("own-report", report, policy)
    v.judge("own-report-other-data", report, policy, (2, "nonce"), nonce=v.site.data[:-1] + format(int(v.site.data[-1], 16) ^ 1, "x"))
    v.judge("own-report-other-guest", report, v.policy("one"), (3, "vm.measurement"))
    checks.check(v.site.data in json.dumps(answer).lower(), "own-report-data", "the verdict has the guest's 64 bytes")
    code, text, _ = host.ask("killed", "hvsock")
    checks.check(code == 0, "own-report-killed", f"hvsock, killed, is back: {text}")
    host.need("stop", "own")
    _, text, files = host.ask("own", "silent", "120", limit=300)
    checks.check("VM pass noreport" in text and not files, "own-report-off", text)
    host.need("stop", "silent")


def flipped(data):
    """The bundle with one bit of the VM's launch digest changed."""
    at = data.find(b"\x3a\x00\x01\x11\x70\x58\x30")      # -70001: 48 bytes
    if at < 0:
        raise mc.MachineError("no launch digest in the token")
    out = bytearray(data)
    out[at + 7] ^= 1
    return bytes(out)


def sandbox(host, checks):
    _, text, _ = host.ask("ps")
    checks.check("Seccomp: 2" in text and "Uid: 60900 60900 60900 60900" in text and "CapBnd: 0000000000000000" in text,
                 "agent-sandbox", text)


def boot(site, checks, tpm, log, name, work, **changed):
    checks.say(f"boot {name}: OVMF, swtpm, GRUB, Redoubt, Debian")
    with mc.Machine(site.spec(tpm, **changed), log) as m:
        host = ah.Host(m)
        host.wait()
        checks.say("the root is up, attestd serves")
        done = work(host)
        m.send("end\n")
        m.wait_exit(60 * FACTOR)
    return done


def real_changes(site, v, folder, checks, log):
    """Machines that boot something else than the policy has; and another TPM."""
    for_host = v.policy()
    changed = changed_files(site, folder)
    tpm = folder / "tpm"
    for what, words in (("redoubt", {"hv": changed["redoubt"]["hv"]}), ("root-cmdline", {"cmdline": ah.CMDLINE + " quiet"})):
        report = boot(site, checks, tpm, log, what, lambda host: v.fetch(host), **words)
        v.judge(f"booted-changed-{what}", report, for_host, (3, "reference"))
    report = boot(site, checks, ah.make_tpm(folder / "tpm2"), log, "other TPM", lambda host: v.fetch(host))
    v.judge("booted-other-machine", report, for_host, (2, "ak.trusted"))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--build", help="build folder with redoubt.elf (default: build)")
    p.add_argument("--kernel", choices=images.KERNELS, default="6.1", help="the root's Debian kernel (default 6.1)")
    p.add_argument("--guest", choices=images.GUEST_KERNELS, default="6.1-cloud", help="the guests' (default 6.1-cloud)")
    p.add_argument("--all", action="store_true", help="three more boots")
    p.add_argument("--keep", metavar="FOLDER", help="a new folder for reports, keys and policies")
    a = p.parse_args()
    mc.stop_on_signals()
    checks = Checks()
    try:
        product = Product(a.build)
        if a.keep:
            Path(a.keep).mkdir(parents=True)
        log = product.logs() / f"attest-{a.kernel}-{a.guest}.log"
        with tempfile.TemporaryDirectory(prefix="redoubt-") as temporary:
            folder = Path(temporary)
            checks.say("preparing kernels, initramfs, a TPM")
            site = ah.Site(product, folder, a.kernel, a.guest)
            v = Verifier(site, a.keep or folder, checks)
            boot(site, checks, ah.make_tpm(folder / "tpm"), log, "as built", lambda host: one_host(v, host, folder, checks))
            if a.all:
                real_changes(site, v, folder, checks, log)
    except mc.MachineError as e:
        print(f"run_attest: {e}\nrun_attest: FAILED; whole console in {log}", file=sys.stderr)
        return 1
    except (mc.SetupError, images.ImageError, OSError, subprocess.CalledProcessError) as e:
        print(f"run_attest: {e}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nrun_attest: interrupted", file=sys.stderr)
        return 130
    print(f"RESULT: {checks.count} checks, " + (f"FAILED: {', '.join(checks.bad)}" if checks.bad else "all well"))
    return 1 if checks.bad else 0


if __name__ == "__main__":
    sys.exit(main())
