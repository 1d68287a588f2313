# SPDX-License-Identifier: MIT
"""Runs as root under systemd on the machine of tests/system/fuzzhost.py: installs fuzz/redoubt-fuzz.service as docs/fuzzing.md
says, and looks at what it then does. One line "RT pass|fail NAME text" for each test."""
import contextlib
import json
import os
import pwd
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

UNIT = "redoubt-fuzz.service"
OUT, GROUP = Path("/var/lib/redoubt-fuzz"), Path("/sys/fs/cgroup/system.slice") / UNIT
CONF = Path("/etc/redoubt/campaign.conf")
DROP_IN = Path(f"/run/systemd/system/{UNIT}.d/test.conf")
# What an administrator would set on so small a host.
SETTINGS = "[campaign]\nworkers = 1\ndisk = 48M\nslice = 4s\ntimeout = 5\nminimise = 2s\npage_interval = 20s\n"
FLEET = "[fleet]\ndir = /srv/fuzz\nname = h1\n"
WAIT = 150
HOG = "import time\nx = []\nwhile True:\n    x.append(b'1' * (8 << 20))"


class Failed(Exception):
    pass


def check(good, text):
    if not good:
        raise Failed(text)


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.returncode, (done.stdout + done.stderr).strip()


def show(*names):
    """Properties of the unit."""
    text = run("systemctl", "show", UNIT, *(f"-p{n}" for n in names))[1]
    return dict(line.split("=", 1) for line in text.splitlines())


def main_pid():
    return int(show("MainPID")["MainPID"])


def wait(what, good):
    """The first true value of good(), asked again and again."""
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        with contextlib.suppress(OSError, ValueError, KeyError):
            if value := good():
                return value
        time.sleep(0.3)
    raise Failed(f"{what}: not in {WAIT:.0f} s; {show('ActiveState', 'Result', 'ExecMainStatus', 'NRestarts')}")


def state():
    return json.loads((OUT / "campaign.json").read_text())


def executions(engine):
    """Of finished slices."""
    entry = state()["targets"]["toy"]
    return entry["execs"] if engine == "libfuzzer" else sum(entry["afl_execs"].values())


def children():
    return [int(p) for p in (GROUP / "cgroup.procs").read_text().split() if int(p) != main_pid()]


def fields(pid):
    return dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)


# --- the tests, in their order ---

def install():
    """The commands of docs/fuzzing.md as they stand there."""
    os.chdir("/opt/redoubt")
    for line in Path("install").read_text().splitlines():
        if line.startswith("systemctl") and not DROP_IN.exists():
            check(CONF.exists(), "the settings are not there")
            CONF.write_text(SETTINGS)
            DROP_IN.parent.mkdir(parents=True)
            DROP_IN.write_text("[Service]\nRestartSec=2\n")  # so that the test need not wait half a minute
        code, text = run("sh", "-euc", line)
        check(code == 0, f"{line}: {text}")
    check(run("systemctl", "is-active", UNIT)[1] == "active", show("ActiveState", "Result"))
    check(run("systemctl", "is-enabled", UNIT)[1] == "enabled", "not enabled")
    words = Path(f"/proc/{main_pid()}/cmdline").read_bytes().split(b"\0")
    check(b"/opt/redoubt/fuzz/campaign" in words and b"--resume" in words, words)
    return "active, enabled"


def enclosed():
    """The process has no rights, and sees the system read-only, without homes and devices. Its user."""
    pid, inside = main_pid(), ("nsenter", "--mount", f"--target={main_pid()}")
    now = fields(pid)
    user = int(now["Uid"].split()[0])
    for name, value in (("NoNewPrivs", "1"), ("CapEff", "0" * 16), ("CapBnd", "0" * 16), ("Seccomp", "2")):
        check(now[name] == value, f"{name} {now[name]}")
    Path.home().joinpath("file").touch()
    for folder in ("/etc", "/var", "/sys/kernel/mm"):
        code, text = run(*inside, "touch", f"{folder}/x")
        check(code != 0 and "Read-only" in text, f"{folder}: {text}")
    check(run(*inside, "sh", "-c", f"ls -A {Path.home()}; ls /dev/ttyS0 2>&1")[1].startswith("ls: cannot access"), "homes or devices are to be seen")
    check(OUT.stat().st_uid == user, "the folder is another user's")
    return user


def sandbox():
    user = enclosed()
    check(0x10000 > user >= 61184, f"user {user} is not a dynamic one")
    return f"user {user}"


def limits():
    pid, memory = main_pid(), os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    share = int((GROUP / "memory.max").read_text()) / memory
    check(0.78 < share < 0.82, f"memory.max is {share:.2f} of the memory")
    check((GROUP / "pids.max").read_text() == "4096\n", "pids.max")
    for one in (pid, *wait("a fuzzer", children)):
        with contextlib.suppress(ProcessLookupError):
            found = (os.getpriority(os.PRIO_PROCESS, one), os.sched_getscheduler(one), resource.prlimit(one, resource.RLIMIT_CORE))
            check(found == (15, os.SCHED_BATCH, (0, 0)), f"process {one}: nice, policy, core: {found}")
    return f"{share:.2f} of the memory, 4096 tasks, nice 15, batch, no core files"


