#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each function that a header of the product declares is used by the product: what only tests call is not what ships, and tests of
it prove nothing. Our layout (style.format) begins declarations and definitions of functions in the first column, and nothing else that
calls one; there, only a name without parenthesis is a use, as in a table. hv/arch/fake is for tests."""
import re
import sys
from collections import Counter

from tree import ROOT, files, report

sys.path.insert(0, str(ROOT / "tools"))
from tcb import TOKEN  # noqa: E402 pylint: disable=wrong-import-position

UNDER, NOT = ("hv", "attest", "vbs"), "hv/arch/fake/"
DECLARED = re.compile(r"^(?!static\b|typedef\b|#|return\b)[A-Za-z_][\w \t*]*?\b(\w+)\((?:[^;{}]|\n)*?\)(?:\s*__attribute__\(\(.*?\)\))*;", re.M)
ALLOWED = {  # with the reason
    "crypto_arena_peak": "how much of its memory a signature takes is seen from outside alone",
    "crypto_arena_size": "likewise",
    "pfn_gpa": "the invariant checker compares it with the nested page tables",
}


def plain(text):
    """Without comments and strings; lines stay lines."""
    return TOKEN.sub(lambda m: "\n" * m[0].count("\n") if m[0][0] == "/" else '""', text)


def used(text):
    """Words that stand where no function is declared or defined."""
    return Counter(word for line in text.splitlines() for word in re.findall(r"\w+" if line[:1] in ("\t", " ", "#") else r"\w+\b(?!\()", line))


def examine(sources):
    """(how many functions, findings) of {name: text}."""
    texts = {name: plain(text) for name, text in sources.items()}
    uses, declared = Counter(), {}
    for name, text in texts.items():
        uses += used(text)
        if name.endswith(".h"):
            declared |= {function: name for function in DECLARED.findall(text)}
    findings = [f"{name}: {function} is used by tests alone: use it, remove it, or name it in ALLOWED with the reason"
                for function, name in sorted(declared.items()) if not uses[function] and function not in ALLOWED]
    findings += [f"ALLOWED names {n}, which {'is used' if uses[n] else 'no header declares'}" for n in ALLOWED if uses[n] or n not in declared]
    return len(declared), findings


SELF = {
    "a.h": "int one(int a);\nvoid two(const char *a,\n\t int b);\nint three(void);\nstatic inline int four(void)\n{\n\treturn 4;\n}\n/* one(1); */\n",
    "a.c": "int one(int a)\n{\n\treturn a;\n}\n\nvoid two(const char *a,\n\t int b)\n{\n\tsay(\"one(2)\");\n}\nint (*f[])(void) = { three };\n"}


def main():
    allowed = {"b.h": "".join(f"int {n}(void);\n" for n in ALLOWED)}
    assert [t.split()[1] for t in examine(SELF | allowed)[1]] == ["one", "two"]
    assert not examine(SELF | allowed | {"c.c": "void f(void)\n{\n\ttwo(\"\", one(1));\n}\n"})[1]
    assert "ALLOWED names" in examine(SELF)[1][-1], "a reason that nobody needs any more"
    count, findings = examine({name: path.read_text() for name, path in files(".c", ".h", ".S", ".def", under=UNDER) if not name.startswith(NOT)})
    report(count, "functions", findings)


main()
