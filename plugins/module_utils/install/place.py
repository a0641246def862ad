# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a stored tree in place: beside what is there, then in one step.

The app's folder may belong to somebody who wishes no good, so nothing below it is reached by a path in which a symbolic
link could have appeared meanwhile: every step is relative to an open folder.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import posixpath
import secrets
import shutil
import stat
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.fill import Filler, opened
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.tree import Tree
from ansible_collections.evenkeel.apphost.plugins.module_utils.workers import useful

#: Prefix of a tree beside the one in place; what a killed run left under it is deleted by the next.
BESIDE = ".apphost-beside-"

_RENAME_EXCHANGE = 2  # linux/fs.h
#: What a file system says when it cannot exchange two names.
_CANNOT_EXCHANGE = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


class DamagedTree(ApphostError):
    """A stored tree lacks files that it had when it was sealed."""

    def __init__(self, path: str) -> None:
        # Files of a tree in the store were deleted, again right after it was built anew.
        super().__init__("has lost files; it will be built again", path, "Run again; when it stays so, check the disk.")


def place(
    source: str, tree: Tree, folder: str, places: t.Sequence[str], owner: tuple[int, int] | None, link: bool
) -> str:
    """Put the tree stored in ``source`` into the project ``folder``; returns how its files got there.

    ``places`` are all the folders that the project's packages may be in: those that are no products of this tree go
    away. ``link``: by hard links where the file system can; else copies, which belong to ``owner``. Everything is made
    beside first; then each product is exchanged with what was there, the one with the marker last.
    Raises DamagedTree when the stored tree lacks files, else OSError; ``folder`` is then as it was.
    """
    with contextlib.ExitStack() as stack:
        project = stack.enter_context(opened(folder))
        # One at a time; the lock ends with the process.
        fcntl.flock(project, fcntl.LOCK_EX)
        spots = [_Spot(stack, project, path) for path in dict.fromkeys((*tree.products, *places))]
        stack.callback(_clean, spots)
        _clean(spots)
        filler = Filler(owner, link, useful(tree.files))
        try:
            for spot, product in zip(spots, tree.products):
                _fill(filler, os.path.join(source, product), spot)
        except FileNotFoundError as error:
            raise DamagedTree(source) from error
        if filler.files != tree.files:
            raise DamagedTree(source)
        _swap_all(spots)
    return filler.way


def clean_beside(folder: str, places: t.Sequence[str]) -> None:
    """Delete what a run that was killed left beside the folders ``places`` of the project ``folder``."""
    with contextlib.ExitStack() as stack:
        project = stack.enter_context(opened(folder))
        spots = []
        for path in places:
            # A folder of the project that is gone has nothing beside it.
            with contextlib.suppress(FileNotFoundError):
                spots.append(_Spot(stack, project, path))
        _clean(spots)


class _Spot:
    """Where one product goes: its name in an open folder, and the name under which the new one waits beside it."""

    def __init__(self, stack: contextlib.ExitStack, project: int, path: str) -> None:
        self.parent = project
        for name in posixpath.dirname(path).split("/"):
            if name:
                self.parent = stack.enter_context(opened(name, self.parent))
        self.name = posixpath.basename(path)
        self.beside = f"{BESIDE}{secrets.token_hex(4)}"


def _clean(spots: t.Iterable[_Spot]) -> None:
    for parent in {spot.parent for spot in spots}:
        for name in os.listdir(parent):
            if name.startswith(BESIDE):
                # rmtree takes a folder's descriptor only since Python 3.11.
                remove(f"/proc/self/fd/{parent}/{name}")


def _fill(filler: Filler, source: str, spot: _Spot) -> None:
    os.mkdir(spot.beside, dir_fd=spot.parent)
    with opened(source) as stored, opened(spot.beside, spot.parent) as new:
        filler.fill(stored, new)
    filler.give(spot.beside, spot.parent)


def _swap_all(spots: t.Sequence[_Spot]) -> None:
    """Exchange what is in place with what is beside, the first spot last; all of them, or none (``OSError``)."""
    with contextlib.ExitStack() as undo:
        for spot in reversed(spots):
            if _swap(spot):
                undo.callback(_swap, spot)
        undo.pop_all()


def _swap(spot: _Spot) -> bool:
    """Exchange one; where nothing is beside, what is in place goes there. Returns whether there was anything to do.

    A process sees the old tree or the new one.
    """
    new, old = _is_there(spot.beside, spot.parent), _is_there(spot.name, spot.parent)
    if not new and old:
        _rename(spot.name, spot.beside, spot.parent)
    elif new and not old:
        _rename(spot.beside, spot.name, spot.parent)
    elif new and old:
        _exchange(spot.beside, spot.name, spot.parent)
    return new or old


def _is_there(name: str, parent: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        os.stat(name, dir_fd=parent, follow_symlinks=False)
        return True
    return False


def _rename(old: str, new: str, parent: int) -> None:
    os.rename(old, new, src_dir_fd=parent, dst_dir_fd=parent)


def _exchange(beside: str, name: str, parent: int) -> None:
    number = _try_exchange(beside, name, parent)
    if number in _CANNOT_EXCHANGE:
        # For a moment nothing is in place.
        waiting = f"{beside}-old"
        _rename(name, waiting, parent)
        try:
            _rename(beside, name, parent)
        except OSError:
            _rename(waiting, name, parent)
            raise
        _rename(waiting, beside, parent)
    elif number:
        raise OSError(number, os.strerror(number), name)


def _try_exchange(one: str, other: str, parent: int) -> int:
    """Exchange two names of a folder; returns the error number, 0 for success."""
    # Only loaded where something is exchanged: it takes longer than most installations of what is built.
    import ctypes

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
