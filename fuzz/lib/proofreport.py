# SPDX-License-Identifier: MIT
"""The scoreboard docs/fuzz-proof.md: made of the results, of nothing else."""
import os
import time
from collections import Counter

import planted
import results
import trials
from targets import ROOT

PAGE = ROOT / "docs/fuzz-proof.md"
AIM = 600.0  # CPU seconds of one trial


def _row(cells):
    return "| " + " | ".join(str(c) for c in cells) + " |"


def _cell(done):
    """Found n of m; the median; what was seen."""
    if not done:
        return "not run", ""
    found = [r for r in done.values() if r["found"]]
    median = results.median(done)
    budget = max(r["budget"] for r in done.values())
    text = f"{median:.1f}" if median is not None else f"> {budget:.0f}"
    return f"{len(found)}/{len(done)}", text


def _defects(defects, kept):
    lines = [_row(["defect", "target", "class", "what is wrong", "corpus alone", "libFuzzer", "CPU s", "AFL++", "CPU s", "seen as"]),
             "|---|---|---|---|---|---|---:|---|---:|---|"]
    sums = {e: Counter() for e in (*trials.ENGINES, "either")}
    for d in defects.values():
        replay, seen, either = kept.replayed(d), [], []
        cells = []
        for engine in trials.ENGINES:
            done = kept.trials(d, engine)
            cells += _cell(done)
            seen += [r["seen"] for r in done.values() if r["found"]]
            if done:
                sums[engine]["run"] += 1
                sums[engine]["trials"] += len(done)
                sums[engine]["found"] += results.median(done) is not None
                sums[engine]["whole"] += sum(not r["found"] and r["budget"] >= AIM for r in done.values()) * 2 > results.TRIALS
                either.append(results.median(done) is not None)
        sums["either"]["run"] += bool(either)
        sums["either"]["found"] += any(either)
        alone = "" if replay is None else f"{len(replay['failing'])} inputs" if replay["failing"] else \
            "triggers" if replay["triggered"] else "reaches" if replay["reached"] else "does not reach"
        sums["either"]["replay"] += bool(replay and replay["failing"])
        what = Counter(seen).most_common(1)[0][0] if seen else ""
        lines.append(_row([d.name, d.target, d.cls, d.what, alone, *cells, what]))
    return lines, sums


def _share(count, of):
    return f"{100 * count / of:.1f}"


def _summary(defects, sums):
    lines = [_row(["", "defects with a trial", "found (median of 3 trials)", "%", "not found, but tried for the whole time", "trials"]),
             "|---|---:|---:|---:|---:|---:|"]
    for key, name in (("libfuzzer", "libFuzzer"), ("afl", "AFL++"), ("either", "either")):
        s = sums[key]
        lines.append(_row([name, f"{s['run']} of {len(defects)}", s["found"], _share(s["found"], len(defects)), s["whole"] if s["trials"] else "",
                           s["trials"] or ""]))
    return lines


def _aim(defects, sums):
    """Whether the aim is reached: what has not been tried long enough counts as not found."""
    short = [name for key, name in (("libfuzzer", "libFuzzer"), ("afl", "AFL++"))
             if not defects or sums[key]["found"] < 0.95 * len(defects)]
    return f"*Pending*: {' and '.join(short)} {'have' if len(short) > 1 else 'has'} not reached it" if short else "Both engines reach it"


def _missed(defects, kept):
    lines = []
    for d in defects.values():
        for engine in trials.ENGINES:
            done = kept.trials(d, engine)
            if done and results.median(done) is None:
                budget = max(r["budget"] for r in done.values())
                lines.append(f"- {d.name}, {engine}: {sum(r['found'] for r in done.values())} of {len(done)} trials, the others within {budget:.0f} s")
    return lines or ["None."]


