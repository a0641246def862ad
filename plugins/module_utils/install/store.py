# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store of built trees on a host.

::

    <store>/                 root, 0711: the build user passes through and sees nothing
        trees/<identity>/<product>          0700 above: only root reads it, and makes hard links from it
        cache/<manager>-<uid>/              a package manager's download cache, the build user's
        managers/<name>-<version>/          a package manager that came from the registry, root's
        scratch/<identity>/                 a build under way; without its lock held it is rubbish
        known/<hash>                        what a project came to when it was read last
        locks/<identity>                    alone: it is built or thrown away; shared: it is put in place
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, RunCommand
from ansible_collections.evenkeel.apphost.plugins.module_utils.files import sync_file_system, write_atomic
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.command import Account
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.locks import Locks
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.place import remove
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import Bounds
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.tree import Tree, links, look, read_tree

#: Another build of the same tree may take so long (seconds) before waiting for it is given up.
LOCK_TIMEOUT = 1800.0

_PRIVATE = 0o700
_PASS_THROUGH = 0o711
#: Answers about projects (``known.py``).
KNOWN = "known"
#: The lock of a cache is shared by the builds that use it.
_CACHE_LOCK = "cache-"
#: Nobody runs code of packages while somebody has tokens.
_ACCOUNT_LOCK = "account"


#: Seconds between two looks at the size of a cache: each reads as many folders as there are packages.
_CACHE_PAUSE = 3600.0


class TreeStore:
    """Built trees by identity. ``account`` is who builds; ``None``: this process, which is not root."""

    def __init__(self, root: str, account: Account | None) -> None:
        self.root = root
        self.account = account
        self.locks = Locks(self.path("locks"))

    def path(self, *names: str) -> str:
        """A path in the store."""
        return os.path.join(self.root, *names)

    def tree_path(self, identity: str) -> str:
        """Where the products of a stored tree are."""
        return self.path("trees", identity)

    def cache(self, manager: str) -> str:
        """A package manager's own cache; what comes out of it is checked against the lockfile by its hash."""
        return self.path("cache", f"{manager}-{self.account.uid if self.account else os.geteuid()}")

    def prepare(self, manager: str) -> None:
        """Make the store's folders; their owners and modes do not depend on the umask, or on who made them before."""
        us = (os.geteuid(), os.getegid())
        os.makedirs(self.root, exist_ok=True)
        mode = os.lstat(self.root).st_mode
        # The store itself may be more open than it needs to be, but nobody else may write to it.
        _own(self.root, us, (stat.S_IMODE(mode) | _PASS_THROUGH) & ~0o022)
        for name, mode in (
            ("trees", _PRIVATE),
            ("locks", _PRIVATE),
            (KNOWN, _PRIVATE),
            ("scratch", _PASS_THROUGH),
            ("managers", _PASS_THROUGH),
            ("cache", _PASS_THROUGH),
        ):
            _folder(self.path(name), us, mode)
        _folder(self.cache(manager), (self.account.uid, self.account.gid) if self.account else us, _PRIVATE)

    def find(self, identity: str, full: bool = False) -> Tree | None:
        """The stored tree, if it is there; ``full``: and every file in it is as it was sealed."""
        path = self.tree_path(identity)
        tree = read_tree(path)
        if tree is None or tree.identity != identity:
            return None
        # Else nothing is read again that the seal vouches for: that files are missing shows when they are placed.
        return look(path, tree.products, full=True).intact if full else tree

    def discard(self, identity: str) -> None:
        """Throw a tree away; its lock is held."""
        remove(self.tree_path(identity))

    @contextlib.contextmanager
    def building(self, identity: str, timeout: float = LOCK_TIMEOUT) -> t.Iterator[None]:
        """Hold the lock of a tree alone; clean up what a killed build of it left."""
        with self.locks.held(identity, timeout=timeout) as ours:
            if not ours:
                # A build on the same host takes longer than half an hour, or hangs.
                do = "See what it waits for, or end it, and run again."
                raise ApphostError(f"another process has been building this tree for {timeout:.0f} s", self.root, do)
            remove(self.path("scratch", identity))
            yield

    @contextlib.contextmanager
    def using(self, identity: str, timeout: float = LOCK_TIMEOUT) -> t.Iterator[None]:
        """Keep a tree from being thrown away meanwhile."""
        with self.locks.held(identity, shared=True, timeout=timeout) as ours:
            if not ours:
                # A build on the same host takes longer than half an hour, or hangs.
                do = "See what it waits for, or end it, and run again."
                raise ApphostError(f"another process has had this tree for {timeout:.0f} s", self.root, do)
            yield

    @contextlib.contextmanager
    def account_used(self, alone: bool, timeout: float = LOCK_TIMEOUT) -> t.Iterator[None]:
        """Use the build user, with tokens in his files, or ``alone`` to run code of packages, which could read those.

        He is the same for all builds on a host, so what he may read in one, he may in another.
        """
        with self.locks.held(_ACCOUNT_LOCK, shared=not alone, timeout=timeout) as ours:
            if not ours:
                # Lifecycle scripts wait until nobody fetches packages on this host, and the other way round.
                do = "See what it waits for, or end it, and run again."
                raise ApphostError(f"another build has been using the build user for {timeout:.0f} s", self.root, do)
            yield

    def tidy(self) -> None:
        """Clean up what killed runs left; not what others are at."""
        scratch = self.path("scratch")
        left = {*os.listdir(scratch), *os.listdir(self.locks.folder)} if os.path.isdir(scratch) else ()
        for name in left:
            # The lock's own file goes with the lock.
            with self.locks.held(name) as ours:
                if ours:
                    remove(os.path.join(scratch, name))

    @contextlib.contextmanager
    def scratch(self, identity: str) -> t.Iterator[str]:
        """A folder for one build, gone afterwards. Its ``work`` is the build user's, the folder itself is not."""
        path = self.path("scratch", identity)
        try:
            os.mkdir(path, _PRIVATE)
            os.chmod(path, _PASS_THROUGH)
            for name in ("work", "work/project", "work/home", "work/tmp"):
                os.mkdir(os.path.join(path, name), _PRIVATE)
                self.give(os.path.join(path, name))
            yield path
        finally:
            remove(path)

    def give(self, path: str) -> None:
        """Make the build user the owner."""
        if self.account:
            os.lchown(path, self.account.uid, self.account.gid)

    def publish(self, folder: str, identity: str, run: RunCommand) -> None:
        """Take a finished folder of products into the store, in one step; its lock is held. Raises ApphostError."""
        # A tree that has its name must have its bytes too, even if the power fails now.
        sync_file_system(folder, run)
        self.discard(identity)
        os.rename(folder, self.tree_path(identity))

    def touch(self, identity: str) -> None:
        """Remember that a tree was used now."""
        with contextlib.suppress(FileNotFoundError):
            os.utime(self.tree_path(identity))

    def sweep(self, bounds: Bounds, spared: t.Container[str] = ()) -> list[str]:
        """Delete trees that nobody needs: too old ones, then the longest unused while there is too much; returns them.

        A tree that a folder has links to stays: it takes no room of its own. So does one that is being built or placed.
        """
        trees = self.path("trees")
        unused = sorted(
            (os.lstat(os.path.join(trees, name)).st_mtime, name)
            for name in (os.listdir(trees) if os.path.isdir(trees) else ())
            if links(self.tree_path(name)) <= 1
        )
        sizes = {name: self._bytes(name) for _used, name in unused} if bounds.max_bytes is not None else {}
        excess = sum(sizes.values()) - (bounds.max_bytes or 0) if sizes else 0
        oldest = time.time() - bounds.max_age
        gone = []
        for used, name in unused:
            if name not in spared and (used < oldest or excess > 0) and self._discard_unused(name):
                excess -= sizes.get(name, 0)
                gone.append(name)
        self._forget(oldest)
        return gone

    def _forget(self, oldest: float) -> None:
        """Forget answers about projects that are too old; what is asked again is found out again."""
        folder = self.path(KNOWN)
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            path = os.path.join(folder, name)
            with contextlib.suppress(FileNotFoundError):
                if os.lstat(path).st_mtime < oldest:
                    os.unlink(path)

    def _discard_unused(self, identity: str) -> bool:
        with self.locks.held(identity) as ours:
            # It may have been placed since it was looked at.
            if not ours or links(self.tree_path(identity)) > 1:
                return False
            self.discard(identity)
            return True

    def _bytes(self, identity: str) -> int:
        tree = read_tree(self.tree_path(identity))
        return tree.bytes if tree else 0

    @contextlib.contextmanager
    def caching(self, manager: str) -> t.Iterator[None]:
        """Use a manager's cache; it is not emptied meanwhile."""
        with self.locks.held(_CACHE_LOCK + manager, shared=True, timeout=LOCK_TIMEOUT):
            yield

    def bound_cache(self, manager: str, max_bytes: int, separable: bool) -> None:
        """Keep a manager's cache below ``max_bytes``, unless a build uses it now, or it was looked at just before.

        ``separable``: any file of it may go without harm to the others, so the oldest do; else all of it goes.
        """
        looked = f"{self.cache(manager)}.looked-at"
        with contextlib.suppress(FileNotFoundError):
            if time.time() - os.lstat(looked).st_mtime < _CACHE_PAUSE:
                return
        with self.locks.held(_CACHE_LOCK + manager) as ours:
            if ours and os.path.isdir(self.cache(manager)):
                _bound(self.cache(manager), max_bytes, separable)
                write_atomic(looked, b"", 0o600)


