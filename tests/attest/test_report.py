#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Every attack on a report has its own reason and exit code; every rule of the policy too. usage: test_report.py PRODUCT_BUILD_FOLDER"""
import hashlib
import json
import struct
import sys

from check import Check
from cryptography.hazmat.primitives.asymmetric import ec
from evidence import FILES, NONCE, SELECTED, Host, Key, Tag, cbor, tagged

c = Check(sys.argv[1])
host = Host()
good, policy = host.bundle(), host.policy()


def judge(what, code, failed, bundle, nonce=NONCE, p=None, *words):
    return c.expect(what, code, failed, "report", c.file("bundle", bundle), "--policy", c.file("policy.json", p or policy),
                    "--nonce", nonce.hex(), *words)


def with_log(change, **words):
    h = Host(ak=host.ak, **words)
    change(h.log)
    return h.bundle()


answer = judge("as it should be", 0, None, good)
if answer.get("attested", {}).get("cmdline_text") != "root=/dev/sda1 quiet" or answer["attested"]["vm_vps"] != 2:
    c.findings.append(f"facts of an accepted report: {answer.get('attested')}")

# parse
for what, data in (("empty", b""), ("cut off", good[:-1]), ("trailing byte", good + b"\0"), ("not CBOR", b"\xff" * 40),
                   ("depth", b"\x81" * 9 + b"\0"), ("length that it has not", b"\xbb" + b"\xff" * 8),
                   ("long integer", b"\xa2\x18\x01" + good[2:]), ("profile that lies", b"x")):
    judge(what, 2, "parse", data)
parts = host.parts()
judge("other profile", 2, "parse", cbor(parts | {1: "tag:redoubt,2026:bundle/2"}))
judge("unknown key", 2, "parse", cbor(parts | {9: 1}))
judge("signature with a tail", 2, "parse", host.bundle(signature=host.sign(host.quote(host.extra(NONCE))) + b"\0"))
judge("AK off its curve", 2, "signature", host.bundle(ak=host.ak.tpm2b(x=host.ak.x[:-1] + bytes([host.ak.x[-1] ^ 1]))), NONCE,
      policy | {"keys": [{"name": "000b" + hashlib.sha256(host.ak.tpm2b(x=host.ak.x[:-1] + bytes([host.ak.x[-1] ^ 1]))[2:]).hexdigest()}]})
judge("not attestable", 4, "parse", cbor({1: "tag:redoubt,2026:bundle/1", 5: [2, "BIOS"]}))

# the quote
extra = host.extra(NONCE)
judge("magic", 2, "attest.magic", host.bundle(attest=host.quote(extra, magic=0xff544348)))
judge("type", 2, "attest.type", host.bundle(attest=host.quote(extra, kind=0x8017)))
judge("trailing", 2, "attest.trailing", host.bundle(attest=host.quote(extra, tail=b"\0")))
judge("another machine's key", 2, "ak.trusted", Host().bundle())
for attributes in (0x00040072, 0x00010072, 0x00070072, 0x00050070, 0x00050052):
    h = Host(ak=host.ak)
    h.attributes = attributes
    judge(f"attributes {attributes:#x}", 2, "ak.attributes", h.bundle(), NONCE, policy | {"keys": [{"name": h.name().hex()}]})
judge("signed by another", 2, "signature", host.bundle(signature=host.sign(host.quote(extra), Key(ec.SECP256R1()))))
attest = host.quote(extra)
for at in (6, 20, 60, len(attest) - 1):
    judge(f"byte {at} of the quote", 2, "parse" if at == 6 else "signature",
          host.bundle(attest=attest[:at] + bytes([attest[at] ^ 0x40]) + attest[at + 1:], signature=host.sign(attest)))
order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551
for what, r, s in (("r 0", 0, 1), ("s 0", 1, 0), ("r n", order, 1), ("s n", 1, order), ("r n + 1", order + 1, 1)):
    judge(what, 2, "signature", host.bundle(signature=struct.pack(">HHH", 0x18, 11, 32) + r.to_bytes(32, "big") + b"\0\x20" + s.to_bytes(32, "big")))
