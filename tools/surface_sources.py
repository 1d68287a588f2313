#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reads the attack surface out of the sources: what tools/surface.py compares, prints and has reviewed.

Each reader below takes one kind of element from the table, enumeration or switch that the product itself is built from. A
reader that finds nothing, or a line that it does not understand, ends the program: silence would hide what moved.
"""
import re
from dataclasses import dataclass, field
from pathlib import Path

STRING = r'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\''
COMMENTS = re.compile(rf"({STRING})|/\*.*?\*/|//[^\n]*", re.S)


class Unreadable(Exception):
    """A source does not look as its reader expects."""


class Undeclared(Unreadable):
    """Code serves what no table lists, or the other way round."""


@dataclass
class Element:
    kind: str
    name: str
    line: str  # what it is: a change of it is a change of the surface
    owner: str  # the file whose code answers it
    table: str = ""  # where it is declared
    note: str = ""  # a reason in the source; may change without a review
    fuzz: list = field(default_factory=list)

    @property
    def id(self):
        return f"{self.kind}/{self.name}"

    @property
    def group(self):
        return f"{self.kind}:{self.owner}"


def plain(text):
    """C without its comments."""
    return COMMENTS.sub(lambda m: m.group(1) or " ", text)


def squeeze(text):
    return re.sub(r"\s+", " ", text).strip()


class Tree:
    """The files of one source tree, each read once."""

    def __init__(self, root):
        self.root, self.cache = Path(root), {}

    def raw(self, name):
        if name not in self.cache:
            try:
                self.cache[name] = (self.root / name).read_text()
            except OSError as e:
                raise Unreadable(f"{name}: {e.strerror}: tools/surface_sources.py looks for it there") from e
        return self.cache[name]

    def code(self, name):
        key = name, "plain"
        if key not in self.cache:
            self.cache[key] = plain(self.raw(name))
        return self.cache[key]

    def glob(self, pattern):
        return sorted(str(p.relative_to(self.root)) for p in self.root.glob(pattern))

    def need(self, name, found, what):
        if not found:
            raise Unreadable(f"{name}: no {what}: teach tools/surface_sources.py where it is now")
        return found

    def rows(self, name, macro):
        """The fields of each MACRO(..., "text") line of a .def file."""
        found = []
        for line in self.code(name).splitlines():
            if line.strip():
                row = re.fullmatch(macro + r'\((.*), "(.*)"\)', line.strip())
                if not row:
                    raise Unreadable(f"{name}: not a row of {macro}: {line.strip()}")
                found.append([*(f.strip() for f in row.group(1).split(",")), row.group(2)])
        return self.need(name, found, f"row of {macro}")

    def body(self, name, function):
        """What stands between the braces of a function."""
        found = re.search(rf"^[A-Za-z_][^;{{}}]*\b{function}\([^;{{}}]*\)\s*\n\{{\n(.*?)^\}}", self.code(name), re.M | re.S)
        return self.need(name, found, f"function {function}").group(1)

    def cases(self, name, *functions):
        """The case labels of functions, in their order."""
        return [squeeze(c) for f in functions for c in re.findall(r"\bcase ([^:]+):", self.body(name, f))]

    def enum(self, name, tag):
        """(member, value, what its own comment or the heading above says) of an enumeration."""
        found = re.search(rf"\benum {tag} \{{(.*?)\n\s*\}}", self.raw(name), re.S)
        members, value, heading = [], -1, ""
        for piece in re.finditer(r"/\*(.*?)\*/|(\w+)(?:\s*=\s*([^,/\s]+))?\s*(?:,|$)", self.need(name, found, f"enum {tag}").group(1), re.S):
            if piece.group(2) is None:
                heading = squeeze(piece.group(1)).strip("* ")
                continue
            value = int(piece.group(3), 0) if piece.group(3) else value + 1
            members.append((piece.group(2), value, heading))
        return self.need(name, members, f"member of enum {tag}")

    def defines(self, name, pattern):
        """[(name, text)] of the plain macros whose whole name matches."""
        found = re.findall(rf"^#define ({pattern})(?: |\t)((?:[^\n]|(?<=\\)\n)*)", self.code(name), re.M)
        return [(n, squeeze(text.replace("\\\n", " "))) for n, text in self.need(name, found, f"#define {pattern}")]

    def numbers(self, *names):
        """The macros of files that are numbers, or sums of numbers."""
        found = {}
        for name in names:
            for key, text in re.findall(r"^#define (\w+)[ \t]+\(?([^\n]*?)\)?[ \t]*$", self.code(name), re.M):
                if re.fullmatch(r"0[xX][0-9a-fA-F]+[uUlL]*|\d+[uUlL]*", text.strip()):
                    found[key] = int(text.strip().rstrip("uUlL"), 0)
        return found

    def fields(self, struct, *names):
        """The members of a structure in one line; of structures inside it only the names."""
        for name in names:
            start = re.search(rf"\bstruct {struct} \{{", self.code(name))
            if start:
                depth, at, text = 1, start.end(), self.code(name)
                while depth:
                    depth += {"{": 1, "}": -1}.get(text[at], 0)
                    at += 1
                return squeeze(text[start.end():at - 1])
        raise Unreadable(f"{', '.join(names)}: no struct {struct}: teach tools/surface_sources.py where it is now")


# --- what the build declares ----------------------------------------------------------------------------------------

@dataclass
class Target:
    """One fuzz target, as CMake declares it."""
    name: str
    harness: str
    sources: list
    beside: list  # of the harness only: a session that uses the parser
    core: bool = False  # made of the whole core on the fake architecture


def targets(tree):
    found = {}
    for name in ["CMakeLists.txt", *tree.glob("tools/cmake/*.cmake")]:
        text = re.sub(r"#[^\n]*", "", tree.raw(name))
        for how, call in re.findall(r"\bredoubt_(\w+)\(\s*(NAME\s[^)]*)\)", text):
            words, key = {}, None
            for word in call.split():
                if re.fullmatch(r"[A-Z][A-Z_]+", word):
                    key = words.setdefault(word, [])
                else:
                    key.append(word)
            if "HARNESS" in words:
                core = how == "core"
                found[words["NAME"][0]] = Target(words["NAME"][0], words["HARNESS"][0], [] if core else words.get("SOURCES", []),
                                                 words.get("WITH", []), core)
    return tree.need("CMakeLists.txt", found, "redoubt_parser()")


# --- the hypervisor -------------------------------------------------------------------------------------------------

def hypercalls(t):
    table, abi = "hv/abi/hypercalls.def", ("hv/abi/tlfs.h", "hv/abi/redoubt.h")
    handlers = {h: n for n in t.glob("hv/core/*.c") for h in re.findall(r"^enum hv_status hc_(\w+)\(", t.code(n), re.M)}
    for code, name, handler, form, i, o, ei, eo, callers, spec in t.rows(table, "HYPERCALL"):
        if handler not in handlers:
            raise Undeclared(f"{table}: {name}: no file of hv/core defines hc_{handler}")
        layout = "; ".join(f"{s} {{ {t.fields(s, *abi)} }}" for s in
                           dict.fromkeys(re.findall(r"sizeof\(struct (\w+)\)", f"{i} {o} {ei} {eo}")))
        yield Element("hypercall", f"{code} {name}", f"callers {callers}, {form}, in {i}, out {o}, elements {ei} and {eo}"
                      + (f"; {layout}" if layout else ""), handlers[handler], table, spec, ["hypercall"])


def span(first, last):
    return first if first == last else f"{first}-{last}"


def msrs(t):
    for name, macro, kind, fuzz in (("hv/core/msr_list.def", "MSR", "msr-root", ["exit"]),
                                    ("hv/core/child_msr_list.def", "CHILD_MSR", "msr-child", ["partition"])):
        for first, last, policy, *value, reason in t.rows(name, macro):
            line = policy + (f" {value[0]}" if policy == "CONST" else "")
            yield Element(kind, span(first, last), line, "hv/core/msr.c", name, reason, fuzz)


def synthetic_msrs(t):
    """The registers that hv/core/synthetic.c and synic.c answer, by the code itself."""
    for owner, read, write in (("hv/core/synthetic.c", ["synthetic_read"], ["synthetic_write"]),
                               ("hv/core/synic.c", ["synic_msr_read"], ["synic_msr_write", "register_write"])):
        numbers, ways = t.numbers(owner), {}
        for way, functions in (("read", read), ("write", write)):
            for function in functions:
                ranges = re.findall(r"msr >= (\w+) && msr (<=?) (\w+)", t.body(owner, function))
                names = [f"{a} up to {b}" + (" without it" if op == "<" else "") for a, op, b in ranges if "SYNIC" not in a]
                for name in [*t.cases(owner, function), *names]:
                    ways.setdefault(name, []).append(way)
        for name, way in t.need(owner, ways, "register").items():
            value = numbers.get(name.split()[0])
            if value is None:
                raise Unreadable(f"{owner}: {name} is no number")
            yield Element("synthetic-msr", f"{value:#x} {name}", " ".join(way), owner, owner, "", ["synmsr"])


def ports(t):
    name = "hv/core/port_list.def"
    for first, last, policy, reason in t.rows(name, "PORT"):
        yield Element("port-root", span(first, last), policy, "hv/core/port.c", name, reason, ["exit"])
    table = "hv/host/vmworker/main.c"
    numbers = t.numbers("hv/host/vmworker/ports.h", "hv/host/vmworker/acpi.h", "hv/wire/uart.h", "hv/wire/rtc.h")
    ranges = re.findall(r"\{ \.first = ([^,]+), \.last = ([^}]+?) \}", t.body(table, "intercept_ports"))
    for pair in t.need(table, ranges, "range of ports"):
        words = [sum(sign * (numbers[w] if w in numbers else int(w.rstrip("u"), 0)) for sign, w in
                     ((-1 if s == "-" else 1, w) for s, w in re.findall(r"([+-]?) ?(\w+)", text))) for text in pair]
        yield Element("port-child", span(*(f"{w:#06x}" for w in words)), f"{pair[0]} to {pair[1]}", "hv/host/vmworker/ports.c",
                      table, "", [name for name in ("uart", "rtc") if name.upper() in pair[0]])


def exits(t):
    name, owner = "hv/core/exit.h", "hv/core/exit.c"
    for member, _, _ in t.enum(name, "exit_kind"):
        if member != "EXIT_COUNT":
            handled = "answered" if re.search(rf"\b{member}\b", t.code(owner)) else "left to the default"
            yield Element("exit", member, handled, owner, name, "", ["exit"])


def vp_registers(t):
    """What Get/SetVpRegisters name: hc_vp.c first, then the architecture."""
    table = "hv/abi/tlfs.h"
    for owner, both, get, put in (("hv/core/hc_vp.c", [], ["core_get"], ["set_one"]), (
            "hv/arch/svm/regs.c", ["segment_of", "word_of"], ["arch_vp_get_register"], ["arch_vp_set_register"])):
        ways = {}
        for way, functions in (("get", both + get), ("set", both + put)):
            for f in functions:
                text = t.body(owner, f)
                names = re.findall(r"name >= (HV_REG_\w+) && name <= (HV_REG_\w+)", text)
                single = re.findall(r"case (HV_REG_\w+):|name == (HV_REG_\w+)", text)
                for name in [*(f"{a} to {b}" for a, b in names), *dict.fromkeys(a or b for a, b in single)]:
                    ways.setdefault(name, []).append(way)
        for name, way in t.need(owner, ways, "register").items():
            yield Element("vp-register", name, " ".join(dict.fromkeys(way)), owner, table, "",
                          ["hypercall"] if owner.startswith("hv/core/") else [])


def properties(t):
    owner, ways = "hv/core/hc_partition.c", {}
    for way in ("get", "set"):
        for name in re.findall(r"q\.code [!=]= (HV_PROPERTY_\w+)", t.body(owner, f"hc_{way}_property")):
            ways.setdefault(name, []).append(way)
    for name, way in t.need(owner, ways, "property").items():
        yield Element("partition-property", name, " ".join(way), owner, "hv/abi/tlfs.h", "", ["hypercall"])


# --- devices of a guest ---------------------------------------------------------------------------------------------

def messages(t, kind, table, tag, owner, served, prefix, versions=None):
    """An enumeration of messages; `served`: the labels of those that a guest may send; versions that a guest may name."""
    for member, value, _ in t.enum(table, tag):
        way = "from the guest" if member in served else "to the guest, or refused"
        yield Element(kind, member.removeprefix(prefix), f"{value:#x}, {way}", owner, table)
    for name, text in t.defines(table, versions) if versions else ():
        yield Element(kind, name.removeprefix(prefix), text, owner, table)


def devices(t):
    wire = "hv/wire/"
    yield from messages(t, "vmbus", wire + "vmbus.h", "vmbus_type", wire + "vmbus.c",
                        t.cases(wire + "vmbus.c", "vmbus_parse"), "VMBUS_", r"VMBUS_(?:\d_\d|CONNECTION\w*)")
    session = t.need("hv/host/storvsp/session.c", re.findall(r"\bcase (VSTOR_\w+):", t.code("hv/host/storvsp/session.c")), "VSTOR_ case")
    yield from messages(t, "vstor", wire + "vstor.h", "vstor_operation", wire + "vstor.c", session, "VSTOR_", r"VSTOR_VERSION_\w+")
    owner = wire + "scsi.c"
    for member, value, _ in t.enum(owner, "opcode"):
        yield Element("scsi", member.removeprefix("OP_"), f"opcode {value:#04x}", owner, owner)
    for page in t.cases(owner, "decode_inquiry"):
        yield Element("scsi", f"VPD page {page}", "INQUIRY", owner, owner)
    yield from messages(t, "nvsp", wire + "nvsp.h", "nvsp_type", wire + "nvsp.c", t.cases(wire + "nvsp.c", "bytes_of"), "NVSP_",
                        r"NVSP_VERSION_\w+")
    owner = wire + "rndis.c"
    served = [*t.cases(owner, "rndis_control"), *re.findall(r"RNDIS_PACKET\b", t.body(owner, "rndis_packet_parse"))]
    yield from messages(t, "rndis", wire + "rndis.h", "rndis_type", owner, served, "RNDIS_")
    owner, ways = wire + "rndis_oid.c", {}
    declared = [m for m, _, _ in t.enum(wire + "rndis.h", "rndis_oid")] + [n for n, _ in t.defines(wire + "rndis.h", r"RNDIS_OID_\w+")]
    for way in ("query", "set"):
        for name in t.cases(owner, f"rndis_{way}"):
            ways.setdefault(name, []).append(way)
    for name in dict.fromkeys([*declared, *ways]):
        yield Element("oid", name.removeprefix("RNDIS_OID_"), " ".join(ways.get(name, ["not answered"])), owner, wire + "rndis.h")
    owner = wire + "ic.c"
    offers = {kind: squeeze(rest) for kind, rest in re.findall(r"\{ (IC_TYPE_\w+), \d+, (\{.*\}) \}", t.code(owner))}
    for member, value, _ in t.enum(wire + "ic.h", "ic_type"):
        yield Element("ic", member.removeprefix("IC_TYPE_"), f"{value}, versions {offers.get(member, 'of any')}", owner, wire + "ic.h")
    owner = "hv/host/vmworker/intercept.c"
    for name in t.need(owner, t.cases(owner, "worker_intercept"), "intercept"):
        yield Element("intercept", name.removeprefix("HV_MESSAGE_"), "the guest's registers and bytes in a message of the hypervisor",
                      owner, "hv/abi/tlfs.h")


# --- the root's kernel module, manager and processes ----------------------------------------------------------------

def ioctls(t):
    """Declared in ioctl.h, and served by a function *_ioctl of hv/root: neither without the other."""
    table, served = "hv/root/ioctl.h", {}
    declared = dict(t.defines(table, r"RD_IOCTL_\w+"))
    for name in t.glob("hv/root/*.c"):
        requests = re.search(r"^#define (\w+)[ \t(]+_IO[WR]{0,2}\(", t.code(name), re.M)
        if requests:
            raise Undeclared(f"{name}: {requests.group(1)} is an undeclared ioctl: move it to {table} as RD_IOCTL_*")
        for function in re.findall(r"^static long (\w*_ioctl)\(struct file \*", t.code(name), re.M):
            text = t.body(name, function)
            for label in re.findall(r"\bcase ([^:]+):|\bcommand [!=]= ([^)]+)\)", text):
                label = squeeze(label[0] or label[1])
                if label not in declared:
                    raise Undeclared(f"{name}: {function} serves the undeclared ioctl {label}: declare it as RD_IOCTL_* in {table}")
                served[label] = name, function
    for label, text in declared.items():
        if label not in served:
            raise Undeclared(f"{table}: {label} is declared, and no *_ioctl function of hv/root serves it: serve it or remove it")
        struct = re.search(r"struct (\w+)", text)
        line = text + (f" {{ {t.fields(struct.group(1), table)} }}" if struct else "")
        yield Element("ioctl", label.removeprefix("RD_IOCTL_"), line, served[label][0], table, served[label][1])
    for name in t.glob("hv/root/*.c"):
        for table_name, text in re.findall(r"^static const struct file_operations (\w+) = \{(.*?)\n\};", t.code(name), re.M | re.S):
            for op, function in re.findall(r"\.(read|write|poll|mmap|open|release|unlocked_ioctl|compat_ioctl|read_iter|write_iter) = (\w+)", text):
                yield Element("file-operation", f"{table_name}.{op}", function, name, name)


def manager(t):
    owner = "hv/host/vmmgr/request.c"
    for word, must, may in t.need(owner, re.findall(r'= \{ "(\w+)", ([^,]+), ([^}]+) \}', t.code(owner)), "verb"):
        yield Element("manager", f"verb {word}", f"must {squeeze(must)}, may {squeeze(may)}", owner, owner)
    for key in re.findall(r'strcmp\(key, "(\w+)"\)', t.body(owner, "take_key")):
        yield Element("manager", f"key {key}", "of a request", owner, owner)


def process_messages(t):
    table, owner = "hv/wire/procmsg.h", "hv/wire/procmsg.c"
    structs, pending = {}, []
    for label, struct in re.findall(r"case (\w+):|return sizeof\(struct (\w+)\)", t.body(owner, "size_of")):
        pending += [label] if label else []
        if struct:
            structs.update(dict.fromkeys(pending, struct))
            pending = []
    counts = {}
    for labels, text in re.findall(r"((?:case \w+:\s*)+)\{?(.*?)(?=case |default:)", t.body(owner, "check_content"), re.S):
        count = re.search(r"\*fds = ([^;]+);", text)
        call = re.search(r"(check_\w+)\(m, fds\)", text)
        if call:
            count = re.search(r"\*fds = ([^;]+);", t.body(owner, call.group(1)))
        for label in re.findall(r"\w+(?=:)", labels):
            counts[label] = squeeze(count.group(1)) if count else "0"
    way = ""
    for member, value, heading in t.enum(table, "pm_type"):
        way = heading if "->" in heading else way
        if member not in structs:
            if member != "PM_NONE":
                raise Undeclared(f"{owner}: size_of does not know {member} of {table}")
            continue
        line = f"{value}, {way}, descriptors {counts.get(member, '0')}, {structs[member]} {{ {t.fields(structs[member], table)} }}"
        yield Element("process-message", member, line, owner, table)


def descriptors(t):
    """By the comments "fds:" of procmsg.h; their number as procmsg.c demands it is part of the message."""
    table, owner, found = "hv/wire/procmsg.h", "hv/wire/procmsg.c", 0
    comment = r"/\*((?:[^*]|\*(?!/))*)\*/"
    for piece in re.finditer(rf"{comment}\s*struct (\w+) \{{|struct (\w+) \{{ {comment}", t.raw(table)):
        text, struct = squeeze(re.sub(r"\n\s*\*", " ", piece.group(1) or piece.group(4))).lstrip("* "), piece.group(2) or piece.group(3)
        order = re.search(r"\bfds, .*?in this order: (.*?)\. ", text + " ")
        single = re.search(r"\bfds: (.*?)(?:(?<!\.)\. |$)", text)
        if order:
            items = [f"{n} {what}" for n, what in enumerate(re.split(r", (?![^(]*\))", order.group(1).replace(", then ", ", ")))]
        elif single:
            balanced = re.match(r"(?:[^()]|\([^()]*\))*", single.group(1)).group(0)
            items = re.split(r", (?=\d+(?:\.\.)? )", balanced)
        else:
            continue
        for item in items:
            number, what = item.split(" ", 1)
            found += 1
            yield Element("descriptor", f"{struct.removeprefix('pm_')} {number}", what, owner, table)
    t.need(table, found, "comment fds:")
    owner = "hv/host/vmmgr/spawn.c"
    start = re.search(r"int from\[[^\]]*\] = \{ ([^}]+) \};", t.code(owner))
    for number, what in enumerate(t.need(owner, start, "list of first descriptors").group(1).split(", ")):
        yield Element("descriptor", f"every process {number}", what.strip().removeprefix("s->"), owner, owner)
    owner = "hv/host/vmmgr/server.c"
    for number, what in t.need(owner, re.findall(r"c->fds\[(\d)\] = (\w+);", t.code(owner)), "descriptor to a client"):
        yield Element("descriptor", f"client of the manager {number} {what}", what, owner, owner)


def system_calls(t):
    policies = t.need("hv/host", t.glob("hv/host/*/policy.c"), "policy.c")
    for name in [n for n in t.glob("hv/host/*/*.c") if "struct sandbox_rule" in t.code(n) and n not in policies]:
        raise Undeclared(f"{name}: a sandbox's rules belong into policy.c")
    for name in policies:
        text = t.code(name)
        macros = {m: (params.split(", "), squeeze(body.replace("\\\n", " "))) for m, params, body in
                  re.findall(r"^#define (\w+)\(([^)]*)\)((?:[^\n]|(?<=\\)\n)*)", t.code("mitigations/sandbox/sandbox.h") + text, re.M)}
        rules = re.search(r"struct sandbox_rule rules\[\] = \{\n(.*?)\n\};", text, re.S)
        policy = re.search(r'struct sandbox_policy \w+ = \{ "(\w+)", rules \}', text)
        process = t.need(name, policy, "sandbox_policy").group(1)
        ended, seen = False, {}
        for row in re.findall(rf"(?:{STRING}|[^\"'\n])*?(?:\}}|\)),(?=\s|$)", t.need(name, rules, "rules[]").group(1)):
            row = squeeze(row)[:-1]
            call = re.fullmatch(rf'(\w+)\((\w+), ({STRING})\)', row)
            if call and call.group(1) in macros:
                params, body = macros[call.group(1)]
                for param, value in zip(params, call.groups()[1:]):
                    body = re.sub(rf"(?:##)?\b{param}\b|(?<=__NR_##){param}\b", lambda _, v=value: v, body)
                row = body.replace("__NR_##", "__NR_")
            fields = re.fullmatch(rf"\{{ (\w+), (-?\d+), ([^,]+), ([^,]+), ({STRING}|NULL|0) \}}", row)
            if not fields:
                raise Unreadable(f"{name}: not a rule: {row}")
            number, arg, value, mask, why = fields.groups()
            if number == "SANDBOX_END":
                ended = True
                continue
            call = number.removeprefix("__NR_")
            rule = "any arguments" if arg == "-1" else f"argument {arg} {'is' if mask == '0' else f'under {mask} is'} {value}"
            key = f"{process} {call}" + ("" if arg == "-1" else f" {value}")
            if key in seen:
                raise Unreadable(f"{name}: {call} stands there twice")
            seen[key] = True
            yield Element("system-call", key, rule, name, name, why.strip('"'))
        if not ended or not seen or len(seen) + 1 != len(re.findall(r"^\s*(?:\{|\w+\()", rules.group(1), re.M)):
            raise Unreadable(f"{name}: its rules[] has lines that tools/surface_sources.py does not understand")
    owner = "hv/host/storvsp/disk.c"
    ops = re.search(r"ops\[\] = \{(.*?)\};", t.body(owner, "restrict_ring"), re.S)
    for op in re.findall(r"IORING_OP_(\w+)", t.need(owner, ops, "list of ring operations").group(1)):
        yield Element("ring-operation", f"storvsp {op}", "allowed in its io_uring", owner, owner)


# --- files and boot inputs ------------------------------------------------------------------------------------------

def formats(t):
    owner = "hv/host/vmmgr/definition.c"
    for function, what in (("get_mapping", ""), ("get_disk", "disks."), ("get_nic", "nics.")):
        keys = re.search(r"keys\[\] = \{(.*?)\};", t.body(owner, function), re.S)
        for key in re.findall(r'"(\w+)"', t.need(owner, keys, f"keys[] in {function}").group(1)):
            yield Element("definition", f"key {what}{key}", "of a machine's definition file", owner, owner)
    owner = "hv/wire/options.c"
    for key in t.need(owner, re.findall(r'\[KEY_\w+\] = \{ "(\w+)"', t.code(owner)), "option"):
        yield Element("boot-option", key, "command line and configuration module", owner, owner)
    owner = "hv/wire/bzimage.c"
    fields = re.findall(r"(le\d+|memcmp)\(img \+ (0x[0-9a-f]+)|img\[(0x[0-9a-f]+)\]", t.code(owner))
    widths = {at or byte: width or "byte" for width, at, byte in t.need(owner, fields, "field")}
    for at in sorted(widths):
        yield Element("bzimage", f"field {at}", widths[at].replace("memcmp", "signature"), owner, owner)
    owner = "hv/wire/bootinfo_mb1.c"
    for name, text in t.defines(owner, r"FLAG_\w+"):
        yield Element("boot-information", f"Multiboot 1 {name}", text, owner, owner)
    owner = "hv/wire/bootinfo_mb2.c"
    for member, value, _ in t.enum(owner, "tag_type"):
        yield Element("boot-information", f"Multiboot 2 {member}", str(value), owner, owner)
    owner = "hv/wire/bootinfo.c"
    for word in t.need(owner, re.findall(r'memcmp\(word, "(\w+)"', t.body(owner, "role_word")), "role word"):
        yield Element("boot-information", f"module role {word}", "by its word", owner, owner)
    for text in re.findall(r'starts_with\([^"]*"([^"]+)"', t.body(owner, "settle_roles")):
        yield Element("boot-information", f"module {text}", "by its content", owner, owner)
    owner = "hv/wire/acpi.c"
    tables = re.findall(r'memcmp\(p, "([^"]+)"|table_at\([^"]*"(\w+)"', t.code(owner))
    for name in dict.fromkeys(a or b for a, b in t.need(owner, tables, "table")):
        yield Element("acpi", f"table {name.strip()}", "found by its signature", owner, owner)
    for owner, function, what in (("hv/wire/acpi_tables.c", "acpi_read_madt", "MADT entry"),
                                  ("hv/wire/acpi_ivrs.c", "ivhd_header", "IVRS block"), ("hv/wire/acpi_ivrs.c", "largest_devid", "IVHD entry")):
        for label in t.need(owner, t.cases(owner, function), what):
            yield Element("acpi", f"{what} {label}", "read", owner, owner)


READERS = (hypercalls, msrs, synthetic_msrs, ports, exits, vp_registers, properties, devices, ioctls, manager, process_messages,
           descriptors, system_calls, formats)
