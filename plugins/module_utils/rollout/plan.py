# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide what a rollout does on which host, in which order and in which batches."""

from __future__ import annotations

import math
import re
import typing as t
from dataclasses import dataclass, field

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.rollout.fleet import Fleet

Goals = t.Mapping[str, t.Mapping[str, str]]
"""host -> app -> the release that shall be live there."""


@dataclass
class Plan:
    """What will happen; :meth:`as_facts` is what the playbooks read."""

    hosts: dict[str, dict[str, t.Any]] = field(default_factory=dict)
    batches: list[list[str]] = field(default_factory=list)
    commands: list[dict[str, str]] = field(default_factory=list)
    """``app`` and ``host``: where a release command runs."""
    lines: list[str] = field(default_factory=list)
    revert: bool = False
    """Whether a failure takes back the hosts that were rolled before it."""
    min_up: int = 1
    """Other servers that have to be UP when one is drained: 0 when an interruption was accepted."""
    refusal: str = ""
    """Why nothing may be done; empty when all is well."""

    def run_once(self, apps: t.Sequence[str]) -> None:
        """Let the first host that activates each of these apps run its release command."""
        for app in apps:
            for host in (host for batch in self.batches for host in batch):
                if app in self.hosts[host]["activate"]:
                    self.commands.append({"app": app, "host": host})
                    break

    def as_facts(self) -> dict[str, t.Any]:
        """``order`` and ``serial`` make Ansible's batches equal to ours; ``hosts`` says what each host has to do.

        ``back``: whether this is the way back after a failure, which only ``revert_plan`` makes.
        """
        return {
            "hosts": self.hosts,
            "commands": self.commands,
            "batches": self.batches,
            "order": [host for batch in self.batches for host in batch],
            "serial": [len(batch) for batch in self.batches] or [1],
            "lines": self.lines,
            "min_up": self.min_up,
            "revert": self.revert,
            "back": False,
            "refusal": self.refusal,
        }


def host_work(
    stage: t.Sequence[str] = (),
    activate: t.Mapping[str, str] | None = None,
    enable: t.Sequence[str] = (),
) -> dict[str, t.Any]:
    """What one host has to do: apps to stage, app -> release to activate, apps to put back into the balancers."""
    return {"stage": list(stage), "activate": dict(activate or {}), "enable": list(enable)}


