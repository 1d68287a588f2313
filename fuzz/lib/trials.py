# SPDX-License-Identifier: MIT
"""Trials: does an engine find a planted defect, from the committed seeds, within so much CPU time?"""
import hashlib
import os
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import plantbuild
import process
from engines import AFL_FUZZ, AFL_SANITIZER, afl_mutator, libfuzzer_flags
from targets import ROOT

TICK = os.sysconf("SC_CLK_TCK")
TIMEOUT = 5  # seconds that one input may take
MEMORY = 1 << 30
NICE = os.environ.get("REDOUBT_PROOF_NICE", "10")  # of the fuzzers
ENGINES = ("libfuzzer", "afl")
STOP = threading.Event()  # the run is ended: trials that are under way do not count
DRY_RUN = b"at least one valid input seed that does not crash"  # of AFL++, which does not begin then


class Stopped(Exception):
    """STOP was set."""


class Limits:
    """What engines.libfuzzer_flags wants to know."""

    timeout, memory = TIMEOUT, MEMORY


def family(pid):
    """The process and its descendants; asked ten times a second, so without a look at all processes of the machine."""
    found = [pid]
    for one in found:
        try:
            for task in os.listdir(f"/proc/{one}/task"):
                found += map(int, Path(f"/proc/{one}/task/{task}/children").read_text(encoding="ascii").split())
        except OSError:
            pass
    return found


def cpu_of(pid):
    """CPU seconds of a process, its living descendants and those that it has waited for."""
    total = 0
    for one in family(pid):
        try:
            stat = Path(f"/proc/{one}/stat").read_bytes()
            total += sum(int(x) for x in stat[stat.rindex(b")") + 2:].split()[11:15])
        except (OSError, ValueError):
            pass
    return total / TICK


def counters(path):
    """(reached, triggered)"""
    try:
        return struct.unpack("<QQ", Path(path).read_bytes()[:16])
    except (OSError, struct.error):
        return 0, 0


def brake(budget):
    """Seconds by the wall clock after which a trial on a machine that others use ends with what it had."""
    return 60 + 4 * budget


def environment(work, **more):
    """Without names of functions: nobody reads them here, and a symbolizer takes longer than many a find."""
    return process.environment(work, **{"ASAN_OPTIONS": "symbolize=0:detect_leaks=1", "UBSAN_OPTIONS": "symbolize=0:print_stacktrace=0", **more})


class Bench:
    """Programs and seeds of one defect."""

    def __init__(self, defect, target, trees, work):
        self.defect, self.target, self.trees = defect, target, trees
        self.work = Path(work) / defect.name
        self.work.mkdir(parents=True, exist_ok=True)

    def program(self, kind):
        """Built where it is not there yet: libfuzzer, afl, cmplog, count."""
        tree = self.trees["libfuzzer" if kind == "count" else kind]
        tree.commands(self.defect.target)
        base = (tree.folder / f"fuzz_{self.defect.target}").stat()
        key = hashlib.sha256(f"{self.defect.digest} {base.st_mtime_ns} {base.st_size}".encode()).hexdigest()[:10]
        out = self.work / f"{kind}-{key}"
        if not out.exists():
            for old in self.work.glob(f"{kind}-*"):
                shutil.rmtree(old) if old.is_dir() else old.unlink()  # a folder: of a trial that was killed
            plantbuild.plant(self.defect, tree, out, kind == "count")
        return out

    def environment(self, **more):
        return environment(self.work, **more)

    def run_inputs(self, program, files, env):
        """Runs inputs in one process, as libFuzzer's program does. The input that it ended at (None: none) and the log."""
        flags = [f"-timeout={TIMEOUT}", f"-rss_limit_mb={MEMORY >> 20}", f"-artifact_prefix={self.work}/"]
        with tempfile.TemporaryFile() as log:
            code = subprocess.run([program, *flags, *files], env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                  timeout=600, check=False).returncode
            log.seek(0)
            text = log.read().decode("utf-8", "replace")
        for made in self.work.glob("*-*"):
            if made.name.split("-")[0] in ("crash", "leak", "timeout", "oom", "slow"):
                made.unlink()
        if code == 0:
            return None, text
        running = re.findall(r"^Running: (.*)$", text, re.M)
        return (Path(running[-1]) if running else files[0]), text

    def corpus_digest(self):
        """Of the committed inputs: another corpus has other inputs that fail with the defect."""
        whole = hashlib.sha256()
        for path in sorted(self.target.corpus.iterdir()):
            whole.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
        return whole.hexdigest()[:12]

    def replay(self):
        """The committed corpus: (inputs at which the defect is seen, reached, triggered)."""
        page, left, seen = self.work / "replay.counters", sorted(self.target.corpus.iterdir()), []
        page.unlink(missing_ok=True)
        env = self.environment(PLANTED_COUNTERS=str(page))
        while left:
            at, _ = self.run_inputs(self.program("count"), left, env)
            if at is None:
                break
            seen.append(at)
            left = left[left.index(at) + 1:]
        return seen, *counters(page)

    def confirm(self, found):
        """Why this input is no find of the defect, or None: it fails with it, the defect is triggered, and nothing fails without it."""
        page = self.work / "confirm.counters"
        page.unlink(missing_ok=True)
        at, text = self.run_inputs(self.target.libfuzzer, [found], self.environment())
        if at is not None:
            return "fails without the defect, too", text
        at, text = self.run_inputs(self.program("count"), [found], self.environment(PLANTED_COUNTERS=str(page)))
        if at is None:
            return "does not fail again", text
        return (None if counters(page)[1] else "fails, and the defect was not triggered"), text


