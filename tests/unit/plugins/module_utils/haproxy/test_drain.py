# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draining: what is refused, what is waited for, what is undone."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.drain import FAIL, FORCE, Drain
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.servers import Outcome, Result
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.workers import OldWorker

from .world import Haproxy, Server, World, names


def three(**changes: t.Any) -> Haproxy:
    return Haproxy(shop={"app1": Server(**changes), "app2": Server(), "app3": Server()})


def drain(
    world: World,
    *servers: str,
    min_up: int = 1,
    timeout: float = 10.0,
    on_deadline: str = FORCE,
    check_mode: bool = False,
    owner: str = "apphost",
) -> Result:
    action = Drain(world.balancer, owner, min_up, timeout, on_deadline)
    return action.run(names(*(servers or ("shop/app1",))), check_mode)


def only(result: Result) -> Outcome:
    (outcome,) = result.outcomes
    return outcome


def test_a_server_is_marked_set_and_saved(tmp_path: pathlib.Path) -> None:
    world = World(three(), tmp_path)
    result = drain(world)
    assert result.changed and only(result).as_dict() == {
        "name": "shop/app1",
        "before": {"admin": "ready", "status": "UP"},
        "after": {"admin": "drain", "status": "DRAIN"},
        "changed": True,
        "owner": "apphost",
        "operator": False,
        "waited": 0.0,
        "sessions_cut": 0,
        "out_seconds": None,
    }
    assert result.diff() == {"before": {"shop/app1": "ready"}, "after": {"shop/app1": "drain"}}
    assert world.marked() == {"shop/app1": "apphost"}
    assert world.saved == [{"shop/app1": "drain", "shop/app2": "ready", "shop/app3": "ready"}]


def test_the_mark_is_there_before_the_drain(tmp_path: pathlib.Path) -> None:
    # A run killed in between must not leave a drain that looks like an operator's.
    world = World(three(), tmp_path)
    marked: list[dict[str, str]] = []

    def spy(command: str) -> str:
        if command.startswith("set server"):
            marked.append(world.marked())
        return world.haproxy.ask(command)

    world.balancer.ask = spy
    drain(world)
    assert marked == [{"shop/app1": "apphost"}]


def test_the_second_time_changes_nothing_and_gives_no_order(tmp_path: pathlib.Path) -> None:
    world = World(three(), tmp_path)
    drain(world)
    since = world.marks.read()
    world.haproxy.commands.clear()
    world.haproxy.seconds += 60
    result = drain(world)
    assert not result.changed and only(result).owner == "apphost"
    assert world.haproxy.orders() == [] and world.marks.read() == since


def test_all_are_set_before_any_is_waited_for(tmp_path: pathlib.Path) -> None:
    haproxy = three(sessions=[1002.0])
    haproxy.backends["shop"]["app2"].sessions = [1003.0]
    result = drain(World(haproxy, tmp_path), "shop/app1", "shop/app2")
    assert haproxy.commands.index("set server shop/app2 state drain") < haproxy.commands.index("show stat shop 4 -1", 4)
    waited = [outcome.waited for outcome in result.outcomes]
    assert waited == pytest.approx([2.0, 3.0], abs=0.05)
    assert haproxy.seconds == pytest.approx(1003.0, abs=0.05)


def test_check_mode_tells_and_touches_nothing(tmp_path: pathlib.Path) -> None:
    world = World(three(sessions=[2000.0]), tmp_path)
    result = drain(world, check_mode=True)
    assert result.changed and only(result).after.admin == "drain"
    assert world.haproxy.orders() == [] and list(tmp_path.iterdir()) == [] and world.haproxy.seconds == 1000.0


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize(
    ("servers", "words"),
    [
        (["shop/app1", "shop/app9"], "shop/app9: no such server .known: app1, app2, app3"),
        (["shop/app1", "shopp/app1"], r"shopp/app1: no such server \(no such backend\)"),
    ],
)
def test_a_mistyped_server_is_refused_before_the_others_are_touched(
    tmp_path: pathlib.Path, servers: list[str], words: str, check_mode: bool
) -> None:
    world = World(three(), tmp_path)
    with pytest.raises(ApphostError, match=words):
        drain(world, *servers, check_mode=check_mode)
    assert world.haproxy.orders() == [] and world.marked() == {}


def test_a_socket_without_the_level_is_refused_before_anything(tmp_path: pathlib.Path) -> None:
    world = World(Haproxy(level="operator", shop={"app1": Server(), "app2": Server()}), tmp_path)
    with pytest.raises(ApphostError, match="level operator, not admin"):
        drain(world)
    assert world.haproxy.commands == ["show cli level"]


@pytest.mark.parametrize(
    "others",
    [
        {},
        {"app2": Server(up=False)},
        {"app2": Server(admin="drain")},
        {"app2": Server(admin="maint")},
        {"app2": Server(going_down=True)},
        {"app2": Server(weight=0)},
    ],
)
def test_the_last_server_is_not_taken(tmp_path: pathlib.Path, others: dict[str, Server]) -> None:
    world = World(Haproxy(shop={"app1": Server(), **others}), tmp_path)
    with pytest.raises(ApphostError, match="nothing was changed: shop without app1 has 0 servers up, not 1"):
        drain(world)
    assert world.haproxy.orders() == []
    assert only(drain(world, min_up=0)).after.admin == "drain"


def test_servers_taken_together_do_not_count_for_each_other(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ApphostError, match="shop without app1, app2 has 1 servers up, not 2"):
        drain(World(three(), tmp_path), "shop/app1", "shop/app2", min_up=2)


