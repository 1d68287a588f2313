# SPDX-License-Identifier: MIT
"""Bad input at boot: each fault gets one clear line on the serial port and never a silent reset."""

import re
import tempfile
import time
from pathlib import Path

import images
import machine as mc
from rootcase import FACTOR

COMPLAINT = r"redoubt: (error|warning): "
QUIET = 6       # seconds without a reset that count as "halted"


def edited_kernel(how, image, folder):
    """A damaged copy of a kernel image."""
    data = bytearray(image.read_bytes())
    if how == "truncated":
        data = data[:200_000]
    elif how == "tiny":
        data = data[:300]
    elif how == "malformed":
        data[0x1F0:0x270] = bytes(0x80)             # boot flag, "HdrS", all of the header
    elif how == "old":
        data[0x206:0x208] = (0x0204).to_bytes(2, "little")
    else:
        raise ValueError(how)
    path = Path(folder) / "bzImage"
    path.write_bytes(data)
    return path


def run(bad, product, rep, verbose=False):
    start = time.monotonic()
    log = product.logs() / f"bad-{bad.name}.log"
    echo = (lambda t, s: print(f"      [{t:8.3f}] {s}", flush=True)) if verbose else None
    kern = images.kernel("6.1")
    cpu = mc.CPU_TCG.replace("+svm,+npt", bad.cpu) if bad.cpu else None
    with tempfile.TemporaryDirectory(prefix="redoubt-bad-") as tmp:
        image = edited_kernel(bad.kernel_edit, kern.image, tmp) if bad.kernel_edit else kern.image
        spec = mc.Spec(kernel=image, initrd=images.initramfs(kern), boot=bad.boot, hv=product.hv(),
                       cmdline="console=ttyS0 panic=0 rtend=halt", hv_options=bad.hv_options, config=bad.config,
                       omit=frozenset(bad.omit), cpus=bad.cpus, cpu=cpu)
        try:
            with mc.Machine(spec, log, echo) as m:
                detail = _watch(m, bad)
            rep.result("PASS", "bad-input", bad.name, time.monotonic() - start, detail)
        except mc.MachineError as e:
            rep.result("FAIL", "bad-input", bad.name, time.monotonic() - start, f"{e}\nserial log: {log}")


def _watch(m, bad):
    found = m.expect(f"{COMPLAINT}.*", 120 * FACTOR, fail=r"\bRT init\b")
    line = found.string[found.start():]
    if not re.search(bad.words, line, re.I):
        raise mc.MachineError(m.report(f"the line does not name the fault (/{bad.words}/): {line}"))
    went_on = False
    deadline = time.monotonic() + (180 * FACTOR if bad.then == "boots" else QUIET)
    while time.monotonic() < deadline and not went_on:
        if not m.running():
            raise mc.MachineError(m.report(f"QEMU ended ({m.why_ended()}) after: {line}"))
        went_on = any("Linux version" in t for _, t in m.lines)
        time.sleep(0.2)
    if bad.then == "boots" and not went_on:
        raise mc.MachineError(m.report(f"should boot on after: {line}"))
    if bad.then == "halt":
        if went_on:
            raise mc.MachineError(m.report(f"should halt after: {line}"))
        errors = [t for _, t in m.lines if re.search("redoubt: error: ", t)]
        if len(errors) != 1:
            raise mc.MachineError(m.report(f"{len(errors)} error lines, one wanted"))
    return line
