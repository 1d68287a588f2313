#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The attack surface as the sources have it, and whether a person has looked at it since it moved.

usage: surface.py --check                        fails when the surface and its reviews differ, and says what to do
       surface.py --build                        the same without the generated pages: a step of every build of the product
       surface.py --due                          lists reviews whose code changed since; never fails
       surface.py --review GROUP... --reason TEXT   records today's look at groups (a group that is gone: drops it)
       surface.py --review-all --reason TEXT     the same for every group that is new, moved or due
       surface.py --write                        writes docs/attack-surface.json and docs/attack-surface.md
       surface.py --json                         prints the former instead

An element is one thing that somebody who is not trusted can ask for: a hypercall, a message, an ioctl, a system call of a
sandboxed process. tools/surface_sources.py reads all of them out of the product's own tables. A group is a kind of element and
the file that answers it; docs/surface-reviews.json holds for each the last review: its date, its reason in one sentence,
the elements as they were, and digests of the code. Comments and layout of the code do not count.

Exit: 0 good, 1 the surface moved or has something undeclared, 2 wrong usage, 3 a source does not look as expected.
"""
import datetime
import hashlib
import json
import re
import sys
from collections import defaultdict
from pathlib import Path

sys.dont_write_bytecode = True
import surface_sources as sources  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
REVIEWS, SURFACE, PAGE = "docs/surface-reviews.json", "docs/attack-surface.json", "docs/attack-surface.md"
ME = "tools/surface.py"

# kind: (heading, who is hostile, a fuzz target is demanded (None: it is granted, there is nothing to parse), code that a
# review also covers)
KINDS = {
    "hypercall": ("Hypercalls", "callers as named", True, ()),
    "vp-register": ("VP registers of hypercalls", "the root", True, ()),
    "partition-property": ("Partition properties of hypercalls", "the root", True, ()),
    "exit": ("Exit reasons", "root and children", True, ()),
    "msr-root": ("MSRs of the root", "the root", True, ()),
    "msr-child": ("MSRs of a child", "a child", True, ()),
    "synthetic-msr": ("Synthetic registers", "root and children", True, ()),
    "port-root": ("I/O ports of the root", "the root", True, ()),
    "port-child": ("I/O ports of a child", "a child", True, ()),
    "vmbus": ("VMBus messages, versions and connections", "a child", True, ()),
    "vstor": ("Disk controller requests", "a child", True, ("hv/host/storvsp/session.c", "hv/host/storvsp/storvsp.c")),
    "scsi": ("SCSI commands", "a child", True, ()),
    "nvsp": ("Network adapter messages", "a child", True, ("hv/host/netvsp/netvsp.c", "hv/host/netvsp/data.c")),
    "rndis": ("RNDIS messages", "a child", True, ()),
    "oid": ("RNDIS object identifiers", "a child", True, ()),
    "ic": ("Integration services", "a child", True, ("hv/host/ic/component.c",)),
    "intercept": ("Intercept messages to a worker", "a child", True, ()),
    "reader": ("Other readers of untrusted bytes", "see the harness", True, ()),
    "ioctl": ("Requests to /dev/redoubt and its descriptors", "a process of the root", True, ()),
    "file-operation": ("Other operations on those descriptors", "a process of the root", True, ()),
    "manager": ("Requests to the manager", "a client", True, ("hv/host/vmmgr/server.c",)),
    "process-message": ("Messages between processes of the root", "the other process", True, ("hv/host/lib/ipc.c",)),
    "descriptor": ("Descriptors that a process is handed", "the process", None, ("hv/host/vmmgr/vm_config.c",)),
    "system-call": ("System calls that a sandbox allows", "the process", None, ("mitigations/sandbox/sandbox.c",)),
    "ring-operation": ("io_uring operations that a sandbox allows", "the process", None, ()),
    "definition": ("Keys of a definition file", "whoever wrote the file", True, ()),
    "boot-option": ("Options of the hypervisor", "the boot loader", True, ()),
    "bzimage": ("Fields of a kernel image", "the boot loader", True, ()),
    "boot-information": ("Boot information", "the boot loader", True, ()),
    "acpi": ("ACPI tables", "the firmware", True, ()),
}


def threats(tree):
    """file: ids of the rows of SECURITY.md's tables that cite it."""
    found = defaultdict(list)
    for row in re.findall(r"^\| ([A-Z]\d+) \|(.*)\|$", tree.raw("SECURITY.md"), re.M):
        for name in dict.fromkeys(re.findall(r"`([\w./-]+/[\w.-]+)`", row[1])):
            found[name].append(row[0])
    return found


