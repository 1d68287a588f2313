#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Seeds of the fuzz targets of the network: nvsp, rndis, oid, ethsw. usage: fuzz/seeds/net.py"""
import struct

from records import record, write

MAC = bytes.fromhex("021122334455")


def frame(length, tagged=False):
    head = b"\xff" * 6 + MAC + (b"\x81\x00\x00\x64" if tagged else b"") + b"\x08\x00"
    return head + bytes(i & 0xFF for i in range(length - len(head)))


def ppi(kind, value):
    return struct.pack("<IIII", 16, kind, 12, value)


def packet(data, info=b"", pad=0):
    n = 44 + len(info) + len(data) + pad
    fields = (1, n, 36 + len(info), len(data), 0, 0, 0, 36, len(info), 0, 0)
    return struct.pack("<11I", *fields) + info + data + bytes(pad)


def rndis_seeds():
    one = packet(frame(60))
    cut = struct.pack("<H", 44)
    yield "frame", cut + one
    yield "header_cut", struct.pack("<H", 30) + one
    yield "full", struct.pack("<H", 700) + packet(frame(1514))
    yield "tagged_inline", cut + packet(frame(1518, True))
    yield "vlan", cut + packet(frame(60), ppi(6, 0x641))
    yield "hash_and_vlan", cut + packet(frame(100), ppi(8, 0xDEADBEEF) + ppi(6, 0x10))
    yield "checksum", cut + packet(frame(60), ppi(0, 5))
    yield "three", cut + packet(frame(61), pad=7) + packet(frame(62), pad=6) + packet(frame(63))
    yield "eight", cut + packet(frame(60)) * 8
    yield "seventeen", cut + packet(frame(60)) * 17
    yield "second_broken", cut + one + b"\x01\0\0\0\xff\xff\xff\xff" + one
    yield "too_long", cut + packet(frame(1515))
    yield "too_short", cut + packet(b"\x00" * 13)
    yield "tail", cut + one + b"\x01\0\0\0"

    def behind(info, length=None):
        """The information comes last, and its length is said to be another one."""
        data, length = frame(60), len(info) if length is None else length
        fields = (1, 44 + len(data) + len(info), 36, len(data), 0, 0, 0, 36 + len(data), length, 0, 0)
        return struct.pack("<11I", *fields) + data + info

    for name, info in {"one_left": ppi(6, 1) + b"\x10", "small": struct.pack("<IIII", 8, 6, 12, 1), "none": bytes(16), "far": struct.pack("<IIII", 16, 6, 14, 1)}.items():
        yield f"information_{name}", cut + behind(info)


def control(kind, words, info=b""):
    body = struct.pack("<%dI" % len(words), *words) + info
    return record(struct.pack("<II", kind, 8 + len(body)) + body)


def query(oid, info=b""):
    return control(4, [7, oid, len(info), 20, 0], info)


def set_oid(oid, info):
    return control(5, [8, oid, len(info), 20, 0], info)


def oid_seeds():
    init = control(2, [1, 1, 0, 0x4000])
    caps = struct.pack("<BBH", 0xA7, 3, 156) + bytes(152)
    parameters = struct.pack("<BBHB", 0x80, 3, 28, 1) + bytes(23)
    yield "probe", init + b"".join(
        [
            query(0x00010106),
            query(0x01010101),
            query(0x00020216),
            query(0xFC01020D, caps),
            set_oid(0xFC01020C, parameters),
            query(0x00010114),
            query(0x00010107),
            query(0x00010203, struct.pack("<BBH", 0x88, 2, 18) + bytes(14)),
            set_oid(0x0001010E, b"\x0d\0\0\0"),
            set_oid(0x0001010E, b"\0\0\0\0"),
            control(3, [9]),
        ]
    )
    yield "early", query(0x01010101) + set_oid(0x0001010E, b"\x01\0\0\0") + init
    yield "version", control(2, [1, 2, 0, 0x4000])
    yield "short", b"".join(record(struct.pack("<III", kind, n, 1)[:n]) for kind in (2, 8) for n in (0, 4, 8, 11)) + b"".join(
        record(struct.pack("<III", kind, n, 1) + bytes(40)) for kind in (2, 3, 4, 5, 8) for n in (0, 11, 12, 23, 27)) + b"".join(
        record(struct.pack("<III", kind, n, 1).ljust(n, b"\0")) for kind in (2, 4, 5) for n in (12, 20, 23, 24, 27))
    yield "offload_header", init + query(0xFC01020D, b"\xa6" + caps[1:]) + query(0xFC01020D, b"\xa7\0" + caps[2:]) + query(0xFC01020D, caps[:-1])
    yield "keepalive", init + control(8, [5])
    yield "name", init + set_oid(0x0001021B, struct.pack("<5I", 20, 28, 2, 48, 24) + bytes(52))
    yield "offload_on", init + set_oid(0xFC01020C, struct.pack("<BBHB", 0x80, 3, 28, 4) + bytes(23))
    yield "filters", init + b"".join(set_oid(0x0001010E, struct.pack("<I", 1 << i)) for i in range(32))
    yield "outside", init + control(5, [8, 0x0001010E, 4, 25, 0], b"\x01\0\0\0")



