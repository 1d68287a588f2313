#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What is not declared as a parser or a fuzz target, with all that belongs to it, does not configure (tools/cmake/parsers.cmake)."""
import subprocess
import tempfile
from pathlib import Path

from tree import ROOT, report

CALL = "redoubt_parser(NAME a SOURCES hv/wire/a.c HARNESS fuzz/fuzz_a.c CORPUS fuzz/corpus/a)"
ALL = ("hv/wire/a.c", "fuzz/fuzz_a.c", "fuzz/corpus/a/input")
READER = "redoubt_reader(NAME r SOURCES hv/host/r.c HARNESS fuzz/fuzz_r.c CORPUS fuzz/corpus/r)"
# (what, calls, files, words of the refusal; none: it configures)
CASES = [
    ("complete", CALL, ALL, None),
    ("not declared", CALL, (*ALL, "hv/wire/b.c"), "no redoubt_parser() declares hv/wire/b.c: a parser without a fuzz target is not built; declare it"),
    ("not declared in attest", CALL, (*ALL, "attest/core/b.c"), "no redoubt_parser() declares attest/core/b.c"),
    ("no source", CALL, ALL[1:], "its source hv/wire/a.c does not exist"),
    ("no harness", CALL, (ALL[0], ALL[2]), "its fuzz harness fuzz/fuzz_a.c does not exist: write it"),
    ("empty corpus", CALL, ALL[:2], "its corpus fuzz/corpus/a is empty: put at least one"),
    ("no corpus named", CALL.replace("CORPUS fuzz/corpus/a", ""), ALL, "redoubt_parser(a): CORPUS is missing"),
    ("misspelt word", CALL.replace("NAME a", "NAME a NOT_IN_HYPERVISOR OTHER"), ALL, "unknown words: OTHER"),
    ("misspelt kind", CALL.replace("NAME a", "NAME a KIND other"), ALL, "KIND is stateless or session, not other"),
    ("no dictionary", CALL.replace("NAME a", "NAME a DICT fuzz/dict/a.dict"), ALL, "its source fuzz/dict/a.dict does not exist"),
    ("harness of nobody", CALL, (*ALL, "fuzz/fuzz_b.c"), "nobody declares fuzz/fuzz_b.c: name it in a redoubt_parser()"),
    ("corpus of nobody", CALL, (*ALL, "fuzz/corpus/b/input"), "nobody declares fuzz/corpus/b:"),
    ("dictionary of nobody", CALL, (*ALL, "fuzz/dict/b.dict"), "nobody declares fuzz/dict/b.dict:"),
    ("mutator of nobody", CALL, (*ALL, "fuzz/mutate_b.c"), "nobody declares fuzz/mutate_b.c:"),
    ("long input", CALL.replace("NAME a", "NAME a MAX_LEN 3"), (*ALL, "fuzz/corpus/a/=long"), "has 5 bytes, and MAX_LEN is 3: raise"),
    ("twice", CALL + "\n" + CALL, ALL, "two fuzz targets are named a"),
    ("reader without harness", CALL + "\n" + READER, (*ALL, "hv/host/r.c"), "its fuzz harness fuzz/fuzz_r.c does not exist"),
    ("core without seeds", CALL + "\n" + READER.replace("reader", "core"), (*ALL, "hv/host/r.c", "fuzz/fuzz_r.c"), "its corpus fuzz/corpus/r is empty"),
]

def configure(source, build, *words):
    run = subprocess.run(["cmake", "-G", "Ninja", "-S", source, "-B", build, *words], capture_output=True, text=True)
    return run.returncode, " ".join(run.stderr.split())


def small(calls, names):
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("=long" if "=" in name else "")
        (Path(folder) / "CMakeLists.txt").write_text(
            "cmake_minimum_required(VERSION 3.25)\nproject(self_test NONE)\n"
            f"include({ROOT}/tools/cmake/parsers.cmake)\n{calls}\nredoubt_parsers_complete()\nredoubt_targets_complete()\n")
        return configure(folder, f"{folder}/build")


findings = []
for what, calls, names, words in CASES:
    code, said = small(calls, names)
    if code != 0 if words is None else code == 0 or words not in said:
        findings.append(f"{what}: exit {code}, wanted {words or 'success'}: {said}")

report(len(CASES), "cases", findings)