def _deletion(kept):
    best = list(kept.checks().values())
    if not best:
        return ["*Pending*: not run yet."]
    lines = [_row(["source", "checks", "corpus: oracle", "corpus: verdict", "fuzzing", "survive", "noticed %"]),
             "|---|---:|---:|---:|---:|---:|---:|"]
    total, spent = Counter(), {}
    for r in kept.lines:
        if r["what"] == "deletion" and r["cpu"]:
            spent[r["target"]] = max(spent.get(r["target"], 0), r["cpu"])
    for file in sorted({r["file"] for r in best}):
        c = Counter(r["how"] for r in best if r["file"] == file)
        total.update(c)
        lines.append(_deletion_row(file, c))
    lines.append(_deletion_row("**all**", total))
    never = sum(r["how"] == "never" for r in best)
    same = planted.equivalent()
    left = [r for r in best if r["how"] in ("survives", "never")]
    equal = [r for r in left if (r["file"], r["text"]) in same]
    count = len(best)
    lines += ["", f"{len(left)} of {count} are not noticed: {100 * (count - len(left)) / count:.1f} % are. {len(equal)} of them cannot be: the program without "
              f"them is the same (fuzz/planted/equivalent.toml). Of all others {100 * (count - len(left)) / (count - len(equal)):.1f} % are noticed."]
    if equal:
        lines += ["", "### Equivalent", ""]
        lines += [f"- `{r['file']}:{r['line']}` `" + r["text"].replace("|", "\\|") + f"`: {same[(r['file'], r['text'])]}"
                  for r in sorted(equal, key=lambda r: (r["file"], r["line"]))]
        best = [r for r in best if r not in equal]
    lines += ["", "CPU seconds of fuzzing, for all survivors of a target together: " +
              (", ".join(f"{t} {s:.0f}" for t, s in sorted(spent.items())) or "none") + ".",
              "", f"### Survivors ({never} of them refuse nothing in the corpora: what is left out is an input)", ""]
    for r in sorted(best, key=lambda r: (r["file"], r["line"])):
        if r["how"] == "survives":
            text = r["text"].replace("|", "\\|")
            lines.append(f"- `{r['file']}:{r['line']}` `{text}`: refuses {r['hits']} inputs, and nothing says otherwise without it")
    lines += ["", "Checks that no input reaches with what they refuse, by line:", ""]
    for file in sorted({r["file"] for r in best if r["how"] == "never"}):
        rows = sorted(r["line"] for r in best if r["how"] == "never" and r["file"] == file)
        lines.append(f"- `{file}`: {', '.join(map(str, rows))}")
    return lines


def _deletion_row(name, c):
    count = sum(c.values())
    left = c["survives"] + c["never"]
    return _row([name, count, c["oracle"], c["verdict"], c["fuzzing"], left, f"{100 * (count - left) / count:.1f}"])


def write(a, defects, kept):
    """Writes the page; 0."""
    table, sums = _defects(defects, kept)
    dates = sorted(r["began"][:10] for r in kept.lines if r.get("began"))
    commits = {r["commit"] for r in kept.lines if r.get("commit")}
    cpu = sum(r["cpu"] for r in kept.lines if r["what"] == "trial")
    at = Counter(r["commit"] for d in defects.values() for e in trials.ENGINES for r in kept.trials(d, e).values()).most_common(1)
    when = f"of {dates[0]}" + (f" to {dates[-1]}" if dates[-1] != dates[0] else "") if dates else "of no day"
    where = f"all at {min(commits)}" if len(commits) == 1 else f"at {len(commits)} commits" + (
        f"; {at[0][1]} of the trials that count are of {at[0][0]}" if at else "")
    budgets = sorted({round(r["budget"]) for d in defects.values() for e in trials.ENGINES for r in kept.trials(d, e).values() if not r["found"]})
    text = f"""# Does the fuzzing find bugs?

Made by `fuzz/proof --report` on {time.strftime('%Y-%m-%d')} from {len(kept.lines)} results {when}
({where}); a machine with {os.cpu_count()} processors that others use, too; {cpu / 60:.0f} CPU minutes of fuzzing.
[docs/fuzzing.md](fuzzing.md) says how it is measured.

## Planted defects

{len(defects)} defects, one planted at a time. A trial starts from the committed seeds without those that fail with the defect, and ends at the find.
Found: the target fails, the defect's counter says that it was triggered, and the same input is fine without the defect. Time is CPU time.
The aim is 95 % within {AIM:.0f} CPU seconds, median of {results.TRIALS} trials. {_aim(defects, sums)}. A trial that was not run, or not yet for that time, counts
as one that found nothing; trials without a find had {', '.join(f'{b:.0f}' for b in budgets) or 'no'} seconds so far.

""" + "\n".join(_summary(defects, sums)) + f"""

The committed corpus alone, without fuzzing, shows {sums['either']['replay']} of them ("inputs": how many of its inputs fail).

### Not found

""" + "\n".join(_missed(defects, kept)) + "\n\n### All\n\n" + "\n".join(table) + "\n\n## Check deletion\n\n" + "\n".join(_deletion(kept)) + "\n"
    PAGE.write_text(text, encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)}: written")
    return 0
