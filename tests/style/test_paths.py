#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""No file names a path of the machine on which it was written, and none lies at the top that does not belong there, as a fuzzer's find does."""
import re

from tree import ROOT, files, report

# A home directory, or the folder that holds this very tree, at the start of an absolute path.
PLAIN = {"/", "/tmp", "/home", "/root", "/opt", "/mnt", "/srv", "/usr/src", "/usr/local/src", "/var/tmp", "/builds"}
places = [re.escape(str(p)) for p in (ROOT, ROOT.parent) if str(p) not in PLAIN]
MACHINE = re.compile(r"(?<![\w.}~)/-])(" + "|".join([r"/home/\w", r"/root/[\w.]", r"/Users/\w", *(p + "/" for p in places)]) + ")")

TOP = {".clang-format", ".clang-tidy", ".git", ".gitignore", "CMakeLists.txt", "CMakePresets.json", "CONTRIBUTING.md", "LICENSE", "LICENSES.md",
       "README.md", "SECURITY.md"}

findings, count = [], 0
for name, path in files():
    if "/" not in name and name not in TOP:
        findings.append(f"{name}: nothing of this name belongs at the top: move it, or name it here")
    if "/corpus/" in name:
        continue
    try:
        text = path.read_text()
    except UnicodeDecodeError:
        continue
    count += 1
    for number, line in enumerate(text.splitlines(), 1):
        if MACHINE.search(line):
            findings.append(f"{name}:{number}: {line.strip()[:100]}")
for text, bad in ((f"see {ROOT}/x", str(ROOT) not in PLAIN), ("x /" + "home/me/x", True), ("hv/" + "root/main.c", False)):
    if bool(MACHINE.search(text)) != bad:
        findings.append(f"self-test: {text}")
report(count, "files", findings)
