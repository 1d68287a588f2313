# SPDX-License-Identifier: MIT
"""A machine that is attested: OVMF, swtpm, GRUB, Redoubt, Debian as root with attestd, guests. The harness plays the verifier far
away: it sends commands over the root's console and judges what comes back with redoubt-verify, on this side.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import images
import machine as mc
from rootcase import BOOT_TIME, FACTOR, FATAL

OPTIONS = "pool=640M"
CONFIG = b"loglevel = info\n"
CMDLINE = "console=ttyS0 panic=-1 rt=x:attesthost.sh rtend=poweroff"
GUEST = """name: {name}
memory: {memory}
vps: 1
kernel: /vm/{kernel}
initrd: /vm/guest.gz
cmdline: console=ttyS0 quiet panic=-1 vmend=wait
"""
# Guests that fetch their own report by hv_sock and leave it on their disk; {data}: 64 bytes in hexadecimal.
REPORTER = """name: {name}
memory: 128
vps: 1
kernel: /vm/guest.bz
initrd: /vm/report.gz
cmdline: console=ttyS0 quiet panic=-1 vm=hvsock,{checks}:{data} vmend=wait
attest: {attest}
disks:
  - path: /run/report.img
"""
SILENCE = 200 * FACTOR     # seconds: GRUB says nothing while firmware hashes what it reads
TOOLS = ("redoubt-verify", "redoubt-measure")


def with_libraries(program):
    """{name in the initramfs: path} of a dynamic program's loader and libraries, by ldd."""
    text = subprocess.run(["ldd", str(program)], check=True, capture_output=True, text=True).stdout
    found = {}
    for line in text.splitlines():
        path = re.search(r"(?:=> )?(/\S+) \(0x", line)
        if path:
            found[path.group(1)] = Path(path.group(1)).resolve()
    return found


def change_byte(path, to, offset):
    """A copy of a file with the lowest bit of one byte turned."""
    data = bytearray(Path(path).read_bytes())
    data[offset] ^= 1
    Path(to).write_bytes(data)
    return Path(to)


def text_in(path, text):
    """Where a text that does nothing stands in a file: a place to change a byte that still boots."""
    at = Path(path).read_bytes().find(text)
    if at < 0:
        raise mc.SetupError(f"{path}: no {text!r} in it")
    return at


def make_tpm(folder):
    """The state of a new TPM, with the certificate of its endorsement key where swtpm_setup can make one."""
    folder.mkdir(parents=True)
    if shutil.which("swtpm_setup") is None:
        raise mc.SetupError("swtpm_setup is not installed: apt-get install swtpm-tools")
    done = subprocess.run(["swtpm_setup", "--tpm2", "--tpmstate", str(folder), "--create-ek-cert", "--pcr-banks", "sha256,sha384",
                           "--overwrite"], capture_output=True, text=True)
    if done.returncode:
        raise mc.SetupError("swtpm_setup: " + (done.stderr or done.stdout).strip()[-300:])
    return folder