judge("SHA-1 signature", 2, "signature", host.bundle(signature=struct.pack(">HHH", 0x18, 4, 32) + host.sign(attest)[6:]))
judge("old report", 2, "nonce", good, bytes(32))
judge("report key swapped", 2, "nonce", host.bundle(cose=Host().cose))
judge("bootseed swapped", 2, "nonce", host.bundle(seed=bytes(32)))
pcrs = host.log.pcrs()
judge("other PCRs than quoted", 2, "selection", host.bundle(attest=host.quote(extra, select=[("sha256", [11, *SELECTED[1:]]), ("sha384", SELECTED)])))
judge("duplicate bank", 2, "selection", host.bundle(attest=host.quote(extra, select=[("sha256", SELECTED), ("sha256", SELECTED)])))
judge("empty selection", 2, "selection", host.bundle(attest=host.quote(extra, select=[])))
judge("bank without a PCR", 2, "selection", host.bundle(attest=host.quote(extra, select=[("sha256", SELECTED), ("sha384", [])])))
judge("SHA-1 bank", 3, "selection", Host(ak=host.ak, banks=("sha1",)).bundle())
judge("no sha256", 2, "selection", Host(ak=host.ak, banks=("sha384",)).bundle())
few = {k: v for k, v in pcrs.items() if k[1] != 4}
judge("PCR 4 left out", 2, "selection", host.bundle(pcrs=few))
judge("sha384 left out", 2, "selection", host.bundle(pcrs={k: v for k, v in pcrs.items() if k[0] == "sha256"}))
judge("other PCR value", 2, "pcr.composite", host.bundle(pcrs=pcrs | {("sha256", 3): bytes(32)}, attest=attest))
judge("bank that firmware never extended", 2, "pcr.composite", host.bundle(pcrs={k: bytes(48) if k[0] == "sha384" else v for k, v in pcrs.items()}))

# the log
raw = host.log.bytes()
judge("log cut off", 2, "log.parse", host.bundle(log=raw[:-1]))
judge("log with a tail", 2, "log.parse", host.bundle(log=raw + bytes(3)))
judge("log with fill, allowed", 0, None, host.bundle(log=raw + bytes(64)), NONCE, policy | {"log_fill": "allowed"})
h = Host(ak=host.ak)
h.log.events = list(host.log.events)
h.log.events[3], h.log.events[4] = h.log.events[4], h.log.events[3]
judge("separators of two PCRs swapped: their order is not covered", 0, None, host.bundle(log=h.log.bytes()))
for what, change in (("dropped", lambda e: e.pop(0)), ("swapped", lambda e: e.insert(18, e.pop(17))), ("twice", lambda e: e.insert(1, e[0])),
                     ("other digest", lambda e: e.__setitem__(0, (0, 8, b"firmware 1", {b: hashlib.new(b, b"x").digest() for b in ("sha256", "sha384")}))),
                     ("hidden as EV_NO_ACTION", lambda e: e.__setitem__(0, (0, 3, *e[0][2:]))),
                     ("one bank only", lambda e: e.__setitem__(0, (*e[0][:3], e[0][3] | {"sha384": bytes(48)}))),
                     ("locality", lambda e: e.insert(0, (0, 3, b"StartupLocality\0\3", {"sha256": bytes(32), "sha384": bytes(48)})))):
    h = Host(ak=host.ak)
    h.seed, h.key, h.cose = host.seed, host.key, host.cose
    h.log.events = list(host.log.events)
    change(h.log.events)
    judge(f"event {what}", 2, "log.replay", host.bundle(log=h.log.bytes()))
zero = {"sha256": bytes(32), "sha384": bytes(48)}
for what, change in (
        ("unknown type", lambda log: log.add(1, 0x777, b"x")), ("second separator", lambda log: log.events.insert(5, (1, 4, bytes(4), {b: hashlib.new(b, bytes(4)).digest() for b in log.banks}))),
        ("EV_NO_ACTION with a digest", lambda log: log.events.insert(1, (0, 3, b"x" * 20, dict.fromkeys(("sha256",), b"\1" * 32) | {"sha384": bytes(48)}))),
        ("locality after the first event", lambda log: log.events.insert(1, (0, 3, b"StartupLocality\0\3", zero))),
        ("event after ExitBootServices", lambda log: log.add(2, 1, b"x")), ("something else in PCR 22", lambda log: log.add(22, 13, b"x")),
        ("a second key", lambda log: log.add(22, 6, tagged({1: 7, 2: bytes(48), 3: 0, 5: b"", 6: bytes(32)}))),
        ("no end", lambda log: log.events.pop()), ("no separator of PCR 3", lambda log: log.events.remove(next(e for e in log.events if e[:2] == (3, 4)))),
        ("event of PCR 22 out of order", lambda log: log.events.insert(-6, log.events.pop(-5)))):
    judge(what, 2, "log.rules", with_log(change))
