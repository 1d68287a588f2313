#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What an untrusted party can newly reach does not build unseen: an undeclared parser or harness, a hypercall without a target, a new
hypercall, a new system call of a sandbox. Each is tried on a copy of this tree, with the product's own build."""
import shutil
import subprocess
import tempfile
from pathlib import Path

from tree import ROOT, report

WIRE = "redoubt_parser(NAME uart "
HYPERCALL = 'HYPERCALL(0x8e7f, SelfTest, signal_event, SIMPLE, 8, 0, 0, 0, CHILD, "-")\n'
# (what, file, text, what stands there instead, words)
CASES = [
    ("parser without declaration", "CMakeLists.txt", WIRE, "message(", "no redoubt_parser() declares hv/wire/uart.c"),
    ("harness without declaration", "fuzz/fuzz_selftest.c", "", "int x;\n", "nobody declares fuzz/fuzz_selftest.c"),
    ("new hypercall", "hv/abi/hypercalls.def", "HYPERCALL(0x005d", HYPERCALL + "HYPERCALL(0x005d", "remedy: look at the change, then tools/surface.py --review hypercall:"),
    ("hypercalls without target", "CMakeLists.txt", "redoubt_core(NAME hypercall ", "redoubt_core(NAME other ", "no fuzz target hypercall any more: declare it"),
    ("new system call", "hv/host/ic/policy.c", "{ SANDBOX_END", '{ __NR_openat, -1, 0, 0, "x" },\n\t{ SANDBOX_END',
     "remedy: look at the change, then tools/surface.py --review system-call:hv/host/ic/policy.c"),
]

findings = []
with tempfile.TemporaryDirectory() as folder:
    copy, build = Path(folder) / "tree", f"{folder}/build"
    shutil.copytree(ROOT, copy, ignore=lambda at, names: {".git", "__pycache__", "build"}.intersection(names)
                    if Path(at) == ROOT else {"__pycache__"}, symlinks=True)
    # What the copy has not been reviewed for is a finding of style.surface, not of this test.
    subprocess.run([copy / "tools/surface.py", "--review-all", "--reason", "self-test"], capture_output=True)

    def make():
        run = subprocess.run(["cmake", "--preset", "hv", "-S", copy, "-B", build], cwd=copy, capture_output=True, text=True)
        code, said = run.returncode, " ".join(run.stderr.split())
        if code == 0:
            run = subprocess.run(["ninja", "-C", build, "surface"], capture_output=True, text=True)
            code, said = run.returncode, " ".join(run.stdout.split())
        return code, said

    code, said = make()
    if code:
        findings.append(f"a copy of this tree: exit {code}: {said}")
    for what, name, old, new, words in CASES:
        path = copy / name
        text = path.read_text() if path.exists() else None
        path.write_text((text or "").replace(old, new, 1))
        code, said = make()
        if code == 0 or words not in said or (text and old not in text):
            findings.append(f"{what}: exit {code}, wanted {words}: {said}")
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
report(len(CASES) + 1, "cases", findings)
