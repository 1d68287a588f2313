#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Shows that tests notice: breaks each promise of breaks.py on purpose, in a copy of the tree, and runs its test.

    broken.py                 all that has no result yet for this state of the tree
    broken.py --only REGEX    those whose "ITEM PROMISE TEST" matches
    broken.py --again         also those that have a result
    broken.py --write         writes docs/tests-that-fail.md from the results

First each test has to pass in the unbroken copy; then it has to fail once for each edit, and the edit has to compile. Copy,
build and results are in --folder (build/broken), so that an interrupted run goes on where it was.
Exit status: 0 every break was noticed, 1 one was not, 2 wrong use or set-up.
"""

import argparse
import datetime
import hashlib
import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from breaks import BREAKS

REPO = Path(__file__).resolve().parent.parent.parent
PAGE = REPO / "docs" / "tests-that-fail.md"
ITEMS = {1: "partitions in the hypervisor", 2: "scheduler", 3: "redoubt.ko", 4: "processes", 5: "VMBus", 6: "disk",
         7: "network", 8: "services", 9: "hvctl and the manager",
         10: "a guest's own report"}
UNIT_TIME, BUILD_TIME, GUEST_TIME = 300, 1800, 1500
SERIES = "6.1"          # the root of the guest tests below


class BrokenError(Exception):
    """Set-up or table is wrong: nothing can be said of the tests."""


def run(words, cwd, limit, log):
    """(good, output); a command that does not end counts as bad."""
    with open(log, "w") as out:
        try:
            done = subprocess.run([str(w) for w in words], cwd=cwd, stdout=out, stderr=subprocess.STDOUT, timeout=limit)
            good = done.returncode == 0
        except subprocess.TimeoutExpired:
            out.write(f"\nno end within {limit} s\n")
            good = False
    return good, Path(log).read_text(errors="replace")


class Tree:
    """The copy: sources as git knows them, with this working tree's changes, and its builds."""

    def __init__(self, folder):
        self.folder, self.source, self.build = folder, folder / "tree", folder / "tree" / "build"
        self.log = folder / "last.log"
        folder.mkdir(parents=True, exist_ok=True)

    def refresh(self):
        """Brings the copy up to date without touching files that are the same, so that little is built again."""
        names = subprocess.run(["git", "ls-files", "-z"], cwd=REPO, check=True, capture_output=True).stdout.decode()
        known = [n for n in names.split("\0") if n and (REPO / n).is_file()]
        wanted = set(known)
        tops = [t for t in self.source.glob("*") if t.name != "build"]
        for old in (f for t in tops for f in ([t] if t.is_file() else t.rglob("*"))):
            if old.is_file() and str(old.relative_to(self.source)) not in wanted:
                old.unlink()
        for name in known:
            to, data = self.source / name, (REPO / name).read_bytes()
            if not to.is_file() or to.read_bytes() != data:
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(REPO / name, to)
                to.touch()

    def configure(self):
        for preset, words in (("hv", ()), ("host", (f"-DREDOUBT_PRODUCT={self.build / 'hv'}", "-DREDOUBT_SYSTEM=none"))):
            good, text = run(["cmake", "--preset", preset, "-B", self.build / preset, *words], self.source, BUILD_TIME, self.log)
            if not good:
                raise BrokenError(f"configuration of {preset}: {text[-500:]}")

    def ninja(self, preset, *targets):
        return run(["ninja", "-j2", "-C", self.build / preset, *targets], self.source, BUILD_TIME, self.log)

    def module(self):
        out = self.build / "hv" / "module" / SERIES
        good, text = run(["hv/root/build.sh", SERIES, out / "redoubt"], self.source, BUILD_TIME, self.log)
        if good:
            shutil.copy2(out / "redoubt" / "redoubt.ko", out / "redoubt.ko")
        return good, text

    def make(self, test):
        """Builds what a test needs."""
        kind, name = test.split(":", 1)
        if kind == "unit":
            return self.ninja("host", "unit_" + name.replace(".", "_"))
        if kind == "replay":
            return self.ninja("host", "replay_" + name)
        if name.startswith("style."):
            return True, ""
        good, text = self.ninja("hv")
        if good and kind == "guest":
            good, text = self.module()
        return good, text

    def check(self, test):
        """Runs a test: (passed, the line that says what it saw)."""
        kind, name = test.split(":", 1)
        if kind == "unit":
            words, limit = [self.build / "host" / ("unit_" + name.replace(".", "_"))], UNIT_TIME
        elif kind == "guest":
            words = [sys.executable, "tests/system/run_tests.py", "--build", self.build / "hv", "--only", name]
            limit = GUEST_TIME
        else:
            name = f"replay.{name}" if kind == "replay" else name
            words = ["ctest", "--test-dir", self.build / "host", "--output-on-failure", "--no-tests=error", "-R", f"^{re.escape(name)}$"]
            limit = UNIT_TIME
        good, text = run(words, self.source, limit, self.log)
        return good, told(text)


def told(text):
    """What a test said of its failure, in a few words."""
    for pattern in (r"^FAIL +(\S+ \S+)", r"^\[  FAILED  \] (\S+)$", r"^(ERROR: \w+Sanitizer: \S+)", r"^FAIL (.*)", r"(no end within .*)",
                    r"runtime error: (.*)"):
        found = re.search(pattern, text, re.M)
        if found:
            return found.group(1)[:80]
    return text.strip().splitlines()[-1][:80] if text.strip() else "nothing"


