#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Seeds of the targets made of the hypervisor's core: hypercall, partition, exit, registers, vlapic. usage: fuzz/seeds/core.py"""
import struct

from records import record, write

LARGE = 0x8000000F
ME = 0xFFFFFFFFFFFFFFFF


def hc(code, body=b"", flags=1, count=1, start=0, var=0, control=None):
    """One call of fuzz/fuzz_hypercall.c. flags 1: the first 8 bytes become a child's number."""
    key = (code & 0xFF) + 0x60 if code >= 0x8E00 else code
    head = bytes([flags | (32 if control else 0), key, count - 1 | start << 3 | var << 5])
    return record(head + (struct.pack("<Q", control) if control else b"") + body.rstrip(b"\0")[:240])


def q(*words):
    return struct.pack("<%dQ" % len(words), *words)


NEW = 9  # flags: the newest partition
CHILD = 17  # flags: child 0 calls, about nothing
BOOL = (0, 1)


def port(number, kind, vp=0, base=1):
    return struct.pack("<QIBBHQIIIIHHIQ", ME, number, 0, 0, 0, 0, kind, 0, 4, vp, base, 1, 0, 0)


def connect(ident, number, kind, port_partition=ME, info=0):
    return struct.pack("<QIB3xQIIII", 0, ident, 0, port_partition, number, 0, kind, 0) + bytes([info]) + bytes(31)


def assoc(name, low, high=0, pad=0):
    return struct.pack("<IIIIQQ", name, pad, 0, 0, low, high)


def registers(vp, vtl=0):
    return struct.pack("<QIB3x", 0, vp, vtl)


def life():
    yield "life", hc(0x40, bytes(56), 0) + hc(0x41, q(0), NEW) * 2 + hc(0x43, q(0), NEW) + hc(0x42, q(0), NEW | 64) * 2 + hc(
        0x43, q(0), NEW | 64
    ) * 6
    yield "unknown", b"".join(hc(c, q(99), 0) for c in (0x41, 0x42, 0x43, 0x44, 0x45)) + hc(0x46, b"", 0)
    yield "create_refused", b"".join(hc(0x40, bytes(8 * i) + q(1) + bytes(48 - 8 * i), 0) for i in range(7)) + hc(
        0x40, bytes(20) + b"\1" + bytes(35), 0
    )
    yield "many", hc(0x40, bytes(56), 0) * 60
    yield "properties", b"".join(
        hc(0x44, struct.pack("<QII", 0, c, r)) for c in (0x30005, 0x80000000, 0x80000001, 0x30001, 7) for r in BOOL
    ) + b"".join(hc(0x45, struct.pack("<QIIQ", 0, c, r, v)) for c in (0x80000000, 0x80000001, 7) for r in BOOL for v in (0, 5, 5000))
    yield "dying", hc(0x42, q(0), 1) + b"".join(
        (
            hc(0x44, struct.pack("<QII", 0, 0x30005, 0)),
            hc(0x4B, struct.pack("<QQIIQ", 0, 512, LARGE, 0, 3)),
            hc(0x4C, struct.pack("<QQII", 0, 0, 0x80000000, 0)),
            hc(0x4E, struct.pack("<QI4xQQQ", 0, 1, 0, 0, 0)),
            hc(0x50, registers(0) + bytes(4)),
            hc(0x51, registers(0) + assoc(0x20000, 1)),
            hc(0x4D, struct.pack("<QIIQ", 0, 3, 0x11, 0x100010)),
            hc(0x94, struct.pack("<QQQIB3x", 0, 0, 0, 33, 0)),
            hc(0x95, port(3, 2)),
            hc(0x96, connect(1, 3, 2)),
            hc(0xC0, struct.pack("<QIBBH", 0, 0, 0, 2, 5)),
            hc(0xC1, struct.pack("<QI4xI", 0, 0, 2) + struct.pack("<IBB2xQ", 1, 8, 0, 0) + bytes(244)),
            hc(0xE1, struct.pack("<QIHBBQII", 0, 0, 1, 0, 0, 0x700, 5, 0)),
            hc(0x8E10, q(0, 0)),
            hc(0x8E11, q(0, 0, 0, 0, 0)),
            hc(0x8E12, q(0)),
            hc(0x8E13, struct.pack("<QII", 0, 32, 0) + bytes(64)),
            hc(0x8E03, q(0)),
        )
    )


def memory():
    one = hc(0x40, bytes(56), 0)
    m = lambda base, flags=LARGE, pad=0, sources=(2,), f=NEW, n=1, start=0: hc(
        0x4B, struct.pack("<QQII", 0, base, flags, pad) + q(*sources), f, n, start
    )
    u = lambda base, flags=0x80000000, pad=0, f=NEW, n=1, start=0: hc(0x4C, struct.pack("<QQII", 0, base, flags, pad), f, n, start)
    yield "map_unmap", one + m(0, sources=(2, 3, 4, 5), n=4) + m(0, sources=(2, 3, 4, 5), n=4, start=1) + u(0, n=4) + u(
        0, n=4, start=1
    ) * 2 + m(0, sources=(2,)) + u(0)
    yield "map_refused", one + m(1) + m(0, 7) + m(0, 0x8000008F) + m(0, LARGE, 1) + m(1 << 60) + m(0xFFFFFFFE00) + m(
        0, sources=(0,)
    ) + m(512) + m(512) + m(0, f=0, sources=(ME,)) + u(1) + u(0, 0) + u(0, 0x80000000, 1) + u(1 << 60) + u(512 * 9) + u(0, f=0)
    yield "map_own", m(512, f=1, sources=(2, 3), n=2) + m(1024, f=3, sources=(3,)) + u(512, f=1) + u(0, f=1)
    yield "map_odd", one + hc(0x4B, struct.pack("<QQIIQ", 99, 0, LARGE, 0, 0x2801), 0) + hc(
        0x4B, struct.pack("<QQIIQ", 3, 512, LARGE, 0, 0x2A01), 0
    ) + hc(0x4B, struct.pack("<QQIIQ", 3, 512, LARGE, 0, 1 << 53), 0) + hc(0x4B, struct.pack("<QQIIQ", 3, 512, LARGE, 0, 512), 0)
    for left in range(1, 8):
        eat = record(bytes([0, 0xFF, left]))
        back = record(bytes([0, 0xFF, 0]))
        vp = hc(0x4E, struct.pack("<QI4xQQQ", 0, 2, 0, 0, 0), 1)
        yield "full_%d" % left, one + eat + m(0) + m(1 << 20) + m(1 << 30) + vp + hc(0x95, port(5, 1)) + hc(
            0x40, bytes(56), 0
        ) * 3 + back + m(0, sources=(3,))
    vp = lambda n, pad=0, flags=0: hc(0x4E, struct.pack("<QIB3xQQQ", 0, n, pad, 0, 0, flags), NEW)
    yield "vps", one + b"".join(vp(i) for i in range(9)) + vp(0) + vp(3, 1) + vp(3, 0, 1) + hc(0x8E11, q(0, 0, 0, 0, 0), NEW) + vp(8)
    yield "vps_order", one + vp(1) + vp(0) + vp(0) + vp(99)


