# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the playbooks ask of ``module_utils/rollout``; each filter is documented in the YAML file of its name."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.rollout import batch as batches
from ansible_collections.evenkeel.apphost.plugins.module_utils.rollout import status
from ansible_collections.evenkeel.apphost.plugins.module_utils.rollout.fleet import Answer, NotSetUp, read_fleet
from ansible_collections.evenkeel.apphost.plugins.module_utils.rollout.plan import (
    Plan,
    deploy_goals,
    host_work,
    make_plan,
    rollback_goals,
)

Facts = t.Mapping[str, t.Any]
Function = t.Callable[..., t.Any]


def in_words(function: Function) -> Function:
    """Let an :class:`ApphostError` reach the user as the filter's error."""

    def filter_function(*args: t.Any, **kwargs: t.Any) -> t.Any:
        try:
            return function(*args, **kwargs)
        except ApphostError as error:
            raise AnsibleFilterError(error.message) from error

    return filter_function


def or_refusal(function: t.Callable[..., Plan]) -> Function:
    """Turn the plan into facts, and an :class:`ApphostError` into a plan that says why nothing may be done.

    As an error of the filter it would reach the user wrapped into those of everything that called it.
    """

    def filter_function(*args: t.Any, **kwargs: t.Any) -> Facts:
        try:
            return function(*args, **kwargs).as_facts()
        except ApphostError as error:
            return Plan(refusal=error.message).as_facts()

    return filter_function


@or_refusal
def deploy_plan(
    manifests: t.Mapping[str, Answer],
    hosts: t.Mapping[str, Answer],
    balancers: t.Sequence[Answer],
    sizes: t.Sequence[int | str],
    min_healthy: int | str,
    revert: bool,
    check_mode: bool,
) -> Plan:
    """Manifests of ``release_bundle`` and the answers of the fleet -> what to do on which host.

    In check mode a fleet that is not set up is no error: site.yml would set it up before it deploys.
    """
    try:
        fleet = read_fleet(hosts, balancers, list(manifests))
    except NotSetUp as error:
        if not check_mode:
            raise
        return Plan(hosts=dict.fromkeys(hosts, host_work()), lines=error.message.splitlines())
    goals = deploy_goals(fleet, {app: manifest["id"] for app, manifest in manifests.items()})
    plan = make_plan(fleet, goals, sizes, min_healthy, revert)
    plan.run_once([app for app, manifest in manifests.items() if manifest["release_command"]])
    return plan


@or_refusal
def rollback_plan(
    apps: t.Sequence[str],
    hosts: t.Mapping[str, Answer],
    balancers: t.Sequence[Answer],
    sizes: t.Sequence[int | str],
    min_healthy: int | str,
) -> Plan:
    """Names of apps and the answers of the fleet -> what to do to go back to the last good releases."""
    fleet = read_fleet(hosts, balancers, apps)
    return make_plan(fleet, rollback_goals(fleet, apps), sizes, min_healthy)


def batch_outcome(
    plan: Facts,
    drains: t.Sequence[Answer],
    activations: t.Mapping[str, Answer],
    enables: t.Sequence[Answer],
) -> Facts:
    """The results of a batch's steps -> how it ended."""
    return batches.close_batch(plan, batches.judge_batch(plan, drains, activations), drains, enables)


def batch_healthy(plan: Facts, drains: t.Sequence[Answer], activations: t.Mapping[str, Answer]) -> list[str]:
    """The servers of a batch that may come back into the balancers."""
    return batches.servers_to_enable(batches.judge_batch(plan, drains, activations))


def batch_next(plan: Facts, drains: t.Sequence[Answer], activations: t.Mapping[str, Answer]) -> list[str]:
    """The servers that are drained as soon as the batch is back."""
    return batches.servers_after(plan, batches.judge_batch(plan, drains, activations), drains)


class FilterModule:
    """The filters of a rollout."""

    def filters(self) -> dict[str, Function]:
        """Name -> function."""
        functions: dict[str, Function] = {
            "deploy_plan": deploy_plan,
            "rollback_plan": rollback_plan,
            "revert_plan": batches.revert_plan,
            "batch_servers": batches.batch_servers,
            "batch_drains": batches.batch_drains,
            "batch_done": batches.all_done,
            "batch_healthy": batch_healthy,
            "batch_next": batch_next,
            "rollout_outcomes": batches.rollout_outcomes,
            "rollout_early": batches.early,
            "rollout_ends": batches.close_return,
            "batch_outcome": batch_outcome,
            "rollout_report": batches.rollout_report,
            "rollout_summary": batches.rollout_summary,
            "status_table": status.status_table,
        }
        return {name: in_words(function) for name, function in functions.items()}
