# SPDX-License-Identifier: MIT
"""Runs redoubt-verify for the tests, and says what it should have said."""
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


# Numbers in the text of a check: those of the policy, of the command line, or of PCRs that a policy can name (the profile's name has its own).
NUMBERS = (r"\d+ bytes, all equal", r"key \d+ of the policy, by its name", r"the attestation key is none of the \d+ that the policy names",
           r"PCR \d+ has none of the values that the policy has for it")


class Check:
    """Counts cases; finish() ends the program."""
    def __init__(self, build):
        self.tool, self.count, self.findings = Path(build) / "redoubt-verify", 0, []
        self.scratch = tempfile.TemporaryDirectory()
        self.folder = Path(self.scratch.name)
        if not self.tool.is_file():
            sys.exit(f"FAIL {self.tool} does not exist: tools/dev build")
        self.image, self.known = self.tool.read_bytes(), {}

    def file(self, name, data):
        path = self.folder / name
        path.write_bytes(data if isinstance(data, bytes) else json.dumps(data, indent=1).encode())
        return path

    def run(self, *words, timeout=10):
        done = subprocess.run([self.tool, *map(str, words)], capture_output=True, timeout=timeout)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def literal(self, text):
        """Whether a text is one of the program's own, which no evidence can bend. The linker keeps a text as the end of a longer one."""
        if text not in self.known:
            self.known[text] = len(text) > 3 and text.encode() + b"\0" in self.image
        return self.known[text]

    def clean(self, answer, human):
        """What is wrong with an answer that is not authentic: nothing that the evidence says stands outside "unverified"."""
        if "attested" in answer:
            return None
        if set(answer) != {"verb", "verdict", "exit", "meaning", "failed", "checks", "unverified"}:
            return f"keys {list(answer)}"
        for check in answer["checks"]:
            text = check["text"]
            known = any(re.fullmatch(n, text) for n in NUMBERS) or self.literal(text) or all(self.literal(part) for part in text.split(": ", 1))
            if not known or not self.literal(check["id"]):
                return f"text that is not the program's own: {check}"
        lines = [f"{c['state']:<7} {c['id']}: {c['text']}" for c in answer["checks"]]
        lines += ["unverified:"] + ["  " + k for k in answer["unverified"]] if answer["unverified"] else []
        lines.append("ACCEPTED" if answer["exit"] == 0 else f"REJECTED ({answer['meaning']}): {answer['failed']}: {answer['checks'][-1]['text']}")
        got = human.splitlines()
        got = [s.split(":")[0] if s.startswith("  ") else s for s in got]
        return None if got == lines else f"lines beside the checks: {got}"

    def expect(self, what, code, failed, *words):
        """One case, as JSON and for people: exit code and id of the check that decided (None: accepted)."""
        self.count += 1
        got, out, err = self.run(*words, "--json")
        human, text, _ = self.run(*words)
        try:
            answer = json.loads(out)
        except ValueError:
            self.findings.append(f"{what}: exit {got}, no JSON: {out[:200]}{err[:300]}")
            return {}
        last = text.splitlines()[-1]
        good = (got, human, answer["exit"], answer["failed"]) == (code, code, code, failed)
        good = good and (last == "ACCEPTED" if code == 0 else last.startswith("REJECTED (") and f": {failed}: " in last)
        good = good and [c["id"] for c in answer["checks"] if c["state"] == "FAIL"] == ([failed] if failed else [])
        good = good and (code != 2 or "attested" not in answer)
        bad = self.clean(answer, text)
        if bad:
            self.findings.append(f"{what}: {bad}")
        if not good:
            self.findings.append(f"{what}: wanted exit {code} {failed}, got {got} {answer['failed']}: {last}")
        return answer

    def expect_text(self, what, code, first, *words):
        """A verb without --json: exit code and the first word of its first line (None: nothing on standard output)."""
        self.count += 1
        got, out, err = self.run(*words)
        if got != code or (out.split()[:1] != [first] if first else out):
            self.findings.append(f"{what}: wanted exit {code} {first}, got {got}: {out[:200]}{err[:300]}")

    def refuse(self, what, words_of_error, *words):
        """Wrong usage or a bad policy: exit 1, nothing on standard output, one line that has these words."""
        self.count += 1
        got, out, err = self.run(*words)
        if got != 1 or out or any(w not in err for w in words_of_error):
            self.findings.append(f"{what}: wanted exit 1 and {words_of_error}, got {got}: {out[:200]}{err[:300]}")

    def finish(self):
        for text in self.findings:
            print("FAIL", text)
        print(f"{self.count} cases, {len(self.findings)} findings")
        sys.exit(1 if self.findings or not self.count else 0)
