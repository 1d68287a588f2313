#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Seeds of the target procmsg: each message of hv/wire/procmsg.h right, and with each fault. usage: fuzz/seeds/procmsg.py
Layouts are those of the header: write the seeds anew when it changes."""
import struct

from records import write

MIB = 1 << 20


def seed(kind, body, fds=0, fit=1):
    return bytes([fds, fit]) + struct.pack("<II", kind, 8 + len(body)) + body


def worker(memory=16 * MIB, vps=2, initrd=1, devices=2, sockets=2, measure=1, text=b"console=ttyS0", socket=1,
           services=1, reserved=0, serves=0, tail=0):
    line = text if len(text) == 1024 else text + bytes(1024 - len(text))
    device = bytes(32) + struct.pack("<II", socket, 0)
    return (struct.pack("<QIIII", memory, vps, initrd, devices, sockets) + struct.pack("<IIIHH", measure, 1, 0, 1, 1) + line
            + device * 16 + struct.pack("<II", services, reserved) + (bytes(16) + struct.pack("<II", serves, tail)) * 2)


def storvsp(memory=16 * MIB, disks=2, restarted=0, size=512, read_only=0, reserved=0, serial=b"disk"):
    disk = struct.pack("<QII", size, read_only, reserved) + (serial + bytes(32 - len(serial)))
    return struct.pack("<QII", memory, disks, restarted) + disk * 8


def netvsp(memory=16 * MIB, restarted=0, reserved=0):
    return struct.pack("<QI", memory, restarted) + bytes(6) + struct.pack("<H", reserved) + bytes(4)


def gpadl(pages=3, length=3 * 4096, offset=0, reserved=0, more=0):
    return struct.pack("<6I", 0, 0xE1E10, length, offset, pages, reserved) + bytes(8 * (pages + more))


def words(*values):
    return struct.pack(f"<{len(values)}I", *values)


def seeds():
    yield "worker", seed(1, worker(), 7)
    for name, change in (("memory", {"memory": 5}), ("memory_most", {"memory": (1 << 46) + 4096}), ("vps", {"vps": 0}),
                         ("vps_most", {"vps": 9}), ("initrd", {"initrd": 2}), ("measure", {"measure": 2}), ("devices", {"devices": 17}),
                         ("sockets", {"sockets": 17}), ("text", {"text": b"a" * 1024}), ("socket", {"socket": 2}),
                         ("services", {"services": 3}), ("services_reserved", {"reserved": 1}), ("serves", {"serves": 2}),
                         ("service_reserved", {"tail": 1})):
        yield "worker_" + name, seed(1, worker(**change), 7)
    yield "worker_fds", seed(1, worker(), 6)
    yield "storvsp", seed(2, storvsp(), 5)
    for name, change in (("memory", {"memory": 0}), ("disks", {"disks": 9}), ("restarted", {"restarted": 2}), ("size", {"size": 513}),
                         ("size_most", {"size": 1 << 63}), ("read_only", {"read_only": 2}), ("reserved", {"reserved": 1}),
                         ("serial", {"serial": b"x" * 32})):
        yield "storvsp_" + name, seed(2, storvsp(**change), 5)
    for name, kind, fds in (("netvsp", 3, 4), ("ic", 4, 2)):
        for fault, change in (("", {}), ("_memory", {"memory": 1}), ("_restarted", {"restarted": 2}), ("_reserved", {"reserved": 1})):
            body = netvsp(**change)
            if kind == 4:
                body = body[:12] + words(change.get("reserved", 0))
            yield name + fault, seed(kind, body, fds)
    for fault, change in (("", {}), ("_memory", {"memory": 1}), ("_restarted", {"restarted": 2})):
        yield "hvsock" + fault, seed(14, netvsp(**change)[:12] + words(0), 2)
    yield "hvsock_reserved", seed(14, netvsp()[:12] + words(1), 2)
    for name, ticket, error, fds in (("", 7, 0, 1), ("_busy", 7, 2, 0), ("_error", 7, 3, 0), ("_busy_fd", 7, 2, 1), ("_no_fd", 7, 0, 0)):
        yield "report" + name, seed(15, words(ticket, error), fds)
    for name, size, nonce in (("", 16, b"n" * 16), ("_most", 64, b"n" * 64), ("_short", 15, b"n" * 15), ("_long", 65, b"n" * 64),
                              ("_behind", 16, b"n" * 17)):
        yield "report_wanted" + name, seed(38, words(7, size) + nonce + bytes(64 - len(nonce)))
    yield "hangup", seed(100, words(2, 0, 0, 0))
    yield "hangup_status", seed(100, words(2, 0, 1, 0))
    for name, kind, fds in (("console", 5, 3), ("vswitch", 6, 0), ("vswitch_uplink", 6, 1), ("shutdown", 10, 0), ("link", 12, 0)):
        flag = 1 if name == "vswitch_uplink" else 0
        yield name, seed(kind, words(flag, 0), fds)
        yield name + "_flag", seed(kind, words(2, 0), fds)
        yield name + "_reserved", seed(kind, words(flag, 1), fds)
    yield "again", seed(7, words(3, 0), 1)
    yield "again_socket", seed(7, words(16, 0), 1)
    yield "again_reserved", seed(7, words(3, 1), 1)
    yield "record_reserved", seed(13, words(3, 1), 1)
    for name, kind, fds in (("port_add", 8, 1), ("port_remove", 9, 0)):
        yield name, seed(kind, words(1) + bytes(8), fds)
        yield name + "_reserved", seed(kind, words(1) + bytes(6) + b"\1\0", fds)
    for name, kind in (("stop", 11), ("ready", 32), ("reset", 68), ("reset_done", 99)):
        yield name, seed(kind, b"")
    yield "status_worker", seed(33, words(1, 0) + bytes(128))
    for name, guest, reserved, text in (("state", 0, 0, 0), ("state_most", 9, 0, 0), ("reserved", 1, 1, 0), ("text", 1, 0, 1)):
        yield "status_worker_" + name, seed(33, words(guest, reserved) + bytes([text]) * 128)
    yield "status_ic", seed(34, words(1, 1, 0, 2))
    yield "status_ic_flag", seed(34, words(1, 2, 0, 2))
    yield "status_net", seed(35, bytes(24))
    yield "status_disk", seed(36, bytes(32))
    yield "status_console", seed(37, bytes(8))
    yield "gpadl", seed(64, gpadl())
    for name, change in (("none", {"pages": 0, "length": 0}), ("more", {"more": 1}), ("range", {"length": 5}), ("empty", {"length": 0}),
                         ("offset", {"offset": 4096}), ("reserved", {"reserved": 1})):
        yield "gpadl_" + name, seed(64, gpadl(**change))
    yield "gpadl_short", seed(64, bytes(8))
    yield "open", seed(65, words(0, 0, 1, 2), 1)
    for name, kind in (("close", 66), ("opened", 96), ("closed", 97)):
        yield name, seed(kind, words(0, 0, 0, 0))
        yield name + "_status", seed(kind, words(0, 0, 5, 0))
        yield name + "_reserved", seed(kind, words(0, 0, 0, 1))
    for name, kind in (("free", 67), ("freed", 98)):
        yield name, seed(kind, words(0, 1))
    yield "gpadl_most", seed(64, gpadl()[:8] + words(8192 * 4096, 0, 8192, 0), fit=3)
    yield "size_wrong", seed(66, words(0, 0, 0, 0), fit=0)[:6] + b"\x19" + seed(66, words(0, 0, 0, 0))[7:]
    yield "unknown", seed(13, bytes(8))
    yield "unknown_far", seed(250, bytes(8))
    yield "other_size", seed(66, bytes(20))
    yield "short", bytes([0, 0, 1, 0, 0])


write("procmsg", seeds())
