#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The parts of fuzz/proof that need no build: what counts as a trial, the order of results, its manual page, where checks are found."""
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

from toy import ROOT

import checks
import results


class Defect:
    """As much of one as the results ask for."""

    digest = "d"


def trial(number, found, budget, cpu=1.0):
    return {"what": "trial", "digest": "d", "engine": "afl", "trial": number, "found": found, "budget": budget, "cpu": cpu}


class Proof(unittest.TestCase):
    """One test for each promise of docs/man/redoubt-proof.1."""

    def kept(self, *records):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        kept = results.Results(Path(folder.name) / "results.jsonl")
        for r in records:
            kept.add(**r)
        return results.Results(kept.path)

    def test_time_that_was_had_counts(self):
        kept = self.kept(trial(1, False, 3.0), trial(1, False, 10.0), trial(2, True, 3.0))
        self.assertEqual(kept.had(Defect, "afl", 1), 10.0)
        self.assertEqual(kept.had(Defect, "afl", 2), 0.0)
        self.assertEqual(kept.had(Defect, "afl", 3), 0.0)

    def test_find_counts_before_all(self):
        kept = self.kept(trial(1, True, 3.0, 2.5), trial(1, False, 600.0))
        self.assertEqual(kept.trials(Defect, "afl")[1]["cpu"], 2.5)

    def test_median_is_none_where_the_middle_trial_found_nothing(self):
        self.assertIsNone(results.median({1: trial(1, True, 3.0), 2: trial(2, False, 3.0), 3: trial(3, False, 3.0)}))
        self.assertEqual(results.median({1: trial(1, True, 3.0, 2.0), 2: trial(2, True, 3.0, 1.0), 3: trial(3, False, 3.0)}), 2.0)
        self.assertEqual(results.median({1: trial(1, True, 3.0, 2.0), 2: trial(2, True, 3.0, 1.0)}), 2.0)
        self.assertIsNone(results.median({1: trial(1, True, 3.0, 2.0)}), "a trial that was not run found nothing")

    def test_replay_of_another_corpus_does_not_count(self):
        kept = self.kept({"what": "replay", "digest": "d", "corpus": "one", "failing": []})
        self.assertIsNotNone(kept.replayed(Defect, "one"))
        self.assertIsNone(kept.replayed(Defect, "two"))

    def test_torn_line_is_left_out(self):
        kept = self.kept(trial(1, True, 3.0))
        kept.path.write_text(kept.path.read_text() + '{"what": "tri')
        again = results.Results(kept.path)
        again.add(**trial(2, True, 3.0))
        self.assertEqual(len(results.Results(kept.path).lines), 2)

    def test_checks_are_found_where_they_refuse(self):
        source = "bool f(int a, int b)\n{\n\tif (a > 3 || b == a) {\n\t\treturn false;\n\t}\n\tif (a == 1) {\n\t\tb = 2;\n\t}\n\treturn a != 7 && b != 9;\n}\n"
        found = checks.Numbered("x.c", source, 1)
        self.assertEqual([(line, text) for _, line, text in found.checks], [(3, "a > 3"), (3, "b == a"), (9, "a != 7"), (9, "b != 9")])

    def test_every_option_has_its_place_in_the_manual_page(self):
        said = subprocess.run([ROOT / "fuzz/proof", "--help"], capture_output=True, text=True, check=True).stdout
        page = (ROOT / "docs/man/redoubt-proof.1").read_text(encoding="utf-8").replace("\\-", "-")
        options = set(re.findall(r"--[a-z][a-z-]+", said)) - {"--help"}
        described = set(re.findall(r"^\.(?:B|BI) (--[a-z][a-z-]+)", page, re.M))
        self.assertEqual(options, described)

    def test_wrong_usage_is_2(self):
        for words in (["--time", "soon"], ["--only", "no-such-defect", "--list"]):
            done = subprocess.run([ROOT / "fuzz/proof", *words], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 2, done.stderr)


if __name__ == "__main__":
    unittest.main()