class Surface:
    def __init__(self, root):
        self.tree, self.root, self.faults = sources.Tree(root), Path(root), []
        self.targets = sources.targets(self.tree)
        self.elements = [e for reader in sources.READERS for e in reader(self.tree)]
        for e in self.elements:
            e.fuzz = self.fuzzed(e)
        self.elements += self.other_readers()
        self.elements.sort(key=lambda e: (list(KINDS).index(e.kind), e.name))
        self.groups, rows, ids = defaultdict(list), threats(self.tree), set()
        for e in self.elements:
            if e.id in ids:
                self.faults.append(f"{e.table}: {e.id} stands there twice")
            ids.add(e.id)
            if KINDS[e.kind][2] and not e.fuzz:
                self.faults.append(f"{e.id} ({e.owner}) has no fuzz target: declare {e.owner} in a redoubt_parser() or "
                                   f"redoubt_reader() of CMakeLists.txt, with a harness and seeds")
            named = [i for n in (e.owner, e.table, *KINDS[e.kind][3]) for i in rows.get(n, [])]
            named = named or [i for f in e.fuzz for i in rows.get(self.targets[f].harness, [])]
            e.threats = sorted(set(named), key=lambda i: (i[0], int(i[1:])))
            self.groups[e.group].append(e)
        missing = [k for k in KINDS if not any(e.kind == k for e in self.elements)]
        if missing:
            raise sources.Unreadable(f"no element of {', '.join(missing)}: teach tools/surface_sources.py where they are now")
        path = self.root / REVIEWS
        self.reviews = json.loads(path.read_text()) if path.is_file() else {}

    def fuzzed(self, e):
        """The targets that an element's reader named, and those that are built from its owner."""
        gone = [f for f in e.fuzz if f not in self.targets]
        if gone:
            self.faults.append(f"{e.id}: no fuzz target {gone[0]} any more: declare it, or name another one in tools/surface_sources.py")
        built = [n for n, t in self.targets.items() if e.owner in t.sources + t.beside]
        return sorted(dict.fromkeys([f for f in e.fuzz if f in self.targets] + built))

    def other_readers(self):
        """What the build declares and no table lists: one element for each, so that a new one is seen."""
        covered = {f for e in self.elements for f in e.fuzz}
        for name, target in self.targets.items():
            if name not in covered:
                core = f"hv/core/{name}.c"
                same = [s for s in target.sources if Path(s).stem == name]
                owner = (same or target.sources or ([core] if (self.root / core).is_file() else [target.harness]))[0]
                yield sources.Element("reader", name, " ".join(target.sources) or "the hypervisor's core", owner, target.harness, "", [name])

    def code(self, group):
        """{file: digest} of the code that a review of the group looks at."""
        kind, owner = group.split(":", 1)
        # A parser is one thing, in however many files it is written; the readers of a program are not.
        names = {owner, *KINDS[kind][3]}.union(*(t.sources for t in self.targets.values() if owner in t.sources
                                                 and owner.startswith(("hv/wire/", "attest/core/"))))
        return {n: hashlib.sha256(sources.squeeze(self.tree.code(n)).encode()).hexdigest()[:12] for n in sorted(names)}

    def moved(self):
        """{group: [(sign, id, before, now)]} of what no review covers."""
        found = {}
        for group in sorted({*self.groups, *self.reviews}):
            now = {e.id: e.line for e in self.groups.get(group, ())}
            before = self.reviews.get(group, {}).get("elements", {})
            found[group] = [("+" if i not in before else "-" if i not in now else "~", i, before.get(i), now.get(i))
                            for i in sorted({*now, *before}) if now.get(i) != before.get(i)]
        return {group: change for group, change in found.items() if change}

    def due(self):
        """{group: files that changed since its review}."""
        found = {}
        for group in self.groups:
            now, before = self.code(group), self.reviews.get(group, {}).get("code", {})
            files = [n for n in sorted({*now, *before}) if now.get(n) != before.get(n)]
            if files and group in self.reviews:
                found[group] = files
        return found

    def review(self, groups, reason):
        for group in groups:
            if group in self.groups:
                self.reviews[group] = {"date": datetime.date.today().isoformat(), "reason": reason, "code": self.code(group),
                                       "elements": {e.id: e.line for e in self.groups[group]}}
            else:
                self.reviews.pop(group)
        (self.root / REVIEWS).write_text(json.dumps(self.reviews, indent="\t", sort_keys=True) + "\n")

    def reviewed(self, e):
        """The last review, where it saw the element as it is."""
        review = self.reviews.get(e.group, {})
        return review if review.get("elements", {}).get(e.id) == e.line else None

    # --- what is written ---

    def json(self):
        out = [{"id": e.id, "kind": e.kind, "what": e.line, "note": e.note, "owner": e.owner, "table": e.table,
                "hostile": KINDS[e.kind][1], "fuzz": e.fuzz, "threats": e.threats,
                "review": {k: r[k] for k in ("date", "reason")} if (r := self.reviewed(e)) else None} for e in self.elements]
        return "[\n" + ",\n".join(json.dumps(e) for e in out) + "\n]\n"

    def page(self):
        lines = [f"<!-- Made by {ME} from the sources; do not edit: change the source, then run {ME} --write. -->", "# Attack surface", "",
                 "Everything that somebody who is not trusted can ask of Redoubt, derived from the tables and sources that the product is",
                 f"built from. For machines: [attack-surface.json](attack-surface.json). When it moves, `{ME} --check` fails until somebody has",
                 f"looked: `{ME} --review GROUP --reason \"...\"` records that in [surface-reviews.json](surface-reviews.json), and",
                 f"`{ME} --due` lists what should be looked at again because its code changed. Threats are rows of",
                 "[SECURITY.md](../SECURITY.md) that name the file; fuzz targets are those of `fuzz/`.", ""]
        body, total = [], [0] * 4
        for kind, (title, hostile, demanded, _) in KINDS.items():
            mine = [e for e in self.elements if e.kind == kind]
            counts = [len(mine), *(sum(map(bool, has)) for has in (
                [e.fuzz for e in mine], [e.threats for e in mine], [self.reviewed(e) for e in mine]))]
            total = [a + b for a, b in zip(total, counts)]
            link = re.sub(r"[^a-z0-9 _-]", "", title.lower()).replace(" ", "-")
            body.append([f"[{title}](#{link})", hostile, *("" if demanded is None and n == 1 else str(c) for n, c in enumerate(counts))])
        lines += table(["kind", "hostile", "elements", "with a fuzz target", "with a threat row", "reviewed"],
                       [*body, ["**all**", "", *map(str, total)]])
        lines += ["", "## Gaps", ""] + [
            f"- {what}: " + (", ".join(f"`{g}`" for g in sorted({e.group for e in self.elements if missing(e)})) or "none")
            for what, missing in (("without a fuzz target", lambda e: not e.fuzz and KINDS[e.kind][2] is not None),
                                  ("without a threat row", lambda e: not e.threats))]
        for kind, (title, *_) in KINDS.items():
            lines += ["", f"## {title}", ""] + table(["element", "what", "owner", "fuzz", "threats", "reviewed"], [
                [f"`{e.name}`", e.line if len(e.line) < 160 else e.line[:150] + " ...", f"`{e.owner}`", " ".join(e.fuzz),
                 " ".join(e.threats), (self.reviewed(e) or {}).get("date", "no")] for e in self.elements if e.kind == kind])
        lines += ["", "## Reviews", ""] + table(["group", "date", "reason"], [
            [f"`{g}`", r["date"], r["reason"]] for g, r in sorted(self.reviews.items())])
        return "\n".join(lines) + "\n"

    def outputs(self):
        return {SURFACE: self.json(), PAGE: self.page()}

    def write(self):
        if not (self.root / REVIEWS).is_file():
            self.review([], "")
        for name, text in self.outputs().items():
            (self.root / name).write_text(text)


