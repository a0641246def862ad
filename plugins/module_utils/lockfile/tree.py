# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree a lockfile describes: what of it belongs on a host, whether what was installed is that, and what differs."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import (
    Lockfile,
    Package,
    Source,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.ranges import satisfies

Packages = t.Mapping[str, Package]
Edges = t.Callable[[Package], t.Iterable[str]]


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
    """What an installation for ``target`` is going to hold: without development packages and foreign platforms.

    The project's own folders (workspaces) are no packages that are installed.
    """
    staying = _staying(lockfile, target)
    return {
        path: package
        for path, package in lockfile.packages.items()
        if path in staying and package.source != Source.WORKSPACE
    }


def _staying(lockfile: Lockfile, target: Target) -> set[str]:
    """Paths of all that is asked for on ``target``, by the project or by something that stays."""
    production = production_packages(lockfile)
    must = _reachable(production, lockfile.needs, lambda package: package.needs)
    # An optional package whose own need is unfit stays away with it, and so on upwards.
    needed_by: dict[str, list[str]] = {}
    for path, package in production.items():
        if path not in must:
            for needed in package.needs:
                needed_by.setdefault(needed, []).append(path)
    todo = [path for path, package in production.items() if path not in must and not target.fits(package)]
    unfit: set[str] = set()
    while todo:
        path = todo.pop()
        if path not in unfit:
            unfit.add(path)
            todo += needed_by.get(path, ())
    fit = {path: package for path, package in production.items() if path not in unfit}
    return _reachable(fit, [*lockfile.needs, *lockfile.wants], lambda package: (*package.needs, *package.wants))


def _reachable(packages: Packages, start: t.Iterable[str], following: Edges) -> set[str]:
    reached: set[str] = set()
    todo = list(start)
    while todo:
        path = todo.pop()
        if path in packages and path not in reached:
            reached.add(path)
            todo += following(packages[path])
    return reached


def disagreements(lockfile: Lockfile, installed: Packages, target: Target) -> list[str]:
    """How an installed tree (by what its manager wrote down) differs from what the lockfile says; empty: not at all."""
    production = production_packages(lockfile)
    problems = []
    for path, package in installed.items():
        locked = production.get(path)
        if locked is None:
            if package.source != Source.BUNDLED:
                problems.append(f"{path} is not in the lockfile")
        elif locked.source != Source.WORKSPACE and _content(locked) != _content(package):
            problems.append(f"{path} is {package.spec}, the lockfile has {locked.spec}")
    # A manager leaves an optional package out without a word, also when it only failed to download.
    staying = _staying(lockfile, target)
    problems += [f"{path} is missing" for path in lockfile.packages if path in staying and path not in installed]
    return problems


def _content(package: Package) -> tuple[str | None, str | None]:
    return package.version, package.integrity


@dataclass(frozen=True)
class Difference:
    """What two trees differ in, each a list of entries, sorted by path.

    An entry has ``path``, ``name``, ``direct`` (the project or a workspace asks for it by itself), and ``version``, or
    ``before`` and ``after``, which are equal when the same version has another content.
    """

    added: list[dict[str, t.Any]]
    removed: list[dict[str, t.Any]]
    updated: list[dict[str, t.Any]]

    @property
    def counts(self) -> dict[str, int]:
        """How many packages are ``added``, ``removed`` and ``updated``."""
        return {"added": len(self.added), "removed": len(self.removed), "updated": len(self.updated)}


def difference(
    before: Packages, after: Packages, direct_before: t.Container[str] = (), direct_after: t.Container[str] = ()
) -> Difference:
    """What has to happen to ``before`` so that it becomes ``after``; paths of direct packages say what is direct."""

    def entry(package: Package, direct: t.Container[str], **more: str) -> dict[str, t.Any]:
        return {"path": package.path, "name": package.name, "direct": package.path in direct, **more}

    added, removed, both = {*after} - {*before}, {*before} - {*after}, {*before} & {*after}
    return Difference(
        added=[entry(after[path], direct_after, version=after[path].version or "") for path in sorted(added)],
        removed=[entry(before[path], direct_before, version=before[path].version or "") for path in sorted(removed)],
        updated=[
            entry(after[path], direct_after, before=before[path].version or "", after=after[path].version or "")
            for path in sorted(both)
            if _content(before[path]) != _content(after[path])
        ],
    )


def listings(
    before: Packages, after: Packages, direct_before: t.Container[str] = (), direct_after: t.Container[str] = ()
) -> tuple[str, str]:
    """Before and after with a line for each package, sorted: the texts that ``--diff`` compares.

    They differ in the lines of packages that differ, and in no others.
    """
    texts = []
    for packages, direct in ((before, direct_before), (after, direct_after)):
        lines = []
        for path in sorted(packages):
            other = before.get(path) if packages is after else None
            same_version = other is not None and other.version == packages[path].version
            # What was direct and now is not has not changed on disk.
            remarks = ["direct"] if path in (direct_after if path in after else direct) else []
            if other is not None and same_version and _content(other) != _content(packages[path]):
                remarks.append("other content")
            remark = f" ({', '.join(remarks)})" if remarks else ""
            lines.append(f"{path} {packages[path].version or '-'}{remark}\n")
        texts.append("".join(lines))
    return texts[0], texts[1]
