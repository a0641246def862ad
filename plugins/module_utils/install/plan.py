# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an installation would do, found out without writing anything and without the network."""

from __future__ import annotations

import dataclasses
import os
import time
import typing as t
from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, RunCommand
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.identity import cpu, libc_version, tree_identity
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.base import Manager
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.make import make_manager
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.record import FOLDERS, Installed, Record
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import InstallRequest
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.tree import Look, Tree, look, read_record
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Lockfile, Package, Source
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.reader import checked_project
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.tree import expected_packages

__all__ = ["InstallRequest", "Plan", "plan_installation"]


@dataclass(frozen=True)
class Plan:
    """What an installation would do: nothing is written, and no network asked, to know it."""

    request: InstallRequest
    manager: Manager
    identity: str
    #: Names out of ``allow_scripts`` that the lockfile has.
    allow_scripts: tuple[str, ...]
    #: What is in the folder now.
    found: Look
    #: Seconds it took to find all this out.
    seconds: float

    @property
    def lockfile(self) -> Lockfile:
        return self.manager.project.lockfile

    @property
    def placed(self) -> Tree | None:
        """What is in the folder, if it is whole and one of ours."""
        return self.found.intact

    @property
    def up_to_date(self) -> bool:
        return self.placed is not None and self.placed.identity == self.identity

    @property
    def main(self) -> str:
        """Where the tree is, or will be."""
        return os.path.join(self.request.folder, self.manager.places[0])

    def before(self) -> tuple[dict[str, Package], frozenset[str]]:
        """What is installed now, by path, and what of it the project asked for by itself."""
        folder = self.request.folder
        record = read_record(folder, self.found.tree) if self.found.tree else None
        if record is None:
            packages = self.manager.listed(folder)
            there = {path: package for path, package in packages.items() if os.path.isdir(os.path.join(folder, path))}
            return there, self.lockfile.direct
        return {path: p for path, p in record.as_packages().items() if _is_there(folder, record, path)}, record.direct

    def after(self) -> dict[str, Package]:
        """What will be installed, by path."""
        return expected_packages(self.lockfile, self.manager.target)

    def may_run(self, package: Package) -> bool:
        """Whether the package's lifecycle scripts may run."""
        # An alias is known by its real name; what comes inside another package cannot be told from its name.
        return package.source not in (Source.BUNDLED, *FOLDERS) and package.known_as in self.allow_scripts

    def scripts_skipped(self, installed: t.Mapping[str, Installed]) -> tuple[str, ...]:
        """Packages that have lifecycle scripts which did not run, as ``name@version``."""
        entries = (one.package for one in installed.values() if one.has_scripts)
        return self._not_run(entries)

    def scripts_to_skip(self, packages: t.Iterable[Package]) -> tuple[str, ...]:
        """Packages of which the lockfile says that they have lifecycle scripts, which will not run."""
        return self._not_run(package for package in packages if package.has_install_script)

    def _not_run(self, packages: t.Iterable[Package]) -> tuple[str, ...]:
        return tuple(sorted({p.spec for p in packages if p.source not in FOLDERS and not self.may_run(p)}))


def _is_there(folder: str, record: Record, path: str) -> bool:
    return all(os.path.isdir(os.path.join(folder, at)) for at in record.packages[path].at)


def plan_installation(request: InstallRequest, run: RunCommand) -> Plan | None:
    """Read and check everything; ``None``: the app has nothing to install. Raises ApphostError."""
    started = time.monotonic()
    if not os.path.isdir(request.folder):
        # The option path names something that is not there, or a file.
        raise ApphostError("is no folder", request.folder, "Put the app there first.")
    policy = dataclasses.replace(request.policy, registries=request.network.addresses())
    project = checked_project(request.folder, request.manager, policy)
    if project is None:
        return None
    manager = make_manager(project, request, run)
    manager.check()
    names = {package.known_as for package in project.lockfile.packages.values()}
    allow_scripts = tuple(sorted(names & set(request.allow_scripts)))
    inputs = {
        "manager": manager.name,
        "lockfile": project.lockfile.digest,
        "manifest": project.manifests[""].deciding if project.manifests else {},
        "os": "linux",
        "cpu": cpu(),
        "libc": libc_version(),
        "omit": ["dev"],
        "allow_scripts": allow_scripts,
        **manager.inputs(),
    }
    return Plan(
        request=request,
        manager=manager,
        identity=tree_identity(inputs),
        allow_scripts=allow_scripts,
        found=look(request.folder, manager.places, request.verify_full),
        seconds=time.monotonic() - started,
    )
