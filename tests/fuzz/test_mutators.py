#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Mutators run without sanitizers inside both engines. Here they have them, called as AFL++ does, with inputs as long as it lets them grow."""
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORPORA = {"mutate": ("vmbus", "exit"), "mutate_sized": ("cose", "bzimage", "rndis"), "mutate_text": ("definition", "http")}
LIMIT = 100    # seconds for what takes about one: an edit that does not end


class Mutators(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="redoubt-mutators-")
        cls.addClassCleanup(folder.cleanup)
        cls.programs = {name: Path(folder.name) / name for name in CORPORA}
        for name, program in cls.programs.items():
            subprocess.run(["clang-16", "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-I{ROOT}",
                            ROOT / "fuzz/mutator_afl.c", ROOT / f"fuzz/{name}.c", ROOT / "tests/fuzz/mutators.c", "-o", program], check=True)

    def run_all(self, most, times):
        for name, corpora in CORPORA.items():
            for corpus in corpora:
                with self.subTest(mutator=name, corpus=corpus):
                    env = {**os.environ, "REDOUBT_DICT": str(ROOT / f"fuzz/dict/{corpus}.dict")}
                    done = subprocess.run([self.programs[name], ROOT / "fuzz/corpus" / corpus, "1", str(times), str(most)], env=env,
                                          capture_output=True, text=True, errors="replace", timeout=LIMIT, check=False)
                    self.assertEqual(done.returncode, 0, done.stderr[:3000])

    def test_every_mutator_is_here(self):
        self.assertEqual({p.stem for p in (ROOT / "fuzz").glob("mutate*.c")}, set(CORPORA))

    def test_short(self):
        self.run_all(64, 5000)

    def test_as_long_as_afl_lets_them(self):
        self.run_all(1 << 20, 5000)


if __name__ == "__main__":
    unittest.main()
