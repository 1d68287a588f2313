#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A process that serves a guest asks for at most 15 different system calls once it runs, by its own policy."""
import shutil
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from tree import ROOT, report

sys.path.insert(0, str(ROOT / "tools"))

import surface_sources  # noqa: E402 pylint: disable=wrong-import-position

MOST = 15
SERVING = {"vmworker", "storvsp", "netvsp", "ic", "console", "vswitch"}  # these at least


def system_calls(root):
    """process -> names of its system calls; an ioctl counts once, whatever its requests."""
    found = defaultdict(set)
    for element in surface_sources.system_calls(surface_sources.Tree(root)):
        if element.kind == "system-call":
            process, call = element.name.split(" ")[:2]
            found[process].add(call)
    return found


def too_many(found):
    return [f"{process}: {len(calls)} system calls, at most {MOST}: {' '.join(sorted(calls))}"
            for process, calls in sorted(found.items()) if process != "attestd" and len(calls) > MOST]  # it serves no guest's device


def self_test():
    """Rules that are added to one policy are counted."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("hv/host", "mitigations/sandbox"):
            shutil.copytree(ROOT / name, Path(folder, name))
        policy = Path(folder, "hv/host/ic/policy.c")
        more = "".join(f"\t{{ __NR_{c}, -1, 0, 0, \"x\" }},\n" for c in ("open", "pipe", "dup", "fork", "kill", "chdir", "link", "rmdir"))
        policy.write_text(policy.read_text().replace("\t{ SANDBOX_END", more + "\t{ SANDBOX_END"))
        found = too_many(system_calls(Path(folder)))
    return [] if len(found) == 1 and found[0].startswith("ic: 16 ") else [f"self-test: 16 system calls of ic: {found}"]


FOUND = system_calls(ROOT)
FINDINGS = too_many(FOUND) or self_test()
FINDINGS += [f"{p}: no policy was found" for p in sorted(SERVING - FOUND.keys())]
report(len(FOUND), "processes", FINDINGS)
