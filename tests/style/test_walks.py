#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every step `file: function` of docs/walks.md names a function that the file defines and that the walk can reach."""
import re

from tree import ROOT, report

STEP = re.compile(r"`([\w./-]+\.(?:c|h|S|py|sh|def|ld)): *(\w+)(?:\(\))?`|^(Boundary:|##) ?", re.M)


def defines(text, function):
    name = re.escape(function)
    return bool(re.search(rf"^[A-Za-z_][^;=]*\b{name}\(|^{name}:|^\s*\.globl\s+{name}\b|^#define {name}\b|"
                          rf"^\w+\([^)]*\b{name}\b", text, re.M))


def named(name, function, seen):
    """A file of the walk calls the function; for a row of a table, includes the table."""
    word = name if name.endswith(".def") else rf"\b({function}|{function.removeprefix('hc_')})\b"
    return any(re.search(word, text) for text in seen.values())


def examine(page):
    count, findings, seen, jump = 0, [], {}, True
    for name, function, mark in STEP.findall(page):
        if mark:
            seen, jump = ({} if mark == "##" else seen), True
            continue
        count += 1
        if not (ROOT / name).is_file():
            findings.append(f"docs/walks.md: {name} does not exist")
            continue
        text = (ROOT / name).read_text()
        if not defines(text, function):
            findings.append(f"docs/walks.md: {name} does not define {function}")
        # Without its definition: a function of the same file must be called there.
        others = {n: re.sub(rf"^[a-z][^;=\n]*\b{function}\(", "", t, flags=re.M) if n == name else t
                  for n, t in {**seen, name: text}.items()}
        if not jump and not named(name, function, others):
            findings.append(f"docs/walks.md: no earlier file of the walk names {function}")
        seen[name], jump = text, False
    return count, findings


# One file and one function that do not exist, and two functions that nothing of their walk reaches.
BAD = "`tests/style/none.c: f` `fuzz/replay_main.c: nothing` `fuzz/replay_main.c: main`\n## x\n" \
      "`hv/wire/hcall.c: hcall_control_parse` `hv/core/lock.c: lock_acquire`"
if examine(BAD)[0] != 5 or len(examine(BAD)[1]) != 4:
    report(1, "steps", ["self-test: wrong steps were accepted", *examine(BAD)[1]])
walks = ROOT / "docs/walks.md"
total, found = examine(walks.read_text()) if walks.exists() else (0, ["docs/walks.md does not exist"])
report(total, "steps", found)
