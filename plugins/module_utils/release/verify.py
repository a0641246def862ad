# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proof that every instance of a release really runs, from that release, and is well.

An instance is proven when its unit is active with a main process whose working directory is the release's
app folder, and that same process

- names the release in its answer to the health check, with the expected status (once is enough), or
- passes the health check ``consecutive`` times, one ``interval`` apart, when it names no release, or
- has stayed alive for :data:`SETTLE` seconds, when no health check is for it (:data:`SETTLE_ALONE` if for none at all).

When all are, the supervisor is asked once more: every one of these processes still has to be there.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.evenkeel.apphost.plugins.module_utils.health import Answer, Check, verdict
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.manifest import Health, Instance, Manifest
from ansible_collections.evenkeel.apphost.plugins.module_utils.supervisor.base import Snapshot, UnitState
from ansible_collections.evenkeel.apphost.plugins.module_utils.waiter import Clock, WaitTimeoutError, wait_until

# Seconds between two looks, and between two questions to the supervisor. A refused connection costs nothing; a question
# costs 10-20 ms of the processor that the booting programs need, and a host is out of the balancer meanwhile.
STEP = 0.05
STATES_STEP = 0.2

# A program that cannot work (module not found, no database) mostly ends while it loads: Node.js takes 0.1-0.5 s. Beside
# instances that have to answer, which takes them as long, a short time will do: a host is out of the balancer. An app
# that nobody can ask is in no balancer.
SETTLE = 0.3
SETTLE_ALONE = 2.0

# The first crash may be bad luck, a second one is a habit: no need to wait for the rest of the time.
CRASHES = 2


class UnprovenError(Exception):
    """An instance does not run as it should, and will not by waiting longer."""

    def __init__(self, instance: Instance, reason: str) -> None:
        self.instance = instance
        self.reason = reason
        super().__init__(f"{instance['unit']}: {reason}")


@dataclass
class _Progress:
    """What one process (not the next one in the same unit) has shown so far; times of the monotonic clock."""

    pid: int
    since: float
    passed: int = 0
    ask_at: float = 0.0
    proven: bool = False


@dataclass(frozen=True)
class Probe:
    """How to look at a host."""

    states: t.Callable[[t.Sequence[str]], Snapshot]
    release_of: t.Callable[[int], str | None]
    ask_all: t.Callable[[t.Sequence[int], Check], dict[int, Answer]]
    clock: Clock = field(default_factory=Clock)


class Verification:
    """Watches the instances of a release until all are proven. ``host``: the Host header of health checks."""

    def __init__(self, manifest: Manifest, probe: Probe, host: str) -> None:
        self._release = manifest["id"]
        self._instances = manifest["instances"]
        self._health = health = manifest["health"]
        self._check = (
            Check(health["path"], health["status"], health["request_timeout"], health["release_header"], host)
            if health
            else None
        )
        self._settle = SETTLE if health else SETTLE_ALONE
        self._probe = probe
        self._progress: dict[str, _Progress] = {}
        self._down: dict[str, str] = {}
        self._states_due = 0.0

    def wait(self, timeout: float) -> None:
        """Return when all are proven; raises :class:`UnprovenError` if one is not within ``timeout`` seconds."""
        try:
            wait_until(self.look, lambda missing: not missing, timeout, STEP, self._probe.clock)
        except WaitTimeoutError as over:
            instance, reason = over.last[0]
            raise UnprovenError(instance, f"not well within {timeout:g} s: {reason}") from None

    def look(self) -> list[tuple[Instance, str]]:
        """Look once; returns the instances not yet proven, each with what is missing."""
        fresh = self._probe.clock.now() >= self._states_due
        if fresh:
            self._look_at_processes()
        missing = {**self._down, **self._answers([i for i in self._instances if i["unit"] not in self._down])}
        if not missing and not fresh:
            self._states_due = 0.0
            return self.look()
        return [(instance, missing[instance["unit"]]) for instance in self._instances if instance["unit"] in missing]

    def _look_at_processes(self) -> None:
        states = self._probe.states([instance["unit"] for instance in self._instances])
        complaints = {i["unit"]: self._process(i, states[i["unit"]]) for i in self._instances}
        self._down = {unit: complaint for unit, complaint in complaints.items() if complaint}
        self._states_due = self._probe.clock.now() + STATES_STEP

    def _process(self, instance: Instance, state: UnitState) -> str | None:
        """What is wrong with the process of an instance, before anybody asks it anything."""
        crashes = state.restarts + state.sub.startswith("auto-restart")
        if state.active == "failed" or crashes >= CRASHES:
            ended = f"ended {crashes} times" if crashes > 1 else "ended"
            raise UnprovenError(instance, f"its program {ended} ({state.result}, exit status {state.exit_status})")
        progress = self._progress.get(instance["unit"])
        if not state.running:
            self._progress.pop(instance["unit"], None)
            return f"it is {state.active} ({state.sub})"
        if progress is None or progress.pid != state.pid:
            release = self._probe.release_of(state.pid)
            if release != self._release:
                return f"process {state.pid} runs from {release or 'no release'}"
            self._progress[instance["unit"]] = _Progress(state.pid, self._probe.clock.now())
        return None

    def _answers(self, instances: t.Sequence[Instance]) -> dict[str, str]:
        """Let the running instances go on with their proof; returns what each still lacks, by unit."""
        now = self._probe.clock.now()
        asked: dict[int, Instance] = {}
        missing: dict[str, str] = {}
        for instance in instances:
            progress = self._progress[instance["unit"]]
            if progress.proven:
                continue
            if self._health and self._health["process"] == instance["process"] and instance["port"]:
                missing[instance["unit"]] = f"passed {progress.passed} of {self._health['consecutive']} health checks"
                if now >= progress.ask_at:
                    asked[instance["port"]] = instance
            elif now - progress.since >= self._settle:
                progress.proven = True
            else:
                missing[instance["unit"]] = f"it has run for less than {self._settle:g} s"
        if self._check and self._health and asked:
            for port, answer in self._probe.ask_all(list(asked), self._check).items():
                unit = asked[port]["unit"]
                wrong = verdict(answer, self._check, self._release)
                if self._count(self._progress[unit], answer, wrong is None, self._health):
                    del missing[unit]
                elif wrong:
                    missing[unit] = wrong
        return missing

    def _count(self, progress: _Progress, answer: Answer, passed: bool, health: Health) -> bool:
        progress.passed = progress.passed + 1 if passed else 0
        progress.ask_at = self._probe.clock.now() + (health["interval"] if passed else 0.0)
        named = passed and answer.release is not None
        progress.proven = named or progress.passed >= health["consecutive"]
        return progress.proven
