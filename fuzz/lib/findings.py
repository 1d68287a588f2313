# SPDX-License-Identifier: MIT
"""Findings: is it one, which one is it, the smallest input that shows it, and the report."""
import json
import os
import re
import threading
import time
from pathlib import Path

import process
import stack
import store as disk
from targets import ROOT


class Oracle:
    """Runs single inputs with the sanitized program of a target."""

    def __init__(self, settings, stop=lambda: False):
        self.settings, self.stop = settings, stop

    def run(self, target, path, work):
        """(Failure or None, output) of one execution."""
        log = Path(work) / f"oracle-{threading.get_ident()}.log"
        limit = 2 * self.settings.timeout + 20
        if target.libfuzzer:
            argv = [target.libfuzzer, f"-timeout={self.settings.timeout}", f"-rss_limit_mb={self.settings.memory >> 20}",
                    f"-artifact_prefix={work}/ignored-", path]
        else:
            argv = [target.replay or target.afl, path]
        outcome = process.run(argv, process.environment(self.settings.out), log, limit, memory=2 * self.settings.memory)
        text = process.tail(log, 1 << 18)
        log.unlink(missing_ok=True)
        for left in Path(work).glob("ignored-*"):
            left.unlink()
        failure = stack.parse(text, f"{ROOT}/")
        if failure is None and outcome.reason == "time":
            failure = stack.Failure("timeout", "timeout", [], text)
        elif failure is None and outcome.reason == "memory":
            failure = stack.Failure("oom", "out-of-memory", [], text)
        elif failure is None and outcome.code:
            failure = stack.Failure("crash", f"exit {outcome.code}", [], text[-4096:])
        return failure, text


