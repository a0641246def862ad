# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rollout knows before it decides: the hosts' and the balancers' answers, made uniform.

The answers are results of ``release_info`` (one a host) and ``haproxy_server_info`` (one a balancer), run by
``attempt``: a failure is an answer too, and so is a host that could not be reached. One decision sees everything; an
answer is therefore good only when it has the key that its module returns on success.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError

Answer = t.Mapping[str, t.Any]


class NotSetUp(ApphostError):
    """Everybody answered, but site.yml has not (or not yet) made what the rollout needs."""


def trouble(answer: Answer, success: str) -> str | None:
    """Why the answer is no good, in one line; None when it has the key ``success``.

    A module that crashed leaves its last words on its standard error.
    """
    if "lost" in answer:
        return f"cannot be reached ({_in_one_line(answer['lost'])})"
    if success in answer:
        return None
    said = str(answer.get("msg") or "no reason given")
    if answer.get("module_stderr"):
        said += " " + str(answer["module_stderr"]).strip().splitlines()[-1]
    return _in_one_line(said)


def _in_one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")


@dataclass(frozen=True)
class Server:
    """One server line of one balancer: an app on a host, as that balancer sees it."""

    up: bool
    ready: bool
    ours: bool
    """Drained by a rollout of ours (not by an operator) that has not enabled it yet."""

    @property
    def serving(self) -> bool:
        return self.up and self.ready


@dataclass
class Fleet:
    """Everything the plan is made from.

    ``hosts``: host -> app -> the app's entry of ``release_info``. ``servers``: balancer -> app -> host -> Server.
    """

    hosts: dict[str, dict[str, Answer]] = field(default_factory=dict)
    servers: dict[str, dict[str, dict[str, Server]]] = field(default_factory=dict)

    def traffic(self, host: str, apps: t.Iterable[str]) -> int:
        """How often a balancer sends the host requests of one of the apps; without balancers, how many are live."""
        if not self.servers:
            return sum(bool(self.hosts[host][app].get("live")) for app in apps)
        return sum(servers[app][host].serving for app in apps for servers in self.servers.values())

    def left_drained(self, host: str, app: str) -> bool:
        """Whether an earlier rollout of ours left the host drained on some balancer."""
        return any(host in servers.get(app, {}) and servers[app][host].ours for servers in self.servers.values())


def read_fleet(
    hosts: t.Mapping[str, Answer],
    balancers: t.Iterable[Answer],
    apps: t.Sequence[str],
) -> Fleet:
    """Check that everybody answered and knows what the rollout needs.

    ``balancers`` are results of a loop: their ``item`` is the balancer's name.

    :raises NotSetUp: when nothing but a run of site.yml is missing.
    :raises ApphostError: for any other reason; both list every reason, a line each.
    """
    fleet = Fleet()
    refusals: list[str] = []
    without: list[str] = []
    not_set_up: list[str] = []
    for host, answer in hosts.items():
        reason = trouble(answer, "apps")
        if reason:
            refusals.append(f"host {host} {reason}")
            without.append(f"!{host}")
            continue
        fleet.hosts[host] = dict(answer["apps"])
        for app in apps:
            missing = fleet.hosts[host][app].get("missing") or []
            if missing:
                not_set_up.append(f"host {host} was never set up for app {app} (no {', '.join(missing)})")
    for answer in balancers:
        name = str(answer["item"])
        reason = trouble(answer, "backends")
        if reason:
            (refusals if "lost" in answer else not_set_up).append(f"balancer {name} {reason}")
            continue
        fleet.servers[name] = {app: _servers(answer["backends"].get(app, {})) for app in apps}
        for app in apps:
            unknown = [f"{app}/{host}" for host in hosts if host not in fleet.servers[name][app]]
            if unknown:
                not_set_up.append(f"balancer {name} has no server {', '.join(unknown)}")
    if refusals or not_set_up:
        kind: type[ApphostError] = ApphostError
        cure = "Mend this and run again"
        if not refusals:
            kind, cure = NotSetUp, "Run site.yml first"
        elif 0 < len(without) < len(hosts):
            cure += f", or leave out what you can do without: --limit '{','.join(without)}'"
        lines = "\n".join(f"  - {line}" for line in refusals + not_set_up)
        raise kind(f"The rollout cannot begin; nothing was changed.\n{lines}\n{cure}")
    return fleet


def _servers(backend: t.Mapping[str, Answer]) -> dict[str, Server]:
    return {
        name: Server(up=state["op"] == "UP", ready=state["admin"] == "ready", ours=bool(state.get("owner")))
        for name, state in backend.items()
    }
