# SPDX-License-Identifier: MIT
"""The page of a campaign: one static HTML file that asks nothing of the network."""
import time
from html import escape

import coverage
import store as disk
from targets import ROOT

STYLE = """
:root { color-scheme: light dark; --line: #8884; --cov: #2a78d6; --afl: #8a5cc2; --exec: #2e9960; --bad: #c0392b; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem } h2 { font-size: 1.15rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: .25rem .6rem; border-bottom: 1px solid var(--line) }
td { white-space: nowrap } td.text { white-space: normal }
th:first-child, td:first-child, td.text, th.text { text-align: left }
.wide { overflow-x: auto } .bad { color: var(--bad); font-weight: 600 } .quiet { opacity: .7 }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(21rem, 1fr)); gap: 1rem }
figure { margin: 0; border: 1px solid var(--line); border-radius: 6px; padding: .5rem .7rem }
figcaption { font-weight: 600 } svg { width: 100%; height: auto; display: block }
svg text { font-size: 10px; fill: currentColor } pre { overflow-x: auto; font-size: 12px }
.cov { stroke: var(--cov) } .afl { stroke: var(--afl) } .exec { stroke: var(--exec) }
path { fill: none; stroke-width: 1.6 } .axis { stroke: var(--line) } summary { cursor: pointer; padding: .15rem 0 }
"""


def short(number):
    for unit in ("", "k", "M", "G", "T"):
        if abs(number) < 1000 or unit == "T":
            return f"{number:.0f}{unit}" if unit == "" or number >= 100 else f"{number:.1f}{unit}"
        number /= 1000
    return ""


def span(seconds):
    seconds = int(seconds)
    days, rest = divmod(seconds, 86400)
    return (f"{days} d " if days else "") + f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"


def _path(points, key, end, top, kind, box):
    """One line of a plot; at most a few hundred points of it."""
    x0, y0, width, height = box
    step = max(1, len(points) // 300)
    shown = points[::step] + ([points[-1]] if (len(points) - 1) % step else [])
    words = [f"{x0 + width * p['t'] / end:.1f},{y0 + height * (1 - p[key] / top):.1f}" for p in shown]
    # Coverage and executions stay as they are after the last slice.
    words.append(f"{x0 + width:.1f},{y0 + height * (1 - shown[-1][key] / top):.1f}")
    return f'<path class="{kind}" d="M{" L".join(words)}"/>'


def plot(points, lines, end, label):
    """One plot over the campaign's time; lines: [(key, class, words)]."""
    box = (44, 12, 290, 88)
    top = max((p[key] for p in points for key, _, _ in lines), default=0) or 1
    parts = [f'<svg viewBox="0 0 345 124" role="img" aria-label="{escape(label)}">',
             f'<path class="axis" d="M{box[0]},{box[1]} v{box[3]} h{box[2]}"/>',
             f'<text x="{box[0] - 4}" y="{box[1] + 8}" text-anchor="end">{short(top)}</text>',
             f'<text x="{box[0] - 4}" y="{box[1] + box[3]}" text-anchor="end">0</text>',
             f'<text x="{box[0] + box[2]}" y="{box[1] + box[3] + 13}" text-anchor="end">{span(end)}</text>']
    for number, (key, kind, words) in enumerate(lines):
        if points:
            parts.append(_path(points, key, end, top, kind, box))
        x = box[0] + 108 * number
        parts.append(f'<path class="{kind}" d="M{x},{box[1] + box[3] + 10} h12"/>'
                     f'<text x="{x + 16}" y="{box[1] + box[3] + 13}">{escape(words)}</text>')
    return "".join(parts) + "</svg>"


def _targets_table(state, findings):
    rows = []
    for name, t in sorted(state["targets"].items()):
        number = sum(name in f["targets"] for f in findings)
        execs = t["execs"] + sum(t["afl_execs"].values())
        off = "; ".join(f"{e}: {text}" for e, text in t["errors"].items())
        lines = "" if t["lines"] is None else f"{t['lines']:.1f} %"
        rows.append(
            f'<tr><td><a href="#t-{escape(name)}">{escape(name)}</a></td><td>{short(execs)}</td>'
            f"<td>{short(execs / t['seconds']) if t['seconds'] else ''}</td><td>{t['cov']}</td><td>{t['ft']}</td><td>{t['edges']}</td>"
            f"<td>{lines}</td><td>{t.get('files', 0)}</td><td>{span(t['seconds'])}</td><td>{span(t['last_new'])}</td>"
            f'<td{" class=bad" if number else ""}>{number}</td><td class="text">{escape(off)}</td></tr>')
    head = ('<tr><th>Target</th><th>Executions</th><th>per second</th><th>Edges (libFuzzer)</th><th>Features</th><th>Edges (AFL++)</th>'
            '<th>Lines</th><th>Inputs</th><th>Time</th><th>Last new</th><th>Findings</th><th class="text">Problems</th></tr>')
    return f'<div class="wide"><table>{head}{"".join(rows)}</table></div>'


def _findings_table(findings):
    if not findings:
        return "<p>None.</p>"
    rows = []
    for f in sorted(findings, key=lambda f: f["first_seen"]):
        when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(f["first_seen"]))
        rows.append(f'<tr><td><a href="findings/{escape(f["id"])}/report.md">{escape(f["id"])}</a></td>'
                    f'<td class="text bad">{escape(f["class"])}: {escape(f["kind"])}</td><td class="text">{escape(f["place"])}</td>'
                    f'<td>{f["min_size"]}</td><td>{f["count"]}</td><td>{when}</td><td class="text">{escape(f["commit"])}</td></tr>')
    return ('<div class="wide"><table><tr><th>Finding</th><th class="text">Class</th><th class="text">Place</th><th>Bytes</th>'
            f'<th>Seen</th><th>First (UTC)</th><th class="text">Commit</th></tr>{"".join(rows)}</table></div>')