def shrink(data, same, deadline):
    """The smallest input that a greedy removal of pieces reaches for which same(bytes) holds; it holds for `data`. The end goes first, by
    halves: what a parser never looked at costs a few runs, not one for each piece."""
    low, high = 0, len(data)  # same(data[:high])
    while low < high and time.monotonic() < deadline:
        middle = (low + high) // 2
        low, high = (low, middle) if same(data[:middle]) else (middle + 1, high)
    data = data[:high]
    piece = max(1, len(data) // 2)
    while piece and time.monotonic() < deadline:
        at, shorter = 0, False
        while at < len(data) and time.monotonic() < deadline:
            candidate = data[:at] + data[at + piece:]
            if same(candidate):
                data, shorter = candidate, True
            else:
                at += piece
        piece = piece if shorter and piece == 1 else piece // 2
    return data


def records(data):
    """The actions of a script (fuzz/script.h), whose first byte is their length."""
    found, at = [], 0
    while at < len(data):
        found.append(data[at + 1:at + 1 + data[at]])
        at += 1 + data[at]
    return found


def joined(actions):
    return b"".join(bytes([len(a)]) + a for a in actions)


def shrink_script(data, same, deadline):
    """As shrink(), for a session's script: whole actions go first, then what an action does not need, with its length."""
    actions = records(data)
    if joined(actions) != data and not same(joined(actions)):
        return data
    actions = shrink(actions, lambda left: same(joined(left)), deadline)
    for i, action in enumerate(actions):
        actions[i] = shrink(action, lambda left, i=i: same(joined([*actions[:i], left, *actions[i + 1:]])), deadline)
    return joined(actions)


def minimise(target, data, failure, settings, work, stop):
    """(smallest bytes found with the same failure, by what). Removal of pieces ends by itself; then libFuzzer, which changes bytes as well
    and never knows that it is done, gets as long as that took, so that a busy machine makes it slower but not worse."""
    began = time.monotonic()
    oracle, deadline = Oracle(settings), began + settings.minimise
    trial = work / f"trial-{threading.get_ident()}"

    def same(candidate):
        if stop():
            return False
        trial.write_bytes(candidate)
        got, _ = oracle.run(target, trial, work)
        return got is not None and got.key() == failure.key()

    def smaller(candidate):
        return shrink(shrink_script(candidate, same, deadline) if target.kind == "session" else candidate, same, deadline)

    if failure.class_ in ("timeout", "oom") or not target.libfuzzer:
        return data, "not made smaller"
    try:
        best, by = smaller(data), ["pieces removed"]
        now = time.monotonic()
        share = int(min(max(2, now - began), (deadline - now) / 2))
        if share > 0:
            trial.write_bytes(best)
            small = work / f"small-{threading.get_ident()}"
            small.unlink(missing_ok=True)
            argv = [target.libfuzzer, "-minimize_crash=1", f"-max_total_time={share}", f"-exact_artifact_path={small}",
                    f"-artifact_prefix={work}/ignored-", trial]
            process.run(argv, process.environment(settings.out, TMPDIR=str(work)), work / f"log-{threading.get_ident()}", share + 5, stop=stop)
            candidate = small.read_bytes() if small.exists() else best
            # It only looks for a failure of any kind: a smaller input that fails otherwise does not count.
            if len(candidate) < len(best) and same(candidate):
                best, by = smaller(candidate), [*by, "libFuzzer -minimize_crash"]
    finally:
        for left in (*work.glob(f"*-{threading.get_ident()}"), *work.glob("ignored-*")):
            left.unlink(missing_ok=True)
    if time.monotonic() >= deadline:
        by.append("the time for it was up")
    return best, ", ".join(by) if len(best) < len(data) else "not made smaller"


def hexdump(data, limit=1024):
    lines = []
    for at in range(0, min(len(data), limit), 16):
        row = data[at:at + 16]
        text = "".join(chr(b) if 32 <= b < 127 else "." for b in row)
        lines.append(f"{at:08x}  {row[:8].hex(' '):<23}  {row[8:].hex(' '):<23}  |{text}|")
    if len(data) > limit:
        lines.append(f"... {len(data) - limit} bytes more")
    return "\n".join(lines) or "(empty input)"


def report(finding, data, out):
    """The Markdown report of a finding."""
    when = lambda t: time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(t))
    # What a target prints is not trusted to be harmless Markdown: the fence is longer than any in it.
    fence = "`" * max(4, 1 + max(map(len, re.findall("`+", finding["output"])), default=0))
    frames = "\n".join(f"{n}. `{f}` {file}:{line}" for n, (f, file, line) in enumerate(finding["frames"], 1))
    others = [t for t in finding["targets"] if t != finding["target"]]
    place = f"--out {out} " if Path(out) != ROOT / "build/campaign" else ""
    path = f"{out}/findings/{finding['id']}/input.min"
    return f"""# {finding['title']}

| | |
|---|---|
| Finding | {finding['id']} |
| Target | {finding['target']}{f" (also {', '.join(others)})" if others else ''} |
| Class | {finding['class']}: {finding['kind'].replace('|', ' ')} |
| Place | {finding['place']} |
| Commit | {finding['commit']} |
| First seen | {when(finding['first_seen'])}, by {finding['engine']} |
| Last seen | {when(finding['last_seen'])} |
| Seen | {finding['count']} times |
| Input | {finding['size']} bytes; minimised: {finding['min_size']} bytes ({finding['minimised_by']}) |

## Reproduce

```
tools/dev build fuzz host
fuzz/replay {place}{finding['id']}
fuzz/replay {place}{finding['id']} --gdb
fuzz/replay --target {finding['target']} {path}
```

With the fix: `cp {path} fuzz/corpus/{finding['target']}/found-{finding['id'].rsplit('-', 1)[-1]}`, a regression test, and a line
in docs/found.md.

## Stack of our own code

{frames or 'unknown'}

## Minimised input

```
{hexdump(data)}
```

## Output

{fence}
{finding['output']}
{fence}
"""


