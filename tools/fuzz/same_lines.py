#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Whether two compilations of a source see the same lines of the repository's files: for tests/style/test_same_lines.py."""
import functools
import json
import re
import shlex
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Macros that a build may define for one side only: they ask system headers for something.
SYSTEM = {"-D_GNU_SOURCE", "-D_FORTIFY_SOURCE=3"}
# What the compilers of fuzz engines define by themselves.
ENGINE = ("-DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION=1", "-D__AFL_COMPILER=1", "-D__AFL_FUZZ_TESTCASE_LEN=1")
MARKER = re.compile(r'# (\d+) "([^"]*)"')
WORD = re.compile(r'[A-Za-z_]\w*|(?:0[xX])?[\da-fA-F.]+(?=[uUlL]*)|"(?:[^"\\]|\\.)*"|[^\s\w]')
# Expansions of what the two sides' system headers define differently.
HEADERS = re.compile(r"^([uU]?[lL]{0,2}|_*(bool|Bool|true|false|alignas|Alignas|static_assert|Static_assert|noreturn|Noreturn|builtin_\w+|extension)_*|[()])$")


def commands(build, root=ROOT):
    """{source: [words of the compiler]} of the configured build, of sources in the repository."""
    found = {}
    for entry in json.loads((Path(build) / "compile_commands.json").read_text()):
        path = Path(entry["file"])
        if path.suffix == ".c" and path.is_relative_to(root):
            found.setdefault(str(path.relative_to(root)), []).append(shlex.split(entry["command"]))
    return found


def macros(words):
    return {w for w in words if w.startswith(("-D", "-U", "-include", "-imacros")) and w not in SYSTEM}


@functools.lru_cache(maxsize=None)
def lines(words, source, extra=(), root=ROOT):
    """{(file, line): words} and {(file, line): macro} that the compiler sees of the repository's files."""
    kept, at = [], 0
    while at < len(words):
        if words[at] in ("-o", "-MT", "-MF"):
            at += 1
        elif words[at] not in ("-c", "-Werror", "-MD"):
            kept.append(words[at])
        at += 1
    run = subprocess.run([w for w in kept if not w.endswith(source)] + [*extra, "-U_FORTIFY_SOURCE", "-E", "-dD", "-w", str(root / source)],
                         capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(f"{source}: cannot be preprocessed: {run.stderr}")
    code, defined, name, number = {}, {}, "", 0
    for line in run.stdout.splitlines():
        marker = MARKER.match(line)
        if marker:
            number, name = int(marker.group(1)), marker.group(2)
            path = Path(name)
            own = path.is_absolute() and path.is_relative_to(root)
            name = str(path.relative_to(root)) if own else ""
        else:
            if name and line.startswith(("#define", "#undef")):
                defined[name, number] = line
            elif name and line.strip():
                seen = WORD.findall(line.replace(f'"{root}/', '"'))
                code.setdefault((name, number), []).extend(w for w in seen if not HEADERS.match(w))
            number += 1
    return code, defined


def compare(source, product, target, root=ROOT):
    """Findings: where the two commands do not compile the same."""
    if macros(product) != macros(target):
        return [f"{source}: macros on the command line differ: {sorted(macros(product) ^ macros(target))}"]
    (code, defined), (code2, defined2) = lines(tuple(product), source, root=root), lines(tuple(target), source, ENGINE, root)
    found = [f"{f}:{n}: {'the macro is' if d is defined else 'the line is'} in {'the product' if k in a else 'the fuzz target'} only"
             for d, a, b in ((defined, defined, defined2), (code, code, code2)) for k in sorted({*a} ^ {*b}) for f, n in [k]]
    found += [f"{f}:{n}: product and target see different words: {' '.join(code[f, n])} / {' '.join(code2[f, n])}"
              for f, n in sorted({*code} & {*code2}) if code[f, n] != code2[f, n]]
    return found + [f"{f}:{n}: product and target see different macros: {defined[f, n]} / {defined2[f, n]}"
                    for f, n in sorted({*defined} & {*defined2}) if defined[f, n] != defined2[f, n]]
