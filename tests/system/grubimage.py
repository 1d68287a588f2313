# SPDX-License-Identifier: MIT
"""GRUB boot images: one CD image that starts under SeaBIOS and under UEFI.

With a hypervisor: multiboot2 redoubt.elf and its modules. Without: plain Linux. GRUB for UEFI has its tpm module inside, as Debian's
signed one: so it measures its first command and the first file that it reads; what that must be is known before (loader_digests).
"""

import hashlib
import re
import struct
import shutil
import subprocess
import tempfile
from pathlib import Path

NEEDS = {"grub-mkrescue": "grub-common", "grub-mkimage": "grub-common", "xorriso": "xorriso", "mformat": "mtools", "mcopy": "mtools"}
PLATFORMS = {"/usr/lib/grub/i386-pc": "grub-pc-bin", "/usr/lib/grub/x86_64-efi": "grub-efi-amd64-bin"}


def _word(w):
    return w if re.fullmatch(r"[A-Za-z0-9_./:=,+@%-]+", w) else "'" + w.replace("'", "'\\''") + "'"


def _words(text):
    return " ".join(_word(w) for w in text.split())


def grub_cfg(spec):
    lines = [
        "serial --unit=0 --speed=115200",
        "terminal_input serial",
        "terminal_output serial",
        "set timeout=0",
        "echo 'GRUB: loading ...'",
    ]
    if spec.hv is None:
        lines += [f"linux /boot/vmlinuz {_words(spec.cmdline)}", "initrd /boot/initrd.img"]
    else:
        lines.append(f"multiboot2 /boot/redoubt.elf {_words(spec.hv_options)}".rstrip())
        if "kernel" not in spec.omit:
            lines.append(f"module2 /boot/vmlinuz kernel {_words(spec.cmdline)}")
        if "initrd" not in spec.omit:
            lines.append("module2 --nounzip /boot/initrd.img initrd")
        if "config" not in spec.omit:
            lines.append("module2 /boot/redoubt.conf config")
    return "\n".join([*lines, "echo 'GRUB: starting'", "boot", ""])


# Inside the UEFI image. `search` finds the CD that it came from.
EFI_START = ("search --no-floppy --file --set=root /boot/grub/grub.cfg", "set prefix=(cd0)/boot/grub")
EFI_MODULES = ("tpm", "search", "iso9660", "part_msdos", "part_gpt", "fat", "normal", "configfile", "test", "echo", "serial", "terminal")


def make_efi(out):
    """GRUB for UEFI as one image; the same bytes each time."""
    with tempfile.NamedTemporaryFile("w", suffix=".cfg") as start:
        start.write("\n".join(EFI_START) + "\n")
        start.flush()
        run = subprocess.run(["grub-mkimage", "-O", "x86_64-efi", "-p", "/boot/grub", "-c", start.name, "-o", str(out), *EFI_MODULES],
                             capture_output=True, text=True)
    if run.returncode:
        from machine import SetupError
        raise SetupError("grub-mkimage failed: " + run.stderr.strip())


def put_efi(iso, efi):
    """Makes it the image that UEFI starts from the CD."""
    from machine import SetupError
    text = subprocess.run(["xorriso", "-indev", str(iso), "-report_el_torito", "plain"], capture_output=True, text=True).stdout
    found = re.search(r"^El Torito boot img :.* UEFI .* (\d+)\s*$", text, re.M)
    if not found:
        raise SetupError("xorriso names no UEFI boot image in what grub-mkrescue made")
    run = subprocess.run(["mcopy", "-o", "-i", f"{iso}@@{int(found.group(1)) * 2048}", str(efi), "::/efi/boot/bootx64.efi"],
                         capture_output=True, text=True)
    if run.returncode:
        raise SetupError("mcopy failed: " + run.stderr.strip())


def authenticode(image):
    """SHA-256 of a program for UEFI as firmware measures it: all but checksum and signatures."""
    pe = struct.unpack_from("<I", image, 0x3c)[0]
    checksum, certificates = pe + 24 + 64, pe + 24 + 112 + 4 * 8
    return hashlib.sha256(image[:checksum] + image[checksum + 4:certificates] + image[certificates + 8:]).hexdigest()


def loader_digests(spec):
    """(PCR 4, PCR 8, PCR 9): SHA-256 digests of the only programs, commands and files that this boot has."""
    sha = lambda data: hashlib.sha256(data).hexdigest()
    with tempfile.TemporaryDirectory() as tmp:
        efi = Path(tmp) / "grub.efi"
        make_efi(efi)
        programs = [authenticode(efi.read_bytes())]
    lines = [*EFI_START, *grub_cfg(spec).splitlines()]
    texts = [line.replace("'", "") for line in lines]
    for line in texts:                          # the rest of a loader's line, behind options and file name, is measured once more
        words = [w for w in line.split() if not w.startswith("--")]
        texts = [*texts, " ".join(words[2:])] if words[0] in ("multiboot2", "module2") else texts
    files = [grub_cfg(spec).encode(), spec.config or b"\n", *(Path(p).read_bytes() for p in (spec.hv, spec.kernel, spec.initrd))]
    files += [p.read_bytes() for p in Path("/usr/lib/grub/x86_64-efi").glob("*.*")]
    return programs, [sha(t.encode()) for t in texts], [sha(f) for f in files]


def make_iso(out, spec):
    from machine import SetupError
    for program, package in NEEDS.items():
        if shutil.which(program) is None:
            raise SetupError(f"{program} is not installed: apt-get install {package}")
    for folder, package in PLATFORMS.items():
        if not Path(folder).is_dir():
            raise SetupError(f"GRUB's files for {Path(folder).name} are not installed: apt-get install {package}")
    with tempfile.TemporaryDirectory(prefix="redoubt-iso-") as tmp:
        boot = Path(tmp) / "boot"
        (boot / "grub").mkdir(parents=True)
        for name, path in (("vmlinuz", spec.kernel), ("initrd.img", spec.initrd), ("redoubt.elf", spec.hv)):
            if path is not None:
                shutil.copyfile(path, boot / name)
        (boot / "redoubt.conf").write_bytes(spec.config or b"\n")
        (boot / "grub" / "grub.cfg").write_text(grub_cfg(spec))
        done = subprocess.run(
            ["grub-mkrescue", "-o", str(out), "--locales=", "--fonts=", "--themes=",
             "--install-modules=linux multiboot2 serial terminal echo test iso9660 part_msdos part_gpt normal "
             "configfile boot fat search gzio relocator",
             tmp],
            text=True, capture_output=True)
        if done.returncode or not Path(out).is_file():
            raise SetupError("grub-mkrescue failed: " + " / ".join(done.stderr.strip().splitlines()[-3:]))
        make_efi(Path(tmp) / "grub.efi")
        put_efi(out, Path(tmp) / "grub.efi")
