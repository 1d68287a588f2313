# SPDX-License-Identifier: MIT
"""Results of proofs: JSON lines, one for each thing that is done. Killed at any moment, a run goes on behind the last line."""
import json
import math
import os
import statistics
from pathlib import Path

TRIALS = 3  # of each defect with each engine
HOW = ("oracle", "verdict", "fuzzing", "survives", "never")  # a deleted check: best first


class Results:
    """The file of results; a torn last line is not counted."""

    def __init__(self, path):
        self.path, self.lines = Path(path), []
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                try:
                    self.lines.append(json.loads(line))
                except ValueError:
                    continue

    def add(self, **record):
        """Kept before it returns."""
        torn = self.path.exists() and self.path.stat().st_size and not self.path.read_bytes().endswith(b"\n")
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(("\n" if torn else "") + json.dumps(record) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.lines.append(record)

    def replayed(self, defect, corpus=None):
        """The last replay of the corpus with this defect (of the corpus with this digest), or None."""
        return next((r for r in reversed(self.lines) if r["what"] == "replay" and r["digest"] == defect.digest and
                     corpus in (None, r.get("corpus"))), None)

    def had(self, defect, engine, number):
        """CPU seconds that this trial has had without a find."""
        old = self.trials(defect, engine).get(number)
        return 0.0 if old is None or old["found"] else old["budget"]

    def trials(self, defect, engine):
        """{number: record} of the trials of this very edit; the longest one counts, a find before all."""
        found = {}
        for r in self.lines:
            if r["what"] == "trial" and r["digest"] == defect.digest and r["engine"] == engine and not r.get("error"):
                old = found.get(r["trial"])
                if old is None or not old["found"] and (r["found"] or r["budget"] >= old["budget"]):
                    found[r["trial"]] = r
        return found

    def _looks(self):
        """{target: {check: record}} of the last look at each target: earlier ones have other numbers."""
        began, last = {}, {}
        for r in self.lines:
            if r["what"] == "deletion":
                if r["target"] not in last or r.get("began") != began[r["target"]]:
                    began[r["target"]], last[r["target"]] = r.get("began"), {}
                last[r["target"]][r["check"]] = r
        return last

    def of_target(self, target):
        """The last record of each check in this target's program."""
        return list(self._looks().get(target, {}).values())

    def checks(self):
        """{(file, line, text of a check): record}: of the last look of each target, the best; what the file says now is not asked."""
        best = {}
        for records in self._looks().values():
            for r in records.values():
                key = (r["file"], r["line"], r["text"])
                if key not in best or HOW.index(r["how"]) < HOW.index(best[key]["how"]):
                    best[key] = r
        return best


def median(trials):
    """Median CPU seconds of three trials, or what it is at most: one that was not run found nothing. None where the median trial found nothing."""
    values = [r["cpu"] if r["found"] else math.inf for r in trials.values()]
    value = statistics.median_low(values + [math.inf] * (TRIALS - len(values)))
    return None if value == math.inf else value
