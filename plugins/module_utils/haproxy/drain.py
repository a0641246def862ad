# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drain servers: no new requests to them, and a wait until none is under way."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.servers import (
    POLL,
    Backends,
    Balancer,
    Outcome,
    Result,
    foreseen,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.socket import order
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.state import (
    DRAIN,
    READY,
    ServerName,
    read_sessions,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.workers import OldWorker
from ansible_collections.evenkeel.apphost.plugins.module_utils.waiter import WaitTimeoutError, wait_until

FORCE, FAIL = "force", "fail"

# Seconds that HAProxy gets to end the sessions it was told to shut down; it takes milliseconds.
_SHUTDOWN = 5.0


@dataclass(frozen=True)
class Remaining:
    """What is still under way."""

    sessions: t.Mapping[ServerName, int]
    old_workers: list[OldWorker]

    @property
    def nothing(self) -> bool:
        return not any(self.sessions.values()) and not self.threats

    @property
    def threats(self) -> list[OldWorker]:
        return [worker for worker in self.old_workers if worker.threatens(self.sessions)]

    def in_words(self) -> str:
        words = [f"{name} has {count} under way" for name, count in self.sessions.items() if count]
        for worker in self.threats:
            busy = sum(worker.sessions.get(name, 0) for name in self.sessions)
            parts = [f"{busy} under way"] if busy else []
            parts += [f"{worker.idle_clients} clients that may send one more request"] if worker.idle_clients else []
            words.append(f"HAProxy's process {worker.pid} from before a reload still has {' and '.join(parts)}")
        return "; ".join(words)


@dataclass
class Drain:
    """One call: all servers are set first, then waited for together.

    :param owner: who drains, for the marks.
    :param min_up: servers that have to stay UP and ready in a backend that loses a serving one.
    :param timeout: seconds until ``on_deadline`` counts: ``force`` cuts what is left, ``fail`` undoes and fails.
    """

    balancer: Balancer
    owner: str
    min_up: int
    timeout: float
    on_deadline: str
    warnings: list[str] = field(default_factory=list)

    def run(self, names: t.Sequence[ServerName], check_mode: bool) -> Result:
        """Drain ``names``; those that are out already are only waited for.

        :raises ApphostError: nothing was changed, or everything was undone (the message says when that failed).
        """
        backends, outcomes = self.balancer.begin(names, self.owner)
        fresh = [name for name in names if outcomes[name].before.admin == READY]
        refuse_too_few(backends, names, self.min_up)
        if check_mode:
            for name in fresh:
                outcomes[name].after = foreseen(outcomes[name].before, DRAIN)
                outcomes[name].owner = self.owner
            return Result(list(outcomes.values()), [])
        self.balancer.forget_void(outcomes)
        try:
            self.balancer.take_out(fresh, self.owner)
            self._wait(outcomes)
        except ApphostError as error:
            raise self._undone(error, fresh) from error
        for name, server in self.balancer.look(names).items():
            outcomes[name].after = server
            if name in fresh:
                outcomes[name].owner = self.owner
        back = [str(name) for name, outcome in outcomes.items() if outcome.after.admin == READY]
        if back:
            raise ApphostError(
                f"{', '.join(back)}: ready again although just drained; somebody else, or a reload, put it back"
            )
        return Result(list(outcomes.values()), self.warnings)

    def _undone(self, error: ApphostError, names: t.Sequence[ServerName]) -> ApphostError:
        """Put servers back that this call took out, and say so."""
        if not names:
            return error
        listed = ", ".join(map(str, names))
        try:
            self.balancer.put_back(names)
        except ApphostError as second:
            words = f"{listed} could not be put back: {second.message}"
        else:
            words = f"{listed}: ready again, as before."
        return ApphostError(error.what, error.where, " ".join(filter(None, [error.do, words])), **error.details)

    def _wait(self, outcomes: t.Mapping[ServerName, Outcome]) -> None:
        clock = self.balancer.clock
        begin = clock.now()

        def look() -> Remaining:
            remaining = self._remaining(outcomes)
            for name, count in remaining.sessions.items():
                if count or remaining.threats:
                    outcomes[name].waited = clock.now() - begin
            return remaining

        try:
            wait_until(look, lambda seen: seen.nothing, self.timeout, POLL, clock)
        except WaitTimeoutError as late:
            if self.on_deadline == FAIL:
                raise ApphostError(
                    f"not drained within {self.timeout:g} s: {late.last.in_words()}",
                    do="Wait longer (timeout), or cut what is left (on_deadline: force).",
                ) from late
            self._cut(late.last, outcomes)

    def _remaining(self, names: t.Iterable[ServerName]) -> Remaining:
        names = list(names)
        counts = {backend: read_sessions(self.balancer.ask, backend) for backend in {name.backend for name in names}}
        return Remaining({name: counts[name.backend][name.server] for name in names}, self.balancer.old_workers())

    def _cut(self, left: Remaining, outcomes: t.Mapping[ServerName, Outcome]) -> None:
        busy = {name: count for name, count in left.sessions.items() if count}
        for name, count in busy.items():
            order(self.balancer.ask, f"shutdown sessions server {name}")
            outcomes[name].sessions_cut = count
        try:
            wait_until(
                lambda: self._remaining(busy),
                lambda seen: not any(seen.sessions.values()),
                _SHUTDOWN,
                POLL,
                self.balancer.clock,
            )
        except WaitTimeoutError as late:
            raise ApphostError(f"sessions do not end although shut down: {late.last.in_words()}") from late
        if left.threats:
            # Old workers take no orders; what they still send meets the restart.
            self.warnings.append(
                f"Requests may be lost: {Remaining(dict.fromkeys(outcomes, 0), left.threats).in_words()}."
            )


def refuse_too_few(backends: Backends, names: t.Sequence[ServerName], min_up: int) -> None:
    """Refuse when a backend would lose a server that serves and keep fewer than ``min_up`` that are UP and ready.

    A server that serves nothing may always go: nobody notices, and it may be what a deploy has to mend.
    """
    short = []
    for backend, servers in backends.items():
        leaving = {name.server for name in names if name.backend == backend}
        losing = sorted(server for server in leaving if servers[server].gets_requests)
        left = [
            server
            for name, server in servers.items()
            if name not in leaving and server.gets_requests and server.health == "UP"
        ]
        if losing and len(left) < min_up:
            others = ", ".join(f"{name} {server.status}" for name, server in servers.items() if name not in leaving)
            short.append(
                f"{backend} without {', '.join(losing)} has {len(left)} servers up, not {min_up}"
                f" (others: {others or 'none'})"
            )
    if short:
        raise ApphostError(
            f"refused, nothing was changed: {'; '.join(short)}",
            do="Bring the others up first, or accept it with a smaller min_up.",
        )
