# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks, what came of them, and the summary."""

from __future__ import annotations

import time
import typing as t
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from devtools.terminal import DevError, say, seconds, step


class Tally(t.NamedTuple):
    """How many tests passed and failed."""

    passed: int
    failed: int


@dataclass(frozen=True)
class Check:
    """One thing to check.

    ``run`` raises a DevError when it fails. ``count`` is asked afterwards how many tests that were; a check that
    cannot say is one test.
    """

    name: str
    run: Callable[[], object]
    count: Callable[[], Tally | None] = lambda: None


class Outcome(t.NamedTuple):
    """What came of a check."""

    name: str
    tally: Tally
    seconds: float


def run_all(checks: Sequence[Check]) -> int:
    """Run every check, whatever fails, and print the summary. Returns the exit status."""
    outcomes = [_run(check) for check in checks]
    say("\n" + summary(outcomes))
    return 1 if any(outcome.tally.failed for outcome in outcomes) else 0


def summary(outcomes: Sequence[Outcome]) -> str:
    """A line for each check, and the closing line ``N passed, N failed``."""
    width = max((len(outcome.name) for outcome in outcomes), default=0)
    lines = [
        f"{name:<{width}} {tally.passed:>6} passed {tally.failed:>4} failed {seconds(duration):>12}"
        for name, tally, duration in outcomes
    ]
    passed = sum(outcome.tally.passed for outcome in outcomes)
    failed = sum(outcome.tally.failed for outcome in outcomes)
    return "\n".join([*lines, "", f"{passed} passed, {failed} failed"])


def _run(check: Check) -> Outcome:
    started = time.monotonic()
    ended_well = True
    try:
        with step(check.name):
            check.run()
    except DevError as error:
        ended_well = False
        say(f"    {error}")
    tally = check.count() or Tally(int(ended_well), int(not ended_well))
    if not ended_well and not tally.failed:
        # It failed beside its tests: one could not be collected, for example.
        tally = Tally(tally.passed, 1)
    return Outcome(check.name, tally, time.monotonic() - started)
