# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Activating a release: what is switched, restarted and proven, and what is refused before."""

from __future__ import annotations

import os
import pathlib
import signal
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.health import Answer, Check
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.host import live_release
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.verify import SETTLE, SETTLE_ALONE
from ansible_collections.evenkeel.apphost.plugins.module_utils.rollout.fleet import trouble

from .world import WEB0, WEB1, WORKER, Behaviour, World, failure, interrupt


def test_the_first_release_comes_live(world: World) -> None:
    one = world.stage("1")
    result = world.activate(one)
    assert (result["changed"], result["release"], result["previous"]) == (True, one, None)
    assert os.readlink(world.layout.current) == f"releases/{one}"
    assert world.calls == [("enable", [WEB0, WEB1]), ("restart", [WEB0, WEB1])]
    assert world.journal_events() == [("activating", one, None), ("activated", one, None)]
    assert set(result["seconds"]) == {"stop_start", "verify", "total"}


def test_the_second_release_restarts_every_instance_in_one_call(world: World) -> None:
    one, two = world.stage("1"), world.stage("2")
    world.activate(one)
    result = world.activate(two)
    assert result["previous"] == one
    assert world.calls == [("restart", [WEB0, WEB1])]
    assert world.journal_events()[-2:] == [("activating", two, one), ("activated", two, one)]


def test_what_is_live_and_runs_is_left_alone(world: World) -> None:
    one = world.stage("1")
    world.activate(one)
    journal, requests = world.journal_events(), world.requests
    result = world.activate(one)
    assert result["changed"] is False
    assert result["diff"]["before"] == result["diff"]["after"]
    assert (world.calls, world.journal_events(), world.requests) == ([], journal, requests)


def test_a_release_that_names_itself_is_proven_by_one_answer(world: World) -> None:
    one = world.stage("1", units=(WEB0,), boot=0.0)
    world.activate(one)
    assert world.requests == 1


def test_a_release_without_header_has_to_pass_three_times_an_interval_apart(world: World) -> None:
    one = world.stage("1", units=(WEB0,), boot=0.0, header=None)
    assert world.activate(one)["seconds"]["verify"] >= 0.2
    assert world.requests == 3


def test_only_the_instance_that_died_is_started_again(world: World) -> None:
    one = world.stage("1")
    world.activate(one)
    world.units[WEB1].pid = 0
    journal = world.journal_events()
    result = world.activate(one)
    assert (result["changed"], result["restarted"]) == (True, [WEB1])
    assert world.calls == [("restart", [WEB1])]
    assert world.journal_events() == journal


def test_an_instance_that_still_runs_another_release_is_restarted(world: World) -> None:
    one = world.stage("1")
    world.activate(one)
    world.units[WEB0].release = "0-aaaaaaaaaa"
    world.behaviour["0-aaaaaaaaaa"] = Behaviour()
    assert world.activate(one)["restarted"] == [WEB0]


def test_instances_the_new_release_does_not_have_are_stopped_and_disabled(world: World) -> None:
    one, two = world.stage("1", units=(WEB0, WEB1, WORKER)), world.stage("2", units=(WEB0,))
    world.activate(one)
    world.activate(two)
    assert world.calls == [("disable", [WEB1, WORKER]), ("stop", [WEB1, WORKER]), ("restart", [WEB0])]


@pytest.mark.parametrize(("health", "settle"), [(True, SETTLE), (False, SETTLE_ALONE)])
def test_a_worker_has_to_stay_alive_for_a_while(world: World, health: bool, settle: float) -> None:
    one = world.stage("1", units=(WORKER,), health=health)
    assert settle <= world.activate(one)["seconds"]["verify"] < settle + 0.3


def test_a_worker_that_ends_soon_is_noticed_beside_a_healthy_web(world: World) -> None:
    one = world.stage("1", units=(WEB0, WORKER), crash_after=0.2, crashing=(WORKER,))
    error = failure(world, one)
    assert error.details["failed_instance"] == WORKER
    assert error.details["reason"].startswith("instance worker 1: its program ended 2 times")


def test_an_instance_proven_that_dies_before_the_others_are_ready_has_to_be_proven_again(world: World) -> None:
    one = world.stage("1", units=(WEB0, WORKER), boot=0.0, crash_after=0.25, crashing=(WEB0,))
    # The worker settles after 0.3 s. Web answered at once, but that process is gone by then; the next comes 1 s later.
    assert world.activate(one)["seconds"]["verify"] > 1.2


