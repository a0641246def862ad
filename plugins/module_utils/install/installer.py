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
from dataclasses import asdict, dataclass, field

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, RunCommand, from_os_error
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.command import Account, build_account
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.known import remember
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.laps import Laps
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.place import DamagedTree, clean_beside, place
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.plan import Plan, plan_installation
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import InstallRequest, Shipped
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.size import check_size
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.store import TreeStore
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.tree import Tree

__all__ = ["InstallRequest", "InstallResult", "LacksTree", "install_dependencies"]

#: Drift and packages that are named.
_SHOWN = 20


@dataclass(frozen=True)
class InstallResult:
    """What an installation did. ``manager`` and ``identity`` are ``None`` when the app has nothing to install."""

    changed: bool
    manager: str | None = None
    manager_version: str | None = None
    identity: str | None = None
    packages: int = 0
    files: int = 0
    bytes: int = 0
    #: The tree was built before, by this release or another.
    from_cache: bool = False
    #: The tree was built elsewhere and came from there now.
    shipped: bool = False
    #: How the files got to where they are (``hard_link``, ``reflink``, ``copy``); ``None``: they were there.
    placed_by: str | None = None
    #: What was no longer as it had been installed, in words.
    drift: tuple[str, ...] = ()
    #: Packages whose lifecycle scripts did not run, as ``name@version``.
    scripts_skipped: tuple[str, ...] = ()
    #: Seconds by phase, as far as they were needed: ``plan``, ``wait``, ``fetch``, ``scripts``, ``seal`` or ``ship``,
    #: ``place``; and ``total``.
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What somebody should read although it went well; only when something was done that had not been before."""
        if self.placed_by is None or self.from_cache or not self.scripts_skipped:
            return ()
        names = ", ".join(self.scripts_skipped[:_SHOWN])
        more = f" and {len(self.scripts_skipped) - _SHOWN} more" if len(self.scripts_skipped) > _SHOWN else ""
        return (f"the lifecycle scripts of {names}{more} did not run: allow_scripts does not name them",)

    def as_dict(self) -> dict[str, t.Any]:
        """For a module's result."""
        lists = {"drift": list(self.drift[:_SHOWN]), "scripts_skipped": list(self.scripts_skipped)}
        return {**asdict(self), **lists}


