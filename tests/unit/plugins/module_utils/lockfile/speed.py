# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long something takes, on any machine: where it seems too long, measured against known work right after it.

A busy processor takes longer for both, even in CPU seconds, for it shares its caches and its clock.
"""

from __future__ import annotations

import re
import time
import typing as t

Result = t.TypeVar("Result")

#: CPU seconds of the known work on the machine that promises are made for, with nothing else to do (2026-11).
_KNOWN = 0.081
_PATTERN = re.compile(r"(\S+?)@(\d+)")
_TRIES = 3


def _known_work() -> float:
    """Do what readers do, texts, patterns and tables; CPU seconds."""
    begun = time.process_time()
    found: dict[str, int] = {}
    for number in range(120_000):
        match = _PATTERN.match(f"package-{number % 997}@{number}")
        if match:
            found[match[1]] = found.get(match[1], 0) + len(match[2])
    return time.process_time() - begun


def within(limit: float, work: t.Callable[[], Result]) -> Result:
    """Do ``work``, which must take less than ``limit`` CPU seconds of that machine in one of three tries."""
    tries: list[float] = []
    while len(tries) < _TRIES:
        begun = time.process_time()
        result = work()
        took = time.process_time() - begun
        # Who is fast enough although the machine is busy need not be compared.
        tries.append(took if took < limit else took / _known_work() * _KNOWN)
        if tries[-1] < limit:
            return result
    raise AssertionError(f"it takes {min(tries):.2f} s, not less than {limit:g} s")
