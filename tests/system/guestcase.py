# SPDX-License-Identifier: MIT
"""Guests above Redoubt: boots a root, and guests in it by tests/system/guest/vmcases.sh; each of its results is a test.

Run by run_tests.py.
"""

import json
import re
import time
from dataclasses import dataclass

import images
import machine as mc
from product import REPO
from rootcase import BOOT_TIME, FACTOR, FATAL, QUIET, RT

POOL_MIB = 640
MACHINE_MIB = 2560
TEST_TIME = 600 * FACTOR
GROUP_TESTS = {             # of vmcases.sh, in order; those of guests and sandbox are made below
    "errors": ("definition-errors", "start-errors"),
    "work": ("disks",),
    "reboot": ("reboot",),
    "reconnect": ("reconnect",),
    "ps": ("ps",),
    "record": ("record",),
    "kill": ("kill-storvsp", "kill-netvsp0", "kill-ic", "kill-console", "kill-vswitch"),
    "worker": ("module-in-use", "kill-vmworker"),
    "stop": ("stop-by-force",),
    "halt": ("halt",),
    "keep": ("definitions-kept",),
    "delete": ("delete",),
    "share": ("share",),
    "attest": ("measured", "childtest-attest"),
    "module": ("module-reload", "childtest-args", "childtest-memory", "childtest-direct", "childtest-vp",
               "childtest-channel", "childtest-messages", "childtest-storm", "module-again"),
}
LIFE = ("errors", "record", "work", "reboot", "reconnect", "ps", "kill", "worker", "stop", "halt", "keep")
ON_WORK = ("ps", "kill", "worker")     # groups that use the guest of "work"
PROGRAMS = ("vmworker", "storvsp", "netvsp", "ic", "hvsock", "console", "vswitch")
PROCESSES = ("vswitch", "w/vmworker", "w/storvsp", "w/netvsp0", "w/ic", "w/console")

# Rules of mitigations/sandbox policies that no run of these tests reaches, and why.
NOT_REACHED = {
    ("vmworker", "exit_group"): "the manager kills workers; only a fault makes one end by itself, with its reason: start_fail",
    ("vmworker", "timerfd_settime"): "needs a message queue that is full: the guest takes its messages at once",
}
CLOCK = "clock_gettime"     # asked of the kernel only where the vDSO cannot answer: a case of its own, with such a clock
AT_ONCE = ("poll", "read", "write", "pwrite64", "sendmsg")    # of console: no guest has to come up for these
SYSCALL_HEADER = "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"


@dataclass(frozen=True)
class GuestCase:
    tag: str
    kernel: str = "6.1"         # the root's
    machine: str = "q35"
    guests: tuple = ()          # ((kernel, VPs), ...) of the matrix
    groups: tuple = ()          # of vmcases.sh
    sandbox: tuple = ()         # programs whose rules are left out, one by one
    rules: tuple = ()           # of them only these; (): all
    small: str = "6.1-cloud"    # kernel of all other guests
    rounds: int = 10            # machines deleted at random moments
    cpus: int = 2
    words: str = ""             # for the root's command line
    default: bool = False

    @property
    def name(self):
        return f"guests-{self.tag}-on-{self.kernel}-{self.machine}"

    def tests(self):
        found = ["boot", "setup"]
        if self.guests:
            found += [f"{k}-{v}vp" for k, v in self.guests] + ["stop"]
        for group in self.groups:
            found += GROUP_TESTS[group]
        found += [f"sandbox-{p}" for p in self.sandbox]
        return found + ["manager-end", "poweroff"]


