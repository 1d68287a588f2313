#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Seeds of the worker of a machine: worker, loader. usage: fuzz/seeds/worker.py"""
import struct

from records import record, write

PIO_UART, PIO_IER, PIO_LCR, PIO_MCR, PIO_LSR, PIO_CMOS, PIO_CMOS_DATA, PIO_SLEEP, PIO_RESET = range(9)


def r(*data):
    return record(bytes(data))


def port(vp, where, value, out=True):
    return record(bytes([0, vp | (4 if out else 0), where]) + struct.pack("<Q", value))


def wide(vp, number, info, value, out, length=1, access=None):
    """Any port, any size, any length of the instruction."""
    return record(bytes([0, vp | 0x30 | 8 | (4 if out else 0), info]) + struct.pack("<HQBB", number, value, length, int(out) if access is None else access))


def stop(vp, kind, payload=b""):
    return record(bytes([0, 0xC0 | vp | kind << 2]) + payload) if (0xC0 | kind << 2 | vp) % 3 == vp else record(
        bytes([0, next(n for n in range(0xC0, 0x100) if n % 3 == vp and n >> 2 & 3 == kind)]) + payload)


def says(kind, payload, size=None, how=0, message_type=b""):
    """The guest's message on the VMBus."""
    return record(bytes([4, how]) + message_type + bytes([kind, 8 + len(payload) if size is None else size]) + payload)


def device(which, what, unit=0, sub=0, gpadl=0, status=0):
    arg = next(n for n in range(0x80) if n % 5 == which and n >> 2 & 7 == what)
    return record(bytes([7, arg, unit, sub]) + struct.pack("<IB", gpadl, status))


def socket(which, how):
    """Of a process: GONE, WRITABLE or NOTHING."""
    return r(7, next(n for n in range(how, how + 32) if n % 5 == which))


GONE, WRITABLE, NOTHING = 0xC0, 0xE0, 0x80
OPENED, CLOSED, FREED, RESET_DONE, READY, HANGUP = range(6)
CONTACT = says(14, struct.pack("<IIQQQ", 0x50002, 0, 2, 0x1000, 0x2000))
OFFERS = says(3, b"")
TIME = r(15, 0)


def gpadl(relid, number, pages=4, first=0x100):
    return says(8, struct.pack("<IIHHII", relid, number, 8 + 8 * pages, 1, pages * 4096, 0) + struct.pack(f"<{pages}Q", *range(first, first + pages)))


def open_(relid, number, vp=0):
    return says(5, struct.pack("<IIIII", relid, 7, number, vp, 2) + bytes(120))


def close(relid):
    return says(7, struct.pack("<I", relid))


def teardown(relid, number):
    return says(11, struct.pack("<II", relid, number))


def together(data):
    """With the action behind it in one round."""
    return data[:1] + bytes([data[1] | 0x80]) + data[2:]


def fails(what, error):
    return r(13, next(n for n in range(error << 4, (error << 4) + 16) if n % 9 == what))


RUN, PORTS, POST, CHANNEL, TARGET, SEND, CONSOLE, POSTED, RECORD = range(9)
RUNS = CONTACT + OFFERS + gpadl(1, 9) + open_(1, 9) + device(0, OPENED)


