# SPDX-License-Identifier: MIT
"""fuzz/proof --deletion: does anything notice when a check of a parser is gone?

One program for each target has all checks of its sources, and is told which one not to make. It replays the corpus first as the
sources are, which gives each input's verdict, then without each check in turn. What survives is fuzzed."""
import fnmatch
import hashlib
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

import checks
import plantbuild
import process
import targets
import trials
from engines import libfuzzer_flags
from targets import ROOT, Refused

# Parsers that a session links and feeds, beside its own sources.
FED = {"vstor": ["hv/host/storvsp/session.c", "hv/host/storvsp/storvsp.c", "hv/wire/scsi.c", "hv/wire/scsi_data.c",
                 "hv/wire/gparange.c", "hv/wire/ring.c"],
       "nvsp": ["hv/wire/rndis.c", "hv/wire/rndis_oid.c", "hv/wire/gparange.c", "hv/wire/ring.c"],
       "rndis": ["hv/wire/nvsp.c", "hv/wire/nvsp_data.c", "hv/wire/nvsp_session.c", "hv/wire/gparange.c"],
       "oid": ["hv/wire/rndis.c"],
       "log": ["attest/core/event_read.c", "attest/core/cbor_read.c", "attest/core/bundle_read.c"], "cose": ["attest/core/cbor_read.c"],
       "bundle": ["attest/core/cbor_read.c", "attest/core/pcrs_read.c"], "attest_event": ["attest/core/cbor_read.c"]}
CORE = "hv/core/"
WALK = 0.6  # of the time
HEADER = '#include "fuzz/planted/checks.h"\n'


def core_is_fed(every):
    """Targets of the hypervisor's core are programs of all of it: what one of them is for, the others reach, too."""
    core = sorted({s for t in every for s in t.sources if s.startswith(CORE)})
    for target in every:
        if target.sources[0].startswith(CORE):
            FED[target.name] = [s for s in [*core, "hv/wire/hcall.c"] if s not in target.sources]


def number(target):
    """({file: copy's text}, checks as (number, file, line, text)) of the target's own sources."""
    copies, found = {}, []
    for file in [*target.sources, *FED.get(target.name, [])]:
        path = ROOT / file
        one = checks.Numbered(path, path.read_text(encoding="utf-8"), len(found) + 1)
        copies[file] = HEADER + one.text
        found += [(n, file, line, text) for n, line, text in one.checks]
    return copies, found


def build(target, tree, work):
    """The program with all checks, and the list of them."""
    copies, found = number(target)
    work.mkdir(parents=True, exist_ok=True)
    paths = {}
    for i, (file, text) in enumerate(copies.items()):
        paths[file] = work / f"{i}-{Path(file).name}"
        paths[file].write_text(text, encoding="utf-8")
    out = work / "program"
    tree.build(target.name, paths, out, "-Wno-everything", [ROOT / "fuzz/planted/checks.c", ROOT / "fuzz/planted/walk.c"], ("-Wl,--wrap=LLVMFuzzerTestOneInput",))
    for path in paths.values():
        path.unlink()
    return out, found


def replay(program, target, count, env):
    """{number: (inputs that it refuses, how it is noticed)}"""
    env = {**env, "PLANTED_REPLAY": str(target.corpus), "PLANTED_CHECKS": str(count)}
    done = subprocess.run([program], env=env, capture_output=True, text=True, errors="replace", timeout=3600, check=False)
    if done.returncode:
        raise Refused(f"{target.name}: replay without checks: exit {done.returncode}:\n{done.stderr[-1000:]}", 1)
    return {int(n): (int(hits), how) for n, hits, how in (line.split() for line in done.stdout.splitlines())}


