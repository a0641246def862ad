# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store of built trees on a host.

::

    <store>/                 root, 0711: the build user passes through and sees nothing
        trees/<identity>/node_modules/      0700 above: only root reads it, and makes hard links from it
        cache/npm-<uid>/     the package manager's download cache, the build user's
        scratch/<random>/    a build under way; whatever is found there without the lock held is rubbish
        lock                 held while building: one build at a time, and never the same one twice
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
import time
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.files import try_lock
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.command import Account
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.place import remove
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.tree import Tree, intact_tree, links

#: Another build on this host may take so long (seconds) before waiting for it is given up.
LOCK_TIMEOUT = 1800.0

_PRIVATE = 0o700
_PASS_THROUGH = 0o711


class TreeStore:
    """Built trees by identity. ``account`` is who builds; ``None``: this process, which is not root."""

    def __init__(self, root: str, account: Account | None) -> None:
        self.root = root
        self.account = account

    def _path(self, *names: str) -> str:
        return os.path.join(self.root, *names)

    def tree_path(self, identity: str) -> str:
        """Where the stored tree's ``node_modules`` is."""
        return self._path("trees", identity, "node_modules")

    @property
    def cache(self) -> str:
        """The package manager's own cache; what comes out of it is checked against the lockfile by its hash."""
        return self._path("cache", f"npm-{self.account.uid if self.account else os.geteuid()}")

    def prepare(self) -> None:
        """Make the store's folders; their owners and modes do not depend on the umask, or on who made them before."""
        us = (os.geteuid(), os.getegid())
        os.makedirs(self.root, exist_ok=True)
        mode = os.lstat(self.root).st_mode
        # The store itself may be more open than it needs to be, but nobody else may write to it.
        _own(self.root, us, (stat.S_IMODE(mode) | _PASS_THROUGH) & ~0o022)
        for path, mode in (
            (self._path("trees"), _PRIVATE),
            (self._path("scratch"), _PASS_THROUGH),
            (self._path("cache"), _PASS_THROUGH),
        ):
            os.makedirs(path, exist_ok=True)
            _own(path, us, mode)
        os.makedirs(self.cache, exist_ok=True)
        _own(self.cache, (self.account.uid, self.account.gid) if self.account else us, _PRIVATE)

    def find(self, identity: str) -> Tree | None:
        """The stored tree, if it is there and whole."""
        tree = intact_tree(self.tree_path(identity))
        return tree if tree and tree.identity == identity else None

    def discard(self, identity: str) -> None:
        """Throw a damaged tree away."""
        remove(self._path("trees", identity))

    @contextlib.contextmanager
    def building(self, timeout: float = LOCK_TIMEOUT) -> t.Iterator[None]:
        """Hold the store's lock, which ends with the process; clean up what killed builds left."""
        with self._lock_file() as descriptor:
            deadline = time.monotonic() + timeout
            while not try_lock(descriptor):
                if time.monotonic() > deadline:
                    do = "See what it waits for, or end it, and run again."
                    raise ApphostError(f"another installation has been building for {timeout:.0f} s", self.root, do)
                time.sleep(0.1)
            self._clean()
            yield

    def tidy(self) -> None:
        """Clean up what killed builds left, unless one is under way."""
        if os.path.isdir(self._path("scratch")) and os.listdir(self._path("scratch")):
            with self._lock_file() as descriptor:
                if try_lock(descriptor):
                    self._clean()

    @contextlib.contextmanager
    def _lock_file(self) -> t.Iterator[int]:
        descriptor = os.open(self._path("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _clean(self) -> None:
        for name in os.listdir(self._path("scratch")):
            remove(self._path("scratch", name))

    @contextlib.contextmanager
    def scratch(self) -> t.Iterator[str]:
        """A folder for one build, gone afterwards. Its ``work`` is the build user's, the folder itself is not."""
        path = tempfile.mkdtemp(dir=self._path("scratch"))
        try:
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

    def write(self, path: str, content: bytes) -> None:
        """Write a file that only the build user can read."""
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        self.give(path)

    def publish(self, folder: str, identity: str) -> None:
        """Take a finished folder (``node_modules`` in it) into the store, in one step."""
        self.discard(identity)
        os.rename(folder, self._path("trees", identity))

    def sweep(self, unused_for: float) -> list[str]:
        """Delete trees that no folder has links to, and none was made from for ``unused_for`` seconds; returns them.

        A tree with links takes no room of its own. One too many deleted is built again, and while a build is under
        way, nothing is deleted: the next time will do.
        """
        trees = self._path("trees")
        if not os.path.isdir(trees):
            return []
        with self._lock_file() as descriptor:
            if not try_lock(descriptor):
                return []
            oldest = time.time() - unused_for
            unused = [
                name
                for name in sorted(os.listdir(trees))
                if os.lstat(os.path.join(trees, name)).st_mtime < oldest and links(self.tree_path(name)) <= 1
            ]
            for name in unused:
                self.discard(name)
            return unused

    def touch(self, identity: str) -> None:
        """Remember that a tree was used now."""
        with contextlib.suppress(FileNotFoundError):
            os.utime(self._path("trees", identity))


def _own(path: str, owner: tuple[int, int], mode: int) -> None:
    status = os.lstat(path)
    if not stat.S_ISDIR(status.st_mode):
        raise ApphostError("is no folder", path)
    if (status.st_uid, status.st_gid) != owner:
        os.lchown(path, *owner)
    if stat.S_IMODE(status.st_mode) != mode:
        os.chmod(path, mode)
