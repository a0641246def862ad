# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the YAML that package managers of Node.js write, on hosts without PyYAML, maybe from somebody with bad intent.

Understood are maps and lists in blocks and in flow style, plain and quoted text, blocks of text, comments, and several
documents in a file. Refused is what none of these managers writes and what attacks are made of: anchors, aliases, tags,
merge keys, keys given twice, absurd nesting; also a text over several lines that is no block. The time taken grows with
the length of the file and no faster.
"""

from __future__ import annotations

import re
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.yamlflow import (
    MAX_DEPTH,
    Cursor,
    check_key,
    read_flow,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.yamlscalar import (
    block_text,
    check_plain,
    quoted,
    typed,
)

_UNPRINTABLE = re.compile("[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NO_VALUE: t.Any = object()


def parse_documents(content: bytes, where: str, mend: str, strings: bool = False) -> list[t.Any]:
    """The values of the documents in ``content``: dicts (keys are text), lists, text, numbers, truth values, ``None``.

    ``where`` names the file and ``mend`` says what to do about a broken one. ``strings`` leaves plain words as the text
    they are, as yarn does. Raises ApphostError, with the line, for what is not understood.
    """
    if not content.strip():
        raise ApphostError("is empty", where, mend)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ApphostError(f"is not UTF-8 (byte {error.start})", where, mend) from error
    text = text.replace("\r\n", "\n")
    odd = _UNPRINTABLE.search(text)
    if odd:
        line = text.count("\n", 0, odd.start()) + 1
        raise ApphostError(f"has a character that YAML does not allow: {odd[0]!r} (line {line})", where, mend)
    reader = _Reader(text.split("\n"), strings)
    try:
        return reader.documents()
    except ValueError as error:
        if re.search(r"^<<<<<<< ", text, re.MULTILINE):
            raise ApphostError("holds the marks of an unresolved merge", where, mend) from error
        line = reader.cursor.number + 1
        raise ApphostError(f"is no YAML that is understood: {error} (line {line})", where, mend) from error


def parse_mapping(content: bytes, where: str, mend: str, strings: bool = False) -> dict[str, t.Any]:
    """The map that is the only document in ``content``; see ``parse_documents``."""
    documents = parse_documents(content, where, mend, strings)
    if len(documents) != 1:
        raise ApphostError(f"has {len(documents)} YAML documents, and one is expected", where, mend)
    if not isinstance(documents[0], dict):
        raise ApphostError("is YAML, but no map of keys and values", where, mend)
    return documents[0]


class _Frame:
    """A map or list that is being read, or the document itself."""

    __slots__ = ("explicit", "indent", "items", "key", "waiting")

    def __init__(self, indent: int, items: t.Any) -> None:
        self.indent = indent
        #: A dict, a list, or what the document is: nothing, until its value is known.
        self.items = items
        self.key = ""
        #: A value may still come, further in.
        self.waiting = False
        #: The key was written with a question mark, and its colon is still to come.
        self.explicit = False

    def put(self, value: t.Any) -> None:
        """Take the value that was waited for."""
        if isinstance(self.items, dict):
            self.items[self.key] = value
        elif isinstance(self.items, list):
            self.items.append(value)
        else:
            self.items = value
        self.waiting = self.explicit = False

    def is_at(self, indent: int, kind: type[t.Any]) -> bool:
        """Whether this is the map or list that goes on at ``indent``."""
        return self.indent == indent and isinstance(self.items, kind)


class _Reader:
    """Goes through the lines once, with the maps and lists that are not at their end in ``stack``."""

    def __init__(self, lines: list[str], strings: bool) -> None:
        self.cursor = Cursor(lines)
        self.strings = strings
        self.stack: list[_Frame] = []

    def documents(self) -> list[t.Any]:
        """The values of all documents."""
        cursor = self.cursor
        found: list[t.Any] = []
        begun = False
        self._begin()
        while cursor.number < len(cursor.lines):
            line = cursor.lines[cursor.number]
            text = line.strip(" ")
            if not text or text[0] == "#":
                pass
            elif line[:3] in ("---", "...") and line[3:4] in ("", " "):
                _check_comment(line[3:])
                if begun or self.stack[0].items is not _NO_VALUE:
                    found.append(self._end())
                    self._begin()
                begun = line[0] == "-"
            else:
                self._line(text, len(line) - len(line.lstrip(" ")))
            cursor.number += 1
        if begun or self.stack[0].items is not _NO_VALUE or not found:
            found.append(self._end())
        return found

    def _begin(self) -> None:
        self.stack = [_Frame(-1, _NO_VALUE)]
        self.stack[0].waiting = True

    def _end(self) -> t.Any:
        while len(self.stack) > 1:
            self._close()
        value = self.stack[0].items
        return None if value is _NO_VALUE else value

    def _close(self) -> _Frame:
        """End the innermost map or list; returns the one around it."""
        frame = self.stack.pop()
        if frame.waiting:
            frame.put(None)
        return self.stack[-1]

    def _line(self, text: str, indent: int) -> None:
        """Read what stands at ``indent`` of a line."""
        frame = self.stack[-1]
        while frame.indent > indent:
            frame = self._close()
        while text[0] in "-:" and (len(text) == 1 or text[1] == " "):
            frame = self._item(frame, indent) if text[0] == "-" else self._colon(frame, indent)
            # What follows the sign is as if it stood further in on a line of its own.
            rest = text[1:].lstrip(" ")
            if not rest or rest[0] == "#":
                return
            indent += len(text) - len(rest)
            text = rest
        if frame.is_at(indent, list):
            # The list had no indentation of its own below its key.
            frame = self._close()
        if text[0] == "?" and text[1:2] in ("", " "):
            self._begin_key(frame, indent, _explicit_key(text[1:].strip(" "))).explicit = True
            return
        key, value = _split(text)
        if key is None:
            if not frame.waiting or frame.explicit or indent <= frame.indent:
                raise ValueError("it is not clear what this belongs to (only blocks of text have several lines)")
            if frame.items is _NO_VALUE and value[0] in "|>":
                raise ValueError("a block of text has no key")
            frame.put(self._value(value, frame.indent))
        else:
            frame = self._begin_key(frame, indent, key)
            if value:
                frame.put(self._value(value, indent))

    def _item(self, frame: _Frame, indent: int) -> _Frame:
        """Begin an item of the list at ``indent``; returns the list."""
        if frame.is_at(indent, list):
            if frame.waiting:
                frame.put(None)
        else:
            # It may stand below its key without being further in.
            frame = self._nest(frame, indent, [])
        frame.waiting = True
        return frame

    def _colon(self, frame: _Frame, indent: int) -> _Frame:
        """The colon of a key that was written with a question mark; returns the map."""
        if not frame.is_at(indent, dict) or not frame.explicit:
            raise ValueError("there is no key in front of the colon")
        frame.explicit = False
        return frame

    def _begin_key(self, frame: _Frame, indent: int, key: str) -> _Frame:
        """Begin an entry of the map at ``indent``; returns the map."""
        if frame.indent != indent or not isinstance(frame.items, dict):
            frame = self._nest(frame, indent, {})
        elif frame.waiting:
            frame.put(None)
        check_key(frame.items, key)
        # Holds the key's place: the order is the file's.
        frame.items[key] = None
        frame.key = key
        frame.waiting = True
        return frame

    def _nest(self, frame: _Frame, indent: int, items: t.Any) -> _Frame:
        """The new map or list that begins at ``indent`` and is the value that ``frame`` waits for."""
        if not frame.waiting or frame.explicit:
            raise ValueError("the indentation does not fit")
        if len(self.stack) >= MAX_DEPTH:
            raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")
        frame.put(items)
        nested = _Frame(indent, items)
        self.stack.append(nested)
        return nested

    def _value(self, text: str, outer: int) -> t.Any:
        """The value that begins with ``text``, which is not empty; ``outer`` is the indentation it belongs to."""
        first = text[0]
        if first in "'\"":
            value, end = quoted(text, 0)
            _check_comment(text[end:])
            return value
        if first in "{[":
            return read_flow(self.cursor, text, len(self.stack), self.strings)
        if first in "|>":
            value, after = block_text(text, self.cursor.lines, self.cursor.number + 1, outer)
            self.cursor.number = after - 1
            return value
        end = text.find(" #")
        word = text if end < 0 else text[:end].rstrip(" ")
        check_plain(word)
        return word if self.strings else typed(word)


def _split(text: str) -> tuple[str | None, str]:
    """The key and the value (maybe ``""``) of ``key: value``; ``None`` and ``text`` when it is no such."""
    first = text[0]
    if first in "[{":
        return None, text
    if first in "'\"":
        key, end = quoted(text, 0)
        rest = text[end:].lstrip(" ")
        if rest[:1] != ":" or rest[1:2] not in ("", " "):
            return None, text
        value = rest[1:].lstrip(" ")
    else:
        key, colon, value = text.partition(": ")
        if " #" in key:
            # The comment begins before the colon.
            key, colon, value = text[: text.index(" #")].rstrip(" "), "", ""
        if not colon:
            if key[-1] != ":" or len(key) == 1:
                return None, text
            key = key[:-1]
        key = key.rstrip(" ")
        check_plain(key)
        value = value.lstrip(" ")
    return key, "" if value[:1] == "#" else value


def _explicit_key(text: str) -> str:
    """The key that stands behind a question mark."""
    if text[:1] in ("'", '"'):
        key, end = quoted(text, 0)
        _check_comment(text[end:])
        return key
    key = text[: text.index(" #")].rstrip(" ") if " #" in text else text
    check_plain(key)
    return key


def _check_comment(text: str) -> None:
    """Raise ``ValueError`` unless what follows a value is nothing or a comment."""
    rest = text.lstrip(" ")
    if rest and (rest[0] != "#" or rest is text):
        raise ValueError("something follows where the line should end")