def processors():
    names = [0, 1, 0x20000, 0x2000F, 0x20010, 0x20011, 0x40000, 0x40001, 0x40002, 0x40003, 0x40004] + [
        *range(0x60000, 0x60008),
        0x70000,
        0x70001,
        0x80001,
        0x80003,
        0x80004,
        0x90002,
        0x90003,
        0x90010,
        7,
    ]
    for i in range(0, len(names), 8):
        part = names[i : i + 8]
        yield "get_%d" % i, hc(0x50, registers(0) + struct.pack("<%dI" % len(part), *part), count=len(part)) + b"".join(
            hc(0x51, registers(0) + assoc(n, 5)) + hc(0x50, registers(0) + struct.pack("<I", n)) for n in part
        )
    run = hc(0x51, registers(0) + assoc(0, 0), 65)
    yield "registers_refused", hc(0x50, registers(0, 1) + bytes(4)) + hc(0x51, registers(0, 1) + assoc(0, 0)) + hc(
        0x50, registers(9) + bytes(4)
    ) + hc(0x50, registers(7) + bytes(4)) + hc(0x51, registers(0) + assoc(0, 1)) + hc(
        0x51, registers(0) + assoc(0x20000, 1, 0, 1)
    ) + hc(0x51, registers(0) + assoc(0x80001, 0x1000)) + run + hc(0x50, registers(0) + bytes(4)) + hc(
        0x51, registers(0) + assoc(0x20000, 1)
    ) + run
    yield "registers_created", hc(0x40, bytes(56), 0) + hc(0x4E, struct.pack("<QI4xQQQ", 0, 0, 0, 0, 0), NEW) + hc(
        0x51, registers(0) + assoc(0, 0), NEW
    )
    two = registers(0) + assoc(0x20000, 1) + assoc(7, 1)
    yield "list_refused_in_the_middle", hc(0x51, two, count=2) + hc(0x50, registers(0) + struct.pack("<III", 0x20000, 7, 0), count=3)
    page = lambda vp, kind=1, pfn=0x700, flag=5, more=0, vtl=0: hc(0xE1, struct.pack("<QIHBBQII", 0, vp, kind, vtl, 0, pfn, flag, more))
    yield "pages", page(0) * 2 + page(1, vtl=1) + page(9) + page(0, 2) + page(0, pfn=0) + page(0, pfn=1 << 50) + page(
        0, pfn=0x2800
    ) + page(0, flag=4096) + page(0, more=1)
    irq = lambda dest, vector, control=0, vtl=0, f=1: hc(0x94, struct.pack("<QQQIB3x", 0, control, dest, vector, vtl), f)
    yield "interrupts", irq(0, 33, f=65) + irq(0, 15) + irq(0, 256) + irq(0, 33, 1) + irq(0, 33, 0, 1) + irq(8, 33) + irq(7, 33) + irq(
        0, 33, f=0
    )
    trap = lambda access, kind, p, f=1: hc(0x4D, struct.pack("<QIIQ", 0, access, kind, p), f)
    yield "intercepts", trap(3, 0x11, 0x100010) + trap(3, 0x11, 0x100010) + trap(0x103, 0x11, 0x110010) + trap(
        0x203, 0x11, 0x5500100010
    ) + trap(1, 0x11, 0) + trap(3, 1, 0) + trap(3, 0x11, 0x10) + trap(3, 0x11, 1 << 41) + trap(3, 0x11, 0x5500100010) + trap(
        0x203, 0x11, 0x110010
    ) + trap(3, 0x11, 0, 0)
    on, off, told = trap(4, 0x8000, 0), trap(0, 0x8000, 0), page(0)
    calls = lambda f: hc(2, q(0, 0, 1), f) + hc(0x5C, struct.pack("<IIII", 1, 0, 1, 16) + bytes(range(200)), f) + hc(0x99, b"", f) + hc(
        0x5D, struct.pack("<IHH", 5, 0, 0), f + 4
    )
    yield "traced", on + calls(CHILD - 1) + told + calls(CHILD - 1) + off + calls(CHILD - 1) + trap(1, 0x8000, 0) + trap(4, 0x8000, 1)
    yield "traced_odd", told + on + record(bytes([CHILD - 1 + 128, 2, 0]) + q(0x2000000, 0)) + hc(0x5C, b"", CHILD - 1, control=1 << 60) + hc(
        0x4D, b"", CHILD - 1
    )
    yield "intercepts_full", b"".join(trap(3, 0x11, i | i << 16) for i in range(60))