def table(head, rows):
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in [head, ["---"] * len(head), *rows]]


# --- verbs ----------------------------------------------------------------------------------------------------------

def check(surface, pages=True):
    moved = surface.moved()
    for group, changes in moved.items():
        print(f"\nthe attack surface moved and nobody has looked: {group}")
        for sign, name, before, now in changes:
            print(f"  {sign} {name}: {before if sign == '-' else now}" + (f"\n      was: {before}" if sign == "~" else ""))
        print(f"  remedy: look at the change, then {ME} --review {group}" +
              (' --reason "one sentence: why this is safe"' if group in surface.groups else ""))
    for fault in surface.faults:
        print(f"\n{fault}")
    stale = [] if moved or not pages else [n for n, text in surface.outputs().items()
                              if not (surface.root / n).is_file() or (surface.root / n).read_text() != text]
    for name in stale:
        print(f"{name} is stale: {ME} --write")
    print(f"{len(surface.elements)} elements in {len(surface.groups)} groups, {len(moved)} not reviewed, {len(surface.faults)} faults")
    return 1 if moved or surface.faults or stale else 0


def due(surface):
    found = surface.due()
    for group, files in found.items():
        review = surface.reviews[group]
        print(f"{group}: reviewed {review['date']} ({review['reason']}); changed since: {' '.join(files)}")
    print(f"{len(found)} of {len(surface.groups)} reviews are due because code changed")
    return 0


