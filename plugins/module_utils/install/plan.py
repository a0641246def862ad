# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an installation would do, found out without writing anything and without the network."""

from __future__ import annotations

import dataclasses
import functools
import os
import time
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, RunCommand
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.facts import facts_of
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.identity import cpu, libc_version, tree_identity
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.known import Answer, key_of, recall
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.record import FOLDERS, Installed, Record
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import InstallRequest
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.tree import Look, Tree, look, read_record
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Lockfile, Package, Source
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.reader import (
    Sources,
    check_sources,
    find_sources,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.tree import expected_packages

if t.TYPE_CHECKING:
    from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.base import Manager

__all__ = ["InstallRequest", "Plan", "plan_installation"]


class Plan:
    """What an installation would do: nothing is written, and no network asked, to know it.

    ``read`` reads the project and judges it; that is only done when what is remembered of it does not say enough.
    """

    def __init__(
        self,
        request: InstallRequest,
        answer: Answer,
        key: str,
        read: t.Callable[[], Manager],
        found: Look,
        seconds: float,
    ) -> None:
        self.request = request
        self.identity = answer.identity
        #: The manager's name and version, and all folders that packages may be in, the first product first.
        self.name = answer.manager
        self.version = answer.manager_version
        self.places = answer.places
        self.answer = answer
        self.key = key
        #: What is in the folder now.
        self.found = found
        #: Seconds it took to find all this out.
        self.seconds = seconds
        self._read = read

    @functools.cached_property
    def manager(self) -> Manager:
        """What installs the project."""
        return self._read()

    @property
    def lockfile(self) -> Lockfile:
        return self.manager.project.lockfile

    @property
    def allow_scripts(self) -> tuple[str, ...]:
        """Names out of the option that the lockfile has."""
        return allowed_scripts(self.manager)

    @property
    def placed(self) -> Tree | None:
        """What is in the folder, if it is whole and one of ours."""
        return self.found.intact

    @property
    def up_to_date(self) -> bool:
        return self.placed is not None and self.placed.identity == self.identity

    @property
    def platform(self) -> str:
        """What the tree is made for, in words."""
        inputs = _inputs(self.manager)
        runtime = f"{self.manager.project.format.ecosystem} {inputs['runtime']} (ABI {inputs['abi']})"
        return f"{inputs['os']} {inputs['cpu']}, {inputs['libc']}, {runtime}, {self.name} {self.version}"

    @property
    def main(self) -> str:
        """Where the tree is, or will be."""
        return os.path.join(self.request.folder, self.places[0])

    def before(self) -> tuple[dict[str, Package], frozenset[str]]:
        """What is installed now, by path, and what of it the project asked for by itself."""
        folder = self.request.folder
        if self.found == Look():
            # Nothing is there.
            return {}, frozenset()
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


def allowed_scripts(manager: Manager) -> tuple[str, ...]:
    """Names out of the option ``allow_scripts`` that the lockfile has."""
    names = {package.known_as for package in manager.project.lockfile.packages.values()}
    return tuple(sorted(names & set(manager.request.allow_scripts)))


def _is_there(folder: str, record: Record, path: str) -> bool:
    return all(os.path.isdir(os.path.join(folder, at)) for at in record.packages[path].at)


def plan_installation(request: InstallRequest, run: RunCommand) -> Plan | None:
    """Find out everything; ``None``: the app has nothing to install. Raises ApphostError."""
    started = time.monotonic()
    if not os.path.isdir(request.folder):
        # The option path names something that is not there, or a file.
        raise ApphostError("is no folder", request.folder, "Put the app there first.")
    sources = find_sources(request.folder, request.manager)
    if sources is None:
        return None
    key = key_of(request, sources)
    read = functools.partial(_read, request, sources, run)
    known = recall(request.store, key, request.folder)
    manager = None if known else read()
    answer = known or _answer(t.cast("Manager", manager))
    found = look(request.folder, answer.places, request.verify_full)
    plan = Plan(request, answer, key, read, found, time.monotonic() - started)
    if manager:
        plan.manager = manager
    return plan


def _read(request: InstallRequest, sources: Sources, run: RunCommand) -> Manager:
    """Read and judge the project. Raises ApphostError."""
    # Every manager has a module of its own: what is not needed is not loaded.
    from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.make import make_manager

    policy = dataclasses.replace(request.policy, registries=request.network.addresses())
    manager = make_manager(check_sources(sources, policy), request, run)
    manager.check()
    return manager


def _inputs(manager: Manager) -> dict[str, t.Any]:
    """Everything that decides the tree."""
    project = manager.project
    return {
        "manager": manager.name,
        "lockfile": project.lockfile.digest,
        "manifest": project.manifests[""].deciding if project.manifests else {},
        "os": "linux",
        "cpu": cpu(),
        "libc": libc_version(),
        "omit": ["dev"],
        "allow_scripts": allowed_scripts(manager),
        **manager.inputs(),
    }


def _answer(manager: Manager) -> Answer:
    """What the project came to."""
    return Answer(
        identity=tree_identity(_inputs(manager)),
        manager=manager.name,
        manager_version=manager.version,
        places=manager.places,
        facts=facts_of(manager.project.folder, manager.facts()),
    )
