#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks every #include against the folder dependencies of tools/rooms.txt.

usage: check_rooms.py [ROOT]      (default: the tree that this script is in)
Exit: 0 all well, 1 findings, 2 wrong usage or a malformed rooms.txt.
"""
import re
import sys
from pathlib import Path

TOP = ("hv", "vbs", "attest", "mitigations", "fuzz", "redteam", "tests")
SUFFIXES = (".c", ".h", ".S", ".def")
C5 = {"stdint.h", "stddef.h", "stdbool.h", "stdatomic.h", "stdarg.h", "stdalign.h", "limits.h"}
# Nobody may include these: they are programs.
LEAVES = ("fuzz", "tests/unit", "tests/system")
INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>|(\S.*))')


class Rooms:
    def __init__(self, text):
        self.allowed, self.flags = {}, {}
        for number, line in enumerate(text.splitlines(), 1):
            line = line.split("#")[0].strip()
            if not line:
                continue
            room, colon, rest = line.partition(":")
            if not colon or room in self.allowed:
                raise ValueError(f"rooms.txt:{number}: want 'room: rooms', each room once")
            words = rest.split()
            self.allowed[room] = {w for w in words if not w.startswith("+")}
            self.flags[room] = {w for w in words if w.startswith("+")}
        for room, targets in self.allowed.items():
            for target in targets - {"*"} - set(self.allowed):
                raise ValueError(f"rooms.txt: {room}: there is no room {target}")
        self._acyclic()

    def _acyclic(self):
        state = {}

        def visit(room, path):
            if state.get(room) == "done":
                return
            if room in path:
                raise ValueError("rooms.txt: a cycle: " + " -> ".join([*path[path.index(room):], room]))
            for target in self.allowed[room] - {"*"}:
                visit(target, [*path, room])
            state[room] = "done"

        for room in self.allowed:
            visit(room, [])

    def of(self, path):
        """(row of rooms.txt, room) of a file; the two differ for rows that end in /*."""
        best = (None, None)
        for row in self.allowed:
            prefix = row[:-2] if row.endswith("/*") else row
            if path != row and not path.startswith(prefix + "/"):
                continue
            room = row
            if row.endswith("/*"):
                inner = path[len(prefix) + 1:].split("/")
                if len(inner) < 2:
                    continue
                room = f"{prefix}/{inner[0]}"
            if best[1] is None or len(room) >= len(best[1]) and not (len(room) == len(best[1]) and best[0] == room):
                best = (row, room)
        return best


def check(root, rooms):
    findings, count = [], 0
    for top in TOP:
        for path in sorted((root / top).rglob("*")):
            if path.suffix not in SUFFIXES or not path.is_file():
                continue
            name = str(path.relative_to(root))
            row, room = rooms.of(name)
            count += 1
            if row is None:
                findings.append(f"{name}: in no room of tools/rooms.txt")
                continue
            for number, line in enumerate(path.read_text().splitlines(), 1):
                found = INCLUDE.match(line)
                if found:
                    text = judge(root, rooms, row, room, *found.groups())
                    if text:
                        findings.append(f"{name}:{number}: {text}")
    if count == 0:
        findings.append(f"{root}: no source files found")
    return findings, count


def judge(root, rooms, row, room, quoted, angled, other):
    flags = rooms.flags[row]
    if other:
        return f"#include {other}: an include must name its file"
    if angled:
        if angled in C5 or "+libc" in flags or ("+linux" in flags and re.match(r"(linux|asm|uapi)/", angled)):
            return None
        if "+mbedtls" in flags and re.match(r"(mbedtls|library)/", angled):
            return None
        return f"<{angled}>: {room} is freestanding"
    if not (root / quoted).is_file():
        return f'"{quoted}": not a path from the root of the tree'
    target_row, target = rooms.of(quoted)
    if target is None:
        return f'"{quoted}": in no room of tools/rooms.txt'
    if target == room:
        return None
    if any(quoted.startswith(leaf + "/") for leaf in LEAVES):
        return f'"{quoted}": nobody may include {target}'
    if "*" in rooms.allowed[row] or target in rooms.allowed[row]:
        return None
    return f'"{quoted}": {room} may not include {target}'


def main(argv):
    if argv and argv[0] in ("-h", "--help"):
        print(__doc__.strip())
        return 0
    if len(argv) > 1:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    root = Path(argv[0]).resolve() if argv else Path(__file__).resolve().parents[1]
    try:
        rooms = Rooms((root / "tools/rooms.txt").read_text())
    except (OSError, ValueError) as e:
        print(f"check_rooms: {e}", file=sys.stderr)
        return 2
    findings, count = check(root, rooms)
    for text in findings:
        print(text)
    print(f"{count} files in {len(rooms.allowed)} rooms: {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
