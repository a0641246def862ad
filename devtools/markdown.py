# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Markdown that is written by a program: tables, Ansible's markup, and text between markers."""

from __future__ import annotations

import json
import re
import typing as t
from collections.abc import Iterable, Sequence

import yaml

# Ansible's semantic markup: a few capitals, then the content in brackets, in which a backslash protects a bracket.
_MARKUP = re.compile(r"\b(RV|[BCEILMOPRUV])\(((?:\\.|[^()\\]|\([^()]*\))*)\)")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a cell may hold anything but its own layout: line ends become spaces, pipes are protected."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def code(value: t.Any) -> str:
    """A value as a YAML author would write it on one line: quotes only where they matter."""
    text = value if _plain(value) else json.dumps(value, ensure_ascii=False)
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def _plain(value: t.Any) -> bool:
    """Whether a value is a string that YAML reads as itself without quotes."""
    try:
        return isinstance(value, str) and bool(yaml.safe_load(value) == value)
    except yaml.YAMLError:
        return False


def paragraphs(text: str | Iterable[str] | None, between: str = "\n\n") -> str:
    """A description (a string or a list of them) with its markup turned into Markdown."""
    parts = [text] if isinstance(text, str) else list(text or [])
    return between.join(_converted(part.strip()) for part in parts)


def _converted(text: str) -> str:
    """Markup becomes Markdown; what is between stays, but never becomes an HTML tag."""
    parts, end = [], 0
    for match in _MARKUP.finditer(text):
        parts += [text[end : match.start()].replace("<", "&lt;"), _marked(match)]
        end = match.end()
    return "".join([*parts, text[end:].replace("<", "&lt;")])


def _marked(match: re.Match[str]) -> str:
    sign, content = match[1], re.sub(r"\\(.)", r"\1", match[2])
    if sign == "B":
        return f"**{content}**"
    if sign == "I":
        return f"*{content}*"
    if sign == "U":
        return f"<{content}>"
    if sign in ("L", "R"):
        text, _, target = content.rpartition(",")
        return f"[{text.strip()}]({target.strip()})" if sign == "L" else text.strip()
    if "#" in content and sign in ("O", "P", "RV"):
        plugin, _, rest = content.partition("#")
        option = rest.partition(":")[2]
        return f"`{option}` of `{plugin}`" if option else f"`{plugin}`"
    return f"`{content}`"


class MarkerError(Exception):
    """A file does not say where its generated text belongs."""


def between_markers(text: str, name: str, content: str) -> str:
    """``text`` with ``content`` between ``<!-- name:begin -->`` and ``<!-- name:end -->``; both must be there once."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise MarkerError(f"put {begin} and {end} where the generated text belongs")
    return f"{text[: text.index(begin)]}{begin}\n{content}\n{text[text.index(end) :]}"
