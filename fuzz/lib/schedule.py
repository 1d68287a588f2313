# SPDX-License-Identifier: MIT
"""Who runs next: fair by virtual time, as in a kernel's scheduler; what still finds new coverage weighs up to four times."""
import threading


class Scheduler:
    """Targets share the workers. `entry` of a target has vtime, gain, turn and off (see store.FIELDS)."""

    def __init__(self, entries, jobs, slice_seconds):
        """entries: {target: entry}; jobs: {target: [(engine, role)...]}, the turns of that target."""
        self.entries, self.jobs, self.slice = entries, jobs, slice_seconds
        self.lock, self.active, self.exclusive = threading.Lock(), {}, set()

    @staticmethod
    def weight(entry):
        return 1.0 + 3.0 * entry["gain"]

    def pick(self):
        """(target, engine, role) that is now the worker's, or None when nothing can run."""
        with self.lock:
            for name in sorted(self.entries, key=lambda n: (self.entries[n]["vtime"], n)):
                job = None if name in self.exclusive else self._turn(name)
                if job:
                    entry = self.entries[name]
                    entry["vtime"] += self.slice / self.weight(entry)
                    self.active.setdefault(name, []).append(job)
                    return (name, *job)
            return None

    def _turn(self, name):
        entry, jobs = self.entries[name], self.jobs[name]
        for step in range(len(jobs)):
            engine, role = jobs[(entry["turn"] + step) % len(jobs)]
            # An instance of AFL++ runs once; libFuzzer as often as one likes.
            if engine in entry["off"] or (engine == "afl" and (engine, role) in self.active.get(name, ())):
                continue
            entry["turn"] = (entry["turn"] + step + 1) % len(jobs)
            return engine, role
        return None

    def done(self, name, engine, role, took, gained):
        """A slice has ended: its true time replaces the planned one."""
        with self.lock:
            entry = self.entries[name]
            entry["vtime"] += (took - self.slice) / self.weight(entry)
            entry["gain"] = 0.5 * entry["gain"] + (0.5 if gained else 0.0)
            self.active[name].remove((engine, role))

    def alone(self, name):
        """Tries to keep a target to oneself: True when nothing of it runs; then until release()."""
        with self.lock:
            if self.active.get(name) or name in self.exclusive:
                return False
            self.exclusive.add(name)
            return True

    def release(self, name):
        with self.lock:
            self.exclusive.discard(name)

    def idle(self):
        """True when every engine of every target is off."""
        return all(all(engine in self.entries[n]["off"] for engine, _ in self.jobs[n]) for n in self.entries)

    def running(self):
        with self.lock:
            return [f"{name}:{'lf' if engine == 'libfuzzer' else engine}" for name, jobs in self.active.items()
                    for engine, _ in jobs]


def level(entries):
    """Those who join a campaign that has run begin where the others are, not with all the time they missed."""
    known = [e["vtime"] for e in entries.values() if e["slices"]]
    if known:
        for entry in entries.values():
            entry["vtime"] = max(entry["vtime"], min(known))
