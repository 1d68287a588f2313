#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs clang-tidy-16 over the hypervisor's C files, two at a time, with the flags of the product's build.

usage: tidy.py BUILD_FOLDER [PATH_PART...]     (only files whose names contain one of the parts)
Exit: 0 clean, 1 findings, 2 wrong usage, 3 no compile_commands.json.
"""
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Of the product's -fsanitize traps and warnings clang-tidy needs nothing; -Werror would stop it at the first finding.
EXTRA = ["--extra-arg=-Wno-error", "--extra-arg=-fno-sanitize=all"]


def tidy(build, name):
    run = subprocess.run(["clang-tidy-16", "--quiet", "-p", str(build), *EXTRA, str(ROOT / name)], text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    lines = [x for x in run.stdout.splitlines() if not x.endswith("warnings generated.")
             and not x.startswith(("Suppressed ", "Use -header-filter"))]
    return run.returncode, "\n".join(lines).replace(f"{ROOT}/", "")


def main(argv):
    if argv and argv[0] in ("-h", "--help"):
        print(__doc__.strip())
        return 0
    if not argv:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    build, parts = Path(argv[0]), argv[1:]
    try:
        entries = json.loads((build / "compile_commands.json").read_text())
    except OSError as e:
        print(f"tidy: {e} (run: tools/dev build)", file=sys.stderr)
        return 3
    names = sorted({os.path.relpath(e["file"], ROOT) for e in entries if e["file"].endswith(".c")})
    names = [n for n in names if n.startswith("hv/") and (not parts or any(p in n for p in parts))]
    failed = 0
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        jobs = {pool.submit(tidy, build, name): name for name in names}
        for done, job in enumerate(as_completed(jobs), 1):
            code, text = job.result()
            failed += code != 0
            print(f"[{done}/{len(names)}] {jobs[job]}" + (f"\n{text}" if code else ""), flush=True)
    if not names:
        print("tidy: no files", file=sys.stderr)
        return 1
    print(f"clang-tidy: {len(names)} files, {failed} with findings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
