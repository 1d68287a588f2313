# SPDX-License-Identifier: MIT
"""Slices of libFuzzer and AFL++: the command line, the environment, and what came of it."""
import re
import shutil
import time
from pathlib import Path

import fleet
import process

PULSE = re.compile(r"^#(\d+)\s.*?cov: (\d+) ft: (\d+)", re.M)
FINAL = re.compile(r"stat::number_of_executed_units:\s*(\d+)")
ABORT = re.compile(r"PROGRAM ABORT : *(.*)|\[-\] *(.*)")
COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
SYNC = re.compile(r",sync:([^,]*)")  # the instance that an input is from, or the name of a foreign folder
AFL_FUZZ = shutil.which("afl-fuzz")
# No stack with each allocation: its compiler's runtime walks it slowly, and a target that allocates runs at a tenth of its speed.
AFL_SANITIZER = "abort_on_error=1:symbolize=0:detect_leaks=0:malloc_context_size=0"


class Result:
    """What a slice did: executions, artifacts (files to triage), and why it could not run (or None)."""

    def __init__(self, took=0.0, execs=0, artifacts=(), error=None, log=""):
        self.took, self.execs, self.artifacts, self.error, self.log = took, execs, list(artifacts), error, log
        self.cov = self.ft = self.edges = None


