#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Seeds of hvsock, hvpacket and answer. usage: fuzz/seeds/hvsock.py"""
import struct

from records import record, write


def r(*data):
    return record(bytes(data))


def session():
    open_, close, fin, take, run = r(0, 0), r(1, 0), r(4, 0), r(5, 0), r(18, 0)

    def ask(n=48, *pieces):
        return r(2, 0, n, *range(1, 17 + n), *pieces)

    def report(error):
        return r(10, 3 * error)

    def attestd(n):
        return r(11, 0, *struct.pack("<H", n))

    end = r(12, 0)
    answered = report(0) + attestd(1500) + run + take + attestd(100) + run + take + end + run + take
    yield "report", open_ + ask() + run + answered + fin + run + close
    yield "pieces", open_ + ask(0, 5, 9, 200) + run * 3 + answered + fin + run + close
    yield "half_closed", open_ + ask(32) + fin + run + answered + run + close
    yield "no_agent", open_ + ask() + run + report(1) + run + take * 2 + fin + run + close
    yield "busy", open_ + ask() + run + report(2) + run + take * 2 + fin + run + close
    yield "agent_breaks", open_ + ask() + run + report(0) + attestd(9) + r(12, 66) + run + close
    yield "full", open_ + ask() + run + report(0) + (attestd(2000) + run) * 9 + take * 4 + run + end + run + take * 6 + close
    yield "too_late", open_ + ask() + run + r(13, 0, 255, 255) * 3 + run + report(0) + run + close
    yield "silent", open_ + r(14, 0) + run + r(14, 0) + run + close
    for i in range(8):
        yield f"wrong_{i}", open_ + r(3, 0, i, 71, 69, 84) + run + take * 2 + fin + run + close
    yield "fin_first", open_ + fin + run + close
    yield "behind", open_ + ask() + run + r(3, 0, 5) + run + close
    yield "behind_fin", open_ + ask() + fin + r(3, 0, 5) + run + close
    yield "raw", open_ + r(7, 0, 6, 2, 0, 0, 0, 1, 0, 0, 0, 65) + run + close
    yield "padding", open_ + r(7, 0, 6, 1, 0, 0, 0, 1, 0, 0, 0, 65, 1) + run + close
    yield "long", open_ + b"".join(r(7, 0, 6, 1, 0, 0, 0, 240, 0, 0, 0, *([65] * 240)) + run for _ in range(12)) + close
    yield "index", open_ + r(8, 128, 0xFF, 0xFF, 0, 0) + run + close
    yield "index_out", open_ + ask() + run + report(1) + r(8, 32, 0xFF, 0xFF, 0, 0) + run + close
    yield "reset", open_ + ask() + run + r(17, 255) + open_ + ask() + run + answered
    yield "stale", open_ + ask() + run + r(17, 0, 9, 0, 0, 0) + close + report(0)
    yield "three", b"".join(r(0, i) + r(2, i, 0, *range(16)) + r(18, i) for i in range(3)) + report(0) + attestd(7) + run
    yield "questions", (open_ + ask(0) + run + close) * 18 + open_ + ask(0) + run + take * 2 + fin + run + close
    yield "manager_full", open_ + r(16, 1, 2) + ask() + run * 4 + answered
    yield "worker_full", open_ + r(16, 0, 1) + fin + run + close
    yield "no_such_unit", open_ + r(0, 0xC1) + r(0, 0xC3) + ask() + run + answered
    yield "second_channel", open_ + ask() + r(0, 0xC0) + run + answered + fin + run + close
    yield "too_long", open_ + (r(4, 0xC0) + run) * 5 + take * 2
    yield "race", open_ + ask() + r(15, 0, 1, 0, 0, 0, 0x40, 0, 0, 4, 1, 2, 3, 4) + run * 2 + answered


def packets():
    def packet(kind, size, data):
        return struct.pack("<II", kind, size) + data

    yield "fin", packet(1, 0, b"")
    yield "bytes", packet(1, 3, b"abc" + bytes(5))
    yield "full", packet(1, 16, b"0123456789abcdef")
    yield "type", packet(2, 0, b"")
    yield "short", b"\1\0\0\0"
    yield "padding", packet(1, 3, b"abc\0\0\0\1\0")
    yield "long", packet(1, 3, b"abc" + bytes(13))
    yield "lies", packet(1, 200, b"abc" + bytes(5))
    yield "largest", packet(1, 16385, bytes(16392))


def answers():
    def answer(status, body, *more, length=None):
        head = "\r\n".join([f"HTTP/1.1 {status} X", "Content-Type: application/cbor",
                            f"Content-Length: {len(body) if length is None else length}", *more])
        return head.encode() + b"\r\n\r\n" + body

    yield "good", answer(200, b"\xa1\x01\x02", "Connection: close")
    yield "refused", answer(503, b'{"error": "attestd does not run on the host: its operator starts it"}\n')
    yield "no_reason", answer(500, b"{}")
    yield "control", answer(400, b'{"error": "a\x1b[2Jb\xff"}\n')
    yield "long_reason", answer(400, b'{"error": "' + b"x" * 600 + b'"}')
    yield "cut", answer(200, b"abc", length=9)
    yield "more", answer(200, b"abc", length=2)
    yield "two_lengths", answer(200, b"abc", "Content-Length: 4")
    yield "huge", answer(200, b"abc", length=1 << 21)
    yield "no_length", b"HTTP/1.1 200 OK\r\n\r\nabc"
    yield "status", answer(999, b"")
    yield "nothing", b"\r\n\r\n"
    yield "version", b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"
    yield "head", b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"Content-Length: 0\r\n\r\n"


if __name__ == "__main__":
    write("hvsock", session())
    write("hvpacket", packets())
    write("answer", answers())
