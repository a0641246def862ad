# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a built tree unchangeable for everybody but root.

A sealed tree belongs to root, nobody else may write to its files and folders, and every process that had a part in
building it has ended. So its files can be hard-linked into many releases: neither the app nor a lifecycle script of
another build can change what another release sees.
"""

from __future__ import annotations

import os
import stat
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.contents import Contents, later_files, sha256_of
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.fill import opened
from ansible_collections.evenkeel.apphost.plugins.module_utils.workers import share_out_below

_FOLDER = _PROGRAM = 0o755
_FILE = 0o644

#: What to do about a package that makes what it must not. None comes like that out of an archive.
BLAME = "Take the package whose script makes it out of allow_scripts, or tell its authors."


def seal(
    base: str,
    products: t.Iterable[str],
    as_root: bool,
    moment: int,
    outside: t.Collection[str] = (),
    processes: int = 1,
) -> Contents:
    """Give every file of the folders ``products`` below ``base`` to root with mode 0644 or 0755, every folder 0755.

    Files get the modification time ``moment`` (seconds): one that is written later shows. Only to be called when no
    process of the build is left. Refused are devices, sockets and pipes, files with a second name, and symbolic links
    that lead out of the products, but for those to ``outside``: folders of the project (relative to ``base``) or
    absolute paths, exactly these. Returns what was sealed: nothing can change it any more, so every file is opened
    once, to give it away and to read it. Several ``processes`` share a tree's folders.
    """
    sealing = _Sealing(base, tuple(products), as_root, moment, frozenset(outside))
    for product in sealing.products:
        top = os.path.join(base, product)
        if os.path.islink(top):
            raise ApphostError("is a symbolic link; a package must not make one there", top, BLAME)
        sealing.seal_folder(product, top, None)
    for parts in share_out_below(sealing.products, sealing.seal_names, sealing.part, processes):
        sealing.add(*parts)
    sealing.check_names()
    return sealing.contents


class _Sealing:
    def __init__(
        self, base: str, products: tuple[str, ...], as_root: bool, moment: int, outside: frozenset[str]
    ) -> None:
        self.base = base
        self.products = products
        self.as_root = as_root
        self.moment = moment
        self.outside = outside
        self.contents = Contents(left_out=later_files(products))
        #: Device and inode of files with several names -> the names so far.
        self.names: dict[tuple[int, int], list[str]] = {}

    def part(self, folders: t.Iterator[str]) -> tuple[t.Any, ...]:
        """Seal what is below some folders; returns what there is to know of it, as a value for JSON."""
        part = _Sealing(self.base, self.products, self.as_root, self.moment, self.outside)
        for folder in folders:
            # A stack instead of recursion: how deep a tree is, is not ours to say.
            below = [folder]
            while below:
                below += part.seal_names(below.pop())
        return part.contents.parts(), [*part.names.items()]

    def add(self, contents: t.Sequence[t.Any], names: t.Iterable[tuple[t.Sequence[int], list[str]]]) -> None:
        """Take up what :meth:`part` knows; of some files it may have seen one name, and another part another."""
        self.contents.add_parts(contents)
        for (device, inode), paths in names:
            for path in paths:
                self._add_name(device, inode, path)

    def _add_name(self, device: int, inode: int, path: str) -> None:
        known = self.names.setdefault((device, inode), [])
        known.append(path)
        with opened(os.path.join(self.base, os.path.dirname(path))) as folder:
            descriptor = _open(os.path.basename(path), folder)
            try:
                status = os.fstat(descriptor)
                if len(known) == status.st_nlink:
                    del self.names[device, inode]
                    self._give_file(os.path.basename(path), folder, descriptor, status)
            finally:
                os.close(descriptor)

    def seal_names(self, folder: str) -> list[str]:
        """Seal what is in a folder (relative to the base); returns the folders in it."""
        folders = []
        # Relative to the open folder: the way to it is looked up once.
        with opened(os.path.join(self.base, folder)) as descriptor, os.scandir(descriptor) as entries:
            for entry in entries:
                path = f"{folder}/{entry.name}"
                if entry.is_symlink():
                    self._seal_link(path, entry.name, descriptor)
                elif entry.is_dir(follow_symlinks=False):
                    self.seal_folder(path, entry.name, descriptor)
                    folders.append(path)
                elif entry.is_file(follow_symlinks=False):
                    self._seal_file(path, entry.name, descriptor)
                else:
                    raise ApphostError(
                        "is neither file, folder nor link; a package must not make one", self._full(path), BLAME
                    )
        return folders

    def seal_folder(self, path: str, name: str, parent: int | None) -> None:
        """Seal a folder called ``name`` in an open one, so that it can be opened."""
        os.chmod(name, _FOLDER, dir_fd=parent)
        self._give(name, parent)
        self.contents.folders.add(path)

    def _seal_link(self, path: str, name: str, folder: int) -> None:
        target = os.readlink(name, dir_fd=folder)
        if not self._is_allowed(path, target):
            raise ApphostError(f"is a symbolic link out of the tree, to {target[:200]!r}", self._full(path), BLAME)
        self._give(name, folder)
        self.contents.links[path] = target

    def _seal_file(self, path: str, name: str, folder: int) -> None:
        descriptor = _open(name, folder)
        try:
            status = os.fstat(descriptor)
            self.contents.add_file(path, status, sha256_of(descriptor, status.st_size))
            if status.st_nlink > 1 and not self._has_all_names(path, status):
                return
            self._give_file(name, folder, descriptor, status)
        finally:
            os.close(descriptor)

    def _give_file(self, name: str, folder: int, descriptor: int, status: os.stat_result) -> None:
        """Make an open file root's."""
        mode = _PROGRAM if status.st_mode & 0o111 else _FILE
        if stat.S_IMODE(status.st_mode) != mode:
            os.fchmod(descriptor, mode)
        os.utime(descriptor, (self.moment, self.moment))
        self._give(name, folder)

    def _give(self, name: str, folder: int | None) -> None:
        if self.as_root:
            os.chown(name, 0, 0, dir_fd=folder, follow_symlinks=False)

    def _has_all_names(self, path: str, status: os.stat_result) -> bool:
        """Whether all names of a file with several are in the tree: it is given away under its others too."""
        inode = (status.st_dev, status.st_ino)
        names = self.names.setdefault(inode, [])
        names.append(path)
        return len(names) == status.st_nlink and bool(self.names.pop(inode))

    def check_names(self) -> None:
        """Refuse files that have a name outside of the tree too; to be called at the end."""
        for names in self.names.values():
            # when: a lifecycle script makes a hard link to a file that is in no package
            raise ApphostError("has a second name outside of the tree (a hard link)", self._full(names[0]), BLAME)

    def _is_allowed(self, path: str, target: str) -> bool:
        """Whether a symbolic link stays in the products, or leads where one may lead to."""
        if os.path.isabs(target):
            return target in self.outside
        end = os.path.normpath(os.path.join(os.path.dirname(path), target))
        # After a name that could be a link itself, ".." leads who knows where.
        names = target.split("/")
        up = next((index for index, name in enumerate(names) if name != ".."), len(names))
        inside = any(f"{end}/".startswith(f"{product}/") for product in self.products)
        return ".." not in names[up:] and (inside or end in self.outside)

    def _full(self, path: str) -> str:
        return os.path.join(self.base, path)


def _open(name: str, folder: int) -> int:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(name, flags, dir_fd=folder)
    except PermissionError:
        # Whoever is not root cannot read a file of his own that says so.
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        os.chmod(name, stat.S_IMODE(mode) | stat.S_IRUSR, dir_fd=folder)
        return os.open(name, flags, dir_fd=folder)