def _bound(cache: str, max_bytes: int, separable: bool) -> None:
    files = []
    # By descriptors: the folder is the build user's.
    for folder, _folders, names, descriptor in os.fwalk(cache):
        for name in names:
            status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            files.append((max(status.st_mtime, status.st_atime), status.st_blocks * 512, folder, name))
    excess = sum(size for _used, size, _folder, _name in files) - max_bytes
    if excess > 0 and not separable:
        remove(cache)
        return
    gone: dict[str, set[str]] = {}
    for _used, size, folder, name in sorted(files):
        if excess <= 0:
            break
        excess -= size
        gone.setdefault(folder, set()).add(name)
    for folder, _folders, _names, descriptor in os.fwalk(cache) if gone else ():
        for name in gone.get(folder, ()):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name, dir_fd=descriptor)


def _folder(path: str, owner: tuple[int, int], mode: int) -> None:
    os.makedirs(path, exist_ok=True)
    _own(path, owner, mode)


def _own(path: str, owner: tuple[int, int], mode: int) -> None:
    status = os.lstat(path)
    if not stat.S_ISDIR(status.st_mode):
        # A file or a link has the name of one of the store's folders.
        raise ApphostError("is no folder", path, "Delete it, or choose another place for the store.")
    if (status.st_uid, status.st_gid) != owner:
        os.lchown(path, *owner)
    if stat.S_IMODE(status.st_mode) != mode:
        os.chmod(path, mode)
