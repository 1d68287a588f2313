#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The tools about fuzz targets notice what they are for: changed targets, a wrong $OUT of
OSS-Fuzz; and a dictionary has each number of its table."""
import importlib.machinery
import importlib.util
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from tree import ROOT, report

sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tools/fuzz"))
import changed  # noqa: E402

loader = importlib.machinery.SourceFileLoader("check", str(ROOT / "fuzz/oss-fuzz/check"))
check = importlib.util.module_from_spec(importlib.util.spec_from_loader("check", loader))
loader.exec_module(check)
findings, cases = [], 0


def wants(what, got, wanted):
    global cases
    cases += 1
    if got != wanted:
        findings.append(f"{what}: {got}, wanted {wanted}")


scsi = {"name": "scsi", "harness": "fuzz/fuzz_scsi.c", "sources": ["hv/wire/scsi.c"], "with": [], "corpus": "fuzz/corpus/scsi"}
npt = {"name": "npt", "harness": "fuzz/fuzz_npt.c", "sources": ["hv/core/npt.c"], "with": [], "corpus": "fuzz/corpus/npt"}
for names, wanted in (({"hv/wire/scsi.c"}, ["scsi"]), ({"hv/wire/scsi.h"}, ["scsi"]), ({"hv/wire/view.h"}, ["scsi", "npt"]), ({"fuzz/corpus/npt/new"}, ["npt"]),
                      ({"fuzz/corpus/npt2/new"}, []), ({"hv/core/vlapic.c"}, ["npt"]), ({"fuzz/script.h"}, ["scsi", "npt"]),
                      ({"README.md", "hv/wire/uart.c"}, []), ({"CMakeLists.txt"}, ["scsi", "npt"])):
    wants(f"changed by {sorted(names)}", [t["name"] for t in changed.changed([scsi, npt], "HEAD", names)[1]], wanted)

# $OUT of OSS-Fuzz.
with tempfile.TemporaryDirectory() as folder:
    out = Path(folder)
    (out / "fuzz_a").write_text("#!/bin/sh\n# LLVMFuzzerTestOneInput\n")
    (out / "fuzz_a").chmod(0o755)
    wants("no seeds, no options", len(check.layout(out, ["a"])[1]), 2)
    with zipfile.ZipFile(out / "fuzz_a_seed_corpus.zip", "w") as archive:
        archive.writestr("seed", "x")
    (out / "fuzz_a.options").write_text("[libfuzzer]\nmax_len = 9\n")
    wants("complete", check.layout(out, ["a"])[1], [])
    wants("a program is missing", len(check.layout(out, ["a", "b"])[1]), 1)
    (out / "fuzz_b.dict").write_text("")
    wants("a dictionary of nobody", len(check.layout(out, ["a"])[1]), 1)

with tempfile.TemporaryDirectory() as folder:
    for table, kind, bytes_ in (("hv/abi/hypercalls.def", "HYPERCALL(", 4), ("hv/core/msr_list.def", "MSR(", 8)):
        subprocess.run([ROOT / "tools/fuzz/dict.py", ROOT / table, f"{folder}/out"], check=True)
        rows = {line.split("(")[1].split(",")[0] for line in (ROOT / table).read_text().splitlines() if line.startswith(kind)}
        words = [line.split('"')[1] for line in Path(f"{folder}/out").read_text().splitlines() if '"' in line]
        missing = [r for r in rows if "".join(f"\\x{b:02x}" for b in int(r, 16).to_bytes(bytes_ // 2, "little")) not in words]
        wants(f"numbers of {table} without a word", missing, [])
report(cases, "cases", findings)