def synic():
    ports = hc(0x95, port(1, 1)) + hc(0x95, port(2, 2)) + hc(0x96, connect(11, 1, 1)) + hc(0x96, connect(12, 2, 2))
    post = lambda c, kind=1, size=16, r=0, f=CHILD - 1: hc(0x5C, struct.pack("<IIII", c, r, kind, size) + bytes(range(16)), f)
    signal = lambda c, flag=0, r=0, f=CHILD + 3: hc(0x5D, struct.pack("<IHH", c, flag, r), f)
    take = lambda n, r=0: hc(0x8E02, struct.pack("<II", n, r), 0)
    yield "ports", ports * 2 + hc(0x95, port(1, 1)) + hc(0x95, port(0, 1)) + hc(0x95, port(1024, 1)) + hc(0x95, port(5, 3)) + hc(
        0x95, port(6, 2, 99)
    ) + hc(0x95, port(7, 2, 3)) + hc(0x95, port(8, 2), 0)
    yield "messages", ports + post(11) * 3 + take(1) * 4 + take(2) + take(9) + take(1, 1) + post(12) + post(13) + post(0) + post(
        11, 0
    ) + post(11, 0x80000001) + post(11, 1, 241) + post(11, 1, 8, 1)
    yield "messages_full", ports + post(11) * 40 + take(1) * 3 + post(11)
    yield "signals", ports + signal(12) * 2 + signal(11) + signal(12, 1) + signal(12, 0, 1) + signal(99) + hc(
        0x5D, struct.pack("<IHH", 12, 0, 0), 0
    )
    cut = lambda c, pad=0, f=1: hc(0x5B, struct.pack("<QII", 0, c, pad), f)
    drop = lambda n, pad=0, who=ME: hc(0x58, struct.pack("<QII", who, n, pad), 0)
    yield "disconnect", ports + cut(11) * 2 + cut(12, 1) + cut(0) + cut(12, f=0) + drop(1) * 2 + drop(2, 1) + drop(5000) + drop(
        2, 0, 7
    ) + drop(2, 0, 1) + post(11) + signal(12)
    yield "connect_refused", ports + hc(0x96, connect(11, 1, 1)) + hc(0x96, connect(0, 1, 1)) + hc(0x96, connect(13, 0, 1)) + hc(
        0x96, connect(13, 1, 2)
    ) + hc(0x96, connect(13, 1024, 1)) + hc(0x96, connect(13, 1, 1, 7)) + hc(0x96, connect(13, 1, 1, ME, 1)) + hc(
        0x96, connect(13, 1, 1), 0
    ) + hc(0x96, connect(1 << 24, 1, 1))
    yield "connect_full", ports + b"".join(hc(0x96, connect(20 + i, 2, 2)) for i in range(58))
    direct = lambda sint, flag, vp=0, vtl=0: hc(0xC0, struct.pack("<QIBBH", 0, vp, vtl, sint, flag))
    yield "direct", direct(2, 5) + direct(16, 5) + direct(0, 5) + direct(2, 4096) + direct(2, 5, 9) + direct(2, 5, 0, 1)
    message = lambda sint, kind=1, size=8, vp=0, vtl=0: hc(
        0xC1, struct.pack("<QIB3xI", 0, vp, vtl, sint) + struct.pack("<IBB2xQ", kind, size, 0, 0) + bytes(200)
    )
    yield "message_direct", message(2) * 3 + message(16) + message(2, 0) + message(2, 1, 241) + message(2, 1, 8, 9) + message(2, vtl=1)


def attestation():
    seal = lambda flags=0, r=0, f=1: hc(0x8E11, struct.pack("<QIIHHIII", 0, flags, 1, 1, 1, 3, r, 0), f)
    pages = lambda *n, f=1, start=0: hc(0x8E10, q(0, *n), f, len(n), start)
    report = lambda n=32, r=0, f=1: hc(0x8E13, struct.pack("<QII", 0, n, r) + bytes(range(64)), f)
    own = lambda n=32, r=0, f=CHILD - 1: hc(0x8E14, struct.pack("<II", n, r) + bytes(range(64)) + bytes(64), f)
    get = hc(0x8E12, q(0)) + hc(0x8E12, q(99), 0) + hc(0x8E15, b"", 0)
    yield "launch", pages(0) + pages(1, 2, 3) + get + seal() + get + report() * 20
    yield "launch_own", pages(0) + seal(1) + own() * 24
    yield "launch_refused", pages(600) + pages(1 << 60) + pages(1, 600, f=0) + seal(2) + seal(0, 1) + seal(0, 0, 0) + report() + own() + seal() + seal() + pages(
        1
    ) + report(15) + report(65) + report(32, 1) + report(32, 0, 0) + own(15) + own(65) + own(16, 1)
    yield "reports_too_many", seal() + b"".join(own(16 + i) for i in range(12))
    yield "reports_later", seal() + b"".join(own(16 + i, 0, CHILD + 63) for i in range(12))
    yield "reports_between", seal() + (own() + report()) * 12


def lists():
    ex = lambda flags, fmt, banks, sets=(), f=CHILD - 1, code=0x13, n=1: hc(
        code, q(0, flags, fmt, banks, *sets, 0, 0, 0), f, n, 0, len(sets)
    )
    yield "flush", hc(2, q(0, 0, 1), CHILD - 1) + hc(2, q(0, 1, 0), CHILD - 1) + hc(2, q(0, 99, 0), CHILD + 7) + hc(
        3, q(0, 3, 3, 0, 0), CHILD + 7, 2
    ) + hc(2, q(0, 1, 3), 0) + hc(3, q(0, 99, 3, 0), CHILD - 1)
    yield "flush_ex", ex(0, 0, 1, (1,)) + ex(0, 1, 0) + ex(0, 2, 1, (1,)) + ex(99, 0, 1, (1,)) + ex(0, 0, 3, (1,)) + ex(
        0, 0, 1, (3,), CHILD + 7, 0x14, 2
    ) + ex(1, 0, 0) + ex(0, 0, 2, (1,)) + ex(0, 0, 3, (1, 1))
    ipi = lambda vector, set_, r=0, f=CHILD - 1: hc(0x0B, struct.pack("<IIQ", vector, r, set_), f)
    ipix = lambda vector, fmt, banks, sets, r=0: hc(
        0x15, struct.pack("<IIQQ", vector, r, fmt, banks) + q(*sets), CHILD + 7, 1, 0, len(sets)
    )
    yield "ipi", ipi(33, 1) + ipi(15, 1) + ipi(256, 1) + ipi(33, 1, 1) + ipi(33, 0xFF, 0, CHILD + 7 + 64) + ipix(33, 0, 1, (3,)) + ipix(
        33, 1, 0, ()
    ) + ipix(33, 2, 1, (1,)) + ipix(33, 0, 1, (1,), 1) + ipix(3, 0, 1, (1,))
    yield "own", b"".join(hc(c, q(i), 0) for c in (0x8E00, 0x8E01) for i in (0, 1, 5)) + b"".join(
        hc(0x8E03, q(i), 0) for i in (0, 2, 3, 1 << 40)
    )
    yield "control", b"".join(hc(2, q(0, 1, 0), CHILD - 1, control=1 << i) for i in range(60))
    yield "control_root", b"".join(hc(0x46, b"", 0, control=1 << i) for i in range(60))
    yield "fast", hc(0x46, b"", 4) + hc(0x41, q(0), 5) + hc(0x0B, struct.pack("<IIQ", 33, 0, 1), CHILD + 3) + hc(0x4B, b"", 4)
    wrong = lambda code, reps, a, b, f=128: record(bytes([f, code, reps]) + q(a, b))
    yield "wrong", wrong(0x46, 128, 0, 0) + wrong(0x46, 128, 0, 0, 192) + b"".join(
        wrong(c, 0, a, b) for c in (0x40, 0x46, 0x44) for a, b in ((0x600001, 0x601000), (0x600000, 0x601001), (0x600FF8, 0x600FF8), (ME - 7, ME - 7), (0x2000000, 0x600000), (0x600000, 0x2000000))
    )


