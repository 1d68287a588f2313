#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Logs and quotes of real machines (tests/attest/vectors) get their verdict. usage: test_cases.py PRODUCT_BUILD_FOLDER"""
import sys

from check import ROOT, Check

VECTORS = ROOT / "tests/attest/vectors"
# What a strict case is refused for, and what the caller types to take it all the same (None: it is never taken).
STRICT = {
    "log-short-no-action-sha1": (2, "log.parse", None),
    "gce-cos85-nononce-sha1": (3, "selection", None),
    "gce-cos85-nononce-sha256": (3, "log.replay", ["--unexplained", "10"]),
    "gce-cos85-nononce-sha384": (3, "log.replay", ["--unexplained", "10"]),
}

c = Check(sys.argv[1])
names, *lines = (VECTORS / "cases.tsv").read_text().splitlines()
for line in lines:
    row = dict(zip(names.split("\t"), line.split("\t")))
    at = {k: VECTORS / v for k, v in row.items() if v != "-" and k in ("attest", "sig", "pub", "pem", "pcrs", "log")}
    if row["kind"] == "log":
        words = ["log", at["log"], "--pcrs", at["pcrs"]]
    else:
        words = ["quote", "--attest", at["attest"], "--sig", at["sig"], "--ak", at.get("pub") or at["pem"], "--pcrs", at["pcrs"]]
        words += ["--log", at["log"]] if "log" in at else []
        words += ["--no-freshness"] if row["nonce"] == "empty" else ["--nonce", row["nonce"]]
    if row["expect"] == "strict":
        code, failed, allow = STRICT[row["id"]]
        c.expect(row["id"], code, failed, *words)
        if allow:
            c.expect(row["id"] + " allowed", 0, None, *words, *allow)
    else:
        c.expect(row["id"], 0, None, *words)
    if row["kind"] == "quote" and row["nonce"] == "empty":  # the empty nonce is an answer to none that is expected
        words.remove("--no-freshness")
        c.expect(row["id"] + " with a nonce", 2, "nonce", *words, "--nonce", "00" * 16)
        c.refuse(row["id"] + " without a nonce", ["--nonce"], *words)
    if "log" in at and row["id"] not in STRICT:  # and nothing of it can be bent
        data = bytearray(at["log"].read_bytes())
        data[len(data) // 2] ^= 1
        bent = c.file("bent", bytes(data))
        got = c.run(*[bent if w == at["log"] else w for w in words])[0]
        c.count += 1
        pcrs = at["pcrs"].read_text()
        c.expect(row["id"] + " other PCRs", 2, "log.replay", *[
            c.file("pcrs", pcrs.replace(pcrs.split()[1], "5" * len(pcrs.split()[1]), 1).encode()) if w == at["pcrs"] else w for w in words])
        c.expect(row["id"] + " cut off", 2, "log.parse", *[c.file("cut", bytes(data[:-1])) if w == at["log"] else w for w in words])
if len(lines) != 21:
    c.findings.append(f"{len(lines)} lines in cases.tsv, not 21")
c.finish()