def fuzz(program, target, wanted, seconds, env, work):
    """Looks for inputs without each of these checks, first one step away from the corpus, then by fuzzing: {number: input that notices it}, CPU seconds."""
    corpus, art, noticed = work / "corpus", work / "found", work / "noticed"
    for folder in (corpus, art, noticed):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    found, spent, end, walking = {}, 0.0, time.monotonic() + trials.brake(seconds), seconds * WALK
    while spent < seconds and wanted - set(found) and time.monotonic() < end:
        words = {**env, "PLANTED_NOTICED": str(noticed), "PLANTED_DELETE": ",".join(map(str, sorted(wanted - set(found))))}
        if walking > 0:
            words["PLANTED_WALK"] = str(target.corpus)
        argv = [program, *libfuzzer_flags(target, trials.Limits), f"-artifact_prefix={art}/", "-use_value_profile=1", corpus, noticed, target.corpus]
        limit = walking if walking > 0 else seconds - spent
        took, _ = trials.watch(argv, words, work / "log", limit, lambda: None)
        spent, walking = spent + max(took, 0.1), walking - max(took, 0.1)
        last = (noticed / "now").read_bytes() if (noticed / "now").exists() else bytes(16)
        without, size = struct.unpack_from("<II", last, 8)
        if without and took < limit and time.monotonic() < end:  # it ended by itself without that check
            (noticed / str(without)).write_bytes(last[16:16 + size])
        elif walking > 0:
            walking = 0  # it is done
        if not without and "SUMMARY: " in process.tail(work / "log", 3000):
            for path in art.iterdir():  # a finding of its own
                shutil.copyfile(path, work.parent / f"{target.name}-{path.name}")
                print(f"{target.name}: fails with all its checks: {work.parent / target.name}-{path.name}", file=sys.stderr, flush=True)
        shutil.rmtree(art)
        art.mkdir()
        before = len(found)
        found = {int(p.name): p for p in noticed.iterdir() if p.name.isdecimal()}
        if not without and len(found) == before and took < 0.5 and walking < 0 and seconds - spent > 1:
            raise Refused(f"{target.name}: the fuzzer ends:\n{process.tail(work / 'log', 1000)}", 1)
    return found, spent


def one_target(a, target, tree, kept):
    work = a.out / "deletion" / target.name
    program, found = build(target, tree, work)
    env = trials.environment(work)
    begun, commit = time.strftime("%Y-%m-%dT%H:%M:%S"), trials.commit()
    noticed = replay(program, target, len(found), env)
    for n, file, line, text in found:
        hits, how = noticed.get(n, (0, "oracle"))
        how = {"same": "survives"}.get(how, how)
        kept.add(what="deletion", target=target.name, check=n, file=file, line=line, text=text, how=how, hits=hits, began=begun,
                 commit=commit, cpu=0)
    good = sum(noticed[n][1] in ("oracle", "verdict") for n in noticed)
    print(f"{target.name:14} {len(found)} checks, {good} noticed by the corpus", flush=True)
    return program, env, work


def survivors(kept):
    """Of each check of a file the best of all targets: those that nobody has noticed."""
    return [r for r in kept.checks().values() if r["how"] in ("survives", "never")]


def fuzz_survivors(a, target, rows, made, tree, kept):
    """Gives one target its time, and keeps what came of it."""
    work = a.out / "deletion" / target.name
    program, env, work = made or (build(target, tree, work)[0], trials.environment(work), work)
    found, spent = fuzz(program, target, {r["check"] for r in rows}, a.seconds, env, work)
    keep = target.corpus if a.keep else a.out / "noticed" / target.name
    keep.mkdir(parents=True, exist_ok=True)
    for r in rows:
        how = "fuzzing" if r["check"] in found else r["how"]
        if r["check"] in found:
            new = keep / f"check-{hashlib.sha1(found[r['check']].read_bytes()).hexdigest()[:12]}"
            if not any(same.read_bytes() == found[r["check"]].read_bytes() for same in keep.iterdir()):
                shutil.copyfile(found[r["check"]], new)
        kept.add(**{**r, "cpu": round(spent, 1), "how": how})
    print(f"{target.name:14} {len(rows)} left, {len(found)} noticed by {spent:.0f} s of fuzzing", flush=True)


def run(a, kept):
    """Replays of every target, then fuzzing of what is left. 0: at least 90 % are noticed."""
    tree = plantbuild.Tree(Path(a.build) / "fuzz")
    every = targets.load(Path(a.build) / "fuzz/targets.json").values()
    core_is_fed(every)
    chosen = [t for t in every if not a.only or any(fnmatch.fnmatch(t.name, o) for o in a.only)]
    done = {r["target"] for r in kept.lines if r["what"] == "deletion"}
    programs = {}
    for target in chosen:
        if time.time() > a.end:
            break
        if target.name in done and not a.only:
            continue
        try:
            programs[target.name] = one_target(a, target, tree, kept)
        except Refused as error:
            print(f"fuzz/proof: {error}", file=sys.stderr)
    for target in chosen if a.fuzz else []:
        left = {(r["file"], r["line"], r["text"]) for r in survivors(kept)}
        rows = [r for r in kept.of_target(target.name) if (r["file"], r["line"], r["text"]) in left and r["cpu"] < 0.8 * a.seconds]
        if rows and time.time() < a.end:
            fuzz_survivors(a, target, rows, programs.get(target.name), tree, kept)
    checks_now = kept.checks()
    bad = len(survivors(kept))
    print(f"{len(checks_now) - bad} of {len(checks_now)} checks are noticed")
    return 0 if bad <= 0.1 * len(checks_now) else 1
