#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The other verbs, certificates, the example policies, and hostile input: no crash, no second, no 64 MiB.
usage: test_tools.py PRODUCT_BUILD_FOLDER"""
import datetime
import json
import random
import resource
import subprocess
import sys


from check import ROOT, Check
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from evidence import FILES, NONCE, Host

c = Check(sys.argv[1])
host = Host()
good, policy = host.bundle(), host.policy()
VECTORS = ROOT / "tests/attest/vectors"


def judge(what, code, failed, bundle, p=None, *words):
    return c.expect(what, code, failed, "report", c.file("bundle", bundle), "--policy", c.file("policy.json", p or policy), "--nonce", NONCE.hex(), *words)


def say(what, good):
    c.count += 1
    if not good:
        c.findings.append(what)


# nonces
nonces = {c.run("nonce")[1].strip() for _ in range(20)}
say(f"nonces: {nonces}", len(nonces) == 20 and {len(n) for n in nonces} == {64})
say("a nonce of 16 bytes", len(c.run("nonce", "16")[1].strip()) == 32)
say("a nonce as JSON", len(json.loads(c.run("nonce", "--json", "24")[1])["nonce"]) == 48)
for words in (["nonce", "15"], ["nonce", "65"], ["nonce", "x"], ["nonce", "16", "17"], ["inspect"], ["log"], [], ["quote"], ["enroll"], ["make-policy"]):
    c.refuse(f"usage of {words}", ["redoubt-verify"], *words)
say("--help", c.run("--help")[0] == 0 and "Exit codes" in c.run("--help")[1])

# inspect: everything under "unverified"
code, out, _ = c.run("inspect", c.file("b", good))
seen = json.loads(out)
say(f"inspect: {list(seen)}", code == 0 and list(seen) == ["unverified"] and seen["unverified"]["ak_name"] == host.name().hex()
    and [e["what"] for e in seen["unverified"]["log"] if "what" in e] == [1, 2, 3, 4, 5, 7, 8])
code, out, _ = c.run("inspect", c.file("b", good[:-1]))
say("inspect of a cut bundle", code == 2 and list(json.loads(out)) == ["unverified"])

# make-policy: learned, and from a build's digests
made = c.folder / "made.json"
say("make-policy --from", c.run("make-policy", "--from", c.file("b", good), "--out", made)[0] == 0)
c.expect("learned policy", 0, None, "report", c.file("b", good), "--policy", made, "--nonce", NONCE.hex())
other = Host(ak=host.ak, files=FILES | {"kernel": b"another"})
c.expect("learned policy, another kernel", 3, "reference", "report", c.file("b2", other.bundle()), "--policy", made, "--nonce", NONCE.hex())
bent = bytearray(good)
bent[good.index(host.log.bytes()) + 200] ^= 1
for what, words, data in (("a log that the quote does not cover", [], bytes(bent)), ("another host", ["--ak-name", "000b" + "11" * 32], good)):
    code, out, err = c.run("make-policy", "--from", c.file("b4", data), *words, "--out", c.folder / "none.json")
    say(f"make-policy --from {what}: exit {code} {err}", code == 2 and not out and "nothing to learn from" in err and not (c.folder / "none.json").exists())
digests = [w for n in FILES for w in (f"--{n}", policy[n][0])]
build = ["make-policy", "--ak-name", host.name().hex(), *digests, "--svn", "3", "--vm", "one=" + policy["vms"][0]["measurement"], "--out", made]
files = c.file("files.sha256", f"{'00' * 32}  /vmlinuz\n{policy['loaded_files'][0]}  /redoubt.elf\n".encode())
loader = ["--boot-application", policy["boot_applications"][0], "--loader-command", policy["loader_commands"][0], "--loaded-file", files]
say("make-policy of a build", c.run(*build, *loader)[0] == 0)
c.expect("policy of a build", 0, None, "report", c.file("b", good), "--policy", made, "--nonce", NONCE.hex())
c.expect("policy of a build, another kernel", 3, "reference", "report", c.file("b2", other.bundle()), "--policy", made, "--nonce", NONCE.hex())
for i in range(0, len(loader), 2):      # a loader that nobody judges has to be wanted in words
    c.refuse(f"make-policy without {loader[i]}", [loader[i], "--any-loader"], *build, *loader[:i], *loader[i + 2:])
    c.refuse(f"make-policy with an empty {loader[i]}", [loader[i]], *build, *loader[:i], loader[i], c.file("empty", b""), *loader[i + 2:])
    c.refuse(f"make-policy with a bad {loader[i]}", [f"bad.sha256:2: a line"], *build, *loader[:i], loader[i],
             c.file("bad.sha256", f"{'00' * 32}\n{'00' * 31}xx  f\n".encode()), *loader[i + 2:])
say("make-policy --any-loader", c.run(*build, "--any-loader")[0] == 0 and "ANY LOADER" in c.run("report", c.file("b", good), "--policy", made, "--nonce", NONCE.hex())[1])
grub = Host(ak=host.ak)
grub.key, grub.cose = host.key, host.cose
grub.log.events = [e for e in host.log.events if e[0] != 8]
c.refuse("make-policy --from a loader that does not measure", ["--loader-command", "PCR 8"], "make-policy", "--from", c.file("b3", grub.bundle()), "--out", made)

# the examples: as they stand they are read, and reject this host by its key; with its key they accept
for path in sorted((ROOT / "docs/examples").glob("policy-*.json")):
    example = json.loads(path.read_text())
    c.expect(f"{path.name} and an unknown host", 2, "ak.trusted", "report", c.file("b", good), "--policy", path, "--nonce", NONCE.hex())
    mine = {k: v for k, v in policy.items() if k in FILES or k in ("vms", "boot_applications", "loader_commands", "loaded_files")}
    example = example | {"keys": policy["keys"]} | {k: mine[k] for k in mine if example[k] not in ("any", [])}
    bundle = host.bundle(token=None) if example["report"] == "host" else good
    c.expect(f"{path.name} with this host's values", 0, None, "report", c.file("b", bundle), "--policy", c.file("example.json", example), "--nonce", NONCE.hex())
say("there are two examples or more", len(list((ROOT / "docs/examples").glob("policy-*.json"))) >= 2)

# CEL
code, out, _ = c.run("log", VECTORS / "logs/arch-linux-workstation.bin", "--cel")
records = json.loads(out)
say("CEL", code == 0 and len(records) == 24 and [r["recnum"] for r in records] == list(range(24)) and records[0]["digests"][1]["hashAlg"] == "sha256")
say("CEL of a cut log", c.run("log", c.file("cut", host.log.bytes()[:-1]), "--cel")[:2] == (2, ""))

# certificates: an authority, an intermediate, the key's own
NOW = datetime.datetime(2026, 6, 1)
AIK = x509.ObjectIdentifier("2.23.133.8.3")


def certificate(subject, public, issuer, key, ca=False, start=NOW, purpose=AIK, algorithm=None):
    name = [x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, n)]) for n in (subject, issuer)]
    build = x509.CertificateBuilder().subject_name(name[0]).issuer_name(name[1]).public_key(public).serial_number(7)
    build = build.not_valid_before(start).not_valid_after(start + datetime.timedelta(days=400))
    build = build.add_extension(x509.BasicConstraints(ca, None), True)
    if not ca and purpose:
        build = build.add_extension(x509.ExtendedKeyUsage([purpose]), False)
    return build.sign(key, algorithm or hashes.SHA256())


def der(cert):
    return cert.public_bytes(serialization.Encoding.DER)


root, middle, stranger = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
ak = host.ak.private.public_key()
authority = certificate("root", root.public_key(), "root", root, ca=True)
c.file("ca.pem", authority.public_bytes(serialization.Encoding.PEM))
between = certificate("middle", middle.public_key(), "root", root, ca=True)
trust = policy | {"keys": [{"certificate_authority": "ca.pem"}]}
when = ("--time", "2026-07-01T00:00:00Z")
leaf = certificate("ak", ak, "middle", middle)
for what, certs, code, failed in (
        ("chain", [leaf, between], 0, None), ("issued by the root", [certificate("ak", ak, "root", root)], 0, None), ("no certificate", [], 4, "ak.trusted"),
        ("no intermediate", [leaf], 2, "ak.trusted"), ("another key's", [certificate("ak", stranger.public_key(), "root", root)], 2, "ak.trusted"),
        ("self-signed", [certificate("ak", ak, "ak", host.ak.private)], 2, "ak.trusted"), ("forged issuer", [certificate("ak", ak, "root", stranger)], 2, "ak.trusted"),
        ("issued by a leaf", [certificate("ak", ak, "leaf", middle), certificate("leaf", middle.public_key(), "root", root)], 2, "ak.trusted"),
        ("an authority's", [certificate("ak", ak, "root", root, ca=True)], 2, "ak.trusted"), ("another purpose", [certificate("ak", ak, "root", root, purpose=x509.oid.ExtendedKeyUsageOID.SERVER_AUTH)], 2, "ak.trusted"),
        ("expired", [certificate("ak", ak, "root", root, start=NOW - datetime.timedelta(days=500))], 2, "ak.trusted"), ("not yet valid", [certificate("ak", ak, "root", root, start=NOW + datetime.timedelta(days=100))], 2, "ak.trusted"),
        ("SHA-1", [certificate("ak", ak, "root", root, algorithm=hashes.SHA1())], 2, "ak.trusted")):
    host.certs = [der(x) for x in certs]
    judge(f"certificate: {what}", code, failed, host.bundle(), trust, *when)
host.certs = [der(leaf)[:-1]]
judge("certificate: cut off", 2, "ak.trusted", host.bundle(), trust, *when)
host.certs = []
c.refuse("no such authority", ["keys: ", "certificate_authority"], "report", c.file("b", good), "--policy",
         c.file("policy.json", policy | {"keys": [{"certificate_authority": "absent.pem"}]}), "--nonce", NONCE.hex())


# hostile input: within a second of processor time and 64 MiB, and never a signal
def limits():
    resource.setrlimit(resource.RLIMIT_CPU, (1, 2))


def survives(what, *words):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([c.tool, *map(str, words)], capture_output=True, preexec_fn=limits, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    say(f"{what}: exit {done.returncode}, {cpu:.2f} s, {after.ru_maxrss} KiB", 0 <= done.returncode <= 4 and cpu <= 1 and after.ru_maxrss <= 65536)
    return done


def tells_nothing(what, *words):
    """An answer about hostile bytes, in all its forms: the program's own words, and the rest under "unverified"."""
    forms = [survives(what, *words, *form) for form in (["--json"], [])]
    bad = c.clean(json.loads(forms[0].stdout), forms[1].stdout.decode())
    say(f"{what}: {bad}", not bad and not any(f.stderr for f in forms) and len({f.returncode for f in forms}) == 1)
    return forms[0].returncode


