#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Seeds of the hypervisor's reader of the firmware's log: tcglog. usage: fuzz/seeds/tcglog.py"""
import struct

from records import write

SHA1, SHA256, SHA384 = 4, 0xB, 0xC
SIZES = {SHA1: 20, SHA256: 32, SHA384: 48}


def header(*banks):
    data = b"Spec ID Event03\0" + bytes(8) + struct.pack("<I", len(banks)) + b"".join(struct.pack("<HH", *b) for b in banks) + b"\0"
    return struct.pack("<II", 0, 3) + bytes(20) + struct.pack("<I", len(data)) + data


def event(*algs, data=b"data", count=None):
    digests = b"".join(struct.pack("<H", a) + b"\x11" * SIZES[a] for a in algs)
    return struct.pack("<III", 4, 1, len(algs) if count is None else count) + digests + struct.pack("<I", len(data)) + data


def seeds():
    good = header((SHA1, 20), (SHA256, 32))
    yield "second_bank_bad", header((SHA1, 20), (SHA256, 33)) + event(SHA1)
    yield "two_events", good + event(SHA1, SHA256) + event(SHA256, SHA1)
    yield "one_bank_of_two", good + event(SHA256)
    yield "three_banks_of_two", good + event(SHA1, SHA256, SHA1)
    yield "digest_cut", good + event(SHA1, SHA256)[:-20]
    yield "digest_cut_more", good + event(SHA1, SHA256)[:-45]


write("tcglog", seeds())
