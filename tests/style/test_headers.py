#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every header of hv/ compiles alone, and twice. (Those of hv/root are the kernel's.)"""
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tree import ROOT, files, report

FREE = "-ffreestanding -nostdlibinc -mgeneral-regs-only".split()
WARN = "-std=gnu11 -Wall -Wextra -Werror -Wstrict-prototypes -Wmissing-prototypes -Wno-unused-function".split()


def alone(name, text=None):
    hosted = name.startswith(("hv/arch/fake/", "hv/host/"))
    run = subprocess.run(["clang-16", "-fsyntax-only", "-x", "c", *WARN, *([] if hosted else FREE), f"-I{ROOT}", "-"],
                         input=text or f'#include "{name}"\n#include "{name}"\n', capture_output=True, text=True)
    return None if run.returncode == 0 else f"{name} does not compile alone:\n{run.stderr}"


headers = [name for name, _ in files(".h", under=("hv",)) if not name.startswith("hv/root/")]
with ThreadPoolExecutor(2) as pool:
    findings = [text for text in pool.map(alone, headers) if text]
with tempfile.TemporaryDirectory() as folder:
    bad = Path(folder) / "bad.h"
    bad.write_text("struct s { uint32_t x; };\n")
    if not alone("hv/self-test", f'#include "{bad}"\n'):
        findings.append("self-test: a header that needs another one was accepted")
report(len(headers), "headers", findings)
