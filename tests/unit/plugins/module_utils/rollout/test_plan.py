# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan: who gets what, in which order, and when it is refused."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.rollout.fleet import Fleet, NotSetUp, read_fleet
from ansible_collections.evenkeel.apphost.plugins.module_utils.rollout.plan import (
    Plan,
    cut_batches,
    deploy_goals,
    make_plan,
    rollback_goals,
    share,
)

OLD, NEW = "1.0.0-aaaaaaaaaa", "1.1.0-bbbbbbbbbb"


def info(live: str | None = OLD, **more: t.Any) -> dict[str, t.Any]:
    """The app's entry of release_info: two running instances of the live release."""
    instances = [{"state": "active", "release": live} for _number in range(2)] if live else []
    staged = [live] if live else []
    return {
        "missing": [],
        "live": live,
        "previous": None,
        "staged": staged,
        "pending": None,
        "instances": instances,
        **more,
    }


def answer(**apps: dict[str, t.Any]) -> dict[str, t.Any]:
    return {"apps": apps}


def balancer(name: str = "lb1", **servers: str) -> dict[str, t.Any]:
    """One balancer with the backend ``shop``; values: ``UP``, ``DOWN``, ``drained`` (by us), ``operator``."""
    states = {
        "UP": {"op": "UP", "admin": "ready", "owner": None},
        "DOWN": {"op": "DOWN", "admin": "ready", "owner": None},
        "drained": {"op": "UP", "admin": "drain", "owner": "rollout"},
        "operator": {"op": "UP", "admin": "drain", "owner": None},
    }
    return {"item": name, "backends": {"shop": {host: states[state] for host, state in servers.items()}}}


def plan(
    hosts: dict[str, dict[str, t.Any]],
    lb: dict[str, t.Any] | list[dict[str, t.Any]],
    sizes: t.Sequence[int | str] = (1,),
    healthy: int | str = 1,
) -> Plan:
    fleet = read_fleet(hosts, lb if isinstance(lb, list) else [lb], ["shop"])
    return make_plan(fleet, deploy_goals(fleet, {"shop": NEW}), sizes, healthy)


THREE = {host: answer(shop=info()) for host in ("app1", "app2", "app3")}
ALL_UP = balancer(app1="UP", app2="UP", app3="UP")


def test_every_host_stages_and_rolls_one_at_a_time() -> None:
    facts = plan(THREE, ALL_UP).as_facts()
    assert facts["order"] == ["app1", "app2", "app3"]
    assert facts["serial"] == [1, 1, 1]
    assert facts["hosts"]["app2"] == {"stage": ["shop"], "activate": {"shop": NEW}, "enable": []}
    assert facts["lines"][0] == f"app1  shop  {OLD} -> {NEW}"


def test_the_release_command_runs_on_one_host_and_only_when_its_app_is_rolled() -> None:
    rolling = plan(THREE, ALL_UP)
    rolling.run_once(["shop", "blog"])
    assert rolling.commands == [{"app": "shop", "host": "app1"}]


def test_nothing_to_do_when_the_release_is_live_everywhere() -> None:
    hosts = {host: answer(shop=info(NEW)) for host in THREE}
    facts = plan(hosts, ALL_UP).as_facts()
    assert (facts["order"], facts["lines"]) == ([], [])


def test_a_staged_release_is_not_staged_again() -> None:
    hosts = {**THREE, "app1": answer(shop=info(staged=[OLD, NEW]))}
    work = plan(hosts, ALL_UP).hosts
    assert work["app1"]["stage"] == []
    assert work["app1"]["activate"] == {"shop": NEW}


@pytest.mark.parametrize(
    "state",
    [
        {"pending": {"release": NEW}},
        {"instances": [{"state": "failed", "release": NEW}]},
        {"instances": [{"state": "active", "release": OLD}]},
    ],
)
def test_a_host_that_does_not_really_run_the_live_release_is_mended(state: dict[str, t.Any]) -> None:
    hosts = {host: answer(shop=info(NEW)) for host in THREE}
    hosts["app2"] = answer(shop=info(NEW, **state))
    facts = plan(hosts, ALL_UP).as_facts()
    assert facts["order"] == ["app2"]
    assert "mend" in facts["lines"][0]


def test_hosts_that_serve_nothing_go_first_and_together() -> None:
    facts = plan(THREE, balancer(app1="UP", app2="DOWN", app3="DOWN")).as_facts()
    assert facts["order"] == ["app2", "app3", "app1"]
    assert facts["serial"] == [2, 1]


def test_the_first_deploy_rolls_all_hosts_at_once() -> None:
    hosts = {host: answer(shop=info(None)) for host in THREE}
    assert plan(hosts, balancer(app1="DOWN", app2="DOWN", app3="DOWN")).as_facts()["serial"] == [3]


def test_without_balancers_live_hosts_still_go_one_at_a_time() -> None:
    fleet = read_fleet(THREE, [], ["shop"])
    assert make_plan(fleet, deploy_goals(fleet, {"shop": NEW}), [1], 1).as_facts()["serial"] == [1, 1, 1]


def test_a_host_left_drained_by_us_is_put_back_but_an_operators_is_not() -> None:
    hosts = {host: answer(shop=info(NEW)) for host in THREE}
    facts = plan(hosts, balancer(app1="drained", app2="operator", app3="UP")).as_facts()
    assert facts["order"] == ["app1"]
    assert facts["hosts"]["app1"]["enable"] == ["shop"]
    assert facts["hosts"]["app2"]["enable"] == []


