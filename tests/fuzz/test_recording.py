#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""fuzz/seeds/from-recording reads what docs/recording.md says: each target gets inputs, and a file that is none is refused."""
import re
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / "fuzz/seeds/from-recording"
MAGIC = b"RDRECORD\1" + bytes(7)
WORKER, STORVSP, NETVSP, IC = 1, 2, 3, 4
PACKET, RNDIS, MESSAGE, INTERCEPT, POSTED = 1, 2, 3, 4, 5
findings, count = [], 0


def constant(name):
    return int(re.search(rf"#define {name} (0x\w+)u", (ROOT / "hv/abi/tlfs.h").read_text()).group(1), 16)


def record(device, kind, data, unit=0, length=None):
    return struct.pack("<IIQHHHHII", 32 + len(data), 0, 5, device, 0, kind, unit, len(data) if length is None else length, 0) + data


def packet(kind, body):
    body += bytes(-len(body) % 8)
    return struct.pack("<HHHHQ", kind, 2, 2 + len(body) // 8, 1, 7) + body


def message(kind, payload):
    return struct.pack("<IBBHQ", kind, len(payload), 0, 0, 2) + payload.ljust(240, b"\0")


def traced(kind, rcx, rdx, data=b""):
    """struct hv_traced_intercept"""
    return message(kind, bytes(40) + struct.pack("<4Q", 0, rcx, rdx, 0) + data.ljust(168, b"\0"))


def port(number, value, write):
    """struct hv_io_port_intercept"""
    header = bytes([0, 0, 0, 0, 1, write]) + bytes(34)
    return message(constant("HV_MESSAGE_IO_PORT"), header + struct.pack("<HBBIQ", number, 1, 0, 0, value))


CALL, MSR = constant("HV_MESSAGE_HYPERCALL"), constant("HV_MESSAGE_MSR")
SCSI = struct.pack("<III", 3, 0, 0) + bytes(8) + bytes([10, 0, 0, 0]) + struct.pack("<I", 0) + bytes([0x28]) + bytes(35)
ALL = [record(WORKER, MESSAGE, struct.pack("<II", 14, 0) + bytes(32), 1), record(WORKER, MESSAGE, struct.pack("<II", 3, 0), 1),
       record(WORKER, MESSAGE, struct.pack("<IIIIHHII", 8, 0, 1, 99, 24, 1, 8192, 0) + bytes(16), 1)]
ALL += [record(WORKER, INTERCEPT, traced(CALL, 0x5c, 0x1000, struct.pack("<IIII", 4, 0, 1, 16) + bytes(16))), record(WORKER, INTERCEPT, traced(CALL, 0x5d | 1 << 16, 7)),
        record(WORKER, INTERCEPT, traced(MSR, 0x40000083, 0)), record(WORKER, INTERCEPT, traced(MSR, 0x400000b0, 0))]
ALL += [record(WORKER, INTERCEPT, port(n, 0x41, w)) for n in (0x3f8, 0x3fd, 0x70, 0x71) for w in (0, 1)] + [record(WORKER, POSTED, struct.pack("<HBBI", 0x3f8, 1, 0, 0x42))]
ALL += [record(STORVSP, PACKET, packet(6, SCSI)), record(NETVSP, PACKET, packet(6, struct.pack("<4I", 1, 2, 2, 0)))]
ALL += [record(NETVSP, RNDIS, struct.pack("<II", 1, 104) + bytes(96), 0), record(NETVSP, RNDIS, struct.pack("<II", 2, 24) + bytes(16), 1)]
ALL += [record(IC, PACKET, packet(6, bytes(60)), n) for n in (0, 1, 2)]


def run(data, *words):
    global count
    count += 1
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "a.rec").write_bytes(data)
        done = subprocess.run([sys.executable, "-B", TOOL, Path(folder, "a.rec"), "--out", Path(folder, "out"), *words], capture_output=True, text=True)
        sizes = {p.name: [f.stat().st_size for f in p.iterdir()] for p in Path(folder, "out").glob("*")}
        return done.returncode, sizes, done.stdout + done.stderr


code, found, said = run(MAGIC + b"".join(ALL))
if code != 0 or len(found) < 20:
    findings.append(f"a recording with each kind: exit {code}, {sorted(found)}: {said[-500:]}")
for target, sizes in found.items():
    count += 1
    if not sizes or max(sizes) > 8192:
        findings.append(f"{target}: inputs of {sizes} bytes")
for what, data, reason in (("empty", b"", "not a recording"), ("another version", MAGIC.replace(b"\1", b"\2"), "not a recording"), ("cut head", MAGIC + ALL[0][:20], "cut at byte 16"),
                           ("cut record", MAGIC + ALL[0][:-1], "has size"), ("size 0", MAGIC + bytes(32), "has size 0"), ("size beyond", MAGIC + b"\xff" * 32, "has size")):
    code, found, said = run(data)
    if code != 1 or reason not in said or any(found.values()):
        findings.append(f"{what}: exit {code}: {said}")
code, found, said = run(MAGIC + record(NETVSP, RNDIS, bytes(40), 0, 9000), "--targets", "rndis")
if code != 0 or any(found.values()):
    findings.append(f"bytes that were cut: exit {code}, {found}")
if run(MAGIC, "--targets", "nothing")[0] != 2:
    findings.append("an unknown target is taken")
for text in findings:
    print("FAIL", text)
print(f"{count} cases, {len(findings)} findings")
sys.exit(1 if findings else 0)
