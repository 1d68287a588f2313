# SPDX-License-Identifier: MIT
"""Programs that the campaign starts: they end with it, within their time and memory, whatever happens."""
import ctypes
import os
import signal
import subprocess
import time
from pathlib import Path

MARK = "REDOUBT_CAMPAIGN"  # in the environment of everything that a campaign starts
# Without core files; a program that writes one endless file is stopped before it fills the disk.
LIMITS = ("setpriv", "--pdeathsig", "KILL", "--", "prlimit", "--core=0", "--fsize=268435456", "--")


def environment(mark, **more):
    env = {k: v for k, v in os.environ.items() if not k.startswith(("AFL_", "ASAN_", "UBSAN_", "LLVM_PROFILE"))}
    symbolizer = next((p for p in ("/usr/bin/llvm-symbolizer-16", "/usr/bin/llvm-symbolizer") if os.path.exists(p)), "")
    env.update({
        MARK: str(mark),
        "LLVM_PROFILE_FILE": "/dev/null",  # a program that counts lines leaves no file where it was not asked to
        "ASAN_OPTIONS": f"external_symbolizer_path={symbolizer}:detect_leaks=1",
        "UBSAN_OPTIONS": f"print_stacktrace=1:external_symbolizer_path={symbolizer}",
    })
    env.update(more)
    return env


def _parents():
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            try:
                stat = Path("/proc", entry, "stat").read_bytes()
                found[int(entry)] = int(stat[stat.rindex(b")") + 2:].split()[1])
            except (OSError, ValueError):
                pass
    return found


def family(pid):
    """The process and its descendants."""
    parents, found = _parents(), [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def resident(pids):
    """Bytes of memory that these processes have."""
    total = 0
    for pid in pids:
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, ValueError, IndexError):
            pass
    return total


def kill_marked(mark, name=MARK):
    """Kills what an earlier run of this campaign, or an ended fuzzer of it, has left behind. How many there were."""
    count, wanted = 0, f"{name}={mark}".encode()
    for pid in _parents():
        try:
            if pid != os.getpid() and wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                os.kill(pid, signal.SIGKILL)
                count += 1
        except OSError:
            pass
    return count


def kill_family(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass


def free_shared(pids):
    """Removes the System V segments that these processes, which have ended, made and left: AFL++ does so when it is killed, and a
    computer has 4,096 of them. How many there were."""
    count = 0
    try:
        lines = Path("/proc/sysvipc/shm").read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return 0
    for line in lines:
        _, number, _, _, creator, _, _, user = map(int, line.split()[:8])
        if creator in pids and user == os.getuid() and not os.path.exists(f"/proc/{creator}"):
            ctypes.CDLL(None).shmctl(number, 0, None)  # IPC_RMID: it goes with the last process that has it
            count += 1
    return count


class Outcome:
    """How a program ended: its code, why it was ended (None, time, stop, memory), and how long it ran."""

    def __init__(self, code, reason, took):
        self.code, self.reason, self.took = code, reason, took


def run(argv, env, log, limit, *, stop=lambda: False, memory=None, cwd=None, soft=signal.SIGINT, grace=4.0,
        tick=None):
    """Runs a program with its output in the file log. Ends it after `limit` seconds, when stop() says so, or when it and
    its children have more than `memory` bytes: by the signal `soft`, then after `grace` seconds by force. tick() is called every few seconds."""
    began = time.monotonic()
    with open(log, "wb") as out:
        child = subprocess.Popen([*LIMITS, *map(str, argv)], env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out,
                                 stderr=subprocess.STDOUT, start_new_session=True)
    reason, asked, looked, ticked = None, 0.0, 0.0, began
    while True:
        try:
            child.wait(0.1)
            break
        except subprocess.TimeoutExpired:
            pass
        now = time.monotonic()
        if tick and now - ticked > 3:
            ticked = now
            tick()
        if reason is None:
            reason = "time" if now - began > limit else "stop" if stop() else None
            if memory and now - looked > 1:
                looked = now
                if resident(family(child.pid)) > memory:
                    reason = "memory"
            if reason:
                asked = now
                child.send_signal(soft)
        elif now - asked > grace:
            kill_family(family(child.pid))
            child.wait()
            break
    free_shared({child.pid})
    return Outcome(child.returncode, reason, time.monotonic() - began)


def tail(path, limit=65536):
    """The end of a log as text."""
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - limit))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def trim(path, limit=65536):
    """Keeps only the end of a log."""
    try:
        if os.path.getsize(path) > limit:
            text = tail(path, limit)
            Path(path).write_text(text, encoding="utf-8")
    except OSError:
        pass
