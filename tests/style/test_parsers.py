#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What is not declared as a parser or a fuzz target with all that belongs to it does not configure (tools/cmake/parsers.cmake), and
what an untrusted party can newly ask for does not build (tools/surface.py): each tried, on small trees and on a copy of this one."""
import shutil
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
WIRE = "redoubt_parser(NAME uart "
HYPERCALL = 'HYPERCALL(0x8e7f, SelfTest, signal_event, SIMPLE, 8, 0, 0, 0, CHILD, "-")\n'
# The same on a copy of this tree: (what, file, text, what stands there instead, words)
TREE = [
    ("parser without declaration", "CMakeLists.txt", WIRE, "message(", "no redoubt_parser() declares hv/wire/uart.c"),
    ("harness without declaration", "fuzz/fuzz_selftest.c", "", "int x;\n", "nobody declares fuzz/fuzz_selftest.c"),
    ("new hypercall", "hv/abi/hypercalls.def", "HYPERCALL(0x005d", HYPERCALL + "HYPERCALL(0x005d", "remedy: look at the change, then tools/surface.py --review hypercall:"),
    ("hypercalls without target", "CMakeLists.txt", "redoubt_core(NAME hypercall ", "redoubt_core(NAME other ", "no fuzz target hypercall any more: declare it"),
    ("new system call", "hv/host/ic/policy.c", "{ SANDBOX_END", '{ __NR_openat, -1, 0, 0, "x" },\n\t{ SANDBOX_END',
     "remedy: look at the change, then tools/surface.py --review system-call:hv/host/ic/policy.c"),
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

with tempfile.TemporaryDirectory() as folder:
    copy, build = Path(folder) / "tree", f"{folder}/build"
    shutil.copytree(ROOT, copy, ignore=lambda at, names: {".git", "__pycache__", "build"}.intersection(names)
                    if Path(at) == ROOT else {"__pycache__"}, symlinks=True)
    # What the copy has not been reviewed for is a finding of style.surface, not of this test.
    subprocess.run([copy / "tools/surface.py", "--review-all", "--reason", "self-test"], capture_output=True)

    def make():
        code, said = configure(copy, build, "--preset", "hv")
        if code == 0:
            run = subprocess.run(["ninja", "-C", build, "surface"], capture_output=True, text=True)
            code, said = run.returncode, " ".join(run.stdout.split())
        return code, said

    code, said = make()
    if code:
        findings.append(f"a copy of this tree: exit {code}: {said}")
    for what, name, old, new, words in TREE:
        path = copy / name
        text = path.read_text() if path.exists() else None
        path.write_text((text or "").replace(old, new, 1))
        code, said = make()
        if code == 0 or words not in said or (text and old not in text):
            findings.append(f"{what}: exit {code}, wanted {words}: {said}")
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
report(len(CASES) + len(TREE) + 1, "cases", findings)