def jobs(target, engines, workers, targets):
    """The turns of a target: both engines, libFuzzer also by values compared, AFL++ also with CMPLOG."""
    turns = []
    lib = "libfuzzer" in engines and target.libfuzzer
    afl = "afl" in engines and target.afl and AFL_FUZZ
    if lib:
        turns.append(("libfuzzer", "plain"))
    if afl:
        turns.append(("afl", "main"))
    if lib:
        turns.append(("libfuzzer", "values"))
    if afl and target.cmplog:
        turns.append(("afl", "cmplog"))
    if afl:  # more workers than targets: further secondaries, each with another schedule
        turns += [("afl", f"more{n}") for n in range(max(0, workers // max(1, targets) - 4))]
    return turns


def libfuzzer_flags(target, settings):
    flags = {**target.options, "timeout": settings.timeout, "rss_limit_mb": settings.memory >> 20}
    if target.max_len:
        flags["max_len"] = target.max_len
    flags.pop("dict", None)
    words = [f"-{key}={value}" for key, value in flags.items()]
    if target.dict and target.dict.exists():
        words.append(f"-dict={target.dict}")
    return words


def _artifacts(folder):
    return sorted((p for p in Path(folder).iterdir() if p.is_file() and not p.name.startswith("slow-unit-")),
                  key=lambda p: p.stat().st_mtime)


def libfuzzer(target, role, settings, store, seconds, stop, live):
    """One slice; live(Result) is told what came of it so far. libFuzzer ends at a finding; the caller triages it and calls again with the rest of the time."""
    corpus, logs = store.folder(target.name, "corpus"), store.folder(target.name, "logs")
    number = store.target(target.name)["slices"]
    # Two slices of one target may run at a time: each has its own place for artifacts.
    place = store.folder(target.name, f"artifacts/{role}-{number}-{time.monotonic_ns()}")
    log = logs / f"libfuzzer-{place.name}.log"
    argv = [target.libfuzzer, *libfuzzer_flags(target, settings), f"-max_total_time={max(1, int(seconds))}",
            f"-artifact_prefix={place}/", "-print_final_stats=1", "-reload=5", f"-use_value_profile={int(role == 'values')}",
            corpus]

    def read(result):
        result.log = process.tail(log)
        pulses, final = PULSE.findall(result.log), FINAL.search(result.log)
        result.execs = int(final[1]) if final else int(pulses[-1][0]) if pulses else 0
        if pulses and role == "plain":  # values compared count as coverage in the other role
            result.cov, result.ft = int(pulses[-1][1]), int(pulses[-1][2])
        return bool(pulses)

    def tick():
        so_far = Result()
        if read(so_far):
            live(so_far)

    outcome = process.run(argv, process.environment(settings.out), log, seconds + 2 * settings.timeout + 10, stop=stop,
                          memory=2 * settings.memory, tick=tick)
    result = Result(outcome.took, artifacts=_artifacts(place))
    pulses = read(result)
    if outcome.reason == "memory" and not result.artifacts:
        result.error = f"more than {2 * settings.memory >> 20} MiB of memory, and no artifact"
    elif not pulses and not result.artifacts and outcome.reason is None and outcome.code:
        lines = [line for line in result.log.strip().splitlines() if line.strip()]
        result.error = f"exit {outcome.code}: {lines[-1][:200] if lines else 'no output'}"
    log.unlink(missing_ok=True)
    if not result.artifacts:
        place.rmdir()
    return result


def afl_mutator(target):
    """AFL++'s environment for the target's own mutator, which is all that changes inputs: bytes changed anywhere, as AFL++ does then, break
    the records of sessions, and keep it with each input for thousands of executions. The committed inputs are minimised already: trimming each costs more than it gains."""
    if not target.mutator:
        return {}
    words = {"AFL_CUSTOM_MUTATOR_LIBRARY": str(target.mutator), "AFL_CUSTOM_MUTATOR_ONLY": "1", "AFL_DISABLE_TRIM": "1"}
    if target.dict and target.dict.exists():
        words["REDOUBT_DICT"] = str(target.dict)
    return words


def afl_folder(target, settings, store):
    """Where the instances of AFL++ meet: in the campaign, or in the folder that a fleet shares."""
    folder = Path(settings.fleet) / target.name if settings.fleet else store.out / target.name / "afl"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def afl_name(role, settings):
    return f"{role}-{settings.host}" if settings.host else role


def afl_command(target, role, settings, store, seeds):
    """AFL++'s own distribution: one -M per host with a name of its own, all others -S, one folder."""
    argv = [AFL_FUZZ, "-i", seeds, "-o", afl_folder(target, settings, store), "-t", str(min(settings.timeout, 5) * 1000)]
    argv += ["-M" if role == "main" else "-S", afl_name(role, settings)]
    if role == "main":
        argv += ["-F", store.folder(target.name, "corpus")]
    if role == "cmplog":
        argv += ["-c", target.cmplog]
    if role.startswith("more"):
        argv += ["-p", ("explore", "coe", "rare", "lin", "quad")[int(role[4:]) % 5]]
    if target.max_len:
        argv += ["-G", str(target.max_len)]
    if target.dict and target.dict.exists():
        argv += ["-x", target.dict]
    # Address space is no measure with ASan; resident memory is watched for all (process.run).
    return [*argv, "-m", "none", "--", target.afl]


def afl_stats(folder):
    try:
        text = (folder / "fuzzer_stats").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    return {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in text.splitlines())}


def _number(stats, key):
    return int(stats[key]) if stats.get(key, "").isdecimal() else 0


def afl_pids(target, settings, store):
    """What this host's instances of AFL++ were, when they last wrote their figures."""
    return {_number(afl_stats(folder), "fuzzer_pid") for folder in fleet.own(afl_folder(target, settings, store), settings)}


def afl(target, role, settings, store, seconds, stop, live):
    """One slice; AFL++ writes its figures once a minute; an instance that has run before goes on (AFL_AUTORESUME)."""
    seeds, logs = store.folder(target.name, "corpus"), store.folder(target.name, "logs")
    if not any(seeds.iterdir()):
        (seeds / "empty").write_bytes(b"\n")
    name, log = afl_name(role, settings), logs / f"afl-{role}.log"
    folder = afl_folder(target, settings, store) / name
    mark = f"{settings.out}#{target.name}#{name}"
    env = process.environment(settings.out, AFL_NO_UI="1", AFL_SKIP_CPUFREQ="1", AFL_NO_AFFINITY="1", AFL_AUTORESUME="1",
                              AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES="1", AFL_IMPORT_FIRST="1", AFL_SYNC_TIME="1",
                              AFL_SKIP_CRASHES="1", AFL_NO_CRASH_README="1", AFL_NO_COLOR="1", AFL_FORKSRV_INIT_TMOUT="20000",
                              AFL_HANG_TMOUT=str(settings.timeout * 1000), AFL_TESTCACHE_SIZE="20", AFL_FAST_CAL="1",
                              ASAN_OPTIONS=AFL_SANITIZER,
                              UBSAN_OPTIONS="abort_on_error=1:symbolize=0", REDOUBT_SLICE=mark)
    if (folder / "fuzzer_stats").exists():
        # It goes on: its queue was calibrated, and compared, when it was found.
        env.update(AFL_NO_STARTUP_CALIBRATION="1", AFL_CMPLOG_ONLY_NEW="1")
    env.update(afl_mutator(target))
    if role != "main":  # one instance of several also does what AFL++ does without it
        env.pop("AFL_CUSTOM_MUTATOR_ONLY", None)
    before = _number(afl_stats(folder), "execs_done")

    def read(result):
        stats = afl_stats(folder)
        after = _number(stats, "execs_done")
        result.execs, result.edges = after - before if after >= before else after, _number(stats, "edges_found")
        return result

    outcome = process.run(afl_command(target, role, settings, store, seeds), env, log, seconds, stop=stop,
                          memory=2 * settings.memory, tick=lambda: live(read(Result())))
    process.kill_marked(mark, "REDOUBT_SLICE")
    process.trim(log)
    result = read(Result(outcome.took))
    if outcome.reason is None and outcome.code:
        found = [a or b for a, b in ABORT.findall(COLOUR.sub("", process.tail(log)))]
        result.error = (found[-1].strip() if found else f"exit {outcome.code}")[:200]
    elif outcome.reason == "memory":
        result.error = f"more than {2 * settings.memory >> 20} MiB of memory"
    for kind in ("crashes", "hangs"):
        if (folder / kind).is_dir():
            result.artifacts += [p for p in _artifacts(folder / kind) if p.name.startswith("id:")]
    return result


def afl_new(folder, seen, host=None):
    """Inputs that this instance itself has found since `seen`, the number of its last one, or taken from another host of a fleet;
    and the new number."""
    found, last = [], seen
    for path in sorted((folder / "queue").glob("id:*")):
        match = re.match(r"id:(\d+)(.*)", path.name)
        if match and int(match[1]) > seen:
            last = max(last, int(match[1]))
            other = SYNC.search(match[2])
            if ",orig:" not in match[2] and (not other or fleet.host_of(other[1]) not in ("", host)):
                found.append(path)
    return found, last