MIB = 1 << 20
p = c.file("policy.json", policy)
ask = ["--policy", p, "--nonce", NONCE.hex()]
log = host.log.bytes()
entry = (b"\x01\0\0\0\x01\0\0\0\x02\0\0\0" + b"\x0b\0" + bytes(32) + b"\x0c\0" + bytes(48) + b"\0\0\0\0")
for what, words in (
        ("1 MiB of zeros", ["report", c.file("h", bytes(MIB)), *ask]), ("1 MiB of arrays", ["report", c.file("h", b"\x81" * MIB), *ask]),
        ("more than 1 MiB", ["report", c.file("h", bytes(MIB + 1)), *ask]), ("array of many", ["report", c.file("h", b"\x9a\x00\x0f\xff\xf0" + bytes(MIB - 16)), *ask]),
        ("map of many", ["report", c.file("h", b"\xba\x00\x07\xff\xf0" + bytes(MIB - 16)), *ask]), ("log of 1 MiB", ["log", c.file("h", (log + entry * (MIB // len(entry)))[:MIB])]),
        ("log of 8192 events", ["log", c.file("h", log + entry * (8192 - len(host.log.events)))]), ("log of one large event", ["log", c.file("h", log + entry[:-4] + (MIB - len(log) - len(entry)).to_bytes(4, "little") + bytes(MIB - len(log) - len(entry)))]),
        ("bundle with a large log", ["report", c.file("h", host.bundle(log=(log + entry * 8000)[:MIB - 9000])), *ask]), ("policy of 1 MiB", ["report", c.file("b", good), "--policy", c.file("h", b"[" * MIB), "--nonce", "00" * 16]),
        ("policy of one long text", ["report", c.file("b", good), "--policy", c.file("h", b'{"version":"' + b"x" * (MIB - 20) + b'"}'), "--nonce", "00" * 16]),
        ("endless file", ["log", "/dev/zero"])):
    survives(what, *words)
rng = random.Random(5)
for seed in range(60):  # bytes turned, moved, doubled, cut
    data = bytearray(good if seed % 2 else host.bundle(token=None))
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(data))
        kind = rng.randrange(4)
        if kind == 0:
            data[at] = rng.randrange(256)
        elif kind == 1:
            del data[at:at + rng.randrange(64)]
        elif kind == 2:
            data[at:at] = data[at:at + rng.randrange(64)]
        else:
            data[at:at + 8] = rng.randbytes(8)
    if tells_nothing(f"mutation {seed}", "report", c.file("h", bytes(data)), *ask) == 0:
        c.findings.append(f"mutation {seed} was accepted")
    if seed % 2:
        continue
    bent = bytearray(log)
    for _ in range(rng.randint(1, 4)):
        bent[rng.randrange(len(bent))] = rng.randrange(256)
    tells_nothing(f"log {seed}", "log", c.file("h", bytes(bent)), *(["--own"] if seed % 4 else []))
QUOTE = {"attest": host.quote(host.extra(NONCE)), "sig": host.sign(host.quote(host.extra(NONCE))), "ak": host.ak.tpm2b(), "log": log,
         "pcrs": "".join(f"{b}:{p} {v.hex()}\n" for (b, p), v in host.log.pcrs().items()).encode()}
for name in ("attest", "sig", "ak", "log"):  # pcrs: the caller's own file
    for at in range(0, len(QUOTE[name]), max(1, len(QUOTE[name]) // 10)):
        data = bytearray(QUOTE[name])
        data[at] ^= 0xa5
        files = [w for k, v in QUOTE.items() for w in (f"--{k}", c.file(k, bytes(data) if k == name else v))]
        tells_nothing(f"{name} with byte {at} turned", "quote", *files, "--nonce", host.extra(NONCE).hex())
c.finish()
