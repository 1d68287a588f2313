# SPDX-License-Identifier: MIT
"""Finds and numbers the checks of a C source of the house's style, in a copy of it.

A check is one operand of || in the condition of an `if` that ends in a return of a refusal, or marks a cursor as bad for good; an
operand of && in what a bool function returns, or in a cursor's `c->ok = c->ok && ..`; what stands before `? true : refusal` or before
`|| refuse(..)`, or in a function that says what is wrong before `? NULL : "..."`. What functions with external linkage take and give
is mixed into the verdict."""
import re

IF = re.compile(r"\bif \(")
ACCEPTS = re.compile(r"return (true|\w*(_OK|_SUCCESS|_EMPTY|_EVENT|_END|_FORWARD))?;$")
REFUSES = re.compile(r"return( false| NULL| 0| -1| \".*\"| [a-z]\w*\(.*\))?;$")
KERNEL = re.compile(r"\n\t+(return( -E[A-Z]+| error| NULL| false)?;)\n(?!\t+else\b)")  # the style of Linux: no braces around one statement
MARKS = re.compile(r"\w+(->|\.)(bad|full) = true;$")
REFUSAL = re.compile(r"\s*refuse\(")  # `return holds || refuse(...)`
CONSTANT = re.compile(r"return [A-Z][A-Z0-9_]+;$")
FUNCTION = re.compile(r"^(?!typedef|#|\}|/)((?:static |inline |const |struct |enum |unsigned |\w+ )+\**)(\w+)\(([^{};]*?)\)\n\{\n(.*?)^\}", re.M | re.S)
NUMBERS = {"bool", "uint8_t", "uint16_t", "uint32_t", "uint64_t", "int64_t", "int", "unsigned", "size_t", "unsigned int"}
OUTS = {"uint16_t", "uint32_t", "uint64_t", "bool", "int", "size_t"}


def closing(text, at):
    """Where the bracket at `at` is closed; strings and characters are skipped."""
    depth, i = 0, at
    while i < len(text):
        c = text[i]
        if c in "\"'":
            i += 1
            while text[i] != c:
                i += 2 if text[i] == "\\" else 1
        elif text.startswith("/*", i):
            i = text.index("*/", i) + 1
        elif c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
            if depth == 0:
                return i
        i += 1
    raise ValueError("a bracket is not closed")


def split(text, operator):
    """Operands of && or || at the top level."""
    parts, start, i = [], 0, 0
    while i < len(text):
        if text[i] in "([{":
            i = closing(text, i)
        elif text[i] in "\"'":
            c = text[i]
            i += 1
            while text[i] != c:
                i += 2 if text[i] == "\\" else 1
        elif text.startswith(operator, i):
            parts.append(text[start:i])
            i += 1
            start = i + 1
        i += 1
    return [*parts, text[start:]]


def operands(condition):
    """Operands of || of a condition; one with ?: is one, as that binds less."""
    return [condition] if len(split(condition, "?")) > 1 else split(condition, "||")


