# SPDX-License-Identifier: MIT
"""The fuzz targets, as the build declares them in build/fuzz/targets.json."""
import configparser
import difflib
import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,47}$")


class Refused(Exception):
    """Wrong usage (2) or something that is missing here (3); the text names what, where and the remedy."""

    def __init__(self, text, code=2):
        super().__init__(text)
        self.code = code


class Target:
    """One target: paths of its programs (None: not built), its seeds and its limits."""

    def __init__(self, entry, where):
        def path(key):
            value = entry.get(key)
            if value is not None and not isinstance(value, str):
                raise Refused(f"{where}: {key}: a path or null is expected, not {value!r}", 3)
            return ROOT / value if value else None

        self.name = entry.get("name")
        if not isinstance(self.name, str) or not NAME.match(self.name):
            raise Refused(f"{where}: name: {self.name!r} is not the name of a target", 3)
        self.libfuzzer, self.afl, self.cmplog = path("libfuzzer"), path("afl"), path("cmplog")
        self.replay, self.cov, self.mutator = path("replay"), path("cov"), path("mutator")
        self.corpus, self.dict = path("corpus"), path("dict")
        self.sources = [str(s) for s in entry.get("sources") or []]
        self.kind = str(entry.get("kind", "stateless"))
        self.max_len = entry.get("max_len")
        if self.max_len is not None and not (isinstance(self.max_len, int) and self.max_len > 0):
            raise Refused(f"{where}: max_len: a number of bytes or null is expected, not {self.max_len!r}", 3)
        self.options = _options(entry.get("options"), where)

    def drop_missing(self):
        """Forgets the programs that have not been built. Returns the parts of `tools/dev build` that make them."""
        parts = {"libfuzzer": "fuzz", "afl": "afl", "cmplog": "afl-cmplog", "cov": "cov", "mutator": "fuzz"}
        gone = [key for key in parts if getattr(self, key) and not getattr(self, key).exists()]
        for key in gone:
            setattr(self, key, None)
        return [parts[key] for key in gone]


def _options(value, where):
    """libFuzzer's options as a dictionary, from one, from a list of -x=y or from an options file of OSS-Fuzz's form."""
    if not value:
        return {}
    if isinstance(value, dict):
        return {str(k): str(v) for k, v in value.items()}
    if isinstance(value, list):
        return dict(str(v).lstrip("-").split("=", 1) for v in value if "=" in str(v))
    parser = configparser.ConfigParser()
    try:
        with open(ROOT / value, encoding="utf-8") as file:
            parser.read_file(file)
    except (OSError, configparser.Error) as error:
        raise Refused(f"{where}: options: {value}: {error}; run `tools/dev build fuzz`", 3) from error
    return dict(parser["libfuzzer"]) if parser.has_section("libfuzzer") else {}


def load(manifest):
    """{name: Target} of the manifest, in its order."""
    try:
        entries = json.loads(Path(manifest).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise Refused(f"{manifest} does not exist: run `tools/dev build fuzz`", 3) from error
    except (OSError, ValueError) as error:
        raise Refused(f"{manifest}: {error}; run `tools/dev build fuzz`", 3) from error
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise Refused(f"{manifest}: a list of targets is expected; run `tools/dev build fuzz`", 3)
    found = {}
    for number, entry in enumerate(entries):
        target = Target(entry, f"{manifest}: target {number} ({entry.get('name')})")
        found[target.name] = target
    if not found:
        raise Refused(f"{manifest} has no target: run `tools/dev build fuzz`", 3)
    return found


def choose(found, names):
    """The named targets; all of them without names."""
    for name in names:
        if name not in found:
            near = difflib.get_close_matches(name, found, 3)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {' '.join(found)}"
            raise Refused(f"no target {name}: {hint}")
    return [found[n] for n in dict.fromkeys(names)] if names else list(found.values())
