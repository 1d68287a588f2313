#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Seeds of the verifier's reader of event logs: log. usage: fuzz/seeds/log.py"""
import struct

from records import write

NO_ACTION, POST_CODE, SEPARATOR = 3, 1, 4
SHA256 = 0xB


def old(pcr, kind, data=b"", digest=bytes(20)):
    return struct.pack("<II", pcr, kind) + digest + struct.pack("<I", len(data)) + data


def header():
    return old(0, NO_ACTION, b"Spec ID Event03\0" + bytes(4) + b"\0\2\0\2" + struct.pack("<IHHB", 1, SHA256, 32, 0))


def event(pcr, kind, data=b"", digest=b"\x77" * 32):
    digest = bytes(32) if kind == NO_ACTION else digest
    return struct.pack("<IIIH", pcr, kind, 1, SHA256) + digest + struct.pack("<I", len(data)) + data


def locality(n):
    return event(0, NO_ACTION, b"StartupLocality\0" + bytes([n]))


def seeds():
    yield "rule_most", b"\x80" + b"".join(old(n, POST_CODE) for n in range(4))
    yield "rule_locality", b"\0" + header() + locality(3) + event(0, POST_CODE)
    yield "rule_locality_twice", b"\0" + header() + locality(3) + locality(3) + event(0, POST_CODE)
    yield "rule_locality_late", b"\0" + header() + event(0, POST_CODE) + locality(3)


write("log", seeds())
