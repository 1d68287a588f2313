#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every step `file: function` of docs/walks.md names a function that the file defines."""
import re

from tree import ROOT, report

STEP = re.compile(r"`([\w./-]+\.(?:c|h|S|py|sh|def|ld)): *(\w+)(?:\(\))?`")


def defines(text, function):
    name = re.escape(function)
    return bool(re.search(rf"^[A-Za-z_][^;=]*\b{name}\(|^{name}:|^\s*\.globl\s+{name}\b|^#define {name}\b|"
                          rf"^\w+\([^)]*\b{name}\b", text, re.M))


def examine(page):
    steps, findings = STEP.findall(page), []
    for name, function in steps:
        path = ROOT / name
        if not path.is_file():
            findings.append(f"docs/walks.md: {name} does not exist")
        elif not defines(path.read_text(), function):
            findings.append(f"docs/walks.md: {name} does not define {function}")
    return len(steps), findings


if examine("`tests/style/none.c: f` `fuzz/replay_main.c: nothing` `fuzz/replay_main.c: main`")[0:1] != (3,) or \
        len(examine("`tests/style/none.c: f` `fuzz/replay_main.c: nothing` `fuzz/replay_main.c: main`")[1]) != 2:
    report(1, "steps", ["self-test: wrong steps were accepted"])
walks = ROOT / "docs/walks.md"
count, found = examine(walks.read_text()) if walks.exists() else (0, ["docs/walks.md does not exist"])
report(count, "steps", found)
