#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Seeds of the disk process's session: vstor; single cases that recorded traffic does not have. usage: fuzz/seeds/session.py"""
import struct

from records import record, write

NEGOTIATE, RUN, TAKE = record(b"\x00"), record(b"\x0a"), record(b"\x09")


def raw_srb(sense, cdb=6, length=52, direction=2, rest=b""):
    """EXECUTE_SRB in a packet of its own."""
    packet = struct.pack("<IIIHBBBBBBBBBB", 3, 1, 0, length, 0, 0, 0, 0, 0, 0, cdb, sense, direction, 0) + rest
    return record(bytes([0x46, 8]) + packet.ljust(24, b"\0")[:24] + b"\x06")


def srb(direction, pick, *rest, op=2):
    """One with a range of pages: what the CDB is made of, then transfer / 8, offset, first page."""
    return record(bytes([op, 0, direction, pick, *rest]))


def cdb(direction, *bytes_, blocks=0):
    return srb(direction, 0x80 | len(bytes_), *bytes_, *bytes(16 - len(bytes_)), *struct.pack("<HHB", blocks * 64, 0, 8))


def version(number):
    return record(b"\x71") + record(b"\x91" + struct.pack("<H", number)) + RUN + record(b"\xa1") + record(b"\x81") + RUN + TAKE * 4


BEHIND, INSIDE = 137, 8  # as the first page: the one behind the guest's memory; one of it
DONE = record(b"\x07") * 4


def vstor():
    for number in (0x0501, 0x0600, 0x0602, 0x0700):
        yield f"version_{number:x}", version(number)
    start = NEGOTIATE + RUN
    yield "unmap", start + srb(0, 7, 0, 0, 0, 24, 3, 0, 0, 0, INSIDE) + RUN + DONE + RUN + TAKE
    yield "unmap_behind", start + srb(0, 7, 0, 0, 0, 24, 3, 0, 0, 0, BEHIND) + RUN + TAKE
    yield "unmap_two_pages", start + srb(0, 7, 0, 0, 0, 24, 3, 0, 0xFA, 0x0F, INSIDE) + RUN + TAKE
    yield "unmap_long", start + srb(0, 7, 0, 0, 2, 0, 0x40, 0, 0, 0, INSIDE) + RUN + TAKE
    yield "inquiry_behind", start + srb(1, 8, 0, 36, 5, 0, 0, 0, BEHIND) + RUN + TAKE
    yield "read_behind", start + srb(1, 0, 0, 0, 0, 1, 64, 0, 0, 0, BEHIND) + RUN + TAKE
    yield "write_through", start + cdb(0, 0x2A, 8, 0, 0, 0, 0, 0, 0, 1, 0, blocks=1) + RUN + DONE * 2 + RUN + TAKE
    yield "start_stop", start + cdb(2, 0x1B, 0, 0, 0, 1, 0) + cdb(2, 0x1E, 0, 0, 0, 1, 0) + RUN + TAKE * 2
    for name, words in {"sense_long": {"sense": 21}, "sense_most": {"sense": 20}, "cdb_none": {"sense": 0, "cdb": 0}, "cdb_long": {
            "sense": 0, "cdb": 17}, "srb_long": {"sense": 0, "length": 53}, "direction": {"sense": 0, "direction": 3}}.items():
        yield name, NEGOTIATE + RUN + raw_srb(**words) + RUN + TAKE * 2


write("vstor", vstor())
