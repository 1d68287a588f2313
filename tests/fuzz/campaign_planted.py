#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A known defect in a real parser through a whole campaign: finding, minimised reproducer, report; and fuzz/replay, with the parser's
plain program, fails the same way. Usage: campaign_planted.py --work FOLDER (it is kept, so that only the first time takes long)."""
import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "fuzz/lib"))
import plantbuild  # noqa: E402
import planted  # noqa: E402

DEFECT = "scsi-cdb-short"
# READ(10) of one block and what no parser looks at, so that a reproducer can be much smaller.
SEED = bytes([0, 10, 0x28, 0, 0, 0, 0, 0, 0, 0, 1]) + bytes(7) + b"filling " * 40
PLAIN = "-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g -O1"


def run(*words, **more):
    done = subprocess.run(list(map(str, words)), cwd=ROOT, capture_output=True, text=True, check=False, **more)
    return done.returncode, done.stdout + done.stderr


def wants(what, good, said=""):
    if not good:
        sys.exit(f"FAIL {what}\n{said[-4000:]}")
    print(f"ok   {what}", flush=True)


def configure(folder, *words):
    code, said = run("cmake", "--preset", "fuzz", "-B", folder, *words)
    wants(f"{folder.name} is configured", code == 0, said)
    return plantbuild.Tree(folder)


def programs(work):
    """(the fuzzer with the defect, the plain program with it, the plain program without)"""
    defect = planted.load()[DEFECT]
    os.environ["LLVM_PROFILE_FILE"] = "/dev/null"  # the plain program is the one that counts lines, with sanitizers
    work.mkdir(parents=True, exist_ok=True)
    fuzz = configure(work / "fuzz")
    plain = configure(work / "plain", "-DREDOUBT_ENGINE=cov", f"-DCMAKE_C_FLAGS={PLAIN}", f"-DCMAKE_EXE_LINKER_FLAGS={PLAIN}")
    planted_fuzz = plantbuild.plant(defect, fuzz, work / "fuzz_planted")
    planted_plain = plantbuild.plant(defect, plain, work / "replay_planted")
    return planted_fuzz, planted_plain, work / "plain" / f"fuzz_{defect.target}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument("--time", default="2m", help="the campaign ends at its finding; a busy machine has this long for it")
    args = parser.parse_args()
    fuzzer, plain, good = programs(args.work.resolve())
    with tempfile.TemporaryDirectory(prefix="redoubt-planted-") as name:
        folder = Path(name)
        out, manifest = folder / "out", folder / "targets.json"
        (folder / "seeds").mkdir()
        (folder / "seeds/read").write_bytes(SEED)
        manifest.write_text(json.dumps([{
            "name": "scsi", "harness": "fuzz/fuzz_scsi.c", "sources": ["hv/wire/scsi.c", "hv/wire/scsi_data.c"], "corpus": str(folder / "seeds"), "dict": None,
            "options": None, "kind": "stateless", "max_len": 512, "libfuzzer": str(fuzzer), "afl": None, "cmplog": None, "replay": str(plain), "cov": None}]))
        code, said = run(plain, folder / "seeds/read")
        wants("the seed is fine with the defect", code == 0, said)
        code, said = run(sys.executable, "-B", "fuzz/campaign", "--manifest", manifest, "--out", out, "--time", args.time, "--until-finding", "--slice", "5s", "--minimise", "2m",
                         "--disk", "64M", "--json", "scsi", timeout=400)
        wants("the campaign ends with a finding", code == 1, said)
        found = sorted(p for p in (out / "findings").iterdir() if p.is_dir())
        wants("one defect is one finding", len(found) == 1, str(found))
        finding = json.loads((found[0] / "finding.json").read_text())
        wants("the stack leads to the changed lines", any(f[1].endswith("hv/wire/scsi.c") for f in finding["frames"]), str(finding["frames"]))
        whole, small = (found[0] / "input").read_bytes(), (found[0] / "input.min").read_bytes()
        wants(f"the reproducer has {len(small)} bytes, the input had {len(whole)}; {finding['minimised_by']}", len(small) < len(whole) and len(small) <= 18)
        report = (found[0] / "report.md").read_text()
        wants("the report says how to replay it", "fuzz/replay " in report and found[0].name in report and finding["kind"] in report, report)
        wants("the page names it", found[0].name in (out / "index.html").read_text())
        code, said = run(sys.executable, "-B", "fuzz/replay", found[0].name, "--out", out, "--manifest", manifest)
        wants("fuzz/replay fails the same way, with the plain program", code == 1 and finding["kind"] in said and finding["frames"][0][0] in said, said)
        code, said = run(good, found[0] / "input.min")
        wants("without the defect the reproducer is fine", code == 0, said)


if __name__ == "__main__":
    main()
