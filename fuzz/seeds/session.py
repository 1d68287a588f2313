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


def vstor():
    for name, words in {"sense_long": {"sense": 21}, "sense_most": {"sense": 20}, "cdb_none": {"sense": 0, "cdb": 0}, "cdb_long": {
            "sense": 0, "cdb": 17}, "srb_long": {"sense": 0, "length": 53}, "direction": {"sense": 0, "direction": 3}}.items():
        yield name, NEGOTIATE + RUN + raw_srb(**words) + RUN + TAKE * 2


write("vstor", vstor())