for what, change in (("separator that hides", lambda log: log.events.__setitem__(2, (0, 4, bytes(4), {b: hashlib.new(b, b"evil").digest() for b in log.banks}))),
                     ("own event with other data", lambda log: log.events.__setitem__(-1, (*log.events[-1][:3], {b: hashlib.new(b, b"y").digest() for b in log.banks}))),
                     ("command line that is not its digest", lambda log: log.events.__setitem__(-3, (22, 6, *(lambda d: (d, {b: hashlib.new(b, d).digest() for b in log.banks}))(
                         tagged({1: 5, 2: bytes(48), 3: 3, 4: b"abc"})))))):
    judge(what, 2, "log.data", with_log(change))

# reference values: one byte of each thing that is loaded
for name, data in FILES.items():
    h = Host(ak=host.ak, files=FILES | {name: data[:-1] + b"?"})
    judge(f"one byte of {name}", 3, "reference", h.bundle())
judge("another GRUB", 3, "reference", with_log(lambda log: log.events.__setitem__(11, (4, 0x80000003, b"p", {b: hashlib.new(b, b"evil").digest() for b in log.banks}))))
judge("one more application, retyped", 3, "reference", with_log(lambda log: log.events.insert(12, (4, 13, b"p", {b: hashlib.new(b, b"evil").digest() for b in log.banks}))))
judge("another redoubt.elf read", 3, "reference", with_log(lambda log: log.events.__setitem__(13, (9, 13, b"p", {b: hashlib.new(b, b"evil").digest() for b in log.banks}))))
image = b"MZ\x90\0" + bytes(60) + b"PE\0\0" + bytes(100)     # small enough to be the event's own data
judge("one more application, dressed up as an action", 3, "reference", with_log(lambda log: log.events.insert(12, (4, 0x80000007, image, {b: hashlib.new(b, image).digest() for b in log.banks}))))
judge("one more application, dressed up as a separator of the loader's", 2, "log.rules", with_log(lambda log: log.events.insert(12, (4, 4, image, {b: hashlib.new(b, image).digest() for b in log.banks}))))
for pcr, what in ((8, "the loader ran another command, too"), (9, "the loader read another file, too")):
    for kind in (13, 5, 4):       # whatever its type says
        judge(f"{what}, type {kind}", 3, "reference", with_log(lambda log: log.events.insert(14, (pcr, kind, b"linux /vmlinuz", {b: hashlib.new(b, b"linux /vmlinuz").digest() for b in log.banks}))))
for pcr in (8, 9):
    judge(f"the loader measured nothing into PCR {pcr}", 3, "reference", with_log(lambda log: log.events.remove(next(e for e in log.events if e[0] == pcr))))
for name, value in (("boot_applications", "any"), ("loader_commands", "any"), ("loaded_files", "any"), ("unexplained", [8])):
    answer = judge(f"{value} as {name}", 0, None, good, NONCE, policy | {name: value})
    text = next((k["text"] for k in answer.get("checks", []) if k["id"] == "reference"), "")
    if "ANY LOADER" not in text or answer["attested"].get("loader_judged") is not False:
        c.findings.append(f"{name}: the answer does not say that the loader is not judged: {text}")
judge("pinned PCR", 0, None, good, NONCE, policy | {"pcrs": {"1-9,14": "any", "0": [pcrs["sha256", 0].hex()]}})
judge("pinned PCR differs", 3, "reference", good, NONCE, policy | {"pcrs": {"1-9,14": "any", "0": ["00" * 32]}})

