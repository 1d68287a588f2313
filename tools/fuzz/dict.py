#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A fuzz dictionary out of a table of the product: the numbers that its rows answer to, as a guest would write them.

usage: dict.py TABLE.def OUT.dict

hypercalls.def gives the codes of the hypercalls, 2 bytes each; tables of MSRs give the first and last number of each row, 4 bytes each.
Little-endian. Exit: 0 written, 1 the table has no rows, 2 wrong usage.
"""
import re
import sys
from pathlib import Path

KINDS = {"HYPERCALL": (2, 1), "MSR": (4, 2), "CHILD_MSR": (4, 2)}  # row: bytes of a number, numbers of a row


def main(table, out):
    tokens = {}
    for kind, words in re.findall(r"^(\w+)\((0x\w+, \w+)", Path(table).read_text(), re.M):
        size, count = KINDS.get(kind, (0, 0))
        for word in words.split(", ")[:count]:
            number = int(word, 16)
            tokens[number.to_bytes(size, "little")] = f"{kind.lower()}_{number:x}"
    if not tokens:
        sys.exit(f"dict.py: {table}: no row of {', '.join(KINDS)}")
    escaped = {token: "".join(f"\\x{b:02x}" for b in token) for token in tokens}
    Path(out).write_text(f"# SPDX-License-Identifier: MIT\n# Generated from {Path(table).name} by tools/fuzz/dict.py.\n"
                         + "".join(f'{name}="{escaped[token]}"\n' for token, name in tokens.items()))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    main(*sys.argv[1:])
