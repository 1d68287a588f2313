#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the seeds of the attestation readers: fuzz/corpus/{cbor,cose,attest_event,attest_write}. usage: mkseeds.py"""
import struct
from pathlib import Path

CORPUS = Path(__file__).resolve().parents[3] / "fuzz/corpus"


def head(major, n):
    for limit, info, size in ((24, None, 0), (1 << 8, 24, 1), (1 << 16, 25, 2), (1 << 32, 26, 4), (1 << 64, 27, 8)):
        if n < limit:
            return bytes([major << 5 | (n if info is None else info)]) + (n.to_bytes(size, "big") if size else b"")


class Tag:
    def __init__(self, tag, item):
        self.tag, self.item = tag, item


def cbor(x):
    if isinstance(x, int):
        return head(0, x) if x >= 0 else head(1, -1 - x)
    if isinstance(x, bytes):
        return head(2, len(x)) + x
    if isinstance(x, str):
        return head(3, len(x.encode())) + x.encode()
    if isinstance(x, list):
        return head(4, len(x)) + b"".join(map(cbor, x))
    if isinstance(x, Tag):
        return head(6, x.tag) + cbor(x.item)
    pairs = sorted((cbor(k), cbor(v)) for k, v in x.items())
    return head(5, len(pairs)) + b"".join(k + v for k, v in pairs)


def tagged(body):
    body = cbor(body)
    return struct.pack("<II", 0x52440001, len(body)) + body


KEY = cbor({1: 2, -1: 2, -2: bytes(range(48)), -3: bytes(range(48, 96))})
POLICY = struct.pack("<IIIHHQHHI", 1, 0, 7, 2, 0, 512 << 20, 1, 1, 0)
CLAIMS = cbor({10: bytes(range(32)), 256: b"\1" + bytes(16), 263: 2, 265: "tag:redoubt,2026:vm/1", 268: bytes(32),
               -70001: bytes(48), -70002: POLICY, -70003: bytes(48), -70004: 3, -70005: bytes(64), -70006: 0})
SIGN1 = cbor(Tag(18, [cbor({1: -35, 4: bytes(32)}), {}, CLAIMS, bytes(96)]))
SEEDS = {
    "cbor": {"uint": cbor(1 << 40), "nint": cbor(-70001), "text": cbor("réseau"), "nested": cbor([[{1: [2]}]]),
             "deep": cbor([[[[[1]]]]]), "map": cbor({1: b"x", -1: "y", 300: [1, 2]}), "long-form": b"\x18\x05",
             "unordered": b"\xa2\x02\x01\x01\x01", "twice": b"\xa2\x01\x01\x01\x01", "indefinite": b"\x9f\x01\xff",
             "claims-much": b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff", "trailing": b"\x01\x01", "token": SIGN1},
    "cose": {"key": KEY, "sign1": SIGN1, "claims": CLAIMS, "short-key": KEY[:-1], "trailing": SIGN1 + b"\0"},
    "attest_event": {
        "hypervisor": tagged({1: 1, 2: bytes(48), 3: 1 << 20, 7: 1}),
        "options": tagged({1: 2, 2: bytes(48), 3: 5, 4: b"cpu=1"}),
        "kernel": tagged({1: 3, 2: bytes(48), 3: 8 << 20}),
        "cmdline": tagged({1: 5, 2: bytes(48), 3: 700}),
        "key": tagged({1: 7, 2: bytes(48), 3: len(KEY), 5: KEY, 6: bytes(32)}),
        "end": tagged({1: 8}), "other-tag": b"\2" + tagged({1: 8})[1:],
    },
    "attest_write": {"event-key": b"\0\6\1\x6e" + bytes(range(200)), "event-options": b"\0\1\2\0\1" + b"abc" * 90,
                     "event-end": b"\0\7", "token": b"\1\x20" + bytes(range(1, 250)), "token-nonce": b"\1\x0f",
                     "entry": b"\2\2\0\1" + b"\x0b\0\x20" + bytes(64) + b"\x0c\0\x30" + bytes(64)},
}

if __name__ == "__main__":
    for name, seeds in SEEDS.items():
        (CORPUS / name).mkdir(parents=True, exist_ok=True)
        for seed, data in seeds.items():
            (CORPUS / name / seed).write_bytes(data)
