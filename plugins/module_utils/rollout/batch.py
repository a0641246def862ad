# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One batch of the roll: which servers leave the balancers, which may come back, and how it ended.

The steps of a batch never fail by themselves: their results come here, so that what must happen after a failure
(enable what is healthy, stop, revert) is decided in one place.
"""

from __future__ import annotations

import typing as t
from dataclasses import asdict, dataclass, field

from ansible_collections.evenkeel.apphost.plugins.module_utils.rollout.fleet import Answer, trouble
from ansible_collections.evenkeel.apphost.plugins.module_utils.rollout.plan import host_work

# The last lines of an app's log that a failure quotes.
LOG_LINES = 10

# What people have to know beside the reason.
UNTOUCHED = "No host of this batch was touched."
STILL_OUT = "The batch may still be drained there."
LOST = "It stays out of the balancers; it ends by itself what it has begun."
AGAIN = "When this is mended, run the same playbook again: it goes on from there, and puts back what is still drained."


Known = t.Mapping[str, t.Mapping[str, t.Any]]
"""Host -> name -> what the tasks registered there, as Ansible's ``hostvars``."""


@dataclass
class HostOutcome:
    """What a batch did on one host. ``activated``: app -> the release that was live before; seconds are wall time."""

    activated: dict[str, str | None] = field(default_factory=dict)
    healthy: list[str] = field(default_factory=list)
    seconds_out: float | None = None
    seconds_restart: float | None = None
    sessions_cut: int = 0
    lines: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    given_up: bool = False
    """A release did not come up here, or was refused. A host that could not be reached tells nothing about it."""


def batch_servers(plan: t.Mapping[str, t.Any], batch: t.Sequence[str]) -> list[str]:
    """The ``<app>/<host>`` servers that have to be drained: what only comes back into the balancers serves on."""
    return [f"{app}/{host}" for host in batch for app in sorted(plan["hosts"][host]["activate"])]


def servers_after(
    plan: t.Mapping[str, t.Any], outcomes: t.Mapping[str, HostOutcome], drains: t.Sequence[Answer]
) -> list[str]:
    """The servers of the next batch, which the call that enables this one drains.

    None when this one went wrong, and none on the way back, where a batch that fails does not stop the next.
    """
    if plan["back"] or not all_done(drains) or any(outcome.errors for outcome in outcomes.values()):
        return []
    following = dict(zip(map(frozenset, plan["batches"]), plan["batches"][1:]))
    return batch_servers(plan, following.get(frozenset(outcomes), []))


def batch_drains(plan: t.Mapping[str, t.Any], batch: t.Sequence[str], known: Known) -> list[t.Any]:
    """What the balancers said when the batch was drained: by the call that put the batch before it back, or its own."""
    before = dict(zip(map(frozenset, plan["batches"][1:]), plan["batches"])).get(frozenset(batch))
    if plan["back"] or before is None:
        return list(known[batch[0]]["__rollout_drain"]["results"])
    return handed_over(known[before[0]]["__rollout_enable"]["results"], batch_servers(plan, batch))


def rollout_outcomes(plan: t.Mapping[str, t.Any], known: Known) -> list[dict[str, t.Any]]:
    """The ends of all batches that were begun, in their order."""
    ends = []
    for batch in plan["batches"]:
        if "__rollout_enable" not in known[batch[0]]:
            break
        drains = batch_drains(plan, batch, known)
        outcomes = judge_batch(plan, drains, {host: known[host]["__rollout_activation"] for host in batch})
        ends.append(close_batch(plan, outcomes, drains, known[batch[0]]["__rollout_enable"]["results"]))
    return ends


def handed_over(enables: t.Sequence[Answer], following: t.Sequence[str]) -> list[dict[str, t.Any]]:
    """What the enabling calls said of draining ``following``, as answers of a drain; none when one did not enable."""
    if not following or not all_done(enables):
        return []
    return [
        {"item": answer["item"], "servers": answer["then_drained"]}
        if "then_drained" in answer
        else {key: answer[key] for key in ("item", "msg") if key in answer}
        for answer in enables
    ]


def all_done(answers: t.Sequence[Answer], balancers: t.Iterable[str] = ()) -> bool:
    """Whether everybody who answered, and each of ``balancers``, drained or enabled the servers."""
    asked = {answer["item"] for answer in answers}
    return asked.issuperset(balancers) and all(trouble(answer, "servers") is None for answer in answers)


