# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a file in the syntax of yarn 1, which looks like YAML and is none.

Read is what yarn 1 writes, and nothing else: yarn itself forgives a lot (keys given twice, unresolved merges, YAML),
and then installs something that no reader of the file expects.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError

# A plain string is one that yarn writes without quotes; a quoted one has no escapes: what needs them is in no name,
# range or address.
_PLAIN = r"(?!true|false)[A-Za-z][!#-+\--9;-Z^-~]*"
_KEY = re.compile(rf'"([^"\\\x00-\x1f]+)"|({_PLAIN})')
_PAIR = re.compile(rf'(?:{_KEY.pattern}) (?:"([^"\\\x00-\x1f]*)"|({_PLAIN}))')
_TABLE = re.compile(rf"(?:{_KEY.pattern}):")
_VERSION = re.compile(r"#\s*yarn lockfile v(\d{1,9})\s*")
_MERGE = ("<<<<<<<", "|||||||", "=======", ">>>>>>>")


@dataclass
class Entry:
    """One block of the file: its keys, its plain values, and its tables of plain values."""

    line: int
    keys: list[str]
    values: dict[str, str] = field(default_factory=dict)
    tables: dict[str, dict[str, str]] = field(default_factory=dict)


def parse_entries(content: bytes, where: str, mend: str) -> tuple[int, list[Entry]]:
    """The format's version and the entries of a lockfile of yarn 1, in the file's order.

    ``where`` names the file in errors, ``mend`` says what to do about them. Raises ApphostError.
    """
    if not content.strip():
        raise ApphostError("is empty", where, mend)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ApphostError(f"is not UTF-8 (byte {error.start})", where, mend) from error
    reader = _Reader(where, mend)
    # Not splitlines(): that also ends a line at characters which are part of a string for yarn.
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        reader.read(number, line)
    reader.end_entry()
    if reader.version is None:
        raise ApphostError('has no line "# yarn lockfile v1"', where, mend)
    return reader.version, reader.entries


class _Reader:
    """Takes the file line by line; the indentation decides what a line is."""

    def __init__(self, where: str, mend: str) -> None:
        self.where = where
        self.mend = mend
        self.version: int | None = None
        self.entries: list[Entry] = []
        self.keys: dict[str, int] = {}
        self.number = 0
        self.entry: Entry | None = None
        self.table: dict[str, str] | None = None

    def error(self, what: str) -> ApphostError:
        return ApphostError(f"{what} (line {self.number})", self.where, self.mend)

    def read(self, number: int, line: str) -> None:
        self.number = number
        if line.startswith("    "):
            self._pair_of_table(line)
        elif line.startswith("  "):
            self._value_or_table(line)
        elif not line.strip(" "):
            self.end_entry()
        elif line[0] == "#":
            self._comment(line)
        else:
            self._keys(line)

    def end_entry(self) -> None:
        """A blank line, or the end of the file."""
        if self.entry is not None and not (self.entry.values or self.entry.tables):
            raise self.error(f'the entry "{self.entry.keys[0][:200]}" says nothing')
        self._end_table()
        self.entry = None

    def _end_table(self) -> None:
        if self.table is not None and not self.table:
            raise self.error("an object has nothing in it")
        self.table = None

    def _comment(self, line: str) -> None:
        match = _VERSION.fullmatch(line)
        if match:
            self.version = int(match[1])

    def _keys(self, line: str) -> None:
        if line.startswith(_MERGE):
            raise self.error("holds the marks of an unresolved merge")
        if line[-1] != ":":
            raise self._not_understood(line)
        self.end_entry()
        self.entry = Entry(self.number, [])
        position = 0
        while True:
            match = _KEY.match(line, position)
            if match is None:
                raise self._not_understood(line)
            key = match[1] or match[2]
            if key in self.keys:
                raise self.error(f'has "{key[:200]}" twice, in line {self.keys[key]} too')
            self.keys[key] = self.number
            self.entry.keys.append(key)
            position = match.end()
            if position == len(line) - 1:
                break
            if not line.startswith(", ", position):
                raise self._not_understood(line)
            position += 2
        self.entries.append(self.entry)

    def _value_or_table(self, line: str) -> None:
        self._end_table()
        match = _PAIR.fullmatch(line, 2) or _TABLE.fullmatch(line, 2)
        if match is None or self.entry is None:
            raise self._not_understood(line)
        key = match[1] or match[2]
        if key in self.entry.values or key in self.entry.tables:
            raise self.error(f'has the key "{key[:200]}" twice in one entry')
        if match.re is _PAIR:
            self.entry.values[key] = match[3] or match[4] or ""
        else:
            self.table = self.entry.tables[key] = {}

    def _pair_of_table(self, line: str) -> None:
        match = _PAIR.fullmatch(line, 4)
        if match is None or self.table is None:
            raise self._not_understood(line)
        key = match[1] or match[2]
        if key in self.table:
            raise self.error(f'has the key "{key[:200]}" twice in one object')
        self.table[key] = match[3] or match[4] or ""

    def _not_understood(self, line: str) -> ApphostError:
        words = line.strip()[:80]
        if line.count('"') % 2:
            return self.error(f"a quoted string does not end: {words}")
        if line.startswith("      "):
            return self.error(f"is nested deeper than yarn nests: {words}")
        return self.error(f"is no line of a yarn.lock: {words}")
