# SPDX-License-Identifier: MIT
"""Runs one case of the matrix: one boot, its checks in the root, its end."""

import json
import os
import re
import socket
import threading
import time

import cases
import images
import machine as mc

FACTOR = float(os.environ.get("REDOUBT_TIME_FACTOR", "1"))
BOOT_TIME = 300 * FACTOR
QUIET = 75 * FACTOR     # seconds without a serial line that mean a boot hangs
FATAL = r"Kernel panic|(?<!\] )redoubt: (error|panic)|^error: (file ./boot/(vml|ini|red)|you need)|Attempted to kill init"
RT = re.compile(r"\bRT (init|ready|start|info|json|show|pass|fail|skip|note|end)\b ?(\S*) ?(.*)$")


class EchoServer:
    """TCP server on the loopback interface, which QEMU's user network shows as 10.0.2.2."""

    def __init__(self):
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            threading.Thread(target=self._echo, args=(conn,), daemon=True).start()

    @staticmethod
    def _echo(conn):
        with conn:
            try:
                while data := conn.recv(65536):
                    conn.sendall(data)
            except OSError:
                pass

    def close(self):
        self.sock.close()


def root_spec(case, product, port=0, tests=None, soak=None):
    """The machine of a case, and {check: seconds it may take}."""
    kern = images.kernel(case.kernel)
    wanted = set(tests if tests is not None else case.tests())
    if "hidden-memory" in wanted:
        wanted |= {"hv", "memmap"}
    length = soak or case.soak
    mem = 2048
    fill = {"cpus": case.cpus, "machine": case.machine, "port": port, "soak": length,
            "ram": mem - cases.POOL_MIB if case.hv else 0}
    words, limits = [], {}
    for word, limit in cases.CHECKS:
        name = word.split(":")[0]
        if name in wanted and name in case.checks and (case.hv or name not in cases.HV_ONLY):
            words.append(word.format(**fill))
            limits[name] = (limit + (length * 1.5 if name == "soak" else 0)) * FACTOR
    cmdline = f"console=ttyS0 panic=-1 rt={','.join(words)} rtend={case.end} {case.append}".strip()
    spec = mc.Spec(
        kernel=kern.image, initrd=images.initramfs(kern, product.extras(case.kernel) if case.hv else None),
        cmdline=cmdline, boot=case.boot, hv=product.hv() if case.hv else None,
        hv_options=f"pool={cases.POOL_MIB}M" if case.hv else "", machine=case.machine, cpus=case.cpus,
        mem=mem, disks=(("ahci", 64), ("virtio", 64)), nics=("e1000", "virtio"), iommu=case.iommu,
        no_reboot=case.end != "reboot")
    return spec, limits


class _Run:
    def __init__(self, case, tests, rep):
        self.case, self.tests, self.rep = case, tests, rep
        self.done = set()
        self.since = time.monotonic()
        self.notes = []
        self.memmap, self.info = [], None
        self.current = None         # the check that the root is in

    def result(self, status, test, detail=""):
        now = time.monotonic()
        if test in self.tests and test not in self.done:
            self.rep.result(status, self.case.name, test, now - self.since, detail)
            self.done.add(test)
        self.since = now

    def finish(self, why):
        left = [t for t in self.tests if t not in self.done]
        self.done.update(left)
        if left:
            self.rep.skip_rest(self.case.name, left, why)


