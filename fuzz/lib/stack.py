# SPDX-License-Identifier: MIT
"""What a fuzzer's output says of a failure: its class, its kind and the normalised stack that names it."""
import hashlib
import re

FRAME = re.compile(r"^\s*#\d+ 0x[0-9a-f]+ in (?P<function>.+?) (?P<file>/?[^\s()]+?)(?::(?P<line>\d+))?(?::\d+)?$")
FOREIGN = re.compile(r"compiler-rt|/usr/(lib|include|src)|(^|/)csu/|sysdeps/|sanitizer_common|libFuzzer|/fuzzer/|\(")
RUNTIME = re.compile(r"__(asan|ubsan|lsan|sanitizer|interceptor|libc_start)_|fuzzer::|_start$|main$|abort$|raise$")
ENTRY = "LLVMFuzzerTestOneInput"
PATTERNS = (  # (expression, class, kind or None: taken from the match)
    (re.compile(r"ERROR: libFuzzer: timeout"), "timeout", "timeout"),
    (re.compile(r"ERROR: libFuzzer: out-of-memory|AddressSanitizer: (?:allocator is out of memory|specified RSS limit)"), "oom",
     "out-of-memory"),
    (re.compile(r"ERROR: AddressSanitizer: (?:requested allocation size|calloc parameters overflow)"), "oom", "allocation-size"),
    (re.compile(r"ERROR: LeakSanitizer: detected memory leaks"), "leak", "leak"),
    (re.compile(r"ERROR: AddressSanitizer: ([\w-]+)"), "crash", None),
    (re.compile(r"runtime error: (.+)"), "undefined", None),
    (re.compile(r"ERROR: libFuzzer: (?:deadly signal)"), "crash", "trap"),
    (re.compile(r"ERROR: libFuzzer: fuzz target exited"), "crash", "exit"),
    (re.compile(r"ERROR: libFuzzer: (.+)"), "crash", None),
)


class Failure:
    """class_: crash, undefined, timeout, oom, leak or unstable; frames: [(function, file, line)] of our own code."""

    def __init__(self, class_, kind, frames, text):
        self.class_, self.kind, self.frames, self.text = class_, kind, frames, text

    def key(self):
        """Equal for the same bug: class, kind, three functions. Lines of code move; only a trap, which has no other sign,
        is told from the next one by its line. A hang is named by its outermost functions: where it was caught varies."""
        frames = self.frames[-3:] if self.class_ == "timeout" else self.frames[:3]
        names = [f"{function} {base(file)}" for function, file, _ in frames]
        if self.kind == "trap" and frames:
            names[0] += f":{frames[0][2]}"
        return "|".join((self.class_, self.kind, *names))

    def identity(self, target):
        """Name of the finding: a bug that two targets reach is one finding, when its stack is known."""
        words = self.key() if self.frames else f"{target}|{self.key()}"
        return f"{target}-{self.class_}-{hashlib.sha256(words.encode()).hexdigest()[:8]}"

    def place(self):
        return "%s (%s:%s)" % (self.frames[0][0], self.frames[0][1], self.frames[0][2]) if self.frames else "unknown place"


def base(path):
    return path.rsplit("/", 1)[-1]


def normalise(message):
    """A sanitizer's sentence without the values of this one run."""
    message = re.sub(r"0x[0-9a-f]+|-?\d+", "N", message.strip())
    return re.sub(r"'[^']*'|\"[^\"]*\"", lambda m: m[0] if m[0].count(" ") <= 3 else "'...'", message)[:120]


def own_frames(text, prefix=""):
    """Frames of our own code in the first stack of the text, innermost first, up to the harness's entry."""
    frames, seen = [], False
    for line in text.splitlines():
        match = FRAME.match(line)
        if not match:
            if seen and frames and not line.strip().startswith("#"):
                break
            seen = seen or line.strip().startswith("#")
            continue
        seen = True
        function = match["function"].split("(")[0]
        if not match["line"] or RUNTIME.search(function) or FOREIGN.search(match["file"]):
            continue
        file = match["file"]
        frames.append((function, file[len(prefix):] if prefix and file.startswith(prefix) else file, int(match["line"])))
        if function == ENTRY:
            break
    return frames


def parse(text, prefix=""):
    """The first failure in a program's output, or None."""
    found = [(match.start(), class_, kind, match) for expression, class_, kind in PATTERNS
             for match in [expression.search(text)] if match]
    if not found:
        return None
    # UBSan ends the program through libFuzzer's signal handler or by ASan's: the first sentence is the cause.
    start, class_, kind, match = min(found, key=lambda f: f[0])
    if kind is None:
        kind = normalise(match[1]) if class_ == "undefined" else match[1]
    frames = own_frames(text[start:], prefix)
    if kind in ("ILL", "TRAP"):
        kind = "trap"
    return Failure(class_, kind, frames, text[max(0, text.rfind("\n", 0, start)):][:16384].strip())
