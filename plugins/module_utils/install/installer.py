# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install an app's dependencies exactly as its lockfile says: the one way in, for modules and for staging a release.

What is installed has an identity, a hash of everything that decides it. A tree of one identity is built once on a host,
by the package manager, as an account without rights, in a scratch folder; it is checked, sealed and kept in the store,
and put into a folder from there.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import time
import typing as t
from dataclasses import dataclass, field

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, RunCommand, from_os_error
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.command import Account, build_account
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.npm_build import build
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.place import DamagedTree, clean_beside, place
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.plan import (
    InstallRequest,
    Plan,
    plan_installation,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.store import TreeStore
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.tree import Tree

__all__ = ["InstallRequest", "InstallResult", "install_dependencies"]


@dataclass(frozen=True)
class InstallResult:
    """What an installation did. ``manager`` and ``identity`` are ``None`` when the app has nothing to install."""

    changed: bool
    manager: str | None = None
    identity: str | None = None
    packages: int = 0
    files: int = 0
    bytes: int = 0
    #: The tree was built before, by this release or another.
    from_cache: bool = False
    #: Packages whose lifecycle scripts did not run, as ``name@version``.
    scripts_skipped: tuple[str, ...] = ()
    #: Seconds by phase: ``build`` and ``place`` if they were needed, ``total`` with reading and checking.
    seconds: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, t.Any]:
        """For a module's result."""
        return {
            "changed": self.changed,
            "manager": self.manager,
            "identity": self.identity,
            "packages": self.packages,
            "files": self.files,
            "bytes": self.bytes,
            "from_cache": self.from_cache,
            "scripts_skipped": list(self.scripts_skipped),
            "seconds": self.seconds,
        }


def install_dependencies(request: InstallRequest, run: RunCommand) -> InstallResult:
    """Put the dependencies of ``request.folder`` in place. Raises ApphostError; then the folder is as it was.

    An app without dependencies (no package.json, or manager ``none``) has nothing to do.
    """
    try:
        plan = plan_installation(request, run)
        return carry_out(plan, run) if plan else InstallResult(changed=False)
    except OSError as error:
        raise from_os_error(error, "installing dependencies") from error


def carry_out(plan: Plan, run: RunCommand) -> InstallResult:
    """Do what ``plan`` says. Raises ApphostError or OSError; then the folder is as it was."""
    started = time.monotonic() - plan.seconds
    from_cache = True
    seconds: dict[str, float] = {}
    if plan.placed and plan.up_to_date:
        clean_beside(plan.request.folder)
        TreeStore(plan.request.store, None).tidy()
        tree = plan.placed
    else:
        with _ordinary_umask():
            tree, from_cache, seconds = _Installation(plan, run).bring()
    return InstallResult(
        changed=not plan.up_to_date,
        manager=plan.lockfile.manager,
        identity=plan.identity,
        packages=tree.packages,
        files=tree.files,
        bytes=tree.bytes,
        from_cache=from_cache,
        scripts_skipped=tree.scripts_skipped,
        seconds={**seconds, "total": _since(started)},
    )


@contextlib.contextmanager
def _ordinary_umask() -> t.Iterator[None]:
    """Make the modes of what is made here the same on every host."""
    before = os.umask(0o022)
    try:
        yield
    finally:
        os.umask(before)


class _Installation:
    """One installation that has something to do."""

    def __init__(self, plan: Plan, run: RunCommand) -> None:
        self.plan = plan
        self.run = run
        self.account = build_account(plan.request.build_user)
        self.owner = _owner(plan.request, self.account)
        self.store = TreeStore(plan.request.store, self.account)

    def bring(self) -> tuple[Tree, bool, dict[str, float]]:
        """Put the tree in place; a damaged one is built again. Returns it, whether it was there, and seconds."""
        self.store.prepare()
        self.store.tidy()
        try:
            return self._deliver()
        except DamagedTree:
            self.store.discard(self.plan.identity)
            return self._deliver()

    def _deliver(self) -> tuple[Tree, bool, dict[str, float]]:
        seconds: dict[str, float] = {}
        began = time.monotonic()
        identity = self.plan.identity
        tree = self.store.find(identity)
        from_cache = tree is not None
        if tree is None:
            with self.store.building():
                # Another process may have built it while this one waited.
                tree = self.store.find(identity)
                from_cache = tree is not None
                tree = tree or build(self.plan, self.store, self.account, self.run)
            seconds["build"] = _since(began)
        began = time.monotonic()
        self.store.touch(identity)
        # Links only where root alone can write to the tree; who owns the files himself gets copies.
        link = self.account is not None and self.owner is None
        place(self.store.tree_path(identity), tree, self.plan.request.folder, self.owner, link)
        seconds["place"] = _since(began)
        return tree, from_cache, seconds


def _owner(request: InstallRequest, account: Account | None) -> tuple[int, int] | None:
    """Whom copies belong to; ``None``: root (or, when this process is not root, itself)."""
    if account is None or (request.owner in (None, "root") and request.group in (None, "root")):
        return None
    try:
        uid = pwd.getpwnam(request.owner).pw_uid if request.owner else 0
        return uid, grp.getgrnam(request.group).gr_gid if request.group else (pwd.getpwuid(uid).pw_gid)
    except KeyError as error:
        raise ApphostError(f"the owner {request.owner} or the group {request.group} does not exist") from error


def _since(moment: float) -> float:
    return round(time.monotonic() - moment, 3)
