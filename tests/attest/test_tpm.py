#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""With a live TPM: Debian's tools take our quote and log, redoubt-verify takes theirs; enrolment; attacks that need the real key.
usage: test_tpm.py PRODUCT_BUILD_FOLDER"""
import json
import sys

import cbor2
from check import Check
from evidence import NONCE
from tpm import LiveHost, Tpm

c = Check(sys.argv[1])
t = Tpm(c.folder)
try:
    t.make_keys()
    host = LiveHost(t)
    good = host.live(NONCE)
    policy = host.policy()

    def judge(what, code, failed, bundle, p=None):
        return c.expect(what, code, failed, "report", c.file("bundle", bundle), "--policy", c.file("policy.json", p or policy), "--nonce", NONCE.hex())

    answer = judge("live report", 0, None, good)
    resets = answer["attested"]["reset_count"]
    judge("pinned to this boot", 0, None, good, policy | {"reset_count": resets})

    # theirs by ours, ours by theirs
    extra = host.extra(NONCE)
    t.run("tpm2_readpublic", "-c", "ak.ctx", "-f", "pem", "-o", "ak.pem")
    t.run("tpm2_checkquote", "-u", "ak.pem", "-m", "q.attest", "-s", "q.sig", "-f", "q.pcrs", "-g", "sha256", "-q", extra.hex())
    c.file("log", host.log.bytes())
    events = t.run("tpm2_eventlog", "log").decode()
    c.count += 2
    if f"{host.log.pcrs()['sha256', 22].hex()}" not in events:
        c.findings.append("tpm2_eventlog: PCR 22 is not what the TPM has")
    files = ["--attest", t.folder / "q.attest", "--sig", t.folder / "q.sig", "--pcrs", t.folder / "q.pcrs"]
    c.expect("quote of tpm2_quote", 0, None, "quote", *files, "--ak", t.folder / "ak.pub", "--nonce", extra.hex(), "--log", t.folder / "log")
    c.expect("with a PEM key", 0, None, "quote", *files, "--ak", t.folder / "ak.pem", "--nonce", extra.hex())
    c.expect("selection as wanted", 0, None, "quote", *files, "--ak", t.folder / "ak.pub", "--nonce", extra.hex(), "--select", "sha256:0-9,14,22+sha384:0-9,14,22")
    c.expect("another selection wanted", 2, "selection", "quote", *files, "--ak", t.folder / "ak.pub", "--nonce", extra.hex(), "--select", "sha256:0-7")
    c.expect("the endorsement key", 2, "ak.attributes", "quote", *files, "--ak", t.folder / "ek.pub", "--nonce", extra.hex())
    c.expect("another nonce", 2, "nonce", "quote", *files, "--ak", t.folder / "ak.pub", "--nonce", "00" * 32)
    for scheme, alg in (("rsassa", "rsa"), ("rsapss", "rsa")):
        t.run("tpm2_createak", "-C", "ek.ctx", "-c", f"{scheme}.ctx", "-G", alg, "-g", "sha256", "-s", scheme, "-u", f"{scheme}.pub")
        t.run("tpm2_quote", "-c", f"{scheme}.ctx", "-l", "sha256:0,1", "-q", "abcd", "-m", "r.attest", "-s", "r.sig", "-o", "r.pcrs", "-g", "sha256", "--scheme", scheme)
        c.expect(scheme, 0, None, "quote", "--attest", t.folder / "r.attest", "--sig", t.folder / "r.sig", "--pcrs", t.folder / "r.pcrs", "--ak", t.folder / f"{scheme}.pub", "--nonce", "abcd")

    # the token by an independent reader
    tag = cbor2.loads(host.token())
    c.count += 1
    if tag.tag != 18 or cbor2.loads(tag.value[0])[1] != -35 or cbor2.loads(tag.value[2])[265] != "tag:redoubt,2026:vm/1" or cbor2.loads(good)[2] is None:
        c.findings.append("cbor2 reads something else out of a token")

    # CVE-2024-29038: the restricted key signs whatever does not begin with TPM_GENERATED
    forged = host.quote(extra, magic=0x52454430)
    (t.folder / "forged").write_bytes(forged)
    t.run("tpm2_hash", "-C", "o", "-g", "sha256", "-o", "digest", "-t", "ticket", "forged")
    t.run("tpm2_sign", "-c", "ak.ctx", "-g", "sha256", "-d", "-t", "ticket", "-o", "forged.sig", "digest")
    judge("forged quote, signed by the real key", 2, "attest.magic", host.bundle(attest=forged, signature=t.file("forged.sig"), ak=t.file("ak.pub")))
    # CVE-2024-29039: PCR 11 and 12 passed off as 8 and 9
    attest, sig = t.quote(extra, "sha256:0,1,2,3,4,5,6,7,11,12,14,22+sha384:0,1,2,3,4,5,6,7,8,9,14,22")
    judge("other PCRs passed off as these", 2, "selection", host.bundle(attest=attest, signature=sig, ak=t.file("ak.pub")))
    attest, sig = t.quote(extra, "sha256:0,1,2,3,4,5,6,7,8,9,14,22")
    judge("bank left out", 2, "selection", host.bundle(attest=attest, signature=sig, ak=t.file("ak.pub")))
    attest, sig = t.quote(bytes(32))
    judge("old quote", 2, "nonce", host.bundle(attest=attest, signature=sig, ak=t.file("ak.pub")))
    # the root tries to add its own key to PCR 22
    t.run("tpm2_pcrextend", "22:sha256=" + "11" * 32, fails=True)
    # and extends a PCR that it can extend
    t.run("tpm2_pcrextend", "8:sha256=" + "11" * 32)
    judge("PCR 8 extended by the root", 2, "pcr.composite", host.live(NONCE))

    # enrolment: the TPM opens the credential for its own key, and for no other
    code, out, err = c.run("enroll", "--ek", t.folder / "ek.pub", "--ak", t.folder / "ak.pub", "--out", t.folder / "credential", "--secret", t.folder / "secret")
    c.count += 1
    if code != 0 or host.name().hex() not in out:
        c.findings.append(f"enroll: exit {code}: {out}{err}")

    code, out, err = c.run("enroll", "--json", "--ek", t.folder / "ek.pub", "--ak", t.folder / "ak.pub", "--out", t.folder / "credential", "--secret", t.folder / "secret")
    c.count += 1
    said = json.loads(out)
    if code != 0 or (said["verdict"], said["failed"], said["unverified"]) != ("UNDECIDED", None, {"ak_name": host.name().hex()}):
        c.findings.append(f"enroll --json: exit {code}: {out}{err}")

    def enrolled(verdict):
        c.count += 1
        code, out, _ = c.run("enroll", "--json", "--check", "--secret", t.folder / "secret", "--recovered", t.folder / "recovered")
        said = json.loads(out)
        quiet = c.run("enroll", "--quiet", "--check", "--secret", t.folder / "secret", "--recovered", t.folder / "recovered")
        if (said["verdict"], said["exit"], quiet[:2]) != (verdict, code, (code, "")) or (code == 0) != (verdict == "ACCEPTED"):
            c.findings.append(f"enroll --check --json: exit {code}: {out}, --quiet: {quiet}")

    def activate(context, fails=False, by="ek.ctx"):
        t.run("tpm2_startauthsession", "--policy-session", "-S", "session")
        t.run("tpm2_policysecret", "-S", "session", "-c", "e")
        t.run("tpm2_activatecredential", "-c", context, "-C", by, "-i", "credential", "-o", "recovered", "-P", "session:session", fails=fails)
        t.run("tpm2_flushcontext", "session")

    activate("ak.ctx")
    c.expect_text("enrolled", 0, "ACCEPTED", "enroll", "--check", "--secret", t.folder / "secret", "--recovered", t.folder / "recovered")
    enrolled("ACCEPTED")
    t.run("tpm2_createek", "-c", "curve.ctx", "-G", "ecc", "-u", "curve.pub")
    for again in range(3):  # a new point each time
        c.run("enroll", "--ek", t.folder / "curve.pub", "--ak", t.folder / "ak.pub", "--out", t.folder / "credential", "--secret", t.folder / "secret")
        activate("ak.ctx", by="curve.ctx")
        enrolled("ACCEPTED")
    t.run("tpm2_flushcontext", "-t")
    activate("ak.ctx", fails=True)  # by the other key
    activate("rsassa.ctx", fails=True)
    (t.folder / "recovered").write_bytes(bytes(32))
    enrolled("REJECTED")
    c.expect_text("not enrolled", 2, "REJECTED", "enroll", "--check", "--secret", t.folder / "secret", "--recovered", t.folder / "recovered")
    code, out, err = c.run("enroll", "--json", "--ek", t.folder / "ak.pub", "--ak", t.folder / "ak.pub", "--out", t.folder / "x", "--secret", t.folder / "y")
    c.count += 1
    if code != 2 or json.loads(out)["verdict"] != "REJECTED" or "endorsement" not in json.loads(out)["text"]:
        c.findings.append(f"enroll --json of a wrong key: exit {code}: {out}{err}")
    c.expect_text("ek is no ak", 2, None, "enroll", "--ek", t.folder / "ek.pub", "--ak", t.folder / "ek.pub", "--out", t.folder / "x", "--secret", t.folder / "y")

    # an impostor: GRUB read Redoubt, but started Linux, which has the TPM's locality 2, and extends PCR 22 as Redoubt would, with a report key of its own
    class Impostor(LiveHost):
        def firmware(self):
            super().firmware()
            end = self.log.events.pop()
            self.log.add(8, 13, b"linux /vmlinuz root=/dev/sda1")
            self.log.events.append(end)

    t.stop()
    t.start()
    impostor = Impostor(t)
    answer = judge("impostor", 3, "reference", impostor.live(NONCE))
    c.count += 1
    if "loader_commands" not in answer["checks"][-1]["text"]:
        c.findings.append(f"impostor: refused for something else: {answer['checks'][-1]}")
    events, pcrs = list(impostor.log.events), impostor.log.pcrs()
    impostor.log.events = [e for e in events if not e[2].startswith(b"linux")]
    judge("impostor that leaves its start out", 2, "log.replay", impostor.live(NONCE, pcrs=pcrs))
    impostor.log.events = events
    answer = judge("impostor, and a policy of any loader", 0, None, impostor.live(NONCE), policy | {"loader_commands": "any"})
    c.count += 1
    if answer["attested"]["loader_judged"] is not False:
        c.findings.append("impostor: the answer does not say that the loader is not judged")

    # a reset of the TPM and the same extends by hand: the same PCRs, and another resetCount
    t.stop()
    t.start()
    t.extend(host.log)
    again = host.live(NONCE)
    answer = judge("replayed after a reset: PCRs alone do not tell", 0, None, again)
    c.count += 1
    if answer["attested"]["reset_count"] == resets:
        c.findings.append("resetCount did not move")
    judge("replayed after a reset, pinned", 3, "reset", again, policy | {"reset_count": resets})
finally:
    t.stop()
c.finish()
