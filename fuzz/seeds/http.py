#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Seeds of attestd's reader of requests, of redoubt-report's of answers, and of entries of a log: http, answer, attest_write. usage: fuzz/seeds/http.py"""
import json
import struct

from records import write

NONCE = "a5" * 16


def request(body=None, path="/v1/report", method="POST", version="HTTP/1.1", headers=(), length=None):
    text = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"{method} {path} {version}", *headers]
    if body is not None or length is not None:
        lines.append(f"Content-Length: {len(text) if length is None else length}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + text


def http():
    good = {"nonce": NONCE}
    yield "names_differ", request(good, headers=["Content-Lengti: 4", "Expecu: 1", "transfer-encodinG2: a", "eXPEcT0: b"])
    yield "control_byte", request(good, headers=["A: \x01"])
    yield "tab", request(good, headers=["A: \tb\t "])
    yield "latin", request(good, headers=["A: \xe9"])
    yield "delete", request(good, headers=["A: \x7f"])
    yield "one_word", b"GET\r\n\r\n"
    yield "two_words", b"GET /v1/ek\r\n\r\n"
    yield "version_9", request(good, version="HTTP/0.9")
    for name, length in (("empty", ""), ("word", "7x"), ("sign", "-1"), ("seven", "1234567"), ("most", "999999"), ("spaces", " \t 77 \t")):
        yield "length_" + name, request(good, length=length)
    for name, header in (("none", "abc"), ("no_name", ": a"), ("space_before", "A : b"), ("tab_before", "A\t: b"), ("folded", "\tb: c"),
                         ("empty", "A:"), ("blank", "A: \t")):
        yield "header_" + name, request(good, headers=[header])
    yield "head_long", request(good, headers=["A: " + "b" * 9000])
    yield "head_open", b"POST /v1/report HTTP/1.1\r\nA: " + b"b" * 9000
    for n, nonce in enumerate(("A5" * 16, "a5" * 64, "a5" * 65, "a5" * 15, "a5" * 16 + "a", "g5" * 16, "5g" * 16, "::" * 16, "@G" * 16, "`F" * 16, 5, None)):
        yield f"nonce_{n}", request({"nonce": nonce})
    for n, number in enumerate((0, -1, 1, "1", 1 << 62, 1.5, None)):
        yield f"partition_{n}", request({"nonce": NONCE, "partition": number})
    yield "no_nonce", request({})
    for n, body in enumerate(({"credential": "00" * 3, "secret": "00" * 3}, {"credential": "00" * 2, "secret": "00" * 3},
                              {"credential": "00" * 3, "secret": "00" * 2}, {"credential": "00" * 3}, {"secret": "00" * 3},
                              {"credential": "00" * 3, "secret": "00" * 3, "more": 1}, {"credential": "00" * 2000, "secret": "00" * 3})):
        yield f"activate_{n}", request(body, path="/v1/activate")
    yield "ek_body", request(b"{}", path="/v1/ek", method="GET")
    yield "ek_nothing", request(b"", path="/v1/ek", method="GET")
    yield "array", request([1])
    yield "no_json", request(b"{")
    yield "behind", request(good) + b"GET"
    yield "half", request(good)[:-5]


def answers():
    def one(status=b"200 OK", length=b"3", body=b"abc", version=b"HTTP/1.1 "):
        return version + status + b"\r\nContent-Length: " + length + b"\r\n\r\n" + body

    for name, status in (("letter_1", b"x00 A"), ("letter_2", b"2x0 A"), ("letter_3", b"20x A"), ("no_space", b"200A"), ("low", b"099 A"), ("colon", b":00 A")):
        yield "status_" + name, one(status)
    for name, length in (("none", b""), ("letter", b"x"), ("colon", b"3:"), ("slash", b"/3"), ("most", b"9" * 12), ("other", b"4"),
                         ("wraps", str(2**64 + 3).encode())):
        yield "length_" + name, one(length=length)
    for name, body in (("open", b'{"error": "abc'), ("other", b'{"errors": "abc"}'), ("name", b'{"fault": "abc"}'), ("short", b"{"), ("long", b'{"error": "' + b"x" * 600 + b'"}'),
                       ("bytes", b'{"error": "\x00\x7f\xff"}')):
        yield "reason_" + name, one(b"503 No", str(len(body)).encode(), body)
    yield "empty", b""
    yield "head_only", b"HTTP/1.1\r\n\r\n"


def entries():
    def one(room, *digests):
        return bytes([2, len(digests)]) + struct.pack("<H", room) + b"".join(struct.pack("<HB", alg, n) + bytes(64) for alg, n in digests)

    banks = [(4, 20), (0xB, 32), (0xC, 48), (0xD, 64), (0x12, 32), (0x99, 0)]
    for n, digest in enumerate(banks):
        yield f"entry_{n}", one(511, digest)
    for room in (0, 3, 4, 11, 13, 40, 61, 62, 65, 80, 200):
        yield f"room_{room}", one(room, *banks[:2])
    yield "digest_long", one(511, (0xB, 65))
    yield "no_banks", one(511)


write("http", http())
write("attest_write", entries())
write("answer", answers())