def worker():
    for where in range(12):
        yield f"port_{where}", port(0, where, 0x61) + port(1, where, 0, False) + port(2, where, 0xFFFFFFFF) + TIME
    yield "console", b"".join(port(0, PIO_UART, c) for c in b"hello\nlogin: ") + TIME
    yield "typed", record(b"\x0a\x0fabcdefgh") + port(0, PIO_LSR, 0, False) * 2 + port(0, PIO_UART, 0, False) * 9 + record(b"\x0a\x3f" + bytes(60)) * 2
    yield "loop", port(0, PIO_MCR, 0x10) + port(0, PIO_UART, 0x41) * 20 + port(0, PIO_LCR, 0x83) + port(0, PIO_UART, 1) + port(0, PIO_LCR, 3) + port(0, PIO_MCR, 0)
    for info in (0, 1, 2, 3, 4, 5, 7, 8, 9, 0x11, 0x18):
        for out in (True, False):
            yield f"size_{info}_{int(out)}", wide(0, 0x3F8, info, 0x41424344, out) + wide(1, 0x3FE, info, 0xFFFFFFFFFFFFFFFF, out) + TIME
    yield "length", wide(0, 0x3F8, 1, 0, True, 0)
    yield "access", wide(0, 0x3F8, 1, 0, True, 1, 2)
    yield "off", port(0, PIO_SLEEP, 0x34) + port(1, PIO_UART, 1)
    yield "asleep", port(0, PIO_SLEEP, 0x24) + port(0, PIO_SLEEP, 0x14) + port(1, PIO_UART, 1)
    yield "reset", port(0, PIO_RESET, 1) + port(1, PIO_UART, 1) + r(9, 5) + TIME
    yield "no_reset", port(0, PIO_RESET, 2)
    yield "cmos", b"".join(port(0, PIO_CMOS, n) + port(0, PIO_CMOS_DATA, 0, False) + port(0, PIO_CMOS_DATA, n) for n in range(0, 16))
    for kind in range(4):
        for access in (0, 1, 2, 3):
            yield f"stops_{kind}_{access}", stop(kind % 3, kind, struct.pack("<IBB", 0, 1, access) + bytes(60)) + port((kind + 1) % 3, PIO_UART, 0x41) + r(3, 2) + TIME
    yield "halted_with_posted", stop(0, 2) + r(3, 5) + stop(1, 2) + r(3, 63) + TIME + r(14, 0xF0) + TIME
    yield "posted", r(3, 63) + r(3, 63) + port(0, PIO_UART, 0x0A) + r(3, 0x83, 1, 0xF8, 3, 1, 2, 0xF8, 3, 4, 3, 0, 6, 1, 4, 2, 6, 1) + TIME
    yield "posted_refused", r(3, 0x80, 1, 0xF8, 3, 3) + fails(POSTED, 1) + r(3, 5) + TIME
    yield "flood", r(11, 3) + (r(3, 63) + TIME) * 70 + record(b"\x0b\xf2") + TIME + record(b"\x0b\xf2") * 3
    yield "lines_without_end", (r(3, 10) + port(0, PIO_LSR, 0, False)) * 60
    for error in range(7):
        yield f"console_fails_{error}", port(0, PIO_UART, 0x0A) + fails(CONSOLE, error) + port(0, PIO_UART, 0x0A) * 2 + record(b"\x0b\xf2") + TIME + record(
            bytes([10, 1 | error << 3])) + TIME
        for what in (RUN, PORTS):
            yield f"fails_{what}_{error}", fails(what, error) + port(0, PIO_LCR, 0x83) + port(1, PIO_LCR, 3) + port(0, PIO_UART, 0x0A) + TIME
        for what in (POST, CHANNEL, TARGET, SEND):
            yield f"fails_{what}_{error}", CONTACT + fails(what, error) + OFFERS + r(12, 0) + gpadl(1, 9) + fails(what, error) + open_(1, 9) + r(
                12, 0) + device(0, OPENED) + fails(what, error) + says(22, struct.pack("<II", 1, 1)) + socket(0, WRITABLE) + fails(what, error) + close(1) + socket(0, WRITABLE) + TIME
        yield f"status_{error}", fails(SEND, error) + port(0, PIO_RESET, 1) + TIME * 3
    yield "console_ends", port(0, PIO_UART, 0x41) + r(10, 0) + port(0, PIO_UART, 0x0A) * 2 + TIME
    yield "console_gone", r(11, 3) + port(0, PIO_UART, 0x0A) * 3 + r(10, 0) + TIME
    yield "vmbus", RUNS + close(1) + device(0, CLOSED) + teardown(1, 9) + device(0, FREED, gpadl=9) + says(13, struct.pack("<I", 1)) + says(16, b"") + b"".join(
        device(n, RESET_DONE) for n in range(5)) + r(12, 0)
    def connect(port, service=0x77):
        return says(21, struct.pack("<I", port) + bytes.fromhex("cbfae611bd5864006a7986d3") + bytes([service]) + bytes(15))

    line = connect(5)
    up = CONTACT + OFFERS + line + gpadl(5, 9) + open_(5, 9) + device(4, OPENED)
    yield "connection", up + device(4, HANGUP) + close(5) + device(4, CLOSED) + teardown(5, 9) + device(4, FREED, gpadl=9) + says(13, struct.pack("<I", 5)) + TIME
    yield "connection_ends", up + close(5) + device(4, CLOSED) + teardown(5, 9) + device(4, FREED, gpadl=9) + says(13, struct.pack("<I", 5)) + line + TIME
    yield "connection_dies", up + socket(4, GONE) + r(9, 0, 4) + line + TIME
    yield "connections_refused", CONTACT + OFFERS + connect(0) + connect(1 << 31) + connect(5, 9) + says(21, bytes(32)) + device(4, HANGUP, unit=3) + TIME
    yield "connections_many", CONTACT + OFFERS + b"".join(connect(n) for n in range(1, 40)) + device(4, HANGUP) + connect(77) + TIME
    ups = b"".join(connect(n) + gpadl(4 + n, 8 + n) + open_(4 + n, 8 + n) + device(4, OPENED, unit=n - 1) for n in range(1, 9))
    yield "connections_open", CONTACT + OFFERS + ups + connect(77) + connect(78) + TIME
    yield "endpoint_other", CONTACT + OFFERS + says(21, struct.pack("<I", 5) + bytes(12) + b"\x77" + bytes(15))
    yield "connection_of_a_device", RUNS + device(0, HANGUP) + TIME
    yield "retarget", RUNS + says(22, struct.pack("<II", 1, 2)) + close(1) + device(0, CLOSED) + open_(1, 9, 1) + device(0, OPENED)
    yield "all_open", CONTACT + OFFERS + b"".join(gpadl(n, n) + open_(n, n) + device(n - 1, OPENED) for n in range(1, 5)) + CONTACT + b"".join(
        device(n, RESET_DONE) for n in range(5)) + OFFERS
    yield "device_gone", RUNS + socket(0, GONE) + close(1) + r(9, 0, 0) + device(0, RESET_DONE) + r(9, 8, 0) + r(9, 0, 9)
    yield "device_nonsense", RUNS + device(0, READY) + r(7, 0xA0, 0, 0, 0, 0, 0, 0, 0) + r(7, 0xA1) + TIME
    yield "device_refuses", CONTACT + OFFERS + gpadl(1, 9) + open_(1, 9) + device(0, OPENED, status=1) + teardown(1, 9) + device(0, FREED, gpadl=9)
    yield "recorded", r(9, 3) + RUNS + port(0, PIO_UART, 0x41) + r(3, 3) + fails(RECORD, 6) + port(0, PIO_UART, 0x41) + r(9, 3) + r(9, 3)
    yield "device_nothing", RUNS + socket(0, NOTHING) + socket(0, WRITABLE) + r(12, 1) + socket(0, GONE) + socket(1, GONE) + port(0, PIO_RESET, 1) + TIME
    yield "ports_fail_half", fails(PORTS, 1) + port(0, PIO_LCR, 3) + port(0, PIO_MCR, 0x10)
    yield "manager", r(9, 5) + r(9, 4) + r(9, 0xF7) + port(0, PIO_UART, 1)
    yield "manager_nonsense", r(9, 0xFF) + port(0, PIO_UART, 1)
    yield "manager_gone", r(9, 0xF6) + port(0, PIO_UART, 1)
    yield "after_the_end", port(0, PIO_RESET, 1) + r(9, 0, 0) + socket(0, WRITABLE) + r(12, 0) + OFFERS + r(9, 0xF7)
    for error in range(4):
        yield f"messages_fail_{error}", CONTACT + r(4, 0xF0 | error) + OFFERS + TIME
    yield "messages_short", CONTACT + says(3, b"", how=0x27) + OFFERS
    yield "messages_long", CONTACT + says(3, b"", size=241) + OFFERS
    yield "messages_other", CONTACT + says(3, b"", how=0x40, message_type=b"\x02") + OFFERS
    yield "partition_gone", RUNS + r(3, 4) + r(14, 0xF0) + TIME + port(0, PIO_UART, 1)
    yield "not_accepting", CONTACT + OFFERS + fails(POST, 0) + gpadl(99, 9) * 120 + r(12, 0) * 3 + OFFERS + r(12, 0)
    yield "status_late", r(13, next(n for n in range(0x70, 0x80) if n % 9 == SEND)) + port(0, PIO_RESET, 1) + TIME * 4
    for first in (port(0, PIO_RESET, 1), r(14, 0xF0)):
        for second in (port(1, PIO_UART, 1), r(3, 3), r(12, 0), OFFERS, device(0, OPENED), r(14, 0xF1), r(9, 0, 0)):
            yield f"round_{first[1]}_{second[1]}", RUNS + together(first) + second + TIME
            yield f"round_{second[1]}_{first[1]}", RUNS + together(second) + first + TIME
    yield "flood_long_ago", r(11, 3) + r(14, 0xE0) + (r(3, 63) + TIME) * 3 + r(10, 0x12) + r(10, 0xF2) * 30 + TIME
    yield "flood_gone", r(11, 3) + r(14, 0xE0) + (r(3, 63) + TIME) * 3 + r(10, 0) + TIME + port(0, PIO_UART, 0x0A)
    yield "line_without_end", port(0, PIO_UART, 0x41) + port(0, PIO_LSR, 0, False) * 300
    yield "typed_then_ends", record(b"\x0a\x3f" + bytes(60)) + r(10, 0) + port(0, PIO_UART, 0, False) * 3
    for traced in (0xE0, next(n for n in range(0xC0, 0xE0) if n % 3 == 0 and n >> 2 & 3 == 3)):
        traced = r(0, next(n for n in range(traced, 0x100) if n % 3 == 0))
        yield f"traced_{traced[2]}", r(9, 3) + traced * 3 + fails(RECORD, 6) + traced + fails(PORTS, 1) + traced * 2
        yield f"traced_{traced[2]}_fails", fails(PORTS, 1) + r(9, 3) + traced
    yield "recorded_lost", r(9, 3) + fails(RECORD, 0) + port(0, PIO_UART, 0x41) * 3
    yield "overrun_stays", port(0, PIO_MCR, 0x10) + port(0, PIO_UART, 0x41) * 3 + port(0, PIO_UART, 0, False) + port(0, PIO_MCR, 0) + TIME
    yield "typed_after_the_end", stop(0, 1) + record(b"\x0a\x04abc") + TIME
    yield "ends_twice", fails(PORTS, 1) + r(3, 0x80, 0x80, 0xFB, 3, 1) + wide(0, 0x3F8, 3, 0, False) + TIME
    yield "gone_in_one_round", port(0, PIO_UART, 0x41) + fails(CONSOLE, 6) + together(stop(0, 1)) + record(b"\x0a\x04abc") + TIME
    yield "hangs_up_while_typed", record(b"\x0a\x3f" + bytes(60)) + r(10, 0) + (port(0, PIO_UART, 0, False) + port(0, PIO_LSR, 0, False)) * 3
    yield "hangs_up_full_while_typed", record(b"\x0a\x3f" + bytes(60)) + r(11, 3) + port(0, PIO_UART, 0x0A) * 2 + r(10, 0) + (port(0, PIO_UART, 0, False) + port(0, PIO_LSR, 0, False)) * 3
    yield "many_offers", (CONTACT + fails(POST, 0) + OFFERS) * 20 + r(12, 0) * 4


