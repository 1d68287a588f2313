#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Line and branch coverage of the parsers by the committed corpus alone: for tools/fuzz/fuzz.py."""
import json
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
    """Counts of one source file: {line: times run}, {(line, number): times taken}, {first line: function}, {line: [conditions]}.

    The branches 2n and 2n + 1 of a line are its condition n, true and false."""
    name: str
    lines: dict = field(default_factory=dict)
    branches: dict = field(default_factory=dict)
    functions: dict = field(default_factory=dict)
    conditions: dict = field(default_factory=dict)

    def figures(self):
        """(lines run, lines, branches taken, branches)"""
        return (sum(n > 0 for n in self.lines.values()), len(self.lines), sum(n > 0 for n in self.branches.values()), len(self.branches))

    def uncovered(self):
        return [n for n, count in sorted(self.lines.items()) if count == 0]

    def untaken(self):
        """[(line, "condition is never true")] in lines that are run: a condition that a macro hides is named by its number."""
        found = []
        for (line, which), count in sorted(self.branches.items()):
            if count == 0 and self.lines.get(line, 1):
                here = self.conditions.get(line, [])
                whole = 2 * len(here) == sum(n == line for n, _ in self.branches)
                condition = here[which // 2] if whole else f"condition {which // 2 + 1}"
                found.append((line, f"{condition} is never {'false' if which % 2 else 'true'}"))
        return found

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
    words = [f"-instr-profile={profile}", *words, *(str(ROOT / s) for s in sources)]
    text = run("llvm-cov-16", "export", "-format=lcov", *words)
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
    places = json.loads(run("llvm-cov-16", "export", "-skip-functions", "-skip-expansions", *words))["data"][0]["files"]
    for f in places:
        name = str(Path(f["filename"]).relative_to(ROOT))
        if name in found:
            name_branches(found[name], (ROOT / name).read_text().splitlines(), f["branches"])
    return {s: found[s] for s in sources if s in found}


def name_branches(f, text, branches):
    """Gives the branches their conditions' text; one that was compiled twice, in two objects or copies, is one and counts for both. In a
    line with conditions that a macro hides they keep their numbers."""
    lines = {}
    for first, start, last, end, yes, no, *_ in branches:
        rows = text[first - 1:last]
        rows[-1] = rows[-1][:end - 1]
        rows[0] = rows[0][start - 1:]
        here = lines.setdefault(first, {}).setdefault((start, last, end), [" ".join(" ".join(rows).split()), 0, 0, 0])
        here[1:] = here[1] + yes, here[2] + no, here[3] + 1
    for line, here in lines.items():
        numbers = [key for key in f.branches if key[0] == line]
        if len(numbers) == 2 * sum(times for *_, times in here.values()):
            for key in numbers:
                del f.branches[key]
            f.conditions[line] = []
            for place in sorted(here):
                what, yes, no, _ = here[place]
                n = 2 * len(f.conditions[line])
                f.branches |= {(line, n): yes, (line, n + 1): no}
                f.conditions[line].append(what)


def parsers(target):
    """What the target is for: the parser, and the product's programs beside it that use it."""
    return [*target["sources"], *(s for s in target.get("with", ()) if s.startswith(("hv/host/", "attest/")))]


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
    """[(file, what, reason, number of the line)]; each line of the file is `file | what | reason`. What: function(), the text of a line,
    * for the whole file, or a condition with "is never true" or "is never false"; "function(): " before that one means it there alone."""
    found = []
    path = Path(root) / REASONS
    for number, line in enumerate(path.read_text().splitlines() if path.is_file() else [], 1):
        if line.strip() and not line.startswith("#"):
            words = [w.strip() for w in re.split(r"\s\|\s", line)]
            if len(words) != 3 or not all(words):
                sys.exit(f"{REASONS}:{number}: not 'file | function(), a line's text, *, or CONDITION is never true | reason': {line}")
            found.append((*words, number))
    return found


def explain(files, entries, root=ROOT):
    """Lines and branches that nothing reaches, with their reason: [(file, line, text, reason or None)] of lines, the same of branches in
    lines that are run, and [stale entries]."""
    lines, branches, used = [], [], set()
    for name, f in sorted(files.items()):
        text = (Path(root) / name).read_text().splitlines()
        mine = [e for e in entries if e[0] == name]

        def told(n, what, also=(), name=name, f=f, mine=mine):
            match = [e for e in mine if e[1] in ("*", what, f"{f.function(n)}()", *also)]
            used.update(match)
            return name, n, what, match[0][2] if match else None

        lines += [told(n, text[n - 1].strip()) for n in f.uncovered()]
        branches += [told(n, what, [f"{f.function(n)}(): {what}"]) for n, what in f.untaken()]
    stale = [f"{REASONS}:{e[3]}: {e[0]}: '{e[1]}' is covered or gone: delete the entry" for e in entries if e[0] in files and e not in used]
    return lines, branches, stale + [f"{REASONS}:{e[3]}: no fuzz target has {e[0]}" for e in entries if not (Path(root) / e[0]).is_file()]


def excused(files, entries, root=ROOT):
    """{file: [lines, branches] with a reason}: the branches of such a line, too."""
    found = {}
    lines, branches, _ = explain(files, entries, root)
    for name, n, _, reason in lines:
        if reason:
            here = found.setdefault(name, [0, 0])
            here[0] += 1
            here[1] += sum(line == n for line, _ in files[name].branches)
    for name, _, _, reason in branches:
        if reason:
            found.setdefault(name, [0, 0])[1] += 1
    return found


def below(files, targets, without=None):
    """What does not meet the aims. without: {file: [lines, branches] that have a reason}; they do not count, but in hv/core."""
    named = {s for t in targets for s in parsers(t)}
    found = []
    for name, f in sorted(files.items()):
        if name in named and not name.startswith("hv/core/"):
            lines, all_lines, branches, all_branches = f.figures()
            given = (without or {}).get(name, (0, 0))
            all_lines, all_branches = all_lines - given[0], all_branches - given[1]
            for what, part, whole, aim in (("lines", lines, all_lines, PARSER[0]), ("branches", branches, all_branches, PARSER[1])):
                if percent(part, whole) < aim:
                    found.append(f"{name}: {percent(part, whole):.1f} % of {what}, wanted {aim:.0f} %: add inputs to its corpus "
                                 f"(tools/dev fuzz --merge NAME; tools/dev fuzz coverage lists what is left)")
    core = totals(f for n, f in files.items() if n.startswith("hv/core/"))
    if percent(core[0], core[1]) < CORE[0]:
        found.append(f"hv/core: {percent(core[0], core[1]):.1f} % of lines, wanted {CORE[0]:.0f} %")
    return found
