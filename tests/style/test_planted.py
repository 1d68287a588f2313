#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Planted defects: every edit applies exactly once and compiles; no source of the product knows of them; a stale edit is refused."""
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "fuzz/lib"))

import planted  # noqa: E402 pylint: disable=wrong-import-position
import results  # noqa: E402 pylint: disable=wrong-import-position

TABLE = """[[defect]]
name = "one"
target = "scsi"
file = "hv/wire/scsi.c"
class = "C1"
what = "it"
old = "{old}"
new = "PLANTED_REACHED(); PLANTED_TRIGGERED(true); {new}"
"""


def refused(text):
    """What planted.py says against a table, or None."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "x.toml").write_text(text, encoding="utf-8")
        try:
            for defect in planted.load(folder).values():
                defect.text()
        except planted.Refused as error:
            return str(error)
    return None


def main():
    faults = []
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([ROOT / "fuzz/proof", "--check", "--out", folder], capture_output=True, text=True, check=False)
        if done.returncode:
            faults.append(done.stderr)
        lines = Path(folder, "results.jsonl")
        lines.write_text('{"what": "trial", "digest"', encoding="utf-8")  # killed while it wrote
        results.Results(lines).add(what="deletion", target="t", check=1, file="f", line=1, text="x", how="same")
        if len(results.Results(lines).checks()) != 1:
            faults.append("results.py loses the line behind a torn one")
    uses = subprocess.run(["git", "grep", "-lE", r"PLANTED_|fuzz/planted", "--", "*.c", "*.h"], cwd=ROOT, capture_output=True, text=True,
                          check=False).stdout.split()
    faults += [f"{name}: names PLANTED_: a defect is an edit to a copy, see docs/fuzzing.md" for name in uses
               if not name.startswith("fuzz/planted/")]
    for old, new, want in (("nothing like it", "", "0 times"), ("\\treturn true;", "", "times in hv/wire/scsi.c, not once")):
        said = refused(TABLE.format(old=old, new=new))
        if said is None or want not in said:
            faults.append(f"an edit of {old!r} should be refused ({want}), and planted.py says: {said}")
    if "missing in its new lines" not in (refused(TABLE.format(old="x", new="").replace("PLANTED_REACHED(); ", "")) or ""):
        faults.append("a defect without counters is not refused")
    for fault in faults:
        print(f"style.planted: {fault}", file=sys.stderr)
    return 1 if faults else 0


sys.exit(main())