def kernel(**changes):
    image = bytearray(0x400 + 4 * 512)
    fields = {"setup": (0x1F1, "<B", 4), "paragraphs": (0x1F4, "<I", 0x1000 // 16), "boot": (0x1FE, "<H", 0xAA55), "jump": (0x200, "<H", 0x6AEB),
              "magic": (0x202, "<I", 0x53726448), "version": (0x206, "<H", 0x020F), "flags": (0x211, "<B", 1), "initrd": (0x22C, "<I", 0x7FFFFFFF),
              "align": (0x230, "<I", 0x200000), "relocatable": (0x234, "<B", 1), "x": (0x236, "<H", 3), "cmdline": (0x238, "<I", 2047),
              "pref": (0x258, "<Q", 16 << 20), "size": (0x260, "<I", 4 << 20)}
    for name, (at, form, value) in fields.items():
        struct.pack_into(form, image, at, changes.get(name, value))
    return bytes(image) + b"\x5a" * 0x1000


def loader():
    def one(image=None, memory=0, initrd=0, cmdline=20, how=0):
        return bytes([memory]) + initrd.to_bytes(3, "little") + struct.pack("<HB", cmdline, how) + (kernel() if image is None else image)

    for memory in range(9):
        yield f"memory_{memory}", one(memory=memory, initrd=5000)
    for initrd in (1, 4096, 0x3FFFF, 0xFFFFFF, 0xF00000, 0xFFFFFE):
        yield f"initrd_{initrd}", one(initrd=initrd) if initrd < 0x40000 else one(initrd=initrd, memory=4)
    for line in (0, 2047, 2048, 4095, 4096, 5000):
        yield f"cmdline_{line}", one(cmdline=line) if line < 2048 else one(kernel(cmdline=0xFFFFFFFF), cmdline=line)
    yield "cmdline_long", one(cmdline=2048)
    for how in (1, 2, 3, 0x11, 0x12, 0x13, 0x21, 0x22, 0x23, 0x80, 0xC0):
        yield f"how_{how:x}", one(initrd=9000, how=how)
    yield "initrd_low", one(kernel(initrd=(22 << 20) - 1), initrd=5000)
    yield "initrd_too_low", one(kernel(initrd=(20 << 20) - 1), initrd=5000)
    yield "initrd_below", one(kernel(initrd=(18 << 20) - 1), initrd=5000)
    yield "initrd_page", one(kernel(initrd=(20 << 20) + 5000), initrd=5000)
    yield "initrd_page_less", one(kernel(initrd=(20 << 20) + 5000, size=(4 << 20) + 4), initrd=4995)
    for pref in (0, 4096, 1 << 20, (16 << 20) + 1, 60 << 20, 61 << 20, 1 << 63, (64 << 20) - 4096):
        yield f"pref_{pref:x}", one(kernel(pref=pref))
    yield "size_most", one(kernel(size=0xFFFFFFFF))
    yield "size_exact", one(kernel(size=48 << 20), initrd=1)
    yield "size_exact_high", one(kernel(pref=1 << 20, size=3 << 20), initrd=100, memory=2)
    yield "no_kernel", one(b"")
    yield "no_header", one(b"\x7fELF" + bytes(600))
    yield "setup_none", one(kernel(setup=0))


write("worker", worker())
write("loader", loader())
