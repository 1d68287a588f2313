#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The attack surface is as it was reviewed (tools/surface.py), and what moves it is noticed: proved on a copy of the tree."""
import shutil
import subprocess
import tempfile
from pathlib import Path

from tree import ROOT, report

TOPS = ("CMakeLists.txt", "SECURITY.md", "attest", "docs", "fuzz", "hv", "mitigations", "tools")
HYPERCALL = 'HYPERCALL(0x8e7f, SelfTest, signal_event, SIMPLE, 8, 0, 0, 0, CHILD, "-")\n'
CALL = "redoubt_parser(NAME selftest SOURCES hv/wire/selftest.c HARNESS fuzz/fuzz_selftest.c CORPUS fuzz/corpus/selftest)\n"
IOCTL = "case RD_IOCTL_STOP:"
# (what, file, text, what stands there instead, exit code of --check, words that it must say)
CASES = [
    ("new hypercall", "hv/abi/hypercalls.def", "HYPERCALL(0x005d", HYPERCALL + "HYPERCALL(0x005d", 1,
     ("+ hypercall/0x8e7f SelfTest: callers CHILD", "remedy: look at the change, then tools/surface.py --review hypercall:")),
    ("hypercall without handler", "hv/abi/hypercalls.def", "HYPERCALL(0x005d", HYPERCALL.replace("signal_", "no_") + "HYPERCALL(0x005d", 1,
     ("SelfTest: no file of hv/core defines hc_no_event",)),
    ("hypercalls without target", "CMakeLists.txt", "redoubt_core(NAME hypercall ", "message(hypercall ", 1,
     ("no fuzz target hypercall any more: declare it",)),
    ("another caller", "hv/abi/hypercalls.def", "0, 0, 0, CHILD, ", "0, 0, 0, ANY, ", 1, ("~ hypercall/", "was: callers CHILD", "--review")),
    ("new system call", "hv/host/ic/policy.c", "{ SANDBOX_END", '{ __NR_openat, -1, 0, 0, "x" },\n\t{ SANDBOX_END', 1,
     ("+ system-call/ic openat: any arguments", "--review system-call:hv/host/ic/policy.c --reason")),
    ("rule that no reader knows", "hv/host/ic/policy.c", "{ SANDBOX_END", "MANY(openat),\n\t{ SANDBOX_END", 3, ("not a rule: MANY",)),
    ("rules elsewhere", "hv/host/ic/main.c", "int main", "static const struct sandbox_rule more[2];\nint main", 1, ("belong into policy.c",)),
    ("ioctl served, not declared", "hv/root/partition.c", IOCTL, f"case _IO('R', 0xee):\n\t\treturn 0;\n\t{IOCTL}", 1,
     ("undeclared ioctl _IO('R', 0xee): declare it as RD_IOCTL_* in hv/root/ioctl.h",)),
    ("ioctl declared, not served", "hv/root/partition.c", IOCTL, "case RD_IOCTL_RUN:", 1, ("RD_IOCTL_STOP is declared, and no",)),
    ("field of an ioctl", "hv/root/ioctl.h", "struct rd_run {", "struct rd_run {\n\trd_u32 more;", 1, ("~ ioctl/RUN: ", "rd_u32 more")),
    ("policy of an MSR", "hv/core/msr_list.def", "MSR(0x0000001b, 0x0000001b, EMULATE", "MSR(0x0000001b, 0x0000001b, PASS", 1,
     ("~ msr-root/0x0000001b: PASS", "was: EMULATE", "--review msr-root:hv/core/msr.c --reason")),
    ("descriptor", "hv/wire/procmsg.h", "2 log file (append)", "2 log file (append), 3 one more", 1, ("+ descriptor/config_console 3: one more",)),
    ("gone", "hv/wire/scsi.c", "\tOP_READ_6 = 0x08,\n", "", 1, ("- scsi/READ_6: opcode 0x08", "--review scsi:hv/wire/scsi.c")),
    ("new parser", "CMakeLists.txt", "redoubt_parsers_complete()", CALL + "redoubt_parsers_complete()", 1, ("+ reader/selftest: ",)),
    ("generated page", "docs/attack-surface.md", "# Attack surface", "# Surface", 1, ("docs/attack-surface.md is stale: tools/surface.py --write",)),
    ("comment", "hv/wire/scsi.c", "#include", "/* A remark. */\n#include", 0, ("0 not reviewed", "\n0 of ")),
    ("code alone", "hv/wire/scsi.c", "#define CONTROL_NACA 0x04u", "#define CONTROL_NACA 0x08u", 0, (
        "0 not reviewed", "scsi:hv/wire/scsi.c: reviewed", "changed since: hv/wire/scsi.c")),
]


def run(root, *words):
    done = subprocess.run([root / "tools/surface.py", *words], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


code, said = run(ROOT, "--check")
print(said, end="")
findings = ["the surface is not as it was reviewed: see above"] if code else []
with tempfile.TemporaryDirectory() as folder:
    copy = Path(folder) / "tree"
    copy.mkdir()
    for top in TOPS:
        if (ROOT / top).is_dir():
            shutil.copytree(ROOT / top, copy / top, ignore=shutil.ignore_patterns("corpus", "__pycache__"))
        else:
            shutil.copy(ROOT / top, copy / top)
    if run(copy, "--review-all", "--reason", "self-test")[0] or run(copy, "--check")[0]:
        findings.append("self-test: a copy that was reviewed as a whole is refused")
    for what, name, old, new, wanted, words in CASES:
        text = (copy / name).read_text()
        (copy / name).write_text(text.replace(old, new, 1))
        code, said = run(copy, "--check")
        said += run(copy, "--due")[1] if wanted == 0 else ""
        if old not in text or code != wanted or any(w not in said for w in words):
            findings.append(f"self-test '{what}': exit {code}, wanted {wanted} and {words}: {said}")
        (copy / name).write_text(text)
    table = copy / "hv/abi/hypercalls.def"
    table.write_text(HYPERCALL + table.read_text())
    group = next(w for w in run(copy, "--check")[1].split() if w.startswith("hypercall:"))
    if run(copy, "--review", group)[0] != 2 or run(copy, "--review", group, "--reason", "looked at it")[0] or run(copy, "--check")[0]:
        findings.append("self-test: a review without a reason passes, or one with a reason does not")
report(len(CASES) + 1, "cases", findings)
