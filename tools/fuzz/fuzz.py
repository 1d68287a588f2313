#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tools/dev fuzz: runs fuzz targets, measures their coverage and speed. docs/fuzzing.md"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

sys.dont_write_bytecode = True
import coverage  # noqa: E402
from changed import changed  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
PAGE = "docs/fuzzing.md"
# Executions per second of one core, with ASan and UBSan.
SPEED = {"stateless": 20000, "session": 2000}
TRIES = 3


def say(text):
    print(text, file=sys.stderr, flush=True)


def manifest(build, names=()):
    path = Path(build) / "fuzz/targets.json"
    if not path.is_file():
        sys.exit(f"fuzz: {path} does not exist: tools/dev build fuzz")
    targets = json.loads(path.read_text())
    unknown = [n for n in names if n not in [t["name"] for t in targets]]
    if unknown:
        say(f"fuzz: no target {unknown[0]}; targets are: {' '.join(t['name'] for t in targets)}")
        sys.exit(2)
    return [t for t in targets if not names or t["name"] in names]


def libfuzzer(target, seconds, folders, *more):
    """Runs the target and answers (result, what it said, CPU seconds)."""
    dict_words = [f"-dict={ROOT / target['dict']}"] if target["dict"] else []
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen([str(ROOT / target["libfuzzer"]), f"-max_total_time={seconds}", f"-max_len={target['max_len']}", "-timeout=10",
                                    "-rss_limit_mb=1024", "-print_final_stats=1", *dict_words, *more, *map(str, folders)], stdout=log, stderr=log)
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        process.returncode = os.waitstatus_to_exitcode(status)
        log.seek(0)
        return process.returncode, log.read(), usage.ru_utime + usage.ru_stime


def finding(build, target, said):
    """Says what was found and ends."""
    where = re.search(r"Test unit written to (\S+)", said)
    say(said[-4000:])
    path = where.group(1) if where else f"{build}/fuzz/crash/"
    sys.exit(f"fuzz: fuzz_{target['name']} has a finding: {path}\nreplay it: {target['libfuzzer']} {path}\n"
             f"fix it, and add the file to {target['corpus']}/ (docs/fuzzing.md)")


def speed(target, seconds, build, wanted=0, tries=1):
    """
    Executions per CPU second. Who shares the core and its caches makes a CPU second up to half as long: the best of some tries, until one
    is as good as wanted. What is found goes into memory, so that no disk is measured.
    """
    best = 0
    for number in range(1, tries + 1):
        best = max(best, speed_once(target, seconds, build))
        if best >= wanted:
            break
        if number < tries:
            say(f"    {best:,.0f} executions/s so far, once more: {number + 1} of {tries}")
    return best


def speed_once(target, seconds, build):
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        crash = Path(build) / "fuzz/crash"
        crash.mkdir(parents=True, exist_ok=True)
        code, said, cpu = libfuzzer(target, seconds, [folder, ROOT / target["corpus"]], "-seed=1", f"-artifact_prefix={crash}/{target['name']}-")
    units = re.search(r"stat::number_of_executed_units:\s*(\d+)", said)
    if code or not units:
        finding(build, target, said)
    return int(units.group(1)) / max(cpu, 0.01)


def table(head, rows):
    """As Markdown that can be read in a terminal."""
    width = [max(len(str(row[i])) for row in [head, *rows]) for i in range(len(head))]
    line = lambda row: "| " + " | ".join(str(c).ljust(w) if i == 0 else str(c).rjust(w) for i, (c, w) in enumerate(zip(row, width))) + " |"  # noqa: E731
    return "\n".join([line(head), "|" + "|".join("-" * (w + 1) + (":" if i else "-") for i, w in enumerate(width)) + "|", *map(line, rows)])


def each(targets, what):
    for number, target in enumerate(targets, 1):
        say(f"[{number}/{len(targets)}] {what} {target['name']}")
        yield target


def write(name, text):
    """Replaces what stands between the marks of docs/fuzzing.md."""
    path = ROOT / PAGE
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    page = path.read_text()
    if begin not in page or end not in page:
        sys.exit(f"fuzz: {PAGE} has no place for '{name}'")
    path.write_text(page[:page.index(begin) + len(begin)] + text + page[page.index(end):])
    say(f"{PAGE} written")


# --- verbs ----------------------------------------------------------------------------------------------------------