class Site:
    """The files that a host boots and its guests run: what both sides of the story are made from."""

    def __init__(self, product, folder, kernel="6.1", guest="6.1-cloud"):
        self.product, self.folder = product, Path(folder)
        for name in TOOLS + ("attestd",):
            if not (product.folder / name).is_file():
                raise mc.SetupError(f"no {name} in {product.folder}: run 'tools/dev build'")
        kern, guest = images.kernel(kernel), images.kernel(guest)
        self.kernel, self.hv = kern.image, product.hv()
        self.root = self.folder / "guests"          # as the definitions' paths see it
        x = self.root / "vm"
        x.mkdir(parents=True)
        shutil.copyfile(guest.image, x / "guest.bz")
        shutil.copyfile(images.guest_initramfs(guest), x / "guest.gz")
        change_byte(x / "guest.bz", x / "changed.bz", text_in(x / "guest.bz", b"Press any key to continue (or"))
        for name, memory, file in (("one", 128, "guest.bz"), ("patched", 128, "changed.bz"), ("larger", 144, "guest.bz")):
            (x / f"{name}.yaml").write_text(GUEST.format(name=name, memory=memory, kernel=file))
        tool = product.folder / "redoubt-report"
        if not tool.is_file():
            raise mc.SetupError(f"no redoubt-report in {product.folder}: run 'tools/dev build'")
        shutil.copyfile(images.guest_initramfs(guest, {"redoubt-report": tool}, ("hv_sock",)), x / "report.gz")
        self.data = os.urandom(64).hex()            # what the guest wants its report for
        for name, checks, attest in (("own", "hvdeep,report", "true"), ("silent", "noreport", "false")):
            (x / f"{name}.yaml").write_text(REPORTER.format(name=name, checks=checks, data=self.data, attest=attest))
        files = {**product.guest_extras(kernel), "attestd": product.folder / "attestd", **with_libraries(product.folder / "attestd"),
                 "attesthost.sh": images.GUEST / "attesthost.sh"}
        self.initrd = images.initramfs(kern, files, modules=images.MODULES + ("crc32c_generic", "ext4"))
        self.disk = self.folder / "guests.img"      # not in the initramfs: GRUB and firmware hash all that they load
        with open(self.disk, "wb") as f:
            f.truncate(96 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-d", str(x), str(self.disk)], check=True)

    def definition(self, name):
        return self.root / "vm" / f"{name}.yaml"

    def spec(self, tpm, **changed):
        words = dict(kernel=self.kernel, initrd=self.initrd, cmdline=CMDLINE, boot="grub-uefi", hv=self.hv, hv_options=OPTIONS,
                     config=CONFIG, cpus=1, mem=2048, tpm="tis", tpm_state=tpm, disks=(("virtio", self.disk),))
        return mc.Spec(**{**words, **changed})

    def tool(self, name, *words):
        """(exit code, standard output, last line of standard error)"""
        done = subprocess.run([str(self.product.folder / name), *map(str, words)], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout, (done.stderr.strip().splitlines() or [""])[-1]

    def measured(self, *words):
        code, out, err = self.tool("redoubt-measure", *words)
        if code:
            raise mc.MachineError(f"redoubt-measure {' '.join(map(str, words))}: {err}")
        return out.split()[0]

    def verify(self, *words):
        """(exit code, the JSON object) of redoubt-verify --json."""
        code, out, err = self.tool("redoubt-verify", *words, "--json")
        try:
            return code, json.loads(out)
        except ValueError:
            raise mc.MachineError(f"redoubt-verify {' '.join(map(str, words))}: exit {code}, {err or out[-300:]}") from None


class Host:
    """A booted machine; commands to attesthost.sh in its root."""

    def __init__(self, m):
        self.m = m

    def wait(self):
        self.m.expect(r"\bRT ready\b", BOOT_TIME, fail=FATAL, quiet=SILENCE)
        self.m.expect(r"^RT ask", 120 * FACTOR, fail=FATAL + r"|^RT fail")

    def ask(self, *words, limit=120):
        """(exit code in the root, last line it said, {name: bytes})"""
        self.m.send(" ".join(words) + "\n")
        files = {}
        while True:
            found = self.m.expect(r"^RT (hex|code|fail) ?(\S*) ?(.*)", limit * FACTOR, fail=FATAL)
            kind, name, text = found.groups()
            if kind == "hex":
                files[name] = files.get(name, b"") + bytes.fromhex(text.replace(" ", ""))
            elif kind == "fail":
                raise mc.MachineError(self.m.report(f"{words[0]}: {name} {text}"))
            else:
                self.m.expect(r"^RT ask", 60 * FACTOR, fail=FATAL)
                return int(name), text, files

    def need(self, *words, limit=120):
        code, text, files = self.ask(*words, limit=limit)
        if code:
            raise mc.MachineError(f"in the root: {' '.join(words)[:60]}: {text}")
        return files


def octal(data):
    return "".join(f"\\{b:03o}" for b in data)


def nonce():
    return os.urandom(32).hex()
