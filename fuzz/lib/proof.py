# SPDX-License-Identifier: MIT
"""fuzz/proof: plants defects and lets both engines look for them; removes checks; writes the scoreboard."""
import argparse
import concurrent.futures
import fnmatch
import json
import shutil
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import deletion
import plantbuild
import planted
import proofreport
import results
import settings
import targets
import trials
from targets import ROOT, Refused

EXIT = """exit codes: 0 all that was asked for is found (or was only to be listed), 1 something was not found, 2 wrong usage,
3 something is missing here (a build, a program)"""

SHORT = (3.0, 10.0, 60.0)  # CPU seconds: what is easy to find comes first, and a run that is ended early has looked at everything

QUICK = ["cbor-cut", "tpm-2b", "scsi-range-wraps", "gparange-count", "ethsw-spoof", "hcall-reserved"]  # C1, C2, C10, C11; found within a second


def arguments(words):
    p = argparse.ArgumentParser(prog="fuzz/proof", epilog=EXIT, formatter_class=argparse.RawDescriptionHelpFormatter,
                                description="Plants one known defect at a time (fuzz/planted/*.toml) and runs both engines until they find it; "
                                "results are kept in --out, and what is there is not done again.")
    p.add_argument("--only", metavar="NAME", action="append", default=[], help="this defect, target or pattern; may be repeated")
    p.add_argument("--engine", choices=trials.ENGINES, help="this engine only")
    p.add_argument("--time", metavar="TIME", default="10m", help="CPU time of one trial at most (30s, 10m; default 10m)")
    p.add_argument("--trials", metavar="N", type=int, default=3, help="trials of each defect and engine (default 3)")
    p.add_argument("--workers", metavar="N", type=int, default=1, help="trials at the same time (default 1)")
    p.add_argument("--until", metavar="HH:MM", help="begin nothing new after this time of day")
    p.add_argument("--build", metavar="DIR", default=str(ROOT / "build"), help="folder of the builds (default build)")
    p.add_argument("--out", metavar="DIR", help="programs and results.jsonl (default BUILD/proof)")
    p.add_argument("--cmplog", action="store_true", help="AFL++ with CMPLOG")
    p.add_argument("--no-fuzz", dest="fuzz", action="store_false", help="--deletion: replay the corpora only")
    p.add_argument("--keep", action="store_true", help="--deletion: what notices a check goes into fuzz/corpus/TARGET/check-*")
    p.add_argument("--json", action="store_true", help="one JSON object for each result")
    what = p.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="lists the defects")
    what.add_argument("--check", action="store_true", help="every edit applies exactly once, and what it makes compiles; a few seconds")
    what.add_argument("--quick", action="store_true", help="a handful of defects, libFuzzer only, up to 20 CPU seconds each, always anew: CI")
    what.add_argument("--plant", metavar="NAME", help="builds the targets with this defect and says where they are")
    what.add_argument("--deletion", action="store_true", help="removes each check of the parsers in turn; --time is that of each survivor's fuzzing")
    what.add_argument("--report", action="store_true", help="writes docs/fuzz-proof.md from the results")
    a = p.parse_args(words)
    if a.quick:
        a.only, a.engine, a.trials, a.time = a.only or QUICK, "libfuzzer", 1, "20s"
        a.out = a.out or str(Path(a.build) / "proof-quick")
    try:
        a.seconds = settings.seconds(a.time)
        if a.until:
            hour, minute = map(int, a.until.split(":"))
            now = time.localtime()
            a.end = time.time() + (hour - now.tm_hour) * 3600 + (minute - now.tm_min) * 60 - now.tm_sec
        else:
            a.end = float("inf")
    except ValueError as error:
        p.error(f"--time or --until: {error}")
    a.out = Path(a.out or Path(a.build) / "proof").resolve()
    return a


def chosen(defects, only):
    """The defects that --only names."""
    found = [d for d in defects.values() if not only or any(fnmatch.fnmatch(d.name, o) or d.target == o for o in only)]
    if not found:
        raise Refused(f"no defect or target {' '.join(only)}: fuzz/proof --list has them")
    return found


def say(a, record, text):
    print(json.dumps(record) if a.json else text, flush=True)


def trees(a):
    """The build folder of each engine."""
    build = Path(a.build)
    found = {"libfuzzer": plantbuild.Tree(build / "fuzz")}
    if a.engine != "libfuzzer" and (build / "afl/build.ninja").exists():
        found["afl"] = plantbuild.Tree(build / "afl")
        if a.cmplog:
            found["cmplog"] = plantbuild.Tree(build / "afl-cmplog")
    elif a.engine == "afl":
        raise Refused("AFL++ is not there: run `tools/dev build afl`", 3)
    return found


def replayed(a, bench, kept):
    """What the corpus alone says of this defect."""
    corpus = bench.corpus_digest()
    record = kept.replayed(bench.defect, corpus)
    if record is None:
        failing, reached, triggered = bench.replay()
        record = {"what": "replay", "defect": bench.defect.name, "digest": bench.defect.digest, "target": bench.defect.target, "corpus": corpus,
                  "failing": [p.name for p in failing], "reached": reached, "triggered": triggered, "commit": trials.commit()}
        kept.add(**record)
        say(a, record, f"{bench.defect.name:28} replay     {len(failing)} seeds fail; reached {reached}, triggered {triggered}")
    return record


