# SPDX-License-Identifier: MIT
"""A report of a real boot in the hands of other programs: tpm2_checkquote, tpm2_eventlog, and CBOR and COSE as Python has them."""

import hashlib
import json
import re
import subprocess

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

BANKS = {0x4: "sha1", 0xb: "sha256", 0xc: "sha384", 0xd: "sha512"}
SELECTED = (*range(10), 14, 22)
LABEL = b"redoubt/quote/1\0"


def run(*words):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr.strip()


def qualifying(nonce, key, seed):
    """docs/attestation.md section 5."""
    return hashlib.sha256(LABEL + len(nonce).to_bytes(2, "big") + nonce + hashlib.sha256(key).digest() + seed).digest()


def ecc_key(public):
    """TPM2B_PUBLIC of an ECC P-256 key, without a policy, as PEM: its last 68 bytes are both coordinates with their sizes."""
    x, y = public[-66:-34], public[-32:]
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1())
    return numbers.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def quote(parts, nonce, folder):
    """Complaints of tpm2_checkquote."""
    platform, key = parts[3], parts[4]
    for name, data in (("attest", platform[1]), ("sig", platform[2]), ("ak.pem", ecc_key(platform[3])), ("log", platform[5])):
        (folder / f"interop.{name}").write_bytes(data)
    words = ["tpm2_checkquote", "-u", folder / "interop.ak.pem", "-m", folder / "interop.attest", "-s", folder / "interop.sig", "-g", "sha256"]
    code, _, err = run(*words, "-q", qualifying(nonce, key[1], key[2]).hex())
    bad = [f"tpm2_checkquote: {err}"] if code else []
    code, _, _ = run(*words, "-q", qualifying(nonce[::-1], key[1], key[2]).hex())
    return bad + ([] if code else ["tpm2_checkquote takes another nonce, too: this test proves nothing"])


def event_log(parts, folder):
    """Complaints: PCRs that tpm2_eventlog computes from the log otherwise than quoted."""
    code, out, err = run("tpm2_eventlog", folder / "interop.log")
    if code:
        return [f"tpm2_eventlog: {err[-200:]}"]
    found, bank = {}, None
    for line in out[out.rindex("\npcrs:"):].splitlines():
        if head := re.fullmatch(r"\s+(sha\d+):", line):
            bank = head.group(1)
        elif value := re.fullmatch(r"\s+(\d+)\s*: 0x([0-9a-f]+)", line):
            found[bank, int(value.group(1))] = bytes.fromhex(value.group(2))
    quoted = {(BANKS[b], p): v for b, p, v in parts[3][4]}
    bad = [f"{b}:{p} differs" for (b, p), v in quoted.items() if (any(v) or (b, p) in found) and found.get((b, p)) != v]
    return bad + [f"sha256:{p} is not quoted" for p in SELECTED if ("sha256", p) not in quoted]


def token(parts, nonce):
    """Complaints about the VM token, by RFC 9052 and section 3."""
    message = cbor2.loads(parts[2])
    key = cbor2.loads(parts[4][1])
    if message.tag != 18 or len(message.value) != 4 or message.value[1] != {}:
        return ["no COSE_Sign1"]
    protected, _, payload, signature = message.value
    bad = []
    if cbor2.loads(protected) != {1: -35, 4: hashlib.sha256(parts[4][1]).digest()}:
        bad.append(f"protected header {cbor2.loads(protected)}")
    public = ec.EllipticCurvePublicNumbers(int.from_bytes(key[-2], "big"), int.from_bytes(key[-3], "big"), ec.SECP384R1()).public_key()
    der = utils.encode_dss_signature(int.from_bytes(signature[:48], "big"), int.from_bytes(signature[48:], "big"))
    try:
        public.verify(der, cbor2.dumps(["Signature1", protected, b"", payload]), ec.ECDSA(hashes.SHA384()))
    except InvalidSignature:
        bad.append("the signature does not fit")
    claims = cbor2.loads(payload)
    if claims[10] != nonce or claims[265] != "tag:redoubt,2026:vm/1" or claims[268] != parts[4][2] or len(claims[-70001]) != 48:
        bad.append(f"claims {claims}")
    if cbor2.dumps(claims, canonical=True) != payload:
        bad.append("the payload is not deterministic CBOR")
    return bad


def cel(verify, folder, events):
    """Complaints about the log as CEL-JSON."""
    code, out, err = run(verify, "log", folder / "interop.log", "--cel")
    try:
        records = json.loads(out)
    except ValueError as e:
        return [f"redoubt-verify log --cel: exit {code}, {err}: {e}"]
    wanted = {"recnum", "pcr", "digests", "content_type", "content"}
    bad = [f"record {i} has {sorted(r)}" for i, r in enumerate(records) if not wanted & set(r) >= {"pcr", "digests"}]
    return bad + ([] if len(records) >= events else [f"{len(records)} records"])


def checks(verify, report, nonce, folder):
    """(name, complaints) of each."""
    data = report.read_bytes()
    parts, nonce = cbor2.loads(data), bytes.fromhex(nonce)
    same = [] if cbor2.dumps(parts, canonical=True) == data else ["another CBOR library would write it otherwise"]
    yield "interop-bundle", same
    yield "interop-tpm2_checkquote", quote(parts, nonce, folder)
    yield "interop-tpm2_eventlog", event_log(parts, folder)
    yield "interop-token", token(parts, nonce)
    yield "interop-cel", cel(verify, folder, 20)