def _uncovered(store, names):
    parts = []
    for name in names:
        files = coverage.stored(store, name)
        if files is None:
            continue
        share = coverage.percent(files)
        body = []
        for file, data in sorted(files.items()):
            missed = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in data["missed"])
            body.append(f"<h4>{escape(file)}</h4><p class=quiet>{escape(missed) or 'every line is reached'}</p>")
            if missed:
                body.append(f"<pre>{_source(file, data['missed'])}</pre>")
        text = "no lines" if share is None else f"{share:.1f} % of the lines reached"
        parts.append(f"<details><summary>{escape(name)}: {text}</summary>{''.join(body)}</details>")
    return "".join(parts) or "<p>No coverage build: <code>tools/dev build cov</code> makes it.</p>"


def _source(file, missed):
    try:
        lines = (ROOT / file).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    shown = [f"{n:5}  {escape(lines[n - 1])}" for a, b in missed for n in range(a, b + 1) if 0 < n <= len(lines)]
    return "\n".join(shown[:400]) + ("\n..." if len(shown) > 400 else "")


def make(store, findings, now):
    """The text of the page at `now` seconds of the campaign."""
    state, history = store.state, store.history()
    names, end = sorted(state["targets"]), max(1.0, now)
    plots = []
    for name in names:
        points = history.get(name, [])
        cov = plot(points, [("cov", "cov", "edges, libFuzzer"), ("edges", "afl", "edges, AFL++")], end, f"{name}: coverage over time")
        execs = plot(points, [("execs", "exec", "executions")], end, f"{name}: executions over time")
        plots.append(f'<figure id="t-{escape(name)}"><figcaption>{escape(name)}</figcaption>{cov}{execs}</figure>')
    execs = sum(t["execs"] + sum(t["afl_execs"].values()) for t in state["targets"].values())
    status = "running" if state["running"] else "ended"
    made = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    refresh = '<meta http-equiv="refresh" content="60">' if state["running"] else ""
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Redoubt: fuzz campaign</title>{refresh}
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>{STYLE}</style></head><body>
<h1>Fuzz campaign</h1>
<p class="quiet">{status}; {span(now)} of fuzzing with {state.get('workers', 1)} at a time; commit {escape(state.get('commit', 'unknown'))};
{len(names)} targets; {short(execs)} executions; <span{' class="bad"' if findings else ''}>{len(findings)} finding{'' if len(findings) == 1 else 's'}</span>; page made {made}.</p>
<h2>Findings</h2>{_findings_table(findings)}
<h2>Targets</h2>{_targets_table(state, findings)}
<h2>Coverage and executions over time</h2><div class="plots">{"".join(plots)}</div>
<h2>Lines that are not reached</h2>{_uncovered(store, names)}
</body></html>
"""


def write(store, findings, now):
    disk.write(store.out / "index.html", make(store, findings, now))
    return store.out / "index.html"
