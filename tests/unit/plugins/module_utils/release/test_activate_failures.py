# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An activation that fails or was interrupted: what is put back, what is said."""

from __future__ import annotations

import os
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.health import Answer, Check
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.host import live_release
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.journal import Journal

from .world import WEB0, WEB1, WORKER, World, failure, interrupt


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        ({"status": 503}, "GET /healthz answers 503, expected 200"),
        ({"boot": 1e9}, "nothing listens"),
        ({"header": "0.9-ffffffffff"}, "still answered by release 0.9-ffffffffff"),
        ({"crash_after": 0.1, "boot": 5.0}, "its program ended 2 times (exit-code, exit status 1)"),
        ({"refused": WEB1}, "instance web 3001: it did not start"),
    ],
)
def test_a_release_that_does_not_come_up_is_taken_back(world: World, behaviour: dict[str, t.Any], reason: str) -> None:
    one, two = world.stage("1"), world.stage("2", **behaviour)
    world.activate(one)
    error = failure(world, two)
    assert reason in error.details["reason"]
    assert f"Release {one} is live again" in error.message
    assert error.details["reverted"] is True
    assert error.details["live"] == live_release(world.layout) == one
    assert error.details["log_lines"] == [f"journal of {error.details['failed_instance']}"]
    assert {unit.release for unit in world.units.values()} == {one}
    assert world.journal_events()[-2:] == [("activating", two, one), ("reverted", two, one)]
    assert world.calls == [("restart", [WEB0, WEB1])] * 2


def test_a_crash_loop_is_given_up_early(world: World) -> None:
    one, two = world.stage("1"), world.stage("2", crash_after=0.1, boot=5.0)
    world.activate(one)
    assert failure(world, two).details["seconds"]["verify"] < 3.0


def test_one_crash_at_start_is_forgiven(world: World) -> None:
    one = world.stage("1", units=(WEB0,), crash_after=4.0, boot=4.5)
    # It answers only after its first crash, 5 s after the start, and then lives long enough to be proven.
    assert world.activate(one)["changed"]


def test_instances_only_the_old_release_has_come_back_on_revert(world: World) -> None:
    one, two = world.stage("1", units=(WEB0, WORKER)), world.stage("2", units=(WEB0, WEB1), status=500)
    world.activate(one)
    assert failure(world, two).details["reverted"]
    assert {name for name, unit in world.units.items() if unit.pid and unit.enabled} == {WEB0, WORKER}


def test_the_first_release_that_fails_is_stopped_and_removed(world: World) -> None:
    one = world.stage("1", status=500)
    error = failure(world, one)
    assert error.details["reverted"] is False
    assert error.details["live"] is None
    assert "the app is stopped" in error.message
    assert not os.path.lexists(world.layout.current)
    assert not any(unit.pid or unit.enabled for unit in world.units.values())
    assert world.journal_events()[-1] == ("failed", one, None)


def test_an_old_release_that_is_broken_too_is_said_loudly(world: World) -> None:
    one, two = world.stage("1"), world.stage("2", status=500)
    world.activate(one)
    world.behaviour[one].status = 502
    error = failure(world, two)
    assert error.details["reverted"] is False
    assert error.details["live"] == one
    assert f"RELEASE {one} WAS PUT BACK AND DOES NOT COME UP EITHER" in error.message
    assert world.journal_events()[-1] == ("failed", two, one)


def test_a_bug_of_ours_in_the_middle_puts_the_old_release_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = world.stage("1"), world.stage("2")
    world.activate(one)
    asked = []

    def broken_once(ports: t.Sequence[int], check: Check) -> dict[int, Answer]:
        asked.append(ports)
        if len(asked) == 1:
            raise ZeroDivisionError("a bug")
        return World.ask_all(world, ports, check)

    monkeypatch.setattr(world, "ask_all", broken_once)
    error = failure(world, two)
    assert "a bug" in error.message
    assert error.details["reverted"] is True
    assert live_release(world.layout) == one


def test_a_live_release_that_cannot_be_repaired_stays_and_is_not_journalled(world: World) -> None:
    one = world.stage("1")
    world.activate(one)
    world.units[WEB0].pid = 0
    world.behaviour[one].status = 500
    journal = world.journal_events()
    error = failure(world, one)
    assert "nothing to go back to" in error.message
    assert live_release(world.layout) == one
    assert world.journal_events() == journal


def test_an_interrupted_activation_is_finished_without_another_restart(world: World) -> None:
    one, two = world.stage("1"), world.stage("2")
    world.activate(one)
    interrupt(world, two, one, switched=True)
    assert world.activate(two)["changed"] is True
    assert world.calls == []
    assert world.journal_events()[-1] == ("activated", two, one)
    assert world.activate(two)["changed"] is False


def test_an_interrupted_activation_of_a_bad_release_goes_back(world: World) -> None:
    one, two = world.stage("1"), world.stage("2", status=500)
    world.activate(one)
    interrupt(world, two, one, switched=True)
    assert failure(world, two).details["live"] == one
    assert world.journal_events()[-1] == ("reverted", two, one)


def test_an_unproven_release_is_never_what_a_failure_goes_back_to(world: World) -> None:
    one, two, three = world.stage("1"), world.stage("2"), world.stage("3", status=500)
    world.activate(one)
    interrupt(world, two, one, switched=True)
    assert failure(world, three).details["live"] == one


def test_a_release_that_worked_before_stays_live_when_there_is_nothing_better(world: World) -> None:
    one, two = world.stage("1"), world.stage("2")
    world.activate(one)
    interrupt(world, two, one, switched=True)
    world.behaviour[one].status = 503  # its database went away with the host's power
    error = failure(world, one)
    assert error.details["live"] == live_release(world.layout) == one
    assert "it stays live" in error.message
    assert world.journal_events()[-1] == ("failed", one, None)
    assert all(world.units[unit].pid and world.units[unit].enabled for unit in (WEB0, WEB1))


def test_going_back_is_not_held_up_by_a_unit_that_is_no_longer_defined(world: World) -> None:
    one, two = world.stage("1", units=(WEB0, WORKER)), world.stage("2", units=(WEB0,), status=500)
    world.activate(one)
    world.defined = (WEB0,)
    assert failure(world, two).details["live"] == one
    assert world.units[WEB0].release == one


def test_an_activation_interrupted_before_the_switch_is_closed_by_keeping_the_old_release(world: World) -> None:
    one, two = world.stage("1"), world.stage("2")
    world.activate(one)
    interrupt(world, two, one, switched=False)
    assert world.activate(one)["changed"] is True
    assert world.calls == []
    assert world.journal_events()[-1] == ("reverted", two, one)
    assert Journal(world.layout.journal).pending() is None
