#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""redoubt-measure: what changes a machine changes its value; the same rules, written once more here, give the same value.

usage: test_measure.py PRODUCT_BUILD_FOLDER
"""
import hashlib
import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

TOOL = Path(sys.argv[1]) / "redoubt-measure"
PREF, INIT = 16 << 20, 4 << 20
findings, count = [], 0


def kernel():
    """The smallest image that the boot protocol allows, with a payload of four pages."""
    image = bytearray((i * 7 + i // 251) & 255 for i in range(5 * 512 + 0x4000))
    image[:0x400] = bytes(0x400)
    image[0x1f1] = 4
    struct.pack_into("<I", image, 0x1f4, 0x4000 // 16)
    struct.pack_into("<H", image, 0x1fe, 0xaa55)
    image[0x200:0x206] = b"\xeb\x6aHdrS"
    struct.pack_into("<H", image, 0x206, 0x020f)
    image[0x211] = 1
    struct.pack_into("<II", image, 0x22c, 0x7fffffff, 0x200000)
    image[0x234] = 1
    struct.pack_into("<HI", image, 0x236, 3, 2047)
    struct.pack_into("<QI", image, 0x258, PREF, INIT)
    return image


def measure(folder, text, *words, root=True):
    (folder / "m.yaml").write_text(text)
    return subprocess.run([TOOL, "vm", folder / "m.yaml", *(("--root", folder) if root else ()), *words], capture_output=True, text=True)


def expect(what, condition, why=""):
    global count
    count += 1
    if not condition:
        findings.append(f"{what}: {why}")


def ld_without_pages(vps, policy):
    """Section 2 of docs/attestation.md for a machine whose pages are not measured; VP 0 as the Linux boot protocol wants it."""
    ld = bytes(48)
    segment = lambda limit, selector, attributes: limit | selector << 32 | attributes << 48
    names = [0x20000 + i for i in range(18)] + [0x40000, 0x40002, 0x40003, 0x80001] + [0x60000 + i for i in range(8)] + [0x70000, 0x70001]
    reset = {0x20010: (0xfff0, 0), 0x20011: (2, 0), 0x40000: (0x60000010, 0), 0x60001: (0xffff0000, segment(0xffff, 0xf000, 0x9b)),
             0x60006: (0, segment(0xffff, 0, 0x82)), 0x60007: (0, segment(0xffff, 0, 0x8b)), 0x70000: (0, 0xffff << 48), 0x70001: (0, 0xffff << 48),
             **{0x60000 + i: (0, segment(0xffff, 0, 0x93)) for i in (0, 2, 3, 4, 5)}}
    data = (0, segment(0xffffffff, 0x18, 0xc093))
    first = {**reset, 0x40003: (0x20, 0), 0x40002: (0x9000, 0), 0x80001: (0x500, 0), 0x40000: (0x80000031, 0),
             0x60001: (0, segment(0xffffffff, 0x10, 0xa09b)), **{0x60000 + i: data for i in (0, 2, 3, 4, 5)},
             0x70001: (0x6000, 31 << 48), 0x70000: (0, 0), 0x20010: (PREF + 0x200, 0), 0x20006: (0x7000, 0)}
    for vp in range(vps):
        have = first if vp == 0 else reset
        contents = hashlib.sha384(b"".join(struct.pack("<IIQQ", n, 0, *have.get(n, (0, 0))) for n in names)).digest()
        ld = hashlib.sha384(ld + contents + struct.pack("<QIII12x", 0, 2, 0, vp)).digest()
    return hashlib.sha384(ld + hashlib.sha384(policy).digest() + struct.pack("<QIII12x", 0, 3, 0, 0)).digest()


def loaded(elf):
    at, size, number = *struct.unpack_from("<I", elf, 28), *struct.unpack_from("<HH", elf, 42)
    parts = [struct.unpack_from("<8I", elf, at + i * size) for i in range(number)]
    parts = [p for p in parts if p[0] == 1]
    first = min(p[3] for p in parts)
    memory = bytearray(max(p[3] + p[5] for p in parts) - first)
    for _, offset, _, where, length, _, _, _ in parts:
        memory[where - first:where - first + length] = elf[offset:offset + length]
    return hashlib.sha384(memory).hexdigest()


BASE = "name: m\nmemory: 64\nvps: 2\nkernel: /k\ninitrd: /i\ncmdline: quiet\ndisks:\n  - path: /d\n"
with tempfile.TemporaryDirectory() as temporary:
    folder = Path(temporary)
    (folder / "k").write_bytes(kernel())
    (folder / "i").write_bytes(b"an initrd" * 1000)
    honest = measure(folder, BASE)
    value = honest.stdout.split()
    expect("honest", honest.returncode == 0 and len(value) == 2 and len(value[0]) == 96 and value[1] == "m", honest.stderr)
    expect("again", measure(folder, BASE).stdout == honest.stdout)
    said = json.loads(measure(folder, BASE + "svn: 9\n", "--json").stdout)
    # GDT to page directories, tables of ACPI, the reset vector, the kernel, the initrd
    expect("--json", said["svn"] == 9 and said["vps"] == 2 and said["memory_bytes"] == 64 << 20 and said["disks"] == 1, said)
    expect("pages", said["pages"] == 9 + 1 + 1 + 4 + 3, said["pages"])
    seen = {value[0]: "honest"}
    for what, text in {
        "name and the rest": None, "command line": BASE.replace("quiet", "quiet x"), "memory": BASE.replace("64", "66"),
        "VPs": BASE.replace("vps: 2", "vps: 3"), "svn": BASE + "svn: 1\n", "a disk more": BASE + "  - path: /e\n",
        "a network": BASE + "nics:\n  - {}\n", "no initrd": BASE.replace("initrd: /i\n", ""), "not measured": BASE + "attest: false\n",
    }.items():
        if text is None:  # what is not of the machine does not count
            expect(what, measure(folder, BASE.replace("name: m", "name: x") + "weight: 7\nattest: true\n").stdout.split()[0] == value[0])
            continue
        got = measure(folder, text).stdout.split()
        expect(what, got and got[0] not in seen, f"the same value as {seen.get(got[0]) if got else 'nothing'}")
        seen[got[0]] = what
    for name, at in (("k", -1), ("k", 5 * 512), ("i", 0), ("i", 8999)):
        data = bytearray((folder / name).read_bytes())
        data[at] ^= 1
        (folder / name).write_bytes(data)
        got = measure(folder, BASE).stdout.split()
        expect(f"byte {at} of {name}", got and got[0] not in seen, "the same value")
        data[at] ^= 1
        (folder / name).write_bytes(data)
    policy = struct.pack("<IIIHHQHHI", 1, 0, 4, 3, 0, 64 << 20, 1, 0, 15)
    got = measure(folder, BASE.replace("vps: 2", "vps: 3") + "attest: false\nsvn: 4\n").stdout.split()[0]
    expect("registers and policy", got == ld_without_pages(3, policy).hex(), got)
    for what, run, words in (
        ("no kernel", measure(folder, BASE.replace("/k", "/none")), ("none", "No such file", "--root")),
        ("not a kernel", measure(folder, BASE.replace("/k", "/i")), ("kernel",)),
        ("a wrong key", measure(folder, BASE + "wrong: 1\n"), ("m.yaml:9", "wrong")),
        ("no definition", subprocess.run([TOOL, "vm", folder / "none"], capture_output=True, text=True), ("none", "No such file")),
        ("not an image", subprocess.run([TOOL, "hypervisor", folder / "k"], capture_output=True, text=True), ("redoubt.elf",)),
        ("no verb", subprocess.run([TOOL], capture_output=True, text=True), ("usage",)),
        ("a wrong option", measure(folder, BASE, "--wrong"), ("usage",)),
    ):
        expect(what, run.returncode == 1 and not run.stdout and all(w in run.stderr for w in words), f"exit {run.returncode}: {run.stderr}")
    # The hypervisor's own: the segments of a 32-bit ELF file at their places, zeros elsewhere.
    image = Path(sys.argv[1]) / "redoubt.elf"
    got = subprocess.run([TOOL, "hypervisor", image], capture_output=True, text=True)
    expect("hypervisor", got.returncode == 0 and got.stdout.split()[0] == loaded(image.read_bytes()), got)

for text in findings:
    print(f"FAIL {text}")
print(f"{count} checks, {len(findings)} findings")
sys.exit(1 if findings or count < 25 else 0)
