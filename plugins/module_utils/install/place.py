# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a stored tree in place: by hard links or copies, beside what is there, then in one step."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import shutil
import stat
import tempfile
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.tree import Tree

#: Prefix of a tree beside the one in place; what a killed run left under it is deleted by the next.
BESIDE = ".apphost-node_modules-"

_FOLDER = 0o755
_AT_FDCWD = -100
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
    with _only_one(folder):
        clean_beside(folder)
        beside = tempfile.mkdtemp(prefix=BESIDE, dir=folder)
        try:
            os.chmod(beside, _FOLDER)
            try:
                files = _copy_folder(source, beside, owner, link)
            except FileNotFoundError as error:
                raise DamagedTree(source) from error
            if files != tree.files:
                raise DamagedTree(source)
            if owner:
                os.lchown(beside, *owner)
            _swap_in(beside, os.path.join(folder, "node_modules"))
        finally:
            clean_beside(folder)


def clean_beside(folder: str) -> None:
    """Delete what a run that was killed left beside ``node_modules``."""
    for name in os.listdir(folder):
        if name.startswith(BESIDE):
            remove(os.path.join(folder, name))


@contextlib.contextmanager
def _only_one(folder: str) -> t.Iterator[None]:
    """Hold the lock of an app's folder; it ends with the process."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _copy_folder(source: str, target: str, owner: tuple[int, int] | None, link: bool) -> int:
    """Fill the empty folder ``target`` with what is in ``source``; returns the number of regular files."""
    files = 0
    with os.scandir(source) as entries:
        for entry in entries:
            there = os.path.join(target, entry.name)
            if entry.is_dir(follow_symlinks=False):
                os.mkdir(there)
                os.chmod(there, _FOLDER)
                files += _copy_folder(entry.path, there, owner, link)
            elif entry.is_symlink():
                os.symlink(os.readlink(entry.path), there)
            else:
                files += 1
                if link and _linked(entry.path, there):
                    continue
                shutil.copyfile(entry.path, there)
                os.chmod(there, stat.S_IMODE(entry.stat(follow_symlinks=False).st_mode))
            if owner:
                os.lchown(there, *owner)
    return files


def _linked(source: str, target: str) -> bool:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno in _CANNOT_LINK:
            return False
        raise
    return True


def _swap_in(new: str, target: str) -> None:
    """Make ``new`` be ``target``; an old ``target`` takes its place. A process sees the old tree or the new one."""
    if not os.path.lexists(target):
        os.rename(new, target)
        return
    libc = ctypes.CDLL(None, use_errno=True)
    arguments = (_AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(target), _RENAME_EXCHANGE)
    # glibc before 2.28 and some file systems do not have it: there, for a moment, nothing is in place.
    number = errno.ENOSYS
    if hasattr(libc, "renameat2"):
        number = ctypes.get_errno() if libc.renameat2(*arguments) else 0
    if number in _CANNOT_EXCHANGE:
        old = f"{new}.old"
        os.rename(target, old)
        os.rename(new, target)
    elif number:
        raise OSError(number, os.strerror(number), target)


def remove(path: str) -> None:
    """Delete a tree, a file or a link; nothing there is fine."""
    try:
        if stat.S_ISDIR(os.lstat(path).st_mode):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    except FileNotFoundError:
        pass
