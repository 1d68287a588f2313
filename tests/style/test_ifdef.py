#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""No conditional compilation in the core, the parsers and VTL1: variants are link-time choices."""
import re

from tree import files, report

CONDITION = re.compile(r"^\s*#\s*(if|ifdef|ifndef|elif|else)\b")

findings, sources = [], files(".c", under=("hv/core", "hv/wire", "attest/core", "vbs"))
for name, path in sources:
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if CONDITION.match(line):
            findings.append(f"{name}:{number}: {line.strip()}")
report(len(sources), "files", findings)
