# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what the templates write: one small parser a format, strict about the shape.

They are no validators (the programs themselves are, on the host), but an unclosed block, a stray line or an open quote
is an error here as it would be there.
"""

from __future__ import annotations

import re
import shlex
import typing as t
from dataclasses import dataclass, field


class Malformed(AssertionError):
    """The text does not have the shape of its format."""


# -- nginx -----------------------------------------------------------------------------------------------------------

NGINX_TOKEN = re.compile(
    r"""(?P<skip>\s+|\#[^\n]*)
      | (?P<mark>[{};])
      | "(?P<double>(?:[^"\\]|\\.)*)"
      | '(?P<single>(?:[^'\\]|\\.)*)'
      | (?P<word>(?:\$\{\w+\}|\\.|[^\s{};"'])+)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass
class Block:
    """An nginx directive and, when it has one, its block: ``server { … }`` or ``gzip on;``."""

    name: str
    args: list[str] = field(default_factory=list)
    children: list[Block] | None = None

    def select(self, name: str, *args: str) -> list[Block]:
        """The directives of that name directly inside, whose arguments begin with ``args``."""
        return [one for one in self.children or [] if one.name == name and one.args[: len(args)] == list(args)]

    def find(self, name: str, *args: str) -> Block:
        """The only one of them."""
        found = self.select(name, *args)
        assert len(found) == 1, f"{len(found)} times `{' '.join([name, *args])}` in `{self.name} {' '.join(self.args)}`"
        return found[0]

    def all(self, name: str) -> list[list[str]]:
        """The arguments of every directive of that name directly inside."""
        return [one.args for one in self.select(name)]

    def one(self, name: str) -> str:
        """The arguments of the only directive of that name, as text."""
        return " ".join(self.find(name).args)


def nginx(text: str) -> Block:
    """An nginx configuration as a tree whose root is called ``main``."""
    root = Block("main", children=[])
    stack, words, at = [root], [], 0
    while at < len(text):
        match = NGINX_TOKEN.match(text, at)
        if match is None:
            raise Malformed(f"nginx: cannot read {text[at : at + 40]!r}")
        at = match.end()
        if match["skip"] is not None:
            continue
        if match["mark"] is None:
            words.append(next(one for one in (match["double"], match["single"], match["word"]) if one is not None))
        elif match["mark"] == "}":
            if words or len(stack) == 1:
                raise Malformed(f"nginx: unexpected }} after {words or 'the last block'}")
            stack.pop()
        else:
            if not words:
                raise Malformed(f"nginx: {match['mark']} without a directive")
            block = Block(words[0], words[1:], [] if match["mark"] == "{" else None)
            t.cast("list[Block]", stack[-1].children).append(block)
            words = []
            if match["mark"] == "{":
                stack.append(block)
    if words or len(stack) > 1:
        raise Malformed(f"nginx: the end comes inside `{stack[-1].name}` {words}")
    return root


# -- systemd ---------------------------------------------------------------------------------------------------------


@dataclass
class Unit:
    """A systemd unit: section → key → values in their order; an empty value (which resets a list) is kept as ``""``."""

    sections: dict[str, dict[str, list[str]]]

    def all(self, section: str, key: str) -> list[str]:
        """The values of a key that may come several times, after resets, split into words."""
        words: list[str] = []
        for value in self.sections.get(section, {}).get(key, []):
            words = [*words, *value.split()] if value else []
        return words

    def one(self, section: str, key: str) -> str:
        """The value that counts of a key that takes one: the last."""
        values = self.sections.get(section, {}).get(key)
        assert values, f"no {key}= in [{section}]"
        return values[-1]

    def has(self, section: str, key: str) -> bool:
        return bool(self.sections.get(section, {}).get(key))


def unit(text: str) -> Unit:
    """A systemd unit or drop-in; continuation lines are joined."""
    sections: dict[str, dict[str, list[str]]] = {}
    current: dict[str, list[str]] | None = None
    for line in (one.strip() for one in re.sub(r"\\\n", " ", text).splitlines()):
        if not line or line[0] in "#;":
            continue
        header = re.fullmatch(r"\[([A-Za-z-]+)\]", line)
        if header:
            current = sections.setdefault(header[1], {})
            continue
        key, equals, value = line.partition("=")
        if current is None or not equals or not re.fullmatch(r"[A-Za-z]+", key.strip()):
            raise Malformed(f"systemd: stray line {line!r}")
        current.setdefault(key.strip(), []).append(value.strip())
    return Unit(sections)


# -- HAProxy ---------------------------------------------------------------------------------------------------------

HAPROXY_SECTIONS = {"global", "defaults", "frontend", "backend", "listen", "peers", "resolvers", "userlist", "mailers"}


@dataclass
class Section:
    """One HAProxy section: its kind, its name (may be empty) and its lines as words."""

    kind: str
    name: str
    lines: list[list[str]]

    def all(self, *words: str) -> list[list[str]]:
        """What follows ``words`` in each line that begins with them."""
        return [line[len(words) :] for line in self.lines if line[: len(words)] == list(words)]

    def one(self, *words: str) -> list[str]:
        found = self.all(*words)
        assert len(found) == 1, f"{len(found)} times `{' '.join(words)}` in `{self.kind} {self.name}`"
        return found[0]

    def has(self, *words: str) -> bool:
        return bool(self.all(*words))


@dataclass
class Haproxy:
    sections: list[Section]

    def section(self, kind: str, name: str = "") -> Section:
        found = [one for one in self.sections if (one.kind, one.name) == (kind, name)]
        assert len(found) == 1, f"{len(found)} sections `{kind} {name}`".rstrip()
        return found[0]

    def names(self, kind: str) -> list[str]:
        return [one.name for one in self.sections if one.kind == kind]


def haproxy(text: str) -> Haproxy:
    """An HAProxy configuration; quotes and escaped spaces keep words together as HAProxy reads them."""
    sections: list[Section] = []
    for line in text.splitlines():
        words = _haproxy_words(line)
        if not words:
            continue
        if words[0] in HAPROXY_SECTIONS and not line[0].isspace():
            sections.append(Section(words[0], words[1] if len(words) > 1 else "", []))
        elif not sections or not line[0].isspace():
            raise Malformed(f"haproxy: a line outside a section: {line!r}")
        else:
            sections[-1].lines.append(words)
    return Haproxy(sections)


def _haproxy_words(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError as error:
        raise Malformed(f"haproxy: {error} in {line!r}") from error


# -- logrotate -------------------------------------------------------------------------------------------------------


@dataclass
class Rotation:
    """One logrotate block: the patterns it covers, its directives (name → value) and its scripts (name → lines)."""

    patterns: list[str]
    directives: dict[str, str]
    scripts: dict[str, list[str]]


def logrotate(text: str) -> list[Rotation]:
    """The blocks of a logrotate file. A directive outside of them is refused: it would reach into other files."""
    blocks: list[Rotation] = []
    current: Rotation | None = None
    script: list[str] | None = None
    pending: list[str] = []
    for line in (one.strip() for one in text.splitlines()):
        if script is not None:
            if line == "endscript":
                script = None
            elif line:
                script.append(line)
        elif not line or line.startswith("#"):
            continue
        elif current is not None:
            name, _, value = line.partition(" ")
            if line == "}":
                current = None
            elif name in ("prerotate", "postrotate", "firstaction", "lastaction", "preremove"):
                script = current.scripts.setdefault(name, [])
            elif name in current.directives:
                raise Malformed(f"logrotate: {name} twice for {current.patterns}")
            else:
                current.directives[name] = value.strip()
        elif line.startswith(("/", '"/')):
            pending += [quoted or plain for quoted, plain in re.findall(r'"([^"]*)"|([^\s{]+)', line)]
            if line.endswith("{"):
                current = Rotation(pending, {}, {})
                blocks.append(current)
                pending = []
        else:
            raise Malformed(f"logrotate: stray line {line!r}")
    if current is not None or script is not None or pending:
        raise Malformed("logrotate: the end comes inside a block")
    return blocks
