# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Enable servers: requests to them again, and a wait until HAProxy calls them exactly UP."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.servers import (
    POLL,
    Balancer,
    Result,
    foreseen,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.socket import order
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.state import (
    DRAIN,
    MAINT,
    READY,
    Server,
    ServerName,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.waiter import WaitTimeoutError, wait_until

Seen = dict[ServerName, Server]


@dataclass
class Enable:
    """One call: all servers are set first, then waited for together.

    :param owner: whose drains are ended.
    :param only_own: leave servers alone that somebody else keeps from serving.
    :param timeout: seconds until all have to be UP.
    """

    balancer: Balancer
    owner: str
    only_own: bool
    timeout: float
    warnings: list[str] = field(default_factory=list)

    def run(self, names: t.Sequence[ServerName], check_mode: bool) -> Result:
        """Enable ``names``; those that are ready already are only waited for.

        :raises ApphostError: some server is not UP in time. It stays ready then: HAProxy sends nothing to a server that
            is down and everything to one that comes up. One that was in maintenance is put back into it.
        """
        _backends, outcomes = self.balancer.begin(names, self.owner)
        ours = [name for name, outcome in outcomes.items() if not (outcome.operator and self.only_own)]
        wanted = [name for name in ours if outcomes[name].before.admin != READY]
        self._refuse_followers([outcomes[name].before for name in wanted])
        if check_mode:
            for name in wanted:
                outcomes[name].after = foreseen(outcomes[name].before, READY)
                outcomes[name].owner, outcomes[name].operator = None, False
            return Result(list(outcomes.values()), [])
        clock = self.balancer.clock
        begin, today = clock.now(), self.balancer.marks.now()
        self.balancer.forget_void(outcomes)
        self._leave_maintenance([name for name in wanted if outcomes[name].before.admin == MAINT])
        self.balancer.put_back(wanted)
        up_at: dict[ServerName, float] = {}
        seen = self._wait_up(ours, self.timeout - (clock.now() - begin), up_at)
        for name, server in seen.items():
            outcome = outcomes[name]
            outcome.after, outcome.owner, outcome.operator = server, None, False
            outcome.waited = up_at[name] - begin
            if outcome.drained_since:
                outcome.out_seconds = (today - outcome.drained_since).total_seconds() + outcome.waited
        return Result(list(outcomes.values()), self.warnings)

    def _refuse_followers(self, servers: t.Sequence[Server]) -> None:
        followers = [str(server.name) for server in servers if server.inherited]
        if followers:
            raise ApphostError(f"{', '.join(followers)}: follows another server (track)", do="Enable that one.")

    def _leave_maintenance(self, names: t.Sequence[ServerName]) -> None:
        """From maint to drain, and wait there for the checks.

        HAProxy takes a server that comes out of maint for UP before it has checked it once (MEASURED: 34-144 requests
        lost). Told that it is down, it first wants ``rise`` good checks, and meanwhile sends nothing: it is drained.
        """
        if not names:
            return
        try:
            self.balancer.set(names, DRAIN)
            checked = [name for name, server in self.balancer.look(names).items() if server.checked]
            for name in checked:
                order(self.balancer.ask, f"set server {name} health down")
            self._wait(checked, self.timeout, {})
        except ApphostError as error:
            self.balancer.set(names, MAINT)
            listed = ", ".join(map(str, names))
            raise ApphostError(error.what, error.where, f"{listed}: in maintenance again, as before.") from error

    def _wait_up(self, names: t.Sequence[ServerName], timeout: float, up_at: dict[ServerName, float]) -> Seen:
        try:
            seen = self._wait(names, max(timeout, 0.0), up_at)
        except ApphostError as error:
            raise ApphostError(
                error.what, do="Ready it stays: HAProxy sends it requests as soon as its checks pass."
            ) from error
        taken_back = [str(name) for name, server in seen.items() if server.admin != READY]
        if taken_back:
            raise ApphostError(f"{', '.join(taken_back)}: not ready any more although just enabled, by somebody else")
        for server in seen.values():
            if server.status == "no check":
                self.warnings.append(f"{server.name} has no health check: HAProxy would send requests to a dead one.")
            elif server.weight == 0:
                self.warnings.append(f"{server.name} has weight 0 and gets no requests.")
        return seen

    def _wait(self, names: t.Sequence[ServerName], timeout: float, up_at: dict[ServerName, float]) -> Seen:
        """Wait until all are up; ``up_at`` gets the moment at which each was seen so first."""
        last_checks: dict[ServerName, str] = {}

        def look() -> Seen:
            seen = self.balancer.look(names)
            for name, server in seen.items():
                if is_up(server):
                    up_at.setdefault(name, self.balancer.clock.now())
                if not server.checking or name not in last_checks:
                    last_checks[name] = server.last_check
            return seen

        try:
            return wait_until(
                look, lambda seen: all(is_up(server) for server in seen.values()), timeout, POLL, self.balancer.clock
            )
        except WaitTimeoutError as late:
            down = [server for server in late.last.values() if not is_up(server)]
            states = "; ".join(
                f"{server.name} is {server.status}, last check: {last_checks[server.name]}" for server in down
            )
            raise ApphostError(f"not up within {self.timeout:g} s: {states}") from late


def is_up(server: Server) -> bool:
    """Exactly UP, as HAProxy's checks see it: ``UP 1/3`` is on its way down."""
    return server.health == "UP"
