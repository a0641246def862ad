# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``.apphostignore``: which files of a source are no part of the artifact.

The file lies at the top of the source and is written like a ``.gitignore``:

* a line is a pattern; blank lines and lines that begin with ``#`` mean nothing; a backslash takes the special
  meaning from the next character; blanks at the end of a line do not count;
* ``*`` is any run of characters but ``/``, ``?`` is one, ``[a-z]`` one of a set, ``[!a-z]`` one that is not in it;
* ``**/`` is any number of folders, ``/**`` everything below;
* a pattern with a ``/`` at its beginning or in its middle is meant from the top; any other holds at every depth;
* a ``/`` at the end: folders only;
* ``!`` takes back what an earlier pattern left out. The last pattern that fits decides. What lies in a folder that
  is left out cannot be taken back.

Not supported, other than in git: ignore files in folders below, and named sets such as ``[[:alpha:]]``.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError

IGNORE_FILE = ".apphostignore"

# Never part of an artifact, at any depth, whatever the patterns say: the repository, dependencies (they are
# installed on the host from the lockfile), and the ignore file itself, whose comments decide nothing.
ALWAYS_LEFT_OUT = frozenset({".git", "node_modules", IGNORE_FILE})


@dataclass(frozen=True)
class _Rule:
    fits: re.Pattern[str]
    folders_only: bool
    leaves_out: bool


class IgnoreRules:
    """The rules of one ignore file. ``text`` is its content, ``where`` its name in errors."""

    def __init__(self, text: str = "", where: str = IGNORE_FILE) -> None:
        numbered = enumerate(text.split("\n"), start=1)
        rules = [_rule(line, f"{where} line {number}") for number, line in numbered]
        self._latest_first = [rule for rule in reversed(rules) if rule is not None]

    def leave_out(self, path: str, is_folder: bool) -> bool:
        """Whether ``path`` (from the top, with ``/``) is left out. The caller does not look into such a folder."""
        if path.rpartition("/")[2] in ALWAYS_LEFT_OUT:
            return True
        for rule in self._latest_first:
            if (is_folder or not rule.folders_only) and rule.fits.fullmatch(path):
                return rule.leaves_out
        return False

    def leave_out_path(self, path: str) -> bool:
        """Whether the file ``path`` is left out, by itself or with a folder it lies in."""
        parts = path.split("/")
        folders = ("/".join(parts[:depth]) for depth in range(1, len(parts)))
        return any(self.leave_out(folder, True) for folder in folders) or self.leave_out(path, False)


def _rule(line: str, where: str) -> _Rule | None:
    pattern = _without_blanks_at_the_end(line.rstrip("\r"))
    if not pattern or pattern.startswith("#"):
        return None
    leaves_out = not pattern.startswith("!")
    pattern = pattern if leaves_out else pattern[1:]
    folders_only = pattern.endswith("/")
    pattern = pattern.rstrip("/") if folders_only else pattern
    if not pattern:
        raise ApphostError(f"{line!r} names nothing", where)
    at_every_depth = "" if "/" in pattern else "(?:.*/)?"
    expression = "".join(_translate(pattern.lstrip("/"), where))
    return _Rule(re.compile(at_every_depth + expression, re.DOTALL), folders_only, leaves_out)


def _without_blanks_at_the_end(line: str) -> str:
    """The line up to its last character that is no blank, or a blank kept by a backslash."""
    kept = line.rstrip(" \t")
    backslashes = len(kept) - len(kept.rstrip("\\"))
    return line[: len(kept) + backslashes % 2]


_PARTS = re.compile(
    r"""
    (?P<down>(?:(?<=/)|^)\*\*/)      # **/ at the beginning or after a slash: any number of folders
    | (?P<below>(?<=/)\*\*$)         # /** at the end: everything below
    | (?P<run>\*+)
    | (?P<one>\?)
    | (?P<set>\[[!^]?\]?(?:\\.|[^\]\\])*\])
    | \\(?P<kept>.)
    | (?P<plain>[^\\[])
    """,
    re.VERBOSE | re.DOTALL,
)


def _translate(pattern: str, where: str) -> t.Iterator[str]:
    """The pieces of the regular expression for a glob."""
    at = 0
    while at < len(pattern):
        part = _PARTS.match(pattern, at)
        if part is None:
            what = "a [ without its ]" if pattern[at] == "[" else "a backslash at the end"
            raise ApphostError(f"{pattern!r} has {what}", where)
        at = part.end()
        kind, text = t.cast(str, part.lastgroup), part[t.cast(str, part.lastgroup)]
        if kind == "set":
            yield _translate_set(text[1:-1], pattern, where)
        else:
            yield {"down": "(?:.*/)?", "below": ".+", "run": "[^/]*", "one": "[^/]"}.get(kind) or re.escape(text)


def _translate_set(inside: str, pattern: str, where: str) -> str:
    negated = inside[:1] in ("!", "^")
    raw = inside[1:] if negated else inside
    members = re.sub(r"\\(.)|([\[&~|^\]])", lambda match: "\\" + (match[1] or match[2]), raw)
    try:
        re.compile(f"[{members}]")
    except re.error as error:
        raise ApphostError(f"{pattern!r} has a set that is none: {error.msg}", where) from None
    return f"(?!/)[{'^' if negated else ''}{members}]"
