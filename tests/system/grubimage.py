# SPDX-License-Identifier: MIT
"""GRUB boot images: one CD image that starts under SeaBIOS and under UEFI.

With a hypervisor: multiboot2 redoubt.elf and its modules. Without: plain Linux.
"""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

NEEDS = {"grub-mkrescue": "grub-common", "xorriso": "xorriso", "mformat": "mtools"}
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
        # measures what GRUB reads and runs from here on; only EFI has it
        "if [ \"$grub_platform\" = efi ]; then insmod tpm; fi",
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
        efi = boot / "grub" / "x86_64-efi"      # grub-mkrescue takes only modules that every platform has
        efi.mkdir()
        shutil.copyfile("/usr/lib/grub/x86_64-efi/tpm.mod", efi / "tpm.mod")
        (boot / "grub" / "grub.cfg").write_text(grub_cfg(spec))
        done = subprocess.run(
            ["grub-mkrescue", "-o", str(out), "--locales=", "--fonts=", "--themes=",
             "--install-modules=linux multiboot2 serial terminal echo test iso9660 part_msdos part_gpt normal "
             "configfile boot fat search gzio relocator",
             tmp],
            text=True, capture_output=True)
        if done.returncode or not Path(out).is_file():
            raise SetupError("grub-mkrescue failed: " + " / ".join(done.stderr.strip().splitlines()[-3:]))
