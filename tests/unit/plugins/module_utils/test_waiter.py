# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting on a clock that only moves when asked."""

from __future__ import annotations

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.waiter import Clock, WaitTimeoutError, wait_until


class Time:
    def __init__(self) -> None:
        self.seconds = 100.0

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    @property
    def clock(self) -> Clock:
        return Clock(self.now, self.sleep)


def test_content_at_once_does_not_sleep() -> None:
    time = Time()
    assert wait_until(lambda: 7, lambda seen: seen == 7, 5.0, 0.05, time.clock) == 7
    assert time.seconds == 100.0


def test_returns_what_was_seen_when_content() -> None:
    time = Time()
    assert wait_until(time.now, lambda seen: seen >= 100.99, 5.0, 0.25, time.clock) == pytest.approx(101.0)


def test_timeout_carries_the_last_look_made_when_the_time_was_over() -> None:
    time = Time()
    with pytest.raises(WaitTimeoutError) as caught:
        wait_until(time.now, lambda _seen: False, 1.0, 0.3, time.clock)
    assert caught.value.last == pytest.approx(101.0)
    assert caught.value.seconds == 1.0


def test_a_slow_last_look_counts() -> None:
    time = Time()

    def slow() -> float:
        time.sleep(10.0)
        return time.now()

    assert wait_until(slow, lambda seen: seen > 115.0, 5.0, 0.05, time.clock) == pytest.approx(120.0)


def test_what_the_look_raises_ends_the_wait() -> None:
    def look() -> int:
        raise RuntimeError("pointless")

    with pytest.raises(RuntimeError, match="pointless"):
        wait_until(look, bool, 5.0, 0.05, Time().clock)
