#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""fuzz/campaign and fuzz/replay on a toy target with a planted bug, from the finding to the report and the notification."""
import html.parser
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

import toy
from toy import ROOT


class Page(html.parser.HTMLParser):
    """Well-formedness of a page, and its addresses."""

    def __init__(self):
        super().__init__()
        self.open, self.addresses, self.wrong, self.text, self.paths = [], [], [], [], 0

    def handle_starttag(self, tag, attrs):
        self.addresses += [v for k, v in attrs if k in ("href", "src", "action", "data")]
        self.paths += tag == "path"
        if tag not in ("meta", "path", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.paths += tag == "path"

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        self.text.append(data)


class Hook(http.server.BaseHTTPRequestHandler):
    """A webhook's end that refuses the first message."""
    seen = []

    def do_POST(self):  # pylint: disable=invalid-name
        self.seen.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(503 if len(self.seen) == 1 else 200)
        self.end_headers()

    def log_message(self, format, *args):  # pylint: disable=redefined-builtin
        pass


class Campaign(unittest.TestCase):
    """One campaign after the other on the same folder, as in its life."""

    @classmethod
    def setUpClass(cls):
        cls.keep = tempfile.TemporaryDirectory(prefix="redoubt-fuzz-")
        cls.folder = Path(cls.keep.name)
        cls.manifest, cls.out = toy.build(cls.folder), cls.folder / "out"

    @classmethod
    def tearDownClass(cls):
        cls.keep.cleanup()

    def finding(self):
        found = list((self.out / "findings").iterdir())
        self.assertEqual(len(found), 1, found)
        return found[0], json.loads((found[0] / "finding.json").read_text())

    def state(self):
        return json.loads((self.out / "campaign.json").read_text())

    def until_seen(self, *more):
        """A campaign that is ended by SIGTERM when both engines have run, the bug was found twice and told."""
        child = subprocess.Popen(toy.words(self.manifest, self.out, *more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

        def seen():
            found = [json.loads(p.read_text()) for p in self.out.glob("findings/*/finding.json")]
            state = self.state() if (self.out / "campaign.json").exists() else {}
            ran = state.get("targets", {}).get("toy", {}).get("afl_execs", {}).get("main", 0) if toy.AFL else 1
            return ran and found and found[0]["count"] > 1 and found[0].get("notified", {}).get("webhook")
        end = time.monotonic() + 200
        while not seen() and time.monotonic() < end and child.poll() is None:
            time.sleep(0.5)
        child.terminate()
        out, errors = child.communicate(timeout=60)
        return child.returncode, [json.loads(line) for line in out.splitlines()], errors

    def test_1_finding(self):
        """Both engines; one bug by two ways is one finding, small, reported, told and on the page."""
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        told = self.folder / "told"
        tell = self.folder / "tell.sh"
        tell.write_text(f'#!/bin/sh\n(echo "$1|$REDOUBT_TARGET"; cat) >>{told}\n')
        tell.chmod(0o755)
        conf = self.folder / "campaign.conf"
        conf.write_text(f"[campaign]\nworkers = 1\n[notify]\nwebhook = http://127.0.0.1:{server.server_port}/x\n"
                        f"command = {tell} '{{id}} $(id) {{class}}'\n")
        code, events, errors = self.until_seen("toy", "--time", "4m", "--config", conf)
        server.shutdown()
        server.server_close()
        self.assertEqual(code, 1, errors)
        folder, finding = self.finding()
        self.assertEqual((finding["class"], finding["kind"]), ("crash", "heap-buffer-overflow"))
        self.assertEqual(finding["frames"][0][0], "read_past")
        self.assertTrue(finding["frames"][0][1].endswith("tests/fuzz/toy.c"))
        self.assertGreater(finding["count"], 1)
        small = (folder / "input.min").read_bytes()
        self.assertIn(len(small), (21, 22))
        self.assertTrue(small.startswith((b"RDBT", b"RDBt")))
        report = (folder / "report.md").read_text()
        for text in ("heap-buffer-overflow", "fuzz/replay", "00000000  52 44 42", finding["commit"], "times"):
            self.assertIn(text, report)
        self.assertEqual([e["id"] for e in events if e["event"] == "finding"], [folder.name])
        self.assertEqual(events[-1]["event"], "end")
        lines = told.read_text().splitlines()
        self.assertEqual(lines[0], f"{folder.name} $(id) crash|toy")
        self.assertEqual(sum("|toy" in line for line in lines if line.startswith("toy-")), 1)
        self.assertIn("# toy: heap-buffer-overflow", "\n".join(lines))
        self.assertEqual([m["id"] for m in Hook.seen], [folder.name] * 2, "once refused, once taken")
        state = self.state()["targets"]["toy"]
        self.assertGreater(state["execs"], 0)
        self.assertEqual(bool(toy.AFL), state["afl_execs"].get("main", 0) > 0)
        self.page(folder.name)
        self.assertEqual(toy.processes(self.out), [])
        (self.out / "index.html").unlink()
        self.assertEqual(subprocess.call([ROOT / "fuzz/campaign", "--page", self.out], stdout=subprocess.DEVNULL), 0)
        self.page(folder.name)

    def page(self, name):
        text = (self.out / "index.html").read_text()
        page = Page()
        page.feed(text)
        self.assertEqual((page.wrong, page.open), ([], []))
        self.assertFalse([a for a in page.addresses if re.match(r"\w+:|//", a)], "an address in the network")
        self.assertNotIn("url(", text)
        self.assertGreater(page.paths, 6)
        self.assertIn(f"findings/{name}/report.md", page.addresses)
        self.assertIn("tests/fuzz/toy.c", "".join(page.text))
        self.assertIn("lines reached", "".join(page.text))

    def test_2_replay(self):
        def replay(*words):
            done = subprocess.run([sys.executable, "-B", ROOT / "fuzz/replay", "--manifest", self.manifest, "--out", self.out, *words],
                                  capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)
            return done.returncode, done.stdout + done.stderr
        folder, _ = self.finding()
        code, text = replay("toy-c", "--fuzzer")
        self.assertEqual(code, 1, text)
        self.assertIn("heap-buffer-overflow", text)
        code, text = replay(folder.name)  # the plain program reads past its buffer and nobody sees it
        self.assertEqual(code, 0, text)
        trap = self.folder / "trap"
        trap.write_bytes(b"RDBQ5678")
        code, text = replay("--target", "toy", trap)
        self.assertEqual(code, 1, text)
        self.assertIn("signal 4", text)
        if shutil.which("gdb"):
            code, text = replay("--target", "toy", trap, "--gdb")
            self.assertEqual(code, 1, text)
            self.assertIn("__builtin_trap", text)
        self.assertEqual(replay(trap)[0], 2, "no target named")
        self.assertEqual(replay("other")[0], 2)
        self.assertEqual(replay("--target", "toi", trap)[0], 2)

    def test_3_kill(self):
        """kill -9 in the middle: nothing is left running, nothing of the corpus and of the findings is lost."""
        corpus, before = self.out / "toy/corpus", self.finding()[1]["count"]
        code, _, errors = toy.campaign(self.manifest, self.out, "toy")
        self.assertEqual(code, 2, "without --resume")
        self.assertIn("--resume", errors)
        child = subprocess.Popen(toy.words(self.manifest, self.out, "toy", "--time", "forever", "--resume", "--workers", "2"),
                                 stdout=subprocess.PIPE)
        child.stdout.readline()
        time.sleep(4)
        self.assertTrue(toy.processes(self.out))
        kept = {p.name for p in corpus.iterdir()}
        self.assertEqual(toy.campaign(self.manifest, self.out, "toy", "--resume")[0], 2, "two in one folder")
        child.kill()
        child.wait()
        child.stdout.close()
        (self.out / "toy/corpus").rename(self.out / "toy/corpus.old")  # as if in the middle of minimising
        so_far = self.state()["elapsed"]
        code, _, errors = toy.campaign(self.manifest, self.out, "toy", "--time", "3s", "--resume", "--workers", "1")
        self.assertEqual(code, 1, errors)
        self.assertEqual(kept - {p.name for p in corpus.iterdir()}, set())
        self.assertEqual(toy.processes(self.out), [])
        self.assertGreaterEqual(self.finding()[1]["count"], before)
        self.assertGreater(so_far, 2)
        self.assertGreaterEqual(self.state()["elapsed"], so_far + 2)

    def test_4_quota(self):
        """Whatever fills the folder, it is small again in the end."""
        for number in range(40):
            (self.out / f"toy/corpus/junk{number}").write_bytes(os.urandom(60) + bytes([number]) * 70000)
        (self.out / "toy/afl/main/queue").mkdir(parents=True, exist_ok=True)
        (self.out / "toy/afl/main/queue/id:999999,sync:x").write_bytes(bytes(3 << 20))
        code, events, errors = toy.campaign(self.manifest, self.out, "toy", "--time", "3s", "--resume", "--workers", "1",
                                            "--disk", "2M", "--engines", "libfuzzer")
        self.assertEqual(code, 1, errors)
        size = sum(p.lstat().st_blocks * 512 for p in self.out.rglob("*") if p.is_file())
        self.assertLess(size, 2 << 20, events)
        self.assertTrue(any((self.out / "toy/corpus").iterdir()))


if __name__ == "__main__":
    unittest.main(verbosity=2, failfast=True)
