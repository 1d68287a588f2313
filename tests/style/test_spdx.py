#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every source file begins with its licence; only what the kernel module shares is also GPL-2.0."""
import re

from tree import files, report

KINDS = (".c", ".h", ".S", ".def", ".ld", ".py", ".sh", ".cmake", "CMakeLists.txt", "Kbuild", "tools/dev", ".ci/run")
LINE = re.compile(r"SPDX-License-Identifier: (MIT OR GPL-2\.0|MIT)( \*/)?$")
# The module, what it includes, and the modules of the tests that are loaded beside it.
DUAL = ("hv/root/", "hv/abi/", "tests/system/", "redteam/")

findings, count = [], 0
for name, path in files():
    if not name.endswith(KINDS):
        continue
    count += 1
    lines = path.read_text().splitlines()[:2] + ["", ""]
    found = LINE.search(lines[1] if lines[0].startswith("#!") else lines[0])
    if not found:
        findings.append(f"{name}: its first line is not 'SPDX-License-Identifier: MIT'")
    elif found.group(1) != "MIT" and not name.startswith(DUAL):
        findings.append(f"{name}: {found.group(1)} is for {', '.join(DUAL)} only")
report(count, "files", findings)
