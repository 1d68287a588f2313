#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The parts of fuzz/campaign that need no fuzzer: stacks, scheduling, settings, what it refuses, the systemd unit."""
import argparse
import contextlib
import io
import json
import shutil
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
from pathlib import Path

import toy
from toy import ROOT

import campaign
import corpus
import coverage
import engines
import findings
import notify
import page
import process
import schedule
import settings
import stack
import store
import targets

ASAN = """==7==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x602000000019 at pc 0x55 bp 0x7 sp 0x7
READ of size 1 at 0x602000000019 thread T0
    #0 0x4a in __asan_memcpy (/x/fuzz_y+0x4a) (BuildId: 00)
    #1 0x55 in le16 /src/hv/wire/view.h:{line}:9
    #2 0x56 in scsi_parse /src/hv/wire/scsi.c:77:3
    #3 0x57 in LLVMFuzzerTestOneInput /src/fuzz/fuzz_scsi.c:9:1
    #4 0x58 in fuzzer::Fuzzer::ExecuteCallback(unsigned char const*, unsigned long) (/x/fuzz_y+0x3) (BuildId: 00)

0x602000000019 is located 1 bytes to the right of 8-byte region [0x602000000010,0x602000000018)
allocated by thread T0 here:
    #0 0x5b in malloc (/x/fuzz_y+0x5b) (BuildId: 00)
    #1 0x5c in other /src/hv/wire/other.c:3:9
"""
UBSAN = """/src/hv/wire/ring.c:90:12: runtime error: index {n} out of bounds for type 'uint8_t[16]'
    #0 0x5 in ring_take /src/hv/wire/ring.c:90:12
    #1 0x6 in LLVMFuzzerTestOneInput /src/fuzz/fuzz_ring.c:9:1

SUMMARY: UndefinedBehaviorSanitizer: undefined-behavior /src/hv/wire/ring.c:90:12 in
==9== ERROR: libFuzzer: deadly signal
    #0 0x5 in __sanitizer_print_stack_trace (/x/fuzz_y+0x3) (BuildId: 00)
"""
TRAP = """==9== ERROR: libFuzzer: deadly signal
    #0 0x55 in __sanitizer_print_stack_trace (/x/fuzz_y+0xf) (BuildId: 00)
    #3 0x7f  (/lib/x86_64-linux-gnu/libc.so.6+0x3c04f) (BuildId: 93)
    #4 0x55 in check_ring /src/fuzz/fuzz_ring.c:{line}:2
    #5 0x55 in LLVMFuzzerTestOneInput /src/fuzz/fuzz_ring.c:400:2
"""
HANG = """ALARM: working on the last Unit for 3 seconds
==9== ERROR: libFuzzer: timeout after 3 seconds
    #0 0x55 in __sanitizer_print_stack_trace (/x/fuzz_y+0xf) (BuildId: 00)
{inner}    #4 0x55 in walk /src/hv/wire/acpi.c:5:2
    #5 0x55 in acpi_find /src/hv/wire/acpi.c:80:2
    #6 0x55 in LLVMFuzzerTestOneInput /src/fuzz/fuzz_acpi.c:4:2
"""
LEAK = """==9==ERROR: LeakSanitizer: detected memory leaks

Direct leak of 8 byte(s) in 1 object(s) allocated from:
    #0 0x55 in malloc (/x/fuzz_y+0xf) (BuildId: 00)
    #1 0x55 in definition_read /src/hv/host/vmmgr/definition.c:12:2
"""


