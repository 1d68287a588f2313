#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""System tests: boots emulated machines with Redoubt and checks the root from inside.

    run_tests.py                     a subset that covers each kernel, machine and boot way, and the attacks of redteam/
    run_tests.py --all               the whole matrix, bad input, reboots and the 10-minute soaks
    run_tests.py --only q35          cases or tests whose "CASE TEST" matches a regex
    run_tests.py --bare              the same root checks without the hypervisor (proves the harness)

Each test prints one line as it ends. Serial logs: <build>/system-logs/.
Exit status: 0 all passed (or were skipped), 1 something failed or nothing ran, 2 wrong use or set-up.
"""

import argparse
import json
import re
import signal
import sys
import time

import attacks
import attestcase
import badinput
import cases
import debian_case
import fuzzhost
import guestcase
import images
import machine as mc
import rootcase
from product import Product


RUNNERS = {cases.Case: rootcase, guestcase.GuestCase: guestcase, attacks.Attacks: attacks,
           debian_case.DebianCase: debian_case, attestcase.AttestCase: attestcase, fuzzhost.FuzzHost: fuzzhost}


class Reporter:
    """Prints results as they come and keeps them for the summary."""

    def __init__(self, as_json):
        self.out = sys.stderr if as_json else sys.stdout
        self.results = []

    def note(self, text):
        print(text, file=self.out, flush=True)

    def result(self, status, case, test, seconds, detail=""):
        self.results.append({"status": status, "case": case, "test": test,
                             "seconds": round(seconds, 2), "detail": detail})
        shown = f"SKIP ({detail.splitlines()[0]})" if status == "SKIP" else status
        line = f"{shown:5} {case} {test}  {seconds:.1f} s"
        if status == "PASS" and detail:
            line += f"  {detail.splitlines()[0]}"
        print(line, file=self.out, flush=True)
        if status == "FAIL":
            for text in detail.splitlines():
                print(f"      | {text}", file=self.out, flush=True)

    def skip_rest(self, case, tests, why):
        """The tests of a case that were not reached: each is counted, one line tells of them."""
        for t in tests:
            self.results.append({"status": "SKIP", "case": case, "test": t, "seconds": 0, "detail": why})
        self.note(f"SKIP ({why}) {case}: {' '.join(tests)}")

    def count(self, status):
        return sum(1 for r in self.results if r["status"] == status)


def select(all_cases, pattern, run_all):
    """[(case, names of tests to report)]; the pattern is searched in 'CASE TEST'."""
    chosen = []
    for case in all_cases:
        if not run_all and not pattern and not case.default:
            continue
        tests = case.tests()
        if pattern:
            hit = [t for t in tests if re.search(pattern, f"{case.name} {t}")]
            if not hit:
                continue
            tests = [t for t in tests if t in hit or t == "boot"]
        chosen.append((case, tests))
    return chosen


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--all", action="store_true", help="the whole matrix (about two hours)")
    p.add_argument("--list", action="store_true", help="print the tests that would run, and run none")
    p.add_argument("--only", metavar="REGEX", help="of all tests, those whose 'CASE TEST' matches")
    p.add_argument("--json", action="store_true", help="results as JSON on standard output, progress on standard error")
    p.add_argument("--build", help="build folder (default: build)")
    p.add_argument("--bare", action="store_true", help="without the hypervisor")
    p.add_argument("--soak", type=int, metavar="SECONDS", help="another length for every soak")
    p.add_argument("--verbose", action="store_true", help="show the serial port while it runs")
    a = p.parse_args()
    mc.stop_on_signals()
    try:
        if a.only:
            re.compile(a.only)
    except re.error as e:
        p.error(f"--only {a.only}: {e}")
    if a.soak is not None and not 1 <= a.soak <= 86400:
        p.error("--soak wants 1 to 86400 seconds")

    try:
        groups = [*cases.matrix(a.bare), *guestcase.matrix(a.bare), *attacks.matrix(a.bare),
                  *debian_case.matrix(a.bare), *attestcase.matrix(a.bare), *fuzzhost.matrix(a.bare)]
    except (attacks.ScoreboardError, OSError) as e:
        print(f"run_tests: {e}", file=sys.stderr)
        return 2
    chosen = select(groups, a.only, a.all)
    bad = [] if a.bare else [
        b for b in cases.BAD
        if (re.search(a.only, f"bad-input {b.name}") if a.only else a.all or b.default)]
    total = sum(len(t) for _, t in chosen) + len(bad)
    if total == 0:
        print("run_tests: no test matches", file=sys.stderr)
        return 1
    if a.list:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)    # a pager that was left ends it
        for case, tests in chosen:
            for t in tests:
                print(f"{case.name} {t}")
        for b in bad:
            print(f"bad-input {b.name}")
        return 0

    rep = Reporter(a.json)
    start = time.monotonic()
    product = Product(a.build)
    try:
        if not a.bare:
            product.hv()
        rep.note(f"{total} tests in {len(chosen) + len(bad)} boots; serial logs in {product.logs()}")
        for case, tests in chosen:
            runner = RUNNERS[type(case)]
            runner.run(case, tests, product, rep, soak=a.soak, verbose=a.verbose)
        for b in bad:
            badinput.run(b, product, rep, verbose=a.verbose)
    except (mc.SetupError, images.ImageError) as e:
        print(f"run_tests: {e}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("run_tests: interrupted", file=sys.stderr)
        return 130
    passed, failed, skipped = rep.count("PASS"), rep.count("FAIL"), rep.count("SKIP")
    seconds = time.monotonic() - start
    for r in rep.results:
        if r["status"] == "FAIL":
            rep.note(f"failed: {r['case']} {r['test']}")
    rep.note(f"{passed} passed, {failed} failed, {skipped} skipped in {seconds / 60:.1f} minutes")
    if a.json:
        json.dump({"passed": passed, "failed": failed, "skipped": skipped, "seconds": round(seconds, 1),
                   "tests": rep.results}, sys.stdout, indent=1)
        print()
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
