#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts the hypervisor's lines of code: neither blank nor comment, in what is linked into the image. The limit is for core,
x86, SVM, boot and our side of mbedtls; the parsers that are linked in, and mbedtls, stand beside them.

usage: tcb.py [--limit N]       (default limit 12000)
Exit: 0 within the limit, 1 above it, 2 wrong usage.
"""
import os
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("hv/core", "hv/arch/x86", "hv/arch/svm", "hv/boot", "hv/wire", "attest/core")
TOKEN = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|/\*.*?\*/|//[^\n]*', re.S)


def code_lines(text):
    def blank(match):
        token = match.group(0)
        return token if token[0] in "\"'" else "\n" * token.count("\n") or " "
    return sum(1 for line in TOKEN.sub(blank, text).splitlines() if line.strip())


def not_in_hypervisor():
    """Files of parsers that CMakeLists.txt declares NOT_IN_HYPERVISOR."""
    text = (ROOT / "CMakeLists.txt").read_text()
    calls = re.findall(r"redoubt_parser\(([^)]*)\)", text)
    return {f for call in calls if "NOT_IN_HYPERVISOR" in call for f in re.findall(r"(?:hv/wire|attest/core)/\w+\.c", call)}


def linked(paths):
    """paths without the headers that no source file among them includes, however indirectly."""
    names = {str(p.relative_to(ROOT)): p for p in paths}
    reached, todo = set(), [n for n, p in names.items() if p.suffix != ".h"]
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            todo += [n for n in re.findall(r'#\s*include "([^"]+)"', names[name].read_text()) if n in names]
    return [names[n] for n in sorted(reached)]


def of_others():
    """Texts of the mbedtls sources that hv/crypto includes; none where tools/mbedtls.sh has not been run."""
    cache = Path(os.environ.get("REDOUBT_CACHE", Path.home() / ".cache/redoubt"))
    names = {n for p in (ROOT / "hv/crypto").glob("*.c") for n in re.findall(r"<(library/\w+\.c)>", p.read_text())}
    paths = [p for n in names for p in cache.glob(f"mbedtls-*/{n}")]
    return [p.read_text(errors="replace") for p in paths]


def main(argv):
    limit = 12000
    if argv and argv[0] in ("-h", "--help"):
        print(__doc__.strip())
        return 0
    if len(argv) == 2 and argv[0] == "--limit" and argv[1].isdigit():
        limit = int(argv[1])
    elif argv:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    total, out = 0, not_in_hypervisor()
    found = [p for f in FOLDERS for p in (ROOT / f).glob("*") if p.suffix in (".c", ".h", ".S", ".def")]
    found = linked([p for p in found if str(p.relative_to(ROOT)) not in out])
    for folder in FOLDERS:
        paths = [p for p in found if p.parent == ROOT / folder]
        lines = sum(code_lines(p.read_text()) for p in paths)
        total += lines if folder not in ("hv/wire", "attest/core") else 0
        print(f"{folder:12} {len(paths):4} files {lines:6} lines of code" + (" (parsers)" if folder in ("hv/wire", "attest/core") else ""))
    folder = ROOT / "hv/crypto"
    ours = sum(code_lines(p.read_text()) for p in folder.glob("*.[ch]"))
    total += ours
    print(f"{'hv/crypto':12} {len(list(folder.glob('*.[ch]'))):4} files {ours:6} lines of code")
    library = of_others()
    if library:
        print(f"{'mbedtls':12} {len(library):4} files {sum(map(code_lines, library)):6} lines of code of others, unchanged; "
              "hv/crypto/config.h leaves out what is not used")
    print(f"{'total':12} {'':10} {total:6} (limit {limit})")
    if total == 0:
        print("tcb: nothing counted", file=sys.stderr)
        return 1
    return 1 if total > limit else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
