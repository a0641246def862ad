# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single values in YAML: what a plain word means, quoted text, and blocks of text."""

from __future__ import annotations

import re
import typing as t

Scalar = t.Union[str, int, float, bool, None]

#: Digits of a number. Longer ones take the square of their length to read, and no lockfile has one.
MAX_DIGITS = 100

#: What a plain word must not begin with, and what it would be.
_NOT_PLAIN = {
    "&": "an anchor",
    "*": "an alias",
    "!": "a tag",
    "%": "a directive",
    "@": "a word that begins with a reserved sign",
    "`": "a word that begins with a reserved sign",
    **dict.fromkeys(",[]{}#|>'\"", "a word that begins with a sign of YAML"),
}

QUOTED = {
    "'": re.compile(r"'([^']*(?:''[^']*)*)'"),
    '"': re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"'),
}

_WORDS: dict[str, Scalar] = {"~": None}
for _word, _meaning in (("null", None), ("true", True), ("false", False)):
    _WORDS.update({_word: _meaning, _word.capitalize(): _meaning, _word.upper(): _meaning})
_MAYBE_TYPED = frozenset("~nNtTfF0123456789+-.")
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OTHER_BASE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")

_ESCAPE = re.compile(
    r"\\(?:x([0-9a-fA-F]{2})|u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})"
    r"|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))"
)
_SIMPLE_ESCAPES = {
    "0": "\0", "a": "\a", "b": "\b", "t": "\t", "\t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", "e": "\x1b",
    " ": " ", '"': '"', "/": "/", "\\": "\\", "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029",
}  # fmt: skip

_BLOCK_HEADER = re.compile(r"([|>])(?:([+-])([1-9])?|([1-9])([+-])?)?(?: +#.*)?")


def check_plain(text: str) -> None:
    """Raise ``ValueError`` unless ``text``, of one line and without a comment, is a plain word."""
    if not text:
        raise ValueError("there is nothing where a word is expected")
    sign = text[0]
    if sign in _NOT_PLAIN:
        kind = _NOT_PLAIN[sign]
        raise ValueError(f"there is {kind} ({text[:40]})")
    if sign in "-?:" and text[1:2] in ("", " "):
        raise ValueError(f"there is a {sign} where a word is expected")
    if ": " in text or text[-1] == ":":
        raise ValueError("a value has a key of its own in the same line")
    if "\t" in text:
        raise ValueError("there is a tab in a word")


def typed(text: str) -> Scalar:
    """A plain word by the core schema of YAML 1.2: null, a truth value, a number, or else text.

    Raises ``ValueError`` for a number that nobody means.
    """
    if text[0] not in _MAYBE_TYPED:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(_short(text))
    if _FLOAT.fullmatch(text):
        return float(_short(text))
    if _OTHER_BASE.fullmatch(text):
        return int(_short(text), 0)
    if _INFINITE.fullmatch(text):
        return float(text.replace(".", "", 1))
    return text


def _short(text: str) -> str:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number has more than {MAX_DIGITS} digits")
    return text


def quoted(text: str, start: int) -> tuple[str, int]:
    """The quoted text that begins at ``start`` of a line, and where it ends.

    Raises ``ValueError`` when it does not end in this line, or has an escape that YAML does not know.
    """
    match = QUOTED[text[start]].match(text, start)
    if match is None:
        raise ValueError("a quoted text does not end in its line")
    inner = match[1]
    if text[start] == "'":
        return (inner.replace("''", "'") if "'" in inner else inner), match.end()
    return (_ESCAPE.sub(_unescaped, inner) if "\\" in inner else inner), match.end()


def _unescaped(match: re.Match[str]) -> str:
    byte, high, low, short, long, simple = match.groups()
    if simple:
        if simple not in _SIMPLE_ESCAPES:
            raise ValueError(f"the escape \\{simple} is not known")
        return _SIMPLE_ESCAPES[simple]
    if high:
        # JSON writes characters beyond 0xffff as two halves.
        return chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + int(low, 16) - 0xDC00)
    number = int(byte or short or long, 16)
    if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
        raise ValueError(f"the escape {match[0]} is no character")
    return chr(number)


def block_text(header: str, lines: t.Sequence[str], start: int, outer: int) -> tuple[str, int]:
    """The text of a block (``|`` or ``>``) whose lines begin at ``start``, and the index of the line after it.

    ``outer`` is the indentation of what it belongs to. Raises ``ValueError`` for a header that is none.
    """
    match = _BLOCK_HEADER.fullmatch(header)
    if match is None:
        raise ValueError("a block of text has an unknown header")
    chomping = match[2] or match[5] or ""
    explicit = match[3] or match[4]
    indent = max(outer, 0) + int(explicit) if explicit else None
    found: list[str] = []
    after = start
    while after < len(lines):
        line = lines[after]
        blank = not line.strip(" ")
        if not blank:
            depth = len(line) - len(line.lstrip(" "))
            if indent is None:
                indent = max(depth, outer + 1)
            if depth < indent:
                break
        found.append("" if blank and len(line) <= (indent or len(line)) else line[indent or 0 :])
        after += 1
    kept = len(found)
    while kept and not found[kept - 1]:
        kept -= 1
    body, trailing = found[:kept], len(found) - kept
    text = "\n".join(body) if match[1] == "|" else _folded(body)
    if chomping == "+":
        return text + "\n" * (trailing + bool(body)), after
    return (f"{text}\n" if body and not chomping else text), after


def _folded(lines: t.Sequence[str]) -> str:
    """A single line break between lines of text is a space; empty lines and lines further in keep theirs."""
    parts: list[str] = []
    breaks = 0
    further_in = False
    for number, line in enumerate(lines):
        if not line:
            breaks += 1
            continue
        kept = line[0] in " \t"
        if not number or not parts:
            parts.append("\n" * breaks)
        elif kept or further_in:
            parts.append("\n" * (breaks + 1))
        else:
            parts.append("\n" * breaks or " ")
        parts.append(line)
        breaks, further_in = 0, kept
    return "".join(parts)