def refusals():
    """One call for each thing that is refused, about partition 0 where that is refused next."""
    good = dict(who=ME, number=9, vtl=0, least=0, pad=0, child=0, kind=1, pad2=0, sint=4, vp=0, base=1, count=1, pad3=0)
    wrong = (dict(who=7), dict(number=0), dict(number=1024), dict(vtl=1), dict(least=1), dict(pad=1), dict(kind=3), dict(pad2=1), dict(sint=3), dict(vp=99), dict(base=4096), dict(count=2), dict(pad3=1))
    yield "port_refused", b"".join(hc(0x95, struct.pack("<QIBBHQIIIIHHI", *(good | w).values()), 0) for w in wrong)
    connection = lambda at, v=1: hc(0x96, (lambda b: b[:at] + bytes([v]) + b[at + 1:])(connect(13, 1, 1)), 0)
    yield "connect_pads", b"".join(connection(at) for at in (12, 13, 14, 15, 28, 36, 40))
    message = struct.pack("<QIB3xI", 0, 0, 0, 2) + struct.pack("<IBB2xQ", 1, 8, 0, 0)
    yield "message_pads", b"".join(hc(0xC1, message[:at] + b"\1" + message[at + 1:], 0) for at in (13, 14, 15)) + record(
        bytes([0, 0xC1, 1]) + message
    ) + hc(0xC1, message, 0)
    irq = struct.pack("<QQQIB3x", 0, 0, 0, 33, 0)
    yield "interrupt_pads", b"".join(hc(0x94, irq[:at] + b"\1" + irq[at + 1:], 0) for at in (29, 30, 31))
    yield "info_refused", hc(0x8E00, struct.pack("<II", 1, 1), 0) + hc(0x8E00, struct.pack("<II", 0, 0), 0)
    yield "vp_far", hc(0x50, registers(1 << 31) + bytes(4)) + hc(0x51, registers(5000) + assoc(0, 0))
    yield "constant_wide", hc(0x4D, struct.pack("<QIIQ", 0, 0x203, 0x11, 0x15500100010), 0)
    yield "report_dying", hc(0x8E11, struct.pack("<QIIHHIII", 0, 0, 1, 1, 1, 3, 0, 0)) + hc(0x42, q(0)) + hc(
        0x8E13, struct.pack("<QII", 0, 32, 0) + bytes(range(64))
    ) * 3
    m = lambda base, source, start=0: hc(0x4B, struct.pack("<QQIIQ", 0, base, LARGE, 0, source) + q(source) * start, 1, 1 + start, start)
    top = 1 << 36
    yield "frame_not_to_write", record(bytes([128, 0x46, 0]) + q(0x600000, 0xB00F8000)) + record(bytes([128, 0x44, 0]) + q(0x600000, 0xB00F8000))
    yield "owners", b"".join(record(bytes([0, 0xFE, slot]) + struct.pack("<H", n)) for slot in (0, 1, 2, 255) for n in (0, 1, 15, 16, 17, 32, 127, 128, 0x8000))
    yield "memory_far", hc(0x40, bytes(56), 0) + m(top, 2) + m(top - 512, 2, 1) + m(512, ME) + m(512, 1 << 63 | 1 << 30) + m(512, 2 | 1 << 32) + hc(
        0x4C, struct.pack("<QQII", 0, top, 0x80000000, 0), NEW
    ) + hc(0x4C, struct.pack("<QQII", 0, top - 512, 0x80000000, 0), NEW, 2, 1)


def hypercalls():
    for part in (life, memory, processors, synic, attestation, lists, refusals):
        yield from part()


# --- fuzz/fuzz_partition.c ---


def a(op, *data):
    return record(bytes([op, *data]))


def step(what, more=0, v=0, high=None):
    return struct.pack("<BBI", what, more, v) + (struct.pack("<I", high) if high is not None else b"")


def run(*steps, cpu=0):
    out, part = b"", []
    for s in (*steps, None):
        if s is None or len(b"".join(part) + s) > 240:
            out += record(bytes([11 | cpu << 4, len(part)]) + b"".join(part)) if part else b""
            part = []
        part.append(s)
    return out


def goes(n=0, vps=1, suspend=0):
    """A child with one unit, VPs and a page for intercepts, which runs."""
    return (
        a(0, n)
        + a(1, n, n)
        + b"".join(a(3, n | i << 2) for i in range(vps))
        + b"".join(a(7, n | i << 2 | 1 << 5, 5 + i, 0) for i in range(vps))
        + a(4, n)
        + a(5, n, suspend)
    )


