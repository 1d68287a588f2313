#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Proves on the linked programs of the root that the flags of hardening.cmake had their effect.

usage: check_programs.py FOLDER     the build folder with vmmgr, vmworker, storvsp, ...
Each must be a static PIE, with every relocation read-only after the start, no segment writable and executable, no executable
stack, stack protectors, and checked indirect calls where it has some (functions whose address is taken have a NAME.cfi).
Exit: 0 all hold, 1 one does not, 2 wrong usage.
"""
import re
import subprocess
import sys
from pathlib import Path

DYNAMIC = ("attestd",)      # Debian has tss2 as a shared library only; it is loaded before the sandbox closes
CALLBACKS = ("vmmgr", "storvsp", "netvsp", "ic", "hvsock", "redoubt-verify")      # the others take no function's address
PROGRAMS = ("vmmgr", "vmworker", "storvsp", "netvsp", "ic", "hvsock", "console", "vswitch", "redoubt-verify", "redoubt-measure",
            "redoubt-report", *DYNAMIC)


def run(*words):
    return subprocess.run(words, check=True, text=True, capture_output=True).stdout


def faults(path):
    text = run("llvm-readelf-16", "-hlWd", str(path))
    symbols = run("llvm-nm-16", str(path))
    segments = re.findall(r"^\s+(\w+)\s+0x\w+ 0x\w+ 0x\w+ 0x\w+ 0x\w+ ([RWE ]{3}) ", text, re.M)
    if not re.search(r"Type:\s+DYN", text) or "FLAGS_1" not in text or " PIE" not in text:
        yield "is no PIE: its addresses are not random"
    if path.name not in DYNAMIC and any(kind == "INTERP" for kind, _ in segments):
        yield "asks for a dynamic loader: a sandbox has no files"
    if not any(kind == "GNU_RELRO" for kind, _ in segments) or "BIND_NOW" not in text:
        yield "has no full RELRO"
    for kind, flags in segments:
        if "W" in flags and "E" in flags:
            yield f"segment {kind} is writable and executable"
    if not any(kind == "GNU_STACK" for kind, _ in segments):
        yield "does not say that its stack is not executable"
    if "__stack_chk_fail" not in symbols:
        yield "has no stack protector"
    if path.name in CALLBACKS and not re.search(r"\.cfi$", symbols, re.M):
        yield "has no checked indirect calls (-fsanitize=cfi-icall)"


def main(argv):
    if len(argv) != 1 or argv[0] in ("-h", "--help"):
        print(__doc__.strip(), file=sys.stdout if argv else sys.stderr)
        return 0 if argv else 2
    bad = 0
    for name in PROGRAMS:
        path = Path(argv[0]) / name
        found = list(faults(path)) if path.is_file() else ["is missing: tools/dev build"]
        for text in found:
            print(f"FAIL {name}: {text}")
        bad += len(found)
    print(f"{len(PROGRAMS)} programs, {bad} findings")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
