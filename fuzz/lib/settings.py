# SPDX-License-Identifier: MIT
"""Settings of a campaign: defaults, below the configuration file, below the command line."""
import argparse
import configparser
import os
import re
import shlex
from pathlib import Path

from targets import NAME, ROOT, Refused

FOREVER = float("inf")
EXIT = """exit codes: 0 no finding, 1 findings (also those of earlier runs of the same campaign), 2 wrong usage,
3 something is missing here (a build, a program, room on the disk)"""


def seconds(text):
    """90, 90s, 30m, 2h, 1d or forever."""
    if text == "forever":
        return FOREVER
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if not match or float(match[1]) <= 0:
        raise ValueError("a duration such as 90s, 30m, 2h, 1d or the word forever is expected")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


def size(text):
    """Bytes: 512M, 4G; at least 1M."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT])i?B?", text)
    value = int(float(match[1]) * 1024 ** (1 + "KMGT".index(match[2]))) if match else 0
    if value < 1 << 20:
        raise ValueError("a size of at least 1M is expected, such as 512M or 4G")
    return value


def count(text):
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise ValueError("a number from 1 to 1024 is expected")
    return int(text)


def engines(text):
    words = [w for w in re.split(r"[ ,]+", text) if w]
    if not words or set(words) - {"libfuzzer", "afl"}:
        raise ValueError("libfuzzer, afl or libfuzzer,afl is expected")
    return tuple(dict.fromkeys(words))


def url(text):
    if not re.match(r"https?://[^\s/]+", text):
        raise ValueError("an address that begins with http:// or https:// is expected")
    return text


def command(text):
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"not a command line: {error}") from error
    if not words:
        raise ValueError("a command line is expected")
    return words


def host(text):
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,20}", text):
        raise ValueError("1 to 20 letters, digits, underscores and hyphens are expected")
    return text


def names(text):
    words = text.split()
    for word in words:
        if not NAME.match(word):
            raise ValueError(f"{word} is not the name of a target")
    return words


# section: key: (reader, default)
KEYS = {
    "campaign": {
        "targets": (names, []), "time": (seconds, 1800.0), "workers": (count, None), "out": (str, None),
        "engines": (engines, None), "slice": (seconds, None), "timeout": (count, 10), "memory": (size, 2 << 30),
        "disk": (size, 4 << 30), "minimise": (seconds, 30.0), "interval": (seconds, 5.0), "page_interval": (seconds, 180.0),
    },
    "notify": {"webhook": (url, None), "command": (command, None)},
    "fleet": {"dir": (str, None), "name": (host, None)},
}


def read_file(path):
    """{(section, key): value} of a configuration file; refuses what it does not know."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        with open(path, encoding="utf-8") as file:
            parser.read_file(file)
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        raise Refused(f"{path}: {str(error).splitlines()[0]}") from error
    found = {}
    for section in parser.sections():
        if section not in KEYS:
            raise Refused(f"{path}: [{section}]: unknown section; there are {', '.join(KEYS)}")
        for key, text in parser[section].items():
            if key not in KEYS[section]:
                raise Refused(f"{path}: [{section}] {key}: unknown key; there are {', '.join(KEYS[section])}")
            try:
                found[section, key] = KEYS[section][key][0](text)
            except ValueError as error:
                raise Refused(f"{path}: [{section}] {key}: {text!r}: {error}") from error
    return found


def _parser():
    p = argparse.ArgumentParser(
        prog="fuzz/campaign", formatter_class=argparse.RawDescriptionHelpFormatter, epilog=EXIT, allow_abbrev=False,
        description="Runs libFuzzer and AFL++ together on fuzz targets, triages what they find and draws a page.")
    p.add_argument("targets", nargs="*", metavar="TARGET", help="targets of the manifest, see `tools/dev fuzz list`")
    p.add_argument("--all", action="store_true", help="all targets of the manifest")
    p.add_argument("--time", metavar="T", help="how long: 90s, 30m, 2h, 1d or forever (30m)")
    p.add_argument("--workers", metavar="N", help="fuzzers that run at a time (the number of CPUs)")
    p.add_argument("--out", metavar="DIR", help="folder of the campaign (build/campaign)")
    p.add_argument("--resume", action="store_true", help="go on with the campaign in DIR, if there is one")
    p.add_argument("--until-finding", action="store_true", help="end at the first finding of this run")
    p.add_argument("--engines", metavar="E", help="libfuzzer, afl or libfuzzer,afl (both, as far as they are built)")
    p.add_argument("--slice", metavar="T", help="how long a target runs before the next has its turn (by --time)")
    p.add_argument("--timeout", metavar="S", help="seconds after which one input is a hang (10)")
    p.add_argument("--memory", metavar="SIZE", help="limit of each fuzzer's resident memory (2G)")
    p.add_argument("--disk", metavar="SIZE", help="limit of DIR; corpora are minimised to stay below (4G)")
    p.add_argument("--minimise", metavar="T", help="time for making one finding's input small (30s)")
    p.add_argument("--interval", metavar="T", help="time between lines of progress (5s)")
    p.add_argument("--page-interval", metavar="T", help="time between pages while the campaign runs (3m)")
    p.add_argument("--fleet", metavar="DIR", help="shared folder of AFL++'s distributed mode; with --name")
    p.add_argument("--name", metavar="HOST", help="name of this host in the fleet, unique in it")
    p.add_argument("--config", metavar="FILE", help="settings (fuzz/campaign.conf)")
    p.add_argument("--manifest", metavar="FILE", help="the targets (build/fuzz/targets.json)")
    p.add_argument("--page", metavar="DIR", help="only make DIR's page again")
    p.add_argument("--json", action="store_true", help="progress and result as lines of JSON on the standard output")
    return p


def read(argv):
    """The settings of this run as one object with a field per key."""
    args = _parser().parse_args(argv)
    build = Path(os.environ.get("REDOUBT_BUILD", "build"))
    build = build if build.is_absolute() else ROOT / build
    default = ROOT / "fuzz/campaign.conf"
    conf = read_file(args.config) if args.config else read_file(default) if default.exists() else {}
    # A command's own words win over the file's.
    flags = {("fleet", "dir"): args.fleet, ("fleet", "name"): args.name}
    result = argparse.Namespace(webhook=None, command=None)
    for section, keys in KEYS.items():
        for key, (reader, value) in keys.items():
            text = flags.get((section, key), getattr(args, key, None) if section == "campaign" else None)
            if text and key != "targets":
                try:
                    value = reader(text)
                except ValueError as error:
                    flag = {"dir": "fleet"}.get(key, key).replace("_", "-")
                    raise Refused(f"--{flag} {text}: {error}") from error
            else:
                value = conf.get((section, key), value)
            setattr(result, {"dir": "fleet", "name": "host"}.get(key, key) if section == "fleet" else key, value)
    result.targets = args.targets or ([] if args.all else result.targets)
    if args.all and args.targets:
        raise Refused(f"--all and the targets {' '.join(args.targets)}: give one of them")
    result.named = bool(result.targets or args.all)
    if not result.named and not args.page:
        raise Refused("name targets, or --all; `fuzz/campaign --help` explains")
    if bool(result.fleet) != bool(result.host):
        raise Refused("a fleet needs both: --fleet DIR, which all hosts share, and --name HOST")
    result.out = Path(args.page or result.out or build / "campaign").resolve()
    result.manifest = Path(args.manifest or build / "fuzz/targets.json")
    result.workers = result.workers or len(os.sched_getaffinity(0))
    result.page, result.json, result.resume = args.page, args.json, args.resume
    result.until_finding = args.until_finding
    return result