def test_the_plan_changes_nothing(world: World) -> None:
    one, two = world.stage("1"), world.stage("2")
    world.activate(one)
    world.calls.clear()
    before = sorted(os.listdir(world.layout.state)), world.journal_events()
    activation = world.activation(two)
    result = activation.result(activation.plan())
    assert (result["changed"], result["previous"], result["restarted"]) == (True, one, [WEB0, WEB1])
    assert result["diff"]["before"] == f"live: {one}\n"
    assert result["diff"]["after"].startswith(f"live: {two}\n")
    assert (sorted(os.listdir(world.layout.state)), world.journal_events()) == before
    assert (world.calls, live_release(world.layout)) == ([], one)


def writes(world: World, monkeypatch: pytest.MonkeyPatch, unit: str, text: str) -> None:
    """Let a restart of ``unit`` write to its log file."""
    restart = world.restart
    process, _at, instance = unit[len("apphost-hello-") : -len(".service")].partition("@")

    def restart_and_write(units: t.Sequence[str]) -> None:
        with open(f"{world.layout.logs}/{process}-{instance}.log", "a", encoding="utf-8") as log:
            log.write(text)
        restart(units)

    monkeypatch.setattr(world, "restart", restart_and_write)


def test_a_file_the_instance_writes_to_beats_the_journal(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    one = world.stage("1", status=500)
    writes(world, monkeypatch, WEB0, "".join(f"line {number}\n" for number in range(100)))
    assert failure(world, one).details["log_lines"] == [f"line {number}" for number in range(80, 100)]


def test_what_was_in_the_file_before_the_restart_says_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    one = world.stage("1", status=500)
    log = pathlib.Path(world.layout.logs, "web-3000.log")
    log.write_text("old\n")
    assert failure(world, one).details["log_lines"] == [f"journal of {WEB0}"]
    writes(world, monkeypatch, WEB0, "new\n")
    assert failure(world, one).details["log_lines"] == ["new"]


def test_a_timeout_given_beats_the_releases_own(world: World) -> None:
    one = world.stage("1", status=500)
    with pytest.raises(ApphostError, match=r"not well within 1\.5 s"):
        world.activate(one, timeout=1.5)


def test_signals_do_not_stop_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    one = world.stage("1")
    handlers = []
    ask_all = world.ask_all

    def hang_up(ports: t.Sequence[int], check: Check) -> dict[int, Answer]:
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
            handlers.append(signal.getsignal(number))
        return ask_all(ports, check)

    monkeypatch.setattr(world, "ask_all", hang_up)
    assert world.activate(one)["release"] == one
    assert set(handlers) == {signal.SIG_IGN}
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("unit", "no such unit"),
        ("runtime/bin", "runtime is not installed"),
        ("release.json", "is not on this host"),
        ("state", "never set up"),
    ],
)
def test_what_is_missing_is_said_before_anything_changes(world: World, missing: str, message: str) -> None:
    one = world.stage("1")
    if missing == "unit":
        world.defined = (WEB0,)
    elif missing == "release.json":
        os.remove(f"{world.layout.release(one)}/release.json")
    else:
        os.rmdir(world.layout.state if missing == "state" else f"{world.layout.base}/{missing}")
    with pytest.raises(ApphostError, match=message):
        world.activate(one)
    assert (world.calls, live_release(world.layout)) == ([], None)


def test_a_refusal_says_that_what_ran_before_runs_on(world: World) -> None:
    one, two, three = world.stage("1"), world.stage("2"), world.stage("3")
    world.activate(one)
    os.remove(f"{world.layout.release(three)}/release.json")
    details = failure(world, three).details
    assert (details["untouched"], details["live"]) == (True, one)
    interrupt(world, two, one, switched=True)
    assert failure(world, three).details["untouched"] is False


def test_no_failure_looks_like_a_success_to_the_rollout(world: World) -> None:
    """`release` is what the rollout knows a success by, when the task may not fail."""
    one, two = world.stage("1"), world.stage("2", status=500)
    assert trouble(world.activate(one), "release") is None
    reverted = failure(world, two).as_result()
    os.remove(f"{world.layout.release(two)}/release.json")
    refused = failure(world, two).as_result()
    assert trouble(reverted, "release") and trouble(refused, "release")


def test_a_release_id_is_not_a_path(world: World) -> None:
    with pytest.raises(ApphostError, match="not a release id"):
        world.activate("../../../etc")
