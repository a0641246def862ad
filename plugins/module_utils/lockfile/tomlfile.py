# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read TOML 1.0 that somebody else wrote, maybe with bad intent (hosts have Python 3.9, which brings no reader).

All of TOML 1.0 is understood. Dates and times stay text. Integers must fit 64 bits, the size every reader takes.
"""

from __future__ import annotations

import datetime
import re
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError

Table = dict[str, t.Any]

#: Levels of tables and arrays in each other, however they are written. Real files stay below 10.
MAX_DEPTH = 100

_CONTROL = r"\x00-\x08\x0a-\x1f\x7f"
_BARE = r"[A-Za-z0-9_-]+"
_PLAIN = rf'"[^"\\{_CONTROL}]*"'
_SMALL = r"(?:0|[1-9][0-9]{0,17})(?=[ \t,}])"

_SPACE = re.compile(r"[ \t]*")
#: White space, newlines and comments: what may stand between statements and in arrays.
_GAP = re.compile(rf"(?:[ \t\n]+|#[^{_CONTROL}]*)*")
_LINE_END = re.compile(rf"[ \t]*(?:#[^{_CONTROL}]*)?(?:\n|\Z)")
_BARE_KEY = re.compile(_BARE)
_DOT = re.compile(r"[ \t]*\.[ \t]*")
_EQUALS = re.compile(r"[ \t]*=[ \t]*")
_COMMA = re.compile(r"[ \t]*,[ \t]*")

# Nearly all of a lockfile is plain texts and plain tables of them, so these are taken in one step.
_PAIR = rf"{_BARE}[ \t]*=[ \t]*(?:{_PLAIN}|{_SMALL})"
_PLAIN_TABLE = rf"\{{[ \t]*{_PAIR}(?:[ \t]*,[ \t]*{_PAIR})*[ \t]*\}}"
_PLAIN_STATEMENT = re.compile(rf"[ \t\n]*({_BARE})[ \t]*=[ \t]*(?:({_PLAIN})|({_PLAIN_TABLE}))[ \t]*(?:\n|\Z)")
_ARRAY_STATEMENT = re.compile(rf"[ \t\n]*({_BARE})[ \t]*=[ \t]*(?=\[)")
_PLAIN_ITEM = re.compile(rf"[ \t\n]*({_PLAIN_TABLE})[ \t\n]*,")
_PLAIN_PAIR = re.compile(rf"({_BARE})[ \t]*=[ \t]*(?:({_PLAIN})|({_SMALL}))")

_BASIC = re.compile(rf'"([^"\\{_CONTROL}]*(?:\\.[^"\\{_CONTROL}]*)*)"')
_LITERAL = re.compile(rf"'([^'{_CONTROL}]*)'")
_ESCAPE = re.compile(r"\\(?:([btnfr\"\\])|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|)", re.DOTALL)
_ESCAPED = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "\\": "\\"}
# In strings of several lines.
_TEXT = {'"': re.compile(rf'(?:[^"\\{_CONTROL}]|\n)+'), "'": re.compile(rf"(?:[^'{_CONTROL}]|\n)+")}
_QUOTES = {'"': re.compile(r'"+'), "'": re.compile(r"'+")}
_CONTINUED = re.compile(r"\\[ \t]*\n[ \t\n]*")

_SCALAR = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9A-Za-z+_.:-]*|[0-9A-Za-z+_.:-]+")
_DECIMAL = re.compile(r"[+-]?(?:0|[1-9](?:_?[0-9])*)")
_PREFIXED = re.compile(r"0(?:x[0-9A-Fa-f](?:_?[0-9A-Fa-f])*|o[0-7](?:_?[0-7])*|b[01](?:_?[01])*)")
_DIGITS = r"[0-9](?:_?[0-9])*"
_FLOAT = re.compile(
    rf"[+-]?(?:(?:0|[1-9](?:_?[0-9])*)(?:\.{_DIGITS}(?:[eE][+-]?{_DIGITS})?|[eE][+-]?{_DIGITS})|inf|nan)"
)
_HOUR = r"(?:[01][0-9]|2[0-3])"
_TIME = rf"{_HOUR}:[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?"
_MOMENT = re.compile(
    rf"(?:([0-9]{{4}})-([0-9]{{2}})-([0-9]{{2}})(?:[Tt ]{_TIME}(?:[Zz]|[+-]{_HOUR}:[0-5][0-9])?)?|{_TIME})"
)
#: Digits of the longest number: 64 bits in binary, or a float of absurd precision. Keeps the conversion linear.
_MAX_NUMBER = 100


class _Node:
    """What the statements so far say about a table, beside its values: how it came to be decides what may be added."""

    __slots__ = ("children", "items", "kind", "scope", "values")

    def __init__(self, kind: str, scope: int) -> None:
        self.values: Table = {}
        self.children: dict[str, _Node] = {}
        #: ``implied`` by a longer header, ``header``, ``dotted`` by a key, or ``array`` of tables (then the last one).
        self.kind = kind
        #: The header under which dotted keys may still add to it.
        self.scope = scope
        self.items: list[Table] = []

    def append(self) -> None:
        self.values, self.children = {}, {}
        self.items.append(self.values)


def parse_table(content: bytes, where: str, mend: str) -> Table:
    """The document in ``content`` as tables of str, int, float, bool, list and dict.

    ``where`` names it in errors, ``mend`` is what to do about a broken file. Raises ApphostError with line and column.
    """
    if not content.strip():
        raise ApphostError("is empty", where, mend)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ApphostError(f"is not UTF-8 (byte {error.start})", where, mend) from error
    parser = _Parser(text.replace("\r\n", "\n"))
    try:
        return parser.document()
    except _Wrong as error:
        if b"\n<<<<<<< " in b"\n" + content:
            raise ApphostError("holds the marks of an unresolved merge", where, mend) from error
        raise ApphostError(f"is no TOML: {error} ({parser.place(error.at)})", where, mend) from error


class _Wrong(Exception):
    def __init__(self, what: str, at: int) -> None:
        super().__init__(what)
        self.at = at


class _Parser:
    """A cursor over the text; every method leaves it behind what it took."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def place(self, at: int) -> str:
        return f"line {self.text.count(chr(10), 0, at) + 1}, column {at - self.text.rfind(chr(10), 0, at)}"

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        """Whether ``pattern`` is next; goes behind it."""
        match = pattern.match(self.text, self.at)
        if match:
            self.at = match.end()
        return match is not None

    def _next(self) -> str:
        return self.text[self.at : self.at + 1]

    def _expect(self, mark: str, what: str) -> None:
        if not self.text.startswith(mark, self.at):
            raise _Wrong(f"expected {what}", self.at)
        self.at += len(mark)

    # Statements

    def document(self) -> Table:
        root = current = _Node("header", 0)
        scope = depth = 0
        while True:
            plain = _PLAIN_STATEMENT.match(self.text, self.at)
            if plain and plain[1] not in current.values:
                value = plain[2][1:-1] if plain[2] else _plain_table(plain[3])
                if value is not None:
                    current.values[plain[1]] = value
                    self.at = plain.end()
                    continue
            array = _ARRAY_STATEMENT.match(self.text, self.at)
            if array and array[1] not in current.values:
                self.at = array.end()
                current.values[array[1]] = self._array(depth + 1)
                self._line_end()
                continue
            self._skip(_GAP)
            if self.at == len(self.text):
                return root.values
            if self._next() == "[":
                scope += 1
                current, depth = self._header(root, scope)
            else:
                self._pair(current, scope, depth)
            self._line_end()

    def _line_end(self) -> None:
        if not self._skip(_LINE_END):
            raise _Wrong("expected the end of the line", self.at)

    def _header(self, root: _Node, scope: int) -> tuple[_Node, int]:
        start = self.at
        array = self.text.startswith("[[", start)
        self.at += 2 if array else 1
        self._skip(_SPACE)
        keys = self._key(0)
        self._skip(_SPACE)
        self._expect("]]" if array else "]", f"{']]' if array else ']'} after the table's name")
        node = root
        for key in keys[:-1]:
            node = self._below(node, key, "implied", scope, start)
        last = keys[-1]
        found = node.children.get(last)
        if found is None:
            if last in node.values:
                raise _Wrong(f"{_shown(keys)} is given twice", start)
            found = node.children[last] = _Node("array" if array else "header", scope)
            if array:
                node.values[last] = found.items
                found.append()
            else:
                node.values[last] = found.values
        elif array and found.kind == "array":
            found.append()
        elif not array and found.kind == "implied":
            found.kind = "header"
        else:
            raise _Wrong(f"{_shown(keys)} is given twice", start)
        return found, len(keys)

    def _below(self, node: _Node, key: str, kind: str, scope: int, at: int) -> _Node:
        """The table ``key`` in ``node``, made when there is none."""
        found = node.children.get(key)
        if found is None:
            if key in node.values:
                raise _Wrong(f"{_shown([key])} is a value already, and no table that can be added to", at)
            found = node.children[key] = _Node(kind, scope)
            node.values[key] = found.values
        return found

    def _pair(self, node: _Node, scope: int, depth: int) -> None:
        """``key.key = value`` into ``node``."""
        start = self.at
        keys = self._key(depth)
        if not self._skip(_EQUALS):
            raise _Wrong("expected = after the key", self.at)
        for key in keys[:-1]:
            node = self._below(node, key, "dotted", scope, start)
            if node.kind == "implied":
                node.kind, node.scope = "dotted", scope
            elif node.kind != "dotted" or node.scope != scope:
                raise _Wrong(f"{_shown([key])} is a table with a header of its own already", start)
        if keys[-1] in node.values:
            raise _Wrong(f"{_shown(keys)} is given twice", start)
        node.values[keys[-1]] = self._value(depth + len(keys))

    def _key(self, depth: int) -> list[str]:
        keys = []
        while True:
            bare = _BARE_KEY.match(self.text, self.at)
            if bare:
                keys.append(bare[0])
                self.at = bare.end()
            elif self._next() in ('"', "'"):
                keys.append(self._line_string())
            else:
                raise _Wrong("expected a key", self.at)
            if depth + len(keys) > MAX_DEPTH:
                raise _Wrong("is nested too deeply", self.at)
            if not self._skip(_DOT):
                return keys

    # Values

    def _value(self, depth: int) -> t.Any:
        if depth > MAX_DEPTH:
            raise _Wrong("is nested too deeply", self.at)
        mark = self._next()
        if mark in ('"', "'") and mark:
            return self._long_string(mark) if self.text.startswith(mark * 3, self.at) else self._line_string()
        if mark == "{":
            return self._inline_table(depth)
        if mark == "[":
            return self._array(depth)
        return self._scalar()

    def _array(self, depth: int) -> list[t.Any]:
        values: list[t.Any] = []
        self.at += 1
        while True:
            plain = _PLAIN_ITEM.match(self.text, self.at) if depth + 1 < MAX_DEPTH else None
            table = _plain_table(plain[1]) if plain else None
            if plain and table is not None:
                values.append(table)
                self.at = plain.end()
                continue
            self._skip(_GAP)
            if self._next() == "]":
                break
            values.append(self._value(depth + 1))
            self._skip(_GAP)
            if self._next() != ",":
                break
            self.at += 1
        self._expect("]", "] or , in an array")
        return values

    def _inline_table(self, depth: int) -> Table:
        self.at += 1
        node = _Node("header", 0)
        self._skip(_SPACE)
        if self._next() != "}":
            self._pair(node, 0, depth)
            while self._skip(_COMMA):
                self._pair(node, 0, depth)
            self._skip(_SPACE)
        self._expect("}", "} or , in an inline table")
        return node.values

    def _line_string(self) -> str:
        start = self.at
        match = (_BASIC if self._next() == '"' else _LITERAL).match(self.text, start)
        if not match:
            raise _Wrong("a string does not end on its line, or holds a control character", start)
        self.at = match.end()
        return match[1] if match[0][0] == "'" or "\\" not in match[1] else self._unescaped(match[1], start + 1)

    def _unescaped(self, text: str, start: int) -> str:
        def replaced(match: re.Match[str]) -> str:
            code = match[2] or match[3]
            number = int(code, 16) if code else 0
            if not (match[1] or code) or 0xD800 <= number <= 0xDFFF or number > 0x10FFFF:
                raise _Wrong("an escape in a string is not one of TOML's", start + match.start())
            return _ESCAPED[match[1]] if match[1] else chr(number)

        return _ESCAPE.sub(replaced, text)

    def _long_string(self, mark: str) -> str:
        start = self.at
        self.at += 4 if self.text.startswith("\n", self.at + 3) else 3
        parts = []
        while True:
            match = _TEXT[mark].match(self.text, self.at)
            if match:
                parts.append(match[0])
                self.at = match.end()
            quotes = _QUOTES[mark].match(self.text, self.at)
            if quotes:
                # Two quotes more may belong to the text; what is more than that does not belong to the string.
                count = min(len(quotes[0]), 5)
                self.at += count
                if count >= 3:
                    return "".join(parts) + mark * (count - 3)
                parts.append(quotes[0])
            elif mark == '"' and self._next() == "\\":
                if not self._skip(_CONTINUED):
                    escape = _ESCAPE.match(self.text, self.at)
                    parts.append(self._unescaped(escape[0] if escape else "\\", self.at))
                    self.at = escape.end() if escape else self.at
            else:
                raise _Wrong("a string does not end, or holds a control character", start)

    def _scalar(self) -> t.Any:
        start = self.at
        match = _SCALAR.match(self.text, start)
        word = match[0] if match else ""
        self.at += len(word)
        if word in ("true", "false"):
            return word == "true"
        if _MOMENT.fullmatch(word):
            return self._moment(word, start)
        if len(word) > _MAX_NUMBER:
            raise _Wrong("a number is too long", start)
        if _DECIMAL.fullmatch(word) or _PREFIXED.fullmatch(word):
            number = int(word, 10 if word[:2] not in ("0x", "0o", "0b") else 0)
            if not -(2**63) <= number < 2**63:
                raise _Wrong("an integer does not fit 64 bits", start)
            return number
        if _FLOAT.fullmatch(word):
            return float(word)
        raise _Wrong("expected a value", start)

    def _moment(self, word: str, start: int) -> str:
        match = _MOMENT.fullmatch(word)
        if match and match[1]:
            try:
                datetime.date(int(match[1]), int(match[2]), int(match[3]))
            except ValueError as error:
                raise _Wrong("a date is none of the calendar", start) from error
        return word


def _plain_table(text: str) -> Table | None:
    """The values of a plain inline table; ``None`` when it gives a key twice."""
    pairs = _PLAIN_PAIR.findall(text)
    values = {key: text[1:-1] if text else int(number) for key, text, number in pairs}
    return values if len(values) == len(pairs) else None


def _shown(keys: t.Sequence[str]) -> str:
    name = ".".join(keys)[:200]
    return f'"{name}"' if name.isprintable() else repr(name)