def verb_list(args):
    rows = []
    for t in each(manifest(args.build, args.names), "measuring"):
        lines, all_lines, branches, all_branches = coverage.totals(coverage.own(t).values())
        rows.append({"name": t["name"], "kind": t["kind"], "inputs": len(list((ROOT / t["corpus"]).iterdir())),
                     "lines": round(coverage.percent(lines, all_lines), 1), "branches": round(coverage.percent(branches, all_branches), 1),
                     "executions_per_second": round(speed(t, args.seconds, args.build, SPEED[t["kind"]], TRIES))})
    if args.json:
        print(json.dumps(rows, indent=1))
        return
    text = table(["target", "kind", "corpus files", "lines %", "branches %", "executions/s"],
                 [[r["name"], r["kind"], r["inputs"], f"{r['lines']:.1f}", f"{r['branches']:.1f}", f"{r['executions_per_second']:,}"] for r in rows])
    print(text)
    if args.write:
        write("fuzz list", f"{len(rows)} targets on {date.today()}: coverage of the target's own files by its own committed corpus alone; "
              f"executions per CPU second with ASan\nand UBSan, {args.seconds} s each, on a machine that others use. Made by `tools/dev fuzz list --write`.\n\n{text}\n")


def verb_coverage(args):
    targets = manifest(args.build, args.names)
    sources = sorted({s for t in targets for s in coverage.parsers(t)})
    if not args.names:
        sources = sorted({*sources, *(str(p.relative_to(ROOT)) for p in (ROOT / "hv/core").glob("*.c"))})
    files = coverage.together(targets, sources, say)
    entries = coverage.reasons()
    told, untaken, stale = coverage.explain(files, entries)
    faults = ([] if args.names else stale) + coverage.below(files, targets, coverage.excused(files, entries)) if args.check else []
    for name in sources:
        if name not in files:
            faults.append(f"{name}: no fuzz target has it")
    rows = [[n, *(str(c) for c in f.figures()[:2]), f"{coverage.percent(*f.figures()[:2]):.1f}", f"{coverage.percent(*f.figures()[2:]):.1f}",
             *(sum(1 for t in what if t[0] == n and not t[3]) for what in (told, untaken))] for n, f in sorted(files.items())]
    core = coverage.totals(f for n, f in files.items() if n.startswith("hv/core/"))
    rows.append(["hv/core", core[0], core[1], f"{coverage.percent(*core[:2]):.1f}", f"{coverage.percent(*core[2:]):.1f}", "", ""])
    text = table(["file", "lines run", "of", "lines %", "branches %", "lines without reason", "branches without reason"], rows)
    if args.json:
        print(json.dumps({"files": [{"name": n, **dict(zip(("lines_run", "lines", "branches_taken", "branches"), f.figures()))} for n, f in files.items()],
                          "uncovered": [dict(zip(("file", "line", "text", "reason"), t)) for t in told],
                          "untaken": [dict(zip(("file", "line", "branch", "reason"), t)) for t in untaken], "faults": faults}, indent=1))
    else:
        for name, line, what, reason in sorted(told + untaken, key=lambda t: t[:2]):
            print(f"{name}:{line}: {what}" + (f"    [{reason}]" if reason else ""))
        print(text)
    if args.write:
        write("fuzz coverage", f"By the committed corpora of all targets together, on {date.today()}. Made by `tools/dev fuzz coverage --write`.\n\n{text}\n")
    for fault in faults:
        say(fault)
    if args.check:
        say(f"{len(files)} files, {len(faults)} findings")
        sys.exit(1 if faults or not files else 0)


def verb_speed(args):
    rows, slow = [], []
    for t in each(manifest(args.build, args.names), "running"):
        aim = SPEED[t["kind"]] * args.share // 100
        rate = speed(t, args.seconds, args.build, aim, TRIES)
        say(f"    {rate:,.0f} executions/s" + (f", below {aim:,}" if rate < aim else ""))
        rows.append({"name": t["name"], "kind": t["kind"], "executions_per_second": round(rate), "aim": aim})
        if rate < aim:
            slow.append(t["name"])
    print(json.dumps(rows, indent=1) if args.json else
          table(["target", "kind", "executions/s", "aim"], [[r["name"], r["kind"], f"{r['executions_per_second']:,}", f"{r['aim']:,}"] for r in rows]))
    if slow:
        say(f"slower than the aim: {' '.join(slow)}")
    sys.exit(1 if slow and args.check else 0)