def fuzzes():
    """Both engines execute, more and more; the page is there."""
    wait("the page", lambda: (OUT / "index.html").read_text().endswith("</html>\n"))
    first = {e: wait(e, lambda e=e: executions(e)) for e in ("libfuzzer", "afl")}
    wait("more executions", lambda: sum(map(executions, first)) > sum(first.values()))
    return f"{sum(map(executions, first))} executions"


def memory():
    """What takes more than MemoryMax is killed by the kernel; the service goes on."""
    pid = main_pid()
    hog = subprocess.Popen([sys.executable, "-c", HOG], preexec_fn=lambda: (GROUP / "cgroup.procs").write_text(str(os.getpid())))
    try:
        code = hog.wait(WAIT)
    finally:
        hog.kill()
    check(code == -signal.SIGKILL, f"the hog ended with {code}")
    events = dict(line.split() for line in (GROUP / "memory.events").read_text().splitlines())
    check(int(events["oom_kill"]) > 0, events)
    check((main_pid(), show("ActiveState")["ActiveState"]) == (pid, "active"), "the service did not go on")
    return f"{events['max']} times at the limit, {events['oom_kill']} processes killed"


def restart():
    """kill -9: nothing of it is left, systemd starts it again, the campaign goes on where it was."""
    before, old, did = main_pid(), wait("a fuzzer", children), (state()["elapsed"], executions("libfuzzer"), executions("afl"))
    names = {p: fields(p)["Name"] for p in old if Path(f"/proc/{p}").exists()}
    os.kill(before, signal.SIGKILL)
    wait("a new process", lambda: main_pid() not in (0, before))
    left = [p for p, name in names.items() if Path(f"/proc/{p}").exists() and fields(p)["Name"] == name]
    check(not left, f"of the killed service are left: {left}")
    check(show("NRestarts")["NRestarts"] == "1", show("NRestarts"))
    wait("more time and executions", lambda: (now := (state()["elapsed"], executions("libfuzzer"), executions("afl"))) > did
         and sum(now[1:]) > sum(did[1:]) and now[1] >= did[1] and now[2] >= did[2])
    return f"after {did[0]:.0f} s, now at {state()['elapsed']:.0f} s"


def stop():
    """With a finding the campaign's exit code is 1: no failure of the unit. The page has it."""
    report = wait("a finding", lambda: next(iter(OUT.glob("findings/*/report.md")), None))
    began = time.monotonic()
    code, text = run("systemctl", "stop", UNIT)
    check(code == 0, text)
    took, now = time.monotonic() - began, show("ActiveState", "Result", "ExecMainStatus", "NRestarts")
    check((now["ActiveState"], now["Result"], now["ExecMainStatus"]) == ("inactive", "success", "1"), now)
    check(not GROUP.exists(), "its control group is still there")
    out = Path("/var/lib/private/redoubt-fuzz")
    check(json.loads((out / "campaign.json").read_text())["running"] is False, "not ended in good order")
    check(report.parent.name in (out / "index.html").read_text(), "the finding is not on the page")
    journal = run("journalctl", "--no-pager", "-o", "cat", "-u", UNIT)[1]
    check("FINDING toy-" in journal, journal[-500:])
    return f"after {took:.0f} s"


def refused():
    """Settings that nobody can mean: it fails and is not started again."""
    CONF.write_text("[campaign]\ntimes = 3\n")
    run("systemctl", "start", UNIT)
    now = wait("a failure", lambda: (now := show("ActiveState", "ExecMainStatus", "NRestarts"))["ActiveState"] == "failed" and now)
    time.sleep(5)
    check(show("ActiveState", "ExecMainStatus", "NRestarts") == now and now["ExecMainStatus"] == "2", now)
    check("[campaign] times" in run("journalctl", "--no-pager", "-o", "cat", "-u", UNIT)[1], "the journal does not say why")
    return "exit 2"


def fleet():
    """As docs/fuzzing.md says for a host of a fleet: one user on all hosts, the shared folder writable."""
    user = pwd.getpwnam("fuzz")
    Path("/srv/fuzz").mkdir(parents=True)
    os.chown("/srv/fuzz", user.pw_uid, user.pw_gid)
    CONF.write_text(SETTINGS + "engines = afl\n" + FLEET)
    DROP_IN.with_name("fleet.conf").write_text(Path("/opt/redoubt/fleet.conf").read_text())
    run("systemctl", "daemon-reload")
    code, text = run("systemctl", "start", UNIT)
    check(code == 0, text)
    queue = wait("AFL++'s queue", lambda: next(Path("/srv/fuzz/toy").glob("*-h1/queue/id:*"), None))
    check((queue.stat().st_uid, enclosed()) == (user.pw_uid, user.pw_uid), "not the fleet's user")
    check(state()["elapsed"] > 10, "it did not go on with the campaign")
    return f"user {user.pw_uid}"


def main():
    print("RT start", Path("/proc/1/comm").read_text().strip(), flush=True)
    for test in (install, sandbox, limits, fuzzes, memory, restart, stop, refused, fleet):
        began = time.monotonic()
        try:
            print(f"RT pass {test.__name__} {test()}", flush=True)
        except (Failed, OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
            print(f"RT fail {test.__name__} {type(error).__name__} {error}; {time.monotonic() - began:.0f} s", flush=True)
            print(run("systemctl", "status", "--no-pager", "--lines=15", UNIT)[1], flush=True)
            break
    subprocess.run(("systemctl", "--no-block", "poweroff"), check=False, stderr=subprocess.DEVNULL)


main()
