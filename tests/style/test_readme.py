#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The README's commands exist, its first screen has the two that matter, and links between pages resolve."""
import re
import subprocess

from tree import ROOT, files, report

findings, count = [], 0
readme = (ROOT / "README.md").read_text()
first = "\n".join(readme.splitlines()[:30])
for command in ("tools/dev run", "tools/dev test"):
    if command not in first:
        findings.append(f"README.md: '{command}' is not within the first 30 lines")

pages = [(name, path) for name, path in files(".md")]
for name, path in pages:
    text = path.read_text()
    for verb in set(re.findall(r"tools/dev ([a-z]+)", text)):
        count += 1
        run = subprocess.run([ROOT / "tools/dev", verb, "--help"], capture_output=True, text=True)
        if run.returncode != 0 or "usage:" not in run.stdout:
            findings.append(f"{name}: tools/dev has no verb {verb} (or it has no --help)")
    for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        count += 1
        if not re.match(r"[a-z]+:", link) and not (path.parent / link).exists():
            findings.append(f"{name}: link to {link}, which does not exist")
if subprocess.run([ROOT / "tools/dev", "nonsense"], capture_output=True).returncode != 2:
    findings.append("self-test: tools/dev accepts an unknown verb")
report(count, "commands and links", findings)