def run(case, tests, product, rep, soak=None, verbose=False):
    """Boots the case and reports every test of `tests`."""
    server = EchoServer()
    r = _Run(case, tests, rep)
    log = product.logs() / f"{case.name}.log"
    echo = (lambda t, s: print(f"      [{t:8.3f}] {s}", flush=True)) if verbose else None
    current = "boot"
    try:
        spec, limits = root_spec(case, product, server.port, tests, soak)
        with mc.Machine(spec, log, echo) as m:
            try:
                m.expect(r"\bRT init\b", BOOT_TIME, fail=FATAL, quiet=QUIET)
                m.expect(r"\bRT ready\b", 120 * FACTOR, fail=FATAL, quiet=QUIET)
                resets = m.resets()
                r.result("PASS", "boot", f"root's init after {m.elapsed():.1f} s")
                current = _checks(m, r, limits)
                if "hidden-memory" in tests:
                    _hidden_memory(r)
                current = case.end
                _end(m, r, case, resets)
            except mc.MachineError as e:
                where = r.current or current
                r.result("FAIL", where, f"{e}\nserial log: {log}")
                r.finish(f"not reached: {where} failed")
    finally:
        server.close()
    r.finish("did not run")


def _checks(m, r, limits):
    """Reads results until 'RT end'."""
    limit = 120 * FACTOR
    while True:
        found = m.expect(RT.pattern, limit, fail=FATAL)
        verb, name, text = found.groups()
        if verb == "start":
            if r.current:
                r.result("FAIL", r.current, "ended without a result")
            r.current, r.notes, r.since = name, [], time.monotonic()
            limit = limits.get(name, 120 * FACTOR)
        elif verb == "info":
            r.notes.append(text)
            if name == "serial" and text.startswith("ready for "):
                _type(m, int(text.split()[2]))
            if name == "memmap":
                r.memmap.append(text)
        elif verb == "json":
            try:
                r.info = json.loads(f"{name} {text}")
            except ValueError:
                r.notes.append(f"malformed JSON: {name} {text}")
        elif verb in ("pass", "fail", "skip"):
            detail = text if verb != "fail" else "\n".join([text, *r.notes[-12:]])
            r.result(verb.upper(), name, detail)
            r.current = None
        elif verb == "end":
            if r.current:
                r.result("FAIL", r.current, "ended without a result")
                r.current = None
            return "end"


def _type(m, count):
    """Types on the serial port in bursts, as a fast terminal would."""
    data = "".join(chr(ord("a") + i % 23) for i in range(count))
    for i in range(0, count, 100):
        m.send(data[i:i + 100])
        time.sleep(0.02)


def _ranges(memmap):
    out = []
    for line in memmap:
        start, end, kind = line.split(None, 2)
        out.append((int(start, 16), int(end, 16) + 1, kind))
    return out


def _hidden_memory(r):
    """No RAM of the root lies over memory of the hypervisor or of the pool."""
    if r.info is None:
        r.result("SKIP", "hidden-memory", "hvctl info gave no memory ranges")
        return
    hidden = []
    for x in r.info.get("memory") or r.info.get("ranges") or []:
        owner = str(x.get("owner", ""))
        if owner in ("hypervisor", "pool"):
            base = int(str(x.get("base", x.get("start"))), 0)
            hidden.append((base, base + int(str(x["size"]), 0), owner))
    if not hidden:
        r.result("FAIL", "hidden-memory", f"hvctl info names no hypervisor memory: {json.dumps(r.info)[:400]}")
        return
    for start, end, kind in _ranges(r.memmap):
        for base, top, owner in hidden:
            if kind == "System RAM" and start < top and base < end:
                r.result("FAIL", "hidden-memory", f"RAM {start:#x}-{end:#x} covers {owner} {base:#x}-{top:#x}")
                return
    size = sum(t - b for b, t, _ in hidden)
    r.result("PASS", "hidden-memory", f"{len(hidden)} ranges, {size >> 20} MiB, absent from the root's map")


def _end(m, r, case, resets):
    if case.end == "reboot":
        m.expect(r"\bRT init\b", BOOT_TIME, fail=FATAL, quiet=QUIET)
        if m.resets() == resets:
            raise mc.MachineError(m.report("a second boot without a reset of the machine"))
        r.result("PASS", "reboot", "reset and second boot seen")
        return
    why = m.wait_exit(60 * FACTOR)
    if why != "guest-shutdown":
        raise mc.MachineError(m.report(f"QEMU ended by {why}, not by power off"))
    r.result("PASS", "poweroff")
