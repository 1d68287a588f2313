# SPDX-License-Identifier: MIT
"""Builds the toy target as the fuzz build would, and runs campaigns on it."""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "fuzz/lib"))
AFL = shutil.which("afl-fuzz") and shutil.which("afl-clang-fast")


def build(folder, *defines):
    """The manifest of one target in the folder."""
    source = ROOT / "tests/fuzz/toy.c"
    common = ("-g", "-O1", *defines, str(source))
    sanitize = ("-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")

    def make(name, compiler, *words, **env):
        subprocess.run([compiler, *common, *words, "-o", folder / name], check=True, capture_output=True,
                       env={**os.environ, "AFL_QUIET": "1", **env})
        return str(folder / name)

    entry = {"name": "toy", "harness": str(source), "sources": ["tests/fuzz/toy.c"], "corpus": str(folder / "seeds"),
             "dict": None, "options": None, "kind": "stateless", "max_len": 64, "afl": None, "cmplog": None,
             "libfuzzer": make("fuzz_toy", "clang-16", *sanitize, "-fsanitize=fuzzer"),
             "replay": make("replay_toy", "clang-16", "-DTOY_TRAP", str(ROOT / "fuzz/replay_main.c")),
             "cov": make("cov_toy", "clang-16", "-fprofile-instr-generate", "-fcoverage-mapping",
                         str(ROOT / "fuzz/replay_main.c"))}
    if AFL:
        entry["afl"] = make("afl_toy", "afl-clang-fast", "-fsanitize=fuzzer")
        entry["cmplog"] = make("cmplog_toy", "afl-clang-fast", "-fsanitize=fuzzer", AFL_LLVM_CMPLOG="1")
    (folder / "seeds").mkdir()
    (folder / "seeds/one").write_bytes(b"RDBAxxxxxxxxxxxxxxxxxxxxxxx")
    (folder / "targets.json").write_text(json.dumps([entry]))
    return folder / "targets.json"


def secrets(one, two, bug=b""):
    """Defines of TOY_SECRETS for these inputs; without `bug`, nothing fails."""
    def toy_hash(data):
        """As toy.c."""
        value = 0xcbf29ce484222325
        for byte in data:
            value = (value ^ byte) * 0x9e3779b97f4a7c15 & (1 << 64) - 1
            value ^= value >> 29
        return value
    named = {"TOY_SECRET_1": toy_hash(one), "TOY_SECRET_2": toy_hash(two), "TOY_SECRET_BUG": toy_hash(bug) if bug else 0}
    return ["-DTOY_SECRETS", *(f"-D{name}={value}u" for name, value in named.items())]


def words(manifest, out, *more):
    return [sys.executable, "-B", ROOT / "fuzz/campaign", "--manifest", manifest, "--out", out, "--timeout", "3",
            "--minimise", "1m", "--slice", "4s", "--disk", "32M", "--json", *more]


def campaign(manifest, out, *more, timeout=120):
    """(exit code, events, errors) of a campaign."""
    done = subprocess.run(words(manifest, out, *more), capture_output=True, text=True, timeout=timeout, check=False)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")], done.stderr


def processes(mark):
    """Processes of a campaign that are still there."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            try:
                if f"REDOUBT_CAMPAIGN={mark}".encode() in Path("/proc", entry, "environ").read_bytes().split(b"\0"):
                    found.append(entry)
            except OSError:
                pass
    return found