def fuzz_one(args, target, seconds, quiet=False):
    grown, crash = Path(args.build) / "fuzz/corpus" / target["name"], Path(args.build) / "fuzz/crash"
    grown.mkdir(parents=True, exist_ok=True)
    crash.mkdir(parents=True, exist_ok=True)
    folders, words = [grown, ROOT / target["corpus"]], [f"-artifact_prefix={crash}/{target['name']}-"]
    if quiet:
        code, said, _ = libfuzzer(target, seconds, folders, *words)
        if code:
            finding(args.build, target, said)
        return int((re.search(r"stat::number_of_executed_units:\s*(\d+)", said) or [0, 0])[1])
    dict_words = [f"-dict={ROOT / target['dict']}"] if target["dict"] else []
    code = subprocess.run([str(ROOT / target["libfuzzer"]), f"-max_total_time={seconds}", f"-max_len={target['max_len']}", "-timeout=10",
                           "-rss_limit_mb=1024", "-print_final_stats=1", *dict_words, *words, *map(str, folders)], check=False).returncode
    if code:
        finding(args.build, target, "")
    return 0


def verb_run(args):
    names, seconds = [w for w in args.words if not w.isdigit()], [int(w) for w in args.words if w.isdigit()] or [60]
    for t in each(manifest(args.build, names), f"fuzzing for {seconds[-1]} s:"):
        if not args.merge:
            fuzz_one(args, t, seconds[-1])
            continue
        grown = Path(args.build) / "fuzz/corpus" / t["name"]
        grown.mkdir(parents=True, exist_ok=True)
        if subprocess.run([str(ROOT / t["libfuzzer"]), "-merge=1", f"-max_len={t['max_len']}", str(ROOT / t["corpus"]), str(grown)], check=False).returncode:
            sys.exit(1)


def verb_changed(args):
    targets = manifest(args.build)
    base, found = changed(targets, args.since)
    say(f"since {base}: {len(found)} of {len(targets)} targets changed")
    if args.names_only:
        print("\n".join(t["name"] for t in found))
        return
    start, total = time.monotonic(), 0
    seconds = max(1, min(args.seconds, args.budget // max(1, len(found))))
    for t in each(found, f"fuzzing for {seconds} s:"):
        total += fuzz_one(args, t, seconds, quiet=True)
    print(f"{len(found)} changed targets, {total} executions in {time.monotonic() - start:.0f} s, no finding")


def main():
    parser = argparse.ArgumentParser(prog="tools/dev fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="tools/dev fuzz [--merge] [NAME...] [SECONDS] is the verb run. tools/dev fuzz VERB --help explains each.\n"
                                            "Exit codes: 0 good, 1 a finding or an aim not met, 2 wrong usage, 3 packages are missing.")
    parser.add_argument("--build", default=os.environ.get("REDOUBT_BUILD", "build"), help="build folder (default: build)")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for name, function, text in (("list", verb_list, "table of targets: coverage by the committed corpus alone, speed"),
                                 ("coverage", verb_coverage, "lines and branches of every parser file and of hv/core; lists what no input reaches"),
                                 ("speed", verb_speed, "executions per second"),
                                 ("changed", verb_changed, "fuzzes briefly each target whose sources or corpus changed"),
                                 ("run", verb_run, "runs targets with libFuzzer")):
        verb = verbs.add_parser(name, help=text, description=text)
        verb.set_defaults(function=function)
        if name in ("list", "coverage", "speed"):
            verb.add_argument("names", nargs="*", metavar="NAME", help="targets (default: all)")
            verb.add_argument("--json", action="store_true", help="for programs")
        if name in ("list", "coverage"):
            verb.add_argument("--write", action="store_true", help=f"writes the table into {PAGE}")
        if name in ("coverage", "speed"):
            verb.add_argument("--check", action="store_true", help="fails below the aims (coverage: also for entries of fuzz/uncovered.txt that are out of date)")
        if name in ("list", "speed", "changed"):
            verb.add_argument("--seconds", type=int, default=3, help="for each target (default: 3)")
    verbs.choices["speed"].add_argument("--share", type=int, default=100, metavar="PERCENT",
                                        help="of the aim that is enough, for machines that others use (default: 100)")
    verb = verbs.choices["changed"]
    verb.add_argument("--since", metavar="COMMIT", help="default: REDOUBT_CI_BASE, where this branch left origin/main or main, or the commit before")
    verb.add_argument("--budget", type=int, default=90, help="seconds for all of them (default: 90)")
    verb.add_argument("--names-only", action="store_true", help="lists them")
    verb = verbs.choices["run"]
    verb.add_argument("--merge", action="store_true", help="adds new inputs of build/fuzz/corpus/NAME that reach new code to fuzz/corpus/NAME")
    verb.add_argument("words", nargs="*", metavar="NAME|SECONDS", help="targets (default: all) and seconds for each (default: 60)")
    args = parser.parse_args()
    if not shutil.which("llvm-cov-16") and args.verb in ("list", "coverage"):
        sys.exit("fuzz: llvm-cov-16 is missing: tools/dev deps")
    args.function(args)


if __name__ == "__main__":
    main()
