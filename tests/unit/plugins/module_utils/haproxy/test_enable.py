# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Enabling: whose drains are ended, and what counts as up."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.drain import FORCE, Drain
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.enable import Enable
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.servers import Outcome, Result

from .world import Haproxy, Server, World, names


def world_with(folder: pathlib.Path, **app1: t.Any) -> World:
    return World(Haproxy(shop={"app1": Server(**app1), "app2": Server()}), folder)


def drained(folder: pathlib.Path) -> World:
    """A world whose first server we drained."""
    world = world_with(folder)
    Drain(world.balancer, "apphost", 1, 1.0, FORCE).run(names("shop/app1"), False)
    world.haproxy.commands.clear()
    return world


def enable(
    world: World, only_own: bool = True, timeout: float = 10.0, check_mode: bool = False, owner: str = "apphost"
) -> Result:
    return Enable(world.balancer, owner, only_own, timeout).run(names("shop/app1"), check_mode)


def only(result: Result) -> Outcome:
    (outcome,) = result.outcomes
    return outcome


def test_our_drain_is_ended_and_forgotten(tmp_path: pathlib.Path) -> None:
    world = drained(tmp_path)
    world.haproxy.seconds += 2.5
    result = enable(world)
    assert result.changed and only(result).as_dict() == {
        "name": "shop/app1",
        "before": {"admin": "drain", "status": "DRAIN"},
        "after": {"admin": "ready", "status": "UP"},
        "changed": True,
        "owner": None,
        "operator": False,
        "waited": 0.0,
        "sessions_cut": 0,
        "out_seconds": 2.5,
    }
    assert result.diff() == {"before": {"shop/app1": "drain"}, "after": {"shop/app1": "ready"}}
    assert world.marked() == {} and world.saved[-1]["shop/app1"] == "ready"


def test_the_second_time_changes_nothing_and_gives_no_order(tmp_path: pathlib.Path) -> None:
    world = drained(tmp_path)
    enable(world)
    world.haproxy.commands.clear()
    assert not enable(world).changed and world.haproxy.orders() == []


def test_check_mode_tells_and_touches_nothing(tmp_path: pathlib.Path) -> None:
    world = drained(tmp_path)
    result = enable(world, check_mode=True)
    assert result.changed and only(result).after.admin == "ready"
    assert world.haproxy.orders() == [] and world.marked() == {"shop/app1": "apphost"}


def test_out_seconds_last_until_it_is_up(tmp_path: pathlib.Path) -> None:
    world = drained(tmp_path)
    server = world.haproxy.backends["shop"]["app1"]
    server.up, server.passed = False, 0
    world.haproxy.seconds += 2.0
    outcome = only(enable(world))
    # Two checks, half a second apart.
    assert outcome.waited == pytest.approx(1.0, abs=0.05)
    assert outcome.out_seconds == pytest.approx(3.0, abs=0.05)


@pytest.mark.parametrize("state", [{"up": False, "passed": 0, "well": False}, {"going_down": True}])
def test_what_is_not_exactly_up_is_waited_for_and_then_a_failure(
    tmp_path: pathlib.Path, state: dict[str, t.Any]
) -> None:
    world = drained(tmp_path)
    for name, value in state.items():
        setattr(world.haproxy.backends["shop"]["app1"], name, value)
    with pytest.raises(
        ApphostError, match=r"not up within 3 s: shop/app1 is (DOWN|UP 1/3), last check: L7.*Ready it stays"
    ):
        enable(world, timeout=3.0)
    assert world.haproxy.seconds == pytest.approx(1003.0, abs=0.05)
    assert world.states()["shop/app1"] == "ready" and world.marked() == {}


@pytest.mark.parametrize("slow_from", [float("inf"), 1000.8])
def test_a_failure_names_the_last_check(tmp_path: pathlib.Path, slow_from: float) -> None:
    """Also when another one is under way at the end."""
    world = world_with(tmp_path, up=False, well=False, passed=0, slow_from=slow_from)
    with pytest.raises(ApphostError, match=r"L7STS/503 \(Warming\)"):
        enable(world, timeout=1.0)


