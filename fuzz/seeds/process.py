#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Seeds of the processes of the root: chan, ic_*, netvsp, vswitch. usage: fuzz/seeds/process.py"""
import struct

from records import record, write


def r(*data):
    return record(bytes(data))


def chan_seeds():
    def gpadl(unit, ident, pages, first, tail=0):
        return r(0, tail, unit, ident, pages - 1, first)

    def open_(unit, sub, ident, downstream):
        return r(3, unit, sub, ident, downstream)

    def close(unit, sub):
        return r(6, unit, sub, 0)

    def free(unit, ident):
        return r(7, unit, 0, ident)

    reset, hear, later, at_once = r(8, 0, 0, 0), r(14), r(10, 0), r(10, 1)
    start = gpadl(0, 1, 6, 2) + open_(0, 0, 1, 3) + hear
    packet = r(15, 0, 8, 6, 0, 2, 0, 0x80, 0, 1)
    yield "life", start + packet + r(17, 0, 0) + r(18, 0, 4) + close(0, 0) + free(0, 1) + hear
    yield "free_before_close", start + free(0, 1) + close(0, 0) + hear
    yield "late", later + start + close(0, 0) + free(0, 1) + reset + hear + r(11, 0) + r(12, 0) + at_once + hear
    yield "reset", start + reset + gpadl(0, 2, 6, 2) + hear + start
    yield "refused", open_(0, 0, 9, 1) + gpadl(0, 1, 6, 2) * 2 + open_(0, 0, 1, 9) + gpadl(0, 3, 6, 47) + hear
    yield "largest", r(0, 0, 0, 4, 0xFF, 1) + hear
    yield "too_many", b"".join(gpadl(0, i, 2, 1) for i in range(20)) + hear
    yield "channels", b"".join(gpadl(i % 3, i, 4, i) + open_(i % 3, i // 3, i, 2) + hear for i in range(6))
    yield "other_message", start + r(9, 8, 0, 32, 0, 0, 0, 8, 0, 0, 0) + hear
    yield "malformed", start + r(9, 8, 1, 66, 0, 0, 0, 8, 0, 0, 0) + hear
    yield "worker_gone", start + r(9, 8, 0xF0) + hear
    yield "worker_busy", start + r(13, 1) + close(0, 0) + hear
    yield "torn_index", start + r(16, 0, 0x00, 0xFF, 0xFF, 0, 0) + r(17, 0, 0)
    yield "race", start + packet + r(20, 0, 0, 0x30, 0, 0xFF, 0xFF) + r(17, 0, 0)


def ic_seeds():
    open_, close, take, answer, run = r(0, 0), r(1), r(2), r(4, 0, 0), r(16)
    loyal = r(14, 0, 0)
    yield "loyal", open_ + loyal + r(9, 200) * 8 + loyal * 3
    yield "shutdown", open_ + loyal + r(11, 1) + run + take + answer + run
    yield "reopen", open_ + loyal + close + open_ + loyal
    yield "silent", open_ + run + r(10) * 3 + take + r(10) + run
    yield "late", open_ + run + take + r(9, 200) * 12 + run + answer * 2 + run
    yield "wrong", open_ + run + take + r(7, 0, 0, 28, 0, 9) + run
    yield "raw", open_ + r(8, 0, 6, 1, 2, 3) + run
    yield "none", open_ + run + take + r(7, 0, 0, 28, 0, 0, 30, 0, 0) + run


# In struct netvsp_state: what the process does with the packet that it has, and that packet.
JOURNAL_STAGE, JOURNAL_PACKET = 3664, 3748


def netvsp_seeds():
    open_, negotiate, step, takes = r(0, 0), r(1), r(19), r(8, 15)
    start = open_ + negotiate

    def send(section, length):
        return r(3, section, *struct.pack("<H", length))

    def arrive(length, kind):
        return r(5, 0, *struct.pack("<H", length), kind)

    yield "traffic", start + send(0, 60) + send(1, 500) + step + r(17) + arrive(60, 1) + arrive(1514, 0xFC) + takes
    yield "killed", start + send(0, 60) + r(12, 0) + open_ + step + arrive(60, 0) + takes
    yield "spoilt", start + r(12, 1, 20, 0, 0xFF) + open_ + negotiate
    yield "closed", start + arrive(60, 0) + r(10, 0x00) + r(10, 0x11) + open_ + negotiate
    yield "reset", start + r(10, 0x20) + open_ + negotiate
    yield "link", start + r(10, 0x30) + takes + r(10, 0x31) + takes
    yield "gone", start + r(16, 7) + step * 2 + send(0, 60) + step * 2
    yield "gone_with_frames", start + r(16, 0x87, 60, 0, 0xFC) + step * 3
    yield "frames_too_long", start + arrive(2000, 0) + arrive(13, 0)
    for arg in (0x60, 0x61, 0x62, 0x63, 0x6C, 0x6D, 0x51, 0x52, 0x70):
        yield f"word_{arg:x}", start + r(10, arg) + send(0, 60) + step * 2 + r(17)
    yield "second_channel", start + r(0, 0x0E) + r(0, 0x70) + step * 4 + r(12, 0) + r(0, 0) + step * 4
    yield "channel_of_a_dead_unit", r(0, 0x80) + step * 3 + negotiate + step
    yield "second_unit", r(0, 0x70) + step * 4 + r(0, 0) + step * 4 + r(10, 0x10) + step
    yield "second_sub", r(0, 0) + step * 4 + r(0, 0x0E) + step * 4
    yield "waits", start + send(0, 60) + r(19, 1) + r(19, 2) + arrive(60, 1) + r(19, 1) + takes
    yield "nothing_to_resume", start + send(0, 60) + step + r(12, 1, *struct.pack("<H", JOURNAL_PACKET + 3), 0xFF) + open_ + r(
        12, 1, *struct.pack("<H", JOURNAL_STAGE), 1) + open_ + step
    yield "broken_then_frames", start + r(13, 2, 0xFF, 0xFF, 0xFF, 0x7F) + arrive(60, 0xFC) + step
    yield "asleep", start + arrive(60, 0xFC) * 12 + send(0, 60) + step * 2
    yield "ends_with_nothing", start + r(16, 7) + r(16, fails(0, 1)) + step * 2
    record_, recorded = r(17, 0x81), r(17, 0x80)
    for name, first in (("recorded", record_ + start), ("recorded_late", start + record_), ("recorded_to_nobody", start + recorded), (
            "recorded_twice", record_ + start + record_)):
        yield name, first + send(0, 60) * 3 + step + arrive(60, 1) + takes + r(2, 7, *bytes(12)) * 3 + step + takes
    for length in (0, 12, 20, 0xFFFFFFFF):
        yield f"recorded_control_{length:x}", record_ + start + r(3, 0x20, 24, 0, *struct.pack("<IIII", 4, length, 1, 0x00010106)) + step + takes
    for at in range(64, 1024, 64):
        yield f"full_{at}", start + send(0, 60) * 3 + r(13, 2, *struct.pack("<I", at)) + (r(2, 0, *bytes(12)) + send(0, 60)) * 2 + step * 2
    yield "recorded_full", record_ + start + (send(0, 60) + step + takes) * 28
    for error in range(4):
        for what, then in ((0, arrive(60, 1)), (1, send(0, 60) + step), (2, step)):
            yield f"fails_{error}_{what}", start + r(16, fails(what, error)) + then * 2 + r(17)
    yield "before", negotiate + arrive(60, 0) + step


def fails(what, error, bits=0x10):
    """The byte of sys_fail (fuzz/sys.h) for this call and error; the bits between are the harness's."""
    return next(n for n in range(64) if n & bits == bits and (n & 0xCF) % 3 == what and (n & 0xCF) >> 2 & 3 == error)


def vswitch_seeds():
    def add(port):
        return r(0, port)

    def send(port, length, to, source, tag=0):
        return r(4, port, *struct.pack("<H", length), to, source, tag)

    ports = add(0) + add(1) + add(2)
    step, take = r(10), b"".join(r(8, i) for i in range(6))
    for name, first in (("uplink", r(1)), ("alone", r(0))):
        yield name, first + ports + send(0, 60, 1, 0) + send(1, 60, 0xF0, 1) + send(2, 60, 9, 2) + step * 2 + take
        yield name + "_sizes", first + ports + b"".join(send(0, n, 1, 0, 1) for n in (0, 13, 14, 1518, 1519)) + step + take
    for arg in (0, 1, 2, 4, 12, 0xF0):
        yield f"manager_{arg}", r(0) + ports + r(9, arg) + send(0, 60, 1, 0) + step * 2 + r(9, arg) + step
    yield "unwatchable", r(0) + r(0, 0x78) + r(0, 0x7A) + step + add(1)
    yield "from_uplink", r(1) + ports + send(5, 60, 1, 6) + send(5, 60, 0xF0, 6) + send(5, 60, 1, 2) + step + take
    yield "spoofed", r(1) + ports + send(0, 60, 1, 2) + send(0, 60, 1, 0xF9) + step + take
    for error in range(4):
        for what in range(3):
            yield f"fails_{error}_{what}", r(1) + ports + r(10, 1) + r(10, 2) + r(3, fails(what, error, 0x20)) + send(0, 60, 1, 0) + step * 2 + send(1, 60, 0, 1) + step + send(0, 60, 1, 0) + r(10, 1) + send(1, 60, 0, 1) + r(10, 1) + r(10, 2) + take
    yield "uplink_ends", r(1) + ports + r(3, 0x10) + send(0, 60, 0xF0, 0) + step * 2 + take
    yield "flood", r(0) + ports + r(7, 0, 60, 0, 1, 0, 0) * 20 + step * 3 + take
    yield "dies", r(0) + ports + send(0, 60, 1, 0) + r(3, 1) + r(3, 0) + step * 3 + add(0) + r(2, 2) + step
    yield "replaced", r(0) + ports + add(1) + r(1, 3, 1) + send(1, 60, 0, 1) + step + take


def ipc_seeds():
    def push(fds, size, kind=0, body=b"", how=0):
        return record(bytes([how, fds]) + struct.pack("<HB", size, kind) + body)

    take = r(7, 0)
    for kind in range(1, 40):
        yield f"kind_{kind}", b"".join(push(fds, size, kind) + take for size in (8, 12, 16, 24) for fds in (0, 1))
    yield "descriptors", b"".join(push(n, 8, 1) + r(7, 1) for n in (1, 2, 31, *range(0x20, 0x40, 3), 0x2F, 0x30, 0x31))
    yield "taken", b"".join(push(1, 16, kind) + r(7, 1) + push(1, 16, kind) + r(7, 3) for kind in range(1, 40, 3))
    yield "too_long", push(0, 0xFFFF, 1) + take + push(1, 0xFFFF, 1) + take + push(0x40, 0xFFFF, 1) + take + push(0x40, 0x2100, 1) + take + b"".join(push(0, n, 3) + take for n in range(0, 40000, 3001))
    yield "short", b"".join(push(0, n, 1) + take for n in range(9))
    yield "raw", push(0x80, 8, 0, b"\xff" * 8) + take
    yield "empty", r(2, 0) + take + r(2, 1) + take + r(2, 3) + take + take
    yield "names", r(3, 0) + push(0, 8, 1) + take + push(1, 8, 1) + take + r(2, 1) + take
    yield "sends", b"".join(r(4, n) for n in (0, 1, 5, 0x40, 0x41, 0x80, 0x3D, 0x3E, 0x3F, 0x7E, 0x7F)) + r(4, 0x80, 2, 0) + r(4, 0x80, 0xFF, 0xFF)
    yield "gone", r(4, 0) + r(6, 7) + r(4, 0) + take
    for error in range(5):
        yield f"fails_{error}", r(5, 5 * 2 + error if error else 0) + push(1, 8, 1) + take * 2 + r(5, error) + r(4, 1) + r(5, error) + r(4, 0x41)


write("chan", chan_seeds())
for kind in ("shutdown", "heartbeat", "timesync"):
    write("ic_" + kind, ic_seeds())
write("netvsp", netvsp_seeds())
write("vswitch", vswitch_seeds())
write("ipc", ipc_seeds())
