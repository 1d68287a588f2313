#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Seeds of the target ioctl (redoubt.ko in user space). usage: fuzz/seeds/module.py"""
import struct

from records import record, write

(CREATE, INFO, LOG, PARTITION_INFO, MEMORY, VP, CHANNEL, MESSAGE, POST, PORTS, STOP, GET_REGS, SET_REGS, RUN,
 TARGET, MEASURE, SEAL, MEASUREMENT, REPORT, REPORT_KEY) = range(20)
OPEN, WORK = record(bytes([0, 0])), record(bytes([8, 0]))


def ask(file, which, data=b"", place=1):
    return record(bytes([10, file, which, place]) + data)


def close(file):
    return record(bytes([9, file]))


def read(file, size, place=2):
    return record(bytes([2, file, place]) + struct.pack("<H", size))


def write_to(file, size):
    return record(bytes([1, file, 2]) + struct.pack("<H", size))


def map_(file, flags, offset, pages, fault=0):
    return record(bytes([4, file, flags]) + struct.pack("<HHH", offset, pages, fault))


def happens(partition, vp, flag, kind=1, posted=0):
    return record(bytes([5, partition | vp << 4, flag, kind, posted]))


def fail(what, after, status=0):
    return record(bytes([7, what | (after - 1) << 2, status]))


def other(what, n=0):
    return record(bytes([0xFF, what | n << 2]))


MANY, SIGNAL, OTHERS, BUSY = range(4)


def blocking(file):
    return read(file | 0x80, 256)


def create(mib=16, vps=2, weight=0):
    return OPEN + ask(0, CREATE, struct.pack("<QII", mib << 20, vps, weight))


def vp(n):
    return ask(1, VP, struct.pack("<II", n, 0))


def named(file, set_, *names):
    """Registers: the group in the tens' rest, the number in it by tens."""
    return record(bytes([0x8C, file, set_, len(names), *names]))


def message(payload=16, kind=1):
    return struct.pack("<IIIBBHQ", 0, 2, kind, payload, 0, 0, 0) + bytes(8)


