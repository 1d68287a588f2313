#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Line and branch coverage of the parsers by the committed corpus alone: for tools/fuzz/fuzz.py."""
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REASONS = "fuzz/uncovered.txt"
# Percent of lines and of branches: of each parser's file; of the core in all.
PARSER, CORE = (95.0, 90.0), (90.0, None)


@dataclass
class File:
    """Counts of one source file: {line: times run}, {(line, number): times taken}, {first line: function}."""
    name: str
    lines: dict = field(default_factory=dict)
    branches: dict = field(default_factory=dict)
    functions: dict = field(default_factory=dict)

    def figures(self):
        """(lines run, lines, branches taken, branches)"""
        return (sum(n > 0 for n in self.lines.values()), len(self.lines), sum(n > 0 for n in self.branches.values()), len(self.branches))

    def uncovered(self):
        return [n for n, count in sorted(self.lines.items()) if count == 0]

    def function(self, line):
        start = max((n for n in self.functions if n <= line), default=None)
        return self.functions.get(start, "")


def percent(part, whole):
    return 100.0 * part / whole if whole else 100.0


def totals(files):
    return [sum(column) for column in zip(*(f.figures() for f in files))] or [0, 0, 0, 0]


def run(*words, **more):
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, **more)
    if done.returncode:
        sys.exit(f"fuzz: {Path(words[0]).name} failed ({done.returncode}): {(done.stderr or done.stdout)[-2000:]}")
    return done.stdout


def replay(target, folder, corpora=None):
    """Replays the target's corpus and answers its profile."""
    raw, merged = f"{folder}/{target['name']}.raw", f"{folder}/{target['name']}.profile"
    run(str(ROOT / target["cov"]), *(corpora or [str(ROOT / target["corpus"])]), env=os.environ | {"LLVM_PROFILE_FILE": raw})
    run("llvm-profdata-16", "merge", "-sparse", raw, "-o", merged)
    os.unlink(raw)
    return merged


def read(programs, profile, sources):
    """{name: File} of the sources, as the programs and the profile have them."""
    words = [str(ROOT / programs[0]), *(w for p in programs[1:] for w in ("-object", str(ROOT / p)))]
    text = run("llvm-cov-16", "export", "-format=lcov", f"-instr-profile={profile}", *words, *(str(ROOT / s) for s in sources))
    found, now = {}, None
    for line in text.splitlines():
        word, _, rest = line.partition(":")
        if word == "SF":
            now = found.setdefault(str(Path(rest).relative_to(ROOT)), File(str(Path(rest).relative_to(ROOT))))
        elif word == "FN":
            first, name = rest.split(",", 1)
            now.functions[int(first)] = name.rsplit(":", 1)[-1]
        elif word == "DA":
            n, count = rest.split(",")[:2]
            now.lines[int(n)] = now.lines.get(int(n), 0) + int(count)
        elif word == "BRDA":
            n, _, which, taken = rest.split(",")
            key = (int(n), int(which))
            now.branches[key] = now.branches.get(key, 0) + (0 if taken == "-" else int(taken))
    return {s: found[s] for s in sources if s in found}


def own(target):
    """{name: File}: the target's own sources by its own corpus."""
    with tempfile.TemporaryDirectory() as folder:
        return read([target["cov"]], replay(target, folder), target["sources"])


def together(targets, sources, progress=lambda what: None):
    """{name: File} of the sources by all targets together."""
    with tempfile.TemporaryDirectory() as folder:
        profiles = []
        for target in targets:
            progress(f"replaying {target['name']}")
            profiles.append(replay(target, folder))
        run("llvm-profdata-16", "merge", "-sparse", *profiles, "-o", f"{folder}/all")
        progress("reading the counts")
        return read([t["cov"] for t in targets], f"{folder}/all", sources)


# --- reasons for what no input reaches -------------------------------------------------------------------------------

def reasons(root=ROOT):
    """[(file, what, reason, number of the line)]; each line of the file is `file | function(), a line's text, or * | reason`."""
    found = []
    path = Path(root) / REASONS
    for number, line in enumerate(path.read_text().splitlines() if path.is_file() else [], 1):
        if line.strip() and not line.startswith("#"):
            words = [w.strip() for w in re.split(r"\s\|\s", line)]
            if len(words) != 3 or not all(words):
                sys.exit(f"{REASONS}:{number}: not 'file | function(), a line's text, or * | reason': {line}")
            found.append((*words, number))
    return found


def explain(files, entries, root=ROOT):
    """Uncovered lines with their reason: [(file, line, text, reason or None)], and [stale entries]."""
    told, used = [], set()
    for name, f in sorted(files.items()):
        text = (Path(root) / name).read_text().splitlines()
        mine = [e for e in entries if e[0] == name]
        for n in f.uncovered():
            line = text[n - 1].strip()
            match = [e for e in mine if e[1] in ("*", line, f"{f.function(n)}()")]
            used.update(match)
            told.append((name, n, line, match[0][2] if match else None))
    stale = [f"{REASONS}:{e[3]}: {e[0]}: '{e[1]}' is covered or gone: delete the entry" for e in entries if e[0] in files and e not in used]
    return told, stale + [f"{REASONS}:{e[3]}: no fuzz target has {e[0]}" for e in entries if not (Path(root) / e[0]).is_file()]


def below(files, targets):
    """What does not meet the aims."""
    parsers = {s for t in targets for s in t["sources"]}
    found = []
    for name, f in sorted(files.items()):
        if name in parsers and not name.startswith("hv/core/"):
            lines, all_lines, branches, all_branches = f.figures()
            for what, part, whole, aim in (("lines", lines, all_lines, PARSER[0]), ("branches", branches, all_branches, PARSER[1])):
                if percent(part, whole) < aim:
                    found.append(f"{name}: {percent(part, whole):.1f} % of {what}, wanted {aim:.0f} %: add inputs to its corpus "
                                 f"(tools/dev fuzz --merge NAME; tools/dev fuzz coverage lists the lines)")
    core = totals(f for n, f in files.items() if n.startswith("hv/core/"))
    if percent(core[0], core[1]) < CORE[0]:
        found.append(f"hv/core: {percent(core[0], core[1]):.1f} % of lines, wanted {CORE[0]:.0f} %")
    return found