MSRS = 42  # how many are in msr_of()
MSR = lambda n: 84 + n  # 64 and above: modulo 42


def wr(n, v, high=0):
    return step(5 | 64, MSR(n) if n < 256 else n - 256, v, high)


def apic(reg, v, high=0):
    return step(5 | 64, reg, v, high)


def partitions():
    everywhere = lambda *steps: run(*steps) + run(*steps, cpu=1) + run(*steps, cpu=2)
    yield "run", goes() + everywhere(step(14), step(13), step(13 | 128))
    yield "two", goes(0, 2) + goes(1, 2) + everywhere(step(14)) + a(4, 4) + a(4, 8) + everywhere(step(14)) * 3 + a(4, 8) * 3
    for i in range(0, MSRS, 7):
        part = range(i, min(i + 7, MSRS))
        yield "msr_%d" % i, goes() + b"".join(everywhere(step(8, MSR(n)), wr(n, 0), wr(n, 1), wr(n, 0x5001), step(8, MSR(n))) for n in part)
    yield "msr_identity", goes() + everywhere(wr(0, 1, 1), wr(1, 0x5001), wr(1, 0x5003), wr(1, 0x5001), wr(0, 0), wr(1, 0xFFFFF001, 0xFF))
    yield "hypercall_page", goes() + everywhere(wr(1, 1), wr(0, 1), wr(1, 0xF0000001), wr(1, 0x5001), wr(0, 0), step(8, MSR(1)))
    x2 = wr(28, 0xFEE00C00)
    regs = [step(8, n) for n in range(64)]
    yield "x2apic", goes(0, 3) + b"".join(everywhere(x2, *regs[i : i + 16]) for i in range(0, 64, 16))
    ipis = [apic(0x30, low, high) for low in (0x4521, 0x44521, 0x84521, 0xC4521, 0x4400, 0x4500, 0x4601, 0x4200, 0x4021, 0x4005, 0x0500, 0x8500) for high in (0, 1, 0xFFFFFFFF)]
    yield "ipis", goes(0, 3) + b"".join(everywhere(x2, apic(0x0F, 0x1FF), *ipis[i : i + 12]) for i in range(0, 36, 12))
    start = [apic(0x30, 0x4500, 1), apic(0x30, 0x4601, 1), apic(0x30, 0x4500, 2), apic(0x30, 0x4602, 2)]
    yield "started", goes(0, 3) + everywhere(x2, *start) + everywhere(step(14), step(13 | 128)) * 2 + everywhere(apic(0x30, 0x4400, 1)) + everywhere(step(11, 11), step(14))
    timer = [apic(0x32, 0x20030), apic(0x3E, 3), apic(0x38, 1000), step(8, 0x39), step(14, 255), step(14 | 16)]
    yield "timers", goes() + everywhere(x2, apic(0x0F, 0x1FF), *timer) + a(10 | 0x30, 0, 0, 0, 1) + everywhere(step(14), apic(0x32, 0x40030), wr(29, 5000000), step(8, MSR(29)), apic(0x32, 0x30), apic(0x38, 9)) + a(10 | 0x20, 0, 0, 9) + everywhere(step(14 | 16), apic(0x0B, 0))
    odd = [apic(n, 5) for n in (0x02, 0x03, 0x08, 0x0A, 0x0B, 0x0D, 0x0E, 0x0F, 0x28, 0x2F, 0x31, 0x33, 0x34, 0x35, 0x36, 0x37, 0x39, 0x3E, 0x3F)]
    yield "x2apic_write", goes() + everywhere(x2, *odd) + everywhere(x2, apic(0x3F, 33), apic(0x3F, 3), apic(0x3F, 333), apic(0x28, 0), apic(0x0B, 0), apic(0x37, 0xFF))
    yield "apic_base", goes() + everywhere(wr(28, 0xFEE00000), wr(28, 0xFEE00C00), wr(28, 0xFEE00800), wr(28, 0xFEE00400), wr(28, 0), wr(28, 0xFEE00800, 1))
    fault = lambda insn, v: step(2, insn, v)
    for n in range(16):
        fs = [fault(n, 9 | 2 * w | reg << 20) for w in BOOL for reg in (0x20, 0x80, 0xB0, 0xD0, 0xE0, 0x300, 0x310, 0x380, 0x390, 0x3E0, 0x21)]
        yield "device_%d" % n, goes(0, 2) + everywhere(*fs) + everywhere(fault(n, 8), fault(n, 12), fault(n, 10))
    yield "faults", goes() + everywhere(fault(9, 0x68)) + a(5, 0, 1) + everywhere(fault(9, 0x78)) + a(5, 0, 1) + everywhere(fault(1, 4))
    for name, mode in (("64", 0x00), ("legacy", 0x12), ("pae", 0x32), ("real", 0x03), ("ring3", 0x0C), ("long", 0x20), ("long_paged", 0x30)):
        yield "mode_" + name, goes() + everywhere(step(12, mode, 0x2000), fault(1, 13), fault(4, 12), step(11, 2, 0xA20F00), step(11, 7, 0xF400), step(11, 3, 0x320F00), step(11, 4, 0x300F00), step(11, 6, 0xD9010F00), step(9, 0, 1))
    inputs = [step(0 | w << 5 | i << 6, p, 0x11223344 | s << 29) for w in range(3) for i in BOOL for p in (0x10, 0x18, 0x80) for s in (0, 3)]
    posted, const = a(7, 0, 0x10, 1), a(7, 0, 0x18, 2)
    yield "ports", goes() + a(7, 0, 0x80, 0) + posted + const + everywhere(*inputs) + a(5, 0, 1) + everywhere(*inputs[6:]) + a(5, 0, 1) + everywhere(*inputs[20:])
    full = [step(0, 0x10, i) for i in range(60)]
    call = (step(9, 0, 0x21), wr(2, 5), wr(11, 1), step(8, MSR(2)), wr(41, 0))
    yield "traced", goes(0, 2) + a(7, 0, 0, 4) + (everywhere(*call) + a(5, 0, 1) + a(5, 4, 1)) * 6 + a(7, 0, 0, 5) + a(5, 0, 1) + everywhere(*call)
    yield "posted", goes() + posted + everywhere(*full[:40]) * 4 + a(10 | 0x20, 0, 0, 99) + everywhere(step(14)) * 2 + a(5, 0, 1) + everywhere(*full[:9])
    yield "posted_late", goes() + posted + everywhere(full[0]) + a(10 | 0x20, 0, 0, 99) + everywhere(step(14)) * 3
    yield "wrap", goes() + everywhere(step(0 | 64, 0xFF, 1 << 31), step(0, 0xFF, 1 << 31), step(32, 0xFF, 1 << 31), step(64 | 32, 0xFF, 1 << 31))
    leaves = [step(4, n, s) for n in (*range(0, 0x23), *range(64, 80), *range(190, 200)) for s in (0, 1)]
    for i in range(0, len(leaves), 42):
        yield "cpuid_%d" % i, goes(0, 2) + everywhere(step(12, 0x40, 0), *leaves[i : i + 42])
    kinds = [step(11, n, v) for n in range(17) for v in (1, 2, 3)]
    for i, k in enumerate(kinds):
        yield "exit_%d" % i, goes(0, 1 + i % 2) + everywhere(k, step(14), step(14 | 16)) + a(5, 0, 1) + everywhere(step(14))
    calls = [step(9, n | m, v) for n in range(10) for m in (0, 0x20 // 10 * 10) for v in (0, 0x01010121, 0x40010121, 0x03010000, 0x00FF0021)]
    for i in range(0, len(calls), 40):
        yield "calls_%d" % i, goes(0, 2) + everywhere(*calls[i : i + 40])
    tokens = [step(9, 8, 32)] * 40
    yield "token", goes() + everywhere(*tokens) * 2
    yield "launch", a(0, 0) + a(1, 0, 0) + a(6, 0x1C, 3) + a(6, 0x7C, 1) + a(6, 0x0C, 200) + a(6, 0, 1) + a(6, 8, 0) + a(6, 4, 64) + a(6, 0x0C, 3) + a(6, 0, 0)
    sim, sief, sint, on = wr(14, 0x6001), wr(13, 0x7001), wr(16, 0x33), wr(11, 1)
    yield "messages", goes() + everywhere(sim, sief, sint, on) + a(9, 0) * 9 + a(8, 0x60, 2) * 3 + everywhere(step(14 | 16), wr(15, 0), apic(0x0B, 0))
    yield "synthetic_timer", goes() + everywhere(sim, sief, sint, on, wr(18, 0x10003), wr(19, 5000)) + a(10 | 0x20, 0, 0, 9) + everywhere(step(14 | 16), wr(18, 0x1C03), wr(19, 5000)) + a(10 | 0x20, 0, 0, 9) + everywhere(step(14 | 16), wr(15, 0))
    yield "killed_busy", goes(0, 3) + everywhere(x2, *start) + everywhere(sim, sief, sint, on, wr(18, 0x10003), wr(19, 5000)) + a(9, 0) + posted + everywhere(full[0], step(0, 0x80)) + a(4, 4) + a(4, 8) + everywhere(step(14)) + a(4, 8) * 4
    yield "idle", goes(0, 2) + everywhere(step(8, MSR(22)), step(14)) + a(7, 2 << 5, 33) + everywhere(step(14 | 16)) * 2
    yield "unmap", goes() + a(2, 0) + a(0, 1) + a(1, 1, 3) + a(2, 1) + a(2, 1) + a(1, 0xC1, 3, 4, 5, 6) + a(2, 0xC1) + a(5, 0, 0)
    for left in range(1, 12):
        yield "full_%d" % left, goes() + a(0, 1) + a(0x8A, 0, left) + a(1, 5, 4) + a(3, 1) + a(3, 5) + a(7, 0x80, 0x13) + a(0, 2) + everywhere(sim, sief, sint, on) + a(9, 0) * 4 + a(0x8A, 0, 0)
    yield "share", goes(0, 4) + goes(1, 4) + goes(2, 4) + (everywhere(x2, *start, step(14, 255), step(14, 255)) + a(10 | 0x20, 0, 0, 9)) * 6
    yield "crash", goes() + everywhere(*(wr(n, 7) for n in (23, 24)), wr(25, 0, 0xC0000000), step(8, MSR(25)), step(8, MSR(23)))
    yield "reference_page_nowhere", goes() + everywhere(wr(4, 0xFFFFF001, 0xFF), step(8, MSR(4)))
    for n in (7, 8, 9, 15, 19, 21):
        yield f"traced_not_{n}", goes(0, 1) + everywhere(wr(0, 1, 1), wr(11, 1)) + a(7, 0, 0, 4) + everywhere(wr(n, 0), step(8, MSR(2)), wr(n, 0)) + a(9, 0)
    yield "nmi_root", goes() + everywhere(step(64), step(32), step(0)) * 3


# --- fuzz/fuzz_exit.c ---

RAX, RCX, RDX = 0, 1, 2
CPUID, RDMSR, WRMSR, PORT, HYPERCALL, HLT, MEMORY, INVD = range(2, 10)


def reg(n, v):
    return record(struct.pack("<BBQ", 0, n, v))


def exits(kind, v=2, rest=b"", vp=0):
    return record(bytes([10 | vp << 7, kind, v]) + rest)


def msr(n, v=0):
    return reg(RCX, n) + exits(RDMSR) + reg(RAX, v & 0xFFFFFFFF) + reg(RDX, v >> 32) + exits(WRMSR)


def out(n, v, size=1):
    return reg(RAX, v) + exits(PORT, {1: 0, 2: 16, 4: 32}[size], struct.pack("<H", n))


def into(n, size=1):
    return exits(PORT, {1: 0, 2: 16, 4: 32}[size] | 0x40, struct.pack("<H", n))


def access(at, code, write=False):
    body = bytes.fromhex(code).ljust(15, b"\x90")
    return reg(RCX, at) + exits(MEMORY, 0xAF | (16 if write else 0), struct.pack("<Q", at)[:7] + body)


def memory_at(at, data):
    return b"".join(
        record(struct.pack("<BIB", 4, at + i, len(data[i : i + 16]) - 1) + data[i : i + 16]) for i in range(0, len(data), 16)
    )


def control(bits, cr3=0):
    return record(bytes([3, bits]) + struct.pack("<I", cr3 >> 8)[:3])


def runs(kind, v, vp=0):
    return record(bytes([8 | vp << 7, kind, v]))


def device(page, offset, code, v, write=False):
    return record(struct.pack("<BBHBI", 15 | write << 4, page, offset, code, v))


def roots():
    yield "device", b"".join(device(page, offset, code, 0x31, write) for page in range(6) for offset in (0, 0x10) for code, write in ((0, True), (1, False), (7, True)))
    yield "device_codes", b"".join(device(4, 0, code, 0, code % 2 == 0) for code in range(16))
    yield "ports", b"".join(record(struct.pack("<BBHI", 14, size | into << 7, port, 2)) for port in (0x60, 0x80, 0x92, 0xCF9, 0xCFC) for size in range(3) for into in BOOL)
    named = (0x10, 0x1B, 0x48, 0x49, 0x1D9, 0x6E0, 0xC0000080, 0xC0010015, 0x830, 0x40000000, 0xDEAD, 0x8B)
    for n in named:
        yield "msr_%x" % n, b"".join(msr(n, v) for v in (0, 1, 7, 0xFEE00800, 0xD01, 1 << 40))
    yield "cpuid", b"".join(reg(RAX, n) + exits(CPUID) for n in (0x40000000, 0x40000100, 0x40000101, 0x80000007, 0x80000008, 1, 7, 0xA, 0xB))
    yield "kbc_reset", out(0x64, 0xD1) + out(0x60, 0xFE)
    yield "kbc_a20", out(0x64, 0xD1) + out(0x60, 1) + out(0x64, 0xDD) + out(0x64, 0xD1) + out(0x60, 3) + into(0x60) + into(0x64)
    yield "kbc_pulse", out(0x64, 0xFE)
    yield "port_92", out(0x92, 0) + out(0x92, 2) + into(0x92) + out(0x92, 3)
    yield "port_cf9", out(0xCF9, 2) + out(0xCF9, 6)
    yield "sleep", out(0x604, 0x2400, 2) + into(0x600, 2) + into(0x601) + out(0x601, 0x80) + out(0x604, 0x3400, 2) + out(0x2605, 0x38) + into(0x2604, 2)
    address = lambda device, offset: out(0xCF8, 0x80000000 | device << 8 | offset, 4)
    yield "pci", b"".join(address(d, r) + out(0xCFC, 5, 4) + into(0xCFC, 4) + out(0xCFD, 5) for d in (0, 0xF8, 0xB, 0x10) for r in (0, 0x40, 0x80)) + into(
        0xCF8, 4
    ) + out(0xCF8, 0, 4) + into(0xCFC, 4)
    yield "refused", out(0x20, 1) + into(0x22) + out(0x63, 5, 2) + into(0xCFF, 4) + exits(PORT, 0x81, b"\x60\0") + into(0xFFFF, 4)
    codes = ("8901", "8b01", "c70134120000", "8a21", "8a01", "0fb701", "0fbe01", "810934120000", "2301", "488b01", "668b01", "8821", "812134120000", "813134120000", "830101", "480fbe01", "f4", "a5")
    ioapic, apic_page, ecam = 0xFEC00000, 0xFEE00000, 0xB00F8000
    for i, code in enumerate(codes):
        yield "device_%d" % i, b"".join(
            access(page + r, code, w) for page in (ioapic, apic_page, ecam, 0xB0000000) for r in (0, 0x10, 0x20, 0x40, 0x80, 0xFFD) for w in (False, True)
        )
    select = lambda n: reg(RAX, n) + access(ioapic, "8901", True)
    put = lambda v: reg(RAX, v) + access(ioapic + 16, "8901", True)
    yield "ioapic", b"".join(select(n) + put(v) + access(ioapic + 16, "8b01") for n, v in ((0x10, 0x31), (0x10, 0x10031), (0x11, 0), (0x12, 0x731), (0x14, 0x10), (0x16, 0x1F5), (0x18, 0x431), (0x18, 0x231), (0, 0), (1, 1))) + access(
        ioapic, "8b01"
    ) + reg(RAX, 0x31) + access(ioapic + 0x40, "8901", True) + access(ioapic + 8, "8b01")
    table = lambda *entries: b"".join(struct.pack("<I", e) for e in entries)
    code32 = memory_at(0x400000, b"\xf4") * 2
    legacy = lambda v, tables: tables + control(v, 0x2000) + exits(HLT, 0) + exits(INVD, 0)
    yield "fetch_large", legacy(0x11, memory_at(0x2000, table(0x83, 0x83)) + code32)
    yield "fetch_small", legacy(0x11, memory_at(0x2000, table(0x3003, 0x3003)) + memory_at(0x3000, table(0x400003)) + memory_at(0x400000, b"\x0f\x08") + memory_at(0x400000, b"\xf4"))
    yield "fetch_none", legacy(0x11, memory_at(0x2000, table(0, 0x3003)) + code32) + legacy(0x11, memory_at(0x2000, table(0x3003, 0x3003)) + memory_at(0x3000, table(0)) + code32)
    wide = lambda *entries: b"".join(struct.pack("<Q", e) for e in entries)
    yield "fetch_pae", legacy(0x31, memory_at(0x2000, wide(0x3001)) + memory_at(0x3000, wide(0, 0, 0x4003, 0x83)) + memory_at(0x4000, wide(0x400003)) + code32)
    yield "fetch_long", legacy(0x32, memory_at(0x2000, wide(0x3003)) + memory_at(0x3000, wide(0x4003, 0x83)) + memory_at(0x4000, wide(0, 0, 0x400083)) + code32)
    insns = ("0fa2", "0f32", "0f30", "0f01d9", "0f01c1", "f4", "0f08", "90", "f30fa2")
    yield "lengths", b"".join(
        control(2) + memory_at(0x5000, bytes.fromhex(c).ljust(16, b"\x90")) + memory_at(0x5000, bytes.fromhex(c)[:1]) + exits(k, 0) * 2
        for c in insns
        for k in (CPUID, RDMSR, WRMSR, HYPERCALL, HLT, INVD)
    )
    boot = reg(RCX, 0x1B) + reg(RAX, 0xFEE00D00) + reg(RDX, 0) + exits(WRMSR)
    init = reg(RCX, 0x830) + reg(RAX, 0x4500) + reg(RDX, 0) + exits(WRMSR, 2, b"", 0)
    yield "init_boot", boot + init + runs(0, 0)
    kicks = b"".join(reg(RCX, 0x830) + reg(RAX, low) + reg(RDX, 1) + exits(WRMSR) for low in (0x4500, 0x4608, 0x4400, 0x4035))
    yield "start_other", boot + kicks + runs(0, 0, 1) * 3 + runs(5, 1, 1) * 2 + kicks + runs(0, 0, 1) * 2
    yield "nmi", boot + b"".join(runs(k, 1, c) for c in BOOL for k in (1, 11, 12, 13, 14, 15, 16, 7)) * 2


def vlapics():
    """Of the target vlapic: an action with its VP (0 to 2) and operands."""
    act = lambda op, vp=0, rest=b"": record(bytes([op | vp << 5]) + rest)
    mmio = lambda offset, v, vp=0: act(4, vp, struct.pack("<HI", offset, v))
    write_msr = lambda n, v, vp=0: act(0, vp, struct.pack("<BI", n, v))
    read_msr = lambda n, vp=0: act(3, vp, bytes([n]))
    base = lambda bits, vp=0: act(11, vp, struct.pack("<H", bits))
    passes = lambda n: act(9 | 0x10, 0, struct.pack("<H", n))
    on = b"".join(base(0, vp) + base(0x800, vp) + act(15, vp) for vp in range(3))  # they begin as x2APICs
    cluster = b"".join(mmio(0xE0, 0x0FFFFFFF, vp) + mmio(0xD0, 0x12000000, vp) for vp in range(3))
    send = lambda to: mmio(0x310, to << 24) + mmio(0x300, 0x840)
    yield "clusters", on + cluster + send(0x12) + send(0x22) + send(0x11) + send(0x13)
    yield "mode_refused", on + b"".join(read_msr(n) + write_msr(n, 0x20) for n in (2, 3, 8, 0xA, 0xF, 0x32))
    yield "x2_only_reads", act(15) + b"".join(read_msr(n) + write_msr(n, 5) for n in (0xD, 0xE, 0x31, 0x30))
    yield "base_refused", act(11, 0, b"\0\x10") + act(11, 0, b"\0\x18") + act(11, 0, b"\1\x08") + base(0x400)
    once = mmio(0x320, 0x40) + mmio(0x3E0, 0xB) + mmio(0x380, 1000)
    yield "once_read", on + once + mmio(0x390, 0) + passes(2000) + mmio(0x390, 0) + act(10) + mmio(0x390, 0)
    for name, mode in (("once", 0x40), ("periodic", 0x20040)):
        set_ = mmio(0x320, mode) + mmio(0x3E0, 0xB) + mmio(0x380, 60000)
        yield "early_" + name, on + act(10 | 16) + set_ + act(10 | 16) + passes(50000) + act(10 | 16) + passes(20000) + act(10 | 16) * 2
    yield "early_deadline", on + mmio(0x320, 0x40040) + act(10 | 16) + act(12 | 16, 0, b"\x10\x27\0") + act(10 | 16) + passes(20000) + act(10 | 16) * 2
    post = lambda v: act(13, 0, bytes([v - 16]))
    yield "priority", on + mmio(0x80, 0x40) + post(0x41) + mmio(0x80, 0x50) + post(0x53) + post(0x63) + act(7) + post(0x61) + mmio(0x80, 0x70) + act(8)


def tables():
    """Of the target npt."""
    change = lambda op, first, n, to=0: record(bytes([op]) + struct.pack("<HH", first, n) + struct.pack("<I", to)[:3])
    own = lambda op, base, size: record(bytes([7 | op]) + struct.pack("<HH", base, size))
    for frames in range(6):  # more than three
        head = record(bytes([2 | frames << 2]))
        yield f"split_{frames}", head + change(0x40, 0, 512, 512) + change(0, 5, 1, 9) + change(4, 7, 1) + change(0x50, 0, 512, 512) + change(4 | 16, 3, 2)
        yield f"unsplit_{frames}", head + change(0x40, 0, 512, 512) + change(4, 7, 1) + change(4, 0, 512)
    yield "owners_many", record(b"\0") + b"".join(own(0, 4 * i, 256) for i in range(132))
    yield "owners_split", record(b"\0") + own(0, 0, 65535) + b"".join(own(0x20, 2 * i + 1, 16) for i in range(63)) + own(0, 300, 256) + own(
        0x20, 200, 16) + own(0x20, 128, 16) + own(0x20, 128, 0)


def register_values():
    """Of the target registers: kind, name, value."""
    def one(kind, low, high=0, name=0):
        return struct.pack("<BIQQ", kind, name, low, high)

    for kind in range(17):
        yield f"register_{kind}", one(kind, 0) + one(kind, (1 << 64) - 1, (1 << 64) - 1) + one(kind, 0x123456789ABCDEF0, 0xA09B00100FFFFFFF)
    yield "efer", b"".join(one(16, 1 << n) for n in range(64))[:21 * 40]
    yield "efer_rest", b"".join(one(16, 1 << n) for n in range(40, 64))
    yield "unknown", b"".join(one(0xC0, 1, 1, name) for name in (0, 0x20000, 0x40000, 0x40005, 0x60000, 0x60008, 0x70002, 0x80001, 0x90000, 0xFFFFFFFF))


if __name__ == "__main__":
    write("exit", roots())
    write("hypercall", hypercalls())
    write("partition", partitions())
    write("registers", register_values())
    write("vlapic", vlapics())
    write("npt", tables())
