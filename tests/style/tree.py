# SPDX-License-Identifier: MIT
"""The source tree as the style checks see it."""
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOPS = (".ci", ".clusterfuzzlite", "attest", "docs", "fuzz", "hv", "mitigations", "redteam", "tests", "tools", "vbs")


def files(*suffixes, under=TOPS):
    """(name relative to the root, path) of each file with one of the suffixes; of top-level files too for all TOPS."""
    found = [] if under is not TOPS else [p for p in ROOT.iterdir() if p.is_file()]
    for top in under:
        found += [p for p in (ROOT / top).rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    return [(str(p.relative_to(ROOT)), p) for p in sorted(found) if not suffixes or p.name.endswith(suffixes)]


def report(count, noun, findings):
    """Prints the verdict and ends the program. A check that examined nothing has failed."""
    for text in findings:
        print(f"FAIL {text}")
    if count == 0:
        print(f"FAIL no {noun} found: the check examined nothing")
    print(f"{count} {noun}, {len(findings)} findings")
    sys.exit(1 if findings or count == 0 else 0)
