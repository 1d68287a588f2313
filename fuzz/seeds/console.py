#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Seeds of the console's process: console. usage: fuzz/seeds/console.py"""
from records import record, write


def r(*data):
    return record(bytes(data))


def says(text):
    return record(bytes([0, len(text)]) + text)


def types(text):
    return record(bytes([1, len(text)]) + text)


WAIT, STOP, GONE = r(9), r(6, 0), r(6, 4)
MANY = r(0, 0xFF)
AGAIN, INTERRUPTED, BROKEN, CLOSED = range(4)
BUSY_WORKER, BUSY_TERMINAL = r(4, 0), r(5, 0)


def together(data):
    return data[:1] + bytes([data[1] | 0x80]) + data[2:]


def console():
    yield "login", says(b"\r\nDebian GNU/Linux 12 web ttyS0\r\n\r\nweb login: ") + types(b"root\r") + says(b"root\r\nPassword: ") + WAIT * 2 + STOP
    yield "nothing", b""
    yield "much", MANY * 6 + WAIT + STOP
    yield "typed_much", r(1, 0xFF) * 2 + WAIT * 3
    yield "terminal_full", BUSY_TERMINAL + MANY + r(5, 2) + MANY + WAIT
    yield "worker_full", BUSY_WORKER + types(b"hello") + says(b"x") + WAIT + r(4, 1) + types(b"more") + r(4, 255) + WAIT
    yield "worker_slow", BUSY_WORKER + r(1, 100) + WAIT + r(4, 1) + WAIT + r(4, 1) + WAIT * 4
    for error in range(4):
        yield f"worker_read_{error}", r(2, error) + says(b"x") + WAIT
        yield f"terminal_read_{error}", r(3, error) + types(b"x") + WAIT
        yield f"worker_write_{error}", BUSY_WORKER + types(b"x") + WAIT + together(r(8, 0x80 | error)) + r(4, 9) + WAIT
        yield f"terminal_write_{error}", together(r(8, 0x40 | error)) + says(b"x") + WAIT
    for word in range(4):
        yield f"manager_{word}", says(b"a") + r(6, word, 0, 0, 0, 0) + says(b"b") + WAIT
        yield f"manager_short_{word}", r(6, word | 16) + says(b"b") + WAIT
    yield "manager_gone", says(b"a") + together(says(b"b")) + GONE
    yield "manager_nothing", r(6, 8) + says(b"a") + WAIT
    yield "worker_gone", together(MANY) + r(7, 0xF0) + WAIT
    yield "terminal_gone", types(b"a") + r(7, 0xE0) + WAIT
    yield "terminal_gone_pending", BUSY_WORKER + types(b"a") + r(7, 0xE0) + WAIT * 2 + r(4, 9) + WAIT
    yield "last_words", together(MANY) + together(MANY) + together(MANY) + STOP
    yield "last_words_end", together(MANY) + together(r(7, 0xF0)) + STOP
    yield "told_late", says(b"a") + r(7, 70) + says(b"b") + r(8, 0) + r(7, 70) + says(b"c") + WAIT + WAIT
    yield "interrupted", WAIT + says(b"a") + WAIT


if __name__ == "__main__":
    write("console", console())
