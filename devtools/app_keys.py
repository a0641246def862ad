# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of ``docs/apps.md``: every key of an app, read from the schema that also checks it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.app_model.declaration import APP
from ansible_collections.evenkeel.apphost.plugins.module_utils.schema import (
    Derived,
    Field,
    Kind,
    ListOf,
    MapOf,
    OneOf,
    Record,
)

from devtools.markdown import code, table

HEAD = ("Key", "Type", "Unit", "Default", "Meaning")


def text() -> str:
    """One table for the app, then one for each mapping in it, in the order of the declaration."""
    return "\n\n".join(_sections(_Place("An app", APP)))


@dataclass(frozen=True)
class _Place:
    """A record and where it is: ``path`` is empty for the app itself; ``tag`` chose it among several."""

    title: str
    record: Record
    path: str = ""
    tag: tuple[str, str] | None = None

    @property
    def link(self) -> str:
        """A link to its heading, by the anchor that Markdown viewers make of one."""
        anchor = re.sub(r"[^\w -]", "", self.title.lower()).replace(" ", "-")
        return f"[{self.title}](#{anchor})"


def _sections(place: _Place) -> Iterator[str]:
    """The heading and table of a record, then the sections of the records below it."""
    rows = [_tag_row(*place.tag)] if place.tag else []
    below: list[_Place] = []
    for name, entry in place.record.fields.items():
        path = f"{place.path}.{name}" if place.path else name
        places = list(_below(path, entry.kind))
        rows.append(_row(name, entry, places))
        below += places
    yield f"### {place.title}\n\n{table(HEAD, rows)}"
    for deeper in below:
        yield from _sections(deeper)


def _row(name: str, entry: Field, below: list[_Place]) -> tuple[str, ...]:
    words = entry.kind.words()
    if below:
        words += f": {' or '.join(place.link for place in below)}"
    return f"`{name}`", words, entry.unit, _default(entry), entry.doc


def _tag_row(key: str, word: str) -> tuple[str, ...]:
    return f"`{key}`", f"`{word}`", "", "**required**", "Which of the kinds this is."


def _default(entry: Field) -> str:
    if entry.required:
        return "**required**"
    if isinstance(entry.kind, Derived):
        return "worked out, never written"
    if isinstance(entry.kind, Record) and entry.default == {}:
        return "its defaults"
    return entry.default_words or ("" if entry.default is None else code(entry.default))


def _below(path: str, kind: Kind) -> Iterator[_Place]:
    """The records that a key leads to."""
    if isinstance(kind, Record):
        yield _Place(f"`{path}`", kind, path)
    elif isinstance(kind, ListOf):
        yield from _below(f"{path}[]", kind.item)
    elif isinstance(kind, MapOf):
        yield from _below(f"{path}.<name>", kind.value)
    elif isinstance(kind, OneOf):
        for word, record in kind.records.items():
            yield _Place(f"`{path}` of {kind.tag} `{word}`", record, path, (kind.tag, word))