def judge_batch(
    plan: t.Mapping[str, t.Any],
    drains: t.Sequence[Answer],
    activations: t.Mapping[str, Answer],
) -> dict[str, HostOutcome]:
    """Read what the activation left on every host of the batch.

    ``activations``: host -> registered result of the loop over its apps (items: ``key`` app, ``value`` release).
    """
    outcomes = {}
    for host, answer in activations.items():
        outcome = outcomes[host] = HostOutcome()
        work = plan["hosts"][host]
        outcome.healthy = list(work["enable"])
        outcome.lines += [f"{host}  {app}  put back into the balancers" for app in work["enable"]]
        if not all_done(drains):
            # Nothing was touched: whatever served before serves on.
            outcome.healthy += list(work["activate"])
            continue
        results = {result["item"]["key"]: result for result in answer.get("results", [])}
        for app, release in work["activate"].items():
            result = results.get(app, answer)
            reason = trouble(result, "release")
            if reason is None:
                outcome.healthy.append(app)
                if result.get("changed"):
                    outcome.activated[app] = result.get("previous")
                seconds = result.get("seconds") or {}
                outcome.seconds_restart = (outcome.seconds_restart or 0.0) + float(seconds.get("total") or 0.0)
                outcome.lines.append(f"{host}  {app}  {release} is live")
                continue
            if result.get("live") and (result.get("reverted") or result.get("untouched")):
                outcome.healthy.append(app)
            outcome.errors.append(_failure(host, app, release, reason, result))
            outcome.given_up = outcome.given_up or "lost" not in result
    return outcomes


def _failure(host: str, app: str, release: str, reason: str, result: Answer) -> str:
    # A release that was given up is named by the reason already.
    text = f"{host}: {reason}" if "reason" in result else f"{host}: activating {release} of app {app}: {reason}"
    if "lost" in result:
        text = _sentences(text, f"{LOST} {AGAIN}")
    log = [str(line) for line in result.get("log_lines") or []][-LOG_LINES:]
    return "\n".join([text, *(f"    | {line}" for line in log)])


def _sentences(reason: str, rest: str) -> str:
    return f"{reason}{'' if reason.endswith(('.', '!', '?')) else '.'} {rest}"


def servers_to_enable(outcomes: t.Mapping[str, HostOutcome]) -> list[str]:
    """The servers that run something healthy, new or old."""
    return [f"{app}/{host}" for host, outcome in outcomes.items() for app in sorted(outcome.healthy)]


def close_batch(
    plan: t.Mapping[str, t.Any],
    outcomes: t.Mapping[str, HostOutcome],
    drains: t.Sequence[Answer],
    enables: t.Sequence[Answer],
) -> dict[str, t.Any]:
    """Add what the balancers said and give the batch's end.

    ``early``: servers of the next batch that have to be put back at once.

    ``failed``, ``title`` and ``lines`` for people, ``hosts``; ``back``: this batch was on the way back; ``revert``:
    what was rolled before has to be taken back.
    """
    not_drained = {answer["item"]: reason for answer in drains if (reason := trouble(answer, "servers"))}
    # What could not be asked to drain is asked to enable with no more success; the person has been told then.
    not_enabled = {
        answer["item"]: reason
        for answer in enables
        if (reason := trouble(answer, "servers")) and answer["item"] not in not_drained
    }
    errors = [
        *(
            _sentences(f"balancer {lb}: draining: {reason}", f"{UNTOUCHED} {AGAIN}")
            for lb, reason in not_drained.items()
        ),
        *(
            _sentences(f"balancer {lb}: enabling: {reason}", f"{STILL_OUT} {AGAIN}")
            for lb, reason in not_enabled.items()
        ),
    ]
    for outcome in outcomes.values():
        errors += outcome.errors
    for name, server in _servers(drains):
        host = name.partition("/")[2]
        if host in outcomes:
            outcomes[host].sessions_cut += int(server.get("sessions_cut") or 0)
    for name, server in _servers(enables):
        host = name.partition("/")[2]
        if host in outcomes and server.get("out_seconds") is not None:
            outcomes[host].seconds_out = max(outcomes[host].seconds_out or 0.0, float(server["out_seconds"]))
    following = servers_after(plan, outcomes, drains)
    return {
        "failed": bool(errors),
        "early": taken_early(enables, following),
        "back": plan["back"],
        "revert": plan["revert"] and any(outcome.given_up for outcome in outcomes.values()),
        "title": f"{'Failed' if errors else 'Taken back' if plan['back'] else 'Rolled'}: {', '.join(outcomes)}",
        "errors": errors,
        "lines": [line for host, outcome in outcomes.items() for line in _with_seconds(outcome)] + errors,
        "hosts": {host: asdict(outcome) for host, outcome in outcomes.items()},
    }


