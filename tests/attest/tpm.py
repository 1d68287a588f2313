# SPDX-License-Identifier: MIT
"""A live TPM (swtpm) driven by Debian's tpm2-tools, and a host whose log it holds."""
import os
import socket
import struct
import subprocess
import time
from pathlib import Path

import cbor2

from evidence import ALGS, Host, cbor


class Tpm:
    def __init__(self, folder):
        self.folder = Path(folder)
        (self.folder / "state").mkdir()
        self.start()

    def start(self):
        for _ in range(20):  # the port of the control channel is the next one: both have to be free
            with socket.socket() as a:
                a.bind(("127.0.0.1", 0))
                self.port = a.getsockname()[1]
            self.process = subprocess.Popen(
                ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.folder}/state", "--flags", "not-need-init,startup-clear",
                 "--server", f"type=tcp,port={self.port},bindaddr=127.0.0.1", "--ctrl", f"type=tcp,port={self.port + 1},bindaddr=127.0.0.1"],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for _ in range(100):
                if self.process.poll() is not None:
                    break
                try:
                    socket.create_connection(("127.0.0.1", self.port + 1)).close()
                    return
                except OSError:
                    time.sleep(0.05)
            self.stop()
        raise RuntimeError("swtpm does not start")

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def run(self, *words, fails=False):
        if words[0] in ("tpm2_createak", "tpm2_quote", "tpm2_sign", "tpm2_activatecredential", "tpm2_readpublic"):
            self.run("tpm2_flushcontext", "-t")  # the TPM has room for three keys
        env = os.environ | {"TPM2TOOLS_TCTI": f"swtpm:host=127.0.0.1,port={self.port}", "TSS2_LOG": "all+none"}
        done = subprocess.run([str(w) for w in words], cwd=self.folder, env=env, capture_output=True, timeout=60)
        if fails != (done.returncode != 0):
            raise RuntimeError(f"{words}: exit {done.returncode}: {done.stderr.decode()}")
        return done.stdout

    def locality(self, n):
        subprocess.run(["swtpm_ioctl", "--tcp", f"127.0.0.1:{self.port + 1}", "-l", str(n)], check=True, capture_output=True)

    def command(self, code, pcr, body):
        """A command for a PCR with an empty password, sent as it is: the TSS sets locality 0 by itself."""
        body = struct.pack(">III", code, pcr, 9) + struct.pack(">IHBH", 0x40000009, 0, 0, 0) + body
        with socket.create_connection(("127.0.0.1", self.port)) as s:
            s.sendall(struct.pack(">HI", 0x8002, 6 + len(body)) + body)
            answer = s.recv(4096)
        if answer[6:10] != bytes(4):
            raise RuntimeError(f"command {code:#x} of PCR {pcr}: {answer[6:10].hex()}")

    def file(self, name):
        return (self.folder / name).read_bytes()

    def make_keys(self):
        self.run("tpm2_createek", "-c", "ek.ctx", "-G", "rsa", "-u", "ek.pub")
        self.run("tpm2_createak", "-C", "ek.ctx", "-c", "ak.ctx", "-G", "ecc", "-g", "sha256", "-s", "ecdsa", "-u", "ak.pub", "-n", "ak.name")
        self.run("tpm2_flushcontext", "-t")
        self.run("tpm2_evictcontrol", "-C", "o", "-c", "ak.ctx", "0x81010010")  # a context ends with the TPM's reset

    def extend(self, log):
        """Every event of the log, PCR 22 at locality 2 after its reset."""
        reset = False
        for pcr, kind, _, digests in log.events:
            if kind == 3:
                continue
            if pcr == 22 and not reset:
                self.locality(2)
                self.command(0x13d, 22, b"")
                reset = True
            values = b"".join(struct.pack(">H", ALGS[b]) + d for b, d in digests.items())
            self.command(0x182, pcr, struct.pack(">I", len(digests)) + values)
        self.locality(0)

    def quote(self, extra, select="sha256:0,1,2,3,4,5,6,7,8,9,14,22+sha384:0,1,2,3,4,5,6,7,8,9,14,22"):
        self.run("tpm2_quote", "-c", "0x81010010", "-l", select, "-q", extra.hex(), "-m", "q.attest", "-s", "q.sig", "-o", "q.pcrs", "-g", "sha256")
        return self.file("q.attest"), self.file("q.sig")


class LiveHost(Host):
    """The host of evidence.py with the keys and PCRs of a TPM."""
    def __init__(self, tpm):
        super().__init__()
        self.tpm = tpm
        tpm.extend(self.log)

    def live(self, nonce, **other):
        attest, sig = self.tpm.quote(self.extra(nonce))
        return self.bundle(nonce, **({"attest": attest, "signature": sig, "ak": self.tpm.file("ak.pub")} | other))

    def live_again(self, good, number):
        """The same quote with another VM's token."""
        parts = cbor2.loads(good)
        return cbor(parts | {2: self.token(self.claims(m70005=number.to_bytes(64, "big")))})

    def name(self):
        return self.tpm.file("ak.name")
