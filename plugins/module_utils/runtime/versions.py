# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exact versions, and which existing ones are near a wrong one."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError

_EXACT = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


def parse(version: str) -> tuple[int, ...]:
    """``24.21.0`` as its three numbers; empty for anything that is not an exact release."""
    match = _EXACT.fullmatch(version)
    return tuple(map(int, match.groups())) if match else ()


def check_exact(version: str, where: str) -> str:
    """The version itself; :class:`ApphostError` for ranges, tags, a leading v and the like."""
    if not parse(version):
        raise ApphostError(f"{version!r} is not an exact version", where, "Write it like 24.21.0.")
    return version


def nearest(version: str, existing: t.Iterable[str], count: int = 3) -> list[str]:
    """The ``count`` existing releases nearest to ``version``: same major first, then same minor, then by patch."""
    wanted = parse(version)
    known = {numbers: text for text in existing if (numbers := parse(text))}
    if not wanted:
        return []

    def distance(numbers: tuple[int, ...]) -> list[int]:
        return [abs(there - here) for there, here in zip(numbers, wanted)]

    return [known[numbers] for numbers in sorted(known, key=distance)[:count]]
