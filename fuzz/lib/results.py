# SPDX-License-Identifier: MIT
"""Results of proofs: JSON lines, one for each thing that is done. Killed at any moment, a run goes on behind the last line."""
import json
import os
import statistics
from pathlib import Path


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

    def replayed(self, defect):
        """The last replay of the corpus with this defect, or None."""
        return next((r for r in reversed(self.lines) if r["what"] == "replay" and r["digest"] == defect.digest), None)

    def trials(self, defect, engine):
        """{number: record} of the trials of this very edit; the longest one counts, a find before all."""
        found = {}
        for r in self.lines:
            if r["what"] == "trial" and r["digest"] == defect.digest and r["engine"] == engine and not r.get("error"):
                old = found.get(r["trial"])
                if old is None or not old["found"] and (r["found"] or r["budget"] >= old["budget"]):
                    found[r["trial"]] = r
        return found

    def deletions(self):
        """{(target, check): record}, the last of each."""
        return {(r["target"], r["check"]): r for r in self.lines if r["what"] == "deletion"}


def median(trials):
    """Median CPU seconds; None where the median trial found nothing."""
    values = sorted(r["cpu"] if r["found"] else float("inf") for r in trials.values())
    value = statistics.median_low(values) if values else None
    return None if value is None or value == float("inf") else value
