#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Seeds of the disk process's session, vstor, and of vmbus: single cases that recorded traffic does not have. usage: fuzz/seeds/session.py"""
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



# --- fuzz/fuzz_vmbus.c ---

ENDPOINT, SERVICE = bytes.fromhex("cbfae611bd5864006a7986d3"), 0x52440001
SETTLE = record(b"\xf0")


def said(type_, *words, more=b""):
    """A message of the guest, as it is."""
    body = struct.pack(f"<II{len(words)}I", type_, 0, *words) + more
    return record(bytes([0x0F, 1, len(body)]) + body)


def contact(version=0x50003, vp=0, sint=2, vtl=0, reserved=0):
    return said(14, version, vp, more=bytes([sint, vtl, 0, reserved]) + bytes(20))


BEGUN = contact() + said(3) + SETTLE


def gpadl(relid, number, pages, length=None, offset=0, pfns=None, buffer=None, first=16):
    pfns = min(pages, 25) if pfns is None else pfns
    length = 4096 * pages if length is None else length
    head = struct.pack("<HHII", 8 + 8 * pages if buffer is None else buffer, 1, length, offset)
    return said(8, relid, number, more=head + b"".join(struct.pack("<Q", first + i) for i in range(pfns)))


def opened(relid, number, downstream=2, vp=0):
    return said(5, relid, relid, number, vp, downstream, more=bytes(120))


def connected(port=9, rest=ENDPOINT, service=SERVICE, more=b""):
    return said(21, more=struct.pack("<I", port) + rest + struct.pack("<I", service) + ENDPOINT + more)


def vmbus():
    yield "sizes", BEGUN + said(9, 0) + said(9, 0, more=bytes(3)) + said(8, 1) + said(8, 1, 9) + said(21, more=bytes(31)) + connected(more=b"\0") + said(
        3, more=bytes(233)
    ) + said(3, more=bytes(232)) + said(8, 1, 9, more=bytes(225)) + SETTLE
    yield "contact_vtl", contact(vtl=1) + SETTLE + contact(sint=3) + SETTLE + contact(reserved=1) + SETTLE + contact(vp=9) + SETTLE + contact(0x40000, vtl=1) + SETTLE
    yield "endpoints", BEGUN + connected(0) + connected(1024) + connected(5, b"\0" * 12) + connected(5, ENDPOINT[:11] + b"\0") + connected() + SETTLE
    take = lambda relid: gpadl(relid, 0x100 + relid, 4) + opened(relid, 0x100 + relid) + SETTLE
    yield "connections_open", BEGUN + b"".join(connected(1 + i) + SETTLE + take(7 + i) for i in range(4)) + connected(9) + SETTLE
    shapes = (dict(pages=4, offset=4096, length=4096 * 3), dict(pages=1, pfns=3), dict(pages=4, length=0), dict(pages=4, buffer=24), dict(pages=0, length=0))
    yield "shapes", BEGUN + b"".join(gpadl(1, 0x200 + i, **s) for i, s in enumerate(shapes)) + SETTLE
    part = lambda relid, number, **s: gpadl(relid, number, **s) + SETTLE + opened(relid, number) + SETTLE
    yield "rings_in_part", BEGUN + part(1, 0x210, pages=4, length=4096 * 4 - 8) + part(1, 0x211, pages=4, length=4096 * 4 - 16, offset=16) + part(
        1, 0x212, pages=5, length=4096 * 4, offset=16
    )
    four = BEGUN + gpadl(1, 0x220, 9) + SETTLE
    yield "rings_sizes", four + b"".join(opened(1, 0x220, n) for n in (0, 1, 8, 9, 10, 0xFFFFFFFF, 2049)) + opened(1, 0x220, 7) + SETTLE
    yield "gpadls_of_one", BEGUN + b"".join(gpadl(1, 0x230 + i, 1) for i in range(18)) + SETTLE
    gone = BEGUN + gpadl(1, 0xE1E10, 4) + SETTLE + said(11, 1, 0xE1E10) + record(b"\xd3")
    yield "freed_by_others", gone + record(b"\x72\x01\0") + record(b"\x72\x08\0") + record(b"\x72\0\0") + SETTLE
    old = contact(0x40000) + said(3) + SETTLE + gpadl(1, 0x240, 4) + opened(1, 0x240) + SETTLE
    yield "modify_old", old + said(22, 1, 2) + SETTLE
    yield "services", BEGUN + b"".join(record(bytes([0x84, 0x80 | a])) for a in (0, 1, 2, 3, 7, 3))
    yield "nobody", four + record(b"\x85\xc0") + record(b"\x77\x07") + contact() + record(b"\xd0") + record(b"\x77\x07") + record(b"\x73\x07") + SETTLE


write("vstor", vstor())
write("vmbus", vmbus())
