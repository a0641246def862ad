# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the versions in a lockfile have been out: most packages that were taken over are found out within days.

The times come from the registry, so this is asked while installing, not when the lockfile is judged: ``asked_for`` says
which versions to ask about, whoever does the fetching asks the registry (npm: ``time`` in a package's full document;
PyPI: ``upload_time_iso_8601`` of the version's files, the earliest), and ``too_young`` has the last word.
"""

from __future__ import annotations

import typing as t
from datetime import datetime, timedelta

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import Problem
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Package, Source

#: Package and version as the registry knows them: ``@scope/name@1.0.0``.
Version = str


def asked_for(packages: t.Iterable[Package]) -> dict[Version, Package]:
    """The versions whose age counts: those from registries; other sources were allowed by name, by a person."""
    return {
        f"{package.known_as}@{package.version}": package for package in packages if package.source == Source.REGISTRY
    }


def too_young(
    packages: t.Iterable[Package],
    published: t.Mapping[Version, datetime],
    minimum_days: float,
    now: datetime,
    allowed: t.Collection[str] = (),
) -> list[Problem]:
    """What is wrong with the age of ``packages``, in words; empty: nothing is.

    ``published`` says when each version of ``asked_for`` came out; one that is missing there is too young. ``now`` and
    the times have time zones. ``allowed`` are names of packages that may be of any age.
    """
    problems = []
    for version, package in sorted(asked_for(packages).items()):
        if package.known_as in allowed:
            continue
        moment = published.get(version)
        if moment is None:
            # The registry does not say when the version came out.
            problems.append(Problem(f"nobody knows since when there is {version}"))
        elif now - moment < timedelta(days=minimum_days):
            # Fewer days than supply.minimum_age asks for.
            age = _length(now - moment)
            problems.append(Problem(f"{version} has been out for {age}"))
    return problems


def _length(time: timedelta) -> str:
    hours = int(time.total_seconds() // 3600)
    if hours < 1:
        return "less than an hour"
    if hours < 48:
        return f"{hours} hour{'s' if hours > 1 else ''}"
    return f"{hours // 24} days"
