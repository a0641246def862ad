# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
r"""The one critical call: make a staged release the one that runs, or put the old one back.

    activating -> switch ``current`` -> restart all instances at once -> verify -> activated
                                                       \-> switch back -> restart -> verify -> reverted

A host is out of the balancer meanwhile, so everything that can be known before is looked at before,
and every call to the supervisor is for all instances.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
import typing as t
from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.files import remove_if_there, replace_symlink
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import AppLayout
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.host import live_release
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.identity import check_release_id
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.journal import (
    ACTIVATED,
    ACTIVATING,
    FAILED,
    REVERTED,
    Entry,
    Journal,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.lock import hold_lock
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.manifest import (
    Instance,
    Manifest,
    read_manifest,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.verify import Probe, UnprovenError, Verification
from ansible_collections.evenkeel.apphost.plugins.module_utils.supervisor.base import Supervisor

# Seconds a release without a health check has to come up; a process is proven after verify.SETTLE.
TIMEOUT = 30.0

LOG_LINES = 20
MOST_LOG_BYTES = 65536

# Seconds to wait for the lock: a deploy run again after its controller died may meet the first one, still ending.
LOCK_WAIT = 60.0

UNIT_MISSING = "Run site.yml for this host first: its supervisor does not know the app's processes."


@dataclass(frozen=True)
class Plan:
    """What has to happen for ``manifest`` to be live and run; nothing, if every list is empty and ``switch`` false."""

    manifest: Manifest
    live: str | None
    """The release ``current`` points at now."""
    pending: Entry | None
    """An activation that was interrupted: its outcome has yet to be written down."""
    switch: bool
    restart: list[str]
    enable: list[str]
    disable: list[str]
    stop: list[str]

    @property
    def changed(self) -> bool:
        """There is something to do."""
        return bool(self.switch or self.pending or self.restart or self.enable or self.disable or self.stop)


@dataclass(frozen=True)
class Host:
    """The world of an activation; tests pass their own."""

    supervisor: Supervisor
    probe: Probe
    journal: Journal
    wall: t.Callable[[], float] = time.time


class Activation:
    """Brings one release of one app live. ``timeout`` overrides the manifest's; ``health_host``: the Host header."""

    def __init__(
        self, layout: AppLayout, release: str, host: Host, timeout: float | None = None, health_host: str = "localhost"
    ) -> None:
        self._layout = layout
        self._release = release
        self._host = host
        self._timeout = timeout
        self._health_host = health_host
        self._log_marks: dict[str, int] = {}
        self._seconds = {"stop_start": 0.0, "verify": 0.0, "total": 0.0}

    def plan(self) -> Plan:
        """Read-only: what is to be done. Raises :class:`ApphostError` when the host is not ready for the release."""
        self._require_prepared()
        manifest = read_manifest(self._layout, check_release_id(self._release))
        programs = f"{manifest['runtime']['root']}/bin"
        if not os.path.isdir(programs):
            raise ApphostError("the release's runtime is not installed", programs, "Run site.yml for this host first.")
        return self._plan(manifest)

    def run(self) -> dict[str, t.Any]:
        """Do it. Returns the module's result; raises :class:`ApphostError` when it had to go back."""
        self._require_prepared()
        with hold_lock(self._layout.lock, f"activate {self._release}", LOCK_WAIT):
            try:
                plan = self.plan()
            except ApphostError as error:
                # What ran before runs on, unless an earlier call was cut off in the middle.
                error.details.update(untouched=self._host.journal.pending() is None, live=live_release(self._layout))
                raise
            if plan.changed:
                self._carry_out(plan)
            return self.result(plan)

    def result(self, plan: Plan) -> dict[str, t.Any]:
        """The module's result for a plan that was, or would be, carried out."""
        return {
            "changed": plan.changed,
            "release": self._release,
            "previous": plan.live,
            "instances": plan.manifest["instances"],
            "restarted": plan.restart,
            "seconds": _rounded(self._seconds),
            "diff": {
                "before": _diff_text(plan.live, []),
                "after": _diff_text(self._release, plan.restart if plan.changed else []),
            },
        }

    def _require_prepared(self) -> None:
        if not os.path.isdir(self._layout.state):
            raise ApphostError(
                "this host was never set up for it", f"app {self._layout.name}", "Run site.yml for it first."
            )

    def _carry_out(self, plan: Plan) -> None:
        previous = self._previous(plan)
        clock = self._host.probe.clock
        started, began = clock.now(), self._host.wall()
        self._log_marks = {i["unit"]: _size(self._log_file(i)) for i in plan.manifest["instances"]}
        with _to_the_end():
            if plan.switch:
                self._host.journal.append(ACTIVATING, self._release, plan.live)
            try:
                self._bring_live(plan)
            except Exception as problem:  # whatever it is, even a bug of ours: the host must not stay half switched
                self._seconds["total"] = clock.now() - started
                raise self._give_up(plan, previous, problem, began) from problem
            if plan.pending and not plan.switch and plan.pending.release != self._release:
                self._host.journal.append(REVERTED, plan.pending.release, self._release, "interrupted")
            elif plan.switch or plan.pending:
                self._host.journal.append(ACTIVATED, self._release, previous["id"] if previous else None)
        self._seconds["total"] = clock.now() - started

    def _plan(self, manifest: Manifest, fresh: bool = False) -> Plan:
        """``fresh``: restart every instance, whatever it looks like; one without a unit must not hold up the rest."""
        supervisor, release = self._host.supervisor, manifest["id"]
        needed = [instance["unit"] for instance in manifest["instances"]]
        states = supervisor.states(needed)
        undefined = [unit for unit in needed if not states[unit].defined]
        if undefined and not fresh:
            raise ApphostError("no such unit", undefined[0], UNIT_MISSING)
        surplus = {u: s for u, s in supervisor.instances(self._layout.name).items() if u not in needed}
        live = live_release(self._layout)
        restart_all = fresh or live != release
        release_of = self._host.probe.release_of
        return Plan(
            manifest=manifest,
            live=live,
            pending=self._host.journal.pending(),
            switch=live != release,
            restart=[u for u in needed if restart_all or not states[u].running or release_of(states[u].pid) != release],
            enable=[unit for unit in needed if states[unit].defined and not states[unit].enabled],
            disable=[unit for unit, state in surplus.items() if state.enabled],
            stop=[unit for unit, state in surplus.items() if state.active not in ("inactive", "failed")],
        )

    def _previous(self, plan: Plan) -> Manifest | None:
        """The release to put back: what is live, or was before an interrupted activation of it that proved nothing."""
        release = plan.live
        if plan.pending and plan.pending.release == plan.live:
            release = plan.pending.previous
        if release is None or release == self._release:
            return None
        try:
            return read_manifest(self._layout, release)
        except ApphostError:
            return None

    def _bring_live(self, plan: Plan) -> None:
        """Carry out a plan and prove it; raises :class:`UnprovenError`, :class:`ApphostError` or ``OSError``."""
        supervisor, clock, manifest = self._host.supervisor, self._host.probe.clock, plan.manifest
        started = clock.now()
        if plan.switch:
            replace_symlink(f"releases/{manifest['id']}", self._layout.current)
        supervisor.disable(plan.disable)
        supervisor.enable(plan.enable)
        supervisor.stop(plan.stop)
        try:
            supervisor.restart(plan.restart)
        except ApphostError as error:
            raise self._not_started(plan, error) from error
        finally:
            self._seconds["stop_start"] = clock.now() - started
        started = clock.now()
        health = manifest["health"]
        timeout = self._timeout if self._timeout is not None else health["timeout"] if health else TIMEOUT
        try:
            Verification(manifest, self._host.probe, self._health_host).wait(timeout)
        finally:
            self._seconds["verify"] = clock.now() - started

    def _not_started(self, plan: Plan, error: ApphostError) -> Exception:
        """The supervisor refused; name the instance it could not start."""
        states = self._host.supervisor.states(plan.restart)
        for instance in plan.manifest["instances"]:
            state = states.get(instance["unit"])
            if state and not state.running:
                return UnprovenError(instance, f"it did not start ({state.result}, exit status {state.exit_status})")
        return error

    def _give_up(self, plan: Plan, previous: Manifest | None, problem: Exception, began: float) -> ApphostError:
        """Put the old release back, write down the outcome; returns what to tell the user."""
        instance = problem.instance if isinstance(problem, UnprovenError) else None
        reason = _reason(problem)
        lines = self._log_lines(instance, began) if instance else []
        seconds = dict(self._seconds)
        reverting = self._host.probe.clock.now()
        told = [f"release {self._release} did not come up: {reason}"]
        reverted, event = False, FAILED
        if previous:
            try:
                self._bring_live(self._plan(previous, fresh=True))
                reverted, event = True, REVERTED
                told.append(f"Release {previous['id']} is live again")
            except Exception as worse:  # said as loudly as the first problem: now nothing works
                told.append(f"RELEASE {previous['id']} WAS PUT BACK AND DOES NOT COME UP EITHER: {worse}")
        elif not plan.switch and not plan.pending:
            told.append("It was live already, so there is nothing to go back to")
        elif any(entry.release == self._release for entry in self._host.journal.live_history()):
            told.append("It worked before and there is nothing better to go back to: it stays live")
        else:
            told.append(self._clear_away(plan))
        if plan.switch or plan.pending:
            told += self._write_down(event, previous, reason)
        seconds["revert"] = self._host.probe.clock.now() - reverting
        return ApphostError(
            ". ".join(told),
            f"app {self._layout.name}",
            changed=True,
            reverted=reverted,
            live=live_release(self._layout),
            failed_instance=instance and instance["unit"],
            reason=reason,
            log_lines=lines,
            seconds=_rounded(seconds),
        )

    def _clear_away(self, plan: Plan) -> str:
        """A release that never ran has nothing behind it: stop it, so that no half-working app serves."""
        units = [instance["unit"] for instance in plan.manifest["instances"]]
        try:
            self._host.supervisor.stop(units)
            self._host.supervisor.disable(units)
            remove_if_there(self._layout.current)
        except (ApphostError, OSError) as error:
            return f"There is no earlier release, and stopping this one failed too: {error}"
        return "There is no earlier release to put back: the app is stopped"

    def _write_down(self, event: str, previous: Manifest | None, reason: str) -> list[str]:
        try:
            self._host.journal.append(event, self._release, previous["id"] if previous else None, reason)
        except OSError as error:
            return [f"The journal could not be written ({error}): run again, or recover.yml, when it can"]
        return []

    def _log_lines(self, instance: Instance, began: float) -> list[str]:
        """What the failing instance wrote since the restart: in its own file if it has one, else in the journal."""
        with contextlib.suppress(FileNotFoundError), open(self._log_file(instance), "rb") as file:
            mark = self._log_marks.get(instance["unit"], 0)
            size = os.fstat(file.fileno()).st_size
            file.seek(max(mark if mark <= size else 0, size - MOST_LOG_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
            if lines:
                return lines[-LOG_LINES:]
        return self._host.supervisor.log_lines(instance["unit"], began, LOG_LINES)

    def _log_file(self, instance: Instance) -> str:
        return f"{self._layout.logs}/{instance['process']}-{instance['id']}.log"


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def _reason(problem: Exception) -> str:
    if isinstance(problem, UnprovenError):
        return f"instance {problem.instance['process']} {problem.instance['id']}: {problem.reason}"
    return str(problem) if isinstance(problem, (ApphostError, OSError)) else repr(problem)


def _rounded(seconds: dict[str, float]) -> dict[str, float]:
    return {phase: round(value, 3) for phase, value in seconds.items()}


def _diff_text(release: str | None, restart: t.Sequence[str]) -> str:
    return "".join([f"live: {release or 'none'}\n", *(f"restart: {unit}\n" for unit in restart)])


@contextlib.contextmanager
def _to_the_end() -> t.Iterator[None]:
    """Nothing that happens to the connection or the controller stops the block half-way.

    Programs started in it inherit this; the app does not, it is started by the supervisor.
    """
    signals = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
