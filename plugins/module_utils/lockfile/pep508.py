# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a Python project asks for (PEP 508): ``requests[socks]>=2,<3; python_version < "3.12"``, and its markers."""

from __future__ import annotations

import functools
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pep440 import (
    Condition,
    parse_conditions,
    parse_version,
)

#: Characters of one requirement or marker, and parentheses in each other. uv's own markers reach a few thousand.
MAX_LENGTH = 50_000
MAX_DEPTH = 50

#: Variables whose values are versions.
VERSIONS = ("python_version", "python_full_version", "implementation_version")
VARIABLES = (
    *VERSIONS,
    "os_name",
    "sys_platform",
    "platform_machine",
    "platform_python_implementation",
    "platform_release",
    "platform_system",
    "platform_version",
    "implementation_name",
    "extra",
    # Lists; no requirement of a project has them, and nothing is in them here.
    "extras",
    "dependency_groups",
)
_OLD_NAMES = {
    "os.name": "os_name",
    "sys.platform": "sys_platform",
    "platform.version": "platform_version",
    "platform.machine": "platform_machine",
    "platform.python_implementation": "platform_python_implementation",
    "python_implementation": "platform_python_implementation",
}
_FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "in": "contains", "not in": "lacks"}

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_HEAD = re.compile(rf"\s*({_NAME.pattern})\s*(?:\[([^\][]*)\])?\s*")
_TOKEN = re.compile(
    r"""\s*(?:(?P<mark>[()])|(?P<text>'[^']*'|"[^"]*")|(?P<operator>===|~=|==|!=|<=|>=|<|>|not\s+in\b|in\b)
        |(?P<word>[A-Za-z_.]+))\s*""",
    re.VERBOSE,
)


def normal_name(name: str) -> str:
    """The name as registries compare it: ``Foo._Bar`` is ``foo-bar``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def is_name(text: str) -> bool:
    """Whether this can be a package's name (or that of an extra or a group): never a path, an option or an address."""
    return len(text) <= 200 and _NAME.fullmatch(text) is not None


@dataclass(frozen=True)
class Marker:
    """``and`` / ``or`` of parts (``and`` of none is always true), or the comparison of a variable with a text."""

    #: ``and``, ``or``, ``not``, a comparison, ``in`` or ``not in``; the other way round: ``contains`` or ``lacks``.
    operator: str
    parts: tuple[Marker, ...] = ()
    variable: str = ""
    text: str = ""
    #: The comparison as one of versions, where it is one.
    condition: Condition | None = None

    def holds(self, environment: t.Mapping[str, str], extras: t.Container[str] = ()) -> bool:
        """Whether it is true where the variables have these values, with these extras of the project chosen."""
        if self.operator == "and":
            return all(part.holds(environment, extras) for part in self.parts)
        if self.operator == "or":
            return any(part.holds(environment, extras) for part in self.parts)
        if self.operator == "not":
            return not self.parts[0].holds(environment, extras)
        if self.variable == "extra":
            return (normal_name(self.text) in extras) == (self.operator == "==")
        value = environment.get(self.variable, "")
        if self.condition:
            # "3.13.5+": Debian's mark for a build between two versions.
            version = parse_version(value.rstrip("+"))
            return version is not None and self.condition.holds(version)
        return _compare(value, self.operator, self.text, self.variable in VERSIONS)

    def comparisons(self) -> t.Iterator[Marker]:
        """All comparisons in it."""
        if self.variable:
            yield self
        for part in self.parts:
            yield from part.comparisons()

    def __str__(self) -> str:
        """As one would write it."""
        if self.operator == "not":
            return f"not ({self.parts[0]})"
        if self.operator in ("and", "or"):
            texts = (
                f"({part})" if self.operator == "and" and part.operator == "or" else str(part) for part in self.parts
            )
            return f" {self.operator} ".join(texts)
        quote = '"' if "'" in self.text else "'"
        text = quote + self.text + quote
        if self.operator in ("contains", "lacks"):
            return f"{text} {'in' if self.operator == 'contains' else 'not in'} {self.variable}"
        return f"{self.variable} {self.operator} {text}"


def _compare(value: str, operator: str, text: str, words: bool) -> bool:
    if operator in ("in", "not in"):
        # "3.1" is not in "3.10 3.11".
        found = value in (re.split(r"[\s,]+", text) if words else text)
        return found == (operator == "in")
    if operator in ("contains", "lacks"):
        return (text in value) == (operator == "contains")
    if operator in ("==", "===", "!="):
        return (value == text) == (operator != "!=")
    if operator in ("<=", ">=") and value == text:
        return True
    return value < text if operator[0] == "<" else value > text if operator[0] == ">" else False


