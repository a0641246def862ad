# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fill an empty folder with what is in another one: by hard links, by shared blocks or by copies.

Folders are given as open descriptors, and every step is relative to one: nobody can slip in a symbolic link meanwhile.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.workers import share_out_below

#: How files got to where they are: the same file under another name, a file of its own on the same blocks, or a copy.
HARD_LINK, REFLINK, COPY = "hard_link", "reflink", "copy"

#: linux/fs.h: make a file have the blocks of another one, until one of the two is written to.
_FICLONE = 0x40049409

#: What a file system says when it cannot link: another device, too many links, no links at all …
_CANNOT_LINK = (errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP)
#: … and when it cannot share blocks.
_CANNOT_SHARE = (errno.EXDEV, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM, errno.ETXTBSY)


@contextlib.contextmanager
def opened(name: str, parent: int | None = None) -> t.Iterator[int]:
    """Open a folder; a symbolic link in its place is refused (``OSError``)."""
    descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def opened_below(path: t.Iterable[str], top: int) -> t.Iterator[int]:
    """Open a folder some levels below an open one; no name on the way may be a symbolic link (``OSError``)."""
    with contextlib.ExitStack() as stack:
        for name in path:
            top = stack.enter_context(opened(name, top))
        yield top


#: A folder by the names that lead to it.
Path = tuple[str, ...]


class Filler:
    """Fills folders. ``owner`` (user, group) gets copies; ``link``: hard links where the file system can.

    Several ``processes`` share a tree's folders.
    """

    def __init__(self, owner: tuple[int, int] | None, link: bool, processes: int = 1) -> None:
        self.owner = owner
        self.link = link
        # What somebody else may write to is made from the inside out, and by one.
        self.processes = 1 if owner else processes
        self.share = True
        #: Regular files so far.
        self.files = 0
        self._ways: set[str] = set()

    @property
    def way(self) -> str:
        """How the files got there; the least sparing way that was needed."""
        return next((way for way in (COPY, REFLINK) if way in self._ways), HARD_LINK if self.link else COPY)

    def fill(self, source: int, target: int) -> None:
        """Fill the empty folder ``target`` with what is in ``source``. Raises ``OSError``."""
        if self.processes == 1:
            self._fill(source, target)
            return

        def open_up(path: Path) -> list[Path]:
            with opened_below(path, source) as old, opened_below(path, target) as new:
                return [(*path, name) for name in self._fill_names(old, new)]

        def work(todo: t.Iterator[Path]) -> tuple[int, list[str]]:
            part = Filler(self.owner, self.link)
            for path in todo:
                with opened_below(path, source) as old, opened_below(path, target) as new:
                    part._fill(old, new)
            return part.files, [*part._ways]

        tops: list[Path] = [()]
        for files, ways in share_out_below(tops, open_up, work, self.processes):
            self.files += files
            self._ways.update(ways)

    def _fill(self, source: int, target: int) -> None:
        """Fill with all there is below."""
        for name in self._fill_names(source, target):
            with opened(name, source) as below, opened(name, target) as new:
                self._fill(below, new)
            self.give(name, target)

    def _fill_names(self, source: int, target: int) -> list[str]:
        """Fill with what is in the folder itself; returns the names of the folders in it, which are empty then."""
        folders = []
        with os.scandir(source) as entries:
            for entry in entries:
                name = entry.name
                if entry.is_dir(follow_symlinks=False):
                    os.mkdir(name, dir_fd=target)
                    folders.append(name)
                elif entry.is_symlink():
                    os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
                    self.give(name, target)
                else:
                    self.files += 1
                    if not (self.link and self._linked(name, source, target)):
                        self._copy(name, source, target)
                        self.give(name, target)
        return folders

    def give(self, name: str, parent: int) -> None:
        """Make the owner the owner."""
        if self.owner:
            os.chown(name, *self.owner, dir_fd=parent, follow_symlinks=False)

    def _linked(self, name: str, source: int, target: int) -> bool:
        try:
            os.link(name, name, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
        except OSError as error:
            if error.errno in _CANNOT_LINK:
                return False
            raise
        return True

    def _copy(self, name: str, source: int, target: int) -> None:
        with contextlib.ExitStack() as files:
            old = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source)
            files.callback(os.close, old)
            status = os.fstat(old)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            new = os.open(name, flags, stat.S_IMODE(status.st_mode), dir_fd=target)
            files.callback(os.close, new)
            if self.share and self._shared(old, new):
                self._ways.add(REFLINK)
            else:
                self._ways.add(COPY)
                while os.sendfile(new, old, None, 1 << 30):
                    pass
            # The cheap look goes by it.
            os.utime(new, ns=(status.st_mtime_ns, status.st_mtime_ns))

    def _shared(self, old: int, new: int) -> bool:
        try:
            fcntl.ioctl(new, _FICLONE, old)
        except OSError as error:
            if error.errno not in _CANNOT_SHARE:
                raise
            # What cannot be done for one file need not be tried for the next thousand.
            self.share = False
            return False
        return True
