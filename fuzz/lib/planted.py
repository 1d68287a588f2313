# SPDX-License-Identifier: MIT
"""Planted defects: tables fuzz/planted/*.toml of edits to copies of sources. The sources themselves know nothing of them."""
import hashlib
import tomllib
from pathlib import Path

from targets import ROOT, Refused

FOLDER = ROOT / "fuzz/planted"
WORDS = {"name", "target", "file", "class", "what", "old", "new", "also"}
CLASSES = {f"C{n}" for n in range(1, 18)}


class Defect:
    """One defect: its edits, pairs of old and new text, and what it is."""

    def __init__(self, entry, where):
        unknown, missing = set(entry) - WORDS, WORDS - {"also"} - set(entry)
        if unknown or missing:
            raise Refused(f"{where}: {entry.get('name')}: unknown words {sorted(unknown)}, missing words {sorted(missing)}", 3)
        self.name, self.target, self.file = entry["name"], entry["target"], entry["file"]
        self.cls, self.what = entry["class"], entry["what"]
        self.edits = [(entry["old"], entry["new"])] + [(e["old"], e["new"]) for e in entry.get("also", [])]
        if self.cls not in CLASSES:
            raise Refused(f"{where}: {self.name}: class {self.cls}: C1 to C17 are expected", 3)
        text = "".join(new for _, new in self.edits)
        if "PLANTED_REACHED()" not in text or "PLANTED_TRIGGERED(" not in text:
            raise Refused(f"{where}: {self.name}: PLANTED_REACHED() and PLANTED_TRIGGERED(...) are missing in its new lines", 3)
        self.digest = hashlib.sha256(repr((self.target, self.file, self.edits)).encode()).hexdigest()[:12]

    def text(self):
        """The edited source. Each old text must be there exactly once."""
        path = ROOT / self.file
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise Refused(f"{self.name}: {error}: name the file that the lines are in now", 1) from error
        for old, new in self.edits:
            count = text.count(old)
            if count != 1:
                line = next((x.strip() for x in old.splitlines() if x.strip()), "")
                raise Refused(f"{self.name}: its old lines ({line!r}...) are {count} times in {self.file}, not once: the source "
                              f"has changed; bring fuzz/planted/*.toml up to date", 1)
            text = text.replace(old, new)
        return f'#line 1 "{path}"\n{text}'


def load(folder=FOLDER):
    """{name: Defect} of all tables."""
    found = {}
    for table in sorted(p for p in Path(folder).glob("*.toml") if p.name != "equivalent.toml"):
        try:
            entries = tomllib.loads(table.read_text(encoding="utf-8")).get("defect", [])
        except tomllib.TOMLDecodeError as error:
            raise Refused(f"{table}: {error}", 3) from error
        for entry in entries:
            defect = Defect(entry, table)
            if defect.name in found:
                raise Refused(f"{table}: two defects are named {defect.name}", 3)
            found[defect.name] = defect
    return found


def equivalent(path=FOLDER / "equivalent.toml"):
    """{(file, text of a check): why the program without it is the same}."""
    checks = tomllib.loads(path.read_text(encoding="utf-8")).get("check", []) if path.exists() else []
    return {(c["file"], c["text"]): c["why"] for c in checks}
