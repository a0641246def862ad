# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Maps and lists in YAML's flow style: ``{integrity: sha512-…, tarball: …}``, ``[x64, arm64]``, JSON."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.yamlscalar import check_plain, quoted, typed

#: Levels of nesting; real files have less than ten.
MAX_DEPTH = 50

#: A plain word: it may hold spaces, colons and number signs where these do not end it.
_PLAIN = re.compile(r"[^,\[\]{}:#]*(?:(?::(?![\s,\[\]{}]|$)|(?<=\S)#)[^,\[\]{}:#]*)*")
_MARK = re.compile(r"(---|\.\.\.)(\s|$)")

# What is expected next in a map or list.
_KEY, _COLON, _VALUE, _COMMA = range(4)


class Cursor:
    """Where in the lines of a file reading is."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.number = 0


class _Open:
    """A map or list whose bracket is not closed yet."""

    __slots__ = ("items", "key", "state")

    def __init__(self, items: t.Any) -> None:
        self.items = items
        self.key = ""
        self.state = _KEY if isinstance(items, dict) else _VALUE

    def put(self, value: t.Any) -> None:
        if isinstance(self.items, dict):
            self.items[self.key] = value
        else:
            self.items.append(value)
        self.state = _COMMA

    def begin_key(self, key: str) -> None:
        check_key(self.items, key)
        self.key, self.items[key] = key, None
        self.state = _COLON

    def separate(self) -> None:
        """Handle a comma."""
        if self.state == _KEY or (self.state == _VALUE and isinstance(self.items, list)):
            raise ValueError("there is nothing in front of a comma")
        self.state = _KEY if isinstance(self.items, dict) else _VALUE


def check_key(items: t.Container[str], key: str) -> None:
    """Raise ``ValueError`` for a key that the map has, or must not have."""
    if key in items:
        raise ValueError(f'the key "{key[:200]}" stands there twice')
    if key == "<<":
        raise ValueError("there is a merge key")


def read_flow(cursor: Cursor, text: str, depth: int, strings: bool) -> t.Any:
    """The map or list that begins with ``text``, the end of the cursor's line, and may go on for several lines.

    ``depth`` is how deep it is nested itself. The cursor is left at its last line. Raises ``ValueError``.
    """
    stack: list[_Open] = []
    whole: t.Any = None
    position = 0
    while True:
        position = _skip_blanks(text, position)
        if position == len(text):
            cursor.number += 1
            if cursor.number >= len(cursor.lines) or _MARK.match(cursor.lines[cursor.number]):
                raise ValueError("a bracket is not closed")
            text, position = cursor.lines[cursor.number], 0
            continue
        sign = text[position]
        if sign in "[{":
            if depth + len(stack) >= MAX_DEPTH:
                raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")
            items: t.Any = {} if sign == "{" else []
            if not stack:
                whole = items
            elif stack[-1].state == _VALUE:
                stack[-1].put(items)
            else:
                raise ValueError("a map or list stands where a key or a comma is expected")
            stack.append(_Open(items))
            position += 1
            continue
        frame = stack[-1]
        if sign in "]}":
            if isinstance(frame.items, dict) != (sign == "}"):
                raise ValueError("the brackets do not match")
            stack.pop()
            position += 1
            if not stack:
                break
        elif sign == ",":
            frame.separate()
            position += 1
        elif sign == ":" and frame.state == _COLON:
            frame.state = _VALUE
            position += 1
        elif frame.state in (_COLON, _COMMA):
            raise ValueError("a comma is missing")
        else:
            position = _read_scalar(frame, text, position, strings)
    if _skip_blanks(text, position) != len(text):
        raise ValueError("something follows a closing bracket")
    return whole


def _skip_blanks(text: str, position: int) -> int:
    """Where the next sign is; the end of the text when there is none but a comment."""
    while position < len(text) and text[position] in " \t":
        position += 1
    comment = position < len(text) and text[position] == "#" and (position == 0 or text[position - 1] in " \t")
    return len(text) if comment else position


def _read_scalar(frame: _Open, text: str, start: int, strings: bool) -> int:
    """Read a word as a key or a value; returns where it ends."""
    if text[start] in "'\"":
        word, end = quoted(text, start)
        value: t.Any = word
    else:
        match = _PLAIN.match(text, start)
        word = match[0].rstrip(" \t") if match else ""
        check_plain(word)
        end = start + len(word)
        value = word if strings or frame.state == _KEY else typed(word)
    if frame.state == _KEY:
        frame.begin_key(word)
    else:
        frame.put(value)
    return end
