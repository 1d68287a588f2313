# SPDX-License-Identifier: MIT
"""Makes the evidence of a host and its VMs as docs/attestation.md describes it, with keys of its own instead of a TPM: every
part can be bent, for the tests of redoubt-verify."""
import hashlib
import struct
import sys
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit/attest"))
from mkseeds import Tag, cbor  # noqa: E402

ALGS = {"sha1": 4, "sha256": 11, "sha384": 12}
SELECTED = [*range(10), 14, 22]
NONCE = bytes(range(32))


def digest(bank, data):
    return hashlib.new(bank, data).digest()


def tagged(body):
    body = cbor(body)
    return struct.pack("<II", 0x52440001, len(body)) + body


class Key:
    """An ECDSA key."""
    def __init__(self, curve):
        self.curve, self.private = curve, ec.generate_private_key(curve)
        n = self.private.public_key().public_numbers()
        self.size = (curve.key_size + 7) // 8
        self.x, self.y = n.x.to_bytes(self.size, "big"), n.y.to_bytes(self.size, "big")

    def sign(self, data, algorithm):
        r, s = utils.decode_dss_signature(self.private.sign(data, ec.ECDSA(algorithm)))
        return r.to_bytes(self.size, "big"), s.to_bytes(self.size, "big")

    def tpm2b(self, attributes=0x00050072, name_alg=11, x=None):
        x = self.x if x is None else x
        area = struct.pack(">HHIH", 0x23, name_alg, attributes, 0) + struct.pack(">HHHHH", 0x10, 0x18, 0xb, 3, 0x10)
        area += struct.pack(">H", len(x)) + x + struct.pack(">H", self.size) + self.y
        return struct.pack(">H", len(area)) + area

    def cose(self):
        return cbor({1: 2, -1: 2, -2: self.x, -3: self.y})


class Log:
    """Events, and the PCRs that they make."""
    def __init__(self, banks=("sha256", "sha384")):
        self.banks, self.events, self.locality = banks, [], 0

    def add(self, pcr, kind, data, digests=None):
        self.events.append((pcr, kind, data, digests or {b: digest(b, data) for b in self.banks}))

    def bytes(self):
        spec = b"Spec ID Event03\0" + struct.pack("<IBBBBI", 0, 0, 2, 0, 2, len(self.banks))
        spec += b"".join(struct.pack("<HH", ALGS[b], hashlib.new(b).digest_size) for b in self.banks) + b"\0"
        out = struct.pack("<II20xI", 0, 3, len(spec)) + spec
        for pcr, kind, data, digests in self.events:
            out += struct.pack("<III", pcr, kind, len(self.banks))
            out += b"".join(struct.pack("<H", ALGS[b]) + digests[b] for b in self.banks) + struct.pack("<I", len(data)) + data
        return out

    def pcrs(self, selected=SELECTED):
        out = {}
        for bank in self.banks:
            values = {p: bytes(hashlib.new(bank).digest_size) for p in selected}
            for pcr, kind, _, digests in self.events:
                if kind != 3 and pcr in values:
                    values[pcr] = digest(bank, values[pcr] + digests[bank])
            out.update({(bank, p): v for p, v in values.items()})
        return out


GRUB = digest("sha256", b"grub's image")
FILES = {"hypervisor": b"redoubt.elf in memory", "options": b"loglevel=info", "kernel": b"vmlinuz", "initrd": b"initrd.img",
         "cmdline": b"root=/dev/sda1 quiet"}
LOADED = digest("sha256", b"redoubt.elf")
COMMAND = digest("sha256", b"grub_cmd: multiboot2")