def ethsw_seeds():
    def add(ident, kind):
        return record(bytes([0, ident, kind]))

    def send(source_port, length, dst, src, ethertype=8):
        return record(bytes([2, source_port]) + struct.pack("<H", length) + bytes([dst, src, ethertype]))

    uplink, none = record(b"\x01"), record(b"\x00")
    ports = add(1, 1) + add(2, 2) + add(3, 3)
    yield "unicast", uplink + ports + send(0, 60, 2, 1) + send(1, 60, 1, 2) + send(0, 60, 9, 1)
    yield "broadcast", uplink + ports + send(0, 60, 0xE0, 1) + send(63, 60, 0xE0, 9)
    yield "spoofed", uplink + ports + send(0, 60, 2, 3) + send(63, 60, 2, 1) + send(0, 60, 2, 0xE0)
    yield "sizes", none + ports + b"".join(
        send(0, n, 2, 1, t) for n in (13, 14, 1514, 1515, 1518, 1519) for t in (8, 0x81)
    )
    yield "reserved", uplink + ports + send(0, 60, 0xC0, 1) + send(0, 60, 0xCF, 1) + send(0, 60, 0xD0, 1) + send(0, 60, 0, 1)
    yield "removed", uplink + ports + record(bytes([1, 1])) + send(0, 60, 2, 1) + send(1, 60, 1, 2) + add(9, 2)


JOURNAL, JOURNAL_PACKET = 0x8000, 0x8054  # for the action that spoils a byte: the journal, and the packet in it


