# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree a lockfile describes: what of it belongs on a host, whether what was installed is that, and what differs."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Lockfile, Package
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.ranges import satisfies

Packages = t.Mapping[str, Package]


@dataclass(frozen=True)
class Target:
    """What a tree is installed for, in the words of ``os``, ``cpu``, ``libc`` and ``engines`` of a lockfile."""

    cpu: str
    #: ``glibc`` or ``musl``.
    libc: str
    #: Versions of Node.js and npm.
    node: str
    npm: str
    os: str = "linux"

    def fits(self, package: Package) -> bool:
        """Whether npm would install an optional package here."""
        return (
            _listed(self.os, package.os)
            and _listed(self.cpu, package.cpu)
            and _listed(self.libc, package.libc)
            and all(
                satisfies(version, package.engines[engine]) is True
                for engine, version in (("node", self.node), ("npm", self.npm))
                if package.engines.get(engine)
            )
        )


def _listed(value: str, names: t.Sequence[str]) -> bool:
    """``x64`` against ``["x64", "arm64"]`` or ``["!ia32"]``; an empty list or ``any`` takes everything."""
    if f"!{value}" in names:
        return False
    wanted = [name for name in names if not name.startswith("!")]
    return not wanted or value in wanted or list(names) == ["any"]


def production_packages(lockfile: Lockfile) -> dict[str, Package]:
    """The entries that are not for development only, by path."""
    return {path: package for path, package in lockfile.packages.items() if not package.dev}


def expected_packages(lockfile: Lockfile, target: Target) -> dict[str, Package]:
    """What an installation for ``target`` is going to hold: without development packages and foreign platforms."""
    production = production_packages(lockfile)
    needed = {
        path: [_resolve(production, path, name) for name in package.needs] for path, package in production.items()
    }
    unfit = {path for path, package in production.items() if _may_be_left_out(package) and not target.fits(package)}
    # An optional package whose own need is unfit stays away with it, and so on upwards.
    waiting = True
    while waiting:
        more = {
            path
            for path, package in production.items()
            if path not in unfit and _may_be_left_out(package) and not unfit.isdisjoint(needed[path])
        }
        unfit |= more
        waiting = bool(more)
    # What is left of the optional packages must be asked for by one that stays.
    reached = {path for path, package in production.items() if not _may_be_left_out(package)}
    todo = [("", name) for name in lockfile.requirements.production]
    todo += [(path, name) for path in reached for name in production[path].wants]
    while todo:
        found = _resolve(production, *todo.pop())
        if found is not None and found not in unfit and (found not in reached):
            reached.add(found)
            todo += [(found, name) for name in (*production[found].needs, *production[found].wants)]
    return {path: package for path, package in production.items() if path in reached}


def disagreements(lockfile: Lockfile, installed: Packages, target: Target) -> list[str]:
    """How an installed tree (npm's hidden lockfile) differs from what the lockfile says; empty: it is that tree."""
    production = production_packages(lockfile)
    problems = []
    for path, package in installed.items():
        locked = production.get(path)
        if locked is None:
            if not package.in_bundle:
                problems.append(f"{path} is not in the lockfile")
        elif (locked.version, locked.integrity) != (package.version, package.integrity):
            problems.append(f"{path} is {package.spec}, the lockfile has {locked.spec}")
    # npm leaves an optional package out without a word, also when it only failed to download.
    problems += [f"{path} is missing" for path in expected_packages(lockfile, target) if path not in installed]
    return problems


def _may_be_left_out(package: Package) -> bool:
    return package.optional or package.dev_optional


def _resolve(packages: Packages, path: str, name: str) -> str | None:
    """Where the package at ``path`` (``""``: the project) finds ``name``: in its own node_modules or in one above."""
    folder = f"{path}/" if path else ""
    while True:
        found = f"{folder}node_modules/{name}"
        if found in packages:
            return found
        if not folder:
            return None
        # "node_modules/a/node_modules/b/" -> "node_modules/a/" -> ""
        folder = folder[: folder.rfind("node_modules/")]


@dataclass(frozen=True)
class Difference:
    """What two trees differ in; each is a list of ``path``, ``name`` and versions, sorted by path."""

    added: list[dict[str, str]]
    removed: list[dict[str, str]]
    updated: list[dict[str, str]]


def difference(before: Packages, after: Packages) -> Difference:
    """What has to happen to ``before`` so that it becomes ``after``."""

    def entry(package: Package, **more: str) -> dict[str, str]:
        return {"path": package.path, "name": package.name, **more}

    return Difference(
        added=[entry(after[path], version=after[path].version or "") for path in sorted({*after} - {*before})],
        removed=[entry(before[path], version=before[path].version or "") for path in sorted({*before} - {*after})],
        updated=[
            entry(after[path], before=before[path].version or "", after=after[path].version or "")
            for path in sorted({*before} & {*after})
            if (before[path].version, before[path].integrity) != (after[path].version, after[path].integrity)
        ],
    )


def listing(packages: Packages) -> str:
    """One line a package, sorted: the text that ``--diff`` compares."""
    return "".join(f"{path} {packages[path].version or ''}\n" for path in sorted(packages))
