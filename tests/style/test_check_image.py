#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check_image.py accepts a hardened image and refuses each kind of bad one: a check that cannot fail is a defect."""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHECK = ROOT / "mitigations/build/check_image.py"
FLAGS = """--target=x86_64-unknown-linux-gnu -std=gnu11 -O2 -ffreestanding -fPIE -fvisibility=hidden -mno-red-zone
 -mgeneral-regs-only -fno-jump-tables -fno-strict-aliasing -fno-delete-null-pointer-checks -fno-asynchronous-unwind-tables
 -fstack-protector-strong -mstack-protector-guard=tls -mstack-protector-guard-reg=gs -mstack-protector-guard-offset=40
 -ftrivial-auto-var-init=zero -fsanitize=bounds,shift,signed-integer-overflow,integer-divide-by-zero,unreachable
 -fsanitize=vla-bound,bool,enum,return,builtin -fsanitize-trap=all -Wall -Wextra -Werror -Wshadow -Wvla
 -Wframe-larger-than=2048""".split()
LINK = "-m elf_x86_64 -pie --no-dynamic-linker -z noexecstack --build-id=none -e hv_main".split()
GOOD = """
volatile int sink; char *volatile where = (char *)&sink; void fill(char *b);
void __stack_chk_fail(void) { for (;;) { } }
void *memset(void *p, int c, unsigned long n);
void *memset(void *p, int c, unsigned long n) { char *b = p; while (n--) { *b++ = (char)c; } return p; }
void fill(char *b) { for (int i = 0; i < 64; i++) { b[i] = (char)(sink + i); } }
void hv_main(int x); void hv_main(int x) { char b[64]; fill(b); sink = b[x] + x * 3; }
"""
SWITCH = "int f(int x); int f(int x) { switch (x) {" + "".join(
    f"case {i}: sink = {i * i}; return {i ^ 5} + sink;" for i in range(20)) + "default: return 0; } }"
BIG = "void f(void); void f(void) { char b[300]; fill(b); sink = b[sink & 63]; }"
# name: (source added, flags removed, flags added, words for the linker, what the refusal says)
BAD = {
    "indirect call": ("void (*volatile p)(void); void f(void); void f(void) { p(); sink++; }", "", "", "", "indirect branch"),
    "jump table": (SWITCH, "-fno-jump-tables", "", "", "indirect branch"),
    "far branch": ("void f(void); void f(void) { __asm__(\"lretq\"); }", "", "", "", "far branch"),
    "writable code": ("__asm__(\".section .bad,\\\"awx\\\"; ret; .text\");", "", "", "", "writable and executable"),
    "executable stack": ("", "", "", "-z execstack", "executable stack"),
    "no stack protector": ("void g(void);" + BIG, "-fstack-protector-strong", "-fno-stack-protector", "",
                           "without a stack canary"),
    "canary in %fs": ("", "-mstack-protector-guard-reg=gs", "-mstack-protector-guard-reg=fs", "", "takes its canary from %fs"),
    "no bounds checks": ("", "-fsanitize-trap=all", "-fno-sanitize=all", "", "trap instructions"),
    "vector code": ("double d; void f(void); void f(void) { d = d * 2; }", "-mgeneral-regs-only", "", "", "vector"),
    "undefined symbol": ("void gone(void); void f(void); void f(void) { gone(); sink++; }", "", "",
                         "--unresolved-symbols=ignore-all", "is undefined"),
    "symbolic relocation": ("extern char far[]; char *volatile q = far; ", "", "-fvisibility=default",
                            "--unresolved-symbols=ignore-all --export-dynamic", "R_X86_64_RELATIVE"),
    "not relocatable": ("", "", "", "-no-pie", "position-independent"),
    "fake architecture": ("void fake_cpu(void); void fake_cpu(void) { sink = 1; }", "", "", "", "fake_cpu must not"),
    "VMBus in it": ("void vmbus_open(void); void vmbus_open(void) { sink = 1; }", "", "", "", "vmbus_open must not"),
    "variables not cleared": ("", "-ftrivial-auto-var-init=zero", "", "", "without -ftrivial-auto-var-init=zero"),
    "a check missing": ("", "-fsanitize=vla-bound,bool,enum,return,builtin", "", "", "compiled without -fsanitize="),
    "protector off": ("", "", "-fno-stack-protector", "", "compiled with -fno-stack-protector"),
}


def verdict(work, source, flags, link, exceptions=""):
    (work / "hv/core").mkdir(parents=True, exist_ok=True)
    (work / "hv/core/x.c").write_text(GOOD + source)
    compile_ = ["clang-16", *flags, f"-I{work}", "-c", "hv/core/x.c", "-o", "x.o"]
    subprocess.run(compile_, cwd=work, check=True)
    subprocess.run(["ld.lld-16", *LINK, *link.split(), "x.o", "-o", "image"], cwd=work, check=True)
    (work / "cc.json").write_text(json.dumps([{"directory": str(work), "file": "hv/core/x.c", "arguments": compile_}]))
    (work / "exceptions").write_text(exceptions)
    return subprocess.run([CHECK, "--commands", work / "cc.json", "--exceptions", work / "exceptions", "--min-protected",
                           "1", "--min-traps", "1", work / "image"], text=True, capture_output=True)


with tempfile.TemporaryDirectory() as folder:
    cases = {"good": ("", FLAGS, "", None), "stale exception": ("", FLAGS, "", "excuses nothing")}
    for case, (source, remove, add, link, want) in BAD.items():
        cases[case] = (source, [f for f in FLAGS if f not in remove.split()] + add.split(), link, want)
    failed = 0
    for case, (source, flags, link, want) in cases.items():
        run = verdict(Path(folder).resolve(), source, flags, link, "f call no reason" if case == "stale exception" else "")
        well = run.returncode == 0 if want is None else run.returncode == 1 and want in run.stdout
        failed += not well
        print(f"{'ok  ' if well else 'FAIL'} {case}" + ("" if well else f": wanted {want}\n{run.stdout}{run.stderr}"))
sys.exit(1 if failed else 0)
