# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting, with the clock and the sleep passed in: what to look at and when to be content are plain functions."""

from __future__ import annotations

import time
import typing as t
from dataclasses import dataclass

Seen = t.TypeVar("Seen")


@dataclass(frozen=True)
class Clock:
    """A monotonic clock and the way to let it pass, both in seconds."""

    now: t.Callable[[], float] = time.monotonic
    sleep: t.Callable[[float], None] = time.sleep


class WaitTimeoutError(Exception, t.Generic[Seen]):
    """The time is over; ``last`` is what was seen last."""

    def __init__(self, last: Seen, seconds: float) -> None:
        self.last = last
        self.seconds = seconds
        super().__init__(f"not within {seconds:g} s")


def wait_until(
    look: t.Callable[[], Seen],
    content: t.Callable[[Seen], bool],
    timeout: float,
    step: float,
    clock: Clock,
) -> Seen:
    """Look every ``step`` seconds until ``content`` with what is seen; returns it, or raises :class:`WaitTimeoutError`.

    Looks at least once and once more when the time is over, so a slow last look is never wasted.
    Anything that makes waiting pointless is for ``look`` or ``content`` to raise.
    """
    deadline = clock.now() + timeout
    while True:
        over = clock.now() >= deadline
        seen = look()
        if content(seen):
            return seen
        if over:
            raise WaitTimeoutError(seen, timeout)
        clock.sleep(min(step, max(deadline - clock.now(), 0.0)))
