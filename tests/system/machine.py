# SPDX-License-Identifier: MIT
"""One emulated machine: QEMU's TCG with AMD SVM, booted in one of four ways.

boot = "bare"       -kernel bzImage, no hypervisor
       "mb1"        -kernel redoubt.elf, root kernel and initrd as multiboot1 modules
       "grub-bios"  GRUB from a CD image under SeaBIOS, multiboot2
       "grub-uefi"  GRUB from a CD image under OVMF, multiboot2
With hv=None the two GRUB ways load plain Linux, to prove the harness itself.
"""

import atexit
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

QEMU = os.environ.get("QEMU", "qemu-system-x86_64")
CPU_TCG = "EPYC,+svm,+npt,-smap,-monitor,-xsave,-xsaveopt,-xsavec,-xgetbv1,-avx,-avx2,-f16c,-fma"
CPU_KVM = "host,+svm"
BOOTS = ("bare", "mb1", "grub-bios", "grub-uefi")
MACHINES = ("pc", "q35")
OVMF = [("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
        ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd")]
ICOUNT = "shift=1,align=off,sleep=off"
TAIL = 40

_ANSI = re.compile(r"\x1b\[[0-9;?=]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[=>c78M]|[\x00\x07]")


class MachineError(Exception):
    """The machine did not do what was expected; the text holds the last serial lines."""


class SetupError(Exception):
    """The machine cannot be started at all (a missing file or program)."""


@dataclass
class Spec:
    kernel: Path = None
    initrd: Path = None
    cmdline: str = "console=ttyS0 panic=-1"
    boot: str = "bare"
    hv: Path = None
    hv_options: str = ""
    config: bytes = b""
    omit: frozenset = frozenset()       # roles left out: kernel, initrd, config
    machine: str = "q35"
    cpus: int = 2
    mem: int = 2048
    accel: str = "tcg"                  # several CPUs then take turns in one thread: see docs/architecture.md
    cpu: str = None
    disks: tuple = ()                   # ("ahci"|"virtio", MiB or path)
    nics: tuple = ()                    # "e1000" | "virtio"
    edu: bool = False
    tpm: str = ""                       # "tis" or "crb": a TPM 2.0, by swtpm; "tis12": a TPM 1.2
    tpm_state: Path = None              # folder of the TPM's state; default: a new TPM
    iommu: bool = False
    virtio_iommu: bool = False          # with iommu: virtio devices behind it too (bare Linux then hangs
                                        # on QEMU 7.2's amd-iommu; a hypervisor that maps 1:1 need not)
    icount: str = None
    debugcon: bool = False
    no_reboot: bool = True
    extra: tuple = field(default_factory=tuple)


def _accel(spec):
    """QEMU's emulation with a thread per CPU corrupts CPU 0's mode at another CPU's FXRSTOR (docs/architecture.md)."""
    return "tcg,thread=single" if spec.accel == "tcg" and spec.cpus > 1 else spec.accel


def _die_with_parent():
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    except (OSError, AttributeError):
        pass


_live = set()


def _kill_all():
    for m in list(_live):
        m.close()


atexit.register(_kill_all)


def stop_on_signals():
    """SIGTERM and SIGHUP end the program the ordinary way, so QEMU is killed too."""
    for s in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(s, lambda n, _f: sys.exit(128 + n))


def run_options(p, pool, pool_is, keep_is):
    """Options of a program that starts a machine for a person; pool: the default."""
    p.add_argument("--build", help="build folder with redoubt.elf (default: build)")
    p.add_argument("--machine", choices=MACHINES, default="q35")
    p.add_argument("--cpus", type=int, default=2, metavar="N")
    p.add_argument("--mem", type=int, default=2048, metavar="MB")
    p.add_argument("--pool", default=pool, help=f"{pool_is} (default {pool})")
    p.add_argument("--keep", action="store_true", help=keep_is)
    p.add_argument("--accel", choices=("tcg", "kvm"), default="tcg")
    p.add_argument("--verbose", action="store_true", help="show the whole console")


def run_arguments(p, mem_least):
    """The arguments, or the end of the program with status 2."""
    a = p.parse_args()
    if not 1 <= a.cpus <= 255:
        p.error("--cpus wants 1 to 255")
    if not mem_least <= a.mem <= 1 << 20:
        p.error(f"--mem wants at least {mem_least} MiB")
    if a.accel == "kvm" and not os.access("/dev/kvm", os.R_OK | os.W_OK):
        p.error("/dev/kvm cannot be used here; take --accel tcg, which needs nothing")
    stop_on_signals()
    return a


class Machine:
    def __init__(self, spec, log=None, echo=None):
        """log: file for the time-stamped serial log; echo: called as echo(seconds, line)."""
        self.spec = spec
        self.log_path = Path(log) if log else None
        self.echo = echo
        self.lines = []                 # (seconds, text)
        self.next = 0                   # first line expect() has not consumed
        self.events = []                # QMP events, in order
        self.raw = None                 # called with every piece of serial output, as it came
        self.proc = None
        self.rundir = None
        self.tpm = None                 # swtpm's process
        self._tail = b""
        self._cond = threading.Condition()
        self._eof = False
        self._qmp = None
        self._qmp_replies = []

    # --- command line ---------------------------------------------------

    def _args(self):
        s = self.spec
        if s.boot not in BOOTS:
            raise SetupError(f"no boot way '{s.boot}' (there are: {', '.join(BOOTS)})")
        if s.machine not in MACHINES:
            raise SetupError(f"no machine '{s.machine}' (there are: {', '.join(MACHINES)})")
        if s.boot == "mb1" and s.hv is None:
            raise SetupError("boot way mb1 needs the hypervisor's ELF file")
        a = [QEMU, "-nodefaults", "-no-user-config", "-display", "none",
             "-machine", s.machine, "-m", str(s.mem), "-smp", str(s.cpus),
             "-accel", _accel(s), "-cpu", s.cpu or (CPU_KVM if s.accel == "kvm" else CPU_TCG)]
        if s.iommu:
            if s.machine != "q35":
                raise SetupError("amd-iommu exists on q35 only")
            a += ["-device", "amd-iommu"]   # before every device that it is to serve
        if s.icount:
            a += ["-icount", s.icount]
        if s.no_reboot:
            a += ["-no-reboot"]
        a += ["-chardev", "stdio,id=ser0,signal=off", "-serial", "chardev:ser0"]
        if s.debugcon:
            a += ["-chardev", "file,id=dbg,path=debugcon.log",
                  "-device", "isa-debugcon,iobase=0xe9,chardev=dbg"]
        a += self._boot_args() + self._device_args() + list(s.extra)
        return a

    def _boot_args(self):
        s = self.spec
        if s.boot == "bare":
            self._place("kernel.img", s.kernel)
            self._place("initrd.img", s.initrd)
            return ["-kernel", "kernel.img", "-initrd", "initrd.img", "-append", s.cmdline]
        if s.boot == "mb1":
            # file name, a space, then the module's string; "," is written ",,"
            self._place("redoubt.elf", s.hv)
            mods = []
            if "kernel" not in s.omit:
                self._place("kernel.img", s.kernel)
                mods.append("./kernel.img kernel " + s.cmdline.replace(",", ",,"))
            if "initrd" not in s.omit:
                self._place("initrd.img", s.initrd)
                mods.append("./initrd.img initrd")
            if "config" not in s.omit:
                (self.rundir / "redoubt.conf").write_bytes(s.config or b"\n")
                mods.append("./redoubt.conf config")
            a = ["-kernel", "./redoubt.elf", "-append", s.hv_options]
            return a + (["-initrd", ",".join(mods)] if mods else [])
        from grubimage import make_iso
        make_iso(self.rundir / "boot.iso", s)
        bus = "ide.1" if s.machine == "pc" else "ide.2"
        a = ["-drive", "file=boot.iso,if=none,id=cd,format=raw,readonly=on,media=cdrom",
             "-device", f"ide-cd,drive=cd,bus={bus},bootindex=0"]
        if s.boot == "grub-uefi":
            for code, store in OVMF:
                if os.path.exists(code) and os.path.exists(store):
                    break
            else:
                raise SetupError("no OVMF firmware: apt-get install ovmf")
            shutil.copyfile(store, self.rundir / "vars.fd")
            a += ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={code}",
                  "-drive", "if=pflash,unit=1,format=raw,file=vars.fd"]
        return a

    def _device_args(self):
        s, a = self.spec, []
        # virtio devices of QEMU go past an IOMMU unless told otherwise
        past = ",iommu_platform=on,disable-legacy=on" if s.iommu and s.virtio_iommu else ""
        if s.machine == "pc" and any(kind == "ahci" for kind, _ in s.disks):
            a += ["-device", "ahci,id=ahci"]
        ports = 0
        for i, (kind, what) in enumerate(s.disks):
            if isinstance(what, int):
                path = self.rundir / f"disk{i}.img"
                with open(path, "wb") as f:
                    f.truncate(what << 20)
                what = path.name
            else:
                self._place(f"disk{i}.img", what)
                what = f"disk{i}.img"
            a += ["-drive", f"file={what},if=none,id=d{i},format=raw,cache=writeback"]
            if kind == "ahci":
                bus = f"ahci.{ports}" if s.machine == "pc" else f"ide.{ports}"
                a += ["-device", f"ide-hd,drive=d{i},bus={bus}"]
                ports += 1
            elif kind == "virtio":
                bus = ""
                if s.machine == "q35":      # behind a PCIe port: a PCIe capability, ECAM registers
                    a += ["-device", f"pcie-root-port,id=rp{i},chassis={i + 1}"]
                    bus = f",bus=rp{i}"
                a += ["-device", f"virtio-blk-pci,drive=d{i}{bus}{past}"]
            else:
                raise SetupError(f"no disk kind '{kind}'")
        model = {"e1000": "e1000", "virtio": "virtio-net-pci"}
        for i, kind in enumerate(s.nics):
            if kind not in model:
                raise SetupError(f"no network card '{kind}'")
            a += ["-netdev", f"user,id=n{i}",
                  "-device", f"{model[kind]},netdev=n{i},mac=52:54:00:12:34:{0x50 + i:02x},romfile="
                  + (past if kind == "virtio" else "")]
        if s.edu:
            a += ["-device", "edu"]
        if s.tpm:
            a += self._start_tpm()
        return a

    def _start_tpm(self):
        """Starts the software TPM; QEMU's words for it."""
        if self.spec.tpm not in ("tis", "crb", "tis12"):
            raise SetupError(f"no TPM interface '{self.spec.tpm}'")
        if shutil.which("swtpm") is None:
            raise SetupError("swtpm is not installed: apt-get install swtpm")
        state = Path(self.spec.tpm_state or self.rundir / "tpm")
        state.mkdir(exist_ok=True)
        path = self.rundir / "tpm.sock"
        self.tpm = subprocess.Popen(
            ["swtpm", "socket", *([] if self.spec.tpm == "tis12" else ["--tpm2"]), "--tpmstate", f"dir={state}", "--ctrl", f"type=unixio,path={path}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, preexec_fn=_die_with_parent)
        deadline = time.monotonic() + 20
        while not path.exists():
            if self.tpm.poll() is not None or time.monotonic() > deadline:
                raise SetupError("swtpm does not start")
            time.sleep(0.02)
        return ["-chardev", "socket,id=tpm,path=tpm.sock", "-tpmdev", "emulator,id=tpm0,chardev=tpm",
                "-device", f"tpm-{self.spec.tpm[:3]},tpmdev=tpm0"]

    def _place(self, name, path):
        """Links an input under a plain name into the run folder, QEMU's working folder."""
        if path is None:
            raise SetupError(f"boot way {self.spec.boot} needs a file for {name}")
        path = Path(path).resolve()
        if not path.is_file():
            raise SetupError(f"{path}: no such file")
        (self.rundir / name).symlink_to(path)

    # --- life -----------------------------------------------------------

    def start(self):
        if shutil.which(QEMU) is None:
            raise SetupError(f"{QEMU} is not installed: apt-get install qemu-system-x86")
        self.rundir = Path(tempfile.mkdtemp(prefix="redoubt-machine-"))
        _live.add(self)
        try:
            ours, theirs = socket.socketpair()
            args = self._args()
            args += ["-chardev", f"socket,id=qmp,fd={theirs.fileno()}", "-mon", "chardev=qmp,mode=control"]
            if self.log_path:
                self.log_path.parent.mkdir(parents=True, exist_ok=True)
            self.log = open(self.log_path or os.devnull, "w", encoding="utf-8", buffering=1)
            self.log.write("# " + " ".join(map(_quote, args)) + "\n")
            self.stderr = open(self.rundir / "qemu.err", "wb")
            self.t0 = time.monotonic()
            self.proc = subprocess.Popen(
                args, cwd=self.rundir, pass_fds=[theirs.fileno()], stderr=self.stderr,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
                preexec_fn=_die_with_parent)
            theirs.close()
            self._qmp = ours
            threading.Thread(target=self._read_qmp, daemon=True).start()
            self._qmp_send({"execute": "qmp_capabilities"})
            self._reader = threading.Thread(target=self._read_serial, daemon=True)
            self._reader.start()
        except BaseException:
            self.close()
            raise
        return self

    def __enter__(self):
        return self.start() if self.proc is None else self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self not in _live:
            return
        _live.discard(self)
        if self.proc:
            if self.proc.poll() is None:
                self.proc.kill()
            self.proc.wait()
            self._reader.join(5)
            try:
                self.proc.stdin.close()
            except BrokenPipeError:
                pass
        if self.tpm:
            if self.tpm.poll() is None:
                self.tpm.kill()
            self.tpm.wait()
        if self._qmp:
            self._qmp.close()
        for f in (getattr(self, "log", None), getattr(self, "stderr", None)):
            if f:
                f.close()
        if self.log_path and (self.rundir / "debugcon.log").exists():
            shutil.copyfile(self.rundir / "debugcon.log", str(self.log_path) + ".debugcon")
        shutil.rmtree(self.rundir, ignore_errors=True)

    # --- serial ---------------------------------------------------------

    def _read_serial(self):
        fd = self.proc.stdout.fileno()
        while True:
            data = os.read(fd, 65536)
            now = time.monotonic() - self.t0
            with self._cond:
                if not data:
                    if self._tail:
                        self._line(now, self._tail)
                        self._tail = b""
                    self._eof = True
                    self._cond.notify_all()
                    return
                if self.raw:
                    self.raw(data)
                *done, self._tail = (self._tail + data).split(b"\n")
                for raw in done:
                    self._line(now, raw)
                self._cond.notify_all()

    def _line(self, now, raw):
        text = _clean(raw)
        self.lines.append((now, text))
        self.log.write(f"[{now:9.3f}] {text}\n")
        if self.echo:
            self.echo(now, text)

    def expect(self, regex, timeout, fail=None, partial=False, quiet=None):
        """Waits for a line that matches; returns the match. Lines before it are consumed.

        fail: a regex that ends the wait at once. partial: also look at an unfinished line.
        quiet: seconds without any new line that end the wait too.
        """
        want, bad = re.compile(regex), re.compile(fail) if fail else None
        deadline = time.monotonic() + timeout
        with self._cond:
            while True:
                while self.next < len(self.lines):
                    text = self.lines[self.next][1]
                    self.next += 1
                    found = want.search(text)
                    if found:
                        return found
                    if bad and bad.search(text):
                        raise MachineError(self.report(f"waiting for /{regex}/, saw: {text}"))
                if partial and (found := want.search(_clean(self._tail))):
                    return found
                if self._eof:
                    raise MachineError(self.report(f"waiting for /{regex}/: QEMU ended ({self.why_ended()})"))
                idle = self.elapsed() - (self.lines[-1][0] if self.lines else 0)
                if quiet and idle > quiet:
                    raise MachineError(self.report(f"waiting for /{regex}/: no serial line for {idle:.0f} s"))
                left = deadline - time.monotonic()
                if left <= 0:
                    raise MachineError(self.report(f"no line matching /{regex}/ in {timeout:.0f} s"))
                self._cond.wait(min(left, 1.0))

    def send(self, text):
        try:
            self.proc.stdin.write(text if isinstance(text, bytes) else text.encode())
            self.proc.stdin.flush()
        except BrokenPipeError:
            pass                        # the machine ended; whoever waits for it will see that

    def elapsed(self):
        return time.monotonic() - self.t0

    def tail(self, count=TAIL):
        return [t for _, t in self.lines[-count:]] + ([_clean(self._tail)] if self._tail else [])

    def report(self, message):
        text = [message, f"--- last {TAIL} serial lines"] + self.tail()
        err = self.qemu_says()
        if err:
            text += ["--- QEMU says", err[-2000:]]
        return "\n".join(text)

    def qemu_says(self):
        """QEMU's error output, without its notes on CPU features that TCG lacks."""
        try:
            text = (self.rundir / "qemu.err").read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join(l for l in text.splitlines() if "doesn't support requested feature" not in l).strip()

    # --- end and QMP ----------------------------------------------------

    def running(self):
        return self.proc.poll() is None

    def wait_exit(self, timeout):
        """Waits until QEMU ends; returns why ("guest-shutdown", "guest-reset", ...)."""
        try:
            self.proc.wait(timeout)
        except subprocess.TimeoutExpired:
            raise MachineError(self.report(f"machine still on after {timeout:.0f} s")) from None
        time.sleep(0.1)
        return self.why_ended()

    def why_ended(self):
        for e in reversed(self.events):
            if e["event"] == "SHUTDOWN":
                return e["data"].get("reason", "?")
        code = self.proc.poll()
        return f"exit status {code}"

    def resets(self):
        return sum(1 for e in self.events if e["event"] == "RESET" and e["data"].get("guest"))

    def _qmp_send(self, obj):
        self._qmp.sendall(json.dumps(obj).encode() + b"\n")

    def qmp(self, command, timeout=10, **arguments):
        """Runs one QMP command and returns its answer."""
        count = len(self._qmp_replies)
        self._qmp_send({"execute": command, "arguments": arguments})
        with self._cond:
            if not self._cond.wait_for(lambda: len(self._qmp_replies) > count, timeout):
                raise MachineError(f"no answer from QEMU to {command}")
            return self._qmp_replies[count]

    def _read_qmp(self):
        buffer = b""
        while True:
            try:
                data = self._qmp.recv(65536)
            except OSError:
                return
            if not data:
                return
            *done, buffer = (buffer + data).split(b"\n")
            for raw in done:
                obj = json.loads(raw)
                with self._cond:
                    if "event" in obj:
                        self.events.append(obj)
                    elif "QMP" not in obj:
                        self._qmp_replies.append(obj.get("return", obj))
                    self._cond.notify_all()


def _clean(raw):
    return _ANSI.sub("", raw.decode("utf-8", errors="replace")).rstrip("\r").split("\r")[-1]


def _quote(arg):
    return "'" + arg + "'" if re.search(r"[\s,;*?$]", arg) and " " in arg else arg
