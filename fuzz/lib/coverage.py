# SPDX-License-Identifier: MIT
"""Lines of a target's sources that its corpus does not reach, from the coverage build."""
import json
import shutil
import subprocess
from pathlib import Path

import process
import store as disk
from targets import ROOT


def _tool(name):
    return shutil.which(f"{name}-16") or shutil.which(name)


def ranges(numbers):
    """[1, 2, 3, 7] as [[1, 3], [7, 7]]."""
    found = []
    for n in sorted(numbers):
        if found and n == found[-1][1] + 1:
            found[-1][1] = n
        else:
            found.append([n, n])
    return found


def parse(lcov, sources):
    """{file: {"lines": n, "missed": [[from, to]...]}} of an lcov text, for these sources (all of them: an empty list)."""
    found, hits, name = {}, None, None
    for line in lcov.splitlines():
        if line.startswith("SF:"):
            name, hits = line[3:], {}
            prefix = f"{ROOT}/"
            name = name[len(prefix):] if name.startswith(prefix) else name
        elif line.startswith("DA:") and hits is not None:
            number, count = line[3:].split(",")[:2]
            hits[int(number)] = max(hits.get(int(number), 0), int(count))
        elif line == "end_of_record" and hits is not None:
            if not sources or name in sources or Path(name).name in {Path(s).name for s in sources if s.startswith("/")}:
                found[name] = {"lines": len(hits), "missed": ranges(n for n, c in hits.items() if c == 0)}
            hits = None
    return found


def measure(target, settings, store, limit=60.0, stop=lambda: False):
    """Runs the corpus; stores the result as TARGET/uncovered.json and returns it; None without a coverage build."""
    profdata, cov = _tool("llvm-profdata"), _tool("llvm-cov")
    if not target.cov or not target.cov.exists() or not profdata or not cov:
        return None
    logs = store.folder(target.name, "logs")
    raw, merged, log = logs / "coverage.raw", logs / "coverage.data", logs / "coverage.log"
    env = process.environment(settings.out, LLVM_PROFILE_FILE=str(raw))
    process.run([target.cov, store.folder(target.name, "corpus")], env, log, limit, stop=stop)
    result = None
    try:
        subprocess.run([profdata, "merge", "-sparse", "-o", merged, raw], check=True, capture_output=True, timeout=60)
        text = subprocess.run([cov, "export", "-format=lcov", f"-instr-profile={merged}", target.cov], check=True,
                              capture_output=True, text=True, timeout=60).stdout
        result = parse(text, target.sources)
        disk.write(store.out / target.name / "uncovered.json", json.dumps(result))
    except (OSError, subprocess.SubprocessError, ValueError):
        pass
    for left in (raw, merged, log):
        left.unlink(missing_ok=True)
    return result


def stored(store, name):
    try:
        return json.loads((store.out / name / "uncovered.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def percent(files):
    """Share of lines that were reached, or None."""
    lines = sum(f["lines"] for f in files.values()) if files else 0
    missed = sum(b - a + 1 for f in files.values() for a, b in f["missed"]) if files else 0
    return 100.0 * (lines - missed) / lines if lines else None