class Shared(unittest.TestCase):
    def test_free_shared(self):
        """Of a process that was killed nothing is left; what others made stays, and what it has while it lives."""
        make = "import ctypes; print(ctypes.CDLL(None).shmget(0, 4096, 0o600), flush=True); input()"
        made = [subprocess.Popen([sys.executable, "-c", make], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in "ab"]
        numbers = [int(child.stdout.readline()) for child in made]

        def there():
            lines = Path("/proc/sysvipc/shm").read_text(encoding="ascii").splitlines()[1:]
            return [n in {int(line.split()[1]) for line in lines} for n in numbers]
        self.assertEqual((process.free_shared({made[0].pid}), there()), (0, [True, True]))
        for child in made:
            child.kill()
            child.communicate()
        self.assertEqual((process.free_shared({made[0].pid}), there()), (1, [False, True]))
        self.assertEqual((process.free_shared({made[1].pid}), there()), (1, [False, False]))


class Log(unittest.TestCase):
    def test_log(self):
        """Without a terminal: a line at the start, then one with each page, and all that is said."""
        with contextlib.redirect_stdout(io.StringIO()) as out:
            progress = campaign.Progress(False, 100.0)
            progress.status("first")
            progress.status("too soon")
            progress.say("FINDING")
            progress.next -= 100.0
            progress.status("second")
        self.assertEqual(out.getvalue().split("\n"), ["first", "FINDING", "second", ""])


class Stacks(unittest.TestCase):
    def test_asan(self):
        one, two = (stack.parse(ASAN.format(line=n), "/src/") for n in (30, 31))
        self.assertEqual((one.class_, one.kind), ("crash", "heap-buffer-overflow"))
        self.assertEqual([f[0] for f in one.frames], ["le16", "scsi_parse", "LLVMFuzzerTestOneInput"])
        self.assertEqual(one.frames[0], ("le16", "hv/wire/view.h", 30))
        self.assertEqual(one.identity("scsi"), two.identity("scsi"), "lines of code move")
        other = stack.parse(ASAN.format(line=30).replace("scsi_parse", "scsi_other"), "/src/")
        self.assertNotEqual(one.key(), other.key())

    def test_undefined(self):
        one, two = (stack.parse(UBSAN.format(n=n), "/src/") for n in (16, 99))
        self.assertEqual((one.class_, one.kind), ("undefined", "index N out of bounds for type 'uintN_t[N]'"))
        self.assertEqual(one.key(), two.key())

    def test_trap(self):
        one, two = (stack.parse(TRAP.format(line=n)) for n in (30, 31))
        self.assertEqual((one.class_, one.kind, one.frames[0][0]), ("crash", "trap", "check_ring"))
        self.assertNotEqual(one.key(), two.key(), "two checks of one function are two findings")

    def test_hang(self):
        one = stack.parse(HANG.format(inner=""))
        two = stack.parse(HANG.format(inner="    #3 0x55 in step /src/hv/wire/acpi.c:2:2\n"))
        self.assertEqual(one.class_, "timeout")
        self.assertEqual(one.key(), two.key(), "where a hang was caught varies")

    def test_others(self):
        self.assertEqual(stack.parse(LEAK).class_, "leak")
        self.assertEqual(stack.parse(LEAK).frames[0][0], "definition_read")
        self.assertEqual(stack.parse("==1== ERROR: libFuzzer: out-of-memory (used: 2050Mb; limit: 2048Mb)").class_, "oom")
        self.assertIsNone(stack.parse("#2 INITED cov: 2 ft: 2\nDone 100 runs in 1 second(s)\n"))
        unknown = stack.Failure("crash", "exit 3", [], "")
        self.assertNotEqual(unknown.identity("a"), unknown.identity("b"))

    def test_shrink(self):
        small = findings.shrink(bytes(500) + b"AB" + bytes(400) + b"C", lambda d: b"AB" in d and b"C" in d, float("inf"))
        self.assertEqual(small, b"ABC")
        self.assertEqual(findings.shrink(b"AB" * 40, lambda d: True, float("inf")), b"")
        self.assertEqual(findings.shrink(b"AB" * 40, lambda d: False, float("inf")), b"AB" * 40)
        runs = []
        self.assertEqual(findings.shrink(b"ABCD" + bytes(4000), lambda d: not runs.append(d) and d.startswith(b"ABCD"), float("inf")), b"ABCD")
        self.assertLess(len(runs), 24, "an end that nobody looks at costs a few runs")

    def test_shrink_script(self):
        """Each action keeps its length: what is left is the two that it needs, without what they do not."""
        def same(data):
            read = findings.records(data)
            return findings.joined(read) == data and any(a[:1] == b"A" for a in read) and any(a[2:3] == b"B" for a in read)
        whole = findings.joined([b"xyz", b"", b"Axxx", bytes(250), b"12B45", b"y" * 9])
        self.assertEqual(findings.shrink_script(whole, same, float("inf")), findings.joined([b"A", b"12B"]))
        self.assertEqual(findings.shrink_script(whole, lambda d: d == whole, float("inf")), whole)
        cut = b"\x05ab"
        self.assertEqual(findings.shrink_script(cut, lambda d: d == cut, float("inf")), cut, "one that is no script stays")


class Classes(unittest.TestCase):
    def test_all(self):
        """Real failures of each class, as the sanitizers of this system word them."""
        with tempfile.TemporaryDirectory(prefix="redoubt-classes-") as folder:
            base = Path(folder)
            subprocess.run(["clang-16", "-g", "-O1", "-w", "-DTOY_CLASSES", "-fno-omit-frame-pointer", "-fsanitize=address,undefined,fuzzer",
                            "-fno-sanitize-recover=all", ROOT / "tests/fuzz/toy.c", "-o", base / "fuzz_toy"], check=True)
            target = targets.Target({"name": "toy", "libfuzzer": str(base / "fuzz_toy")}, "here")
            settings_ = argparse.Namespace(timeout=30, memory=256 << 20, out=base)
            oracle = findings.Oracle(settings_)
            keys = set()
            for letter, class_, kind in (("L", "leak", "leak"), ("O", "oom", "out-of-memory"), ("B", "oom", "allocation-size"),
                                         ("H", "timeout", "timeout"), ("U", "undefined", "shift exponent N is too large"),
                                         ("E", "crash", "exit"), ("N", "crash", "SEGV"), ("T", "crash", "trap")):
                (base / "input").write_bytes(letter.encode())
                settings_.timeout = 2 if letter == "H" else 30
                failure, text = oracle.run(target, base / "input", base)
                self.assertIsNotNone(failure, f"{letter}: {text}")
                self.assertEqual(failure.class_, class_, f"{letter}: {text}")
                self.assertIn(kind, failure.kind)
                keys.add(failure.key())
                if class_ != "oom" and letter != "E":
                    self.assertIn("fail", [f[0] for f in failure.frames], text)
            self.assertEqual(len(keys), 8)
            (base / "input").write_bytes(b"x")
            self.assertIsNone(oracle.run(target, base / "input", base)[0])


class Schedules(unittest.TestCase):
    def run_for(self, slices, gains, workers=2):
        """Seconds per target and jobs seen; gains: {target: does it find coverage}."""
        entries = {n: {**store.FIELDS, "off": [], "gain": 0.0} for n in gains}
        jobs = {n: [("libfuzzer", "plain"), ("afl", "main")] for n in gains}
        s, time, seen, running = schedule.Scheduler(entries, jobs, 10.0), dict.fromkeys(gains, 0.0), set(), []
        for _ in range(slices):
            while len(running) < workers:
                running.append(s.pick())
            self.assertEqual(len([r for r in running if r[1] == "afl"]), len({r for r in running if r[1] == "afl"}))
            name, engine, role = running.pop(0)
            seen.add((name, engine))
            time[name] += 10
            s.done(name, engine, role, 10.0, gains[name])
        return time, seen

    def test_fair(self):
        time, seen = self.run_for(400, dict.fromkeys("abcdefgh", False))
        self.assertLessEqual(max(time.values()) - min(time.values()), 20)
        self.assertEqual(len(seen), 16, "both engines of all targets")

    def test_gain(self):
        time, _ = self.run_for(400, {"a": True, "b": False, "c": False})
        self.assertGreater(time["a"], 2.5 * time["b"])
        self.assertGreater(time["b"], 500, "nobody starves")

    def test_more_workers_than_targets(self):
        time, _ = self.run_for(100, {"a": False}, workers=6)
        self.assertEqual(time["a"], 1000)

    def test_newcomer(self):
        entries = {"a": {"vtime": 900.0, "slices": 9}, "b": {"vtime": 0.0, "slices": 0}}
        schedule.level(entries)
        self.assertEqual(entries["b"]["vtime"], 900.0)


class Stretch(unittest.TestCase):
    def test_slow_target(self):
        """A slow target gets longer slices until its engine comes to fuzz, then shorter ones again."""
        entry, seen = {"stretch": {}, "files": 500}, []
        for execs in (0, 100, 1999, 0, 0, 0, 5000, 50000, 50000, 50000, 50000, 50000):
            campaign.Campaign.stretch(entry, "afl", engines.Result(1.0, execs))
            seen.append(entry["stretch"].get("afl", 1))
        self.assertEqual(seen, [2, 4, 8, 16, 16, 16, 16, 8, 4, 2, 1, 1])
        campaign.Campaign.stretch(entry, "afl", engines.Result(1.0, 0, error="no"))
        self.assertEqual(entry["stretch"]["afl"], 1)


class Refusals(unittest.TestCase):
    def refused(self, *words, code=2):
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors):
            try:
                result = campaign.main([str(w) for w in words])
            except SystemExit as error:
                result = error.code
        self.assertEqual(result, code, errors.getvalue())
        return errors.getvalue()

    def test_words(self):
        with tempfile.TemporaryDirectory() as folder:
            manifest, conf = Path(folder, "t.json"), Path(folder, "c.conf")
            manifest.write_text('[{"name": "ring", "libfuzzer": "no/such/program"}]')
            some = ("--manifest", manifest, "--out", Path(folder, "out"))
            for words, text in (((), "--all"), (("--all", "ring"), "--all"), (("rong",), "did you mean ring?"),
                                (("ring", "--time", "soon"), "--time soon"), (("ring", "--workers", "0"), "--workers 0"),
                                (("ring", "--disk", "9"), "--disk 9"), (("ring", "--engines", "gcc"), "--engines"),
                                (("ring", "--fleet", folder), "--name"), (("ring", "--fleet", folder, "--name", "a/b"), "--name"),
                                (("ring", "--config", "/none"), "/none"), (("--page", folder), "no campaign"),
                                (("ring", "--zap"), "--zap")):
                self.assertIn(text, self.refused(*words, *some))
            self.assertIn("tools/dev build fuzz", self.refused("ring", *some, code=3))
            for text in ("", "{}", "[]", '[{"name": "../x"}]', '[{"name": "x", "max_len": "y"}]'):
                manifest.write_text(text)
                self.assertIn("t.json", self.refused("ring", *some, code=3))
            for text, says in (("[campaign]\ntimes = 3\n", "times"), ("[x]\n", "[x]"), ("time = 3\n", "c.conf"),
                               ("[campaign]\ntime = 3x\n", "3x"), ("[notify]\nwebhook = gopher://x\n", "http")):
                conf.write_text(text)
                self.assertIn(says, self.refused("ring", *some, "--config", conf))
            self.assertFalse(Path(folder, "out").exists(), "a refusal leaves nothing")

    def test_folder(self):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "mine").touch()
            with self.assertRaises(targets.Refused):
                store.Store(folder).claim(True)
            self.assertEqual([p.name for p in Path(folder).iterdir()], ["mine"])

    def test_settings(self):
        with tempfile.TemporaryDirectory() as folder:
            conf = Path(folder, "c.conf")
            conf.write_text("[campaign]\ntargets = ring vmbus\ntime = 2h\nworkers = 7\n[fleet]\ndir = /srv/x\nname = h1\n")
            got = settings.read(["--config", str(conf), "--time", "90"])
            self.assertEqual((got.targets, got.time, got.workers, got.fleet, got.host), (["ring", "vmbus"], 90, 7, "/srv/x", "h1"))
        shipped = settings.read(["--config", str(ROOT / "fuzz/campaign.conf"), "ring"])
        default = {k: d for keys in settings.KEYS.values() for k, (_, d) in keys.items()}
        self.assertEqual(shipped.time, default["time"])
        text = (ROOT / "fuzz/campaign.conf").read_text()
        for section, keys in settings.KEYS.items():
            self.assertIn(f"[{section}]", text)
            for key, (reader, value) in keys.items():
                line = next((t for t in text.splitlines() if t.startswith(f"# {key} = ")), None)
                self.assertIsNotNone(line, key)
                if isinstance(value, (int, float)):
                    self.assertEqual(reader(line.split(" = ")[1]), value, line)


