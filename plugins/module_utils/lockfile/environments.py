# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Environments that Python packages are installed for: a host's own, and those that tell two markers apart."""

from __future__ import annotations

import itertools
import json
import typing as t
from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Package
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pep440 import (
    Condition,
    Version,
    holds,
    parse_version,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pep508 import VERSIONS, Marker, parse_marker

#: Run by a Python (``python3 -I -c …``), prints the values of the marker variables there as JSON.
PROGRAM = """
import json, os, platform, sys
number = sys.implementation.version
early = "" if number.releaselevel == "final" else number.releaselevel[0] + str(number.serial)
print(json.dumps({
    "implementation_name": sys.implementation.name,
    "implementation_version": "%d.%d.%d" % number[:3] + early,
    "os_name": os.name,
    "platform_machine": platform.machine(),
    "platform_python_implementation": platform.python_implementation(),
    "platform_release": platform.release(),
    "platform_system": platform.system(),
    "platform_version": platform.version(),
    "python_full_version": platform.python_version(),
    "python_version": ".".join(platform.python_version_tuple()[:2]),
    "sys_platform": sys.platform,
}))
"""

#: Comparisons that are tried for a pair of markers. Real pairs need a few thousand.
MAX_TRIALS = 200_000

#: Variables that go together.
_PLATFORM = ("sys_platform", "os_name", "platform_system")
_PLATFORMS = (
    ("linux", "posix", "Linux"),
    ("darwin", "posix", "Darwin"),
    ("win32", "nt", "Windows"),
    ("cygwin", "posix", "CYGWIN_NT"),
    ("emscripten", "posix", "Emscripten"),
    ("android", "posix", "Android"),
    ("ios", "posix", "iOS"),
    ("freebsd14", "posix", "FreeBSD"),
)
_IMPLEMENTATION = ("implementation_name", "platform_python_implementation")
_IMPLEMENTATIONS = (("cpython", "CPython"), ("pypy", "PyPy"), ("graalpy", "GraalVM"), ("jython", "Jython"))
_PYTHON = ("python_version", "python_full_version")
_OTHER = "other"


@dataclass(frozen=True)
class PythonTarget:
    """What a Python tree is installed for: the values of the marker variables there."""

    environment: t.Mapping[str, str]

    @classmethod
    def of(cls, printed: str) -> PythonTarget:
        """From what ``PROGRAM`` printed. Raises ``ValueError``."""
        try:
            values = json.loads(printed)
        except ValueError:
            values = None
        if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
            raise ValueError(printed)
        return cls(values)

    def fits(self, package: Package) -> bool:
        """Whether the package's markers hold here. Raises ``ValueError`` for a marker that is not understood."""
        return package.markers is None or parse_marker(package.markers).holds(self.environment)


def same(one: Marker | None, other: Marker | None, within: t.Sequence[Condition] = ()) -> bool:
    """Whether no environment with a Python ``within`` these conditions tells the two markers apart.

    uv writes markers in its own way (``python_version < "3.11"`` becomes ``python_full_version < '3.11'``,
    ``platform_system == "Windows"`` becomes ``sys_platform == 'win32'``), so texts cannot be compared. Tried is one
    environment for every combination of what the markers tell apart; markers that would need more than ``MAX_TRIALS``
    comparisons count as different.
    """
    if str(one) == str(other):
        return True
    comparisons = [comparison for marker in (one, other) if marker for comparison in marker.comparisons()]
    choices = _choices(comparisons, within)
    count = len(comparisons)
    for choice in choices:
        count *= len(choice)
    if count > MAX_TRIALS:
        return False
    for combination in itertools.product(*choices):
        values = {name: value for chosen in combination for name, value in chosen.items()}
        extras = values.pop("extra", "").split()
        if _holds(one, values, extras) != _holds(other, values, extras):
            return False
    return True


def _holds(marker: Marker | None, values: t.Mapping[str, str], extras: t.Sequence[str]) -> bool:
    return marker is None or marker.holds(values, extras)


def _choices(comparisons: t.Sequence[Marker], within: t.Sequence[Condition]) -> list[list[dict[str, str]]]:
    """For each group of variables that are compared, the values that make a difference."""
    texts: dict[str, set[str]] = {}
    for comparison in comparisons:
        mentioned = texts.setdefault(comparison.variable, set())
        mentioned.add(comparison.text)
        if comparison.operator in ("in", "not in"):
            mentioned.update(comparison.text.replace(",", " ").split())
        elif comparison.operator[0] in "<>":
            mentioned.update(("", comparison.text + "0"))
    choices = []
    for variables, known in ((_PLATFORM, _PLATFORMS), (_IMPLEMENTATION, _IMPLEMENTATIONS)):
        if texts.keys() & {*variables}:
            choices.append([dict(zip(variables, values)) for values in _together(variables, known, texts)])
    versions = [comparison.condition.version for comparison in comparisons if comparison.condition]
    if texts.keys() & {*_PYTHON}:
        choices.append(_pythons([version for version in versions if version], texts, within))
    for variable in sorted({*texts} - {*_PLATFORM, *_IMPLEMENTATION, *_PYTHON}):
        values = sorted(texts[variable])
        if variable == "extra":
            values = ["", *values, " ".join(values)]
        elif variable in VERSIONS:
            values = [str(version) for version in _around([version for version in versions if version])]
        choices.append([{variable: value} for value in [*values, _OTHER]])
    return choices


def _together(
    variables: t.Sequence[str], known: t.Sequence[tuple[str, ...]], texts: t.Mapping[str, set[str]]
) -> list[tuple[str, ...]]:
    """The known combinations of values, and one for each value that is in none of them."""
    found = [*known, (_OTHER,) * len(variables)]
    for index, variable in enumerate(variables):
        for text in sorted(texts.get(variable, ())):
            if all(values[index] != text for values in known):
                found += [tuple(text if index == position else _OTHER for position in range(len(variables)))]
    return found


def _pythons(
    versions: t.Sequence[Version], texts: t.Mapping[str, set[str]], within: t.Sequence[Condition]
) -> list[dict[str, str]]:
    """Versions of Python on both sides of everything that is compared, as far as they are ``within``."""
    listed = [parse_version(word) for name in _PYTHON for text in texts.get(name, ()) for word in text.split()]
    own = [condition.version for condition in within]
    found = _around([version for version in (*versions, *listed, *own) if version])
    chosen = [version for version in found if holds(within, version)]
    return [
        {"python_full_version": str(version), "python_version": ".".join(map(str, version.release[:2]))}
        for version in chosen
    ]


def _around(versions: t.Sequence[Version]) -> list[Version]:
    found: dict[tuple[int, ...], Version] = {}
    for version in versions:
        major, minor, patch = (*version.release, 0, 0)[:3]
        near = [(major, minor, patch), (major, minor, patch + 1), (major, minor, 0), (major, minor + 1, 0)]
        near += [(major, minor, patch - 1)] if patch else []
        near += [(major, minor - 1, 0)] if minor else [(major - 1, 99, 0)] if major else []
        for release in near:
            found[release] = Version(0, release)
        if version.is_pre_release:
            found[(*version.release, -1)] = version
    return list(found.values())
