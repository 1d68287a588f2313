#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Seeds of what the manager hears of its processes: news. usage: fuzz/seeds/news.py"""
import struct

from records import record, write

WORKER, STORVSP, NET0, NET1, IC, HVSOCK, CONSOLE = 6, 0, 1, 2, 3, 4, 5  # slots of the first machine: the worker comes last
READY, S_WORKER, S_IC, S_NET, S_DISK, S_CONSOLE, WANTED, RAW = range(8)
RUNNING, OFF, RESET, CRASHED, FAILED, HALTED = range(1, 7)
ALL = bytes([2, 2, 0])


def r(*data):
    return record(bytes(data))


def operate(what, machine=0, more=0):
    return r(0, what * 2 + machine, more)


CREATE, START, _, STOP, _, KILL, DELETE, END_ALL = range(8)
UP = operate(CREATE) + operate(START) + ALL + ALL
LEAVE = r(11, 0)


def says(who, kind, body=b"", how=0):
    return record(bytes([3, who, kind | how]) + body)


def guest(state, text=b"because", how=0):
    return says(WORKER, S_WORKER, struct.pack("<II", state, 0) + text, how)


def log(who, text, how=0):
    return record(bytes([6, who, how]) + text)


def dies(who, how=0):
    return r(7, who, how)


