#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""C files are formatted as .clang-format says (repair: tools/dev style --fix)."""
import subprocess
from concurrent.futures import ThreadPoolExecutor

from tree import ROOT, files, report

UNDER = ("attest", "fuzz", "hv", "mitigations", "redteam", "tests", "vbs")


def check(name):
    run = subprocess.run(["clang-format-16", "--dry-run", "-Werror", "--ferror-limit=1", name], cwd=ROOT,
                         capture_output=True, text=True)
    return None if run.returncode == 0 else run.stderr.splitlines()[0] + " (repair: tools/dev style --fix)"


names = [name for name, _ in files(".c", ".h", under=UNDER)]
with ThreadPoolExecutor(2) as pool:
    findings = [text for text in pool.map(check, names) if text]
run = subprocess.run(["clang-format-16", "--dry-run", "-Werror", "--assume-filename=x.c"], cwd=ROOT, text=True,
                     input="int  f( void ) {return 0;}\n", capture_output=True)
if run.returncode == 0:
    findings.append("self-test: a badly formatted file was accepted")
report(len(names), "files", findings)