def review(surface, groups, reason):
    unknown = [g for g in groups if g not in surface.groups and g not in surface.reviews]
    if unknown:
        print(f"no group {unknown[0]}; groups are: {' '.join(surface.groups)}", file=sys.stderr)
        return 2
    if any(g in surface.groups for g in groups) and (len(reason.strip()) < 8 or "\n" in reason or len(reason) > 200):
        print('a review needs --reason "one sentence", 8 to 200 characters in one line', file=sys.stderr)
        return 2
    surface.review(groups, reason.strip())
    surface.write()
    print(f"{len(groups)} reviews recorded in {REVIEWS}; {SURFACE} and {PAGE} written")
    return 0


def main(words):
    reason = ""
    if "--reason" in words[:-1]:
        at = words.index("--reason")
        reason, words = words[at + 1], words[:at] + words[at + 2:]
    verb, rest = (words or [""])[0], words[1:]
    if verb in ("-h", "--help"):
        print(__doc__.strip())
        return 0
    if verb not in ("--check", "--build", "--due", "--review", "--review-all", "--write", "--json") or bool(rest) != (verb == "--review") or (
            reason and not verb.startswith("--review")):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    try:
        surface = Surface(ROOT)
        if verb == "--review":
            return review(surface, rest, reason)
        if verb == "--review-all":
            return review(surface, sorted({*surface.moved(), *surface.due()}), reason)
        if verb == "--write":
            surface.write()
        if verb == "--json":
            print(surface.json(), end="")
        if verb == "--build":
            return check(surface, pages=False)
        return {"--check": check, "--due": due}.get(verb, lambda _: 0)(surface)
    except sources.Unreadable as e:
        print(f"{ME}: {e}", file=sys.stderr)
        return 1 if isinstance(e, sources.Undeclared) else 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