@pytest.mark.parametrize("admin", ["drain", "maint"])
def test_what_an_operator_took_out_stays_out(tmp_path: pathlib.Path, admin: str) -> None:
    world = world_with(tmp_path, admin=admin, up=False, well=False)
    result = enable(world)
    assert not result.changed and only(result).operator and only(result).after.admin == admin
    assert world.haproxy.orders() == [] and world.haproxy.seconds == 1000.0


def test_another_owners_drain_stays(tmp_path: pathlib.Path) -> None:
    world = drained(tmp_path)
    assert only(enable(world, owner="maintenance")).operator
    assert world.states()["shop/app1"] == "drain" and world.marked() == {"shop/app1": "apphost"}
    assert only(enable(world, owner="maintenance", only_own=False)).after.admin == "ready"


def test_a_killed_drain_leaves_a_mark_that_an_operators_later_drain_does_not_inherit(tmp_path: pathlib.Path) -> None:
    world = world_with(tmp_path)
    world.marks.add(names("shop/app1"), "apphost")
    assert only(enable(world)).out_seconds is None
    world.haproxy.backends["shop"]["app1"].admin = "drain"
    assert only(enable(world)).operator


def test_a_killed_enable_is_finished_by_the_next(tmp_path: pathlib.Path) -> None:
    world = drained(tmp_path)
    world.haproxy.backends["shop"]["app1"].admin = "ready"
    result = enable(world)
    assert not result.changed and world.marked() == {}


def test_from_maintenance_it_is_drained_until_checks_have_passed(tmp_path: pathlib.Path) -> None:
    # HAProxy itself calls it up at once when it leaves maintenance.
    world = world_with(tmp_path, admin="maint", up=False, passed=0)
    outcome = only(enable(world, only_own=False))
    assert world.haproxy.orders() == [
        "set server shop/app1 state drain",
        "set server shop/app1 health down",
        "set server shop/app1 state ready",
    ]
    assert outcome.waited == pytest.approx(1.0, abs=0.05) and outcome.after.status == "UP"


def test_from_maintenance_never_into_service_when_its_checks_fail(tmp_path: pathlib.Path) -> None:
    world = world_with(tmp_path, admin="maint", well=False)
    with pytest.raises(ApphostError, match=r"L7STS/503.*in maintenance again, as before"):
        enable(world, only_own=False, timeout=3.0)
    assert world.states()["shop/app1"] == "maint"
    assert "set server shop/app1 state ready" not in world.haproxy.commands


def test_without_checks_it_is_enabled_with_a_warning(tmp_path: pathlib.Path) -> None:
    world = world_with(tmp_path, admin="maint", checked=False)
    result = enable(world, only_own=False)
    assert only(result).after.admin == "ready"
    assert "set server shop/app1 health down" not in world.haproxy.commands
    assert ["no health check" in warning for warning in result.warnings] == [True]


def test_weight_zero_is_a_warning(tmp_path: pathlib.Path) -> None:
    assert "weight 0" in enable(world_with(tmp_path, weight=0)).warnings[0]


def test_a_server_that_follows_another_is_refused(tmp_path: pathlib.Path) -> None:
    world = world_with(tmp_path, admin="maint", tracks=True)
    with pytest.raises(ApphostError, match="follows another server"):
        enable(world, only_own=False)
    assert world.haproxy.orders() == []


def test_a_haproxy_that_obeys_nothing_is_found_out_and_the_mark_stays(tmp_path: pathlib.Path) -> None:
    world = drained(tmp_path)
    world.haproxy.deaf = True
    with pytest.raises(ApphostError, match=r"was told to set ready, but shop/app1 is drain \(DRAIN\)"):
        enable(world)
    assert world.marked() == {"shop/app1": "apphost"}


def test_a_server_taken_out_again_meanwhile_is_no_success(tmp_path: pathlib.Path) -> None:
    world = drained(tmp_path)
    server = world.haproxy.backends["shop"]["app1"]
    server.up, server.passed = False, 0
    world.haproxy.at(0.4, lambda: setattr(server, "admin", "drain"))
    with pytest.raises(ApphostError, match="not ready any more"):
        enable(world)


def test_an_enable_that_cannot_be_saved_keeps_its_mark(tmp_path: pathlib.Path) -> None:
    world = drained(tmp_path)
    world.can_save = False
    assert only(enable(world)).after.admin == "ready"
    assert world.marked() == {"shop/app1": "apphost"}
