#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Seeds of what the manager reads: definition files and requests of clients. usage: fuzz/seeds/manager.py"""
import json
import struct

from records import record, write

LEAST = "name: a\nmemory: 64\nkernel: /k\n"


def definitions():
    yield "none", ""
    for value in ("true", "false", "maybe", "[]"):
        yield "attest_" + value.strip("[]"), LEAST + f"attest: {value}\n"
    for value in ("0", "999999999", "1000000000", "-1", "x", "007"):
        yield "svn_" + value, LEAST + f"svn: {value}\n"
    for key, values in {"memory": ("63", "65", "15", "99999999", "64 MiB", "~"), "vps": ("0", "9", "8"), "weight": ("0", "1", "1001"),
                        "name": ("a b", "-a", "a" * 65, "''", "."), "kernel": ("k", "''", "/" + "a" * 5000, "[/k]"),
                        "cmdline": ("a" * 1100, '"a\\x01b"', "{}"), "initrd": ("relative", "/i")}.items():
        for n, value in enumerate(values):
            lines = [line for line in LEAST.splitlines() if not line.startswith(key + ":")]
            yield f"{key}_{n}", "\n".join([*lines, f"{key}: {value}", ""])
    yield "disks_most", LEAST + "disks:\n" + "".join(f"  - path: /d{n}\n" for n in range(9))
    yield "nics_most", LEAST + "nics:\n" + "  - {}\n" * 17
    yield "nics_same", LEAST + "nics:\n  - mac: 02:00:00:00:00:01\n  - mac: 02:00:00:00:00:01\n"
    for n, mac in enumerate(("03:00:00:00:00:01", "02:00:00:00:00", "02-00-00-00-00-01", "00:00:00:00:00:00", "02:00:00:00:00:0g")):
        yield f"mac_{n}", LEAST + f"nics:\n  - mac: {mac}\n"
    yield "disk_without_path", LEAST + "disks:\n  - read_only: true\n"
    yield "disk_truth", LEAST + "disks:\n  - path: /d\n    read_only: perhaps\n"
    yield "disk_key", LEAST + "disks:\n  - path: /d\n    colour: red\n"
    yield "disks_no_list", LEAST + "disks: /d\n"
    yield "nic_no_map", LEAST + "nics:\n  - tap0\n"
    yield "list", "- a\n- b\n"
    yield "scalar", "hello\n"
    yield "utf8_broken", LEAST + "cmdline: \udcff\udcfe\n"
    yield "nul", LEAST + 'cmdline: "a\\0b"\n'
    yield "delete_character", LEAST.replace("/k", '"/k\\x7f"')
    yield "tab", "name:\ta\n\tmemory: 1\n"


def requests():
    yield "none", ""
    keys = {"name": "web", "timeout": 5, "again": True, "definition": LEAST, "file": "/f"}
    takes = {"create": ("definition", "file", "again"), "stop": ("name", "timeout"), "list": (), "nothing": ()}
    for verb in ("create", "delete", "start", "stop", "kill", "list", "show", "console", "ps", "nothing"):
        yield verb, json.dumps({"verb": verb, **{k: keys[k] for k in takes.get(verb, ("name",))}})
        yield verb + "_alone", json.dumps({"verb": verb})
        yield verb + "_all", json.dumps({"verb": verb, **keys})
    for key, bad in (("name", "../x"), ("file", 5), ("file", "f" * 5000), ("definition", "a\0b"), ("again", 1), ("timeout", -1), ("timeout", 3601)):
        yield f"bad_{key}_{len(str(bad))}", json.dumps({"verb": "stop" if key == "timeout" else "create", key: bad})
    yield "timeout_most", json.dumps({"verb": "stop", "name": "web", "timeout": 1 << 40})
    yield "timeout_text", json.dumps({"verb": "stop", "name": "web", "timeout": "soon"})
    yield "name_number", json.dumps({"verb": "start", "name": 5})
    yield "unknown_key", json.dumps({"verb": "list", "colour": "red"})
    yield "array", "[1, 2]"
    yield "half", '{"verb": "li'
    yield "twice", '{"verb": "list", "verb": "ps"}'
    yield "deep", "[" * 3000


