#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes docs/hypercalls.md and docs/intercepts.md from the tables that the hypervisor is built from.

usage: gen_docs.py [--check]
  --check   writes nothing; exit 1 if a page differs from what its table says

Exit: 0 done or equal, 1 a page is stale, 2 wrong usage, 3 a table has a line that is not a row.
"""
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
COMMENT = re.compile(r"/\*.*?\*/", re.S)
NOTE = "<!-- Made by tools/gen_docs.py from {}; do not edit: change the table and run it again. -->\n"


def rows(name, macro, text=None):
    """The fields of each MACRO(...) line of a .def file, as written there."""
    found = []
    for line in COMMENT.sub("", text if text is not None else (ROOT / name).read_text()).splitlines():
        if not line.strip():
            continue
        row = re.fullmatch(macro + r'\((.*), "(.*)"\)', line.strip())
        if not row:
            print(f"gen_docs: {name}: not a row of {macro}: {line.strip()}", file=sys.stderr)
            sys.exit(3)
        found.append([*(field.strip() for field in row.group(1).split(",")), row.group(2)])
    return found


def table(head, body):
    return "\n".join(["| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *body]]) + "\n"


def span(first, last):
    return " to ".join(f"`{int(n, 16):#x}`" for n in dict.fromkeys((first, last)))


def hypercalls():
    body = [[f"`{code}`", name, f"`hc_{handler}`", form.lower(), f"`{i}`", f"`{o}`", callers.lower(), spec]
            for code, name, handler, form, i, o, callers, spec in rows("hv/abi/hypercalls.def", "HYPERCALL")]
    return NOTE.format("hv/abi/hypercalls.def") + (
        "# Hypercalls\n\nEvery call that the hypervisor answers. How a call is made and checked: TLFS 3 and "
        "[walks.md](walks.md). Any other code gets\nstatus 2; a caller that the last but one column does not name, "
        "status 6. Sizes are in bytes.\n\n") + table(
        ["code", "name", "handler", "form", "input", "output", "callers", "specification"], body)


def intercepts():
    msrs = [[span(a, b), policy, reason] for a, b, policy, reason in rows("hv/core/msr_list.def", "MSR")]
    ports = [[span(a, b), policy, reason] for a, b, policy, reason in rows("hv/core/port_list.def", "PORT")]
    return NOTE.format("hv/core/msr_list.def and hv/core/port_list.def") + (
        "# MSRs and I/O ports of the root\n\nWhat is not listed is denied, counted (`hvctl info`) and logged "
        "(`hvctl dmesg`).\n\n## MSRs\n\nPASS: not intercepted. READ: reads reach the hardware, a write is dropped. "
        "COMMAND: writes reach the hardware, reads fault.\nEMULATE: the hypervisor answers both. All others: #GP.\n\n"
        ) + table(["MSR", "policy", "reason"], msrs) + (
        "\n## I/O ports\n\nALLOW: not intercepted, except the bytes of the ACPI PM1 control registers. FILTER: "
        "`hv/core/port.c` looks at each access.\nOthers below `0x1000`: reads give all ones, writes are dropped. From "
        "`0x1000` on ports belong to PCI devices: allowed.\n\n") + table(["port", "policy", "reason"], ports)


def main(words):
    if words not in ([], ["--check"]):
        print(__doc__.strip())
        return 0 if words in (["-h"], ["--help"]) else 2
    stale = 0
    for name, text in (("docs/hypercalls.md", hypercalls()), ("docs/intercepts.md", intercepts())):
        if not words:
            (ROOT / name).write_text(text)
        elif not (ROOT / name).is_file() or (ROOT / name).read_text() != text:
            print(f"{name} is stale: run tools/gen_docs.py")
            stale = 1
    return stale


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
