# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Version ranges as ``engines`` has them (node-semver's grammar): ``>=20 <23``, ``^18.17.0 || 20.x``, ``1.2 - 2``."""

from __future__ import annotations

import functools
import re
import typing as t

Version = tuple[int, int, int]

#: Above every version there is.
_END: Version = (2**31, 0, 0)
_PARTIAL = r"v?(?:(\d{1,9}|[xX*])(?:\.(\d{1,9}|[xX*])(?:\.(\d{1,9}|[xX*]))?)?)?(?:[-+][0-9A-Za-z.+-]+)?"
_COMPARATOR = re.compile(rf"(<=|>=|<|>|=|\^|~>?)?{_PARTIAL}")
_HYPHEN = re.compile(r"(\S+) +- +(\S+)")
_LOOSE_OPERATOR = re.compile(r"(<=|>=|<|>|=|\^|~>?)\s+")


def parse_version(text: str) -> Version | None:
    """``24.21.0`` or ``v24.21.0-rc.1`` as numbers (without the pre-release part); ``None``: no version."""
    match = re.fullmatch(r"v?(\d{1,9})\.(\d{1,9})\.(\d{1,9})(?:[-+].*)?", text.strip())
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


# A lockfile has a thousand packages and a few dozen ranges.
@functools.lru_cache(maxsize=1024)
def satisfies(version: str, wanted: str) -> bool | None:
    """Whether ``version`` lies in the range ``wanted``; ``None`` when one of them cannot be understood."""
    number = parse_version(version)
    if number is None or len(wanted) > 1000:
        return None
    found = False
    for alternative in wanted.split("||"):
        bounds = _bounds(alternative)
        if bounds is None:
            return None
        found = found or all(low <= number < end for low, end in bounds)
    return found


def _bounds(alternative: str) -> list[tuple[Version, Version]] | None:
    """The half-open intervals that must all hold."""
    text = alternative.strip()
    hyphen = _HYPHEN.fullmatch(text)
    if hyphen:
        text = f">={hyphen[1]} <={hyphen[2]}"
    bounds = []
    for comparator in _LOOSE_OPERATOR.sub(r"\1", text).split():
        match = _COMPARATOR.fullmatch(comparator)
        if match is None:
            return None
        bounds.append(_interval(match[1] or "", _numbers(match.groups()[1:])))
    return bounds


def _numbers(parts: t.Sequence[str | None]) -> list[int]:
    """The leading numbers of a partial version: up to three, ending at a wildcard."""
    numbers: list[int] = []
    for part in parts:
        if part is None or not part.isdigit():
            break
        numbers.append(int(part))
    return numbers


def _interval(operator: str, numbers: list[int]) -> tuple[Version, Version]:
    low = _padded(numbers)
    after = _bumped(numbers)
    if operator == ">":
        return after, _END
    if operator == ">=":
        return low, _END
    if operator == "<":
        return (0, 0, 0), low
    if operator == "<=":
        return (0, 0, 0), after
    if operator.startswith("~"):
        return low, _bumped(numbers[:2])
    if operator == "^":
        # Up to the next change of the leftmost number that is not 0.
        significant = next((index for index, number in enumerate(numbers) if number), len(numbers) - 1)
        return low, _bumped(numbers[: significant + 1])
    return low, after


def _padded(numbers: list[int]) -> Version:
    major, minor, patch = [*numbers, 0, 0, 0][:3]
    return major, minor, patch


def _bumped(numbers: list[int]) -> Version:
    """The first version that no longer begins with ``numbers``."""
    return _padded([*numbers[:-1], numbers[-1] + 1]) if numbers else _END