CREATE, DELETE, START, STOP, KILL, LIST, SHOW, CONSOLE, PS, RECORD = range(10)
OFF, STARTING, RUNNING, STOPPING, ENDING, HALTED, PAUSE, FAILED = range(8)


def r(*data):
    return record(bytes(data))


def ask(client, verb, more=0):
    return r(7, verb, client, more)


def becomes(machine, state, text=b"", rest=b"", more=0):
    return next(record(bytes([3, n, 0]) + (text.ljust(40, b"\0") if rest else text) + rest)
                for n in range(more, 256) if n % 3 == machine and (n >> 2) % 8 == state)


def sessions():
    one, two = r(0, 0, 0), r(0, 0, 1)
    made = one + ask(0, CREATE)
    for verb in range(10):
        yield f"verb_{verb}", made + ask(0, verb) + becomes(0, RUNNING) + becomes(0, OFF)
        yield f"none_{verb}", one + ask(0, verb, 3)
        yield f"pieces_{verb}", made + ask(0, verb, 0x80)
        yield f"running_{verb}", made + becomes(0, RUNNING, more=0x80) + ask(0, verb) + ask(0, verb) + becomes(0, OFF)
    yield "create_again", made + ask(0, CREATE) + ask(0, CREATE, 16) + ask(0, CREATE, 8) + ask(0, CREATE, 40) + ask(0, LIST)
    yield "most", one + b"".join(ask(0, CREATE, n) for n in range(4)) + ask(0, LIST) + ask(0, PS, 4) + ask(0, DELETE) + ask(0, LIST)
    yield "waits", made + two + ask(0, START) + ask(1, START) + ask(1, STOP) + becomes(0, RUNNING) + ask(0, KILL) + becomes(0, OFF)
    yield "start_fails", made + ask(0, START) + becomes(0, FAILED, b"no \xff text")
    yield "stop_now", made + ask(0, STOP, 4)
    yield "deleted_while_waiting", made + two + ask(0, START) + ask(1, STOP, 4) + ask(0, STOP) + ask(1, DELETE) + becomes(0, OFF) + ask(1, DELETE)
    yield "gone_while_waiting", made + two + ask(0, START) + ask(1, START) + r(2, 0, 0) + becomes(0, RUNNING)
    yield "shown", made + becomes(0, RUNNING, b"text", bytes([8, 8, 12]) + b"\xff" * 8 + b"\x01", 0x80) + ask(0, SHOW) + ask(0, LIST)
    yield "slow", made + r(1, 1, 0) + ask(0, SHOW) * 3 + r(1, 2, 0) + ask(0, LIST) + r(1, 255, 0)
    yield "slow_gone", made + r(1, 1, 0) + ask(0, SHOW) * 3 + r(2, 0, 0)
    yield "console_slow", made + becomes(0, RUNNING, more=0x80) + r(1, 0, 0) + ask(0, CONSOLE) + ask(0, CONSOLE) + r(1, 1, 0) + r(1, 255, 0)
    yield "console_dropped", made + becomes(0, RUNNING, more=0x80) + r(1, 0, 0) + ask(0, CONSOLE) + r(2, 0, 0)
    yield "lines", one + record(b"\x06\x00\x00\n\n{}\n[]\n{\"verb\":\"list\"}\n{\"verb\":") + record(b"\x06\x00\x00\"ps\"}\n")
    yield "line_without_end", one + record(b"\x06\x80\x00" + b"a" * 250) + ask(0, LIST)
    yield "many_lines", one + record(b"\x06\x80\x00" + b'{"verb":"list"}\n' * 14)
    yield "not_root", r(0, 0xFF, 2) + ask(2, LIST) + two + ask(1, LIST)
    yield "too_many", b"".join(r(0, 0, n) for n in range(18)) + ask(17, LIST) + ask(3, LIST) + r(2, 0, 3) + r(0, 0, 17)
    for how in range(7):
        yield f"start_fails_{how}", bytes([0xFF, how])
    yield "nobody", r(5, 0x83, 0) + one + ask(0, LIST)
    yield "peer_unknown", r(0, 0xFE, 2) + ask(2, LIST)
    for error in range(4):
        yield f"receive_fails_{error}", made + r(5, 7 | error << 3, 0) + ask(0, LIST) + ask(0, SHOW)
        yield f"answer_fails_{error}", made + r(5, 4 | error, 0) + ask(0, LIST) + r(5, 4 | error, 0) + ask(0, START) + becomes(0, RUNNING) + ask(0, SHOW)
        yield f"flush_fails_{error}", made + r(1, 1, 0) + ask(0, SHOW) + r(5, 4 | error, 0) + r(1, 255, 0) + ask(0, LIST)
    yield "start_refused", made + r(5, 0, 0) + ask(0, START) + ask(0, LIST)
    yield "stop_refused", made + r(5, 0, 0) + ask(0, STOP) + r(5, 0, 0) + ask(0, KILL) + r(5, 0, 0) + ask(0, RECORD) + r(5, 0, 0) + ask(0, DELETE)
    yield "keep_refused", made + r(5, 1, 0) + ask(0, CREATE, 16) + ask(0, SHOW) + r(5, 1, 0) + ask(0, DELETE)
    yield "failed", made + becomes(0, FAILED) + ask(0, SHOW) + ask(0, LIST)
    yield "not_yaml", one + record(b'\x06\x00\x00{"verb":"create","definition":"{"}\n{"verb":"create","definition":""}\n{"verb":"create","definition":"[]"}\n')
    for how, name in enumerate(("none", "large", "no_memory")):
        yield f"answer_{name}", made + r(5, 0x43 | how << 3, 0) + ask(0, PS, 4) + ask(0, LIST)
    yield "deleted_while_starting", made + two + ask(0, STOP) + becomes(0, STOPPING) + r(3, 0, 0) + ask(1, DELETE) + becomes(0, OFF)
    for what in range(8):
        for after in range(3):
            fail = r(5, what | after << 3, 0)
            yield f"fails_{what}_{after}", fail + one + fail + ask(0, CREATE) + fail + ask(0, CREATE, 16) + becomes(0, RUNNING, more=0x80) + fail + ask(
                0, CONSOLE) + fail + ask(0, RECORD) + fail + ask(0, STOP) + becomes(0, OFF) + fail + ask(0, DELETE) + ask(0, LIST)