class Host:
    """A machine that booted. Change anything, then bundle()."""
    def __init__(self, ak=None, banks=("sha256", "sha384"), files=FILES, svn=3):
        self.ak, self.key = ak or Key(ec.SECP256R1()), Key(ec.SECP384R1())
        self.seed, self.svn = bytes(range(100, 132)), svn
        self.cose = self.key.cose()
        self.reset_count, self.attributes, self.certs = 5, 0x00050072, []
        self.log = Log(banks)
        self.firmware()
        self.hypervisor = hashlib.sha384(files["hypervisor"]).digest()
        self.own(files)

    def firmware(self):
        add = self.log.add
        add(0, 8, b"firmware 1")
        add(7, 0x80000001, bytes(16) + struct.pack("<QQ", 10, 1) + "SecureBoot".encode("utf-16-le") + b"\1")
        for pcr in range(8):
            add(pcr, 4, bytes(4))
        add(4, 0x80000007, b"Calling EFI Application from Boot Option")
        add(4, 0x80000003, struct.pack("<QQQQ", 0x1000, 0x1000, 0, 4) + b"\x7f\xff\4\0", {b: GRUB if b == "sha256" else digest(b, b"grub's image") for b in self.log.banks})
        add(8, 13, b"grub_cmd: multiboot2")
        add(9, 13, b"/redoubt.elf", {b: digest(b, b"redoubt.elf") for b in self.log.banks})
        add(5, 0x80000007, b"Exit Boot Services Returned with Success")

    def own(self, files):
        for what, name in enumerate(("hypervisor", "options", "kernel", "initrd", "cmdline"), 1):
            data = files[name]
            body = {1: what, 2: hashlib.sha384(data).digest(), 3: len(data)}
            body |= {4: data} if what in (2, 5) else {7: self.svn} if what == 1 else {}
            self.log.add(22, 6, tagged(body))
        self.log.add(22, 6, tagged({1: 7, 2: hashlib.sha384(self.cose).digest(), 3: len(self.cose), 5: self.cose, 6: self.seed}))
        self.log.add(22, 6, tagged({1: 8}))

    def extra(self, nonce):
        return hashlib.sha256(b"redoubt/quote/1\0" + struct.pack(">H", len(nonce)) + nonce + hashlib.sha256(self.cose).digest()
                              + self.seed).digest()

    def quote(self, extra, pcrs=None, select=None, magic=0xff544347, kind=0x8018, tail=b""):
        """TPMS_ATTEST over these PCRs; select: [(bank, [pcr])] if it is to say something else."""
        pcrs = pcrs if pcrs is not None else self.log.pcrs()
        banks = list(dict.fromkeys(b for b, _ in pcrs))
        select = select if select is not None else [(b, [p for c, p in pcrs if c == b]) for b in banks]
        out = struct.pack(">IH", magic, kind) + b"\0\x04name" + struct.pack(">H", len(extra)) + extra
        out += struct.pack(">QIIBQ", 1000, self.reset_count, 0, 1, 7) + struct.pack(">I", len(select))
        for bank, wanted in select:
            out += struct.pack(">HB", ALGS[bank], 3) + sum(1 << p for p in wanted).to_bytes(3, "little")
        composite = hashlib.sha256(b"".join(pcrs[b, p] for b in banks for p in range(24) if (b, p) in pcrs)).digest()
        return out + struct.pack(">H", 32) + composite + tail

    def sign(self, attest, key=None):
        r, s = (key or self.ak).sign(attest, hashes.SHA256())
        return struct.pack(">HHH", 0x18, 0xb, len(r)) + r + struct.pack(">H", len(s)) + s

    def name(self):
        return b"\0\x0b" + hashlib.sha256(self.ak.tpm2b(self.attributes)[2:]).digest()

    def claims(self, nonce=NONCE, **other):
        """The payload of a token; keywords c10, c268, m70001 replace claims."""
        policy = struct.pack("<IIIHHQHHI", 1, other.get("flags", 0), other.get("vm_svn", 2), 2, 0, 512 << 20, 1, 1, 0)
        out = {10: nonce, 256: b"\1" + bytes(range(16)), 263: 0 if other.get("flags", 0) & 1 else 2, 265: "tag:redoubt,2026:vm/1",
               268: self.seed, -70001: hashlib.sha384(b"vm one").digest(), -70002: policy, -70003: self.hypervisor,
               -70004: self.svn, -70005: bytes(64), -70006: 0}
        out.update({int(k[1:]) * (-1 if k[0] == "m" else 1): v for k, v in other.items() if k[0] in "cm" and k[1:].isdigit()})
        return cbor(out)

    def token(self, payload=None, key=None, alg=-35, unprotected=None, kid=None):
        payload = self.claims() if payload is None else payload
        protected = cbor({1: alg, 4: kid or hashlib.sha256(self.cose).digest()})
        r, s = (key or self.key).sign(cbor(["Signature1", protected, b"", payload]), hashes.SHA384())
        return cbor(Tag(18, [protected, unprotected or {}, payload, r + s]))

    def parts(self, nonce=NONCE, **other):
        """The bundle as a dictionary; keywords replace attest, signature, ak, pcrs, log, token, cose, seed."""
        pcrs = other.get("pcrs", self.log.pcrs())
        attest = other.get("attest") or self.quote(other.get("extra") or self.extra(nonce), pcrs)
        platform = {1: attest, 2: other.get("signature") or self.sign(attest), 3: other.get("ak") or self.ak.tpm2b(self.attributes),
                    4: [[ALGS[b], p, v] for (b, p), v in pcrs.items()], 5: other.get("log") or self.log.bytes()}
        if self.certs:
            platform[6] = self.certs
        out = {1: "tag:redoubt,2026:bundle/1", 3: platform, 4: {1: other.get("cose") or self.cose, 2: other.get("seed") or self.seed}}
        if other.get("token", b"") is not None:
            out[2] = other.get("token") or self.token(self.claims(nonce))
        return out

    def bundle(self, nonce=NONCE, **other):
        return cbor(self.parts(nonce, **other))

    def policy(self):
        own = {n: [hashlib.sha384(d).hexdigest()] for n, d in FILES.items()}
        return {"version": 1, "expires": "never", "keys": [{"name": self.name().hex()}], "pcrs": {"0-9,14": "any"},
                "boot_applications": [GRUB.hex()], "loader_commands": [COMMAND.hex()], "loaded_files": [LOADED.hex()], **own, "secure_world": ["absent"],
                "minimum_hypervisor": 3, "minimum_vm": 2, "report": "vm",
                "vms": [{"name": "one", "measurement": hashlib.sha384(b"vm one").hexdigest()}], "debug": "refused",
                "isolation": "any", "origin": "any", "log_fill": "refused", "unexplained": [], "reset_count": "any"}
