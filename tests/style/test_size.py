#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""In hv/ a file has at most 800 lines and a function at most 80; a style check has fewer than 80."""
from tree import files, report

FILE, FUNCTION = 800, 80


def functions(lines):
    """(name, lines) of each function: '{' and '}' alone in column 0 enclose a body and nothing else."""
    start = None
    for number, line in enumerate(lines):
        if line.rstrip() == "{":
            start = number
        elif line.startswith("}") and start is not None:
            head = start - 1
            while head > 0 and lines[head][:1] in " \t":
                head -= 1
            yield lines[head].split("(")[0].split(" ")[-1].lstrip("*"), number - head + 1
            start = None


findings, count = [], 0
for name, path in files(".c", ".h", ".S", ".def", under=("hv",)):
    lines = path.read_text().splitlines()
    if len(lines) > FILE:
        findings.append(f"{name}: {len(lines)} lines (limit {FILE}): split it by subject")
    for function, length in functions(lines) if name.endswith((".c", ".h")) else ():
        count += 1
        if length > FUNCTION:
            findings.append(f"{name}: {function}: {length} lines (limit {FUNCTION})")
for name, path in files(".py", under=("tests/style",)):
    if len(path.read_text().splitlines()) >= 80:
        findings.append(f"{name}: a style check has fewer than 80 lines")
if [n for _, n in functions(["int f(void)", "{", *["\tx;"] * 79, "}"])] != [82]:
    findings.append("self-test: a long function was not measured")
report(count, "functions", findings)
