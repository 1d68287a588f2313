#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Proves on the linked hypervisor image that the hardening flags had their effect.

usage: check_image.py [options] build/hv/redoubt.elf64
  --commands FILE       compile_commands.json of the same build (default: beside the image; "none" leaves it out)
  --exceptions FILE     allowed findings (default: image_exceptions.txt beside this script)
  --min-protected N     fewest functions that must check a stack canary (default 12: link-time inlining leaves few)
  --min-traps N         fewest trap instructions of the bounds and overflow checks (default 20)

Exit: 0 every property holds, 1 one does not, 2 wrong usage, 3 the image or a tool is missing.
"""
import json
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent

# Not taken from hardening.cmake: a flag lost there must be missed here.
REQUIRED_FLAGS = """-O2 -ffreestanding -fPIE -fvisibility=hidden -mno-red-zone -mgeneral-regs-only -fno-jump-tables
 -fno-strict-aliasing -fno-delete-null-pointer-checks -fstack-protector-strong -mstack-protector-guard=tls
 -mstack-protector-guard-reg=gs -mstack-protector-guard-offset=40 -ftrivial-auto-var-init=zero -fsanitize-trap=all
 -Wall -Wextra -Werror -Wshadow -Wvla -Wframe-larger-than=2048""".split()
REQUIRED_CHECKS = set("bounds shift signed-integer-overflow integer-divide-by-zero unreachable vla-bound bool enum return "
                      "builtin".split())
REFUSED_FLAGS = re.compile(r"-(O[013sgz]|Ofast|fno-stack-protector\S*|fno-sanitize\S*|fjump-tables|mred-zone|w|"
                           r"Wno-error\S*|fno-trivial-auto-var-init\S*|ftrivial-auto-var-init=(?!zero)\S+|fPIC|"
                           r"fstack-protector(-all)?|fstrict-aliasing|fno-PIE|fno-pie)$")
HV_FOLDERS = ("hv/core", "hv/arch/x86", "hv/arch/svm", "hv/boot", "hv/wire", "hv/crypto", "attest/core")
EARLY = re.compile(r"hv/boot/early[^/]*\.c$")  # runs before the per-CPU block that holds the canary exists

FORBIDDEN_SYMBOLS = re.compile(r"(fake_|test_|vmbus_|scsi_|vstor_|rndis_|nvsp_|netvsp_|storvsp_|__ubsan_|__asan_|"
                               r"__stack_chk_guard$)")
BIG_FRAME = 128        # a frame of this many bytes without a canary is suspicious: nothing spills that much
BOOT_LIMIT = 12 << 10  # 16- and 32-bit code and headers before hv_text_start cannot be judged by a 64-bit disassembler

SHF_WRITE, SHF_ALLOC, SHF_EXEC = 1, 2, 4
PF_X, PF_W = 1, 2
PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_GNU_STACK = 1, 2, 3, 0x6474E551
SHT_SYMTAB, SHT_RELA, SHT_REL, SHT_DYNSYM, SHT_RELR = 2, 4, 9, 11, 19
R_X86_64_RELATIVE = 8
DT_NEEDED, DT_TEXTREL, DT_FLAGS = 1, 22, 30


def stop(code, text):
    print(f"check_image: {text}", file=sys.stderr)
    sys.exit(code)


class Elf:
    """Just enough of a 64-bit little-endian ELF file."""

    def __init__(self, path):
        self.data = Path(path).read_bytes()
        d = self.data
        if d[:6] != b"\x7fELF\x02\x01":
            stop(3, f"{path}: not a 64-bit little-endian ELF file")
        self.type, self.machine = struct.unpack_from("<HH", d, 16)
        self.entry, phoff, shoff = struct.unpack_from("<QQQ", d, 24)
        phsize, phnum, shsize, shnum, shstr = struct.unpack_from("<HHHHH", d, 54)
        self.segments = []
        for i in range(phnum):
            t, flags, off, va, _, fsz, msz, _ = struct.unpack_from("<IIQQQQQQ", d, phoff + i * phsize)
            self.segments.append(dict(type=t, flags=flags, off=off, va=va, fsz=fsz, msz=msz))
        self.sections = []
        for i in range(shnum):
            n, t, flags, va, off, size, link, info, _, ent = struct.unpack_from("<IIQQQQIIQQ", d, shoff + i * shsize)
            self.sections.append(dict(n=n, type=t, flags=flags, va=va, off=off, size=size, link=link, info=info, ent=ent))
        for s in self.sections:
            s["name"] = self._string(self.sections[shstr], s["n"])

    def _string(self, table, at):
        start = table["off"] + at
        return self.data[start:self.data.index(b"\0", start)].decode()

    def symbols(self, kind=SHT_SYMTAB):
        """(name, value, size, type, section index) of each symbol but the null one."""
        for s in self.sections:
            if s["type"] != kind:
                continue
            for i in range(1, s["size"] // 24):
                name, info, _, shndx, value, size = struct.unpack_from("<IBBHQQ", self.data, s["off"] + i * 24)
                yield self._string(self.sections[s["link"]], name), value, size, info & 15, shndx

    def relocations(self):
        """(offset, type, addend) of what a loader must apply."""
        for s in self.sections:
            if s["type"] == SHT_RELA and s["flags"] & SHF_ALLOC:
                for i in range(s["size"] // 24):
                    off, info, addend = struct.unpack_from("<QQq", self.data, s["off"] + i * 24)
                    yield off, info & 0xFFFFFFFF, addend

    def dynamic(self):
        for p in self.segments:
            if p["type"] == PT_DYNAMIC:
                for i in range(p["fsz"] // 16):
                    tag, value = struct.unpack_from("<QQ", self.data, p["off"] + i * 16)
                    if tag == 0:
                        break
                    yield tag, value


class Check:
    def __init__(self, image, exceptions):
        self.elf = Elf(image)
        self.image = image
        self.failures = []
        self.facts = []
        self.exceptions = exceptions
        self.used = set()
        self.names = {}
        for name, value, size, kind, shndx in self.elf.symbols():
            if shndx not in (0, 0xFFF1) or kind != 4:
                self.names.setdefault(name, (value, size, kind, shndx))
        if not self.names:
            stop(3, f"{image}: no symbols; the check needs the unstripped image")

    def fail(self, text):
        self.failures.append(text)

    def excused(self, symbol, what):
        if (symbol, what) in self.exceptions:
            self.used.add((symbol, what))
            return True
        return False

    # --- layout ---------------------------------------------------------------------------------------------------

    def layout(self):
        e = self.elf
        if e.type != 3 or e.machine != 62:
            self.fail("the image is not a position-independent x86-64 file (ET_DYN)")
        for s in e.sections:
            if s["flags"] & SHF_ALLOC and s["flags"] & SHF_WRITE and s["flags"] & SHF_EXEC:
                self.fail(f"section {s['name']} is writable and executable")
        loads = [p for p in e.segments if p["type"] == PT_LOAD]
        if not loads:
            self.fail("no segment to load")
        owner = {}
        for i, p in enumerate(loads):
            if p["flags"] & PF_W and p["flags"] & PF_X:
                self.fail(f"segment {i} at {p['va']:#x} is writable and executable")
            for page in range(p["va"] >> 12, (p["va"] + p["msz"] + 4095) >> 12):
                if owner.setdefault(page, p["flags"]) != p["flags"]:
                    self.fail(f"page {page << 12:#x} is shared by segments of different permissions")
        stacks = [p for p in e.segments if p["type"] == PT_GNU_STACK]
        if not stacks:
            self.fail("no PT_GNU_STACK: nothing says that the stack is not executable")
        if any(p["flags"] & PF_X for p in stacks):
            self.fail("PT_GNU_STACK asks for an executable stack")
        if any(p["type"] == PT_INTERP for p in e.segments):
            self.fail("the image asks for a dynamic loader (PT_INTERP)")
        self.facts.append(f"{len(loads)} segments, none writable and executable")

    def dynamic(self):
        e = self.elf
        for tag, value in e.dynamic():
            if tag == DT_NEEDED:
                self.fail("the image needs a shared library (DT_NEEDED)")
            if tag == DT_TEXTREL or (tag == DT_FLAGS and value & 4):
                self.fail("the image wants its text relocated (DT_TEXTREL)")
        for s in e.sections:
            if s["type"] in (SHT_REL, SHT_RELR) and s["flags"] & SHF_ALLOC and s["size"]:
                self.fail(f"section {s['name']}: relocations of a kind that the early code does not apply")
        writable = [p for p in e.segments if p["type"] == PT_LOAD and p["flags"] & PF_W]
        count = 0
        for off, kind, _ in e.relocations():
            count += 1
            if kind != R_X86_64_RELATIVE:
                self.fail(f"relocation type {kind} at {off:#x} is not R_X86_64_RELATIVE")
            if not any(p["va"] <= off and off + 8 <= p["va"] + p["msz"] for p in writable):
                self.fail(f"relocation at {off:#x} writes outside the writable segments")
        for name, _, _, _, shndx in e.symbols(SHT_DYNSYM):
            self.fail(f"dynamic symbol {name}" + (" is undefined" if shndx == 0 else " is exported"))
        for name, (_, _, _, shndx) in self.names.items():
            if shndx == 0:
                self.fail(f"symbol {name} is undefined")
        self.facts.append(f"{count} relocations, all R_X86_64_RELATIVE in writable segments")

    def symbols(self):
        for name in self.names:
            if FORBIDDEN_SYMBOLS.match(name):
                self.fail(f"symbol {name} must not be in the hypervisor")
        if str(ROOT).encode() + b"/" in self.elf.data:
            self.fail("the image holds the path of the building machine's source tree")

    # --- code -----------------------------------------------------------------------------------------------------

    def disassemble(self):
        tool = shutil.which("llvm-objdump-16") or shutil.which("objdump")
        if not tool:
            stop(3, "neither llvm-objdump-16 nor objdump is installed (apt install llvm-16)")
        first = None
        start = []
        if "hv_text_start" in self.names:
            first = self.names["hv_text_start"][0]
            text = next((p for p in self.elf.segments if p["type"] == PT_LOAD and p["flags"] & PF_X), None)
            if text and first - text["va"] > BOOT_LIMIT:
                self.fail(f"{first - text['va']} bytes of unchecked boot code before hv_text_start (limit {BOOT_LIMIT})")
            start = [f"--start-address={first:#x}"]
        run = subprocess.run([tool, "-d", "--no-show-raw-insn", *start, str(self.image)], capture_output=True, text=True)
        if run.returncode:
            stop(3, f"{tool} failed: {run.stderr.strip()}")
        functions = []  # (name, [(instruction, symbol it names)])
        for line in run.stdout.splitlines():
            head = re.match(r"[0-9a-f]+ <(.+)>:$", line)
            if head:
                functions.append((head.group(1), []))
                continue
            insn = re.match(r"\s*[0-9a-f]+:\s+([^#<]+)(?:.*<([^>+]+)>)?", line)
            if insn and functions:
                functions[-1][1].append((insn.group(1).strip(), insn.group(2)))
        if sum(len(insns) for _, insns in functions) < 10:
            self.fail("almost no code found: is this the hypervisor image?")
        return functions

    def code(self, min_protected, min_traps, early):
        functions = self.disassemble()
        protected = traps = count = 0
        for name, insns in functions:
            reads = calls_fail = leaves = False
            frame = 0
            for text, target in insns:
                count += 1
                calls_fail |= target == "__stack_chk_fail"
                words = re.sub(r"^((notrack|bnd|rep|repz|repnz|lock|data16|rex64|cs|ds|es|fs|gs|ss)\s+)+", "", text)
                op, _, args = words.partition("\t") if "\t" in words else words.partition(" ")
                args = args.strip()
                # A return, or a jump to another function in its place.
                leaves |= op.startswith("ret") or (op.startswith("jmp") and target not in (None, name))
                if re.match(r"l?(call|jmp)[a-z]*$", op) and "*" in args:
                    if not self.excused(name, op.rstrip("ql")):
                        self.fail(f"{name}: indirect branch: {text}")
                elif re.match(r"(lret|retf|lcall|ljmp)[a-z]*$", op):
                    if not self.excused(name, op.rstrip("ql")):
                        self.fail(f"{name}: far branch: {text}")
                if re.search(r"%(xmm|ymm|zmm|mm|k|bnd)\d|%st\b", args) or re.match(
                        r"f(?!xsave|xrstor|ninit|nclex)[a-z]", op) or op in ("emms", "vzeroupper", "vzeroall"):
                    if not self.excused(name, "fpu"):
                        self.fail(f"{name}: floating point or vector instruction: {text}")
                if "%gs:0x28" in args or "%gs:40" in args:
                    reads = True
                if "%fs:0x28" in args:
                    self.fail(f"{name}: takes its canary from %fs, which belongs to whoever ran before: {text}")
                if op.startswith("ud1") or op.startswith("ud2"):
                    traps += 1
                sub = re.match(r"\$(0x[0-9a-f]+|\d+), %rsp$", args)
                if op.startswith("sub") and sub:
                    frame = max(frame, int(sub.group(1), 0))
            if reads and calls_fail:
                protected += 1
            elif reads and name not in early and not self.excused(name, "canary"):
                self.fail(f"{name}: reads the canary but never calls __stack_chk_fail")
            if frame >= BIG_FRAME and leaves and not reads and name not in early and not self.excused(name, "frame"):
                self.fail(f"{name}: frame of {frame} bytes without a stack canary")
        if "__stack_chk_fail" not in self.names:
            self.fail("symbol __stack_chk_fail is missing: nothing is compiled with the stack protector")
        if protected < min_protected:
            self.fail(f"only {protected} functions check a canary at %gs:0x28 (at least {min_protected} expected)")
        if traps < min_traps:
            self.fail(f"only {traps} trap instructions (at least {min_traps} expected): are the UBSan checks compiled in?")
        self.facts.append(f"{count} instructions in {len(functions)} functions: no indirect branch, no jump table, "
                          "no x87/SSE/AVX")
        self.facts.append(f"{protected} functions check a canary at %gs:0x28; {traps} bounds and overflow traps")

    # --- flags ----------------------------------------------------------------------------------------------------

    def flags(self, path):
        """Every C file of the hypervisor was compiled with each required flag. Returns the functions of early files."""
        early = set()
        try:
            entries = json.loads(Path(path).read_text())
        except (OSError, ValueError) as e:
            stop(3, f"{path}: {e}")
        seen, linked, known = set(), set(), set()
        link_map = self.image.with_suffix(".map")
        inputs = self.image.with_suffix(".inputs")
        if inputs.exists():  # link-time optimisation: the map names no C object any more
            linked = {Path(inputs.parent, name).resolve() for name in inputs.read_text().split()}
        elif link_map.exists():  # only what the linker took: one build folder may hold sanitized objects too
            linked = set(re.findall(r"(\S+\.o):\(", link_map.read_text()))
            if not linked:
                self.fail(f"{link_map.name}: no object in it")
            linked = {Path(link_map.parent, name).resolve() for name in linked}
        for entry in entries:
            where = Path(entry["directory"], entry["file"]).resolve()
            words = entry.get("arguments") or entry["command"].split()
            output = Path(entry["directory"], words[words.index("-o") + 1]).resolve()
            known.add(output)
            if linked and output not in linked:
                continue
            root = next((w[2:] for w in words if w.startswith("-I")), str(ROOT))
            try:
                name = str(where.relative_to(Path(root).resolve()))
            except ValueError:
                continue
            if not name.endswith(".c"):
                continue
            if not name.startswith(tuple(f + "/" for f in HV_FOLDERS)):
                if output in linked:
                    self.fail(f"{name}: linked, but it is not of {', '.join(HV_FOLDERS)}")
                continue
            seen.add(name)
            is_early = bool(EARLY.search(name))
            for flag in REQUIRED_FLAGS:
                if flag not in words:
                    self.fail(f"{name}: compiled without {flag}")
            checks = {c for w in words if w.startswith("-fsanitize=") for c in w[11:].split(",")}
            if REQUIRED_CHECKS - checks:
                self.fail(f"{name}: compiled without -fsanitize={','.join(sorted(REQUIRED_CHECKS - checks))}")
            for word in words:
                if REFUSED_FLAGS.match(word) and not (is_early and word == "-fno-stack-protector"):
                    self.fail(f"{name}: compiled with {word}")
            if is_early:
                early |= functions_of(output)
        for output in linked - known:
            self.fail(f"{output.name}: linked, but {Path(path).name} does not say how it was compiled")
        if not seen:
            self.fail(f"{path}: no C file of the hypervisor in it")
        self.facts.append(f"{len(seen)} C files compiled with all {len(REQUIRED_FLAGS)} required flags and "
                          f"{len(REQUIRED_CHECKS)} run-time checks")
        return early


def functions_of(obj):
    """Functions that an object defines; llvm-nm also reads the bitcode of link-time optimisation."""
    nm = shutil.which("llvm-nm-16") or "llvm-nm"
    out = subprocess.run([nm, "--defined-only", str(obj)], capture_output=True, text=True, check=False)
    if out.returncode != 0:
        stop(3, f"{obj}: {out.stderr.strip() or 'unreadable'}")
    return {words[-1] for words in (line.split() for line in out.stdout.splitlines()) if words[-2] in "tT"}


def read_exceptions(path):
    allowed = {}
    for number, line in enumerate(Path(path).read_text().splitlines(), 1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        words = line.split(None, 2)
        if len(words) != 3:
            stop(2, f"{path}:{number}: want: SYMBOL WHAT REASON")
        allowed[(words[0], words[1])] = words[2]
    return allowed


def main(argv):
    image, commands, exceptions, protected, traps = None, None, HERE / "image_exceptions.txt", 12, 20
    words = iter(argv)
    try:
        for word in words:
            if word in ("-h", "--help"):
                print(__doc__.strip())
                return 0
            if word == "--commands":
                commands = next(words)
            elif word == "--exceptions":
                exceptions = next(words)
            elif word == "--min-protected":
                protected = int(next(words))
            elif word == "--min-traps":
                traps = int(next(words))
            elif word.startswith("-") or image:
                stop(2, f"unknown word {word}; see --help")
            else:
                image = Path(word)
    except (StopIteration, ValueError):
        stop(2, "an option lacks its value; see --help")
    if image is None:
        stop(2, "which image? see --help")
    if not image.is_file():
        stop(3, f"{image} does not exist: build it with tools/dev build")
    allowed = read_exceptions(exceptions)
    check = Check(image, allowed)
    check.layout()
    check.dynamic()
    check.symbols()
    early = set()
    if commands != "none":
        early = check.flags(commands or image.parent / "compile_commands.json")
    check.code(protected, traps, early)
    for symbol, what in set(allowed) - check.used:
        check.fail(f"exception '{symbol} {what}' excuses nothing: remove it")
    for fact in check.facts:
        print(f"  {fact}")
    for (symbol, what), reason in allowed.items():
        print(f"  exception: {symbol} {what}: {reason}")
    for text in check.failures:
        print(f"FAIL {text}")
    print(f"{image.name}: " + (f"{len(check.failures)} findings" if check.failures else "all properties hold"))
    return 1 if check.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