class Findings:
    """All findings of a campaign; threads share it."""

    def __init__(self, settings, store, commit, tell):
        """tell(finding): called once for each new one."""
        self.settings, self.store, self.commit, self.tell = settings, store, commit, tell
        self.folder, self.lock, self.all = store.out / "findings", threading.Lock(), {}
        self.load()

    def load(self):
        for path in sorted(self.folder.glob("*/finding.json")):
            try:
                finding = json.loads(path.read_text(encoding="utf-8"))
                self.all[finding["id"]] = finding
            except (OSError, ValueError, KeyError):
                continue

    def save(self, finding):
        folder = self.folder / finding["id"]
        folder.mkdir(parents=True, exist_ok=True)
        data = next((p.read_bytes() for p in (folder / "input.min", folder / "input") if p.exists()), b"")
        disk.write(folder / "report.md", report(finding, data, self.store.out))
        disk.write(folder / "finding.json", json.dumps(finding, indent=1))

    def triage(self, target, path, engine, log, stop):
        """Looks at an artifact, then removes it. Returns the finding, or None when it is none."""
        work = self.store.folder(target.name, "logs")
        try:
            data = path.read_bytes()
        except OSError:
            return None
        oracle, failure = Oracle(self.settings), None
        for _ in range(3):
            failure, _ = oracle.run(target, path, work)
            if failure or path.name.startswith("timeout-") or path.parent.name == "hangs":
                break  # a hang that does not show again was the machine's load
        if failure is None and not (path.name.startswith("timeout-") or path.parent.name == "hangs"):
            seen = stack.parse(log, f"{ROOT}/")
            failure = stack.Failure("unstable", f"{seen.kind if seen else engine}, not in a run of its own",
                                    seen.frames if seen else [], seen.text if seen else log[-4096:])
        finding = self.record(target, data, failure, engine, stop) if failure else None
        path.unlink(missing_ok=True)
        if path.parent.parent.name == "artifacts" and not os.listdir(path.parent):
            path.parent.rmdir()
        return finding

    def record(self, target, data, failure, engine, stop):
        """Counts a known finding, stores a new one."""
        key, now = failure.key(), time.time()
        with self.lock:
            known = next((f for f in self.all.values() if f["key"] == key and
                          (f["frames"] or f["target"] == target.name)), None)
            if known:
                known["count"] += 1
                known["last_seen"] = now
                known["targets"] = sorted({*known["targets"], target.name})
                self.save(known)
                return known
            name = failure.identity(target.name)
            finding = {
                "id": name, "key": key, "target": target.name, "targets": [target.name], "class": failure.class_,
                "kind": failure.kind, "place": failure.place(), "frames": failure.frames, "output": failure.text,
                "title": f"{target.name}: {failure.kind} in {failure.place()}", "engine": engine, "commit": self.commit,
                "first_seen": now, "last_seen": now, "count": 1, "size": len(data), "min_size": len(data),
                "minimised_by": "not yet", "report": str(self.folder / name / "report.md"),
            }
            self.all[name] = finding
            folder = self.folder / name
            folder.mkdir(parents=True, exist_ok=True)
            disk.write(folder / "input", data)
            disk.write(folder / "input.min", data)
            self.save(finding)
        self.shorten(target, finding, data, failure, stop)
        self.tell(finding)
        return finding

    def shorten(self, target, finding, data, failure, stop):
        small, by = data, "unstable: not made smaller"
        if failure.class_ != "unstable":
            small, by = minimise(target, data, failure, self.settings, self.store.folder(target.name, "logs"), stop)
        with self.lock:
            disk.write(self.folder / finding["id"] / "input.min", small)
            finding.update(min_size=len(small), minimised_by="not yet" if stop() and len(small) == len(data) else by)
            self.save(finding)

    def left(self):
        """Findings whose input a kill has left as it was."""
        with self.lock:
            return [f for f in self.all.values() if f["minimised_by"] == "not yet"]