class Numbered:
    """A copy with its checks: text, and list of (number, line, text of the condition)."""

    def __init__(self, path, source, first):
        self.checks, self.next, self.source, self.path = [], first, source, path
        self.text = f'#line 1 "{path}"\n' + FUNCTION.sub(self._function, source)

    def _wrap(self, part, word, line):
        lead = part[:len(part) - len(part.lstrip())]
        plain = part.strip()
        self.checks.append((self.next, line + part[:len(lead)].count("\n"), " ".join(plain.split())))
        self.next += 1
        return f"{lead}{word}({self.next - 1}, {plain})"

    def _function(self, match):
        kind, name, params, body = match[1].strip(), match[2], match[3], match[4]
        line = self.source.count("\n", 0, match.start(4)) + 1
        body = self._checks(body, line, kind.split())
        head = match[0][:match.start(4) - match.start()]
        if "static" not in kind.split():
            body = self._entry(params) + self._returns(kind, body)
        return head + body + "}"

    @staticmethod
    def _refuses(rest, constants):
        """What follows a condition is a block that ends in a refusal, and no else."""
        if not rest.startswith(" {"):
            return False
        close = closing(rest, 1)
        ends = rest[2:close].rstrip()
        said = " ".join(ends[ends.rfind("return"):].split()) if "return" in ends else ""
        if rest[close:].startswith("} else") or not ends.strip() or ACCEPTS.match(said) and said != "return;" or "||" in said:
            return False
        return REFUSES.match(said) or MARKS.search(ends) or constants and CONSTANT.match(said)

    def _checks(self, body, line, kind):
        out, at, is_bool = [], 0, "bool" in kind
        constants = "enum" in kind or "uint32_t" in kind
        for match in re.finditer(r"\bif \(|\breturn |\b(\w+(?:->|\.)ok) = ", body):
            if match.start() < at:
                continue
            here = line + body.count("\n", 0, match.start())
            if match[0] == "if (":
                end = closing(body, match.end() - 1)
                rest = body[end + 1:]
                if body[:match.start()].rstrip().endswith("else") or not (KERNEL.match(rest) or self._refuses(rest, constants)):
                    continue
                parts = operands(body[match.end():end])
                new = "||".join(self._wrap(p, "PLANTED_REFUSES", here + body.count("\n", match.end(), match.end() + sum(
                    len(q) + 2 for q in parts[:i]))) for i, p in enumerate(parts))
                out += [body[at:match.end()], new]
                at = end
            elif match[1]:
                end = body.index(";", match.end())
                parts = split(body[match.end():end], "&&")
                if not any(p.strip() == match[1] for p in parts):
                    continue
                new = "&&".join(p if p.strip() == match[1] else self._wrap(p, "PLANTED_HOLDS", here) + " " for p in parts)
                out += [body[at:match.end()], new]
                at = end
            elif " ".join(kind).endswith("const char *"):
                end = match.end() + closing("(" + body[match.end():].replace(";", ")", 1), 0) - 1
                held = re.match(r"([^\"]*[^\"\s])(\s*\? NULL\s*: \".*)", body[match.end():end], re.S)
                refused = re.match(r"([^\"]*[^\"\s])(\s*\? \"[^\"]*\"\s*: NULL$)", body[match.end():end], re.S)
                if not held and not refused:
                    continue
                word, by, ternary = ("PLANTED_HOLDS", "&&", held) if held else ("PLANTED_REFUSES", "||", refused)
                parts = split(ternary[1], by)
                out += [body[at:match.end()], f" {by} ".join(self._wrap(p.strip(), word, here) for p in parts) + ternary[2]]
                at = end
            elif is_bool:
                end = body.index(";", match.end())
                expression = body[match.end():end]
                *held, refusal = split(expression, "||")
                if held and REFUSAL.match(refusal):
                    out += [body[at:match.end()], self._wrap("||".join(held), "PLANTED_HOLDS", here), " ||", refusal]
                    at = end
                    continue
                if '"' in expression or "'" in expression:
                    continue
                ternary = re.match(r"(.*)(\? true\s*: \w+\(.*)", expression, re.S)
                condition = ternary[1] if ternary else expression
                parts = split(condition, "&&")
                if not ternary and (len(parts) < 2 or len(split(condition, "||")) > 1 or len(split(condition, "?")) > 1):
                    continue
                new = "&&".join(self._wrap(p, "PLANTED_HOLDS", here) + (" " if i < len(parts) - 1 or ternary else "")
                                for i, p in enumerate(parts))
                out += [body[at:match.end()], new + (ternary[2] if ternary else "")]
                at = end
        return "".join(out) + body[at:]

    @staticmethod
    def _entry(params):
        lines = []
        for i, param in enumerate(split(" ".join(params.split()), ",")) if params.strip() not in ("", "void") else []:
            match = re.match(r"(.*?)(\**)(\w+)(\[.*\])?$", param.strip())
            if not match:
                continue
            kind, stars, name = match[1].strip(), match[2] + ("*" if match[4] else ""), match[3]
            if not stars and (kind in NUMBERS or kind.startswith("enum ")):
                lines.append(f"planted_mix((uint64_t){name});")
            elif stars == "*" and kind in OUTS and not match[4]:
                lines.append(f"__attribute__((cleanup(planted_out_{kind}))) {kind} *planted_{i} = {name};")
            elif stars == "**" and kind == "const char":
                lines.append(f"__attribute__((cleanup(planted_out_text))) void *planted_{i} = {name};")
            elif stars == "*" and kind == "struct wire_fault":
                lines.append(f"__attribute__((cleanup(planted_out_fault))) void *planted_{i} = {name};")
        return "\t" + " ".join(lines) + " " if lines else ""

    @staticmethod
    def _returns(kind, body):
        kind = " ".join(w for w in kind.split() if w not in ("inline", "RO_AFTER_INIT"))
        pointer = kind.endswith("*")
        if kind == "void" or not pointer and kind not in NUMBERS and not kind.startswith("enum "):
            return body
        word, out, at = "PLANTED_TEXT" if kind == "const char *" else "PLANTED_POINTER" if pointer else "PLANTED_RETURN", [], 0
        for match in re.finditer(r"\breturn ", body):
            end, i = None, match.end()
            while end is None:
                if body[i] in "([{":
                    i = closing(body, i)
                elif body[i] in "\"'":
                    c = body[i]
                    i += 1
                    while body[i] != c:
                        i += 2 if body[i] == "\\" else 1
                elif body[i] == ";":
                    end = i
                i += 1
            out += [body[at:match.end()], f"{word}({kind}, ({body[match.end():end]}))"]
            at = end
        return "".join(out) + body[at:]