def matrix(bare=False):
    if bare:
        return []
    found = [
        GuestCase("life", guests=(("6.1-cloud", 2),), groups=(*LIFE, "share"), sandbox=("console",),
                  rules=AT_ONCE, default=True),
        GuestCase("few", kernel="6.12", machine="pc", guests=(("6.12", 1), ("6.12-cloud", 4)),
                  groups=("delete", "module", "attest"), rounds=6, default=True),
        GuestCase("life", kernel="6.12", machine="pc", small="6.12-cloud", groups=(*LIFE, "share", "delete")),
        GuestCase("module", groups=("module",)),
        GuestCase("attest", groups=("attest",)),
    ]
    for i, kernel in enumerate(images.GUEST_KERNELS):
        root = ("6.1", "q35") if i % 2 else ("6.12", "pc")
        found.append(GuestCase(kernel, *root, guests=tuple((kernel, vps) for vps in (1, 2, 4))))
    found += [GuestCase(f"sandbox-{p}", sandbox=(p,)) for p in PROGRAMS]
    with_clock = tuple(p for p in PROGRAMS if CLOCK in policy(p))
    found.append(GuestCase("sandbox-clock", sandbox=with_clock, rules=(CLOCK,), words="clocksource=acpi_pm"))
    return found


# --- sandbox rules ------------------------------------------------------------

def policy(program):
    """[name of the system call (and of the request, for ioctl)] in the order of the program's policy table."""
    text = (REPO / "hv" / "host" / program / "policy.c").read_text()
    table = text[text.index("rules[] = {"):text.index("SANDBOX_END")]
    found = []
    for m in re.finditer(r"__NR_(\w+), |\bSANDBOX_ANY\((\w+)|\bSANDBOX_IOCTL\((\w+)", table):
        call, any_call, request = m.groups()
        found.append(f"ioctl {request}" if request else call or any_call)
    if not found:
        raise mc.SetupError(f"hv/host/{program}/policy.c: no rules found")
    return found


def system_calls():
    with open(SYSCALL_HEADER) as f:
        return {m.group(1): int(m.group(2)) for m in re.finditer(r"#define __NR_(\w+) (\d+)", f.read())}


def rules_to_leave_out(programs, only=()):
    """PROGRAM:RULE:NUMBER of each rule that a run reaches."""
    calls = system_calls()
    return [f"{p}:{i}:{calls[rule.split()[0]]}" for p in programs for i, rule in enumerate(policy(p))
            if (p, rule) not in NOT_REACHED and (rule in only if only else rule != CLOCK)]


# --- one boot -----------------------------------------------------------------

def _spec(case, product, tests):
    guests = [g for g in case.guests if f"{g[0]}-{g[1]}vp" in tests]
    groups = ["guests"] if guests else []
    wanted = {g for g in case.groups if set(GROUP_TESTS[g]) & set(tests)}
    if wanted & set(ON_WORK):
        wanted.add("work")
    groups += [g for g in case.groups if g in wanted]
    programs = [p for p in case.sandbox if f"sandbox-{p}" in tests]
    if programs:
        groups.append("sandbox")
    extra = product.guest_extras(case.kernel)
    reports = ({"redoubt-report": product.folder / "redoubt-report"}, ("hv_sock",)) if "hvsock" in programs else ()
    for name in {case.small, *(k for k, _ in guests)}:
        kern = images.kernel(name)
        extra[f"{name}.bz"] = kern.image
        extra[f"{name}.gz"] = images.guest_initramfs(kern, *reports)
    extra["vmcases.sh"] = images.GUEST / "vmcases.sh"
    extra["vmcases.conf"] = "".join(f'{key}="{value}"\n' for key, value in (
        ("GROUPS_WANTED", " ".join(groups)), ("GUESTS", " ".join(f"{k}:{v}" for k, v in guests)), ("SMALL", case.small),
        ("WITHOUT", " ".join(rules_to_leave_out(programs, case.rules))), ("ROUNDS", case.rounds),
        ("FACTOR", max(1, round(FACTOR))))).encode()
    kern = images.kernel(case.kernel)
    root = images.initramfs(kern, extra, programs=("roottest.c", "roottime.c", "vmtest.c", "childtest.c"),
                            modules=images.MODULES + images.HOST_MODULES)
    return mc.Spec(kernel=kern.image, initrd=root, cmdline=f"console=ttyS0 panic=-1 {case.words} rt=x:vmcases.sh rtend=poweroff",
                   boot="mb1", hv=product.hv(), hv_options=f"pool={POOL_MIB}M", machine=case.machine, cpus=case.cpus,
                   mem=MACHINE_MIB)