def one(a, bench, engine, number, limit, kept):
    """One trial, until it has had `limit` CPU seconds with what it had before."""
    record, before = replayed(a, bench, kept), kept.had(bench.defect, engine, number)
    failing = {bench.target.corpus / name for name in record["failing"]}
    began = time.strftime("%Y-%m-%dT%H:%M:%S")
    made = trials.trial(bench, engine, number, limit, failing, before)
    if bench.corpus_digest() != record["corpus"]:
        say(a, {}, f"{bench.defect.name:28} {engine:9} {number}  does not count: fuzz/corpus/{bench.target.name} was changed meanwhile")
        return None
    record = {"what": "trial", "defect": bench.defect.name, "digest": bench.defect.digest, "engine": engine, "trial": number,
              "budget": limit, "began": began, "commit": trials.commit(), **made}
    kept.add(**record)
    text = f"found in {made['cpu']:.1f} s ({made['seen']})" if made["found"] else f"not found in {made['cpu']:.0f} s"
    say(a, record, f"{bench.defect.name:28} {engine:9} {number}  {text}{'  ' + made['error'] if made.get('error') else ''}")
    return made["found"]


def interleaved(defects):
    """One of each target, then the second of each: a run that is ended early has looked at all of them."""
    turns, order = Counter(), []
    for defect in defects:
        order.append((turns[defect.target], defect))
        turns[defect.target] += 1
    return [defect for _, defect in sorted(order, key=lambda x: x[0])]


def run_trials(a, defects, kept):
    """All trials that are not in the results yet, first one of each defect, then the second."""
    manifest, built = targets.load(Path(a.build) / "fuzz/targets.json"), trees(a)
    benches = {d.name: trials.Bench(d, manifest[d.target], built, a.out) for d in defects}
    engines = [e for e in trials.ENGINES if e in built and a.engine in (None, e)]
    lock, missed = threading.Lock(), 0

    def go(item):
        if time.time() > a.end or trials.STOP.is_set():
            return None
        try:
            with lock:  # one build at a time
                item[0].program("count")
                item[0].program(item[1])
            return one(a, *item, kept)
        except (Refused, OSError) as error:  # the sources are being changed: the next run has another look
            print(f"fuzz/proof: {error}", file=sys.stderr, flush=True)
            return None
        except trials.Stopped:
            return None

    def due(number, limit):
        """Trials of this number that have neither found it nor had their time; short ones go on where the first one found it."""
        for defect in interleaved(defects):
            for engine in engines:
                old = kept.trials(defect, engine)
                easy = limit == a.seconds or number == 1 or old.get(1, {}).get("found")
                if easy and not old.get(number, {}).get("found") and kept.had(defect, engine, number) < 0.95 * limit:
                    yield benches[defect.name], engine, number, limit

    with concurrent.futures.ThreadPoolExecutor(a.workers) as pool:
        for limit in [s for s in SHORT if s < a.seconds] + [a.seconds]:
            for number in range(1, a.trials + 1):
                work = list(due(number, limit))
                if work:
                    print(f"trial {number}, up to {limit:.0f} CPU seconds: {len(work)} of them", file=sys.stderr, flush=True)
                try:
                    found = list(pool.map(go, work))
                except BaseException:  # a signal: else the pool would work off what is queued
                    trials.STOP.set()
                    raise
                missed = missed + found.count(False) + found.count(None) if limit == a.seconds else missed
    return 1 if missed else 0


def check(a, defects):
    """Every edit applies and compiles (for the test style.planted)."""
    bad, copies, module, where = 0, [], [], a.out / "check"
    where.mkdir(parents=True, exist_ok=True)
    for defect in defects:
        try:
            text = defect.text()
        except Refused as error:
            bad += 1
            print(f"fuzz/proof: {error}", file=sys.stderr)
            continue
        copy = where / f"{defect.name}.c"
        copy.write_text(text, encoding="utf-8")
        (module if defect.file.startswith("hv/root/") else copies).append(copy)
    done = plantbuild.syntax(copies) + (plantbuild.syntax(module, plantbuild.module_words(where)) if module else "")
    if done:
        print(f"fuzz/proof: a planted copy does not compile:\n{done}", file=sys.stderr)
    shutil.rmtree(where)
    return 1 if bad or done else 0


def main(words):
    a = arguments(words)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        if a.deletion:
            return deletion.run(a, results.Results(a.out / "results.jsonl"))
        defects = planted.load()
        if a.report:
            return proofreport.write(a, defects, results.Results(a.out / "results.jsonl"))
        if a.plant:
            if a.plant not in defects:
                raise Refused(f"no defect {a.plant}: fuzz/proof --list has them")
            defect, built = defects[a.plant], trees(a)
            bench = trials.Bench(defect, targets.load(Path(a.build) / "fuzz/targets.json")[defect.target], built, a.out)
            for kind in [*built, "count"]:
                print(f"{kind}: {bench.program(kind)}")
            return 0
        defects = chosen(defects, a.only)
        if a.list:
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)    # a pager that was left ends it
            for d in defects:
                record = {"name": d.name, "target": d.target, "class": d.cls, "file": d.file, "what": d.what}
                say(a, record, f"{d.name:28} {d.target:12} {d.cls:4} {d.what}")
            return 0
        if a.check:
            return check(a, defects)
        if a.quick:
            (a.out / "results.jsonl").unlink(missing_ok=True)
        return run_trials(a, defects, results.Results(a.out / "results.jsonl"))
    except Refused as error:
        print(f"fuzz/proof: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return 130
