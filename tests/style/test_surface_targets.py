#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each kind of the attack surface where hostile bytes come in demands a fuzz target: the build fails without, and says what to do."""
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tree import ROOT, report

sys.path.insert(0, str(ROOT / "tools"))
sys.dont_write_bytecode = True
from surface import KINDS  # noqa: E402

# What is granted, and has nothing to parse; and what the build declares: a target without a table of its own.
GRANTED, DECLARED = {"descriptor", "system-call", "ring-operation"}, {"reader"}
TOPS = ("CMakeLists.txt", "SECURITY.md", "attest", "docs", "fuzz", "hv", "mitigations", "tools")
# A new entry in a file that no target has: (file, its text, where it is declared, text there, before which it stands, what, words).
SERVED = "static long rd_more_ioctl(struct file *file, unsigned int command)\n{\n\tswitch (command) {\n\tcase RD_IOCTL_MORE:\n\t\treturn 0;\n\t}\n\treturn -1;\n}\n"
CALL = "enum hv_status hc_more(struct vcall *c)\n{\n\treturn 0;\n}\n"
ROW = 'HYPERCALL(0x8e7f, More, more, SIMPLE, 8, 0, 0, 0, CHILD, "-")\n'
NEW = [
    ("hv/root/more.c", SERVED, "hv/root/ioctl.h", "#define RD_IOCTL_MORE _IO('R', 0xee)\n", "#define RD_IOCTL_CREATE_PARTITION",
     "ioctl/MORE (hv/root/more.c) has no fuzz target: declare hv/root/more.c in a redoubt_parser() or redoubt_reader() of CMakeLists.txt"),
    ("hv/core/more.c", CALL, "hv/abi/hypercalls.def", ROW, "HYPERCALL(0x005d", "hypercall/0x8e7f More: no fuzz target hypercall any more: declare it"),
]
findings = []


def says(tree):
    done = subprocess.run([tree / "tools/surface.py", "--build"], capture_output=True, text=True)
    return (done.stdout + done.stderr) if done.returncode == 1 else f"exit {done.returncode}: {done.stderr}"


with tempfile.TemporaryDirectory() as folder:
    tree = Path(folder) / "tree"
    tree.mkdir()
    for top in TOPS:
        if (ROOT / top).is_dir():
            shutil.copytree(ROOT / top, tree / top, ignore=shutil.ignore_patterns("corpus", "__pycache__"))
        else:
            shutil.copy(ROOT / top, tree / top)
    build, elements = tree / "CMakeLists.txt", json.loads((ROOT / "docs/attack-surface.json").read_text())
    text = build.read_text()

    def without(targets):
        build.write_text(re.sub(rf"redoubt_\w+\((?=NAME (?:{'|'.join(targets)})\s)", "message(", text))

    without({f for e in elements if not e["id"].startswith("reader/") for f in e["fuzz"]})
    said = says(tree)
    build.write_text(text)
    silent = [k for k in KINDS if k not in GRANTED | DECLARED and not re.search(rf"^{k}/.*: declare ", said, re.M)]
    if silent:
        findings.append(f"without a target these say nothing: {silent}: {said[-2000:]}")
    if GRANTED != {k for k, words in KINDS.items() if words[2] is not True}:
        findings.append(f"not these alone demand no target: {GRANTED}")
    for name, content, table, row, before, words in NEW:
        old = (tree / table).read_text()
        (tree / name).write_text(content)
        (tree / table).write_text(old.replace(before, row + before, 1))
        if "hypercall" in words:
            without({"hypercall"})
        said = says(tree)
        if before not in old or words not in said:
            findings.append(f"{name}: wanted '{words}': {said[-2000:]}")
        (tree / name).unlink()
        (tree / table).write_text(old)
        build.write_text(text)
report(len(KINDS) + len(NEW), "cases", findings)