def deploy_goals(fleet: Fleet, releases: t.Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Every host gets the release (app -> id) that was bundled."""
    return {host: dict(releases) for host in fleet.hosts}


def rollback_goals(fleet: Fleet, apps: t.Sequence[str]) -> dict[str, dict[str, str]]:
    """Every host gets the last good release before its live one, from its own activation journal.

    :raises ApphostError: when a host has none, or when the hosts would end with different releases.
    """
    goals: dict[str, dict[str, str]] = {host: {} for host in fleet.hosts}
    refusals = []
    for app in apps:
        for host, infos in fleet.hosts.items():
            info = infos[app]
            previous = info.get("previous")
            if not previous:
                refusals.append(
                    f"host {host} has no earlier good release of app {app} (live: {info.get('live') or 'none'})"
                )
            elif previous not in info.get("staged", []):
                refusals.append(f"host {host} no longer has release {previous} of app {app} on disk")
            else:
                goals[host][app] = previous
        found = sorted({goals[host][app] for host in goals if app in goals[host]})
        if len(found) > 1:
            refusals.append(
                f"the hosts would go back to different releases of app {app} ({', '.join(found)}):"
                " use --limit, or deploy the version you want"
            )
    if refusals:
        raise ApphostError(
            "Nothing to roll back to; nothing was changed.\n" + "\n".join(f"  - {line}" for line in refusals)
        )
    return goals


def make_plan(
    fleet: Fleet,
    goals: Goals,
    batches: t.Sequence[int | str],
    min_healthy: int | str,
    revert: bool = False,
) -> Plan:
    """Compare the goals with what is live and lay out the batches.

    ``batches`` and ``min_healthy`` take numbers of hosts or shares such as ``"25%"``.

    :raises ApphostError: for a malformed batch, or when a batch would leave fewer than ``min_healthy`` hosts serving.
    """
    plan = Plan(revert=revert, min_up=min(1, share(min_healthy, len(goals), "rollout_min_healthy")))
    for host, wanted in goals.items():
        infos = fleet.hosts[host]
        activate = {app: release for app, release in wanted.items() if _needs_activation(infos[app], release)}
        enable = [app for app in wanted if app not in activate and fleet.left_drained(host, app)]
        stage = [app for app, release in activate.items() if release not in infos[app].get("staged", [])]
        plan.hosts[host] = host_work(stage, activate, enable)
        plan.lines += _describe(host, infos, activate, enable)
    rolling = [host for host, work in plan.hosts.items() if work["activate"] or work["enable"]]
    # Hosts that lose nothing go first, together, before the fleet is weakened: they serve nothing of what is activated,
    # or only come back into the balancers. Next are those that not every balancer uses: they have the least to lose.
    losing = {host: fleet.traffic(host, plan.hosts[host]["activate"]) for host in rolling}
    idle = [host for host in rolling if not losing[host]]
    busy = sorted((host for host in rolling if losing[host]), key=losing.__getitem__)
    plan.batches = ([idle] if idle else []) + cut_batches(busy, batches)
    _refuse_weak_batches(fleet, plan, min_healthy)
    return plan


def _needs_activation(info: t.Mapping[str, t.Any], release: str) -> bool:
    """Not live, half activated, or live with an instance that does not run from it."""
    if info.get("live") != release or info.get("pending"):
        return True
    return any(i.get("state") != "active" or i.get("release") != release for i in info.get("instances", []))


def _describe(
    host: str, infos: t.Mapping[str, t.Any], activate: t.Mapping[str, str], enable: t.Sequence[str]
) -> list[str]:
    lines = []
    for app, release in activate.items():
        live = infos[app].get("live")
        what = (
            f"mend {release} (an instance does not run from it)"
            if live == release
            else f"{live or 'nothing'} -> {release}"
        )
        lines.append(f"{host}  {app}  {what}")
    return lines + [f"{host}  {app}  back into the balancer (left drained by an interrupted rollout)" for app in enable]


def share(value: int | str, total: int, what: str) -> int:
    """A number of hosts, or a share of ``total`` such as ``"25%"`` (rounded up, at least 1 when not 0).

    :raises ApphostError: naming ``what`` when it is neither.
    """
    text = str(value).strip()
    if re.fullmatch(r"\d+", text):
        return int(text)
    if re.fullmatch(r"\d+(\.\d+)?%", text) and float(text[:-1]) <= 100:
        return math.ceil(total * float(text[:-1]) / 100)
    raise ApphostError(f'{value!r} is neither a number of hosts nor a share such as "25%"', what)


def cut_batches(hosts: t.Sequence[str], sizes: t.Sequence[int | str]) -> list[list[str]]:
    """Cut the hosts into batches; the last size repeats until no host is left.

    >>> cut_batches(["a", "b", "c", "d", "e"], [1, "50%"])
    [['a'], ['b', 'c', 'd'], ['e']]
    """
    if not sizes:
        raise ApphostError("must name at least one size", "rollout_batches")
    wanted = [share(size, len(hosts), f"rollout_batches[{index}]") for index, size in enumerate(sizes)]
    if any(size < 1 for size in wanted) and hosts:
        raise ApphostError("a batch of 0 hosts never ends", "rollout_batches")
    batches: list[list[str]] = []
    begin = 0
    while begin < len(hosts):
        size = wanted[min(len(batches), len(wanted) - 1)]
        batches.append(list(hosts[begin : begin + size]))
        begin += size
    return batches


def _refuse_weak_batches(fleet: Fleet, plan: Plan, min_healthy: int | str) -> None:
    """Check on every balancer that the hosts left over can carry each app while a batch is out."""
    refusals = []
    for balancer, apps in fleet.servers.items():
        for app, servers in apps.items():
            needed = share(min_healthy, len(servers), "rollout_min_healthy")
            serving = {host for host, server in servers.items() if server.serving}
            for batch in plan.batches:
                rolled = {host for host in batch if app in plan.hosts[host]["activate"]}
                out = sorted(rolled & serving)
                left = len(serving) - len(out)
                if out and left < needed:
                    refusals.append(
                        f"balancer {balancer}: with {', '.join(out)} out, {left} of {len(servers)} hosts would serve"
                        f" app {app}; rollout_min_healthy asks for {needed}"
                    )
                    break
                # A batch that went well serves again, also the hosts that did not before; an operator's drain stays.
                back = {host for host in batch if app in plan.hosts[host]["enable"]}
                serving |= {host for host in rolled | back if servers[host].ready or servers[host].ours}
    if refusals:
        raise ApphostError(
            "Too few hosts would be left; nothing was changed.\n" + "\n".join(f"  - {line}" for line in refusals) + "\n"
            "Mend the hosts that are down, use smaller rollout_batches, or set rollout_min_healthy: 0 to accept"
            " an interruption"
        )