def test_a_host_that_one_balancer_left_drained_comes_back_before_another_one_goes() -> None:
    """A balancer died before it enabled app2, which runs the new release; only then may app1 go."""
    hosts = {"app1": answer(shop=info()), "app2": answer(shop=info(NEW))}
    facts = plan(hosts, [balancer(app1="UP", app2="UP"), balancer("lb2", app1="UP", app2="drained")]).as_facts()
    assert facts["order"] == ["app2", "app1"]
    assert facts["hosts"]["app2"]["enable"] == ["shop"]


def test_the_host_that_serves_least_goes_first() -> None:
    hosts = {"app1": answer(shop=info()), "app2": answer(shop=info())}
    facts = plan(hosts, [balancer(app1="UP", app2="UP"), balancer("lb2", app1="UP", app2="drained")]).as_facts()
    assert facts["order"] == ["app2", "app1"]


def test_every_refusal_is_said_at_once() -> None:
    hosts = {
        "app1": {"lost": "Failed to connect\nvia ssh"},
        "app2": answer(shop=info(None, missing=["user apphost-shop", "unit apphost-shop.target"])),
        "app3": {"msg": "crashed", "module_stderr": "Traceback\nBoom"},
    }
    balancers = [balancer(app1="UP"), {"item": "lb2", "msg": "no socket"}]
    with pytest.raises(ApphostError) as caught:
        read_fleet(hosts, balancers, ["shop"])
    message = caught.value.message
    assert "nothing was changed" in message
    assert "host app1 cannot be reached (Failed to connect via ssh)" in message
    assert "host app2 was never set up for app shop (no user apphost-shop, unit apphost-shop.target)" in message
    assert "host app3 crashed Boom" in message
    assert "balancer lb1 has no server shop/app2, shop/app3" in message
    assert "balancer lb2 no socket" in message
    assert message.endswith("or leave out what you can do without: --limit '!app1,!app3'")


def test_a_fleet_that_site_never_saw_is_told_apart_from_a_broken_one() -> None:
    bare = {"app1": answer(shop=info(None, missing=["user apphost-shop"]))}
    with pytest.raises(NotSetUp, match=r"Run site\.yml first"):
        read_fleet(bare, [{"item": "lb1", "msg": "no socket"}], ["shop"])
    with pytest.raises(ApphostError, match="Mend this") as caught:
        read_fleet(bare, [{"item": "lb1", "lost": "no route"}], ["shop"])
    assert not isinstance(caught.value, NotSetUp)


def test_a_batch_that_would_leave_too_few_hosts_is_refused() -> None:
    with pytest.raises(
        ApphostError, match="with app1 out, 1 of 3 hosts would serve app shop; rollout_min_healthy asks for 2"
    ):
        plan(THREE, balancer(app1="UP", app2="UP", app3="operator"), healthy="50%")


def test_a_single_host_needs_the_users_word() -> None:
    hosts = {"app1": answer(shop=info())}
    with pytest.raises(ApphostError, match="rollout_min_healthy: 0"):
        plan(hosts, balancer(app1="UP"))
    assert plan(hosts, balancer(app1="UP"), healthy=0).as_facts()["order"] == ["app1"]


def rollback_fleet(**previous: str | None) -> Fleet:
    hosts = {host: answer(shop=info(NEW, previous=old, staged=[NEW, OLD])) for host, old in previous.items()}
    return read_fleet(hosts, [], ["shop"])


def test_rollback_goes_to_the_last_good_release() -> None:
    assert rollback_goals(rollback_fleet(app1=OLD, app2=OLD), ["shop"]) == {
        "app1": {"shop": OLD},
        "app2": {"shop": OLD},
    }


def test_rollback_refuses_hosts_without_a_way_back_and_mixed_ways() -> None:
    with pytest.raises(ApphostError, match="host app2 has no earlier good release"):
        rollback_goals(rollback_fleet(app1=OLD, app2=None), ["shop"])
    with pytest.raises(ApphostError, match=r"no longer has release 0\.9\.0-cccccccccc"):
        rollback_goals(rollback_fleet(app1="0.9.0-cccccccccc"), ["shop"])
    fleet = rollback_fleet(app1=OLD, app2="0.9.0-cccccccccc")
    fleet.hosts["app2"]["shop"]["staged"].append("0.9.0-cccccccccc")
    with pytest.raises(ApphostError, match="different releases"):
        rollback_goals(fleet, ["shop"])


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([1], [["a"], ["b"], ["c"], ["d"], ["e"]]),
        ([1, "50%"], [["a"], ["b", "c", "d"], ["e"]]),
        (["100%"], [["a", "b", "c", "d", "e"]]),
        (["2"], [["a", "b"], ["c", "d"], ["e"]]),
    ],
)
def test_batches(sizes: list[int | str], expected: list[list[str]]) -> None:
    assert cut_batches("abcde", sizes) == expected


@pytest.mark.parametrize("sizes", [[0], ["0%"], ["many"], ["150%"], [-1], []])
def test_batches_that_make_no_sense_are_refused(sizes: list[int | str]) -> None:
    with pytest.raises(ApphostError, match="rollout_batches"):
        cut_batches("abc", sizes)


def test_shares_round_up() -> None:
    assert (share("25%", 5, "x"), share("0%", 5, "x"), share(3, 5, "x")) == (2, 0, 3)