# the report key and the token
h = Host(ak=host.ak)
h.key, h.cose = host.key, host.cose
h.log.events = [e for e in host.log.events]
h.seed = bytes(32)
judge("seed that was not measured", 2, "key.binding", h.bundle())
h = Host(ak=host.ak)
h.log.events, h.seed = list(host.log.events), host.seed
judge("key that was not measured", 2, "key.binding", h.bundle())
token = host.token()
protected = cbor({1: -35, 4: hashlib.sha256(host.cose).digest()})
for what, data in (("another algorithm", host.token(alg=-7)), ("algorithm in the unprotected header", host.token(unprotected={1: -35})),
                   ("no tag", token[1:]), ("tag 17", b"\xd1" + token[1:]), ("trailing byte", token + b"\0"), ("signature cut off", cbor(Tag(18, [protected, {}, host.claims(), bytes(95)]))),
                   ("detached payload", b"\xd2\x84" + cbor(protected) + b"\xa0\xf6" + cbor(bytes(96)))):
    judge(f"token: {what}", 2, "token.parse", host.bundle(token=data))
judge("token: another key", 2, "token.signature", host.bundle(token=host.token(key=Key(ec.SECP384R1()))))
judge("token: another kid", 2, "token.signature", host.bundle(token=host.token(kid=bytes(32))))
judge("token: one bit of the payload", 2, "token.signature", host.bundle(token=token.replace(bytes(64), bytes(63) + b"\1")))
judge("token: no signature", 2, "token.signature", host.bundle(token=cbor(Tag(18, [protected, {}, host.claims(), bytes(96)]))))
for what, payload in (("other profile", host.claims(c265="tag:redoubt,2026:vm/2")), ("unknown claim", host.claims(c300=1)), ("debug flag and dbgstat", host.claims(c263=0)),
                      ("policy with an unknown flag", host.claims(flags=4)), ("short nonce", host.claims(b"x" * 15))):
    judge(f"token: {what}", 2, "token.profile", host.bundle(token=host.token(payload)))
judge("token: other nonce", 2, "token.nonce", host.bundle(token=host.token(host.claims(bytes(32)))))
judge("token: other boot", 2, "token.bootseed", host.bundle(token=host.token(host.claims(c268=bytes(32)))))
judge("token: other hypervisor", 2, "token.hypervisor", host.bundle(token=host.token(host.claims(m70003=bytes(48)))))
judge("token: other svn", 2, "token.hypervisor", host.bundle(token=host.token(host.claims(m70004=9))))

# the policy
judge("another VM", 3, "vm.measurement", host.bundle(token=host.token(host.claims(m70001=bytes(48)))))
judge("any VM", 0, None, host.bundle(token=host.token(host.claims(m70001=bytes(48)))), NONCE, policy | {"vms": "any"})
judge("this instance", 0, None, good, NONCE, policy, "--vm", bytes(range(16)).hex())
judge("another instance", 3, "vm.measurement", good, NONCE, policy, "--vm", bytes(16).hex())
debug = host.bundle(token=host.token(host.claims(flags=1)))
judge("debug", 3, "vm.debug", debug)
judge("debug allowed", 0, None, debug, NONCE, policy | {"debug": "allowed"})
judge("not isolated", 3, "vm.policy", good, NONCE, policy | {"isolation": "required"})
judge("isolated", 0, None, host.bundle(token=host.token(host.claims(flags=2))), NONCE, policy | {"isolation": "required"})
judge("root asked", 3, "vm.policy", host.bundle(token=host.token(host.claims(m70006=1))), NONCE, policy | {"origin": "guest"})
judge("old VM", 3, "svn", host.bundle(token=host.token(host.claims(vm_svn=1))))
judge("old hypervisor", 3, "svn", good, NONCE, policy | {"minimum_hypervisor": 4})
judge("expired policy", 3, "age", good, NONCE, policy | {"expires": "2026-01-31T00:00:00Z"})
judge("before it expires", 0, None, good, NONCE, policy | {"expires": "2026-01-31T00:00:00Z"}, "--time", "2026-01-30T00:00:00Z")
judge("reset", 3, "reset", good, NONCE, policy | {"reset_count": 4})
judge("not reset", 0, None, good, NONCE, policy | {"reset_count": 5})
alone = host.bundle(token=None)
judge("host alone, VM wanted", 3, "token.parse", alone)
judge("host alone", 0, None, alone, NONCE, policy | {"report": "host"})
judge("VM, host wanted", 3, "token.parse", good, NONCE, policy | {"report": "host"})