REGS = struct.pack("<IIQ", 2, 0, 0) + (struct.pack("<I", 0x20000) + bytes(28)) * 2
FULL = create() + vp(0) + vp(1) + ask(1, MEMORY)
CHANNEL_OF = ask(1, CHANNEL, struct.pack("<IIII", 0x2001, 1, 2, 5))
MESSAGES_OF = ask(1, MESSAGE, struct.pack("<IIII", 1, 4, 0, 0))
SEEDS = {
    "device": OPEN + ask(0, INFO, struct.pack("<II", 1, 0)) + ask(0, LOG) + ask(0, PARTITION_INFO) + close(0),
    "partition": create() + close(1) + WORK + close(0),
    "weight": create(weight=100) + create(weight=1001) + create(mib=15) + create(vps=9) + create(mib=130),
    "most": OPEN + ask(0, CREATE, struct.pack("<QII", 100 << 20, 1, 0)) * 2 + close(1) + WORK,
    "vps": FULL + vp(0) + vp(2) + happens(0, 0, 1) + ask(2, RUN, struct.pack("<IIQ", 1, 2, 7)),
    "start": FULL + ask(2, RUN, bytes(16)) + ask(2, RUN, bytes(16)) + ask(3, RUN, bytes(16)),
    "named": FULL + named(2, 0, 2, 162, 4) + named(2, 1, 12, 6),
    "registers": FULL + ask(2, GET_REGS, REGS) + ask(2, SET_REGS, REGS) + ask(2, SET_REGS, struct.pack("<IIQ", 65, 0, 0)),
    "posted": FULL + happens(0, 0, 1, 0, 9) + read(2, 1024) + happens(0, 0, 1, 0, 200) + read(2, 7) + read(2, 2000),
    "memory": FULL + map_(4, 1, 0, 16, 3) + map_(4, 3, 0, 1) + map_(4, 0, 0, 1) + map_(2, 1, 0, 1) + map_(4, 1, 5000, 1),
    "memory_outlives": FULL + close(1) + WORK + map_(4, 1, 0, 16, 3) + close(4) + WORK + close(2) + close(3),
    "channel": create() + CHANNEL_OF + happens(0, 0, 1) + read(2, 8) * 2 + write_to(2, 8)
    + ask(2, TARGET, struct.pack("<II", 1, 0)) + ask(2, TARGET, struct.pack("<II", 2, 0)) + close(2),
    "messages": create() + MESSAGES_OF + happens(0, 0, 1) + read(2, 256) * 2 + fail(3, 1, 0x15) + read(2, 256) + close(2),
    "post": create() + ask(1, POST, message()) + ask(1, POST, message(241)) + fail(3, 1, 50) + ask(1, POST, message()),
    "ports": create() + ask(1, PORTS, struct.pack("<HHBBH", 0x3F8, 0x3FF, 1, 0, 0))
    + ask(1, PORTS, struct.pack("<HHBBH", 5, 4, 0, 0, 0)) + ask(1, PORTS, struct.pack("<HHBBH", 0x3FD, 0x3FD, 2, 0x60, 0)),
    "stop": FULL + CHANNEL_OF + MESSAGES_OF + ask(1, STOP) * 2 + read(5, 8) + read(6, 256) + write_to(5, 8) + vp(1)
    + ask(2, RUN, bytes(16)) + ask(1, POST, message()) + CHANNEL_OF + ask(1, MEMORY) + close(1) + WORK,
    "measured": create() + ask(1, MEASURE, struct.pack("<QQ", 0x1000, 0x3000000)) + ask(1, MEASURE, struct.pack("<QQ", 0x1000, 0x300000))
    + ask(1, MEASURE, struct.pack("<QQ", 0x1001, 0x1000)) + ask(1, SEAL, bytes(16)) + ask(0, MEASUREMENT, struct.pack("<Q", 1))
    + ask(0, REPORT, struct.pack("<Q", 1)) + ask(0, REPORT_KEY),
    "at_the_end": create() + ask(1, VP, b"", 0xE0) + ask(1, POST, message(), 0xE1) + ask(0, CREATE, b"", 0xE2),
}
for number, name in enumerate(("memory", "descriptor", "copy", "call")):
    for after in range(1, 9):
        SEEDS[f"fail_{name}_{after}"] = (
            OPEN + fail(number, after, 5) + ask(0, CREATE, struct.pack("<QII", 16 << 20, 2, 10))
            + create() + fail(number, 1 + after // 2, 11) + vp(0) + CHANNEL_OF + fail(number, 1 + after // 3, 5) + MESSAGES_OF
            + ask(1, MEMORY) + ask(2, GET_REGS, REGS))
SEEDS["statuses"] = create() + b"".join(fail(3, 1, n - 1) + ask(1, POST, message()) for n in range(1, 58))
SEEDS["statuses_more"] = create() + b"".join(fail(3, 1, n - 1) + ask(1, POST, message()) for n in (*range(58, 112), 120, 255))
SEEDS["miscounts"] = FULL + fail(3, 1, 255) + ask(2, GET_REGS, REGS) + fail(3, 1, 254) + ask(2, GET_REGS, REGS)
SEEDS["slow_end"] = FULL + fail(3, 1, 254) + close(1) + fail(3, 2, 254) + close(4) + WORK + close(2) + close(3) + WORK
SEEDS["many_channels"] = create() + CHANNEL_OF + other(MANY, 1) + record(bytes([5, 0, 100, 1, 0])) + close(2) + CHANNEL_OF + close(1) + WORK
SEEDS["polled"] = create() + vp(0) + CHANNEL_OF + read(2, 0) + read(3, 8) + b"".join(happens(0, 0, n) for n in range(4)) + read(2, 0) + ask(1, STOP)
SEEDS["waits"] = (create() + CHANNEL_OF + MESSAGES_OF + other(OTHERS) + blocking(2) + blocking(2) + fail(3, 1, 0x15 - 1) + other(OTHERS) + blocking(3)
                  + fail(2, 1) + read(3, 256) + fail(2, 1) + read(2, 8))
SEEDS["busy"] = FULL + other(BUSY, 3) + map_(4, 1, 0, 2048, 1536) + close(2) + close(3) + close(4) + other(BUSY, 5) + close(1) + WORK
SEEDS["behind_the_end"] = FULL + b"".join(map_(4, 1, 0, 4096, n) for n in (4095, 4096, 4097))
SEEDS["not_disconnected"] = create() + MESSAGES_OF + fail(3, 1, 4) + close(2)
for n, status in enumerate((0x14, 0x3, 0x4, 0x13, 0x12)):
    SEEDS[f"signal_{n}"] = create() + CHANNEL_OF + fail(3, 1, status - 1) + write_to(2, 8)
SEEDS["measured_long"] = create() + ask(1, MEASURE, struct.pack("<QQ", 0, 0x200000)) + ask(1, MEASURE, struct.pack("<QQ", 0, 0x3000))
for after in range(6):
    SEEDS[f"signals_{after}"] = (OPEN + other(SIGNAL, after) + ask(0, INFO, struct.pack("<II", 1, 0)) + other(SIGNAL, after) + ask(0, CREATE,
                                 struct.pack("<QII", 16 << 20, 1, 0)) + create() + b"".join(other(SIGNAL, after) + what for what in (
                                     vp(0), CHANNEL_OF, ask(1, MEASURE, struct.pack("<QQ", 0, 0x300000)), write_to(3, 8), ask(1, POST, message()))))
SEEDS["interrupted"] = create() + CHANNEL_OF + MESSAGES_OF + b"".join(other(SIGNAL) + what for what in (
    vp(0), CHANNEL_OF, ask(1, MEASURE, struct.pack("<QQ", 0, 0x300000)), write_to(2, 8), read(3, 256), ask(1, POST, message()), ask(0, INFO), ask(1, STOP)))
SEEDS["interrupted_wait"] = OPEN + ask(0, CREATE, struct.pack("<QII", 100 << 20, 1, 0)) + close(1) + other(SIGNAL) + ask(
    0, CREATE, struct.pack("<QII", 100 << 20, 1, 0)) + ask(0, CREATE, struct.pack("<QII", 100 << 20, 1, 0)) + WORK
for how in (4, 5, 8, 0xFF):
    SEEDS[f"traced_{how}"] = create() + b"".join(ask(1, PORTS, struct.pack("<HHBBH", first, first, how, value, 0)) for first in (0, 1) for value in (0, 1, 2))
for how in range(8):
    for more in (0, 1, 2, 0x10, 0x11, 0x12, 0x13):
        SEEDS[f"load_{how}_{more}"] = record(bytes([0xFE, how | more << 3])) + OPEN
write("ioctl", SEEDS.items())