class LacksTree(Exception):
    """The store lacks the tree, and it is not to be built here."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan.identity)
        self.identity = plan.identity
        #: What it has to be made for, in words.
        self.platform = plan.platform


def install_dependencies(request: InstallRequest, run: RunCommand) -> InstallResult:
    """Put the dependencies of ``request.folder`` in place. Raises ApphostError; then the folder is as it was.

    Raises LacksTree when a tree is missing that must not be built.

    An app without dependencies (no manifest, or manager ``none``) has nothing to do.
    """
    try:
        plan = plan_installation(request, run)
        return carry_out(plan, run) if plan else InstallResult(changed=False)
    except OSError as error:
        raise from_os_error(error, "installing dependencies") from error


def carry_out(plan: Plan, run: RunCommand) -> InstallResult:
    """Do what ``plan`` says. Raises ApphostError, LacksTree or OSError; then the folder is as it was."""
    started = time.monotonic() - plan.seconds
    laps = Laps()
    laps.seconds["plan"] = round(plan.seconds, 3)
    from_cache, shipped, placed_by = True, False, None
    if plan.placed and plan.up_to_date:
        clean_beside(plan.request.folder, plan.places)
        TreeStore(plan.request.store, None).tidy()
        tree = plan.placed
        check_size(plan.request, tree, plan.request.folder)
    else:
        with _ordinary_umask():
            tree, from_cache, placed_by = _Installation(plan, run, laps).bring()
        shipped = not from_cache and plan.request.shipped is not None
    _remember(plan)
    return InstallResult(
        changed=not plan.up_to_date,
        manager=plan.name,
        manager_version=plan.version,
        identity=plan.identity,
        packages=tree.packages,
        files=tree.files,
        bytes=tree.bytes,
        from_cache=from_cache,
        shipped=shipped,
        placed_by=placed_by,
        drift=plan.found.drift,
        scripts_skipped=tree.scripts_skipped,
        seconds={**laps.seconds, "total": round(time.monotonic() - started, 3)},
    )


def _remember(plan: Plan) -> None:
    """Write down what the project came to. Of several at the same time one does: they have the same to say."""
    locks = TreeStore(plan.request.store, None).locks
    if os.path.isdir(locks.folder):
        with locks.held(f"known-{plan.key}") as ours:
            if ours:
                remember(plan.request.store, plan.key, plan.answer)


def have_tree(plan: Plan, run: RunCommand) -> None:
    """See to it that the store has the tree, without putting it into the folder. Raises ApphostError or OSError."""
    with _ordinary_umask():
        _Installation(plan, run, Laps()).have()


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

    def __init__(self, plan: Plan, run: RunCommand, laps: Laps) -> None:
        self.plan = plan
        self.run = run
        self.laps = laps
        self.account = build_account(plan.request.build_user)
        self.owner = _owner(plan.request, self.account)
        self.store = TreeStore(plan.request.store, self.account)

    def bring(self) -> tuple[Tree, bool, str]:
        """Put the tree in place; a damaged one is built again. Returns it, whether it was there, and how it came."""
        self._prepare()
        try:
            return self._deliver()
        except DamagedTree:
            with self.store.building(self.plan.identity):
                self.store.discard(self.plan.identity)
            return self._deliver()

    def have(self) -> None:
        """Have the tree in the store, whole."""
        self._prepare()
        tree, from_cache = self._find_or_build(full=True)
        with self.store.using(self.plan.identity):
            check_size(self.plan.request, tree, self.store.tree_path(self.plan.identity))
            self.store.touch(self.plan.identity)
        if not from_cache:
            self._bound()

    def _prepare(self) -> None:
        self.store.prepare(self.plan.name)
        self.store.tidy()

    def _deliver(self) -> tuple[Tree, bool, str]:
        identity, request = self.plan.identity, self.plan.request
        tree, from_cache = self._find_or_build(request.verify_full)
        with self.store.using(identity):
            check_size(request, tree, self.store.tree_path(identity))
            self.store.touch(identity)
            # Links only where root alone can write to the tree; who owns the files himself gets copies.
            link = self.account is not None and self.owner is None
            source = self.store.tree_path(identity)
            placed_by = place(source, tree, request.folder, self.plan.places, self.owner, link)
        self.laps.lap("place")
        if not from_cache:
            self._bound()
        return tree, from_cache, placed_by

    def _find_or_build(self, full: bool) -> tuple[Tree, bool]:
        identity, request = self.plan.identity, self.plan.request
        tree = self.store.find(identity, full)
        if tree is not None:
            return tree, True
        if not request.may_build:
            raise LacksTree(self.plan)
        with self.store.building(identity):
            self.laps.lap("wait")
            # Another process may have built it while this one waited.
            tree = self.store.find(identity, full)
            if tree is not None:
                return tree, True
            if request.shipped:
                return self._import(request.shipped), False
            # What only a build needs is not loaded for anything else.
            from ansible_collections.evenkeel.apphost.plugins.module_utils.install.build import build

            return build(self.plan, self.store, self.account, self.run, self.laps), False

    def _import(self, shipped: Shipped) -> Tree:
        # Only loaded where something was shipped.
        from ansible_collections.evenkeel.apphost.plugins.module_utils.install.ship import import_tree

        plan = self.plan
        tree = import_tree(self.store, plan.identity, shipped.path, shipped.sha256, plan.manager.outside, self.run)
        self.laps.lap("ship")
        return tree

    def _bound(self) -> None:
        """Keep the store within its bounds; what was just used stays."""
        manager, request = self.plan.manager, self.plan.request
        self.store.bound_cache(manager.name, request.cache_bytes, manager.separable_cache)
        self.store.sweep(request.store_bounds, spared=(self.plan.identity,))


def _owner(request: InstallRequest, account: Account | None) -> tuple[int, int] | None:
    """Whom copies belong to; ``None``: root (or, when this process is not root, itself)."""
    if account is None or (request.owner in (None, "root") and request.group in (None, "root")):
        return None
    try:
        uid = pwd.getpwnam(request.owner).pw_uid if request.owner else 0
        return uid, grp.getgrnam(request.group).gr_gid if request.group else (pwd.getpwuid(uid).pw_gid)
    except KeyError as error:
        # The host does not have the account that the files are to belong to.
        what = f"the owner {request.owner} or the group {request.group} does not exist"
        raise ApphostError(what, do="Create them first (role app_host), or name others.") from error
