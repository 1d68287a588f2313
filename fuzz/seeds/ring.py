#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Seeds of the target ring: addresses around every edge of guest memory, rings of impossible pages. usage: fuzz/seeds/ring.py"""
import struct

from records import record, write

LOW, HIGH, MEMORY = 0xC0000000, 1 << 32, 12 * 4096
EDGES = (0, 4096, MEMORY, LOW, HIGH, HIGH + MEMORY, 1 << 52, 1 << 63, 1 << 64)


def probe(large, address, length):
    return record(bytes([13, large]) + struct.pack("<QI", address % (1 << 64), length))


def bad_open(pfn, pages):
    return record(bytes([14]) + struct.pack("<QH", pfn, pages))


def seeds():
    for large in (0, 1):
        yield ("large" if large else "small"), record(b"\0") + b"".join(
            probe(large, edge + off, length) for edge in EDGES for off in (-8, -4, -1, 0, 4) for length in (1, 4, 8, 4096)
        )
    put = lambda body, head=0: record(bytes([4, 1, head]) + struct.pack("<H", 0xE000 | body) + b"\xff")
    yield "put_odd", record(b"\0") + b"".join(put(body, head) for body in range(8) for head in (0, 2)) + record(b"\x04\x01\0\x10\0\x06")
    # A packet, a guest that waits for room, and an index that turns bad between two looks.
    for k in range(9):
        yield f"turns_bad_{k}", record(b"\x02") + record(bytes([15, 1, 4, 0xE0, 0])) + record(b"\0\x63\x03") + record(b"\0\x03\x04") + record(
            b"\x0a\x01" + bytes(k) + b"\x01\0\x80\x04\0")
    yield "pages", record(b"\0") + b"".join(
        bad_open(pfn, pages) for pfn in (2, 11, 12, (1 << 52) - 1, 1 << 52, (1 << 64) - 1) for pages in (0, 1, 2, 3, 2049, 65535))


write("ring", seeds())
