# SPDX-License-Identifier: MIT
"""fuzz/replay: one input through the plain program of its target, without a fuzzing engine; or under gdb."""
import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import process
import targets as manifest
from targets import ROOT, Refused

EXIT = "exit codes: 0 the input ran clean, 1 it fails, 2 wrong usage, 3 something is missing here"


def _parser():
    p = argparse.ArgumentParser(prog="fuzz/replay", epilog=EXIT, allow_abbrev=False,
                                description="Runs one input with a target's plain program, without a fuzzing engine.")
    p.add_argument("what", metavar="FINDING|FILE",
                   help="a finding of the campaign, by name or by the unique beginning of it; or a file with an input")
    p.add_argument("--target", metavar="X", help="the target, for a FILE that is not in fuzz/corpus/X or a finding")
    p.add_argument("--gdb", action="store_true", help="under gdb: on a terminal to work with, else for the stack alone")
    p.add_argument("--fuzzer", action="store_true", help="with the libFuzzer program instead: another view of the failure")
    p.add_argument("--full", action="store_true", help="the input as it was found, not the minimised one")
    p.add_argument("--out", metavar="DIR", help="folder of the campaign (build/campaign)")
    p.add_argument("--timeout", metavar="S", type=int, default=20, help="seconds after which the input is a hang (20)")
    p.add_argument("--manifest", metavar="FILE", help="the targets (build/fuzz/targets.json)")
    return p


def find(what, target, out, full):
    """(path of the input, name of its target)."""
    folder = Path(out) / "findings"
    names = sorted(p.name for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []
    found = [what] if what in names else [n for n in names if n.startswith(what)]
    path = Path(what)
    if not path.is_file():
        if len(found) > 1:
            raise Refused(f"{what}: {len(found)} findings begin so: {' '.join(found)}")
        if not found:
            there = f"there are: {' '.join(names)}" if names else "there is none"
            raise Refused(f"{what}: neither a file nor a finding in {folder}; {there}")
        path = folder / found[0] / ("input" if full else "input.min")
    path = path.resolve()
    if target is None and (path.parent / "finding.json").exists():
        target = json.loads((path.parent / "finding.json").read_text(encoding="utf-8"))["target"]
    if target is None and path.parent.parent == ROOT / "fuzz/corpus":
        target = path.parent.name
    if target is None:
        raise Refused(f"{path}: of which target? Add --target X")
    return path, target


def gdb(program, path, env):
    if not shutil.which("gdb"):
        raise Refused("gdb is missing: apt-get install gdb", 3)
    # A sanitizer's report ends in abort(), where gdb stops with the whole stack.
    env["ASAN_OPTIONS"] += ":abort_on_error=1"
    env["UBSAN_OPTIONS"] += ":abort_on_error=1"
    words = ["gdb", "-q", "-nx", "-ex", "set confirm off", "-ex", "set debuginfod enabled off"]
    if sys.stdin.isatty() and sys.stdout.isatty():
        return subprocess.call([*words, "-ex", "run", "--args", program, path], env=env)
    done = subprocess.run([*words, "-batch", "-ex", "run", "-ex", "bt", "--args", program, path], env=env, check=False,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(done.stdout, end="")
    return 0 if "exited normally" in done.stdout else 1


def main(argv):
    args = _parser().parse_args(argv)
    build = ROOT / os.environ.get("REDOUBT_BUILD", "build")
    try:
        path, name = find(args.what, args.target, args.out or build / "campaign", args.full)
        target = manifest.choose(manifest.load(args.manifest or build / "fuzz/targets.json"), [name])[0]
        program = target.libfuzzer if args.fuzzer else target.replay
        if not program or not program.exists():
            raise Refused(f"{program or 'the replay program of ' + name}: not there: run `tools/dev build {'fuzz' if args.fuzzer else 'host'}`", 3)
        env = process.environment("replay")
        print(f"fuzz/replay: {program} {path}", flush=True)
        if args.gdb:
            return gdb(program, path, env)
        flags = [f"-timeout={args.timeout}"] if args.fuzzer else []
        try:
            code = subprocess.run([program, *flags, path], env=env, stdin=subprocess.DEVNULL, timeout=args.timeout + 5,
                                  check=False).returncode
        except subprocess.TimeoutExpired:
            print(f"fuzz/replay: still running after {args.timeout + 5} s: a hang")
            return 1
    except Refused as error:
        print(f"fuzz/replay: {error}", file=sys.stderr)
        return error.code
    except OSError as error:
        print(f"fuzz/replay: {error}", file=sys.stderr)
        return 3
    how = f"signal {-code}" if code < 0 else f"exit {code}"
    print("fuzz/replay: the input ran clean" if code == 0 else f"fuzz/replay: the input fails ({how})")
    return 1 if code else 0