def kind_of(text):
    """How it was seen, in a word or two."""
    for pattern, word in ((r"oracle: ([^:]+):", None), (r"AddressSanitizer: ([\w-]+)", None), (r"runtime error: (.{0,60})", None),
                          (r"ERROR: libFuzzer: ([\w -]+)", None), (r"detected memory leaks", "leak")):
        match = re.search(pattern, text)
        if match:
            return word or match[1].strip()
    return "trap"


def watch(argv, env, log, budget, look):
    """Runs until it ends, look() finds something or it has had `budget` CPU seconds. (CPU seconds, what look found)."""
    spent, found, usage, began = 0.0, None, None, time.monotonic()
    with open(log, "wb") as out:
        child = subprocess.Popen(["nice", "-n", NICE, *process.LIMITS, *map(str, argv)], env=env, stdin=subprocess.DEVNULL,
                                 stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        while usage is None:
            time.sleep(0.1 if time.monotonic() - began < 5 else 0.5)
            if STOP.is_set():
                raise Stopped
            ended, status, used = os.wait4(child.pid, os.WNOHANG)
            if ended:
                child.returncode, usage = os.waitstatus_to_exitcode(status), used
                break
            spent = max(spent, cpu_of(child.pid))
            found = look()
            if found or spent > budget or time.monotonic() - began > brake(budget):
                break
    finally:
        if usage is None:
            family = process.family(child.pid)
            child.send_signal(signal.SIGKILL)
            process.kill_family(family[1:])
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        process.kill_marked(env[process.MARK])  # what AFL++ has started goes with it
        process.free_shared({child.pid})
    return max(spent, usage.ru_utime + usage.ru_stime), found or look()


def _libfuzzer(bench, seeds, seed, budget, place, seen):
    """One slice after the other, plain and by values compared, on one corpus, as fuzz/campaign does."""
    corpus, art, spent, slices = place / "corpus", place / "found", 0.0, 0
    corpus.mkdir()
    art.mkdir()
    end = time.monotonic() + brake(budget)
    while spent < budget and time.monotonic() < end:
        part = min(budget - spent, 20.0 * 2 ** (slices // 2))
        argv = [bench.program("libfuzzer"), *libfuzzer_flags(bench.target, Limits), f"-seed={seed + slices}", "-print_final_stats=1",
                f"-use_value_profile={slices % 2}", f"-artifact_prefix={art}/", "-reload=0", corpus, seeds]
        took, _ = watch(argv, environment(place), place / "log", part, lambda: None)
        spent, slices = spent + max(took, 0.2), slices + 1
        for found in art.iterdir():
            if found.name.startswith("slow-unit-"):
                found.unlink()
                continue
            yield spent, found
            seen.add(found.name)
            found.unlink()
    yield spent, None


def _afl(bench, seeds, seed, budget, place, seen):
    out = place / "afl"
    env = environment(place, AFL_NO_UI="1", AFL_SKIP_CPUFREQ="1", AFL_NO_AFFINITY="1", AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES="1",
                      AFL_SKIP_CRASHES="1", AFL_NO_CRASH_README="1", AFL_NO_COLOR="1", AFL_FORKSRV_INIT_TMOUT="20000",
                      AFL_HANG_TMOUT=str(TIMEOUT * 1000), AFL_FAST_CAL="1", AFL_TESTCACHE_SIZE="20",
                      ASAN_OPTIONS=AFL_SANITIZER,
                      UBSAN_OPTIONS="abort_on_error=1:symbolize=0")
    env.update(afl_mutator(bench.target))
    argv = [AFL_FUZZ, "-i", seeds, "-o", out, "-s", str(seed), "-t", "5000", "-m", "none"]
    if bench.target.max_len:
        argv += ["-G", str(bench.target.max_len)]
    if bench.target.dict and bench.target.dict.exists():
        argv += ["-x", bench.target.dict]
    if "cmplog" in bench.trees:
        argv += ["-c", bench.program("cmplog")]
    argv += ["--", bench.program("afl")]

    def look():
        for kind in ("crashes", "hangs"):
            for found in sorted((out / "default" / kind).glob("id:*")):
                if found.name not in seen:
                    return found
        return None

    spent = 0.0
    end = time.monotonic() + brake(budget)
    while spent < budget and time.monotonic() < end:
        took, found = watch(argv, {**env, "AFL_AUTORESUME": "1"}, place / "log", budget - spent, look)
        spent += max(took, 0.2)
        if found is None and not (out / "default/fuzzer_stats").exists():
            # Each seed fails, which AFL++ says when it tries them, and then it ends: that is what it has found.
            found = next((p for p in sorted(seeds.iterdir()) if p.name not in seen and DRY_RUN in (place / "log").read_bytes()), None)
            if found is not None:
                yield spent, found
            break
        if found is None:
            break
        yield spent, found
        seen.add(found.name)
    yield spent, None


def trial(bench, engine, number, limit, failing, before=0.0):
    """A record of one trial: found or not, CPU seconds (with `before`, those that it has had), and how it was seen.
    Seeds: the committed corpus without `failing`."""
    place = Path(tempfile.mkdtemp(prefix=f"{engine}-{number}-", dir=bench.work))
    seeds, began, seen, refused = place / "seeds", time.monotonic(), set(), []
    seeds.mkdir()
    for path in bench.target.corpus.iterdir():
        if path not in failing:
            shutil.copyfile(path, seeds / path.name)
    if not any(seeds.iterdir()):
        (seeds / "empty").write_bytes(b"\n")
    record, budget = {"found": False, "cpu": 0.0, "seen": None}, limit - before
    try:
        run = {"libfuzzer": _libfuzzer, "afl": _afl}[engine]
        for spent, found in run(bench, seeds, 1000 * number + 7 + int(before) * 100_000, budget, place, seen):
            record["cpu"] = round(spent, 2)
            if found is None:
                break
            why, text = bench.confirm(found)
            if why is None:
                record.update(found=True, seen=kind_of(text))
                break
            refused.append(why)
            if why.startswith("fails without"):
                shutil.copyfile(found, bench.work / f"real-{hashlib.sha256(found.read_bytes()).hexdigest()[:8]}")
    finally:
        log = process.tail(place / "log", 3000) if (place / "log").exists() else ""
        shutil.rmtree(place, ignore_errors=True)
    record["wall"] = round(time.monotonic() - began, 1)
    if refused:
        record["refused"] = sorted(set(refused))
    if not record["found"] and record["cpu"] < 0.8 * budget:
        if record["wall"] < brake(budget):
            record["error"] = log[-300:]
        record["budget"] = round(before + record["cpu"], 1)
    record["cpu"] = round(before + record["cpu"], 2)
    return record


def commit():
    """The commit of the tree, short."""
    done = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
