# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A batch: what comes back into the balancers after each kind of ending, and what people are told."""

from __future__ import annotations

import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.rollout.batch import (
    all_done,
    batch_drains,
    batch_servers,
    close_batch,
    close_return,
    early,
    judge_batch,
    revert_plan,
    rollout_outcomes,
    rollout_report,
    rollout_summary,
    servers_after,
    servers_to_enable,
)

OLD, NEW = "1.0.0-aaaaaaaaaa", "1.1.0-bbbbbbbbbb"
PLAN = {
    "hosts": {
        "app1": {"stage": [], "activate": {"shop": NEW}, "enable": []},
        "app2": {"stage": [], "activate": {"shop": NEW}, "enable": ["blog"]},
        "app3": {"stage": [], "activate": {"shop": NEW}, "enable": []},
    },
    "batches": [["app1", "app2"], ["app3"]],
    "revert": True,
    "back": False,
}
NEXT = ["shop/app3"]
HANDED_OVER = {"then_drained": [{"name": "shop/app3", "sessions_cut": 0}]}
DRAINED: list[dict[str, t.Any]] = [
    {"item": "lb1", "servers": [{"name": "shop/app1", "sessions_cut": 2}, {"name": "shop/app2", "sessions_cut": 0}]}
]
ENABLED: list[dict[str, t.Any]] = [
    {"item": "lb1", "servers": [{"name": "shop/app1", "out_seconds": 1.4}, {"name": "shop/app2", "out_seconds": 2.0}]}
]
ITEM = {"key": "shop", "value": NEW}


def activated(**more: t.Any) -> dict[str, t.Any]:
    return {
        "results": [{"item": ITEM, "changed": True, "release": NEW, "previous": OLD, "seconds": {"total": 0.8}, **more}]
    }


def failed(**more: t.Any) -> dict[str, t.Any]:
    return {
        "results": [{"item": ITEM, "msg": "web@3000 answers 503", "live": OLD, "log_lines": ["boom"], **more}],
    }


def test_what_only_comes_back_into_the_balancers_is_not_all_done() -> None:
    assert batch_servers(PLAN, ["app1", "app2"]) == ["shop/app1", "shop/app2"]


def test_a_good_batch_comes_back_whole() -> None:
    outcomes = judge_batch(PLAN, DRAINED, {"app1": activated(), "app2": activated()})
    assert servers_to_enable(outcomes) == ["shop/app1", "blog/app2", "shop/app2"]
    end = close_batch(PLAN, outcomes, DRAINED, ENABLED)
    assert not end["failed"]
    assert end["title"] == "Rolled: app1, app2"
    assert "app2  blog  put back into the balancers  (out of the balancer 2.0 s)" in end["lines"]
    assert end["lines"][0] == f"app1  shop  {NEW} is live  (out of the balancer 1.4 s, 2 sessions cut)"
    assert end["hosts"]["app2"]["seconds_out"] == 2.0


def registered() -> dict[str, t.Any]:
    """What the tasks leave at a host of the first batch."""
    enables = [{**ENABLED[0], **HANDED_OVER}]
    return {
        "__rollout_drain": {"results": DRAINED},
        "__rollout_enable": {"results": enables},
        "__rollout_activation": activated(),
    }


def test_a_good_batch_hands_over_to_the_next_one() -> None:
    outcomes = judge_batch(PLAN, DRAINED, {"app1": activated(), "app2": activated()})
    assert servers_after(PLAN, outcomes, DRAINED) == NEXT
    known = {"app1": registered(), "app2": registered(), "app3": {"__rollout_drain": {"results": DRAINED}}}
    assert batch_drains(PLAN, ["app1", "app2"], known) == DRAINED
    assert batch_drains(PLAN, ["app3"], known) == [{"item": "lb1", "servers": HANDED_OVER["then_drained"]}]


def test_the_last_batch_hands_over_to_none() -> None:
    assert servers_after(PLAN, judge_batch(PLAN, DRAINED, {"app3": activated()}), DRAINED) == []


def test_on_the_way_back_every_batch_is_taken_out_by_itself() -> None:
    back = {**PLAN, "back": True}
    outcomes = judge_batch(back, DRAINED, {"app1": activated(), "app2": activated()})
    assert servers_after(back, outcomes, DRAINED) == []
    own = [{"item": "lb1", "servers": []}]
    known = {"app1": registered(), "app2": registered(), "app3": {"__rollout_drain": {"results": own}}}
    assert batch_drains(back, ["app3"], known) == own


def test_the_ends_are_read_from_what_the_hosts_registered() -> None:
    known = {"app1": registered(), "app2": registered(), "app3": {"__rollout_drain": {"results": DRAINED}}}
    # The roll stopped before the second batch.
    assert [end["title"] for end in rollout_outcomes(PLAN, known)] == ["Rolled: app1, app2"]
    known["app3"] = {**known["app3"], "__rollout_enable": {"results": ENABLED}, "__rollout_activation": activated()}
    assert [end["title"] for end in rollout_outcomes(PLAN, known)] == ["Rolled: app1, app2", "Rolled: app3"]


