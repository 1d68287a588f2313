# SPDX-License-Identifier: MIT
"""The campaign: workers that run slices, and the main thread that shows progress, keeps the books and ends it all."""
import json
import shutil
import signal
import sys
import threading
import time

import corpus
import coverage
import engines
import fleet
import notify
import page
import process
import schedule
import settings as options
import store as disk
import targets as manifest
from findings import Findings, Oracle
from targets import Refused

ERRORS_MAX = 3  # an engine that cannot run a target so many times in a row is left out there


def plural(number):
    return f"{number} finding{'' if number == 1 else 's'}"


class Progress:
    """What a person or a script sees: findings and the end; a status line that a terminal keeps in one place, a log gets one with each page."""

    def __init__(self, as_json, log_interval):
        self.json, self.tty, self.lock = as_json, sys.stdout.isatty() and not as_json, threading.Lock()
        self.log_interval, self.next = log_interval, 0.0

    def say(self, text, **event):
        with self.lock:
            if self.json:
                print(json.dumps({"event": "note", "text": text, **event}), flush=True)
            else:
                print(("\r\x1b[K" if self.tty else "") + text, flush=True)

    def status(self, text, **event):
        with self.lock:
            if self.json:
                print(json.dumps({"event": "status", **event}), flush=True)
            elif self.tty:
                width = shutil.get_terminal_size().columns
                print("\r\x1b[K" + text[:width - 1], end="", flush=True)
            elif time.monotonic() >= self.next:
                self.next = time.monotonic() + self.log_interval
                print(text, flush=True)


