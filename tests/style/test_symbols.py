#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Parsers call nothing but themselves and hold no state; the core calls itself, the parsers, crypto_* and arch_*.

usage: test_symbols.py PRODUCT_BUILD_FOLDER
"""
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tree import report

# The four that a compiler may call by itself, and the stack protector's.
BASE = {"memcpy", "memmove", "memset", "memcmp", "__stack_chk_fail"}
# hv/core/arch.h; symbols of the linker script; what the boot code hands over (hv/core/handoff.h)
CONTRACT = re.compile(r"arch_\w+$|hv_\w+_(start|end)$|boot_handoff$")


def native(folder, objects, into):
    """The same sources once more without link-time optimisation: bitcode does not tell constants from variables."""
    entries = json.loads((folder / "compile_commands.json").read_text())
    named = {str((Path(e["directory"]) / e["command"].split()[e["command"].split().index("-o") + 1]).resolve()) for e in entries}
    # Objects of sources that are gone stay in a build folder; nothing links them.
    wanted = {str(o.resolve()) for o in objects} & named
    made, jobs = [], []
    for entry in entries:
        words = entry["command"].split()
        at = words.index("-o") + 1
        if str((Path(entry["directory"]) / words[at]).resolve()) in wanted:
            made.append(into / (Path(words[at]).parent.parent.name + "-" + Path(words[at]).name))
            words[at] = str(made[-1])
            jobs.append(subprocess.Popen([w for w in words if not w.startswith(("-flto", "-fsanitize=cfi"))], cwd=entry["directory"]))
            if len(jobs) >= 2:
                jobs.pop(0).wait()
    if any(j.wait() for j in jobs) or len(made) != len(wanted):
        report(0, "objects recompiled", [])
    return made


def symbols(objects):
    """[(kind, name, object)] as nm says; kind U is undefined, b d B D are variables."""
    run = subprocess.run(["llvm-nm-16", "-A", *map(str, objects)], capture_output=True, text=True, check=True)
    for line in run.stdout.splitlines():
        found = re.match(r"(\S+):\s*[0-9a-f-]*\s+([A-Za-z])\s+(\S+)$", line)
        if found:
            yield found.group(2), found.group(3), Path(found.group(1)).name


top = Path(sys.argv[1] if len(sys.argv) > 1 else "build/hv")
build = top / "CMakeFiles"
wire = sorted(build.glob("wire_*_hv.dir/**/*.o")) + sorted(build.glob("wire_*_program.dir/**/*.o"))
core = sorted(build.glob("hv_objects.dir/hv/core/*.o")) + sorted(build.glob("hv_protect.dir/hv/core/*.o"))
findings = []
if not wire or not core:
    report(0, "objects of the product (run: tools/dev build)", [])
scratch = tempfile.TemporaryDirectory()
wire = native(top, wire, Path(scratch.name))
core = native(top, core, Path(scratch.name))
found = list(symbols(wire))
own = {name for kind, name, _ in found if kind.upper() in "TRDBV"}
for kind, name, where in found:
    if kind == "U" and name not in own | BASE:
        findings.append(f"{where}: a parser calls {name}")
    if kind in "bBdD":
        findings.append(f"{where}: a parser has a variable, {name}")
found = list(symbols(core))
own |= {name for kind, name, _ in symbols(sorted(build.glob("hv_crypto.dir/**/*.o"))) if name.startswith("crypto_")}
own |= {name for kind, name, _ in found if kind.upper() in "TRDBV"}
for kind, name, where in found:
    if kind == "U" and name not in own | BASE and not CONTRACT.match(name):
        findings.append(f"{where}: the core uses {name}, which is neither the core's nor a parser's nor arch_*")
report(len(wire) + len(core), "objects", findings)
