# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a lockfile was made for the manifests that are there now."""

from __future__ import annotations

import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import Problem
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Lockfile, Manifest, Requirements


def differences(lockfile: Lockfile, manifests: t.Mapping[str, Manifest]) -> list[Problem]:
    """What the manifests (by project folder) ask for, and the lockfile was not made for; and the other way round.

    For formats that record what they were made for (``Lockfile.projects``).
    """
    problems = []
    for folder in [*manifests, *(folder for folder in lockfile.projects if folder not in manifests)]:
        if folder not in lockfile.projects:
            problems.append(Problem(f"{lockfile.name} was made without the workspace {folder}"))
        elif folder not in manifests:
            problems.append(Problem(f"{lockfile.name} was made for a workspace {folder}, which is not there"))
        else:
            file = f"{folder}/package.json" if folder else "package.json"
            problems += _of_project(lockfile, file, manifests[folder].requirements, lockfile.projects[folder])
    return problems


def _of_project(lockfile: Lockfile, file: str, asked: Requirements, locked: Requirements) -> list[Problem]:
    wanted, made_for = asked.by_kind(), locked.by_kind()
    return [
        _difference(lockfile.name, file, kind, name, wanted[kind].get(name), made_for[kind].get(name))
        for kind in wanted
        for name in sorted({*wanted[kind], *made_for[kind]})
        if wanted[kind].get(name) != made_for[kind].get(name)
    ]


def _difference(lockfile: str, file: str, kind: str, name: str, wanted: str | None, made_for: str | None) -> Problem:
    # The kind is only worth naming when it is an unusual one.
    of_kind = "" if kind == "dependencies" else f" ({kind})"
    if wanted is None:
        return Problem(f"{file} does not ask {name}{of_kind}, {lockfile} was made for {made_for}")
    if made_for is None:
        return Problem(f"{file} asks {name} {wanted}{of_kind}, {lockfile} was made without it")
    return Problem(f"{file} asks {name} {wanted}{of_kind}, {lockfile} was made for {made_for}")
