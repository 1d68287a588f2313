#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Seeds of what the manager reads: definition files and requests of clients. usage: fuzz/seeds/manager.py"""
import json

from records import write

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


def as_bytes(seeds):
    return ((name, text.encode("utf-8", "surrogateescape")) for name, text in seeds)


write("definition", as_bytes(definitions()))
write("request", as_bytes(requests()))
