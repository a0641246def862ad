# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A made-up host for activations: real folders, links and journal; processes, clock and HTTP are simulated."""

from __future__ import annotations

import json
import os
import pathlib
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
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.verify import Probe
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
        dead = UnitState(name, name in self.defined, "inactive", "dead", 0, 0, "success", 0, unit.enabled)
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


def failure(world: World, release: str) -> ApphostError:
    with pytest.raises(ApphostError) as caught:
        world.activate(release)
    return caught.value


def interrupt(world: World, release: str, previous: str, switched: bool) -> None:
    """The host lost its power in the middle of an activation; systemd started what ``current`` says at boot."""
    Journal(world.layout.journal).append("activating", release, previous)
    if switched:
        os.unlink(world.layout.current)
        os.symlink(f"releases/{release}", world.layout.current)
        world.restart([WEB0, WEB1])