@dataclass(frozen=True)
class Requirement:
    """One thing that is asked for; ``address`` is what stands behind ``@``."""

    name: str
    extras: frozenset[str] = frozenset()
    conditions: tuple[Condition, ...] = ()
    address: str | None = None
    marker: Marker | None = None


def parse_requirement(text: str) -> Requirement:
    """``name[extra]>=1; marker`` or ``name @ address ; marker``. Raises ``ValueError`` in words."""
    head = _HEAD.match(text) if len(text) <= MAX_LENGTH else None
    if head is None or not is_name(head[1]):
        raise ValueError(f"{text[:100]!r} does not begin with a package's name")
    extras = [extra.strip() for extra in (head[2] or "").split(",") if extra.strip()]
    if not all(map(is_name, extras)):
        raise ValueError(f"{text[:100]!r} has an extra that is no name")
    rest = text[head.end() :]
    address = None
    if rest.startswith("@"):
        # A semicolon may be part of an address; one with a space before it is none.
        address, semicolon, marker = rest[1:].strip().partition(" ;")
        address = address.strip()
        if not address or re.search(r"\s", address):
            raise ValueError(f"{text[:100]!r} has no address behind the @")
        specifier = ""
    else:
        specifier, semicolon, marker = rest.partition(";")
        specifier = specifier.strip()
        if specifier.startswith("(") and specifier.endswith(")"):
            specifier = specifier[1:-1]
    if semicolon and not marker.strip():
        raise ValueError(f"{text[:100]!r} has no marker behind the semicolon")
    return Requirement(
        name=normal_name(head[1]),
        extras=frozenset(map(normal_name, extras)),
        conditions=parse_conditions(specifier),
        address=address,
        marker=parse_marker(marker) if semicolon else None,
    )


@functools.lru_cache(maxsize=1024)
def parse_marker(text: str) -> Marker:
    """``python_version < "3.12" and (os_name == "nt" or …)``. Raises ``ValueError`` in words."""
    if len(text) > MAX_LENGTH:
        raise ValueError(f"a marker has more than {MAX_LENGTH} characters")
    tokens = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None or not match.lastgroup:
            _refuse(text)
        tokens.append((match.lastgroup, match[match.lastgroup]))
        at = match.end()
    parser = _MarkerParser(text, tokens)
    marker = parser.either(0)
    if parser.tokens:
        _refuse(text)
    return marker


def _refuse(marker: str) -> t.NoReturn:
    raise ValueError(f"the marker {marker[:200]!r} is not understood")


class _MarkerParser:
    def __init__(self, text: str, tokens: list[tuple[str, str]]) -> None:
        self.text = text
        self.tokens = tokens[::-1]

    def either(self, depth: int) -> Marker:
        if depth > MAX_DEPTH:
            raise ValueError(f"the marker {self.text[:100]!r} is nested too deeply")
        return self._joined("or", lambda: self._joined("and", lambda: self._single(depth)))

    def _joined(self, word: str, part: t.Callable[[], Marker]) -> Marker:
        parts = [part()]
        while self.tokens and self.tokens[-1] == ("word", word):
            self.tokens.pop()
            parts.append(part())
        return parts[0] if len(parts) == 1 else Marker(word, tuple(parts))

    def _take(self) -> tuple[str, str]:
        if not self.tokens:
            _refuse(self.text)
        return self.tokens.pop()

    def _single(self, depth: int) -> Marker:
        left = self._take()
        if left == ("mark", "("):
            marker = self.either(depth + 1)
            if self._take() != ("mark", ")"):
                _refuse(self.text)
            return marker
        (kind, operator), right = self._take(), self._take()
        if kind != "operator" or {left[0], right[0]} != {"word", "text"}:
            _refuse(self.text)
        operator = " ".join(operator.split())
        if left[0] == "text":
            left, right, operator = right, left, _FLIPPED.get(operator, operator)
        variable = _OLD_NAMES.get(left[1], left[1])
        if variable not in VARIABLES:
            raise ValueError(f"the marker {self.text[:200]!r} has the variable {left[1][:50]!r}, which is unknown")
        return _comparison(variable, operator, right[1][1:-1])


def _comparison(variable: str, operator: str, text: str) -> Marker:
    condition = None
    if variable == "extra" and operator not in ("==", "!="):
        raise ValueError(f"a marker compares extra by {operator!r}; only == and != are understood")
    if variable in VERSIONS and operator in ("===", "~=", "==", "!=", "<=", ">=", "<", ">"):
        try:
            (condition,) = parse_conditions(f"{operator}{text.strip()}")
        except ValueError:
            condition = None  # compared as text then
    return Marker(operator, variable=variable, text=text, condition=condition)
