#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""docs/hypercalls.md and docs/intercepts.md say what the tables say."""
import sys

from tree import ROOT, report

sys.path.insert(0, str(ROOT / "tools"))
import gen_docs  # noqa: E402

pages = {"docs/hypercalls.md": gen_docs.hypercalls, "docs/intercepts.md": gen_docs.intercepts}
findings = [f"{name} is stale: run tools/gen_docs.py" for name, make in pages.items()
            if not (ROOT / name).is_file() or (ROOT / name).read_text() != make()]
if gen_docs.rows("x", "MSR", '/* c */\nMSR(0x1, 0x2, READ, "a, b")\n') != [["0x1", "0x2", "READ", "a, b"]]:
    findings.append("self-test: a row was not read")
if all(f"`{code}`" not in pages["docs/hypercalls.md"]() for code in ("0x8e00", "0x8e01")):
    findings.append("self-test: a hypercall is missing")
try:
    gen_docs.rows("self-test", "MSR", "MRS(0x1, 0x1, READ, \"misspelt\")\n")
    findings.append("self-test: a line that is no row was accepted")
except SystemExit:
    pass
report(len(pages), "pages", findings)