def nvsp_seeds():
    negotiate, serve, restart, reopen = (record(bytes([n])) for n in (0, 17, 15, 16))
    take, keep = record(b"\x09\x01"), record(b"\x09\x00")

    def deliver(length, kind=0):
        return record(b"\x07" + struct.pack("<HB", length, kind))

    def send(length, info=0, kind=0, value=0):
        return record(b"\x03" + struct.pack("<HBBB", length, info, kind, value))

    def ask(kind, oid, length=0):
        return record(b"\x05" + bytes([1, oid, length]) + bytes(32) + bytes([kind]))

    yield "session", negotiate + take * 6 + send(60) + serve + take + deliver(60) + keep + record(b"\x0b\x00")
    yield "restart", negotiate + restart + send(200) + deliver(100) + restart + serve + take * 9
    yield "reopen", negotiate + deliver(60) * 3 + reopen + negotiate + deliver(60) + take * 20
    yield "sections", negotiate + take * 6 + (deliver(60) + keep) * 30 + ask(4, 5) * 10 + serve
    yield "asleep", negotiate + (send(60) + deliver(60)) * 60
    yield "control", negotiate + b"".join(ask(k, o) + serve + take * 2 for k in (2, 4, 5, 8) for o in (0, 2, 5, 8))
    yield "vlan", negotiate + send(100, 1, 6, 0x40) + send(100, 1, 0, 1) + serve + take * 9
    yield "messages", b"".join(record(b"\x01" + bytes([t]) + bytes(12) + b"\x01") for t in range(12)) + take * 12
    yield "link", negotiate + record(b"\x0d\x00") + serve + take * 9 + record(b"\x0d\x01") + serve + take
    yield "tamper", negotiate + record(b"\x0c\x01\x00\x03\0\0\0") + serve + deliver(60)
    yield "gpadl", negotiate + take * 8 + serve + record(b"\x0e") + deliver(60) + negotiate
    for version in (0x50000, 0x60000, 0x60001, 0x40000):
        first = record(b"\x01\x00" + struct.pack("<III", version, version, 0) + b"\x01")
        yield f"version_{version:x}", first + serve + restart + take + first + serve + take
    yield "subchannels", negotiate + b"".join(record(b"\x01\x0b" + struct.pack("<III", n, 1, 0) + b"\x01") for n in range(3)) + serve + take * 9
    yield "send_gpadl", negotiate + take * 8 + serve + record(b"\x0e\x01") + send(60) + serve + take
    yield "packet_types", negotiate + b"".join(record(bytes([6, kind, 1, 0, 40, 107, 0, 0, 0])) for kind in range(13)) + serve + take * 9
    for at in (0, 13, 16, 72, 76, 80):  # stage, the answer's length, what is put into the ring
        for value in (1, 2, 0xFF):
            yield f"journal_{at}_{value}", negotiate + send(60) + serve + deliver(60) + record(b"\xf9" + struct.pack("<HB", JOURNAL + at, value)) + serve + take
        yield f"journal_{at}_put", negotiate + record(b"\xf9" + struct.pack("<HB", JOURNAL + 72, 1)) + record(
            b"\xf9" + struct.pack("<HB", JOURNAL + at, 0xFF)) + serve + take
    yield "journal_packet", negotiate + send(60) + serve + b"".join(
        record(b"\xf9" + struct.pack("<HB", *what)) for what in ((JOURNAL_PACKET + 3, 0xFF), (JOURNAL, 1))) + serve
    for name, what in {"early": (2, 0), "ends": (4, 1), "long": (5, 0xFF)}.items():  # offset, length in units of 8 bytes
        yield f"journal_packet_{name}", negotiate + send(60) + serve + b"".join(
            record(b"\xf9" + struct.pack("<HB", *w)) for w in ((JOURNAL_PACKET + what[0], what[1]), (JOURNAL + 4, 0xAA), (JOURNAL, 1))) + serve
    message = lambda kind, *words: record(b"\x01" + bytes([kind]) + struct.pack("<III", *words) + b"\x01")
    yield "buffers_unknown", message(0, 0x60001, 0x60001, 0) + message(3, 99, 7, 0) + serve + message(5, 99, 0, 0) + serve + record(b"\x10") + message(5, 0xE1E12, 0, 0) + message(3, 0xE1E11, 7, 0) + serve + take * 9
    yield "used_beyond", negotiate + take * 9 + record(b"\xf9" + struct.pack("<HB", 1672 + 4, 1)) + negotiate
    yield "returns_odd", negotiate + take * 9 + record(b"\x0b\x03\0") + record(b"\x0b\x03\x02") + serve
    section = lambda n, length, data, channel=0: record(bytes([2, n, channel]) + struct.pack("<HB", length, len(data)) + data)
    yield "section_long", negotiate + section(0, 6144, packet(frame(60))) + section(0, 6145, packet(frame(60))) + serve + take * 9
    rndis = lambda n, length: struct.pack("<IIII", 107, 0, n, length).ljust(40, b"\0")
    direct = lambda head, m: record(bytes([6, 9, 1, len(head) // 8, len(m)]) + head + m)
    far = struct.pack("<IIIIQ", 0, 1, 104, 0, (1 << 52) + 40)
    yield "page_far", negotiate + direct(far, rndis(0xFFFFFFFF, 0)) + serve + take * 9
    yield "ranges_bad", negotiate + send(60) + serve + direct(struct.pack("<IIII", 0, 1, 104, 0), rndis(1, 104)) + serve + take * 9
    yield "parse_short", negotiate + b"".join(record(bytes([6, 6, 1, 0, n]) + struct.pack("<I", 107)[:n]) for n in range(5)) + serve
    many = lambda length, n: record(b"\xfa\0" + struct.pack("<HB", length, n))
    yield "batch_frames", negotiate + section(0, 232, packet(frame(14)) * 4) + serve + many(232, 30) + serve + take * 40
    yield "batch_bytes", negotiate + section(0, 6144, packet(frame(60), pad=6040)[:200]) + serve + many(6144, 40) + serve + take * 50
    odd = lambda how: record(bytes([0xFB, how]))
    for how in (0, 2, 1, 3):
        yield f"odd_page_{how}", negotiate + send(60) + serve + odd(how) + section(0, 5000, packet(frame(60))) + serve + deliver(60) * 3 + serve
    for how in (5, 7):
        yield f"odd_end_{how}", negotiate + take * 9 + odd(how) + section(3, 6144, packet(frame(60), pad=6040)[:200]) + serve
    grown = lambda at: negotiate + record(b"\xf9" + struct.pack("<HB", at, 40)) + section(4, 100, packet(frame(60))) + serve + deliver(60) * 33
    yield "send_sections_grown", grown(44)
    yield "sections_grown", grown(28)
    ranges = struct.pack("<HHB", 0, 44, 40) + struct.pack("<HHB", 100, 60, 41)
    yield "ranges", negotiate + record(b"\x04\x02\x00" + ranges + b"\x2c" + packet(frame(60))[:44]) + serve
    flip = record(bytes([18, 3]) + struct.pack("<I", 40 * 4096 + 100)[:3] + b"\xff" * 8)
    yield "race", negotiate + flip + record(b"\x04\x02\x00" + ranges + b"\x2c" + packet(frame(60))[:44]) + serve
    for first in range(1, 61, 10):
        killed = b"".join(
            record(bytes([0xF8, k - 1])) + send(60) + serve + record(bytes([0xF8, k - 1])) + deliver(60) + take * 2 + ask(4, 5) + serve
            for k in range(first, first + 10)
        )
        yield f"killed_{first}", negotiate + take * 6 + killed
    for first in range(0, 96, 16):
        yield f"spoilt_{first}", negotiate + b"".join(
            record(bytes([0xF9]) + struct.pack("<HB", at, 0xFF)) + serve + negotiate for at in range(first, first + 16))
    yield "killed_early", b"".join(record(bytes([0xF8, k])) + negotiate for k in range(0, 100, 3))
    yield "send_buffer_changes", negotiate + send(200) + record(bytes([19]) + bytes(range(64))) + serve + take * 4


write("rndis", rndis_seeds())
write("oid", oid_seeds())
write("ethsw", ethsw_seeds())
write("nvsp", nvsp_seeds())
