#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A fleet: two campaigns at the same time, as two hosts with one shared folder."""
import argparse
import json
import shutil
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import toy

import campaign
import corpus
import engines
import fleet
import store
import targets

HOSTS = ("h1", "x-h1")  # one name ends as the other
LIMIT = 150             # seconds for two inputs to cross; it takes about 20
SECRETS = {"h1": b"only host one has this", "x-h1": b"and this only host two"}


def contents(folder):
    return [p.read_bytes() for p in folder.glob("*") if p.is_file()] if folder.is_dir() else []


class Names(unittest.TestCase):
    """No fuzzer runs."""

    def setUp(self):
        keep = tempfile.TemporaryDirectory(prefix="redoubt-fleet-")
        self.addCleanup(keep.cleanup)
        self.base = Path(keep.name)

    def campaign(self, name, host):
        """As after a start, from what is on the disk."""
        one = argparse.Namespace(fleet=str(self.base / "shared"), host=host, out=self.base / name)
        disk = store.Store(one.out)
        disk.claim(True)
        disk._held.close()
        return one, disk

    def taken(self, name, host):
        return fleet.claim(*self.campaign(name, host))

    def refused(self, name, host):
        with self.assertRaises(targets.Refused) as caught:
            self.taken(name, host)
        return str(caught.exception)

    def test_claim(self):
        held = self.taken("a", "h1")
        self.assertIn("runs now", self.refused("b", "h1"))
        self.assertFalse((self.base / "b/campaign.json").exists(), "a refusal leaves nothing")
        self.taken("b", "h2").close()
        held.close()
        text = self.refused("c", "h1")  # also when it does not run
        for part in ("--name h1", str(self.base / "a"), str(self.base / "shared/.hosts/h1"), "remove"):
            self.assertIn(part, text)
        self.taken("a", "h1").close()
        for text in ("{", "[]", "7", "{}"):
            (self.base / "shared/.hosts/h1").write_text(text)
            self.assertIn("nobody knows", self.refused("c", "h1"))
        (self.base / "shared/.hosts/h1").unlink()
        self.taken("c", "h1").close()
        (self.base / "shared").rename(self.base / "other")
        (self.base / "shared").touch()
        self.assertIn(f"--fleet {self.base / 'shared'}", self.refused("d", "h1"))

    def test_own(self):
        """A host's quota, and its crashes, concern its own instances alone."""
        one, disk = self.campaign("a", "h1")
        target = targets.Target({"name": "toy"}, "here")
        for name in ("main-h1", "cmplog-h1", "main-x-h1", "main-h10", "main"):
            (self.base / "shared/toy" / name / "crashes.2026").mkdir(parents=True)
            (self.base / "shared/toy" / name / "crashes.2026/id:000000").write_bytes(bytes(1 << 20))
        run = campaign.Campaign(one, [target], None)
        run.store, seen = disk, []
        run.triage = lambda target, engine, artifacts, log: seen.extend(p.parents[1].name for p in artifacts)
        run.findings = argparse.Namespace(left=lambda: [])
        run.leftovers()
        self.assertEqual(sorted(seen), ["cmplog-h1", "main-h1"])
        corpus.keep_small(target, one, disk, 1 << 20, lambda: False)
        self.assertEqual({p.name for p in (self.base / "shared/toy").iterdir()}, {"main-x-h1", "main-h10", "main"})

    def test_foreign_finds(self):
        """What another host found is new to this one's corpus; what another instance of this host found is not."""
        queue = self.base / "queue"
        queue.mkdir()
        for number, rest in enumerate(("orig:x", "src:000000,op:havoc", "sync:main-h1,src:4", "sync:main-x-h1,src:4",
                                       "sync:corpus,src:000001", "sync:main-h2,src:1,+cov")):
            (queue / f"id:{number:06},{rest}").touch()
        self.assertEqual([int(p.name[3:9]) for p in engines.afl_new(self.base, -1, "h1")[0]], [1, 3, 5])


@unittest.skipUnless(toy.AFL, "AFL++ is not installed")
class Fleet(unittest.TestCase):
    def setUp(self):
        keep = tempfile.TemporaryDirectory(prefix="redoubt-fleet-")
        self.addCleanup(keep.cleanup)
        self.base = Path(keep.name)
        self.shared = self.base / "shared"
        manifest = toy.build(self.base, *toy.secrets(*(SECRETS[h] for h in HOSTS)))
        self.manifests = {}
        for host in HOSTS:  # each with seeds of its own
            (entry,) = json.loads(manifest.read_text())
            entry["corpus"] = str(self.base / f"seeds-{host}")
            shutil.copytree(self.base / "seeds", entry["corpus"])
            Path(entry["corpus"], "secret").write_bytes(SECRETS[host])
            self.manifests[host] = self.base / f"{host}.json"
            self.manifests[host].write_text(json.dumps([entry]))

    def words(self, host, out, *more):
        return toy.words(self.manifests[host], out, "toy", "--workers", "1", "--slice", "3s", "--fleet", self.shared, "--name", host,
                         *more)

    def missing(self):
        """What has not arrived at the host that did not have it: through AFL++'s queues, in libFuzzer's corpus."""
        return [f"{other}'s input in the corpus of {host}" for host, other in (HOSTS, HOSTS[::-1])
                if SECRETS[other] not in contents(self.base / host / "toy/corpus")]

    def test_two_hosts(self):
        """What one host has, the other takes over, both ways; no other campaign gets its name; both end in good order."""
        running = {}

        def stop():
            for child in running.values():
                child.terminate()
            return {host: (child.communicate(timeout=60), child.returncode) for host, child in running.items()}
        for host in HOSTS:
            running[host] = subprocess.Popen(self.words(host, self.base / host, "--time", "forever"), text=True,
                                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        end, refused = time.monotonic() + LIMIT, None
        while (left := self.missing()) and time.monotonic() < end and all(c.poll() is None for c in running.values()):
            if refused is None and (self.shared / "toy/main-h1/queue").is_dir():
                refused = subprocess.run(self.words("h1", self.base / "third", "--time", "2s"), capture_output=True, text=True,
                                         timeout=60, check=False)
            time.sleep(0.2)
        ended = stop()
        self.assertEqual(left, [], ended)
        for host, ((out, errors), code) in ended.items():
            events = [json.loads(line) for line in out.splitlines()]
            self.assertEqual((code, errors), (0, ""), host)
            self.assertEqual(([e for e in events if e["event"] == "problem"], events[-1]["event"]), ([], "end"), host)
            self.assertEqual(toy.processes(self.base / host), [])
        self.assertEqual({p.name.partition("-")[2] for p in (self.shared / "toy").iterdir()}, set(HOSTS))
        self.assertEqual(refused.returncode, 2, refused)
        self.assertIn("--name h1", refused.stderr)
        done = subprocess.run(self.words("h1", self.base / "h1", "--time", "1s", "--resume"), capture_output=True, text=True, timeout=60,
                              check=False)
        self.assertEqual(done.returncode, 0, done)


if __name__ == "__main__":
    unittest.main(verbosity=2)
