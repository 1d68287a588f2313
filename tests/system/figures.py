# SPDX-License-Identifier: MIT
"""What the programs that measure have in common: their options, how figures of several runs become one, tables."""
import os

import machine as mc
from product import REPO


def options(p, runs_are, build_is):
    p.add_argument("--build", help=f"build folder with {build_is} (default: build)")
    p.add_argument("--runs", type=int, default=3, metavar="N", help=f"{runs_are} (default 3)")
    p.add_argument("--json", action="store_true", help="print JSON instead of the table")
    p.add_argument("--write", nargs="?", const=str(REPO / "docs" / "benchmarks.md"), metavar="FILE",
                   help="put the table into FILE (default docs/benchmarks.md)")
    p.add_argument("--check", action="store_true", help="exit 1 when an aim is missed")
    p.add_argument("--verbose", action="store_true", help="show the consoles")


def arguments(p, runs_most):
    """The arguments, or the end of the program with status 2."""
    a = p.parse_args()
    if not 1 <= a.runs <= runs_most:
        p.error(f"--runs wants 1 to {runs_most}")
    mc.stop_on_signals()
    return a


def merge(runs):
    """Least minimum, median of medians, greatest maximum."""
    out = {}
    for name in dict.fromkeys(n for r in runs for n in r):
        rows = [r[name] for r in runs if name in r]
        mids = sorted(r[1] for r in rows)
        out[name] = [min(r[0] for r in rows), mids[len(mids) // 2], max(r[2] for r in rows)]
    return out


def print_table(head, rows):
    widths = [max(len(r[i]) for r in [head, *rows]) for i in range(len(head))]
    for r in [head, ["-" * w for w in widths], *rows]:
        print("  ".join(c.ljust(w) for c, w in zip(r, widths)).rstrip())


def write_markdown(path, text, begin, end):
    """Replaces the part between the marks, or appends it."""
    old = path.read_text() if path.exists() else "# Benchmarks\n\n"
    if begin in old and end in old:
        new = old[:old.index(begin)] + text.rstrip("\n") + old[old.index(end) + len(end):]
    else:
        new = old.rstrip("\n") + "\n\n" + text
    temp = path.with_suffix(".tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    temp.write_text(new)
    os.replace(temp, path)
