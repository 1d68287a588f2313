#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The product and the fuzz targets compile the same lines of every parser: each source is preprocessed with the flags of the product
and with those of the fuzz targets, and what is left of the repository's own files is compared (lines, their words, macros defined).

usage: test_same_lines.py PRODUCT (a configured build folder of the product)
"""
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tree import ROOT, report

sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tools/fuzz"))
from same_lines import commands, compare  # noqa: E402

FOLDERS = ("hv/wire/", "hv/core/", "attest/core/")


def self_test(product, target):
    """Each way to compile something else for a fuzzer is noticed."""
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for what, text, words in (
                ("plain", "int f(int a)\n{\n\treturn a;\n}\n", None),
                ("#ifdef", "int f(int a)\n{\n#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION\n\ta = 0;\n#endif\n\treturn a;\n}\n", ":4: the line"),
                ("macro", "#ifdef __AFL_COMPILER\n#define M 1\n#else\n#define M 2\n#endif\nint f(int a)\n{\n\treturn a & M;\n}\n", ":2: the macro"),
                ("sanitizer", "int f(int a)\n{\n#if __has_feature(address_sanitizer)\n\ta = 0;\n#endif\n\treturn a;\n}\n", ":4: the line"),
                ("in one line", "int f(int a)\n{\n\treturn a + __AFL_COMPILER;\n}\n", "different words")):
            name = what.strip('#').replace(' ', '_') + '.c'
            (root / name).write_text(text)
            swap = [[w for w in command if not w.endswith(".c")] for command in (product, target)]
            found = compare(name, *swap, root=root)
            if bool(found) != bool(words) or words and words not in " ".join(found):
                missed.append(f"self-test '{what}': wanted {words}, found {found}")
    if not compare("a.c", product, [*target, "-DFUZZ"]):
        missed.append("self-test: a macro on the command line is not noticed")
    return missed


def main():
    if len(sys.argv) != 2 or not (Path(sys.argv[1]) / "compile_commands.json").is_file():
        sys.exit(__doc__)
    product, findings, pairs = commands(sys.argv[1]), [], []
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(["cmake", "--preset", "fuzz", "-B", folder], cwd=ROOT, capture_output=True, text=True)
        if run.returncode:
            sys.exit(f"the fuzz targets do not configure: {run.stderr}")
        fuzz = commands(folder)
        declared = {s for t in json.loads((Path(folder) / "targets.json").read_text()) for s in t["sources"]}
    # Linux builds the module, with flags of its own: its sources have no line that depends on anything.
    module = {s for s in declared if s.startswith("hv/root/")}
    findings += [f"{s}: conditional compilation" for s in sorted(module) if "\n#if" in (ROOT / s).read_text()]
    declared -= module
    declared |= {str(p.relative_to(ROOT)) for f in FOLDERS for p in (ROOT / f).glob("*.c")}
    for source in sorted(declared):
        for side, known in (("product", product), ("fuzz targets", fuzz)):
            if source not in known:
                findings.append(f"{source}: the {side} do{'es' if side == 'product' else ''} not compile it")
        pairs += [(source, p, fuzz[source][0]) for p in product.get(source, []) if source in fuzz]
    with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        for found in pool.map(lambda pair: compare(*pair), pairs):
            findings += found
    findings += self_test(*pairs[0][1:]) if pairs else ["nothing was compared"]
    report(len(pairs), "pairs of compilations", list(dict.fromkeys(findings)))


if __name__ == "__main__":
    main()
