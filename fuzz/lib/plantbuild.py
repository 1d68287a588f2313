# SPDX-License-Identifier: MIT
"""Builds a target with one changed source: that object is compiled and the target linked, with the commands of the build itself."""
import re
import shlex
import shutil
import subprocess
from pathlib import Path

from targets import ROOT, Refused

FOLDER = ROOT / "fuzz/planted"


def _run(command, where, what):
    done = subprocess.run(command, shell=True, cwd=where, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(f"{what}: does not build:\n{(done.stderr + done.stdout)[-3000:]}", 1)


class Tree:
    """A build folder of one engine: build/fuzz, build/afl, build/afl-cmplog."""

    def __init__(self, folder):
        self.folder, self._commands = Path(folder), {}
        if not (self.folder / "build.ninja").exists():
            raise Refused(f"{folder} is not configured: run `tools/dev build {self.folder.name}`", 3)

    def commands(self, target):
        """The commands that make the target's program; it is up to date then."""
        if target not in self._commands:
            program = f"fuzz_{target}"
            _run(f"ninja {program}", self.folder, program)
            text = subprocess.run(["ninja", "-t", "commands", program], cwd=self.folder, capture_output=True, text=True, check=True)
            self._commands[target] = text.stdout.splitlines()
        return self._commands[target]

    def compile_command(self, target, file):
        """How this target's copy of the source's object is made, and the name of that object; None: no object is made of it."""
        source = f"-c {ROOT / file}"
        link = self.commands(target)[-1].split()
        found = []
        for line in self.commands(target):
            if line.endswith(source):
                found.append((re.search(r" -o (\S+)", line)[1], line))
        return next((f for f in found if f[0] in link), found[0] if found else None)

    def includer(self, target, file):
        """The target's source that includes this one as a whole, or None: the harness has the parser's lines in it then."""
        for line in self.commands(target):
            match = re.search(rf" -o (\S+) -c {re.escape(str(ROOT))}/(fuzz/\S+\.c)$", line)
            if match and f"/fuzz_{target}.dir/" in match[1] and f'#include "{file}"' in (ROOT / match[2]).read_text(encoding="utf-8"):
                return match[1], line
        return None

    def build(self, target, copies, out, flags, extra=(), words=()):
        """Makes the program `out`: copies {file: changed copy} take the place of those sources; extra: further sources, plain; words: for the linker."""
        objects, link = [], self.commands(target)[-1]
        for file, copy in copies.items():
            command = self.includer(target, file)
            if command is not None:
                overlay = Path(f"{out}.overlay")
                (overlay / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(copy, overlay / file)
                line = command[1].replace(f" -I{ROOT}", f" -I{overlay} -I{ROOT}", 1).replace(" -c ", f" {flags} -c ")
            else:
                command = self.compile_command(target, file)
                if command is None:
                    raise Refused(f"{target}: {file} is no source of it: its sources are in CMakeLists.txt", 1)
                line = command[1].replace(f"-c {ROOT / file}", f"{flags} -c {shlex.quote(str(copy))}")
            made, new = command[0], Path(f"{out}.{len(objects)}.o")
            line = re.sub(r" -M[DTF]( \S+\.(o|d))?(?= )", "", line).replace(f" -o {made}", f" -o {new}")
            _run(line, self.folder, f"{target}: {file}")
            objects.append(new)
            if made in link.split():
                link = link.replace(f" {made} ", f" {new} ")
            else:  # from a library: an object that comes first is taken in its place
                link = link.replace(f" -o fuzz_{target} ", f" {new} -o fuzz_{target} ")
        for source in extra:
            new = Path(f"{out}.{len(objects)}.o")
            _run(f"clang-16 -O1 -g -I{ROOT} -o {new} -c {source}", self.folder, str(source))
            objects.append(new)
            link = link.replace(f" -o fuzz_{target} ", f" {new} -o fuzz_{target} ")
        _run(link.replace(f" -o fuzz_{target} ", f" {' '.join(words)} -o {out} "), self.folder, f"{target}: link")
        for new in objects:
            new.unlink()
        shutil.rmtree(f"{out}.overlay", ignore_errors=True)
        return out


def plant(defect, tree, out, count=False):
    """The target's program with the defect; count: with its counters."""
    out.parent.mkdir(parents=True, exist_ok=True)
    copy = out.parent / f"{out.name}.{Path(defect.file).name}"
    copy.write_text(defect.text(), encoding="utf-8")
    flags = f"-include {FOLDER}/planted.h -Wno-unused -Wno-error" + (" -DPLANTED_COUNT" if count else "")
    try:
        return tree.build(defect.target, {defect.file: copy}, out, flags, [FOLDER / "counters.c"] if count else [])
    finally:
        copy.unlink()


def module_words(folder):
    """For sources of redoubt.ko, as tools/cmake/module.cmake has it: every header of the kernel is fuzz/ko/kernel.h."""
    for source in (ROOT / "hv/root").glob("*.[ch]"):
        for name in re.findall(r"^#include <((?:linux|asm)/\S+)>", source.read_text(encoding="utf-8"), re.M):
            if name not in ("linux/errno.h", "linux/ioctl.h"):  # the C library's own headers want the real ones
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text('#include "fuzz/ko/kernel.h"\n', encoding="utf-8")
    return [f"-I{folder}", "-Wno-unused-parameter", "-Wno-sign-compare", "-Wno-pointer-arith", "-Wno-format"]


def syntax(copies, more=()):
    """What the compiler says against these copies, or nothing; nothing is written."""
    words = ["clang-16", "-fsyntax-only", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-Wno-unused", f"-I{ROOT}",
             "-DPLANTED_COUNT", "-include", str(FOLDER / "planted.h"), *more]
    done = subprocess.run([*words, *map(str, copies)], capture_output=True, text=True, check=False) if copies else None
    return done.stderr[-3000:] if done and done.returncode else ""
