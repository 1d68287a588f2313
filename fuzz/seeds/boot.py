#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Seeds of what the hypervisor reads when it starts: acpi, bootinfo, insn. usage: fuzz/seeds/boot.py"""
import struct

from records import write


def table(signature, body, revision=1):
    head = struct.pack("<4sIBB6s8sIII", signature, 36 + len(body), revision, 0, b"REDBT ", b"SEED    ", 1, 0, 1)
    data = bytearray(head + body)
    data[9] = -sum(data) & 0xFF
    return bytes(data)


def madt(cpus=2, ioapics=1):
    body = struct.pack("<II", 0xFEE00000, 1)
    body += b"".join(struct.pack("<BBBBI", 0, 8, i, i, 1) for i in range(cpus))
    return table(b"APIC", body + b"".join(struct.pack("<BBBBII", 1, 12, i, 0, 0xFEC00000 + i * 4096, 24 * i) for i in range(ioapics)), 3)


def mcfg(windows):
    return table(b"MCFG", bytes(8) + b"".join(struct.pack("<QHBBI", 0xB0000000 + (i << 28), i, 0, 255, 0) for i in range(windows)))


def iommu(kind, device, base, segment=0, entries=b"\x03\0\0\0\x04\xff\0\0"):
    more = bytes(16) if kind != 0x10 else b""
    return struct.pack("<BBHHHQHHI", kind, 0, 24 + len(more) + len(entries), device, 64, base, segment, 0, 0) + more + entries


def ivrs(*blocks):
    return table(b"IVRS", struct.pack("<IQ", 0x203040, 0) + b"".join(blocks), 2)


def fadt():
    body = bytearray(276 - 36)
    body[40 - 36 : 44 - 36] = struct.pack("<I", 0)
    body[88 - 36], body[89 - 36], body[91 - 36] = 4, 2, 4
    body[56 - 36 : 60 - 36] = struct.pack("<I", 0x600)
    body[64 - 36 : 68 - 36] = struct.pack("<I", 0x604)
    body[76 - 36 : 80 - 36] = struct.pack("<I", 0x608)
    return table(b"FACP", bytes(body), 5)


def dsdt():
    return table(b"DSDT", b"\x08_S5_\x12\x06\x04\x0a\x05\x0a\x05\0\0", 2)


def tables(*more):
    return b"\x03" + madt() + fadt() + dsdt() + b"".join(more)


def image(rsdp_at, parts, size=0x800, address=None):
    memory = bytearray(size)
    for at, data in parts.items():
        memory[at : at + len(data)] = data
    return struct.pack("<BH", 0, rsdp_at if address is None else address) + bytes(memory)


def rsdp(rsdt=0, xsdt=0, revision=2, length=36, spoil=False):
    data = bytearray(struct.pack("<8sB6sBIIQB3x", b"RSD PTR ", 0, b"REDBT ", revision, rsdt, length, xsdt, 0))
    data[8] = -sum(data[:20]) & 0xFF
    data[32] = -sum(data[:36]) & 0xFF
    data[33] = 1 if spoil else 0
    return bytes(data)