# a policy that is not one: file, line, key, remedy
text = json.dumps(policy, indent=1)
for what, data, words in (
        ("unknown key", text.replace('"debug"', '"debgu"', 1), ["policy.json:", "debgu: unknown key"]),
        ("missing key", json.dumps({k: v for k, v in policy.items() if k != "debug"}), ["debug: is missing"]),
        ("twice", text.replace('"debug"', '"origin": "any",\n "debug"', 1), ["duplicate"]), ("not JSON", "{", ["policy.json:1"]),
        ("no keys", json.dumps(policy | {"keys": []}), ["keys: ", "nothing is trusted"]), ("not an object", "[]", ["object"]),
        ("SHA-1 name", json.dumps(policy | {"keys": [{"name": "0004" + "00" * 20}]}), ["keys: "]),
        ("short digest", json.dumps(policy | {"kernel": ["00"]}), ["kernel: not a digest of 96"]),
        ("empty list", json.dumps(policy | {"kernel": []}), ["kernel: write"]), ("PCR missing", json.dumps(policy | {"pcrs": {"0": "any"}}), ["pcrs: "]),
        ("word", json.dumps(policy | {"debug": "yes"}), ['debug: write "refused" or "allowed"']), ("negative", json.dumps(policy | {"minimum_vm": -1}), ["minimum_vm: "]),
        ("date", json.dumps(policy | {"expires": "tomorrow"}), ["expires: "]), ("empty", "", ["policy.json:"]), ("PCR 22", json.dumps(policy | {"unexplained": [22]}), ["unexplained: "])):
    c.refuse(f"policy: {what}", words, "report", c.file("b", good), "--policy", c.file("policy.json", data.encode()), "--nonce", NONCE.hex())
line = text.splitlines().index(next(s for s in text.splitlines() if '"debug"' in s)) + 1
c.refuse("policy: line", [f"policy.json:{line}: debug:"], "report", c.file("b", good), "--policy", c.file("policy.json", text.replace("refused", "x", 1).encode()
         if text.index('"debug"') < text.index('"log_fill"') else b""), "--nonce", NONCE.hex())
c.refuse("no nonce", ["--no-freshness"], "report", c.file("b", good), "--policy", c.file("policy.json", policy))
c.refuse("short nonce", ["--nonce"], "report", c.file("b", good), "--policy", c.file("policy.json", policy), "--nonce", "00" * 15)
c.refuse("no policy", ["--policy"], "report", c.file("b", good), "--nonce", NONCE.hex())
c.refuse("no file", ["No such file"], "report", c.folder / "absent", "--policy", c.file("policy.json", policy), "--nonce", NONCE.hex())
c.refuse("unknown option", ["--polly"], "report", c.file("b", good), "--polly", "x")
c.refuse("unknown verb", ["unknown verb"], "reprot")

# many reports of one host, and another's among them
files = [c.file(f"b{i}", host.bundle(token=host.token(host.claims(m70005=struct.pack(">Q", i) * 8)))) for i in range(5)]
files[3] = c.file("other", Host().bundle())
got, out, _ = c.run("report", "--batch", "--policy", c.file("policy.json", policy), "--nonce", NONCE.hex(), *files)
c.count += 1
if got != 2 or [s.split()[0] for s in out.splitlines()] != ["ACCEPTED"] * 3 + ["REJECTED", "ACCEPTED"]:
    c.findings.append(f"batch: exit {got}: {out}")
got, out, _ = c.run("report", "--batch", "--json", "--policy", c.folder / "policy.json", "--nonce", NONCE.hex(), *files)
rows = [json.loads(s) for s in out.splitlines()]
if [r["exit"] for r in rows] != [0, 0, 0, 2, 0] or [r["attested"]["report_data"][:16] for r in rows if r["exit"] == 0] != [f"{i:016x}" for i in (0, 1, 2, 4)]:
    c.findings.append(f"batch as JSON: {out[:500]}")
c.finish()
