# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a stored tree in place: by hard links or copies, beside what is there, then in one step.

The app's folder may belong to somebody who wishes no good, so nothing below it is reached by a path in which a symbolic
link could have appeared meanwhile: every step is relative to an open folder.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import secrets
import shutil
import stat
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.tree import Tree

#: Prefix of a tree beside the one in place; what a killed run left under it is deleted by the next.
BESIDE = ".apphost-node_modules-"

_RENAME_EXCHANGE = 2  # linux/fs.h
#: What a file system says when it cannot link (another device, too many links, no links at all), or cannot exchange.
_CANNOT_LINK = (errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP)
_CANNOT_EXCHANGE = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


class DamagedTree(ApphostError):
    """A stored tree lacks files that it had when it was sealed."""

    def __init__(self, path: str) -> None:
        super().__init__("has lost files; it will be built again", path)


def place(source: str, tree: Tree, folder: str, owner: tuple[int, int] | None, link: bool) -> None:
    """Put a stored tree into ``folder`` as its ``node_modules``, in one step; what was there goes away after it.

    ``link``: by hard links where the file system can; else copies, which belong to ``owner``.
    Raises DamagedTree when the stored tree lacks files, else OSError; ``folder`` is then as it was.
    """
    with _opened(folder) as parent:
        # One at a time; the lock ends with the process.
        fcntl.flock(parent, fcntl.LOCK_EX)
        clean_beside(folder)
        beside = f"{BESIDE}{secrets.token_hex(4)}"
        try:
            os.mkdir(beside, dir_fd=parent)
            try:
                with _opened(source) as stored, _opened(beside, parent) as new:
                    files = _fill(stored, new, owner, link)
            except FileNotFoundError as error:
                raise DamagedTree(source) from error
            if files != tree.files:
                raise DamagedTree(source)
            _give(beside, parent, owner)
            _swap_in(beside, "node_modules", parent)
        finally:
            clean_beside(folder)


def clean_beside(folder: str) -> None:
    """Delete what a run that was killed left beside ``node_modules``."""
    for name in os.listdir(folder):
        if name.startswith(BESIDE):
            remove(os.path.join(folder, name))


@contextlib.contextmanager
def _opened(name: str, parent: int | None = None) -> t.Iterator[int]:
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _fill(source: int, target: int, owner: tuple[int, int] | None, link: bool) -> int:
    """Fill the empty folder ``target`` with what is in ``source``; returns the number of regular files."""
    files = 0
    with os.scandir(source) as entries:
        for entry in entries:
            name = entry.name
            if entry.is_dir(follow_symlinks=False):
                os.mkdir(name, dir_fd=target)
                with _opened(name, source) as below, _opened(name, target) as new:
                    files += _fill(below, new, owner, link)
            elif entry.is_symlink():
                os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
            else:
                files += 1
                if link and _linked(name, source, target):
                    continue
                _copy(name, source, target)
            _give(name, target, owner)
    return files


def _linked(name: str, source: int, target: int) -> bool:
    try:
        os.link(name, name, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
    except OSError as error:
        if error.errno in _CANNOT_LINK:
            return False
        raise
    return True


def _copy(name: str, source: int, target: int) -> None:
    with os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source), "rb") as old:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        mode = stat.S_IMODE(os.fstat(old.fileno()).st_mode)
        with os.fdopen(os.open(name, flags, mode, dir_fd=target), "wb") as new:
            shutil.copyfileobj(old, new)


def _give(name: str, parent: int, owner: tuple[int, int] | None) -> None:
    if owner:
        os.chown(name, *owner, dir_fd=parent, follow_symlinks=False)


def _swap_in(new: str, target: str, parent: int) -> None:
    """Make ``new`` be ``target``; an old ``target`` takes its place. A process sees the old tree or the new one."""
    try:
        os.stat(target, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        os.rename(new, target, src_dir_fd=parent, dst_dir_fd=parent)
        return
    number = _exchange(new, target, parent)
    if number in _CANNOT_EXCHANGE:
        # For a moment nothing is in place.
        os.rename(target, f"{new}.old", src_dir_fd=parent, dst_dir_fd=parent)
        os.rename(new, target, src_dir_fd=parent, dst_dir_fd=parent)
    elif number:
        raise OSError(number, os.strerror(number), target)


def _exchange(one: str, other: str, parent: int) -> int:
    """Exchange two names of a folder; returns the error number, 0 for success."""
    # Python has no name for it; glibc has it since 2.28, and not every file system can.
    exchange = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if exchange is None:
        return errno.ENOSYS
    done = exchange(parent, os.fsencode(one), parent, os.fsencode(other), _RENAME_EXCHANGE)
    return ctypes.get_errno() if done else 0


def remove(path: str) -> None:
    """Delete a tree, a file or a link; nothing there is fine."""
    try:
        if stat.S_ISDIR(os.lstat(path).st_mode):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    except FileNotFoundError:
        pass