def test_a_server_that_is_down_may_always_go(tmp_path: pathlib.Path) -> None:
    world = World(Haproxy(shop={"app1": Server(up=False, well=False), "app2": Server(up=False)}), tmp_path)
    assert only(drain(world)).after.admin == "drain"


@pytest.mark.parametrize("admin", ["drain", "maint"])
def test_what_an_operator_took_out_stays_the_operators(tmp_path: pathlib.Path, admin: str) -> None:
    world = World(three(admin=admin), tmp_path)
    result = drain(world)
    assert not result.changed and only(result).operator and only(result).owner is None
    assert world.marked() == {} and world.haproxy.orders() == []


def test_another_owners_drain_is_told_and_left(tmp_path: pathlib.Path) -> None:
    world = World(three(), tmp_path)
    drain(world, owner="maintenance")
    outcome = only(drain(world))
    assert (outcome.owner, outcome.operator, outcome.changed) == ("maintenance", True, False)
    assert world.marked() == {"shop/app1": "maintenance"}


def test_a_mark_of_a_server_that_was_put_into_maintenance_is_void(tmp_path: pathlib.Path) -> None:
    world = World(three(), tmp_path)
    drain(world)
    world.haproxy.backends["shop"]["app1"].admin = "maint"
    assert only(drain(world)).operator and world.marked() == {}


def test_at_the_deadline_what_is_left_is_cut_and_counted(tmp_path: pathlib.Path) -> None:
    world = World(three(sessions=[9999.0, 9999.0, 1001.0]), tmp_path)
    result = drain(world, timeout=2.0)
    assert only(result).sessions_cut == 2 and only(result).after.admin == "drain"
    assert "shutdown sessions server shop/app1" in world.haproxy.commands


def test_a_second_drain_that_cuts_is_a_change(tmp_path: pathlib.Path) -> None:
    world = World(three(admin="drain", sessions=[9999.0]), tmp_path)
    result = drain(world, timeout=1.0)
    assert result.changed and only(result).sessions_cut == 1 and result.diff() == {"before": {}, "after": {}}


def test_sessions_that_do_not_end_are_a_failure_and_the_server_serves_again(tmp_path: pathlib.Path) -> None:
    world = World(three(sessions=[9999.0], cuttable=False), tmp_path)
    with pytest.raises(ApphostError, match=r"do not end although shut down.*shop/app1: ready again, as before"):
        drain(world, timeout=1.0)
    assert world.states()["shop/app1"] == "ready" and world.marked() == {}


def test_fail_puts_back_what_this_call_took_and_nothing_else(tmp_path: pathlib.Path) -> None:
    haproxy = three(sessions=[9999.0])
    world = World(haproxy, tmp_path)
    drain(world, "shop/app2")
    with pytest.raises(ApphostError, match=r"shop/app1 has 1 under way.*shop/app1: ready again"):
        drain(world, "shop/app1", "shop/app2", timeout=2.0, on_deadline=FAIL)
    assert world.states() == {"shop/app1": "ready", "shop/app2": "drain", "shop/app3": "ready"}
    assert world.marked() == {"shop/app2": "apphost"}
    assert world.saved[-1] == world.states()
    assert not any(command.startswith("shutdown") for command in haproxy.commands)


def test_a_drain_that_cannot_be_saved_keeps_its_mark_when_undone(tmp_path: pathlib.Path) -> None:
    # Else a restart could bring the drain back, and nobody would know that it is ours.
    world = World(three(sessions=[9999.0]), tmp_path)
    world.can_save = False
    with pytest.raises(ApphostError):
        drain(world, timeout=1.0, on_deadline=FAIL)
    assert world.states()["shop/app1"] == "ready" and world.marked() == {"shop/app1": "apphost"}


def test_a_haproxy_that_obeys_nothing_is_found_out(tmp_path: pathlib.Path) -> None:
    world = World(three(), tmp_path)
    world.haproxy.deaf = True
    with pytest.raises(ApphostError, match=r"was told to set drain, but shop/app1 is ready \(UP\)"):
        drain(world)


def test_a_server_that_is_put_back_meanwhile_is_no_success(tmp_path: pathlib.Path) -> None:
    haproxy = three(sessions=[1003.0])
    haproxy.at(1.0, lambda: setattr(haproxy.backends["shop"]["app1"], "admin", "ready"))
    with pytest.raises(ApphostError, match="shop/app1: ready again although just drained"):
        drain(World(haproxy, tmp_path))


def test_clients_of_before_a_reload_are_waited_for(tmp_path: pathlib.Path) -> None:
    haproxy = three()
    haproxy.old_workers = [OldWorker(7, 1, {})]
    haproxy.at(4.0, haproxy.old_workers.clear)
    outcome = only(drain(World(haproxy, tmp_path)))
    assert outcome.waited == pytest.approx(4.0, abs=0.05)


def test_a_tunnel_of_before_a_reload_to_another_server_is_not(tmp_path: pathlib.Path) -> None:
    haproxy = three()
    haproxy.old_workers = [OldWorker(7, 0, dict.fromkeys(names("shop/app2"), 1))]
    assert only(drain(World(haproxy, tmp_path))).waited == 0.0


def test_what_an_old_worker_still_has_at_the_deadline_is_a_warning(tmp_path: pathlib.Path) -> None:
    haproxy = three()
    haproxy.old_workers = [OldWorker(7, 2, dict.fromkeys(names("shop/app1"), 1))]
    result = drain(World(haproxy, tmp_path), timeout=1.0)
    (warning,) = result.warnings
    assert "Requests may be lost" in warning and "process 7" in warning and "2 clients" in warning
    with pytest.raises(ApphostError, match="process 7 from before a reload still has"):
        drain(World(haproxy, tmp_path / "x"), "shop/app2", timeout=1.0, on_deadline=FAIL)
