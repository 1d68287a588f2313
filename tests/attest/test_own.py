#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""redoubt-report where there is no host of ours: what it says of its arguments and of the missing channel, and its exit codes.
usage: test_own.py PRODUCT_BUILD_FOLDER. With a host: own-report in tests/system/run_attest.py."""
import os
import pty
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

TOOL = Path(sys.argv[1]) / "redoubt-report"
HEX = "0123456789abcdefABCDEF0123456789" * 4
findings, count = [], 0


def has_vsock():
    try:
        socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()
        return True
    except OSError:
        return False


def run(*words, out=subprocess.PIPE, tool=TOOL, **more):
    done = subprocess.run([tool, *map(str, words)], stdout=out, stderr=subprocess.PIPE, timeout=60, **more)
    return done.returncode, (done.stdout or b"").decode(), done.stderr.decode()


def expect(what, code, text, *words, **more):
    global count
    count += 1
    got, out, err = run(*words, **more)
    lines = (out if code == 0 else err).strip().splitlines()
    if got != code or text not in (out if code == 0 else err) or (code != 0 and (len(lines) != 1 or out)):
        findings.append(f"{what}: exit {got}, wanted {code}; {out[-200:]}{err[-200:]}")


if not TOOL.is_file():
    sys.exit(f"FAIL {TOOL} does not exist: tools/dev build")
with tempfile.TemporaryDirectory() as scratch:
    folder = Path(scratch)
    for size in (0, 63, 64, 65):
        (folder / f"{size}").write_bytes(bytes(size))
    out = folder / "out"
    expect("help", 0, "128 hexadecimal", "--help")
    expect("version", 0, "redoubt-report ", "--version")
    expect("nothing", 1, "--data or --data-file")
    expect("both", 1, "--data or --data-file", "--data", HEX, "--data-file", folder / "64")
    expect("option", 1, "--bad", "--bad")
    expect("value", 1, "--data", "--data")
    expect("word", 1, "more", "--data", HEX, "more")
    for what, text in (("short", HEX[:-1]), ("shorter", HEX[:-2]), ("long", HEX + "0"), ("no digits", "g" + HEX[1:]), ("empty", ""),
                       ("a NUL's place", HEX[:64])):
        expect(f"data: {what}", 1, "128 hexadecimal", "--data", text, "-o", out)
    for size in (0, 63, 65):
        expect(f"file of {size}", 1, "exactly 64 bytes", "--data-file", folder / f"{size}", "-o", out)
    expect("no file", 4, "No such file", "--data-file", folder / "none", "-o", out)
    first, second = pty.openpty()
    expect("terminal", 1, "-o", "--data", HEX, out=second)
    os.close(first)
    os.close(second)
    # A host is not spoken to here: who may not have a port below 1024 comes no further.
    folder.chmod(0o777)
    tool = Path(shutil.copy(TOOL, folder / "tool"))
    nobody = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    expect("no privilege", 2, "run it as root" if has_vsock() else "load the modules", "--data", HEX, "-o", out, tool=tool, **nobody)
    expect("no privilege, a file", 2, ": ", "--data-file", folder / "64", "-o", out, tool=tool, **nobody)
    if out.exists():
        findings.append("a file was made for a report that there is not")
for text in findings:
    print(f"FAIL {text}")
print(f"{count} cases, {len(findings)} findings")
sys.exit(1 if findings else 0)
