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
    body = [[f"`{code}`", name, f"`hc_{handler}`", form.lower(), f"`{i}`", f"`{o}`", f"`{ei}`", f"`{eo}`", callers.lower(), spec]
            for code, name, handler, form, i, o, ei, eo, callers, spec
            in sorted(rows("hv/abi/hypercalls.def", "HYPERCALL"), key=lambda row: int(row[0], 16))]
    return NOTE.format("hv/abi/hypercalls.def") + (
        "# Hypercalls\n\nEvery call that the hypervisor answers. How a call is made and checked: TLFS 3 and "
        "[walks.md](walks.md). Any other code gets\nstatus 2; a caller that the last but one column does not name, "
        "status 6. Sizes are in bytes; elements are those of a rep list. Layouts: hv/abi/tlfs.h.\n\n") + table(
        ["code", "name", "handler", "form", "input", "output", "element in", "element out", "callers", "specification"], body)


def intercepts():
    msrs = [[span(a, b), policy, reason] for a, b, policy, reason in rows("hv/core/msr_list.def", "MSR")]
    ports = [[span(a, b), policy, reason] for a, b, policy, reason in rows("hv/core/port_list.def", "PORT")]
    child = [[span(a, b), policy, f"`{value}`", reason]
             for a, b, policy, value, reason in rows("hv/core/child_msr_list.def", "CHILD_MSR")]
    return NOTE.format("hv/core/msr_list.def, hv/core/child_msr_list.def and hv/core/port_list.def") + (
        "# MSRs and I/O ports\n\nWhat is not listed is denied, counted (`hvctl info`) and logged "
        "(`hvctl dmesg`).\n\n## MSRs of the root\n\nPASS: not intercepted. READ: reads reach the hardware, a write is dropped. "
        "COMMAND: writes reach the hardware, reads fault.\nEMULATE: the hypervisor answers both. All others: #GP.\n\n"
        ) + table(["MSR", "policy", "reason"], msrs) + (
        "\n## MSRs of a child\n\nPASS and EMULATE as above. CONST: reads give the value, writes are dropped and counted. "
        "All others: #GP.\n\n") + table(["MSR", "policy", "value", "reason"], child) + (
        "\n## I/O ports of the root\n\nA child has no port of the machine: what its parent did not ask for reads as ones. "
        "ALLOW: not intercepted, except the bytes of the ACPI PM1 control registers. FILTER: "
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