def answers():
    evil = "a\x1b[2J\n\x9b\u20ac\\"
    machine = {"name": evil, "state": "running", "memory_mib": 64, "vps": 2, "reason": "r" * 300, "weight": 5, "kernel": "/k", "initrd": "", "cmdline": evil,
               "partition": 3, "run_ms": 12345, "resets": -1, "recorded": True, "guest": evil, "console_bytes": 1 << 62, "console_log": "/l",
               "integration": {"heartbeats": 1, "timesync": 2, "shutdown_ready": True}, "storage": {"reads": 1},
               "disks": [{"path": evil, "bytes": n, "read_only": n != 1} for n in (-1, 0, 1, 1023, 1024, 1 << 20, (1 << 63) - 1)],
               "nics": [{"mac": evil, "port": 1}, 5], "processes": [{"process": evil, "pid": 1, "deaths": 0}, None]}
    own = {"process": evil, "state": "x", "pid": 1, "uid": 2, "Seccomp": "2", "NoNewPrivs": "1", "root_entries": 0, "namespaces": {"net": "own"},
           "descriptors": {"0": evil, evil: evil, "2": 5}, **{k: "0" for k in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}}
    less = {**own, "Seccomp": "0", "NoNewPrivs": "0", "CapEff": "1ff", "root_entries": None, "namespaces": {"net": evil, evil: 5, "mnt": "own"}}
    full = {"ok": True, "machines": [machine, {}, 5], "machine": machine, "processes": [own, less, {}, {**own, "namespaces": {}, "CapAmb": 7}], "control_groups": evil}

    def one(body, head=(0, 0, 0)):
        return bytes(head) + (body if isinstance(body, bytes) else json.dumps(body).encode() + b"\n")

    web = {"name": "web", "state": "running", "memory_mib": 512, "vps": 2, "reason": "", "weight": 100, "kernel": "/boot/vmlinuz", "initrd": "/boot/initrd.img",
           "cmdline": "root=/dev/sda quiet", "partition": 2, "run_ms": 61234, "resets": 0, "recorded": False, "guest": "Linux", "console_bytes": 40960,
           "console_log": "/var/log/redoubt/web.log", "integration": {"heartbeats": 30, "timesync": 1, "shutdown_ready": True},
           "storage": {"reads": 812, "writes": 44, "flushes": 3, "errors": 0}, "disks": [{"path": "/srv/web.img", "bytes": 1 << 31, "read_only": False}],
           "nics": [{"mac": "52:54:00:12:34:56", "port": 1, "sent": 12, "received": 40, "dropped": 0}],
           "processes": [{"process": "storvsp", "pid": 812, "deaths": 0}]}
    usual = {"ok": True, "machines": [web, {"name": "db", "state": "off", "memory_mib": 64, "vps": 1, "reason": "shut down by its guest"}], "machine": web,
             "processes": [{"process": "storvsp web", "state": "S", "pid": 812, "uid": 64001, "Seccomp": "2", "NoNewPrivs": "1", "root_entries": 0,
                            "namespaces": {"net": "own", "mnt": "own"}, "descriptors": {"0": "/dev/null"}, "CapEff": "0"}], "control_groups": "own"}
    for how in range(3):
        yield f"usual_{how}", one(usual, (0, 0, how))
    for how in range(4):
        yield f"full_{how}", one(full, (0, 0, how))
        yield f"empty_{how}", one({}, (0, 0, how))
        yield f"wrong_{how}", one({"ok": 1, "machines": {}, "machine": [], "processes": 5, "control_groups": 7}, (0, 0, how))
    for fds in range(16):
        yield f"descriptors_{fds}", one({"ok": True}, (fds, 5, 0))
        yield f"descriptors_refused_{fds}", one(b"[]\n", (fds, 1, 0))
    for how in range(1, 9):
        for low in range(5):
            yield f"fails_{how}_{low}", one({"ok": False, "error": "x"}, (3, 4, how << 4 | low))
    yield "no_end", one(b'{"ok": true}')
    yield "nothing", one(b"")
    for text in ({"long text": "x" * 50}, {"\x7f\u00ff": 1}, {}):
        yield f"parts_{len(str(text))}", one(text, (0, 0, 7))
    yield "parts_large", one(b"\xff" * 8, (0, 0, 7)) + b'{}\n'
    yield "parts_line", one(b'\n' * 9 + b'{}\n', (0, 0, 7))
    yield "fails_at_the_end", one({"ok": True}, (0, 0, 0x91))
    yield "two_lines", one(b'{"ok": true}\n{"ok": false}\n', (0, 4, 0))
    yield "twice", one(b'{"ok": true, "ok": false}\n')
    yield "long", one({"ok": True, "x": "y" * 3900})


def logs():
    def one(n, how=0):
        return record(struct.pack("<HB", n, how))

    def start(n, how=0):
        return record(n.to_bytes(3, "little") + bytes([how]))

    yield "empty", start(0) + one(0) + one(1) + one(100)
    yield "turns", start(0) + one(0xFFFF) * 20
    yield "full", start(512 << 10) + one(1) + one(0xFFFF) * 5
    yield "too_large", start((512 << 10) + 1) + one(5)
    yield "too_large_fails", start((512 << 10) + 1, 1) + one(5)
    yield "no_status", start(5, 1)
    for error in range(4):
        for after in range(6):
            how = error + 4 * after or 32
            yield f"fails_{error}_{after}", start((512 << 10) - 10) + one(500, how) + one(0xFFFF) * 5 + one(1, how) + one(0xFFFF, how) * 5


def as_bytes(seeds):
    return ((name, text.encode("utf-8", "surrogateescape")) for name, text in seeds)


write("definition", as_bytes(definitions()))
write("request", as_bytes(requests()))
write("manager", sessions())
write("hvctl", answers())
write("store", logs())
