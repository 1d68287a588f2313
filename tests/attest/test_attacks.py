#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Attacks on a report of a live TPM: whoever makes it has the host, its TPM and the real attestation key, and everything but the
lie is genuine. Each has to be refused for its own reason. usage: test_attacks.py PRODUCT_BUILD_FOLDER"""
import hashlib
import socket
import struct
import sys

import cbor2
from check import Check
from evidence import ALGS, NONCE, SELECTED, Host, Tag, cbor, digest, tagged
from tpm import LiveHost, Tpm

ZERO = {"sha256": bytes(32), "sha384": bytes(48)}
UNRESTRICTED = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign"

c = Check(sys.argv[1])
t = Tpm(c.folder)


def raw_quote(extra, select):
    """TPM2_Quote with a selection that tpm2_quote would not ask for: [(bank, [PCR])]. (TPMS_ATTEST, TPMT_SIGNATURE)"""
    body = struct.pack(">II", 0x158, 0x81010010) + struct.pack(">IIHBH", 9, 0x40000009, 0, 0, 0)
    body += struct.pack(">H", len(extra)) + extra + struct.pack(">HI", 0x10, len(select))
    for bank, pcrs in select:
        body += struct.pack(">HB", ALGS[bank], 3) + sum(1 << p for p in pcrs).to_bytes(3, "little")
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", t.port)) as s:
            s.sendall(struct.pack(">HI", 0x8002, 6 + len(body)) + body)
            answer = s.recv(4096)
        if answer[6:10] != b"\0\0\x09\x22":   # TPM_RC_RETRY: it is busy with itself
            break
    if answer[6:10] != bytes(4):
        raise RuntimeError(f"TPM2_Quote: {answer[6:10].hex()}")
    n, = struct.unpack(">H", answer[14:16])
    attest, rest = answer[16:16 + n], answer[16 + n:]
    return attest, rest[:len(rest) - 5]     # without the session's answer


class ReplayedHost(LiveHost):
    """Another boot of the same TPM: what is extended is chosen."""
    def __init__(self, tpm, svn=3, banks=("sha256", "sha384")):
        Host.__init__(self, svn=svn)
        self.tpm = tpm
        events = self.log.events
        self.log.events = [(p, k, d, {b: v for b, v in digests.items() if b in banks}) for p, k, d, digests in events]
        tpm.extend(self.log)
        self.log.events = events


def reboot():
    t.run("tpm2_shutdown", "-c")    # else the TPM takes it for an attack, and locks its keys
    t.stop()
    t.start()


try:
    t.make_keys()
    host = LiveHost(t)
    good, policy, events = host.live(NONCE), host.policy(), list(host.log.events)
    extra, ak = host.extra(NONCE), t.file("ak.pub")
    real = {"attest": t.file("q.attest"), "signature": t.file("q.sig"), "ak": ak}

    def judge(what, code, failed, p=None, bundle=None, nonce=NONCE, **lie):
        data = bundle or host.bundle(**(real | lie))
        return c.expect(what, code, failed, "report", c.file("bundle", data), "--policy", c.file("policy.json", p or policy), "--nonce", nonce.hex())

    def log(change):
        """The real log, bent."""
        h = Host()
        h.log.events = list(events)
        change(h.log.events)
        return h.log.bytes()

    answer = judge("no lie", 0, None)
    resets = answer["attested"]["reset_count"]

    # magic, type: the real key signs other things than quotes
    forged = host.quote(extra, magic=0x52454430)
    (t.folder / "forged").write_bytes(forged)
    t.run("tpm2_hash", "-C", "o", "-g", "sha256", "-o", "digest", "-t", "ticket", "forged")
    t.run("tpm2_sign", "-c", "0x81010010", "-g", "sha256", "-d", "-t", "ticket", "-o", "forged.sig", "digest")
    judge("magic: data that the key signed", 2, "attest.magic", attest=forged, signature=t.file("forged.sig"))
    t.run("tpm2_hash", "-C", "o", "-g", "sha256", "-o", "digest", "-t", "ticket", "q.attest")
    t.run("tpm2_sign", "-c", "0x81010010", "-g", "sha256", "-d", "-t", "ticket", "-o", "x.sig", "digest", fails=True)
    t.run("tpm2_gettime", "-c", "0x81010010", "-q", extra.hex(), "--attestation", "time.attest", "-o", "time.sig", "-g", "sha256")
    judge("type: a time attestation", 2, "attest.type", attest=t.file("time.attest"), signature=t.file("time.sig"))
    judge("trailing byte behind the quote", 2, "attest.trailing", attest=real["attest"] + b"\0")
    judge("quote cut short", 2, "parse", attest=real["attest"][:-1])

    # selection
    both = [("sha256", SELECTED), ("sha384", SELECTED)]
    masked = [11 if p == 8 else 12 if p == 9 else p for p in SELECTED]
    for what, select in (("PCR 11 and 12 passed off as 8 and 9", [("sha256", masked), both[1]]), ("duplicate bank", [both[0], both[0]]),
                         ("empty selection", []), ("bank without a PCR", [both[0], ("sha384", [])]), ("one PCR less", [both[0], ("sha384", SELECTED[:-1])])):
        attest, sig = raw_quote(extra, select)
        judge(f"selection: {what}", 2, "selection", attest=attest, signature=sig)
    attest, sig = raw_quote(extra, both[::-1])
    judge("selection: the banks in another order say the same", 0, None, attest=attest, signature=sig)
    attest, sig = raw_quote(extra, [("sha1", SELECTED)])
    judge("downgrade: SHA-1 alone", 3, "selection", attest=attest, signature=sig,
          pcrs={("sha1", p): bytes(20) for p in SELECTED})

    # freshness and binding
    for what, data in (("another nonce", host.extra(bytes(32))), ("no qualifying data", b""), ("the nonce itself", NONCE), ("a prefix", extra[:31])):
        attest, sig = raw_quote(data, both)
        judge(f"nonce: {what}", 2, "nonce", attest=attest, signature=sig)
    judge("nonce: an old report", 2, "nonce", nonce=bytes(32))
    judge("nonce: a longer one", 2, "nonce", nonce=NONCE + b"\0")
    thief = Host()
    attest, sig = raw_quote(hashlib.sha256(b"redoubt/quote/1\0" + struct.pack(">H", 32) + NONCE + hashlib.sha256(thief.cose).digest() + host.seed).digest(), both)
    judge("a report key of the root's own", 2, "key.binding", attest=attest, signature=sig, cose=thief.cose,
          token=thief.token(thief.claims(c268=host.seed)))
    t.run("tpm2_pcrextend", "22:sha256=" + "11" * 32, fails=True)

    # the log: PCRs and quote are the real ones
    first = next(i for i, e in enumerate(events) if e[0] == 4 and e[1] == 0x80000003)
    post = events[0]
    secure = next(i for i, e in enumerate(events) if e[1] == 0x80000001)
    for what, failed, change in (
            ("retyped as unknown", "log.rules", lambda e: e.__setitem__(first, (4, 0x777, *e[first][2:]))),
            ("retyped as one whose data is hashed", "log.data", lambda e: e.__setitem__(first, (4, 5, *e[first][2:]))),
            ("retyped as a separator", "log.rules", lambda e: e.__setitem__(first, (4, 4, *e[first][2:]))),
            ("hidden as EV_NO_ACTION", "log.replay", lambda e: e.__setitem__(first, (4, 3, *e[first][2:3], ZERO))),
            ("hidden as EV_NO_ACTION that keeps its digest", "log.replay", lambda e: e.__setitem__(first, (4, 3, *e[first][2:]))),
            ("locality before the first", "log.replay", lambda e: e.insert(0, (0, 3, b"StartupLocality\0\3", ZERO))),
            ("locality later", "log.rules", lambda e: e.insert(2, (0, 3, b"StartupLocality\0\3", ZERO))),
            ("the end is missing", "log.replay", lambda e: e.pop()),
            ("one is missing", "log.replay", lambda e: e.pop(0)),
            ("one stands twice", "log.replay", lambda e: e.insert(1, e[0])),
            ("two of a PCR swapped", "log.replay", lambda e: e.insert(first, e.pop(first - 1))),
            ("one more in PCR 22", "log.replay", lambda e: e.append((22, 6, tagged({1: 8}), {b: digest(b, tagged({1: 8})) for b in ("sha256", "sha384")}))),
            ("another command line under its digest", "log.data", lambda e: e.__setitem__(-3, (*e[-3][:2], e[-3][2].replace(b"quiet", b"debug"), e[-3][3]))),
            ("Secure Boot off, by its text alone", "log.data", lambda e: e.__setitem__(secure, (*e[secure][:2], e[secure][2][:-1] + b"\0", e[secure][3]))),
            ("another name of a variable", "log.data", lambda e: e.__setitem__(secure, (*e[secure][:2], e[secure][2].replace(b"S", b"s"), e[secure][3]))),
            ("retyped as a boot variable", "log.data", lambda e: e.__setitem__(first, (4, 0x80000002, *e[first][2:]))),
            ("a boot variable with other contents", "log.data", lambda e: e.__setitem__(secure, (7, 0x80000002, e[secure][2][:-1] + b"\0", e[secure][3]))),
            ("retyped as a partition table", "log.data", lambda e: e.__setitem__(first, (4, 0x80000006, *e[first][2:]))),
            ("PCR 24", "log.parse", lambda e: e.insert(0, (24, 13, b"x", post[3])))):
        judge(f"log: {what}", 2, failed, log=log(change))
    raw = host.log.bytes()
    for what, failed, data in (("cut off", "log.parse", raw[:-1]), ("tail", "log.parse", raw + b"x"), ("nothing", "selection", b"\0"),
                               ("no header, so no banks", "selection", raw[32:])):
        judge(f"log: {what}", 2, failed, log=data)

    # keys
    judge("another machine's key", 2, "ak.trusted", policy | {"keys": [{"name": "000b" + "11" * 32}]})
    t.run("tpm2_createprimary", "-C", "e", "-G", "ecc256:ecdsa-sha256:null", "-a", UNRESTRICTED, "-c", "loose.ctx")
    t.run("tpm2_readpublic", "-c", "loose.ctx", "-o", "loose.pub")
    t.run("tpm2_quote", "-c", "loose.ctx", "-l", "sha256:0,1", "-q", extra.hex(), "-m", "l.attest", "-s", "l.sig", "-g", "sha256")
    names = lambda public: policy | {"keys": [{"name": "000b" + hashlib.sha256(public[2:]).hexdigest()}]}
    loose = t.file("loose.pub")
    judge("a key that signs anything", 2, "ak.attributes", names(loose), ak=loose, attest=t.file("l.attest"), signature=t.file("l.sig"))
    for what, failed, public in (("off its curve", "signature", ak[:-1] + bytes([ak[-1] ^ 1])), ("the point 0", "signature", ak[:-66] + bytes(32) + b"\0\x20" + bytes(32)),
                                 ("a short coordinate", "signature", struct.pack(">H", len(ak) - 3) + ak[2:-68] + b"\0\x1f" + ak[-66:-35] + ak[-34:]), ("trailing byte", "parse", ak + b"\0"),
                                 ("other attributes", "ak.attributes", ak[:6] + struct.pack(">I", 0x00070072) + ak[10:]),
                                 ("size that lies", "parse", b"\0\0" + ak[2:])):
        judge(f"key: {what}", 2, failed, names(public), ak=public)
    sig = real["signature"]
    for what, failed, data in (("r 0", "signature", sig[:6] + bytes(32) + sig[38:]), ("trailing byte", "parse", sig + b"\0"), ("another hash", "signature", sig[:2] + b"\0\x0c" + sig[4:]),
                               ("another scheme", "signature", b"\0\x14" + sig[2:4] + b"\0\x40" + sig[6:38] + sig[40:])):
        judge(f"signature: {what}", 2, failed, signature=data)

    # COSE and CBOR: one meaning only
    token = host.token()
    protected, _, payload, signed = cbor2.loads(token).value
    for what, data in (("algorithm outside of what is signed", host.token(unprotected={1: -35})), ("kid outside", cbor(Tag(18, [protected, {4: bytes(32)}, payload, signed]))),
                       ("no tag", token[1:]), ("another tag", b"\xd1" + token[1:]), ("two tags", b"\xd2" + token), ("trailing byte", token + b"\0"),
                       ("array of no stated length", b"\xd2\x9f" + token[2:] + b"\xff"), ("longer integer for the same number", token.replace(b"\x01\x38\x22", b"\x01\x39\0\x22", 1))):
        judge(f"token: {what}", 2, "token.parse", token=data)
    judge("token: no payload", 2, "token.signature", token=cbor(Tag(18, [protected, {}, b"", signed])))
    judge("token: of another key", 2, "token.signature", token=host.token(key=thief.key))
    judge("token: of another VM's launch, one byte", 2, "token.signature", token=token.replace(hashlib.sha384(b"vm one").digest(), hashlib.sha384(b"vm two").digest()))
    swapped = cbor2.loads(payload)
    swapped = b"\xab" + b"".join(cbor(k) + cbor(v) for k, v in reversed(swapped.items()))
    judge("token: claims in another order", 2, "token.profile", token=host.token(swapped))
    double = bytes([payload[0] + 1]) + payload[1:] + cbor(-70006) + cbor(0)
    judge("token: a claim twice", 2, "token.profile", token=host.token(double))
    for what, data in (("trailing byte", good + b"\0"), ("map of no stated length", b"\xbf" + good[1:] + b"\xff"), ("tag before it", b"\xd9\xd9\xf7" + good)):
        judge(f"bundle: {what}", 2, "parse", bundle=data)

    # other boots of this TPM
    reboot()
    host = ReplayedHost(t)
    again = host.live(NONCE)
    judge("replay of the boot after a reset, pinned", 3, "reset", policy | {"reset_count": resets}, bundle=again)
    reboot()
    host = ReplayedHost(t, svn=2)
    judge("downgrade: an older hypervisor", 3, "svn", bundle=host.live(NONCE))
    reboot()
    host = ReplayedHost(t, banks=("sha256",))
    attest, sig = raw_quote(host.extra(NONCE), both)
    pcrs = {k: bytes(48) if k[0] == "sha384" else v for k, v in host.log.pcrs().items()}
    judge("carte blanche: a bank that nobody extended", 2, "pcr.composite", bundle=host.bundle(attest=attest, signature=sig, ak=ak, pcrs=pcrs))
    bare = Host(banks=("sha256",))
    bare.log.events = host.log.events
    judge("carte blanche: the log leaves the bank out", 2, "selection",
          bundle=host.bundle(attest=attest, signature=sig, ak=ak, pcrs=pcrs, log=bare.log.bytes()))
finally:
    t.stop()
c.finish()
