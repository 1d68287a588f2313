#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Includes follow tools/rooms.txt; and the checker refuses what it should."""
import subprocess
import tempfile
from pathlib import Path

from tree import ROOT, report

CHECK = ROOT / "tools/check_rooms.py"
ROOMS = "hv/abi:\nhv/core: hv/abi\nhv/arch/fake: hv/core +libc\nhv/host/lib:\nhv/host/*: hv/host/lib\nfuzz: * +libc\n"
# (what, rooms, file, line in it, exit code, words of the answer)
CASES = [
    ("allowed include", ROOMS, "hv/core/a.c", '#include "hv/abi/x.h"', 0, "0 findings"),
    ("own room", ROOMS, "hv/host/a/a.c", '#include "hv/host/a/y.h"', 0, "0 findings"),
    ("library of programs", ROOMS, "hv/host/a/a.c", '#include "hv/host/lib/z.h"', 0, "0 findings"),
    ("forbidden include", ROOMS, "hv/abi/a.h", '#include "hv/core/x.h"', 1, "hv/abi may not include hv/core"),
    ("other program", ROOMS, "hv/host/a/a.c", '#include "hv/host/b/y.h"', 1, "may not include hv/host/b"),
    ("libc in the core", ROOMS, "hv/core/a.c", "#include <stdio.h>", 1, "is freestanding"),
    ("relative include", ROOMS, "hv/core/a.c", '#include "x.h"', 1, "not a path from the root"),
    ("include of a program", ROOMS, "hv/core/a.c", '#include "fuzz/f.h"', 1, "nobody may include"),
    ("no room", ROOMS, "hv/other/a.c", "", 1, "in no room"),
    ("cycle", ROOMS + "a: b\nb: a\n", "hv/core/a.c", "", 2, "a cycle"),
    ("unknown room", ROOMS + "a: nowhere\n", "hv/core/a.c", "", 2, "no room nowhere"),
]

findings = []
for what, rooms, name, line, code, words in CASES:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        headers = ("hv/abi/x.h", "hv/core/x.h", "hv/host/a/y.h", "hv/host/b/y.h", "hv/host/lib/z.h", "fuzz/f.h")
        for path, text in [("tools/rooms.txt", rooms), *((h, "") for h in headers), (name, line + "\n")]:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        run = subprocess.run([CHECK, root], capture_output=True, text=True)
        if run.returncode != code or words not in run.stdout + run.stderr:
            findings.append(f"self-test '{what}': exit {run.returncode}: {run.stdout}{run.stderr}")
run = subprocess.run([CHECK, ROOT], capture_output=True, text=True)
print(run.stdout + run.stderr, end="")
if run.returncode:
    findings.append("tools/check_rooms.py refuses the tree")
report(len(CASES) + 1, "cases", findings)
