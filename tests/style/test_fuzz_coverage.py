#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tools/dev fuzz coverage notices what is below the aims, and reasons that are out of date; for lines and for branches."""
import sys
import tempfile
from pathlib import Path

from tree import ROOT, report

sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tools/fuzz"))
import coverage  # noqa: E402

findings, cases = [], 0


def wants(what, got, wanted):
    global cases
    cases += 1
    if got != wanted:
        findings.append(f"{what}: {got}, wanted {wanted}")


# Coverage: 96 of 100 lines and 89 of 100 branches.
f = coverage.File("hv/wire/a.c", {n: int(n > 4) for n in range(1, 101)}, {(n, 0): int(n > 11) for n in range(1, 101)}, {1: "first", 50: "second"})
parsers = [{"sources": ["hv/wire/a.c"]}]
core = coverage.File("hv/core/b.c", {n: int(n > 11) for n in range(1, 101)})
wants("figures", f.figures(), (96, 100, 89, 100))
wants("below", [w.split(":")[0] + w.split("%")[1] for w in coverage.below({f.name: f, core.name: core}, parsers)],
      ["hv/wire/a.c of branches, wanted 90 ", "hv/core of lines, wanted 90 "])
f.lines.update({5: 0, 6: 0})
wants("below of lines", len(coverage.below({f.name: f}, parsers)), 2)
with tempfile.TemporaryDirectory() as folder:
    (Path(folder) / "hv/wire").mkdir(parents=True)
    (Path(folder) / "hv/wire/a.c").write_text("".join(f"\tline {n};\n" for n in range(1, 101)))
    entries = [(f.name, "line 1;", "why", 1), (f.name, "line 60;", "stale", 2), (f.name, "second()", "stale", 3), ("hv/wire/c.c", "*", "gone", 4)]
    f.branches = {}
    told, _, stale = coverage.explain({f.name: f}, entries, folder)
    wants("reasons", [(n, why) for _, n, _, why in told], [(1, "why")] + [(n, None) for n in range(2, 7)])
    wants("stale reasons", [s.split(":")[1] for s in stale], ["2", "3", "4"])
    wants("a function's reason", {t[3] for t in coverage.explain({f.name: f}, [(f.name, "first()", "x", 1)], folder)[0]}, {"x"})
    # Branches: line 7 has two conditions, of which the second is never false; of line 60's, in a macro, only the number is known.
    f.branches, f.conditions = {(7, 0): 1, (7, 1): 1, (7, 2): 1, (7, 3): 0, (60, 0): 0, (60, 1): 4, (1, 0): 0}, {7: ["a", "b < c"]}
    every = [(1, "line 1;", None), (7, "b < c is never false", "why"), (60, "condition 1 is never true", "too")]
    entries = [(f.name, every[1][1], "why", 1), (f.name, f"second(): {every[2][1]}", "too", 2), (f.name, "first(): b is never true", "stale", 3)]
    told, untaken, stale = coverage.explain({f.name: f}, entries, folder)
    wants("branches", [t[1:] for t in told[:1] + untaken], every)
    wants("stale reasons of branches", [s.split(":")[1] for s in stale], ["3"])
    wants("branches that do not count", coverage.excused({f.name: f}, [*entries, (f.name, "line 1;", "why", 4)], folder), {f.name: [1, 3]})
wants("below without them", len(coverage.below({f.name: coverage.File(f.name, {1: 1}, {(1, 0): 0, (1, 1): 1})}, parsers)), 1)
wants("below with them", coverage.below({f.name: coverage.File(f.name, {1: 1}, {(1, 0): 0, (1, 1): 1})}, parsers, {f.name: [0, 1]}), [])
f = coverage.File("a.c", branches={**{(1, n): 0 for n in range(6)}, (2, 0): 0, (2, 1): 1, (2, 2): 1, (2, 3): 0})
coverage.name_branches(f, ["if (a && M(b) &&", "\t  b(c) == 1)"], [[1, 5, 1, 6, 0, 0], [2, 4, 2, 13, 0, 1], [2, 4, 2, 13, 1, 0], [1, 5, 2, 13, 0, 0]])
wants("text of conditions", (f.conditions, len(f.branches), f.untaken()[5:]), ({2: ["b(c) == 1"]}, 8, [(1, "condition 3 is never false")]))
report(cases, "cases", findings)
