# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions that have not been out for long enough."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.age import asked_for, too_young
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Package, Source

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
MS = Package("node_modules/ms", "ms", "2.0.0")


@pytest.mark.parametrize(
    ("age", "problem"),
    [
        (timedelta(days=7), None),
        (timedelta(days=7, seconds=-1), "6 days"),
        (timedelta(days=2), "2 days"),
        (timedelta(hours=47), "47 hours"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(minutes=59), "less than an hour"),
        # A registry's clock may be ahead of ours.
        (timedelta(hours=-3), "less than an hour"),
    ],
)
def test_a_version_must_have_been_out_for_a_time(age: timedelta, problem: str | None) -> None:
    found = too_young([MS], {"ms@2.0.0": NOW - age}, 7, NOW)

    assert found == ([f"ms@2.0.0 has been out for {problem}"] if problem else [])


def test_times_in_other_time_zones() -> None:
    tokyo = timezone(timedelta(hours=9))

    assert too_young([MS], {"ms@2.0.0": (NOW - timedelta(hours=12)).astimezone(tokyo)}, 0.5, NOW) == []
    assert too_young([MS], {"ms@2.0.0": (NOW - timedelta(hours=11)).astimezone(tokyo)}, 0.5, NOW) != []


def test_a_version_nobody_knows_of_is_too_young() -> None:
    assert too_young([MS], {"ms@1.0.0": NOW}, 7, NOW) == ["nobody knows since when there is ms@2.0.0"]


def test_names_are_those_of_the_registry() -> None:
    alias = Package("node_modules/old", "old", "1.0.0", real_name="@s/new")

    assert [*asked_for([alias])] == ["@s/new@1.0.0"]
    assert too_young([alias], {}, 7, NOW, allowed=["@s/new"]) == []
    assert too_young([alias], {}, 7, NOW, allowed=["old"]) != []


def test_other_sources_have_no_age() -> None:
    for source in (Source.GIT, Source.ADDRESS, Source.FILE, Source.LINK, Source.WORKSPACE, Source.BUNDLED):
        assert too_young([Package("a", "a", "1.0.0", source=source)], {}, 7, NOW) == []


def test_a_version_in_several_places_is_told_once() -> None:
    inner = Package("node_modules/a/node_modules/ms", "ms", "2.0.0")

    assert len(too_young([MS, inner], {}, 7, NOW)) == 1