def test_after_a_failure_nobody_is_taken_out() -> None:
    outcomes = judge_batch(PLAN, DRAINED, {"app1": failed(reverted=True), "app2": activated()})
    assert servers_after(PLAN, outcomes, DRAINED) == []
    outcomes = judge_batch(PLAN, [{"item": "lb1", "lost": "gone"}], {"app1": activated(), "app2": activated()})
    assert servers_after(PLAN, outcomes, [{"item": "lb1", "lost": "gone"}]) == []


def test_a_next_batch_that_was_not_drained_is_not_touched() -> None:
    outcomes = judge_batch(PLAN, DRAINED, {"app1": activated(), "app2": activated()})
    enables = [{**ENABLED[0], "msg": "shop without app3 has 0 servers up, not 1"}]
    # This batch is back; what could not be drained is the next one's failure.
    assert not close_batch(PLAN, outcomes, DRAINED, enables)["failed"]
    drains = batch_drains(PLAN, ["app3"], {"app1": {"__rollout_enable": {"results": enables}}})
    assert not all_done(drains, ["lb1"])
    following = judge_batch(PLAN, drains, {"app3": {"results": [], "skipped": True}})
    end = close_batch(PLAN, following, drains, [{"item": "lb1", "servers": []}])
    assert end["failed"]
    assert end["errors"][0].startswith(
        "balancer lb1: draining: shop without app3 has 0 servers up, not 1. No host of this batch was touched."
    )


def test_a_balancer_that_says_nothing_has_drained_nothing() -> None:
    assert not all_done([], ["lb1"])
    assert not all_done(DRAINED, ["lb1", "lb2"])
    assert all_done(DRAINED, ["lb1"])


def test_what_one_balancer_took_out_too_early_is_put_back() -> None:
    outcomes = judge_batch(PLAN, DRAINED, {"app1": activated(), "app2": activated()})
    enables = [{**ENABLED[0], **HANDED_OVER}, {"item": "lb2", "lost": "gone"}]
    end = close_batch(PLAN, outcomes, DRAINED, enables)
    assert end["failed"]
    assert batch_drains(PLAN, ["app3"], {"app1": {"__rollout_enable": {"results": enables}}}) == []
    assert early([end]) == NEXT
    assert close_return([end], [{"item": "lb1", "servers": []}, {"item": "lb2", "servers": []}])[1]["errors"] == []
    (_first, last) = close_return([end], [{"item": "lb1", "msg": "no socket"}, {"item": "lb2", "servers": []}])
    assert last["failed"]
    assert last["errors"][0].startswith("balancer lb1: putting back shop/app3: no socket. When this is mended")
    assert "no socket" in rollout_summary([end, last])


def test_nothing_is_put_back_when_all_went_well() -> None:
    end = close_batch(PLAN, judge_batch(PLAN, DRAINED, {"app1": activated()}), DRAINED, ENABLED)
    assert close_return([end], []) == [end]


def test_the_report_is_for_programs() -> None:
    end = close_batch(PLAN, judge_batch(PLAN, DRAINED, {"app1": activated(), "app2": activated()}), DRAINED, ENABLED)
    report = rollout_report([end])
    assert report == {
        "failed": False,
        "errors": [],
        "seconds_out": {"app1": 1.4, "app2": 2.0},
        "seconds_restart": {"app1": 0.8, "app2": 0.8},
        "sessions_cut": 2,
    }


def test_a_reverted_host_comes_back_with_its_old_release_and_the_reason_is_told() -> None:
    outcomes = judge_batch(PLAN, DRAINED, {"app1": failed(reverted=True), "app2": activated()})
    assert "shop/app1" in servers_to_enable(outcomes)
    end = close_batch(PLAN, outcomes, DRAINED, ENABLED)
    assert end["failed"]
    assert f"app1: activating {NEW} of app shop: web@3000 answers 503\n    | boom" in rollout_summary([end])


def test_a_reason_that_names_the_release_is_told_as_it_is() -> None:
    outcomes = judge_batch(PLAN, DRAINED, {"app1": failed(reverted=True, reason="503", msg="app shop: 503")})
    assert outcomes["app1"].errors == ["app1: app shop: 503\n    | boom"]


def test_a_host_that_refused_before_anything_changed_comes_back() -> None:
    for live, back in ((OLD, ["shop/app1"]), (None, [])):
        outcomes = judge_batch(PLAN, DRAINED, {"app1": failed(untouched=True, live=live)})
        assert servers_to_enable(outcomes) == back
        assert outcomes["app1"].errors


def test_a_host_with_nothing_healthy_stays_out() -> None:
    outcomes = judge_batch(PLAN, DRAINED, {"app1": failed(reverted=False), "app2": activated()})
    assert servers_to_enable(outcomes) == ["blog/app2", "shop/app2"]


