# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked about the packages besides the lockfile, when a tree is built and somebody wants to know it."""

from __future__ import annotations

import typing as t
from datetime import datetime, timezone

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.base import Job, Manager
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.published import Published, memory_path
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.store import TreeStore
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.age import asked_for, too_young
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Package
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.policy import joined


def check_age(manager: Manager, store: TreeStore, expected: t.Collection[Package]) -> None:
    """Raise ApphostError when a version is younger than was asked for; before anything is fetched."""
    supply = manager.request.supply
    if supply.minimum_age is None:
        return
    known = asked_for(expected)
    wanted = {spec: package for spec, package in known.items() if package.known_as not in supply.allow_young}
    asking = Published(manager.request.network, manager.project.format.ecosystem, memory_path(store.root))
    try:
        published = asking.times(wanted)
    except ApphostError as error:
        # when: supply.minimum_age is set, and the registry does not answer
        what = f"the age of packages cannot be told: {error.message}"
        raise ApphostError(what, "supply.minimum_age", "Try again, or leave minimum_age out for now.") from error
    problems = too_young(expected, published, supply.minimum_age, datetime.now(timezone.utc), supply.allow_young)
    if problems:
        # when: a version came out later than supply.minimum_age allows
        raise ApphostError(
            f"{joined(problems)}; asked for are {supply.minimum_age:g} days",
            manager.project.lockfile.path,
            "Wait, take an older version, or name the package in allow_young.",
        )


def check_installed(manager: Manager, job: Job) -> None:
    """Raise ApphostError for wrong signatures, and for known vulnerabilities, when these were asked for."""
    supply = manager.request.supply
    if supply.signatures:
        manager.check_signatures(job)
    if supply.audit:
        manager.audit(job, supply.audit)
