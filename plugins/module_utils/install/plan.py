# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an installation would do, found out without writing anything and without the network."""

from __future__ import annotations

import os
import time
import typing as t
from dataclasses import dataclass, field

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, RunCommand
from ansible_collections.evenkeel.apphost.plugins.module_utils.install import npm
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.identity import (
    Runtime,
    inspect_runtime,
    libc_version,
    this_host,
    tree_identity,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.tree import Tree, installed_packages, intact_tree
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.jsonfile import read_regular_file
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import (
    Lockfile,
    Manifest,
    Package,
    Source,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.policy import check_engines
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.reader import checked_project
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.tree import Target, expected_packages


@dataclass(frozen=True)
class InstallRequest:
    """What to install where."""

    #: The app's folder: holds package.json and the lockfile, gets ``node_modules``.
    folder: str
    #: The store of built trees (``AppLayout.store``); on the folder's file system, so that hard links work.
    store: str
    #: The runtime's folder; ``bin/node`` and ``bin/npm`` are below it.
    runtime_root: str
    manager: str = "auto"
    #: Names of packages whose lifecycle scripts may run.
    allow_scripts: tuple[str, ...] = ()
    #: The account that fetches and builds; ``None``: ``apphost-build`` when there is one, else ``nobody``.
    build_user: str | None = None
    #: Whom the files in the folder belong to; ``None``: root, by hard links. Anybody else gets copies.
    owner: str | None = None
    group: str | None = None
    #: Address of the registry and the token for it; ``None``: npm's own default, no token.
    registry: str | None = None
    registry_token: str | None = field(default=None, repr=False)
    #: A file of CA certificates on the host, for a registry behind a corporate CA.
    ca_file: str | None = None
    #: Refuse an app or packages that are not for the runtime's version (``engines.node``).
    check_engines: bool = True


@dataclass(frozen=True)
class Plan:
    """What an installation would do: nothing is written, and no network asked, to know it."""

    request: InstallRequest
    manifest: Manifest
    lockfile: Lockfile
    runtime: Runtime
    target: Target
    identity: str
    #: Names out of ``allow_scripts`` that the lockfile has.
    allow_scripts: tuple[str, ...]
    #: Settings taken from the app's .npmrc.
    settings: dict[str, str]
    #: What is in the folder, if it is whole and one of ours.
    placed: Tree | None
    #: Seconds it took to find all this out.
    seconds: float

    @property
    def up_to_date(self) -> bool:
        return self.placed is not None and self.placed.identity == self.identity

    @property
    def modules(self) -> str:
        """Where the tree is, or will be."""
        return os.path.join(self.request.folder, "node_modules")

    def before(self) -> dict[str, Package]:
        """What is installed now, by path."""
        packages = installed_packages(self.modules) or {}
        return {path: p for path, p in packages.items() if os.path.isdir(os.path.join(self.request.folder, path))}

    def after(self) -> dict[str, Package]:
        """What will be installed, by path."""
        return expected_packages(self.lockfile, self.target)

    def may_run(self, package: Package) -> bool:
        """Whether the package's lifecycle scripts may run."""
        # An alias is known by its real name; what comes inside another package cannot be told from its name.
        return package.source != Source.BUNDLED and package.known_as in self.allow_scripts

    def scripts_skipped(self, packages: t.Iterable[Package]) -> tuple[str, ...]:
        """The ones of ``packages`` that have lifecycle scripts which may not run, as ``name@version``."""
        return tuple(sorted(p.spec for p in packages if p.has_install_script and not self.may_run(p)))


def plan_installation(request: InstallRequest, run: RunCommand) -> Plan | None:
    """Read and check everything; ``None``: the app has nothing to install. Raises ApphostError."""
    started = time.monotonic()
    if not os.path.isdir(request.folder):
        raise ApphostError("is no folder", request.folder)
    project = checked_project(request.folder, request.manager)
    if project is None or project.manifest is None:
        return None
    manifest, lockfile = project.manifest, project.lockfile
    runtime = inspect_runtime(request.runtime_root, run)
    if request.check_engines:
        check_engines(lockfile, manifest, runtime.version)
    settings = npm.trusted_settings(read_regular_file(os.path.join(request.folder, ".npmrc")))
    names = {package.known_as for package in lockfile.packages.values()}
    allow_scripts = tuple(sorted(names & set(request.allow_scripts)))
    target = this_host(runtime)
    inputs = {
        "manager": lockfile.manager,
        "manager_version": runtime.npm_version,
        "lockfile": lockfile.digest,
        "manifest": manifest.deciding,
        "settings": settings,
        "runtime": runtime.version,
        "abi": runtime.abi,
        "os": target.os,
        "cpu": target.cpu,
        "libc": libc_version(),
        "omit": ["dev"],
        "allow_scripts": allow_scripts,
    }
    return Plan(
        request=request,
        manifest=manifest,
        lockfile=lockfile,
        runtime=runtime,
        target=target,
        identity=tree_identity(inputs),
        allow_scripts=allow_scripts,
        settings=settings,
        placed=intact_tree(os.path.join(request.folder, "node_modules")),
        seconds=time.monotonic() - started,
    )
