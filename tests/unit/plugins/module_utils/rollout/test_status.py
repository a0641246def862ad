# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The status table, in the words a person reads."""

from __future__ import annotations

import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.rollout.status import status_table

LIVE = {
    "missing": [],
    "live": "1.0.0-aaaaaaaaaa",
    "since": "2026-11-21T10:00:00Z",
    "pending": None,
    "manifest": {"runtime": {"name": "nodejs", "version": "24.21.0"}},
    "instances": [{"state": "active", "release": "1.0.0-aaaaaaaaaa"}, {"state": "failed", "release": None}],
}
UP = {"op": "UP", "admin": "ready", "owner": None}


def test_a_fleet() -> None:
    hosts: dict[str, dict[str, t.Any]] = {
        "app1": {"apps": {"shop": LIVE}},
        "app2": {"apps": {"shop": {"missing": ["user"]}}},
        "app3": {"lost": "timed out"},
    }
    lb1 = {
        "item": "lb1",
        "backends": {"shop": {"app1": UP, "app2": {"op": "DOWN", "admin": "drain", "owner": "rollout"}}},
    }
    headings, first, second, third, blank, reason = status_table(hosts, [lb1], ["shop"])
    assert headings.split() == ["HOST", "APP", "RELEASE", "SINCE", "RUNTIME", "INSTANCES", "BALANCER"]
    assert first.split("  ")[0] == "app1"
    for words in ("1.0.0-aaaaaaaaaa", "2026-11-21T10:00:00Z", "nodejs 24.21.0", "1/2 running", "UP"):
        assert words in first
    assert "never set up" in second and "DOWN (drain, ours)" in second
    assert third.split("  ")[0] == "app3"
    assert "no answer" in third and "unknown" in third
    # Below: it would make the whole table wide.
    assert (blank, reason) == ("", "host app3 cannot be reached (timed out)")


def test_several_balancers_are_told_apart_and_a_silent_one_is_named() -> None:
    balancers: list[dict[str, t.Any]] = [
        {"item": "lb1", "backends": {"shop": {"app1": UP}}},
        {"item": "lb2", "lost": "x"},
    ]
    _headings, row, blank, reason = status_table({"app1": {"apps": {"shop": LIVE}}}, balancers, ["shop"])
    assert row.endswith("lb1: UP, lb2: no answer")
    assert (blank, reason) == ("", "balancer lb2 cannot be reached (x)")


def test_nothing_is_said_of_those_who_answer() -> None:
    lb1 = {"item": "lb1", "backends": {"shop": {"app1": UP}}}
    assert len(status_table({"app1": {"apps": {"shop": LIVE}}}, [lb1], ["shop"])) == 2