class _Run:
    def __init__(self, case, tests, rep):
        self.case, self.rep = case, rep
        self.left = [t for t in case.tests() if t in tests]
        self.since = time.monotonic()
        self.notes, self.ps = [], None

    def result(self, status, test, detail=""):
        now = time.monotonic()
        if test in self.left:
            self.left.remove(test)
            self.rep.result(status, self.case.name, test, now - self.since, detail)
        self.since, self.notes = now, []


def run(case, tests, product, rep, soak=None, verbose=False):
    """Boots the case and reports every test of `tests`."""
    r = _Run(case, tests, rep)
    log = product.logs() / f"{case.name}.log"
    echo = (lambda t, s: print(f"      [{t:8.3f}] {s}", flush=True)) if verbose else None
    current = "boot"
    with mc.Machine(_spec(case, product, tests), log, echo) as m:
        try:
            m.expect(r"\bRT ready\b", BOOT_TIME, fail=FATAL, quiet=QUIET)
            r.result("PASS", "boot", f"root's init after {m.elapsed():.1f} s")
            current = _results(m, r)
            why = m.wait_exit(60 * FACTOR)
            r.result("PASS" if why == "guest-shutdown" else "FAIL", "poweroff", f"QEMU ended by {why}")
        except mc.MachineError as e:
            where = getattr(r, "current", None) or current
            if where not in r.left and r.left:
                where = r.left[0]
            r.result("FAIL", where, f"{e}\nserial log: {log}")
            current = where
    if r.left:
        rep.skip_rest(case.name, r.left, f"not reached: {current} failed")


def _results(m, r):
    """Reads results until 'RT end'."""
    while True:
        verb, name, text = m.expect(RT.pattern, TEST_TIME, fail=FATAL).groups()
        if verb == "start":
            r.current = name
        elif verb == "info":
            r.notes.append(text)
        elif verb == "json" and name == "ps":
            r.ps = text
        elif verb == "pass" and name == "ps":
            faults = sandbox_faults(r.ps)
            r.result("FAIL" if faults else "PASS", "ps", "\n".join(faults) or f"{len(PROCESSES)} processes")
        elif verb in ("pass", "fail", "skip"):
            r.result(verb.upper(), name, text if verb != "fail" else "\n".join([text, *r.notes[-20:]]))
        elif verb == "end":
            r.current = None
            return "poweroff"


def sandbox_faults(text):
    """What is wrong by hvctl ps --json: complaints, a line each."""
    try:
        answer = json.loads(text or "")
    except ValueError as e:
        return [f"hvctl ps --json: {e}: {text}"]
    bad, seen = [], {p["process"]: p for p in answer.get("processes", ())}
    if answer.get("control_groups") != "on":
        bad.append(f"control groups: {answer.get('control_groups')}")
    for name in PROCESSES:
        p = seen.get(name)
        if p is None:
            bad.append(f"{name} is not there")
            continue
        facts = {"Seccomp": "2", "NoNewPrivs": "1", "root_entries": 0, "Groups": ""}
        facts.update((c, "0" * 16) for c in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"))
        bad += [f"{name}: {k} is {p.get(k)!r}, not {v!r}" for k, v in facts.items() if p.get(k) != v]
        ids = set(str(p.get("Uid")).split() + str(p.get("Gid")).split())
        if len(ids) != 1 or not ids.pop().startswith("6"):
            bad.append(f"{name}: Uid {p.get('Uid')}, Gid {p.get('Gid')}")
        bad += [f"{name}: namespace {k} is {v}" for k, v in (p.get("namespaces") or {"all": None}).items() if v != "own"]
        files = [t for t in (p.get("descriptors") or {"?": "/unknown"}).values() if t.startswith("/")
                 and t not in ("/dev/null", "/dev/net/tun", "/dev/ptmx") and not t.startswith("/vm/")
                 and t != "/run/redoubt/w.console"]
        bad += [f"{name}: has {t} open" for t in files]
    owners = [str(p.get("Uid")) for p in seen.values()]
    if len(set(owners)) != len(owners):
        bad.append(f"processes share an identity: {owners}")
    return bad