def time(ms):
    return r(8, min(ms // 100, 255), 99)


def fails(what, after=0):
    return r(9, what | after << 3)


FILES, PARTITION, LAUNCH, SEND, AGENT, PORTS, MEMORY, BUSY = range(8)


def news():
    yield "up_and_off", UP + guest(OFF) + LEAVE
    for state in range(8):
        yield f"guest_{state}", UP + guest(state, b"text \x1b[2J") + LEAVE + time(20000) + ALL
        yield f"stopping_{state}", UP + operate(STOP, more=1) + guest(state) + LEAVE
    yield "halted_stopped", UP + guest(HALTED) + operate(STOP, more=1) + LEAVE
    yield "stop_late", UP + operate(STOP, more=1) + time(25500) + time(10000) + LEAVE
    yield "stop_ic_again", UP + operate(STOP, more=1) + dies(IC, 1) + time(100) + ALL + LEAVE
    yield "nobody_leaves", UP + guest(OFF) + time(10100) + LEAVE
    yield "kill", UP + operate(KILL) + operate(KILL) + operate(STOP) + LEAVE
    yield "kill_off", operate(CREATE) + operate(KILL) + operate(STOP) + operate(DELETE) + operate(DELETE)
    yield "twice", UP + operate(CREATE) + operate(CREATE, more=1) + operate(START) + operate(DELETE) + operate(CREATE, 1) + operate(START, 1) + ALL * 2
    yield "replaced", operate(CREATE) + operate(CREATE, more=1) + operate(CREATE)
    yield "resets", UP + (guest(RESET) + LEAVE + time(1000) + ALL * 2) * 7 + operate(STOP)
    yield "reset_slow", UP + time(25500) * 2 + guest(RESET) + LEAVE + operate(STOP)
    yield "reset_killed", UP + guest(RESET) + operate(STOP) + LEAVE
    yield "reset_killed_late", UP + guest(RESET) + operate(KILL) + LEAVE
    yield "pause_killed", UP + guest(RESET) + LEAVE + operate(KILL)
    yield "reset_fails", UP + guest(RESET) + LEAVE + fails(FILES) + time(600)
    for kind in range(8):
        for who in range(7):
            yield f"says_{kind}_{who}", UP + says(who, kind, struct.pack("<II", 1, 0) + bytes([16]) + bytes(20))
    for who in (STORVSP, WORKER):
        yield f"early_{who}", operate(CREATE) + operate(START) + says(who, S_DISK)
        yield f"short_{who}", UP + says(who, S_DISK, how=8)
        yield f"descriptor_{who}", UP + says(who, S_DISK, how=0x10)
        yield f"flood_{who}", UP + says(who, S_DISK if who == STORVSP else S_WORKER, how=0xC0)
        yield f"slow_{who}", UP + (says(who, S_DISK if who == STORVSP else S_WORKER, how=0x80) + time(1000)) * 5
        yield f"closes_{who}", UP + r(10, who or 20) + LEAVE + time(200)
    yield "nothing_after_all", UP + r(10, 0x81) + says(STORVSP, S_DISK)
    yield "half_started", UP + guest(RESET) + LEAVE + fails(LAUNCH, 1) + time(600) + LEAVE + time(100)
    yield "last_words", UP + guest(CRASHED, how=0x20) + dies(WORKER) + LEAVE
    yield "last_words_bad", UP + says(STORVSP, RAW, b"abc", how=0x20) + dies(STORVSP) + time(100) + ALL
    yield "reports", UP + says(HVSOCK, WANTED, struct.pack("<II", 7, 16) + bytes(range(16))) * 7 + time(2100) + says(
        HVSOCK, WANTED, struct.pack("<II", 8, 16) + bytes(range(16))) * 2
    yield "no_agent", UP + fails(AGENT) + says(HVSOCK, WANTED, struct.pack("<II", 7, 16) + bytes(range(16)))
    yield "report_send_fails", UP + fails(SEND) + says(HVSOCK, WANTED, struct.pack("<II", 7, 16) + bytes(range(16)))
    for how in range(11):
        yield f"dies_{how}", UP + log(STORVSP, b"storvsp: last words\n") + dies(STORVSP, how) + time(100) + ALL
        yield f"worker_dies_{how}", UP + log(WORKER, b"vmworker: x") + dies(WORKER, how) + LEAVE
    yield "dies_often", UP + (dies(NET0, 1) + time(1000) + ALL) * 6 + LEAVE
    yield "dies_slowly", UP + (dies(NET0, 1) + time(25500) + ALL) * 6
    yield "dies_starting", operate(CREATE) + operate(START) + dies(NET0, 1) + LEAVE
    yield "dies_before_worker", operate(CREATE) + operate(START) + ALL + dies(NET0, 1) + time(300) + LEAVE
    yield "dies_before_worker_speaks", operate(CREATE) + operate(START) + ALL + dies(NET0, 1) + dies(NET1, 1) + guest(FAILED) + dies(WORKER, 1) + LEAVE
    yield "dies_waiting_stopped", UP + dies(NET0, 1) + operate(STOP) + LEAVE
    yield "dies_ending", UP + operate(STOP) + dies(NET0, 1) + dies(NET1, 3) + dies(IC, 0) + LEAVE
    yield "disks_busy", UP + r(9, 0x0F) + dies(STORVSP, 1) + time(100) * 40 + ALL
    yield "disks_busy_for_ever", UP + r(9, 0xFF) + dies(STORVSP, 1) + (r(8, 20, 0)) * 180 + LEAVE
    yield "disks_busy_at_the_end", UP + r(9, 0xFF) + guest(OFF) + LEAVE + (r(8, 20, 0)) * 185
    yield "not_ready", operate(CREATE) + operate(START) + time(25500) * 3 + LEAVE
    yield "ready_twice", UP + says(STORVSP, READY) + LEAVE
    yield "alive", UP + dies(STORVSP, 0x80)
    yield "logs", UP + log(IC, b"ic: one\ntwo\n\n" + bytes(range(1, 40)) + b"\n") + log(IC, b"x" * 250) + log(IC, b"x" * 200 + b"\n") + log(IC, b"", 0x10)
    yield "log_flood", UP + log(IC, b"a\n" * 100, 0xE0) + time(1000) + log(IC, b"b\n" * 10) + dies(IC, 1)
    yield "log_flood_at_the_end", UP + log(IC, b"a\n" * 100, 0x88) + dies(IC, 1)
    yield "switch", r(10, 0) + r(2, 1) + says(0, S_NET) + says(0, READY) + r(10, 0) + LEAVE
    yield "switch_mad", r(10, 0) + says(0, S_NET) + r(10, 0)
    yield "switch_dies", r(10, 0) + r(10, 0) + ALL + dies(0, 3)
    for what in range(7):
        for after in range(8):
            yield f"fails_{what}_{after}", fails(what, after) + UP + dies(STORVSP, 1) + time(100) + ALL + operate(STOP, more=1) + guest(OFF) + LEAVE
        yield f"fails_late_{what}", UP + dies(STORVSP, 1) + fails(what) + time(100) + ALL + LEAVE
    yield "end_all", UP + operate(CREATE, 1) + operate(START, 1) + operate(END_ALL) + LEAVE
    yield "again_to_worker_fails", UP + dies(STORVSP, 1) + time(100) + fails(SEND) + ALL + LEAVE
    yield "text_without_end", UP + guest(CRASHED, b"x" * 128) + LEAVE


if __name__ == "__main__":
    write("news", news())