def test_a_host_lost_in_the_middle_stays_out_and_the_way_on_is_told() -> None:
    outcomes = judge_batch(PLAN, DRAINED, {"app1": {"lost": "timed out"}, "app2": activated()})
    assert "shop/app1" not in servers_to_enable(outcomes)
    error = close_batch(PLAN, outcomes, DRAINED, ENABLED)["errors"][0]
    assert "cannot be reached (timed out). It stays out of the balancers" in error
    assert "run the same playbook again" in error


def test_a_balancer_that_does_not_drain_leaves_every_host_as_it_was() -> None:
    drains: list[dict[str, t.Any]] = [*DRAINED, {"item": "lb2", "lost": "no route"}]
    assert not all_done(drains)
    outcomes = judge_batch(PLAN, drains, {"app1": {"results": [], "skipped": True}, "app2": {"results": []}})
    assert servers_to_enable(outcomes) == ["shop/app1", "blog/app2", "shop/app2"]
    enables: list[dict[str, t.Any]] = [*ENABLED, {"item": "lb2", "lost": "no route"}]
    (error,) = close_batch(PLAN, outcomes, drains, enables)["errors"]
    assert error.startswith(
        "balancer lb2: draining: cannot be reached (no route). No host of this batch was touched. When this is mended,"
        " run the same playbook again"
    )


def test_a_balancer_lost_before_enabling_is_named_with_the_way_on() -> None:
    outcomes = judge_batch(PLAN, DRAINED, {"app1": activated(), "app2": activated()})
    end = close_batch(PLAN, outcomes, DRAINED, [*ENABLED, {"item": "lb2", "lost": "gone"}])
    assert end["failed"]
    assert "The batch may still be drained there. When this is mended, run the same" in end["errors"][0]


def test_a_crashed_module_is_a_failure_even_when_the_task_may_not_fail() -> None:
    outcomes = judge_batch(
        PLAN, DRAINED, {"app1": {"results": [{"item": ITEM, "failed": False, "msg": "MODULE FAILURE"}]}}
    )
    assert outcomes["app1"].errors


def test_what_was_rolled_before_a_release_was_given_up_is_taken_back_where_something_was_live_before() -> None:
    good = close_batch(PLAN, judge_batch(PLAN, DRAINED, {"app1": activated()}), DRAINED, ENABLED)
    first = close_batch(PLAN, judge_batch(PLAN, DRAINED, {"app2": activated(previous=None)}), DRAINED, ENABLED)
    bad = close_batch(PLAN, judge_batch(PLAN, DRAINED, {"app3": failed(reverted=True)}), DRAINED, ENABLED)
    assert bad["title"] == "Failed: app3"
    assert revert_plan([good])["order"] == []
    plan = revert_plan([good, first, bad])
    assert plan["order"] == ["app1"]
    assert plan["hosts"]["app1"]["activate"] == {"shop": OLD}
    again = {"results": [{"item": {"key": "shop", "value": OLD}, "changed": True, "release": OLD, "previous": NEW}]}
    back = close_batch(plan, judge_batch(plan, DRAINED, {"app1": again}), DRAINED, ENABLED)
    assert back["title"] == "Taken back: app1"
    assert revert_plan([good, first, bad, back]) == plan
    assert rollout_summary([good, first, bad, back]).splitlines()[-2:] == [
        "Taken back to the release before: app1.",
        "The new release stays on: app2.",
    ]


def test_nothing_is_taken_back_when_nobody_asked_for_it() -> None:
    plan = {**PLAN, "revert": False}
    good = close_batch(plan, judge_batch(plan, DRAINED, {"app1": activated()}), DRAINED, ENABLED)
    bad = close_batch(plan, judge_batch(plan, DRAINED, {"app2": failed(reverted=True)}), DRAINED, ENABLED)
    assert revert_plan([good, bad])["order"] == []
    assert rollout_summary([good, bad]).endswith("The new release stays on: app1.")


def test_a_lost_host_or_balancer_says_nothing_about_the_release() -> None:
    good = close_batch(PLAN, judge_batch(PLAN, DRAINED, {"app1": activated()}), DRAINED, ENABLED)
    lost = close_batch(PLAN, judge_batch(PLAN, DRAINED, {"app2": {"lost": "x"}}), DRAINED, ENABLED)
    dead: list[dict[str, t.Any]] = [{"item": "lb1", "msg": "no socket"}]
    enabling = close_batch(PLAN, judge_batch(PLAN, DRAINED, {"app2": activated()}), DRAINED, dead)
    draining = close_batch(PLAN, judge_batch(PLAN, dead, {"app2": {"results": []}}), dead, ENABLED)
    for end in (lost, enabling, draining):
        assert end["failed"]
        assert revert_plan([good, end])["order"] == []
