#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Which fuzz targets a change touches: for tools/fuzz/fuzz.py."""
import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INCLUDE = re.compile(r'^\s*#\s*include "([^"]+)"', re.M)
# A change of these may change every target.
ALL = ("CMakeLists.txt", "mitigations/build/hardening.cmake", "tools/cmake/parsers.cmake", "tools/cmake/engines.cmake", "fuzz/replay_main.c")


def git(*words):
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def base(since=None):
    """The commit that a change is measured from, or None: there is no history."""
    if since or os.environ.get("REDOUBT_CI_BASE"):
        return since or os.environ["REDOUBT_CI_BASE"]
    head = git("rev-parse", "HEAD")
    for main in ("origin/main", "main"):
        where = git("merge-base", "HEAD", main)
        if where and where != head:
            return where
    return git("rev-parse", "--verify", "-q", "HEAD~1")


def inputs(target, known):
    """Files of which the target is made, with what they include."""
    todo = [target["harness"], *target["sources"], *target["with"]]
    if any(s.startswith("hv/core/") for s in target["sources"]):
        todo += [str(p.relative_to(ROOT)) for folder in ("hv/core", "hv/arch/fake") for p in (ROOT / folder).glob("*.c")]
    seen = set()
    while todo:
        name = todo.pop()
        if name in seen or not (ROOT / name).is_file():
            continue
        seen.add(name)
        if name not in known:
            known[name] = INCLUDE.findall((ROOT / name).read_text(errors="replace"))
        todo += known[name]
    return seen


def changed(targets, since=None, names=None):
    """(the base, targets that changed since then, with what is not committed yet). Without history: all."""
    start = base(since)
    if names is None:
        told = git("diff", "--name-only", start) if start else None
        if told is None:
            return start or "the beginning", targets
        names = {*told.split("\n"), *(git("ls-files", "--others", "--exclude-standard") or "").split("\n")}
    if any(n in names for n in ALL):
        return start, targets
    known = {}
    return start, [t for t in targets if any(n.startswith(t["corpus"] + "/") for n in names) or names & inputs(t, known)]
