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

_FOLDER = _PROGRAM = 0o755
_FILE = 0o644

#: What to do about a package that makes what it must not. None comes like that out of an archive.
BLAME = "Take the package whose script makes it out of allow_scripts, or tell its authors."


def seal(base: str, products: t.Iterable[str], as_root: bool, moment: int, outside: t.Collection[str] = ()) -> None:
    """Give every file of the folders ``products`` below ``base`` to root with mode 0644 or 0755, every folder 0755.

    Files get the modification time ``moment`` (seconds): one that is written later shows. Only to be called when no
    process of the build is left. Refused are devices, sockets and pipes, files with a second name, and symbolic links
    that lead out of the products, but for those to ``outside``: folders of the project (relative to ``base``) or
    absolute paths, exactly these.
    """
    sealing = _Sealing(base, tuple(products), as_root, moment, frozenset(outside))
    for product in sealing.products:
        top = os.path.join(base, product)
        if os.path.islink(top):
            raise ApphostError("is a symbolic link; a package must not make one there", top, BLAME)
        for folder, folders, names in os.walk(top, onerror=_raise):
            for name in [*folders, *names]:
                sealing.seal(os.path.join(folder, name))
        sealing.seal(top)
    sealing.check_names()


def _raise(error: OSError) -> None:
    raise error


class _Sealing:
    def __init__(
        self, base: str, products: tuple[str, ...], as_root: bool, moment: int, outside: frozenset[str]
    ) -> None:
        self.base = base
        self.products = products
        self.as_root = as_root
        self.moment = moment
        self.outside = outside
        #: Device and inode of files with several names -> the names so far.
        self.names: dict[tuple[int, int], list[str]] = {}

    def seal(self, path: str) -> None:
        status = os.lstat(path)
        if stat.S_ISLNK(status.st_mode):
            self._check_link(path)
        elif stat.S_ISREG(status.st_mode):
            if status.st_nlink > 1:
                # It would be given away, and made readable, under its other names too: all must be in the tree.
                names = self.names.setdefault((status.st_dev, status.st_ino), [])
                names.append(path)
                if len(names) < status.st_nlink:
                    return
                del self.names[status.st_dev, status.st_ino]
            os.chmod(path, _PROGRAM if status.st_mode & 0o111 else _FILE)
            os.utime(path, (self.moment, self.moment))
        elif stat.S_ISDIR(status.st_mode):
            os.chmod(path, _FOLDER)
        else:
            raise ApphostError("is neither file, folder nor link; a package must not make one", path, BLAME)
        if self.as_root:
            os.lchown(path, 0, 0)

    def check_names(self) -> None:
        """Refuse files that have a name outside of the tree too; to be called at the end."""
        for names in self.names.values():
            # when: a lifecycle script makes a hard link to a file that is in no package
            raise ApphostError("has a second name outside of the tree (a hard link)", names[0], BLAME)

    def _check_link(self, path: str) -> None:
        target = os.readlink(path)
        if target in self.outside and os.path.isabs(target):
            return
        end = os.path.relpath(os.path.normpath(os.path.join(os.path.dirname(path), target)), self.base)
        # After a name that could be a link itself, ".." leads who knows where.
        names = target.split("/")
        up = next((index for index, name in enumerate(names) if name != ".."), len(names))
        inside = any(f"{end}/".startswith(f"{product}/") for product in self.products)
        if os.path.isabs(target) or ".." in names[up:] or not (inside or end in self.outside):
            raise ApphostError(f"is a symbolic link out of the tree, to {target[:200]!r}", path, BLAME)
