# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Activation in a made-up host: real folders, links and journal; the processes, the clock and HTTP are simulated."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import typing as t
from dataclasses import dataclass, field, replace

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.health import Answer, Check
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import AppLayout
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.activate import Activation, Host
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.host import live_release
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.identity import release_id
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.journal import Journal
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.verify import SETTLE, SETTLE_ALONE, Probe
from ansible_collections.evenkeel.apphost.plugins.module_utils.rollout.fleet import trouble
from ansible_collections.evenkeel.apphost.plugins.module_utils.supervisor.base import Snapshot, UnitState
from ansible_collections.evenkeel.apphost.plugins.module_utils.waiter import Clock

WEB0, WEB1, WORKER = (
    "apphost-hello-web@3000.service",
    "apphost-hello-web@3001.service",
    "apphost-hello-worker@1.service",
)


@dataclass
class Behaviour:
    """How the programs of one release behave."""

    boot: float = 0.2
    status: int = 200
    header: str | None = "own"
    crash_after: float | None = None
    crashing: tuple[str, ...] = (WEB0, WEB1, WORKER)
    refused: str | None = None


@dataclass
class Unit:
    enabled: bool = False
    release: str | None = None
    pid: int = 0
    started: float = 0.0
    restarts: int = 0


@dataclass
class World:
    """A host. ``calls`` are what was asked of the supervisor, queries left out."""

    layout: AppLayout
    seconds: float = 1000.0
    units: dict[str, Unit] = field(default_factory=dict)
    defined: tuple[str, ...] = (WEB0, WEB1, WORKER)
    behaviour: dict[str, Behaviour] = field(default_factory=dict)
    calls: list[tuple[str, list[str]]] = field(default_factory=list)
    requests: int = 0
    pids: int = 100

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def _unit(self, name: str) -> Unit:
        return self.units.setdefault(name, Unit())

    def _behaviour(self, unit: Unit) -> Behaviour:
        return self.behaviour[unit.release or ""]

    def _live(self, name: str) -> Unit:
        """The unit, after what its behaviour made of it until now: a new process a second after each crash."""
        unit = self._unit(name)
        if unit.pid:
            after = self._behaviour(unit).crash_after
            if after is not None and name in self._behaviour(unit).crashing:
                unit.restarts = int((self.seconds - unit.started) // (after + 1.0))
        return unit

    def states(self, units: t.Sequence[str]) -> Snapshot:
        self.seconds += 0.01
        return {name: self._state(name) for name in units}

    def _state(self, name: str) -> UnitState:
        unit = self._live(name)
        dead = UnitState(name, name in self.defined, "inactive", "dead", 0, 0, "success", 0, None, unit.enabled)
        if not unit.pid:
            return dead
        after = self._behaviour(unit).crash_after
        if after is not None and name in self._behaviour(unit).crashing:
            in_turn = (self.seconds - unit.started) % (after + 1.0)
            if in_turn >= after:
                return replace(
                    dead,
                    active="activating",
                    sub="auto-restart",
                    restarts=unit.restarts,
                    result="exit-code",
                    exit_status=1,
                )
        return replace(dead, active="active", sub="running", pid=unit.pid + unit.restarts, restarts=unit.restarts)

    def instances(self, app: str) -> Snapshot:
        assert app == "hello"
        return {name: self._state(name) for name, unit in sorted(self.units.items()) if unit.pid or unit.enabled}

    def restart(self, units: t.Sequence[str]) -> None:
        if units:
            self.calls.append(("restart", list(units)))
            self.seconds += 0.1
        for name in units:
            unit = self._unit(name)
            unit.release = live_release(self.layout)
            refused = self._behaviour(unit).refused
            unit.pid, unit.started, unit.restarts = (0 if refused == name else self.pids), self.seconds, 0
            self.pids += 100
        if any(self._unit(name).pid == 0 for name in units):
            raise ApphostError("systemctl restart failed: Job failed", " ".join(units))

    def start(self, units: t.Sequence[str]) -> None:
        raise AssertionError("activation restarts")

    def stop(self, units: t.Sequence[str]) -> None:
        if units:
            self.calls.append(("stop", list(units)))
        for name in units:
            self._unit(name).pid = 0

    def enable(self, units: t.Sequence[str]) -> None:
        if units:
            self.calls.append(("enable", list(units)))
        for name in units:
            self._unit(name).enabled = True

    def disable(self, units: t.Sequence[str]) -> None:
        if units:
            self.calls.append(("disable", list(units)))
        for name in units:
            self._unit(name).enabled = False

    def log_lines(self, unit: str, since: float, count: int) -> list[str]:
        return [f"journal of {unit}"]

    def release_of(self, pid: int) -> str | None:
        return next(
            (unit.release for unit in self.units.values() if unit.pid and unit.pid <= pid < unit.pid + 50), None
        )

    def ask_all(self, ports: t.Sequence[int], check: Check) -> dict[int, Answer]:
        return {port: self._answer(self.units[f"apphost-hello-web@{port}.service"]) for port in ports}

    def _answer(self, unit: Unit) -> Answer:
        self.requests += 1
        behaviour = self._behaviour(unit)
        if self.seconds - unit.started < behaviour.boot:
            return Answer(error="nothing listens")
        return Answer(behaviour.status, unit.release if behaviour.header == "own" else behaviour.header)

    def journal_events(self) -> list[tuple[str, str, str | None]]:
        return [(entry.event, entry.release, entry.previous) for entry in Journal(self.layout.journal).entries()]

    def activate(self, release: str, timeout: float | None = None) -> dict[str, t.Any]:
        self.calls.clear()
        return self.activation(release, timeout).run()

    def activation(self, release: str, timeout: float | None = None) -> Activation:
        probe = Probe(self.states, self.release_of, self.ask_all, Clock(lambda: self.seconds, self.sleep))
        return Activation(self.layout, release, Host(self, probe, Journal(self.layout.journal)), timeout)

    def stage(
        self, version: str, units: tuple[str, ...] = (WEB0, WEB1), health: bool = True, **behaviour: t.Any
    ) -> str:
        """Put a release on the host; returns its id."""
        instances = []
        for unit in units:
            process, _at, instance = unit[len("apphost-hello-") : -len(".service")].partition("@")
            instances.append(
                {"process": process, "id": instance, "port": int(instance) if process == "web" else None, "unit": unit}
            )
        check = {
            "process": "web",
            "path": "/healthz",
            "status": 200,
            "consecutive": 3,
            "interval": 0.1,
            "timeout": 30,
            "request_timeout": 2,
            "release_header": "X-Apphost-Release",
        }
        manifest: dict[str, t.Any] = {
            "schema": 1,
            "app": "hello",
            "version": version,
            "artifact": {"sha256": "a" * 64, "size": 1, "files": 1},
            "lockfile": None,
            "runtime": {"name": "nodejs", "version": "24.21.0", "root": f"{self.layout.base}/runtime"},
            "dependencies": {},
            "processes": {},
            "instances": instances,
            "health": check if health else None,
            "env": {},
            "env_digest": version,
            "supervisor": "systemd",
            "user": "apphost-hello",
            "group": "apphost-hello",
            "release_command": None,
            "keep_releases": 5,
        }
        release = release_id(manifest)
        folder = pathlib.Path(self.layout.release(release))
        folder.mkdir(parents=True)
        (folder / "release.json").write_text(json.dumps({**manifest, "id": release}))
        self.behaviour[release] = Behaviour(**behaviour)
        return release


@pytest.fixture
def world(tmp_path: pathlib.Path) -> World:
    layout = AppLayout("hello", base=str(tmp_path))
    for folder in (layout.state, layout.logs, layout.releases, f"{tmp_path}/runtime/bin"):
        os.makedirs(folder)
    return World(layout)


def failure(world: World, release: str) -> ApphostError:
    with pytest.raises(ApphostError) as caught:
        world.activate(release)
    return caught.value


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


def interrupt(world: World, release: str, previous: str, switched: bool) -> None:
    """The host lost its power in the middle of an activation; systemd started what ``current`` says at boot."""
    Journal(world.layout.journal).append("activating", release, previous)
    if switched:
        os.unlink(world.layout.current)
        os.symlink(f"releases/{release}", world.layout.current)
        world.restart([WEB0, WEB1])


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
