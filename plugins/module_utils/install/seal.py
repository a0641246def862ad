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

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError

_FOLDER = _PROGRAM = 0o755
_FILE = 0o644


def seal(tree: str, as_root: bool) -> tuple[int, int]:
    """Give every file of ``tree`` to root with mode 0644 or 0755, every folder 0755; returns files and bytes.

    Only to be called when no process of the build is left. A symbolic link that leads out of the tree, a device, a
    socket or a pipe is refused.
    """
    files = size = 0
    for folder, folders, names in os.walk(tree, onerror=_raise):
        for name in [*folders, *names]:
            path = os.path.join(folder, name)
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                _check_link(tree, path)
            elif stat.S_ISREG(status.st_mode):
                files += 1
                size += status.st_size
                os.chmod(path, _PROGRAM if status.st_mode & 0o111 else _FILE)
            elif stat.S_ISDIR(status.st_mode):
                os.chmod(path, _FOLDER)
            else:
                raise ApphostError("is neither file, folder nor link; a package must not make one", path)
            if as_root:
                os.lchown(path, 0, 0)
    os.chmod(tree, _FOLDER)
    if as_root:
        os.lchown(tree, 0, 0)
    return files, size


def _raise(error: OSError) -> None:
    raise error


def _check_link(tree: str, path: str) -> None:
    target = os.readlink(path)
    end = os.path.normpath(os.path.join(os.path.dirname(path), target))
    if os.path.isabs(target) or not f"{end}/".startswith(f"{tree}/"):
        raise ApphostError(f"is a symbolic link out of the tree, to {target[:200]!r}", path)
