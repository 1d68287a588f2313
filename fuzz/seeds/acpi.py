#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Seeds of the target acpi out of its seed `all`: root pointers of each kind, and AMD IOMMU tables. usage: fuzz/seeds/acpi.py"""
import struct

from records import CORPUS, write


def tables():
    data, at, found = (CORPUS / "acpi" / "all").read_bytes(), 1, {}
    while at + 36 <= len(data):
        length = struct.unpack_from("<I", data, at + 4)[0]
        found[data[at : at + 4]] = data[at : at + length]
        at += length
    return found


def table(signature, body):
    head = signature + struct.pack("<IBB", 36 + len(body), 2, 0) + b"FUZZ  " + b"FUZZFUZZ" + bytes(12)
    return summed(head + body, 9)


def summed(data, at):
    data = bytearray(data)
    data[at] = 0
    data[at] = -sum(data) & 0xFF
    return bytes(data)


def ivhd(kind, device, base, entries=b"", segment=0):
    body = struct.pack("<HHQHHI", device, 0x40, base, segment, 0, 0)
    if kind != 0x10:
        body += bytes(16)
    return struct.pack("<BBH", kind, 0, 4 + len(body) + len(entries)) + body + entries


def ivrs(*blocks):
    return table(b"IVRS", bytes(12) + b"".join(blocks))


ENTRIES = (bytes(4) + b"\x01\0\0\0" + b"\x02\x10\0\0" + b"\x42\x20\0\0\0\x30\0\0" + b"\x43\x20\0\0\0\x31\0\0" + b"\x48\0\0\0\0\xa0\0\1"
           + b"\xf0\x08\0\0" + bytes(17) + b"\x04" + bytes(4))
A, B = 0xFEB80000, 0xFEB90000


def root(revision, entries, width=8, length=36, bad=False, odd=0, at=64):
    name, pointer = (b"XSDT", "<Q") if width == 8 else (b"RSDT", "<I")
    listing = table(name, b"".join(struct.pack(pointer, e) for e in entries) + bytes(odd))
    rsdp = summed(b"RSD PTR " + b"\0FUZZ  " + bytes([revision]) + struct.pack("<I", at if width == 4 else 0), 8)
    rsdp += struct.pack("<IQ", length, at if width == 8 else 0) + bytes(4)
    rsdp = summed(rsdp, 32)
    if bad:
        rsdp = rsdp[:32] + bytes([rsdp[32] ^ 1]) + rsdp[33:]
    return rsdp, listing


def memory(rsdp, listing, more=b"", at=16, space=0):
    m = bytearray(max(at + 40, 64 + len(listing), 512 + len(more), space))
    m[at : at + len(rsdp)] = rsdp
    m[64 : 64 + len(listing)] = listing
    m[512 : 512 + len(more)] = more
    return m


def whole(m, address=16):
    return b"\0" + struct.pack("<H", address) + bytes(m)


def seeds():
    have = tables()
    base = b"\3" + have[b"FACP"] + have[b"APIC"] + have[b"DSDT"]
    yield "ivrs", base + ivrs(ivhd(0x10, 2, A, ENTRIES))
    yield "ivrs_three_kinds", base + ivrs(*(ivhd(k, 2, A, ENTRIES[:8]) for k in (0x10, 0x11, 0x40)))
    yield "ivrs_falling_kinds", base + ivrs(*(ivhd(k, 2, A, ENTRIES[8:12]) for k in (0x40, 0x11, 0x10)))
    yield "ivrs_adds", base + ivrs(ivhd(0x11, 2, A, b"\x02\x10\0\0"), ivhd(0x11, 2, A, b"\x02\x20\0\0"))
    yield "ivrs_two_bases", base + ivrs(ivhd(0x11, 2, A), ivhd(0x11, 2, B))
    yield "ivrs_five", base + ivrs(*(ivhd(0x10, n, A + n * 0x4000) for n in range(5)))
    yield "ivrs_segments", base + ivrs(ivhd(0x10, 2, A), ivhd(0x10, 2, B, segment=1))
    yield "ivrs_unaligned", base + ivrs(ivhd(0x10, 2, A + 8))
    yield "ivrs_memory_block", base + ivrs(struct.pack("<BBH", 0x20, 0, 32) + bytes(28), ivhd(0x10, 2, A))
    yield "ivrs_short_block", base + ivrs(struct.pack("<BBH", 0x10, 0, 8) + bytes(4))
    yield "ivrs_past_end", base + ivrs(struct.pack("<BBH", 0x10, 0, 99))
    yield "ivrs_entry_cut", base + ivrs(ivhd(0x10, 2, A, b"\x42\0\0\0"))
    yield "ivrs_entry_unknown", base + ivrs(ivhd(0x10, 2, A, b"\xf1" + bytes(30)))
    yield "ivrs_named_cut", base + ivrs(ivhd(0x10, 2, A, b"\xf0" + bytes(20) + b"\x09"))
    yield "ivrs_short", base + table(b"IVRS", bytes(8))
    yield "ivrs_twice", base + ivrs(ivhd(0x10, 2, A)) + ivrs(ivhd(0x10, 2, B))
    apic = have[b"APIC"]
    yield "rsdt", whole(memory(*root(0, [512], 4), apic))
    yield "xsdt", whole(memory(*root(2, [512, 0, 1 << 40, 1 << 50]), apic))
    yield "rsdp_length", whole(memory(*root(2, [512], length=35)))
    yield "rsdp_longest", whole(memory(*root(2, [512], length=4097)))
    yield "rsdp_sum", whole(memory(*root(2, [512], bad=True)))
    yield "xsdt_odd", whole(memory(*root(2, [512], odd=3)))
    yield "xsdt_many", whole(memory(*root(2, [0] * 257)))
    yield "xsdt_nowhere", whole(memory(*root(2, [], at=1 << 20)))
    yield "rsdp_long_sum", b"\4" + whole(memory(*root(2, [512], length=4097)))[1:]
    # The last table ends with memory: what is behind it is not there.
    facp, dsdt = have[b"FACP"], have[b"DSDT"]
    for n in range(1, 3):
        yield f"madt_tail_{n}", b"\3" + facp + dsdt + table(b"APIC", apic[36:] + b"\0\x08"[:n])
    s5 = b"\x08_S5_"
    for i, rest in enumerate((b"", b"\x12", b"\x12\x04", b"\x12\xc0", b"\x12\x80\0", b"\x12\x04\x02\x0a", b"\x12\x04\x02\0\x0a")):
        yield f"s5_tail_{i}", b"\3" + facp + apic + table(b"DSDT", bytes(4) + s5 + rest)
    entry = lambda kind, n, flags: struct.pack("<BBBBI", 0, 8, 0, n, flags) if kind == 0 else struct.pack("<BBHII", 9, 16, 0, n, flags) + bytes(4)
    yield "processors_off", b"\3" + facp + dsdt + table(b"APIC", apic[36:44] + b"".join(entry(k, n, f) for k, n, f in ((0, 0, 1), (0, 1, 0), (9, 2, 0), (9, 3, 2), (0, 3, 1), (9, 0, 4), (0, 255, 1))))
    rsdp, listing = root(0, [512], 4)
    searched = memory(rsdp, listing, apic, at=0x420, space=0x900)
    searched[0x40E:0x410] = struct.pack("<H", 0x42)
    yield "searched", whole(searched, 0)
    yield "not_found", whole(memory(b"", b"", space=0x900), 0)


write("acpi", seeds())