def taken_early(enables: t.Sequence[Answer], following: t.Sequence[str]) -> list[str]:
    """The servers of the next batch that are to be put back: one balancer has drained them, another did not enable."""
    return [] if all_done(enables) else list(following)


def early(outcomes: t.Sequence[t.Mapping[str, t.Any]]) -> list[str]:
    """The servers that were taken out too early, of the batches closed so far."""
    return [server for outcome in outcomes for server in outcome["early"]]


def close_return(
    outcomes: t.Sequence[t.Mapping[str, t.Any]], answers: t.Sequence[Answer]
) -> list[t.Mapping[str, t.Any]]:
    """All ends, with that of putting back the servers that were taken out too early, if there were any."""
    servers = early(outcomes)
    if not servers:
        return list(outcomes)
    errors = [
        _sentences(f"balancer {answer['item']}: putting back {', '.join(servers)}: {reason}", AGAIN)
        for answer in answers
        if (reason := trouble(answer, "servers"))
    ]
    end = {"failed": bool(errors), "back": False, "revert": False, "errors": errors, "hosts": {}}
    return [*outcomes, end]


def _servers(answers: t.Sequence[Answer]) -> t.Iterator[tuple[str, Answer]]:
    for answer in answers:
        for server in answer.get("servers") or []:
            yield str(server["name"]), server


def _with_seconds(outcome: HostOutcome) -> list[str]:
    if outcome.seconds_out is None or not outcome.lines:
        return outcome.lines
    cut = f", {outcome.sessions_cut} sessions cut" if outcome.sessions_cut else ""
    return [f"{line}  (out of the balancer {outcome.seconds_out:.1f} s{cut})" for line in outcome.lines]


def revert_plan(outcomes: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, t.Any]:
    """A plan that puts the earlier releases back, one host at a time, wherever a roll activated one that was given up.

    ``outcomes``: of every closed batch. A host where nothing was live before keeps what it has. Nothing goes back when
    only a host or a balancer was lost: that says nothing about the release, and the next run goes on from there.
    """
    hosts: dict[str, dict[str, t.Any]] = {}
    if any(outcome["revert"] for outcome in outcomes):
        for host, activated in _activated(outcomes, back=False).items():
            earlier = {app: previous for app, previous in activated.items() if previous}
            if earlier:
                hosts[host] = host_work(activate=earlier)
    return {
        "hosts": hosts,
        "batches": [[host] for host in hosts],
        "order": list(hosts),
        "serial": [1],
        "revert": False,
        "back": True,
    }


def _activated(outcomes: t.Sequence[t.Mapping[str, t.Any]], back: bool) -> dict[str, dict[str, str | None]]:
    """Host -> app -> the release that was live before, on the way there or on the way back."""
    return {
        host: end["activated"]
        for outcome in outcomes
        if outcome["back"] == back
        for host, end in outcome["hosts"].items()
        if end["activated"]
    }


def rollout_summary(outcomes: t.Sequence[t.Mapping[str, t.Any]]) -> str:
    """Why the rollout failed, and what runs now where, for the last lines a person reads."""
    lines = [f"- {error}" for outcome in outcomes for error in outcome["errors"]]
    back = _activated(outcomes, back=True)
    kept = [host for host in _activated(outcomes, back=False) if host not in back]
    if back:
        lines.append(f"Taken back to the release before: {', '.join(back)}.")
    if kept:
        lines.append(f"The new release stays on: {', '.join(kept)}.")
    return "\n".join(["The rollout failed and stopped there.", *lines])


def rollout_report(outcomes: t.Sequence[t.Mapping[str, t.Any]]) -> dict[str, t.Any]:
    """What happened, for programs: whether it failed, the errors, and host -> seconds out of the balancer."""
    hosts = {host: end for outcome in outcomes for host, end in outcome["hosts"].items()}
    return {
        "failed": any(outcome["failed"] for outcome in outcomes),
        "errors": [error for outcome in outcomes for error in outcome["errors"]],
        "seconds_out": {host: end["seconds_out"] for host, end in hosts.items() if end["seconds_out"] is not None},
        "seconds_restart": {host: end["seconds_restart"] for host, end in hosts.items() if end["seconds_restart"]},
        "sessions_cut": sum(end["sessions_cut"] for end in hosts.values()),
    }