class Campaign:
    """One run."""

    def __init__(self, settings, found, progress):
        self.settings, self.progress = settings, progress
        self.targets = {t.name: t for t in found}
        self.store = disk.Store(settings.out)
        self.stopping, self.began = threading.Event(), time.monotonic()
        self.before = 0.0  # seconds of fuzzing in earlier runs
        self.deadline, self.failure, self.fresh = 0.0, None, 0
        self.name_held = None  # in a fleet
        self.full = 0  # looks in a row that found the folder too large
        self.live = {}  # executions of the slices that run now
        self.pressed = threading.Event()  # the disk is full: slices end, corpora are minimised

    # --- time ---

    def now(self):
        """Seconds of fuzzing so far, without the time between runs."""
        return self.before + time.monotonic() - self.began

    def ended(self):
        return self.stopping.is_set() or time.monotonic() >= self.deadline

    def slice_ended(self):
        return self.ended() or self.pressed.is_set()

    # --- start ---

    def prepare(self):
        s = self.settings
        self._check_programs()
        self.store.claim(s.resume)
        self.name_held = fleet.claim(s, self.store) if s.fleet else None
        process.kill_marked(s.out)
        process.free_shared({pid for t in self.targets.values() for pid in engines.afl_pids(t, s, self.store)})
        self._check_room()
        self.before = self.store.state["elapsed"]
        self.commit = disk.commit()
        self.findings = Findings(s, self.store, self.commit, self.tell)
        for name in self.targets:
            corpus.recover(self.store, name)
            entry = self.store.target(name)
            entry["off"], entry["errors"] = [], {}
        entries = {name: self.store.target(name) for name in self.targets}
        schedule.level(entries)
        turns = {n: engines.jobs(t, s.engines or ("libfuzzer", "afl"), s.workers, len(self.targets))
                 for n, t in self.targets.items()}
        none = [n for n, jobs in turns.items() if not jobs]
        if none:
            raise Refused(f"no engine can run {' '.join(none)}: run `tools/dev build fuzz`", 3)
        if s.slice is None:
            # Each target has four turns in the time; a slice is worth its start.
            s.slice = max(5.0, min(120.0, s.time * s.workers / (4 * len(self.targets))))
        self.scheduler = schedule.Scheduler(entries, turns, s.slice)
        self.store.state.update(running=True, commit=self.commit, workers=s.workers)
        self.store.save()

    def _check_programs(self):
        s, wanted = self.settings, self.settings.engines or ()
        for program in ("setpriv", "prlimit"):
            if not shutil.which(program):
                raise Refused(f"{program} is missing: apt-get install util-linux", 3)
        if engines.AFL_FUZZ is None and (s.engines is None or "afl" in wanted):
            if "afl" in wanted or s.fleet:
                raise Refused("afl-fuzz is missing: apt-get install afl++, or --engines libfuzzer", 3)
            self.progress.say("note: afl-fuzz is missing, libFuzzer runs alone: apt-get install afl++")
        gone = {name: t.drop_missing() for name, t in self.targets.items()}
        parts = " ".join(sorted({part for some in gone.values() for part in some}))
        lost = [n for n, t in self.targets.items() if not t.libfuzzer and (not wanted or "libfuzzer" in wanted)]
        if lost:
            raise Refused(f"libFuzzer's program is not built for {' '.join(lost)}: run `tools/dev build {parts or 'fuzz'}`", 3)
        if parts:
            self.progress.say(f"note: not all is built and the campaign is weaker for it: run `tools/dev build {parts}`")
        without = [n for n, t in self.targets.items() if not t.afl]
        if without and "afl" in wanted:
            raise Refused(f"AFL++ is asked for, but not built for {' '.join(without)}: run `tools/dev build afl`", 3)
        if s.disk // len(self.targets) < 1 << 20:
            raise Refused(f"--disk {s.disk >> 20}M: {len(self.targets)} targets need at least {len(self.targets)}M")

    def _check_room(self):
        s = self.settings
        free = shutil.disk_usage(s.out).free + disk.usage(s.out)[0]
        if free < s.disk:
            raise Refused(f"--out {s.out}: {free >> 20} MiB are free there, but the campaign may take {s.disk >> 20} MiB: "
                          f"choose another --out or a smaller --disk", 3)

    # --- one slice ---

    def worker(self):
        try:
            while not self.ended():
                job = self.scheduler.pick()
                if job is None:
                    self.stopping.wait(0.3)
                    continue
                self.slice(*job)
        except Exception as error:  # pylint: disable=broad-except
            self.failure = error
            self.stopping.set()
            raise

    def slice(self, name, engine, role):
        target, entry = self.targets[name], self.store.target(name)
        began, gained = time.monotonic(), False
        try:
            if not entry["slices"] and not entry["seconds"]:
                self.triage(target, "libfuzzer", *corpus.plant(target, self.settings, self.store, self.ended))
            gained = self.fuzz(target, entry, engine, role)
        finally:
            took = time.monotonic() - began
            with self.store.lock:
                entry["slices"] += 1
                entry["seconds"] += took
                if gained:
                    entry["last_new"] = self.now()
                entry["files"] = sum(1 for _ in self.store.folder(name, "corpus").iterdir())
            self.scheduler.done(name, engine, role, took, gained)
        self.tidy(target)
        self.store.point(name, self.now())
        self.store.save()

    def fuzz(self, target, entry, engine, role):
        """Runs the engine for the slice's time; a finding ends libFuzzer, not the slice. True when there was new coverage."""
        long = self.settings.slice * entry["stretch"].get(engine, 1)
        end, gained = min(time.monotonic() + long, self.deadline), False
        while True:
            rest = end - time.monotonic()
            if rest < 0.5 or self.slice_ended():
                return gained
            act = engines.libfuzzer if engine == "libfuzzer" else engines.afl
            with self.store.lock:
                known = {key: entry[key] for key in ("cov", "ft", "edges")}
            result = act(target, role, self.settings, self.store, rest, self.slice_ended,
                         lambda so_far: self.watch(target, engine, role, so_far))
            gained |= self.book(entry, known, engine, role, result)
            self.stretch(entry, engine, result)
            if result.error:
                self.progress.say(f"problem: {target.name}: {engine} ({role}): {result.error}", event="problem",
                                  target=target.name, engine=engine, error=result.error)
            if engine == "afl":
                new = corpus.collect(target, role, self.settings, self.store)
                gained |= new > 0
                self.triage(target, "afl", *corpus.empty_inbox(target, self.settings, self.store, self.ended))
            self.triage(target, engine, result.artifacts, result.log)
            if engine == "afl" or result.error or (not result.artifacts and result.took < 1.0):
                return gained

    def watch(self, target, engine, role, so_far):
        """A slice runs: its figures for the line of progress and the plots."""
        entry = self.store.target(target.name)
        with self.store.lock:
            self.live[threading.get_ident()] = so_far.execs
            for key in ("cov", "ft", "edges"):
                entry[key] = max(entry[key], getattr(so_far, key) or 0)
        self.store.point(target.name, self.now(), so_far.execs)

    @staticmethod
    def stretch(entry, engine, result):
        """A slice in which the engine hardly got past reading its corpus was too short: the next is twice as long, at most
        16 times. Fairness is not touched, since true time counts."""
        factor, inputs = entry["stretch"].get(engine, 1), entry.get("files", 1)
        if not result.error and not result.artifacts:
            if result.execs < 4 * inputs:
                entry["stretch"][engine] = min(16, 2 * factor)
            elif result.execs > 40 * inputs:
                entry["stretch"][engine] = max(1, factor // 2)

    def book(self, entry, known, engine, role, result):
        """Enters a slice's result; True when it has more coverage than was `known` before it."""
        with self.store.lock:
            self.live.pop(threading.get_ident(), None)
            gained = any((getattr(result, key) or 0) > known[key] for key in known)
            for key in known:
                entry[key] = max(entry[key], getattr(result, key) or 0)
            if engine == "afl":
                entry["afl_execs"][role] = entry["afl_execs"].get(role, 0) + result.execs
            else:
                entry["execs"] += result.execs
            if not result.error:
                entry["errors"].pop(engine, None)
                entry.setdefault("failed", {})[engine] = 0
                return gained
            failed = entry.setdefault("failed", {})
            failed[engine] = failed.get(engine, 0) + 1
            entry["errors"][engine] = result.error
            if failed[engine] >= ERRORS_MAX:
                entry["off"].append(engine)
            return gained

    def triage(self, target, engine, artifacts, log):
        for path in artifacts:
            if self.stopping.is_set() and len(artifacts) > 8:
                break  # the rest stays where it is; the next run looks at it
            self.findings.triage(target, path, engine, log, self.stopping.is_set)

    def tell(self, finding):
        self.fresh += 1
        self.progress.say(f"FINDING {finding['id']}: {finding['title']} ({finding['min_size']} bytes)\n  {finding['report']}",
                          event="finding", **{k: finding[k] for k in ("id", "target", "class", "kind", "place", "report")})
        if self.settings.until_finding:
            self.stopping.set()

    def tidy(self, target):
        """Between slices: the target's share of the disk, when nothing else of it runs."""
        if not self.scheduler.alone(target.name):
            return
        try:
            quota = self.settings.disk * 9 // 10 // len(self.targets)
            says, artifacts, log = corpus.keep_small(target, self.settings, self.store, quota, self.stopping.is_set,
                                                     force=self.pressed.is_set())
            self.triage(target, "libfuzzer", artifacts, log)
            for text in says:
                self.progress.say(f"{target.name}: {text}", target=target.name)
        finally:
            self.scheduler.release(target.name)

    # --- main thread ---

    def leftovers(self):
        """What a killed run had found and not yet looked at."""
        for name, target in self.targets.items():
            found = [p for p in (self.store.out / name / "artifacts").glob("*/*") if p.is_file()]
            for instance in fleet.own(engines.afl_folder(target, self.settings, self.store), self.settings):
                found += instance.glob("crashes*/id:*")
            self.triage(target, "an earlier run", [p for p in found if not p.name.startswith(("slow-unit", "libFuzzerTemp"))], "")
        for finding in self.findings.left():
            target = self.targets.get(finding["target"])
            path = self.store.out / "findings" / finding["id"] / "input"
            failure, _ = (Oracle(self.settings).run(target, path, self.store.folder(target.name, "logs"))
                          if target and path.exists() else (None, ""))
            if failure and failure.key() == finding["key"]:
                self.findings.shorten(target, finding, path.read_bytes(), failure, self.stopping.is_set)
            elif target and not self.stopping.is_set():
                finding["minimised_by"] = "not made smaller: it does not fail any more"
                self.findings.save(finding)

    def run(self):
        """The exit code."""
        self.prepare()
        self.began = time.monotonic()
        self.deadline = self.began + self.settings.time
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: self.stopping.set())
        self.leftovers()
        workers = [threading.Thread(target=self.worker, name=f"worker-{n}", daemon=True) for n in range(self.settings.workers)]
        for worker in workers:
            worker.start()
        next_line = next_page = next_look = 0.0
        while any(w.is_alive() for w in workers):
            self.stopping.wait(0.2) if not self.ended() else time.sleep(0.2)
            now = time.monotonic()
            if now >= next_line:
                self.line()
                next_line = now + self.settings.interval
            if now >= next_look and not self.ended():
                self.look()
                next_look = now + 10
            if now >= next_page and not self.ended():
                self.draw(20.0)
                next_page = time.monotonic() + self.settings.page_interval
            if self.scheduler.idle() and not self.stopping.is_set():
                self.failure = Refused("no engine can run any target; the problems are above", 3)
                self.stopping.set()
        return self.end()

    def line(self):
        with self.store.lock:
            entries = [self.store.target(n) for n in self.targets]
            execs = sum(e["execs"] + sum(e["afl_execs"].values()) for e in entries) + sum(self.live.values())
            cov = sum(e["cov"] for e in entries)
        left = self.deadline - time.monotonic()
        rest = "" if left == options.FOREVER else f", {page.span(max(0, left))} left"
        size = disk.usage(self.store.out)[0]
        running = self.scheduler.running()
        self.progress.status(
            f"{page.span(self.now())}{rest} | {page.short(execs)} executions | {cov} edges | {plural(len(self.findings.all))} | "
            f"{size >> 20} MiB | {' '.join(running)}",
            elapsed=round(self.now(), 1), executions=execs, edges=cov, findings=len(self.findings.all), disk=size, running=running)

    def look(self):
        """Every few seconds: the disk, messages that could not be sent, the books."""
        s = self.settings
        size = disk.usage(s.out)[0]
        if size <= s.disk:
            self.full = 0
            self.pressed.clear()
        else:
            self.pressed.set()  # the slices end, and each target is made small after its own
            self.full += 1
            if self.full > 30:
                self.failure = Refused(f"{s.out} has {size >> 20} MiB and does not get smaller: give it more by --disk, or "
                                       f"remove findings that are done", 3)
                self.stopping.set()
        self.send()
        with self.store.lock:
            self.store.state["elapsed"] = self.now()
        self.store.save()
        self.store.thin()

    def send(self):
        for finding in list(self.findings.all.values()):
            if notify.pending(finding, self.settings.webhook, self.settings.command) and finding["minimised_by"] != "not yet":
                text = (self.store.out / "findings" / finding["id"] / "report.md").read_text(encoding="utf-8")
                for error in notify.send(finding, text, self.settings.webhook, self.settings.command):
                    self.progress.say(f"problem: notification of {finding['id']}: {error}", event="problem", error=error)
                with self.findings.lock:
                    self.findings.save(finding)

    def draw(self, limit, all_targets=False):
        """The page; before it the coverage of targets whose corpus has grown, within `limit` seconds."""
        end = time.monotonic() + limit
        for name, target in self.targets.items():
            entry = self.store.target(name)
            if time.monotonic() > end or (self.stopping.is_set() and not all_targets):
                break
            if target.cov and entry.get("measured") != (entry["cov"], entry.get("files")):
                files = coverage.measure(target, self.settings, self.store)
                entry["measured"], entry["lines"] = (entry["cov"], entry.get("files")), coverage.percent(files)
        return page.write(self.store, list(self.findings.all.values()), self.now())

    def end(self):
        with self.store.lock:
            self.store.state["elapsed"] = self.now()
            self.store.state["running"] = False
        self.send()
        for name, target in self.targets.items():  # those that no slice has passed since
            if disk.usage(self.store.out / name)[0] > self.settings.disk * 9 // 10 // len(self.targets):
                self.tidy(target)
        where = self.draw(300.0, True)
        self.store.save()
        process.kill_marked(self.settings.out)
        number = len(self.findings.all)
        if isinstance(self.failure, Refused):
            raise self.failure
        if self.failure:
            raise Refused(f"stopped by an error in the campaign itself: {self.failure!r}", 3)
        execs = sum(e["execs"] + sum(e["afl_execs"].values()) for e in self.store.state["targets"].values())
        self.progress.say(f"{plural(number)} ({self.fresh} new), {page.short(execs)} executions in {page.span(self.now())}; {where}",
                          event="end", findings=number, new=self.fresh, executions=execs, page=str(where))
        return 1 if number else 0


def again(settings):
    """--page: draws the page of a campaign from what is stored."""
    store = disk.Store(settings.out)
    if not store.exists():
        raise Refused(f"--page {settings.out}: there is no campaign")
    store.load()
    for name in store.state["targets"]:
        store.target(name)
    found = Findings(settings, store, "", None)
    print(page.write(store, list(found.all.values()), store.state["elapsed"]))
    return 0


def main(argv):
    try:
        settings = options.read(argv)
        if settings.page:
            return again(settings)
        chosen = manifest.choose(manifest.load(settings.manifest), settings.targets)
        return Campaign(settings, chosen, Progress(settings.json, settings.page_interval)).run()
    except Refused as error:
        print(f"fuzz/campaign: {error}", file=sys.stderr)
        return error.code
    except OSError as error:
        print(f"fuzz/campaign: {error}", file=sys.stderr)
        return 3