class Parts(unittest.TestCase):
    def test_fleet(self):
        """AFL++'s own distribution: a shared -o, one -M per host, unique names."""
        with tempfile.TemporaryDirectory() as folder:
            target = targets.Target({"name": "ring", "afl": "a", "cmplog": "c", "libfuzzer": "l"}, "here")
            one = argparse.Namespace(fleet=f"{folder}/shared", host="h1", timeout=5, memory=1 << 30)
            main, logs = (list(map(str, engines.afl_command(target, role, one, store.Store(f"{folder}/o"), "seeds")))
                          for role in ("main", "cmplog"))
            self.assertEqual(main[main.index("-o") + 1], f"{folder}/shared/ring")
            self.assertEqual(main[main.index("-M") + 1], "main-h1")
            self.assertEqual(logs[logs.index("-S") + 1], "cmplog-h1")
            self.assertIn("-c", logs)
            self.assertIn("-F", main)

    def test_take(self):
        with tempfile.TemporaryDirectory() as folder:
            base = Path(folder)
            (base / "queue").mkdir()
            (base / "inbox").mkdir()
            for name in ("id:000000,orig:x", "id:000001,src:0", "id:000002,sync:main,src:4", "id:000003,src:1"):
                (base / "queue" / name).write_bytes(name.encode())
            found, last = engines.afl_new(base, 1)
            self.assertEqual(([p.name for p in found], last), (["id:000003,src:1"], 3))
            self.assertEqual(corpus.take(base / "inbox", found * 2), 1)

    def test_uncovered(self):
        text = f"SF:{ROOT}/hv/wire/ring.c\nDA:1,1\nDA:2,0\nDA:3,0\nDA:5,0\nend_of_record\nSF:/usr/include/x.h\nDA:1,0\nend_of_record\n"
        found = coverage.parse(text, ["hv/wire/ring.c"])
        self.assertEqual(found, {"hv/wire/ring.c": {"lines": 4, "missed": [[2, 3], [5, 5]]}})
        self.assertEqual(coverage.percent(found), 25.0)

    def test_commit(self):
        """Also where there is no git."""
        self.assertRegex(store.commit(), r"^(unknown|[0-9a-f]{12}\+?)$")
        with unittest.mock.patch.dict("os.environ", PATH="/nonexistent"):
            self.assertEqual(store.commit(), "unknown")

    def test_hostile_output(self):
        """What a target prints can neither break the report nor the page."""
        evil = {"id": "x-crash-0", "target": "x", "targets": ["x"], "class": "crash", "kind": "<script>", "place": "f",
                "frames": [], "output": "````\n# not a heading\n<script>", "title": "t", "engine": "afl", "commit": "c", "first_seen": 0,
                "last_seen": 0, "count": 1, "size": 1, "min_size": 1, "minimised_by": "x", "report": "r"}
        text = findings.report(evil, b"\0\xff`", "/o")
        fence = next(line for line in text.splitlines() if line.startswith("`````"))
        self.assertEqual(text.count(fence), 2)
        self.assertNotIn("<script>", page._findings_table([evil]))
        self.assertEqual(notify.expand(["{title}", "{id}x"], {**evil, "title": "{id}; rm"})[1], "x-crash-0x")

    def test_history(self):
        with tempfile.TemporaryDirectory() as folder:
            s = store.Store(folder)
            s.target("ring")
            s.point("ring", 1.0)
            with open(f"{folder}/history.jsonl", "a", encoding="utf-8") as file:
                file.write('{"t": 2, "target": "ri')  # cut by a kill
            self.assertEqual(len(s.history()["ring"]), 1)
            limit, store.HISTORY_MAX = store.HISTORY_MAX, 1000
            for n in range(100):
                s.point("ring", n)
            s.thin()
            store.HISTORY_MAX = limit
            self.assertLess(len(s.history()["ring"]), 60)

    def test_unit(self):
        verify = shutil.which("systemd-analyze")
        if not verify:
            self.skipTest("systemd-analyze is not installed")
        with tempfile.TemporaryDirectory() as folder:
            unit = Path(folder, "redoubt-fuzz.service")
            unit.write_text((ROOT / "fuzz/redoubt-fuzz.service").read_text().replace("/opt/redoubt", str(ROOT)))
            done = subprocess.run([verify, "verify", "--man=no", unit], capture_output=True, text=True, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main(verbosity=2)