def key_of(row):
    """Changes when the break changes; --again repeats those whose sources have."""
    return f"{row[0]}/{row[1]}/{hashlib.sha256(repr(row).encode()).hexdigest()[:16]}"


def find(tree, row):
    path = tree.source / row[2]
    before = path.read_text()
    if before.count(row[3]) != 1:
        raise BrokenError(f"breaks.py: {row[1]}: its text is in {row[2]} {before.count(row[3])} times, not once")
    return path, before


def one(tree, row):
    """Breaks, builds, tests, mends."""
    path, before = find(tree, row)
    try:
        path.write_text(before.replace(row[3], row[4]))
        good, text = tree.make(row[5])
        if not good:
            errors = re.findall(r"error: .*", text) or [text[-200:]]
            return "does not compile", errors[0][:120]
        passed, said = tree.check(row[5])
        return ("NOT NOTICED", "") if passed else ("noticed", said)
    finally:
        path.write_text(before)


def whole(tree, rows, results):
    """Every test passes in the unbroken copy: a test that always fails notices nothing."""
    for test in dict.fromkeys(r[5] for r in rows):
        key = "whole/" + test + "/" + hashlib.sha256("".join(key_of(r) for r in rows if r[5] == test).encode()).hexdigest()[:16]
        if results.get(key, {}).get("verdict") == "passes":
            continue
        good, text = tree.make(test)
        good, said = tree.check(test) if good else (False, text[-200:])
        results[key] = {"verdict": "passes" if good else "fails", "said": said}
        print(f"{'passes' if good else 'FAILS'}: {test}", flush=True)
        if not good:
            print(f"      | {said}", flush=True)
    return {r[5]: any(k.startswith("whole/" + r[5] + "/") and v["verdict"] == "passes" for k, v in results.items()) for r in rows}


def save(folder, results):
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")


def write_page(results):
    lines = ["# Tests that fail when what they test is broken", "",
             "Made by `tests/system/broken.py --write` from `tests/system/breaks.py`: each promise of the guests' side, the file in which",
             "it was broken on purpose, and the test that noticed. Each test passed in the unbroken tree before. The edits are in",
             "`breaks.py`; `tests/system/broken.py` repeats it (an hour, a few minutes without the guests).", ""]
    missing = [r for r in BREAKS if key_of(r) not in results]
    dates = sorted({v["date"] for v in results.values() if "date" in v})
    noticed = sum(1 for r in BREAKS if results.get(key_of(r), {}).get("verdict") == "noticed")
    lines += [f"{noticed} of {len(BREAKS)} were noticed, {' to '.join(dict.fromkeys((dates[0], dates[-1])))}; {len(missing)} have not been run.", ""]
    for item, title in ITEMS.items():
        lines += [f"## {title}", "", "| promise | broken in | test | result |", "| --- | --- | --- | --- |"]
        for row in (r for r in BREAKS if r[0] == item):
            v = results.get(key_of(row), {"verdict": "not run", "said": ""})
            said = re.sub(r"/\S*/tree/", "", v["said"]).replace("|", "/")
            lines.append(f"| {row[1]} | `{row[2]}` | `{row[5].replace('|', '/')}` | {v['verdict']}{': ' + said if said else ''} |")
        lines.append("")
    PAGE.write_text("\n".join(lines).rstrip() + "\n")
    print(f"{PAGE}: {noticed} of {len(BREAKS)} noticed, {len(missing)} not run")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--only", metavar="REGEX", default="", help='those whose "ITEM PROMISE TEST" matches')
    p.add_argument("--again", action="store_true", help="also those that have a result")
    p.add_argument("--write", action="store_true", help="writes docs/tests-that-fail.md and runs nothing")
    p.add_argument("--folder", type=Path, default=REPO / "build" / "broken", help="copy, builds and results (build/broken)")
    a = p.parse_args()
    folder = a.folder.resolve()
    stored = folder / "results.json"
    results = json.loads(stored.read_text()) if stored.is_file() else {}
    if a.write:
        write_page(results)
        return 0
    rows = [r for r in BREAKS if re.search(a.only, f"{r[0]} {r[1]} {r[5]}")
            and (a.again or results.get(key_of(r), {}).get("verdict") != "noticed")]
    tree, bad, start = Tree(folder), 0, time.monotonic()
    print(f"{len(rows)} breaks; copy and results in {folder}", flush=True)
    try:
        tree.refresh()
        tree.configure()
        for row in rows:            # the table first: a text that is gone costs nothing
            find(tree, row)
        ready = whole(tree, rows, results)
        save(folder, results)
        for row in rows:
            verdict, said = one(tree, row) if ready[row[5]] else ("its test fails unbroken", "")
            bad += verdict != "noticed"
            results[key_of(row)] = {"verdict": verdict, "said": said, "date": datetime.date.today().isoformat()}
            save(folder, results)
            print(f"{verdict}: {row[0]} {row[1]} [{row[5]}] {said}", flush=True)
    except (BrokenError, OSError, subprocess.CalledProcessError) as e:
        print(f"broken: {e}", file=sys.stderr)
        return 2
    print(f"{len(rows) - bad} of {len(rows)} noticed in {(time.monotonic() - start) / 60:.1f} minutes")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
