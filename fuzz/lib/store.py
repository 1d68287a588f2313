# SPDX-License-Identifier: MIT
"""The folder of a campaign. Everything in it survives kill -9: files appear whole or not at all.

  campaign.json        what was run and for how long, per target: executions, coverage, time
  history.jsonl        points of the plots
  index.html           the page
  findings/ID/         finding.json, report.md, input, input.min
  TARGET/corpus/       inputs of both engines; TARGET/inbox/: from AFL++, not yet merged
  TARGET/afl/          AFL++'s own folder; TARGET/logs/
"""
import fcntl
import json
import os
import subprocess
import threading
import time
from pathlib import Path

from targets import ROOT, Refused

HISTORY_MAX = 2 << 20


def write(path, data):
    """Replaces a file at once."""
    path = Path(path)
    part = path.with_name(f".{path.name}.part")
    with open(part, "wb") as file:
        file.write(data if isinstance(data, bytes) else data.encode("utf-8"))
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def commit():
    """The commit of the tree, with '+' when files differ from it."""
    def git(*words):
        return subprocess.run(("git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), *words), capture_output=True, text=True, check=False)
    try:
        head = git("rev-parse", "--short=12", "HEAD")
    except OSError:  # a host that only fuzzes may have no git
        return "unknown"
    if head.returncode:
        return "unknown"
    return head.stdout.strip() + ("+" if git("status", "--porcelain", "-uno").stdout.strip() else "")


def usage(path):
    """Bytes and files below a folder."""
    total = files = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_blocks * 512
                files += 1
            except OSError:
                pass
    return total, files


FIELDS = {"execs": 0, "cov": 0, "ft": 0, "edges": 0, "seconds": 0.0, "slices": 0, "vtime": 0.0, "gain": 1.0, "turn": 0,
          "afl_execs": {}, "afl_seen": {}, "baseline": 0, "last_new": 0.0, "errors": {}, "lines": None, "off": [],
          "stretch": {}}


class Store:
    """One campaign on the disk. Threads share it: `lock` guards `state`."""

    def __init__(self, out):
        self.out, self.lock = Path(out), threading.RLock()
        self.state = {"version": 1, "created": time.time(), "elapsed": 0.0, "running": False, "targets": {}}
        self._held = None

    def exists(self):
        return (self.out / "campaign.json").exists()

    def load(self):
        path = self.out / "campaign.json"
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
            if state["version"] != 1 or not isinstance(state["targets"], dict):
                raise ValueError("not a campaign of this version")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise Refused(f"{path}: {error}; choose another --out or remove {self.out}", 3) from error
        self.state.update(state)

    def claim(self, resume):
        """Opens the folder for a run; nobody else may run in it meanwhile."""
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            if not self.exists() and any(p.name not in ("lock", "findings") for p in self.out.iterdir()):
                raise Refused(f"--out {self.out} is not empty and holds no campaign: choose another folder")
            self._held = open(self.out / "lock", "w", encoding="utf-8")
        except OSError as error:
            raise Refused(f"--out {self.out}: {error.strerror}", 3) from error
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Refused(f"--out {self.out}: another campaign runs in it") from error
        if self.exists():
            if not resume:
                raise Refused(f"--out {self.out} holds a campaign: add --resume, choose another --out or remove it")
            self.load()
        (self.out / "findings").mkdir(exist_ok=True)

    def target(self, name):
        with self.lock:
            entry = self.state["targets"].setdefault(name, {})
            for key, value in FIELDS.items():
                entry.setdefault(key, value.copy() if isinstance(value, (dict, list)) else value)
            return entry

    def folder(self, name, kind):
        path = self.out / name / kind
        path.mkdir(parents=True, exist_ok=True)
        return path

    def save(self):
        with self.lock:
            write(self.out / "campaign.json", json.dumps(self.state, indent=1))

    def point(self, name, now, running=0):
        """One point of a target's plots; running: executions of a slice that has not ended."""
        entry = self.target(name)
        line = {"t": round(now, 1), "target": name, "cov": entry["cov"], "edges": entry["edges"],
                "execs": entry["execs"] + sum(entry["afl_execs"].values()) + running}
        with self.lock, open(self.out / "history.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def history(self):
        """{target: points}; a line that a kill has cut is passed over."""
        found = {}
        try:
            lines = (self.out / "history.jsonl").read_text(encoding="utf-8").splitlines()
        except OSError:
            return found
        for line in lines:
            try:
                point = json.loads(line)
                found.setdefault(point["target"], []).append(
                    {k: float(point[k]) for k in ("t", "cov", "edges", "execs")})
            except (ValueError, KeyError, TypeError):
                continue
        return found

    def thin(self):
        """Halves the history when it is long: each target keeps every other point."""
        path = self.out / "history.jsonl"
        if not path.exists() or path.stat().st_size < HISTORY_MAX:
            return
        with self.lock:
            lines = [json.dumps({"target": name, **p}) + "\n"
                     for name, points in self.history().items() for p in points[::2]]
            write(path, "".join(lines))
