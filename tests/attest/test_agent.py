#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""attestd with a software TPM and no hypervisor: its keys, activation, requests that it must refuse, its sandbox. Needs root (exit
status 77 without). usage: test_agent.py PRODUCT_BUILD_FOLDER"""
import hashlib
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

if os.geteuid() != 0:
    print("needs root: attestd gives up its identity")
    sys.exit(77)
agent = Path(sys.argv[1]) / "attestd"
findings, count = [], 0
scratch = tempfile.TemporaryDirectory()
folder = Path(scratch.name)


def check(good, text):
    global count
    count += 1
    if not good:
        findings.append(text)


def wait_for(path, process, what):
    end = time.monotonic() + 60
    while not path.exists():
        if process.poll() is not None or time.monotonic() > end:
            sys.exit(f"FAIL {what} does not come up: {(folder / 'log').read_text() if (folder / 'log').exists() else ''}")
        time.sleep(0.05)


def start_tpm():
    for name in ("tpm.sock", "tpm.sock.ctrl"):
        (folder / name).unlink(missing_ok=True)
    p = subprocess.Popen(["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={folder / 'tpm'}", "--server", f"type=unixio,path={folder / 'tpm.sock'}",
                          "--ctrl", f"type=unixio,path={folder / 'tpm.sock.ctrl'}", "--flags", "not-need-init,startup-clear"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(folder / "tpm.sock", p, "swtpm")
    return p


def start_agent(**words):
    (folder / "agent.sock").unlink(missing_ok=True)
    p = subprocess.Popen([agent, "--socket", folder / "agent.sock", "--tpm", folder / "tpm.sock", "--event-log", folder / "events"],
                         stderr=open(folder / "log", "wb"), env=os.environ | words)
    wait_for(folder / "agent.sock", p, "attestd")
    return p


def send(data, patience=60):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(patience)
        s.connect(str(folder / "agent.sock"))
        try:
            s.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        out = b""
        try:
            while piece := s.recv(65536):
                out += piece
        except (socket.timeout, ConnectionResetError):
            pass
        return out


def ask(verb, body=None):
    """(status, object)"""
    data = b"" if body is None else json.dumps(body).encode()
    head = f"{'GET' if body is None else 'POST'} {verb} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(data)}\r\n\r\n"
    answer = send(head.encode() + data)
    top, _, rest = answer.partition(b"\r\n\r\n")
    return int(top.split()[1]), json.loads(rest)


def post(body, *headers):
    return "".join(f"{h}\r\n" for h in ("POST /v1/report HTTP/1.1", *headers, f"Content-Length: {len(body)}", "")).encode() + body


(folder / "tpm").mkdir()
(folder / "events").write_bytes(b"log")
tpm = start_tpm()
process = start_agent()
try:
    status, keys = ask("/v1/ek")
    check(status == 200 and set(keys) == {"ek", "ak"}, f"/v1/ek: {status} {list(keys)}")
    ak = bytes.fromhex(keys["ak"])
    check(ak[2:12] == bytes.fromhex("0023000b000504720000"), f"AK: {ak[:12].hex()}: not ECC, SHA-256, 0x00050472")
    check(bytes.fromhex(keys["ek"])[2:10] == bytes.fromhex("0001000b000300b2"), "EK: not RSA, SHA-256, 0x000300b2")

    # a credential for these keys is opened; for another AK, or nonsense, not
    (folder / "ek").write_bytes(bytes.fromhex(keys["ek"]))
    (folder / "secret").write_bytes(b"thirty-two bytes of a secret key")
    name = "000b" + hashlib.sha256(ak[2:]).hexdigest()
    for what, to, want in (("ours", name, 200), ("another AK's", "000b" + "11" * 32, 422)):
        subprocess.run(["tpm2_makecredential", "-T", "none", "-u", folder / "ek", "-s", folder / "secret", "-n", to, "-o", folder / "credential"],
                       check=True, capture_output=True)
        data = (folder / "credential").read_bytes()[8:]
        n = 2 + int.from_bytes(data[:2], "big")
        status, answer = ask("/v1/activate", {"credential": data[:n].hex(), "secret": data[n:].hex()})
        check(status == want and (want != 200 or bytes.fromhex(answer["secret"]) == (folder / "secret").read_bytes()), f"credential, {what}: {status} {answer}")
    status, answer = ask("/v1/activate", {"credential": "000102", "secret": "00"})
    check(status == 400, f"short secret: {status}")
    status, answer = ask("/v1/report", {"nonce": "00" * 32})
    check(status == 503 and "redoubt" in answer["error"], f"report without a hypervisor: {status} {answer}")

    # what it must refuse, each with its status; and it goes on
    good = b'{"nonce": "' + b"00" * 16 + b'"}'
    for what, want, data in (
            ("path", 404, b"GET /etc/passwd HTTP/1.1\r\n\r\n"), ("path above", 404, b"GET /v1/../v1/ek HTTP/1.1\r\n\r\n"), ("method", 405, b"DELETE /v1/ek HTTP/1.1\r\n\r\n"),
            ("version", 505, b"GET /v1/ek HTTP/2.0\r\n\r\n"), ("no HTTP", 400, bytes(range(1, 10)) + b"\r\n\r\n"), ("NUL", 400, b"GET /v1/ek HTTP/1.1\r\nA: \0\r\n\r\n"),
            ("continued header", 400, b"GET /v1/ek HTTP/1.1\r\nA: b\r\n c\r\n\r\n"), ("space before the colon", 400, b"GET /v1/ek HTTP/1.1\r\nA : b\r\n\r\n"),
            ("chunks", 411, b"POST /v1/report HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), ("two lengths", 400, post(good, "Content-Length: 2")),
            ("length that is none", 400, b"POST /v1/report HTTP/1.1\r\nContent-Length: -1\r\n\r\n"), ("expectation", 417, post(good, "Expect: 100-continue")),
            ("long header", 431, b"GET /v1/ek HTTP/1.1\r\nA: " + b"x" * 4000), ("long body", 413, b"POST /v1/report HTTP/1.1\r\nContent-Length: 8193\r\n\r\n"),
            ("more behind", 400, post(good) + b"GET"), ("no JSON", 400, post(b"nonce")), ("array", 400, post(b"[]")), ("deep", 400, post(b"[" * 4000)),
            ("nonce of 15", 400, post(b'{"nonce": "' + b"00" * 15 + b'"}')), ("nonce of 65", 400, post(b'{"nonce": "' + b"00" * 65 + b'"}')), ("odd nonce", 400, post(b'{"nonce": "' + b"0" * 33 + b'"}')),
            ("no hex", 400, post(b'{"nonce": "' + b"0g" * 16 + b'"}')), ("nonce twice", 400, post(b'{"nonce": "' + b"00" * 16 + b'", "nonce": "' + b"11" * 16 + b'"}')),
            ("unknown key", 400, post(good[:-1] + b', "a": 1}')), ("partition 0", 400, post(good[:-1] + b', "partition": 0}')), ("partition text", 400, post(good[:-1] + b', "partition": "1"}')),
            ("body of a GET", 400, b"GET /v1/ek HTTP/1.1\r\nContent-Length: 1\r\n\r\nx")):
        answer = send(data)
        check(answer.startswith(b"HTTP/1.1 %d " % want) and b'{"error": "' in answer, f"{what}: wanted {want}, got {answer[:80]}")
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(str(folder / "agent.sock"))
        since = time.monotonic()
        status, _ = ask("/v1/ek")
        check(status == 200 and 3 < time.monotonic() - since < 30, f"behind a silent client: {status} after {time.monotonic() - since:.1f} s")
    for _ in range(50):
        send(os.urandom(300), patience=0.01)
    check(ask("/v1/ek") == (200, keys), "after noise: no answer")

    # its sandbox
    facts = dict(line.split(":\t", 1) for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if ":\t" in line)
    check(facts["Uid"].split() == ["60900"] * 4 and facts["Gid"].split() == ["60900"] * 4, f"identity {facts['Uid']}, {facts['Gid']}")
    check(all(int(facts[c], 16) == 0 for c in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")), "it has capabilities")
    check(facts["Seccomp"] == "2" and facts["NoNewPrivs"] == "1", "no filter")
    check(os.listdir(f"/proc/{process.pid}/root") == [], "its root folder is not empty")
    check(stat.S_IMODE(os.stat(folder / "agent.sock").st_mode) == 0o600, "others may connect")
    for name in ("mnt", "net", "ipc", "uts", "cgroup"):
        check(os.readlink(f"/proc/{process.pid}/ns/{name}") != os.readlink(f"/proc/self/ns/{name}"), f"namespace {name} is not its own")

    # each rule of its filter is needed: without it, one of these requests ends it
    subprocess.run(["tpm2_makecredential", "-T", "none", "-u", folder / "ek", "-s", folder / "secret", "-n", "000b" + hashlib.sha256(ak[2:]).hexdigest(), "-o", folder / "credential"], check=True, capture_output=True)
    data = (folder / "credential").read_bytes()[8:]
    n = 2 + int.from_bytes(data[:2], "big")
    good_secret = {"credential": data[:n].hex(), "secret": data[n:].hex()}
    text = (Path(__file__).resolve().parents[2] / "hv/host/attestd/policy.c").read_text()
    for number, rule in enumerate(re.findall(r"SANDBOX_(?:ANY|IOCTL)\((\w+)", text)):
        if rule.startswith("RD_IOCTL") or rule == "clock_gettime":
            continue        # no hypervisor is here, and the clock is read without the kernel
        process.send_signal(signal.SIGTERM)
        process.wait()
        tpm.terminate()
        tpm.wait()
        tpm = start_tpm()
        process = start_agent(REDOUBT_SANDBOX_WITHOUT=str(number))
        for words in (("/v1/ek",), ("/v1/activate", good_secret), ("/v1/report", {"nonce": "00" * 32})):
            try:
                ask(*words)
            except (OSError, IndexError):
                break
        try:
            code = process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            code = "alive"
        check(code == -signal.SIGSYS, f"without its rule {number}, {rule}: {code}")
    subprocess.run(["tpm2_dictionarylockout", "-c"], env=os.environ | {"TPM2TOOLS_TCTI": f"swtpm:path={folder / 'tpm.sock'}"}, capture_output=True)

    # the same TPM has the same keys again
    process.send_signal(signal.SIGTERM)
    process.wait()
    tpm.terminate()
    tpm.wait()
    tpm = start_tpm()
    process = start_agent()
    check(ask("/v1/ek") == (200, keys), "other keys after a restart")

    # the maker vouches for a key of a curve alone: then it is the one; of both: RSA
    def with_certificate(index, text):
        global process, tpm
        process.send_signal(signal.SIGTERM)
        process.wait()
        (folder / "cert").write_bytes(text)
        env = os.environ | {"TPM2TOOLS_TCTI": f"swtpm:path={folder / 'tpm.sock'}"}
        for words in (["tpm2_dictionarylockout", "-c"], ["tpm2_nvdefine", index, "-C", "o", "-s", str(len(text)), "-a", "ownerread|authread|ownerwrite"], ["tpm2_nvwrite", index, "-C", "o", "-i", folder / "cert"]):
            subprocess.run(words, env=env, check=True, capture_output=True)
        tpm.terminate()
        tpm.wait()
        tpm = start_tpm()
        process = start_agent()
        return ask("/v1/ek")[1]

    curve = with_certificate("0x1c0000a", os.urandom(700))
    check(bytes.fromhex(curve["ek"])[2:10] == bytes.fromhex("0023000b000300b2") and curve["ek_certificate"] == (folder / "cert").read_bytes().hex()
          and curve["ak"] == keys["ak"], f"EK of a curve: {curve}")
    (folder / "ek").write_bytes(bytes.fromhex(curve["ek"]))
    (folder / "ak").write_bytes(ak)
    for name in ("credential", "kept"):
        (folder / name).unlink(missing_ok=True)
    subprocess.run([Path(sys.argv[1]) / "redoubt-verify", "enroll", "--ek", folder / "ek", "--ak", folder / "ak", "--out", folder / "credential", "--secret", folder / "kept"], check=True, capture_output=True)
    data = (folder / "credential").read_bytes()[8:]
    n = 2 + int.from_bytes(data[:2], "big")
    status, answer = ask("/v1/activate", {"credential": data[:n].hex(), "secret": data[n:].hex()})
    check(status == 200 and bytes.fromhex(answer["secret"]) == (folder / "kept").read_bytes(), f"enrolled by the key of a curve: {status} {answer}")
    status, answer = ask("/v1/activate", {"credential": data[:n].hex(), "secret": (data[n:-1] + bytes([data[-1] ^ 1])).hex()})
    check(status == 422, f"a point off the curve: {status} {answer}")
    both = with_certificate("0x1c00002", b"0 of RSA")
    check(both["ek"] == keys["ek"] and both["ek_certificate"] == b"0 of RSA".hex(), f"both certificates: {both}")
finally:
    for p in (process, tpm):
        if p.poll() is None:
            p.kill()
        p.wait()
for text in findings:
    print("FAIL", text)
print(f"{count} checks, {len(findings)} findings")
sys.exit(1 if findings else 0)
