# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What draining and enabling share: the balancer as they see it, and what they say of a server afterwards."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, replace
from datetime import datetime

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.marks import Mark, Marks
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.socket import Ask, order, require_admin
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.state import (
    DRAIN,
    READY,
    Server,
    ServerName,
    read_servers,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.workers import OldWorker
from ansible_collections.evenkeel.apphost.plugins.module_utils.waiter import Clock

# Seconds between two looks while waiting: an answer costs HAProxy some 0.1 ms.
POLL = 0.03

Backends = dict[str, dict[str, Server]]
"""Backend -> server -> what HAProxy says of it."""


@dataclass
class Outcome:
    """What became of one server."""

    before: Server
    after: Server
    owner: str | None = None
    """Who has it drained, by the marks; None when it is ready or when they know nothing of it."""
    drained_since: datetime | None = None
    operator: bool = False
    """Whether somebody else keeps it from serving, an operator or another owner; it is left as it is."""
    waited: float = 0.0
    sessions_cut: int = 0
    out_seconds: float | None = None

    @property
    def changed(self) -> bool:
        return self.before.admin != self.after.admin or self.sessions_cut > 0

    def as_dict(self) -> dict[str, t.Any]:
        """One element of the module's ``servers``."""
        return {
            "name": str(self.before.name),
            "before": {"admin": self.before.admin, "status": self.before.status},
            "after": {"admin": self.after.admin, "status": self.after.status},
            "changed": self.changed,
            "owner": self.owner,
            "operator": self.operator,
            "waited": round(self.waited, 2),
            "sessions_cut": self.sessions_cut,
            "out_seconds": None if self.out_seconds is None else round(self.out_seconds, 2),
        }


@dataclass
class Result:
    """What became of all of them."""

    outcomes: list[Outcome]
    warnings: list[str]

    @property
    def changed(self) -> bool:
        return any(outcome.changed for outcome in self.outcomes)

    def diff(self) -> dict[str, dict[str, str]]:
        """The states that differ, by server."""
        differing = [one for one in self.outcomes if one.before.admin != one.after.admin]
        return {
            "before": {str(one.before.name): one.before.admin for one in differing},
            "after": {str(one.before.name): one.after.admin for one in differing},
        }


class Balancer:
    """One running HAProxy, and what is remembered beside it.

    :param ask: speaks with the worker that takes new connections.
    :param where: its socket, for errors.
    :param old_workers: what workers of before a reload still have.
    :param save_state: makes HAProxy's next start begin with the states of now; false when it could not.
    """

    def __init__(
        self,
        ask: Ask,
        where: str,
        marks: Marks,
        old_workers: t.Callable[[], list[OldWorker]],
        save_state: t.Callable[[], bool],
        clock: Clock,
    ) -> None:
        self.ask = ask
        self.marks = marks
        self.old_workers = old_workers
        self._save_state = save_state
        self.clock = clock
        self._where = where

    def begin(self, names: t.Sequence[ServerName], owner: str) -> tuple[Backends, dict[ServerName, Outcome]]:
        """Everything that can be known before anything is changed: the level, the servers, who drained them.

        :raises ApphostError: the socket is not admin, or some servers or backends do not exist.
        """
        require_admin(self.ask, self._where)
        backends: Backends = {}
        unknown = []
        for name in names:
            if name.backend not in backends:
                backends[name.backend] = self._servers(name.backend)
            if name.server not in backends[name.backend]:
                known = ", ".join(sorted(backends[name.backend]))
                unknown.append(f"{name}: no such server" + (f" (known: {known})" if known else " (no such backend)"))
        if unknown:
            raise ApphostError("; ".join(unknown), self._where)
        marks = self.marks.read()
        return backends, {name: _outcome(backends[name.backend][name.server], marks.get(name), owner) for name in names}

    def _servers(self, backend: str) -> dict[str, Server]:
        try:
            return read_servers(self.ask, backend)
        except ApphostError as error:
            if "No such proxy" in error.what or "Can't find backend" in error.what:
                return {}
            raise

    def forget_void(self, outcomes: t.Mapping[ServerName, Outcome]) -> None:
        """Drop marks of servers that are not drained any more: somebody else has changed them since."""
        self.marks.drop(name for name, outcome in outcomes.items() if outcome.before.admin != DRAIN)

    def look(self, names: t.Iterable[ServerName]) -> dict[ServerName, Server]:
        """Server -> what HAProxy says of it now.

        :raises ApphostError: one of them is gone.
        """
        names = list(names)
        backends = {
            backend: read_servers(self.ask, backend) for backend in dict.fromkeys(name.backend for name in names)
        }
        gone = [str(name) for name in names if name.server not in backends[name.backend]]
        if gone:
            raise ApphostError(f"HAProxy has no server {', '.join(gone)} any more", self._where)
        return {name: backends[name.backend][name.server] for name in names}

    def take_out(self, names: t.Sequence[ServerName], owner: str) -> None:
        """Drain servers and remember who did: first the mark, so that nothing of ours is ever drained without one."""
        if names:
            self.marks.add(names, owner)
            self.set(names, DRAIN)
            self._save_state()

    def put_back(self, names: t.Sequence[ServerName]) -> None:
        """Make servers ready and forget who drained them: last the mark, when no restart can bring the drain back."""
        if names:
            self.set(names, READY)
            if self._save_state():
                self.marks.drop(names)

    def set(self, names: t.Iterable[ServerName], admin: str) -> None:
        """Give servers an administrative state and see that they have it.

        :raises ApphostError: HAProxy refused, or has another state than it was told.
        """
        names = list(names)
        for name in names:
            order(self.ask, f"set server {name} state {admin}")
        wrong = [server for server in self.look(names).values() if server.admin != admin]
        if wrong:
            states = ", ".join(f"{server.name} is {server.admin} ({server.status})" for server in wrong)
            raise ApphostError(f"HAProxy was told to set {admin}, but {states}", self._where)


def _outcome(server: Server, mark: Mark | None, owner: str) -> Outcome:
    # We never use maint: whoever set it has taken the server over.
    drained_by = mark.owner if mark and server.admin == DRAIN else None
    since = mark.since if mark and drained_by else None
    return Outcome(server, server, drained_by, since, operator=server.admin != READY and drained_by != owner)


def foreseen(server: Server, admin: str) -> Server:
    """The server as it would be, for check mode."""
    return replace(server, admin=admin)
