# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which folders of a project are workspaces of it: patterns, and what they match in a list or on disk.

A pattern is a path relative to the project. ``*``, ``?`` and ``[…]`` stand for a part of a folder's name, ``**`` for
any number of folders, ``{a,b}`` for either; ``!`` in front takes folders out. Hidden folders and ``node_modules`` are
never workspaces, symbolic links are not followed, and no pattern leads out of the project.
"""

from __future__ import annotations

import fnmatch
import functools
import os
import re
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError

#: Folders looked at, patterns after ``{a,b}`` is written out, characters of one. Nothing honest comes near them.
MAX_FOLDERS = 50_000
MAX_PATTERNS = 1000
MAX_LENGTH = 500

Parts = tuple[str, ...]


def matches(patterns: t.Sequence[str], folder: str, where: str | None = None) -> bool:
    """Whether ``folder`` (relative, ``packages/a``) is one of the workspaces that ``patterns`` describe.

    Raises ApphostError for a pattern that leads out of the project or is not understood; ``where`` says whose it is.
    """
    return _compiled(tuple(patterns), where).match(tuple(folder.split("/")))


def find(project: str, patterns: t.Sequence[str], manifest: str) -> list[str]:
    """The workspaces below the folder ``project`` that have a file called ``manifest``; relative and sorted.

    Raises ApphostError for a pattern that leads out of the project, and for more folders than anybody has.
    """
    chosen = _compiled(tuple(patterns), project)
    found: list[str] = []
    looked_at = 0
    todo: list[Parts] = [()]
    while todo:
        parts = todo.pop()
        looked_at += 1
        if looked_at > MAX_FOLDERS:
            # A pattern such as ** makes every folder of the project one to look into.
            do = "Write narrower patterns of workspaces."
            raise ApphostError(f"has more than {MAX_FOLDERS} folders to look for workspaces in", project, do)
        if chosen.match(parts) and os.path.lexists(os.path.join(project, *parts, manifest)):
            found.append("/".join(parts))
        if chosen.may_match_below(parts):
            with os.scandir(os.path.join(project, *parts)) as entries:
                below = [(*parts, entry.name) for entry in entries if entry.is_dir(follow_symlinks=False)]
            todo += [inner for inner in below if chosen.match(inner) or chosen.may_match_below(inner)]
    return sorted(found)


class _Patterns:
    """Patterns, ready to be matched."""

    def __init__(self, patterns: t.Sequence[str], where: str | None) -> None:
        self.taken: list[Parts] = []
        self.left_out: list[Parts] = []
        for pattern in patterns:
            text = pattern.lstrip("!")
            negated = (len(pattern) - len(text)) % 2 == 1
            for alternative in _alternatives(text, where):
                parts = _parts(alternative, where)
                if negated:
                    self.left_out.append(parts)
                else:
                    # As in npm: what a later pattern names again is no longer left out.
                    self.left_out = [out for out in self.left_out if not _match(out, parts)]
                    self.taken.append(parts)

    def match(self, folder: Parts) -> bool:
        """Whether the folder is a workspace."""
        if not folder or _never(folder):
            return False
        return any(_match(parts, folder) for parts in self.taken) and not any(
            _match(parts, folder) for parts in self.left_out
        )

    def may_match_below(self, folder: Parts) -> bool:
        """Whether a folder below this one could be a workspace."""
        if _never(folder):
            return False
        return any(_match_start(parts, folder) for parts in self.taken)


def _never(folder: Parts) -> bool:
    return any(part == "node_modules" or part[:1] in (".", "") for part in folder)


@functools.lru_cache(maxsize=16)
def _compiled(patterns: Parts, where: str | None) -> _Patterns:
    return _Patterns(patterns, where)


def _parts(pattern: str, where: str | None) -> Parts:
    if len(pattern) > MAX_LENGTH or "\\" in pattern or not pattern.isprintable():
        # The pattern has a backslash or a control character, or hundreds of characters.
        what = f"has a workspace pattern that is not understood: {pattern[:100]!r}"
        raise ApphostError(what, where, "Write it with / and *.")
    parts = tuple(part for part in pattern.split("/") if part not in ("", "."))
    if ".." in parts:
        # The pattern has a part that is two dots: such a workspace would not be in the artifact.
        what = f"has a workspace pattern that leads out of the project: {pattern[:100]!r}"
        raise ApphostError(what, where, "Keep workspaces below the folder of the lockfile.")
    return parts


def _alternatives(pattern: str, where: str | None) -> list[str]:
    """``a/{b,c}`` as ``a/b`` and ``a/c``."""
    done: list[str] = []
    todo = [pattern]
    while todo:
        text = todo.pop()
        braces = re.search(r"\{([^{}]*,[^{}]*)\}", text)
        if braces is None:
            done.append(text)
        else:
            todo += [text[: braces.start()] + word + text[braces.end() :] for word in braces[1].split(",")]
        if len(done) + len(todo) > MAX_PATTERNS:
            # Several {a,b} in one pattern multiply.
            what = f"has a workspace pattern that stands for more than {MAX_PATTERNS}: {pattern[:100]!r}"
            raise ApphostError(what, where, "Write fewer of {a,b}.")
    return done


def _match(pattern: Parts, folder: Parts) -> bool:
    """Whether the pattern matches the whole path."""
    return any(all(part == "**" for part in pattern[position:]) for position in _positions(pattern, folder))


def _match_start(pattern: Parts, folder: Parts) -> bool:
    """Whether the pattern could match something below the path."""
    return any(position < len(pattern) for position in _positions(pattern, folder))


def _positions(pattern: Parts, folder: Parts) -> set[int]:
    """Where in the pattern one may be after the parts of ``folder``."""
    positions = {0}
    for part in folder:
        positions = _step(pattern, positions, part)
    return positions


def _step(pattern: Parts, positions: set[int], part: str) -> set[int]:
    """Where in the pattern one may be after ``part``, having been at ``positions`` before it."""
    after: set[int] = set()
    for start in positions:
        position = start
        while position < len(pattern) and pattern[position] == "**":
            after.add(position)
            position += 1
        if position < len(pattern) and fnmatch.fnmatchcase(part, pattern[position]):
            after.add(position + 1)
    return after
