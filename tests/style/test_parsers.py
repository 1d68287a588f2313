#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A parser without declaration, fuzz harness or corpus does not configure (tools/cmake/parsers.cmake)."""
import subprocess
import tempfile
from pathlib import Path

from tree import ROOT, report

CALL = "redoubt_parser(NAME a SOURCES hv/wire/a.c HARNESS fuzz/fuzz_a.c CORPUS fuzz/corpus/a)"
ALL = ("hv/wire/a.c", "fuzz/fuzz_a.c", "fuzz/corpus/a/input")
# (what, calls, files, words of the refusal; none: it configures)
CASES = [
    ("complete", CALL, ALL, None),
    ("not declared", CALL, (*ALL, "hv/wire/b.c"), "no redoubt_parser() declares hv/wire/b.c"),
    ("no source", CALL, ALL[1:], "its source hv/wire/a.c does not exist"),
    ("no harness", CALL, (ALL[0], ALL[2]), "its fuzz harness fuzz/fuzz_a.c does not exist"),
    ("empty corpus", CALL, ALL[:2], "its corpus fuzz/corpus/a is empty"),
    ("no corpus named", CALL.replace("CORPUS fuzz/corpus/a", ""), ALL, "CORPUS is missing"),
    ("misspelt word", CALL.replace("NAME a", "NAME a NOT_IN_HYPERVISOR OTHER"), ALL, "unknown words: OTHER"),
]

findings = []
for what, calls, names, words in CASES:
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / name).touch()
        (Path(folder) / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.25)\nproject(self_test NONE)\n"
            f"include({ROOT}/tools/cmake/parsers.cmake)\n{calls}\nredoubt_parsers_complete()\n")
        run = subprocess.run(["cmake", "-G", "Ninja", "-S", folder, "-B", f"{folder}/build"], capture_output=True, text=True)
        said = " ".join(run.stderr.split())
        if run.returncode != 0 if words is None else run.returncode == 0 or words not in said:
            findings.append(f"{what}: exit {run.returncode}, wanted {words or 'success'}: {said}")
report(len(CASES), "cases", findings)
