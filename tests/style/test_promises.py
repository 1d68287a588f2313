#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every path in a table of SECURITY.md exists; every row has one, or says that it is pending."""
import re

from tree import ROOT, report

PATH = re.compile(r"`((?:attest|docs|fuzz|hv|mitigations|redteam|tests|tools|vbs)/[^`\s:]*)")


def examine(text):
    rows, findings, table = 0, [], []
    for number, line in enumerate([*text.splitlines(), ""], 1):
        if line.startswith("|"):
            table.append((number, line))
            continue
        for at, row in table[2:]:  # after the heading and its rule
            rows += 1
            paths = PATH.findall(row)
            if not paths and "pending" not in row.lower():
                findings.append(f"SECURITY.md:{at}: cites no file of the tree and does not say 'pending'")
            findings += [f"SECURITY.md:{at}: {p} does not exist" for p in paths if not list(ROOT.glob(p.rstrip("/")))]
        table = []
    return rows, findings


if len(examine("| a | b |\n|---|---|\n| x | `hv/none.c` |\n| y | z |\n| w | pending |\n")[1]) != 2:
    report(1, "rows", ["self-test: bad rows were accepted"])
page = ROOT / "SECURITY.md"
report(*((0, "rows", ["SECURITY.md does not exist"]) if not page.exists() else
         (lambda rows, findings: (rows, "rows", findings))(*examine(page.read_text()))))
