#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Seeds of the hypervisor's reader of a TPM's answers: tpm2. usage: fuzz/seeds/tpm2.py"""
import struct

from records import write

SIZES = {4: 20, 0xB: 32, 0xC: 48, 0xD: 64, 0x12: 32}


def answer(kind, more, body, tag=0x8001, size=None, code=0):
    size = 10 + len(body) if size is None else size
    return bytes([kind, more]) + struct.pack(">HII", tag, size, code) + body


def banks(*selected, count=None, capability=5):
    body = struct.pack(">BII", 0, capability, len(selected) if count is None else count)
    return body + b"".join(struct.pack(">HB", alg, len(bits)) + bits for alg, bits in selected)


def pcr(alg, digest, selections=1, bits=b"\x01\0\0", digests=1, size=None):
    return struct.pack(">II", 7, selections) + struct.pack(">HB", alg, len(bits)) + bits + struct.pack(
        ">IH", digests, len(digest) if size is None else size) + digest


def event(*algs, count=None, extra=b"", size=None):
    body = struct.pack(">I", len(algs) if count is None else count) + b"".join(struct.pack(">H", a) + bytes(SIZES.get(a, 0)) for a in algs) + extra
    return struct.pack(">I", len(body) if size is None else size) + body + bytes(2) + b"\x01" + bytes(2)


def seeds():
    on, off = b"\xff\xff\xff", b"\0\0\0"
    yield "event_largest", answer(0, 1, bytes(1024 - 10))
    yield "event_larger", answer(0, 1, bytes(1025 - 10))
    yield "random_short", answer(0, 32, struct.pack(">H", 16) + bytes(16))
    yield "random_size", answer(0, 32, struct.pack(">H", 16) + bytes(32))
    yield "random_tag", answer(0, 16, struct.pack(">H", 16) + bytes(16), tag=0x8002)
    yield "random_behind", answer(0, 16, struct.pack(">H", 16) + bytes(17))
    yield "banks_twice", answer(1, 0, banks((4, on), (4, on)))
    yield "banks_twice_off", answer(1, 0, banks((4, on), (4, off), (0xB, on)))
    yield "banks_many", answer(1, 0, banks(*((n, on) for n in range(1, 20))))
    yield "banks_five", answer(1, 0, banks(*((n, on) for n in range(1, 6))))
    yield "banks_select_long", answer(1, 0, banks((4, bytes(33) + b"\x01")))
    yield "banks_capability", answer(1, 0, banks((4, on), capability=6))
    yield "banks_count", answer(1, 0, banks((4, on), count=9))
    yield "banks_tag", answer(1, 0, banks((4, on)), tag=0x8002)
    yield "banks_code", answer(1, 0, banks((4, on)), code=0x101)
    for name, body in (("selections", pcr(0xB, bytes(32), selections=2)), ("other", pcr(0xC, bytes(48))), ("none", pcr(0xB, bytes(32), bits=off)),
                       ("digests", pcr(0xB, bytes(32), digests=0)), ("empty", pcr(0xB, b"")), ("large", pcr(0xB, bytes(65))), ("cut", pcr(0xB, bytes(8), size=32)),
                       ("behind", pcr(0xB, bytes(33), size=32)), ("select_long", pcr(0xB, bytes(32), bits=b"\x01" * 40))):
        yield "pcr_" + name, answer(2, 0xB, body)
        yield "pcr_tag_" + name, answer(2, 0xB, body, tag=0x8002)
    for name, body in (("all", event(4, 0xB, 0xC, 0xD, 0x12)), ("twice", event(4, 4)), ("unknown", event(4, 0x99)), ("none", event()), ("sm3", event(0x12)),
                       ("count", event(4, count=3)), ("size", event(4, size=3)), ("behind", event(4, extra=b"x")), ("many", event(4, 0xB, 0xC, 0xD, 0x12, 4)),
                       ("tag", event(4))):
        for pick in (0, 1, 2, 5, 8, 0xF5):
            yield f"event_{name}_{pick}", answer(3, pick, body, tag=0x8001 if name == "tag" else 0x8002)


write("tpm2", seeds())
