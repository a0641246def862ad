# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tree a lockfile describes: what of it belongs on a host, whether what was installed is that, and what differs."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import Problem
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import (
    Lockfile,
    Package,
    Source,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.ranges import satisfies
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.reach import (
    Packages,
    all_of,
    needs_of,
    reached,
)


class Host(t.Protocol):
    """Where packages are installed, and what for."""

    def fits(self, package: Package) -> bool:
        """Whether a package that may be left out would be installed here."""


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


def expected_packages(lockfile: Lockfile, target: Host) -> dict[str, Package]:
    """What an installation for ``target`` is going to hold: without development packages and foreign platforms.

    The project's own folders (workspaces) are no packages that are installed.
    """
    staying = _staying(lockfile, target)
    return {
        path: package
        for path, package in lockfile.packages.items()
        if path in staying and package.source != Source.WORKSPACE
    }


def _staying(lockfile: Lockfile, target: Host) -> set[str]:
    """Paths of all that is asked for on ``target``, by the project or by something that stays."""
    production = production_packages(lockfile)
    must = reached(production, lockfile.needs, needs_of)
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
    return reached(fit, [*lockfile.needs, *lockfile.wants], all_of)


def disagreements(lockfile: Lockfile, installed: Packages, target: Host) -> list[Problem]:
    """How an installed tree (by what its manager wrote down) differs from what the lockfile says; empty: not at all."""
    production = production_packages(lockfile)
    problems = []
    for path, package in installed.items():
        locked = production.get(path)
        if locked is None:
            if package.source != Source.BUNDLED:
                problems.append(Problem(f"{path} is not in the lockfile"))
        elif locked.source != Source.WORKSPACE and _content(locked) != _content(package):
            problems.append(Problem(f"{path} is {package.spec}, the lockfile has {locked.spec}"))
    # A manager leaves an optional package out without a word, also when it only failed to download.
    staying = _staying(lockfile, target)
    problems += [
        Problem(f"{path} is missing") for path in lockfile.packages if path in staying and path not in installed
    ]
    return problems


def _content(package: Package) -> tuple[str | None, str | None]:
    return package.version, package.integrity


@dataclass(frozen=True)
class Difference:
    """What two trees differ in, each a list of entries, sorted by path.

    An entry has ``path``, ``name``, ``direct`` (the project or a workspace asks for it by itself), and ``version``, or
    ``before`` and ``after``, which are equal when the same version has another content. Where the path of a package
    holds its version, the old one is in ``path_before``.
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

    renamed = _renamed(before, after)
    stayed = {path: path for path in before if path in after and _content(before[path]) != _content(after[path])}
    old_paths = {*before} - {*after} - {*renamed.values()}
    new_paths = {*after} - {*before} - {*renamed}
    updated = []
    for path, old in sorted({**stayed, **renamed}.items()):
        versions = {"before": before[old].version or "", "after": after[path].version or ""}
        moved = {"path_before": old} if old != path else {}
        updated.append(entry(after[path], direct_after, **versions, **moved))
    return Difference(
        added=[entry(after[path], direct_after, version=after[path].version or "") for path in sorted(new_paths)],
        removed=[entry(before[path], direct_before, version=before[path].version or "") for path in sorted(old_paths)],
        updated=updated,
    )


def _renamed(before: Packages, after: Packages) -> dict[str, str]:
    """New path -> old path of packages that only have another path because it holds the version.

    That is so for all formats but npm's, whose paths are places, and for names of which there is one before and after.
    """
    gone, come = (
        _by_name(package for path, package in one.items() if path not in other and not is_place(path))
        for one, other in ((before, after), (after, before))
    )
    return {come[name][0]: gone[name][0] for name in come if len(come[name]) == 1 and len(gone.get(name, ())) == 1}


def _by_name(packages: t.Iterable[Package]) -> dict[str, list[str]]:
    paths: dict[str, list[str]] = {}
    for package in packages:
        paths.setdefault(package.name, []).append(package.path)
    return paths


def is_place(path: str) -> bool:
    """Whether a package's path is the folder that it is in, and not the lockfile's own word for it."""
    return f"/{path}".rfind("/node_modules/") >= 0


def listings(
    before: Packages, after: Packages, direct_before: t.Container[str] = (), direct_after: t.Container[str] = ()
) -> tuple[str, str]:
    """Before and after with a line for each package, sorted: the texts that ``--diff`` compares.

    They differ in the lines of packages that differ, and in no others.
    """
    old, new = [], []
    for path, package in before.items():
        # What was direct and now is not has not changed on disk.
        direct = path in (direct_after if path in after else direct_before)
        old.append(_line(package, ["direct"] if direct else []))
    for path, package in after.items():
        remarks = ["direct"] if path in direct_after else []
        same = before.get(path)
        if same and same.version == package.version and same.integrity != package.integrity:
            remarks.append("other content")
        new.append(_line(package, remarks))
    return "".join(sorted(old)), "".join(sorted(new))


def _line(package: Package, remarks: list[str]) -> str:
    version = package.version or "-"
    if is_place(package.path):
        called = package.path
    else:
        called = package.name
        if package.path not in (called, *(f"{called}{mark}{version}" for mark in ("@", "@npm:", "==", " "))):
            remarks = [*remarks, package.path]
    remark = f" ({', '.join(remarks)})" if remarks else ""
    return f"{called} {version}{remark}\n"
