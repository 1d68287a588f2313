#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Certificates of endorsement keys: one that swtpm_setup makes, and those that must be refused. usage: test_enroll.py PRODUCT_BUILD_FOLDER"""
import datetime
import struct
import subprocess
import sys

from check import Check
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from evidence import Host

c = Check(sys.argv[1])
START = datetime.datetime(2026, 6, 1)
NOW = ("--time", "2026-07-01T00:00:00Z")
EK, AIK = (x509.ObjectIdentifier(f"2.23.133.8.{n}") for n in (1, 3))


def area(public):
    """TPM2B_PUBLIC of template L-1."""
    body = struct.pack(">HHIH", 1, 11, 0x000300b2, 32) + bytes(32) + struct.pack(">HHHHHI", 6, 128, 0x43, 0x10, 2048, 0)
    body += struct.pack(">H", 256) + public.public_numbers().n.to_bytes(256, "big")
    return struct.pack(">H", len(body)) + body


def certificate(subject, public, issuer, key, ca=False, start=START, purpose=EK, algorithm=None):
    name = [x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, n)]) for n in (subject, issuer)]
    build = x509.CertificateBuilder().subject_name(name[0]).issuer_name(name[1]).public_key(public).serial_number(7)
    build = build.not_valid_before(start).not_valid_after(start + datetime.timedelta(days=400)).add_extension(x509.BasicConstraints(ca, None), True)
    if not ca:
        build = build.add_extension(x509.ExtendedKeyUsage([purpose]), False)
    return build.sign(key, algorithm or hashes.SHA256())


def pem(*certs):
    return b"".join(x.public_bytes(serialization.Encoding.PEM) for x in certs)


c.file("ak", Host().ak.tpm2b())


def enroll(what, code, reason, ek, cert, ca, *more):
    """Accepted, or refused with the reason and without a credential."""
    c.count += 1
    out = c.folder / "credential"
    out.unlink(missing_ok=True)
    (c.folder / "secret").unlink(missing_ok=True)
    got, text, err = c.run("enroll", "--ek", c.file("ek", area(ek)), "--ak", c.folder / "ak", "--out", out, "--secret", c.folder / "secret",
                           "--ek-cert", c.file("cert", cert), "--ca", c.file("ca", ca), *more)
    if got != code or (reason or "") not in err or out.exists() != (code == 0):
        c.findings.append(f"{what}: wanted exit {code} {reason}, got {got}: {text[:100]}{err[:300]}")


root, middle, stranger = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
ek, other = (rsa.generate_private_key(65537, 2048).public_key() for _ in range(2))
authority = certificate("root", root.public_key(), "root", root, ca=True)
between = certificate("middle", middle.public_key(), "root", root, ca=True)
good = certificate("ek", ek, "root", root)
der = good.public_bytes(serialization.Encoding.DER)
enroll("PEM", 0, None, ek, pem(good), pem(authority), *NOW)
enroll("DER", 0, None, ek, der, authority.public_bytes(serialization.Encoding.DER), *NOW)
leaf = certificate("ek", ek, "middle", middle)
enroll("with its intermediate", 0, None, ek, pem(leaf, between), pem(authority), *NOW)
enroll("without it", 2, "no authority", ek, pem(leaf), pem(authority), *NOW)
enroll("another key's", 2, "another key", other, pem(good), pem(authority), *NOW)
enroll("an elliptic curve's", 2, "another key", ek, pem(certificate("ek", stranger.public_key(), "root", root)), pem(authority), *NOW)
enroll("an attestation key's", 2, "purpose", ek, pem(certificate("ek", ek, "root", root, purpose=AIK)), pem(authority), *NOW)
enroll("an authority's", 2, "authority's", ek, pem(certificate("ek", ek, "root", root, ca=True)), pem(authority), *NOW)
enroll("forged issuer", 2, "no authority", ek, pem(certificate("ek", ek, "root", stranger)), pem(authority), *NOW)
enroll("issued by a leaf", 2, "no authority", ek, pem(certificate("ek", ek, "leaf", middle), certificate("leaf", middle.public_key(), "root", root)), pem(authority), *NOW)
enroll("expired", 2, "expired", ek, pem(good), pem(authority), "--time", "2028-01-01T00:00:00Z")
enroll("not yet valid", 2, "not valid yet", ek, pem(good), pem(authority), "--time", "2026-01-01T00:00:00Z")
enroll("cut off", 2, "malformed", ek, der[:-1], pem(authority), *NOW)
enroll("empty", 2, "malformed", ek, b"", pem(authority), *NOW)
enroll("empty authority", 2, "--ca is malformed", ek, der, b"", *NOW)
enroll("authority of noise", 2, "--ca is malformed", ek, der, b"\x30" * 40, *NOW)
enroll("a time that is none", 1, "--time", ek, der, pem(authority), "--time", "tomorrow")
words = ["enroll", "--ek", c.folder / "ek", "--ak", c.folder / "ak", "--out", c.folder / "x", "--secret", c.folder / "y"]
c.refuse("certificate alone", ["--ca"], *words, "--ek-cert", c.folder / "cert")
c.refuse("authority alone", ["--ek-cert"], *words, "--ca", c.folder / "ca")
c.refuse("no such file", ["No such file"], *words, "--ek-cert", c.folder / "absent", "--ca", c.folder / "ca")

# the certificate of an emulated TPM, by its maker's authority
made, authority_of = c.folder / "swtpm", c.folder / "authority"
made.mkdir()
authority_of.mkdir()
c.file("ca.conf", f"statedir = {authority_of}\nsigningkey = {authority_of}/key.pem\nissuercert = {authority_of}/issuer.pem\ncertserial = {authority_of}/serial\n".encode())
c.file("ca.options", b"--platform-manufacturer Redoubt\n--platform-version 1\n--platform-model test\n")
c.file("setup.conf", f"create_certs_tool = /usr/bin/swtpm_localca\ncreate_certs_tool_config = {c.folder}/ca.conf\ncreate_certs_tool_options = {c.folder}/ca.options\n".encode())
done = subprocess.run(["swtpm_setup", "--tpm2", "--tpmstate", made, "--create-ek-cert", "--config", c.folder / "setup.conf", "--write-ek-cert-files", made],
                      capture_output=True, timeout=120)
found = sorted(made.glob("ek-rsa2048*"))
if done.returncode or not found:
    c.findings.append(f"swtpm_setup: exit {done.returncode}: {done.stdout.decode()[-300:]}{done.stderr.decode()[-300:]}")
else:
    real = found[0].read_bytes()
    key = x509.load_der_x509_certificate(real).public_key()
    trusted = b"".join(p.read_bytes() for p in sorted(authority_of.glob("*.pem")) if b"BEGIN CERTIFICATE" in p.read_bytes())
    enroll("swtpm_setup's", 0, None, key, real, trusted)
    enroll("swtpm_setup's, another key", 2, "another key", ek, real, trusted)
    enroll("swtpm_setup's, another authority", 2, "no authority", key, real, pem(authority))
c.finish()
