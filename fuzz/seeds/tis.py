#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Seeds of the target tis: a machine, then what its TPM does with each command. usage: fuzz/seeds/tis.py"""
import struct

from records import record, write

GRANTED, SEIZED, NEVER, ABSENT = range(4)
HONEST, XOR, FITS, RAW, CODE, SIZE, CUT, SLOW = range(8)
NOT_READY, NOT_DONE, EXPECTS, LEFT_OVER = 0x08, 0x10, 0x18, 0x20
SIGNERS = b"\x53"
GET_BANKS, READ, RESET, EVENT = 0, 1, 2, 3  # commands of a machine with one bank and nothing measured: then random, key, end


def machine(banks=2, grant=GRANTED, flags=0, room=0, absent=0x7E, text=8, differ=0, empty=0, key=True, other=0, last=b""):
    setup = struct.pack("<BBBBHB", banks | differ << 4, grant | flags | empty << 4, room, absent, text | (0x8000 if key else 0), other)
    return record(setup + last)


def ask(who, urgent=False, ms=0):
    return bytes([who | urgent << 1 | ms << 2])


def at(command, *answer):
    """The TPM is honest, then answers that command so."""
    return record(b"\0") * command + record(bytes(answer))


seeds = [
    ("honest", machine(banks=3, absent=0)),
    ("honest_all", machine(banks=15, absent=0, text=600)),
    ("honest_no_table", machine(flags=8)),
    ("held", machine(grant=SEIZED, flags=4)),
    ("never_granted", machine(grant=NEVER)),
    ("absent", machine(grant=ABSENT)),
    ("no_key", machine(key=False)),
    ("no_protocol", machine(other=1)),
    ("no_firmware_log", machine(other=2)),
    ("no_loader", machine(other=3)),
    ("crb", machine(other=4)),
    ("no_tpm", machine(other=8)),
    ("tpm12", machine(other=24)),
    ("no_random", machine(other=32)),
    ("no_random_at_all", machine(other=32 | 3)),
    ("empty_bank", machine(banks=3, empty=2)),
    ("extra_bank", machine(banks=2, differ=4)),
    ("missing_bank", machine(banks=6, differ=4)),
    ("full", machine(room=255, absent=0)),
    ("not_ready", machine(key=False) + at(GET_BANKS, NOT_READY)),
    ("not_done", machine(key=False) + at(READ, NOT_DONE)),
    ("expects", machine(key=False) + at(RESET, EXPECTS)),
    ("left_over", machine(key=False) + at(EVENT, LEFT_OVER)),
    ("no_locality", machine(key=False) + at(RESET, CODE, 9, 7)),
    ("refused", machine(key=False) + at(EVENT, CODE, 1, 1)),
    ("huge", machine(key=False) + at(EVENT, SIZE, 0, 0, 1, 0)),
    ("larger", machine(key=False) + at(EVENT, SIZE, 0xFF, 3, 0, 0)),
    ("cut", machine(key=False) + at(READ, CUT, 20, 0)),
    ("long", machine(key=False) + at(READ, CUT, 0xFF, 3)),
    ("digest_size", machine(key=False) + at(READ, XOR, 28, 0, 0xFF)),
    ("bank_count", machine(key=False) + at(GET_BANKS, XOR, 17, 0, 0x0B)),
    ("event_bank", machine(absent=0) + at(EVENT, XOR, 18, 0, 0x80)),
    ("random_equal", machine() + at(EVENT, FITS, 0, 48, *([0x11] * 48))),
    ("random_short", machine() + at(EVENT, FITS, 0, 47, *range(47))),
    ("raw", machine(key=False) + at(GET_BANKS, RAW, 0x80, 1, 0, 0, 0, 10, 0, 0, 0, 0)),
    ("found-slow", machine(key=False) + at(EVENT, SLOW, 30)),
    ("event_other_bank", machine(absent=0) + at(EVENT, XOR, 19, 0, 0x0B ^ 0x12)),
    ("end_refused", machine() + at(5, CODE, 1, 1)),
    ("random_stuck", machine(other=1, last=b"\x01")),
    ("random_repeats", machine(last=b"\x02")),
    ("random_few_ones", machine(last=b"\x03")),
    ("random_many_ones", machine(last=b"\x04")),
    ("sign_waits", machine(key=False, other=1, last=SIGNERS + ask(0) + ask(1) * 2 + ask(0) * 12)),
    ("sign_urgent", machine(key=False, other=1, last=SIGNERS + ask(0) + ask(1, True) + ask(0) + ask(0, True) + ask(1) * 12)),
    ("sign_patience", machine(key=False, other=1, last=SIGNERS + ask(0, True) + ask(1, True, 19) + ask(1, True, 1) + ask(0) + ask(1, ms=5) * 12)),
    ("slower", machine(key=False) + at(READ, SLOW, 200)),
]

write("tis", seeds)
