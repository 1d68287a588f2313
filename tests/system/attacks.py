#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Attacks by the root kernel (redteam/root/): each must end as redteam/scoreboard.tsv says, no worse and no better.

Run by run_tests.py. By itself:
    attacks.py            tells whether the table in redteam/README.md is that of scoreboard.tsv
    attacks.py --write    makes it so
Exit status: 0 it is, 1 it is not, 2 wrong use or a malformed scoreboard.
"""

import argparse
import re
import sys
import time
from dataclasses import dataclass

import images
import machine as mc
from product import REPO
from rootcase import BOOT_TIME, FACTOR, FATAL, QUIET

SCOREBOARD = REPO / "redteam" / "scoreboard.tsv"
README = REPO / "redteam" / "README.md"
BEGIN, END = "<!-- scoreboard: made by tests/system/attacks.py --write -->", "<!-- end of scoreboard -->"

# What the scoreboard may say, and the verdict of attack.ko that it stands for.
OUTCOMES = {"BLOCKED": "BLOCKED", "SUCCEEDED": "SUCCEEDED", "SKIPPED": "SKIPPED", "OPEN": "SUCCEEDED", "RESET": None}
NEVER_IN_ALL = ("init-self", "triple-fault")
NEVER_IN_ALL_BARE = (*NEVER_IN_ALL, "acpi-s3")

EDU = ("-device", "edu,dma_mask=0xffffffffffffffff")
VERDICT = re.compile(r"\bATTACK (\S+): (BLOCKED|SUCCEEDED|SKIPPED|ERROR)\((.*)\)( \[counted by the hypervisor\])?$")
RESTARTS = r"redoubt: warning: the root .*; the machine restarts"
ATTACK_TIME = 240 * FACTOR
# Refusals that the hypervisor's log must name. Others may be beyond what a guest may log; but each is counted,
# except for what the virtual machine simply does not have, and statuses of hypercalls.
LOGGED = (r"(read|write) of closed memory", r"IOMMU \d+: DMA refused", r"WRMSR .* (refused|dropped)")
UNCOUNTED = ("apic-page", "hypercall-output", "hypercall-input", "hypercall-wild", "msr-efer-clear", "cpuid-svm",
             "a20-keyboard-split")
SCRIPT = """#!/bin/sh
[ ! -e /x/redoubt.ko ] || insmod /x/redoubt.ko
dmesg -n 7
insmod /x/attack.ko attack='{attack}'
dmesg -n 5
[ ! -e /x/hvctl ] || /x/hvctl dmesg | tail -200 | sed 's/^/HV /'
echo "ATTACK-ALIVE $(nproc) cpus"
"""


class ScoreboardError(Exception):
    """scoreboard.tsv is malformed; the text says where."""


@dataclass(frozen=True)
class Row:
    """One attack: the expected outcome above Redoubt and bare, and why if that is not plain."""
    attack: str
    above: str
    bare: str
    why: str


def scoreboard():
    rows = []
    for number, line in enumerate(SCOREBOARD.read_text().splitlines(), 1):
        if line.startswith("#"):
            continue
        fields = line.split("\t")
        if len(fields) != 4 or fields[1] not in OUTCOMES or fields[2] not in OUTCOMES:
            raise ScoreboardError(f"{SCOREBOARD.name}:{number}: want attack, outcome, outcome, why: {line}")
        row = Row(*fields)
        if not row.why and ("OPEN" in fields or "SKIPPED" in fields):
            raise ScoreboardError(f"{SCOREBOARD.name}:{number}: {row.attack} needs a reason")
        rows.append(row)
    return rows


def table():
    lines = ["| attack | above Redoubt | bare | why |", "| --- | --- | --- | --- |"]
    for r in scoreboard():
        lines.append(f"| {r.attack} | {'**OPEN**' if r.above == 'OPEN' else r.above} | {r.bare} | {r.why} |")
    return "\n".join(lines)


def readme():
    """(text as it is, text as it should be)"""
    text = README.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ScoreboardError(f"{README.name}: no scoreboard between its two marks")
    return text, f"{before}{BEGIN}\n{table()}\n{END}{after}"


# --- cases --------------------------------------------------------------------

@dataclass(frozen=True)
class Attacks:
    """One boot: attack.ko with its parameter, and what must come out."""
    kernel: str
    tag: str
    want: tuple                 # ((attack, outcome of the scoreboard), ...)
    attack: str = "all"
    hv: str = "redoubt.elf"     # None: bare
    iommu: bool = True
    cpus: int = 2
    checks: tuple = ("boot", "outcomes", "poweroff")
    default: bool = False

    @property
    def name(self):
        return f"{self.kernel}-q35-{self.tag}"

    def tests(self):
        return list(self.checks)


def matrix(bare=False):
    rows = scoreboard()
    above = tuple((r.attack, r.above) for r in rows if r.attack not in NEVER_IN_ALL)
    below_nothing = tuple((r.attack, r.bare) for r in rows if r.attack not in NEVER_IN_ALL_BARE)
    lost = sum(1 for r in rows if r.above == "OPEN")    # each may cost a CPU
    cpu = tuple((n, "SUCCEEDED") for n in ("cpu-read", "cpu-write", "cpu-walk"))
    dma = tuple((n, "SUCCEEDED") for n in ("edu-control", "edu-read", "edu-write"))
    found = []
    for kernel in images.KERNELS:
        first = kernel == "6.1"
        found += [
            Attacks(kernel, "attacks", above, cpus=1 + max(lost, 1), default=first,
                    checks=("scoreboard", "boot", "outcomes", "logged", "poweroff")),
            # The same attacks must succeed with the protection off, or the first case proves nothing.
            Attacks(kernel, "attacks-unprotected", cpu, attack="cpu-*", hv="redoubt-unprotected.elf", default=first),
            Attacks(kernel, "attacks-no-iommu", dma, attack="edu-*", iommu=False, default=first),
            Attacks(kernel, "attacks-bare", below_nothing, hv=None, default=first),
        ]
    for r in rows:
        if r.attack in NEVER_IN_ALL_BARE:
            alone = ("boot", "outcomes")
            if r.attack in NEVER_IN_ALL:
                found.append(Attacks("6.1", f"attack-{r.attack}", ((r.attack, r.above),), attack=r.attack,
                                     checks=alone))
            found.append(Attacks("6.1", f"attack-{r.attack}-bare", ((r.attack, r.bare),), attack=r.attack,
                                 hv=None, checks=alone))
    return [c for c in found if c.hv is None] if bare else found


# --- one boot -----------------------------------------------------------------

def _spec(case, product):
    def built(name):
        path = product.folder / name
        if not path.is_file():
            raise mc.SetupError(f"no {name} in {product.folder}: run 'tools/dev build'")
        return path

    kern = images.kernel(case.kernel)
    files = product.extras(case.kernel) if case.hv else {}
    files["attack.ko"] = built(f"module/{case.kernel}/attack.ko")
    files["attack.sh"] = SCRIPT.format(attack=case.attack).encode()
    # Bare, Linux itself would stop the device by the IOMMU.
    words = "console=ttyS0 panic=-1 rt=x:attack.sh rtend=poweroff" + ("" if case.hv else " amd_iommu=off")
    return mc.Spec(kernel=kern.image, initrd=images.initramfs(kern, files), cmdline=words,
                   boot="mb1" if case.hv else "bare", hv=built(case.hv) if case.hv else None, cpus=case.cpus,
                   iommu=case.iommu, tpm="tis", extra=EDU)


def judge(want, seen):
    """Complaints about verdicts seen, {attack: (verdict, how)}, a line each."""
    bad = []
    for attack, outcome in want:
        verdict, how = seen.get(attack, ("no verdict", ""))
        if verdict == OUTCOMES[outcome]:
            continue
        hint = ""
        if outcome == "OPEN" and verdict == "BLOCKED":
            hint = ": closed? then say so in redteam/scoreboard.tsv"
        bad.append(f"{attack}: scoreboard says {outcome}, the attack says {verdict}({how}){hint}")
    named = {a for a, _ in want}
    bad += [f"{a}: not in redteam/scoreboard.tsv ({v})" for a, (v, _) in seen.items() if a not in named]
    return bad


class _Run:
    def __init__(self, case, tests, rep):
        self.case, self.tests, self.rep = case, tests, rep
        self.left = list(tests)
        self.since = time.monotonic()

    def result(self, bad, test, detail=""):
        now = time.monotonic()
        if test in self.left:
            self.left.remove(test)
            self.rep.result("FAIL" if bad else "PASS", self.case.name, test, now - self.since,
                            "\n".join(bad) if bad else detail)
        self.since = now


def run(case, tests, product, rep, soak=None, verbose=False):
    """Boots the case and reports every test of `tests`."""
    r = _Run(case, tests, rep)
    log = product.logs() / f"{case.name}.log"
    echo = (lambda t, s: print(f"      [{t:8.3f}] {s}", flush=True)) if verbose else None
    if "scoreboard" in tests:
        text, wanted = readme()
        r.result([] if text == wanted else ["redteam/README.md: run tests/system/attacks.py --write"], "scoreboard")
    if not r.left:
        return
    if case.hv is None and not (product.folder / "module" / case.kernel / "attack.ko").is_file():
        rep.skip_rest(case.name, r.left, "no attack.ko in this build: tools/dev build module")
        return
    current = "boot"
    with mc.Machine(_spec(case, product), log, echo) as m:
        try:
            m.expect(r"\bRT init\b", BOOT_TIME, fail=FATAL, quiet=QUIET)
            m.expect(r"\bATTACK-SETUP\b", 120 * FACTOR, fail=FATAL, quiet=QUIET)
            r.result([], "boot", f"attacks begin after {m.elapsed():.1f} s")
            current = "outcomes"
            if case.checks[-1] == "poweroff":
                _attack(m, r)
                current = "poweroff"
                why = m.wait_exit(60 * FACTOR)
                r.result([] if why == "guest-shutdown" else [f"QEMU ended by {why}"], "poweroff")
            else:
                _attack_alone(m, r)
        except mc.MachineError as e:
            r.result([f"{e}", f"serial log: {log}"], current)
    if r.left:
        rep.skip_rest(case.name, r.left, f"not reached: {current} failed")


def _attack(m, r):
    """Reads verdicts, then the hypervisor's log, until the root says that it is alive."""
    seen, counted, hv_log, last = {}, set(), [], "none"

    def find(pattern):
        return m.expect(pattern, ATTACK_TIME, fail=FATAL, quiet=QUIET)

    try:
        while True:
            found = find(r"\bATTACK(-STARTS|-SUMMARY)? (\S+): .*|\bATTACK-SUMMARY: (.*)")
            if found.group(3) is not None:
                summary = found.group(3)
                break
            if found.group(1):
                last = found.group(2)
            elif verdict := VERDICT.search(found.string):
                seen[verdict.group(1)] = verdict.group(2, 3)
                if verdict.group(4):
                    counted.add(verdict.group(1))
        while (found := find(r"^HV .*|\bATTACK-ALIVE (\d+) cpus")).group(1) is None:
            hv_log.append(found.group(0))
    except mc.MachineError as e:
        raise mc.MachineError(f"the last attack begun was {last}\n{e}") from None
    r.result(judge(r.case.want, seen), "outcomes", summary)
    missing = [f"no line of the hypervisor's log matches /{p}/" for p in LOGGED
               if not any(re.search(p, line) for line in hv_log)]
    missing += [f"{a}: blocked, but not counted by the hypervisor" for a, (v, _) in seen.items()
                if v == "BLOCKED" and a not in counted and a not in UNCOUNTED]
    r.result(missing, "logged", f"{len(counted)} attacks counted")


def _attack_alone(m, r):
    """One attack that the machine does not outlive, or that the root cannot tell of."""
    attack, outcome = r.case.want[0]
    if outcome == "RESET":
        if r.case.hv:
            m.expect(RESTARTS, 60 * FACTOR, fail=FATAL)
        why = m.wait_exit(60 * FACTOR)
        r.result([] if why == "guest-reset" else [f"QEMU ended by {why}, not by a reset"], "outcomes", why)
    else:
        found = m.expect(VERDICT.pattern, 60 * FACTOR, fail=FATAL)
        r.result(judge(((attack, outcome),), {found.group(1): found.group(2, 3)}), "outcomes", found.group(0))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--write", action="store_true", help="write the table into redteam/README.md")
    a = p.parse_args()
    try:
        text, wanted = readme()
    except (ScoreboardError, OSError) as e:
        print(f"attacks: {e}", file=sys.stderr)
        return 2
    if a.write and text != wanted:
        README.write_text(wanted)
    if not a.write and text != wanted:
        print("attacks: the table in redteam/README.md is not that of scoreboard.tsv: run attacks.py --write",
              file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