def acpi():
    base = 0x4000
    yield "iommus_two", tables(ivrs(iommu(0x10, 2, base), iommu(0x11, 2, base), iommu(0x40, 2, base), iommu(0x11, 2, base)))
    yield "iommus_same", tables(ivrs(iommu(0x11, 2, base), iommu(0x11, 2, base), iommu(0x10, 2, 2 * base)))
    yield "iommus_differ", tables(ivrs(iommu(0x11, 2, base), iommu(0x11, 2, 2 * base)))
    yield "iommus_five", tables(ivrs(*(iommu(0x10, 2 + i, base * (1 + i)) for i in range(5))))
    yield "iommus_segments", tables(ivrs(*(iommu(0x10, 2, base * (1 + i), i) for i in range(4))))
    yield "iommu_nowhere", tables(ivrs(iommu(0x10, 2, 0))) + b""
    entries = (b"\x01\0\0\0", b"\x02\x08\0\0", b"\x42\x08\0\0\0\x10\0\0", b"\x43\x08\0\0\0\x10\0\0\x04\xff\0\0", b"\x46\x08\0\0\0\0\0\0", b"\x47\x08\0\0\0\0\0\0\x04\xff\0\0", b"\x48\0\0\0\0\xa0\0\x01", b"\x04\xff\0\0", b"\x03\0\0\0", b"\xf0\x08\0\0" + bytes(18), b"\x30\0\0\0")
    for i, e in enumerate(entries):
        yield "iommu_entry_%d" % i, tables(ivrs(iommu(0x40, 2, base, 0, e)))
    yield "ioapics_nine", b"\x03" + madt(2, 9) + fadt() + dsdt()
    yield "windows_five", tables(mcfg(5))
    yield "twice", tables(mcfg(1), mcfg(1), ivrs(iommu(0x10, 2, base)), ivrs(iommu(0x10, 2, base)))
    tpm2 = lambda n: table(b"TPM2", bytes(12) + struct.pack("<I", 6) * (n > 51) + bytes(max(0, n - 52)), 4) if n >= 52 else table(b"TPM2", bytes(n - 36), 4)
    yield "tpm2", tables(tpm2(76))
    yield "tpm2_short", tables(tpm2(48))
    yield "tpm2_without_log", tables(tpm2(52))
    yield "tpm2_twice", tables(tpm2(76), tpm2(76))
    yield "tpm12", tables(table(b"TCPA", bytes(14), 2))
    parts = {0x100: madt(), 0x200: fadt(), 0x400: dsdt()}
    words = lambda *entries: struct.pack("<%dI" % len(entries), *entries)
    rsdt = table(b"RSDT", words(0x100, 0x200, 0, 0x400, 0xFFFFFF00))
    yield "rsdt", image(16, {16: rsdp(0x600, 0, 0), 0x600: rsdt, **parts})
    yield "rsdt_of_two", image(16, {16: rsdp(0x600, 0, 2), 0x600: rsdt, **parts})
    yield "rsdt_odd", image(16, {16: rsdp(0x600, 0, 0), 0x600: table(b"RSDT", words(0x100) + b"\0\0"), **parts})
    yield "rsdt_long", image(16, {16: rsdp(0x600, 0, 0), 0x600: table(b"RSDT", words(*[0] * 257)), **parts}, 0xB00)
    yield "rsdp_short", image(16, {16: rsdp(0, 0x600, 2, 20)})
    yield "rsdp_long", image(16, {16: rsdp(0, 0x600, 2, 5000)})
    yield "rsdp_outside", image(16, {16: rsdp(0, 0x600, 2, 4000)})
    yield "rsdp_sum", image(16, {16: rsdp(0, 0x600, spoil=True)})
    yield "rsdp_none", image(16, {})
    yield "ebda", image(0, {0x40E: struct.pack("<H", 0x50), 0x500: rsdp(0x600, 0, 0), 0x600: rsdt, 0x100: madt(), 0x200: fadt()}, address=0)
    yield "ebda_none", image(0, {0x40E: struct.pack("<H", 0x50)}, address=0)


def mb2(*tags, entry=24):
    body = b"".join(t + bytes(-len(t) % 8) for t in tags) + struct.pack("<II", 0, 8)
    return struct.pack("<BH", 1, 8) + bytes(8) + struct.pack("<II", 8 + len(body), 0) + body


def mmap(*ranges):
    return struct.pack("<IIII", 6, 16 + 24 * len(ranges), 24, 0) + b"".join(struct.pack("<QQII", b, n, t, 0) for b, n, t in ranges)


def efi(*ranges):
    return struct.pack("<IIII", 17, 16 + 40 * len(ranges), 40, 1) + b"".join(struct.pack("<IIQQQQ", t, 0, b, 0, n, 0) for b, n, t in ranges)


def bootinfo():
    m = 1 << 20
    every = [(i * m, m, i % 7) for i in range(12)]
    yield "types", mb2(mmap(*every))
    overlaps = [(0, 64 * m, 1), (m, m, 2), (4 * m, 4 * m, 3), (5 * m, m, 4), (6 * m, 8 * m, 5), (2 * m, 60 * m, 3), (63 * m, 9 * m, 4), (0, m, 5), (70 * m, m, 1), (69 * m, 3 * m, 2)]
    yield "overlaps", mb2(mmap(*overlaps))
    yield "overlaps_back", mb2(mmap(*overlaps[::-1]))
    yield "inside", mb2(mmap((0, 64 * m, 1), (m, m, 3), (m, m, 4), (m, m, 5), (m, m, 1)))
    yield "touching", mb2(mmap(*((i * m, m, 1) for i in range(8)), *((i * m, m, 2) for i in range(2, 6))))
    for n in range(125, 131):
        gaps = [(2 * i * m, m, 1) for i in range(n)]
        yield "full_%d" % n, mb2(mmap(*gaps, (m // 2, 4 * m, 5)))
        yield "full_middle_%d" % n, mb2(mmap(*gaps, (m // 4, m // 4, 5), (2 * m + m // 4, m // 4, 5)))
        yield "full_mixed_%d" % n, mb2(mmap(*((i * m, m, 1 + i % 2) for i in range(n)), (m // 4, m // 2, 5)))
        yield "full_gap_%d" % n, mb2(mmap(*gaps, (m, 3 * m, 1)))
    yield "efi", mb2(efi(*((i * m, 256, i) for i in range(16))))


def insn():
    for name, code in (("vmcall", "0f01c1"), ("rdtscp", "0f01f9"), ("xsetbv", "0f01d1"), ("vmmcall", "0f01d9"), ("moffs", "a30000000000000000")):
        for mode in range(3):
            yield "%s_%d" % (name, mode), bytes([mode]) + bytes.fromhex(code) + b"\x90" * 12


write("acpi", acpi())
write("bootinfo", bootinfo())
write("insn", insn())
