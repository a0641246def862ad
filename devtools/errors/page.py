# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``docs/installing-errors.md``: every message of an installation that fails, with its cause and cure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from devtools.errors.places import Kind, Place, Places
from devtools.errors.sections import SECTIONS, Section, section_of
from devtools.markdown import table

_HEAD = """\
<!-- Written by ./dev docs from the code that makes these messages -->

# Errors of lockfile-pinned installs

Every message about dependencies of `evenkeel.apphost.lockfile_install`, and of staging a release. It reads
`<where>: <what>. <what to do>`; below is the *what*, with `<placeholders>` for what is only known when it happens, so
search for the words around them. One that begins with `…` is a reason, which follows the words of a longer message.

Several problems of one kind come in one message, separated by semicolons; the first five are named. Until a new tree
is complete nothing in the app's folder is changed, so after each of these errors the app has the dependencies that it
had before. What the operating system says (a disk that is full, a folder that may not be written to) comes as it is,
with the path."""


def page(root: Path) -> tuple[str, list[str]]:
    """The page for the checkout ``root``, and what is wrong with the code that it is made from."""
    places = Places.of(root)
    problems = [str(mistake) for mistake in places.mistakes]
    by_section: dict[Section, list[Place]] = {section: [] for section in SECTIONS}
    for place in sorted(places.found, key=lambda place: (place.file, place.first)):
        section = section_of(place)
        if section is None:
            problems.append(f"{place}: say in devtools/errors/sections.py what it is about")
        elif not (place.cause or section.cause):
            problems.append(f"{place}: say in a comment above it when it happens")
        elif not (place.cures or section.cure):
            problems.append(f"{place}: say what to do about it")
        else:
            by_section[section].append(place)
    parts = [_HEAD, *(part for section, found in by_section.items() if found for part in _section(section, found))]
    return "\n\n".join(parts) + "\n", problems


def _section(section: Section, places: list[Place]) -> Iterator[str]:
    yield f"## {section.title}"
    plain: dict[str, None] = {}
    special: dict[tuple[str, str], dict[str, None]] = {}
    for place in places:
        cause, cure = place.cause or section.cause or "", " ".join(place.cures or ()) or section.cure
        group = plain if (cause, cure) == (section.cause, section.cure) else special.setdefault((cause, cure), {})
        group.update(dict.fromkeys(_messages(place)))
    yield section.about
    if plain:
        yield f"**Cause:** {section.cause}"
        yield f"**What to do:** {section.cure}"
        yield "\n".join(f"- {message}" for message in plain)
    if special:
        rows = (("<br>".join(group), _escaped(cause), _escaped(cure)) for (cause, cure), group in special.items())
        yield table(("Message", "Cause", "What to do"), rows)


def _messages(place: Place) -> list[str]:
    before = "… " if place.kind is Kind.REASON else ""
    fence = "``" if any("`" in text for text in place.texts) else "`"
    return [f"{fence}{before}{text}{fence}" for text in place.texts]


def _escaped(text: str) -> str:
    """Text in which what looks like a tag is none; what is between backticks is safe."""
    parts = text.split("`")
    return "`".join(part.replace("<", "&lt;") if index % 2 == 0 else part for index, part in enumerate(parts))
