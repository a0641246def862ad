# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that several processes use and that outlive a power cut or a full disk: old content or new, nothing torn."""

from __future__ import annotations

import contextlib
import fcntl
import os

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, RunCommand


def sync_directory(path: str) -> None:
    """Make the names in a folder durable (a rename or a new file is only safe after this)."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file_system(folder: str, run: RunCommand) -> None:
    """Make everything durable that is on the file system of ``folder``. Raises ApphostError.

    For a folder of a thousand files one call is faster than a thousand times fsync(2).
    """
    status, out, err = run(["sync", "--file-system", folder])
    if status:
        # The disk has errors, or went away.
        what = f"cannot be written to the disk: {(err or out).strip()[:300]}"
        raise ApphostError(what, folder, "See what the kernel says about the disk, and run again.")


def write_atomic(path: str, content: bytes, mode: int, gid: int | None = None) -> None:
    """Replace ``path`` by ``content`` with exactly ``mode`` (whatever the umask) and, if given, the group ``gid``.

    Raises ``OSError``; then ``path`` is as it was.
    """
    partial = f"{path}.new"
    # Made afresh with no access for others: a secret is never readable, not even for a moment.
    remove_if_there(partial)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            if gid is not None:
                os.fchown(file.fileno(), -1, gid)
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.rename(partial, path)
    except BaseException:
        remove_if_there(partial)
        raise
    sync_directory(os.path.dirname(path))


def replace_symlink(target: str, link: str) -> None:
    """Point ``link`` at ``target`` in one step: a reader sees the old target or the new one."""
    partial = f"{link}.new"
    remove_if_there(partial)
    os.symlink(target, partial)
    os.rename(partial, link)
    sync_directory(os.path.dirname(link))


def remove_if_there(path: str) -> None:
    """Delete a file or a link; nothing to delete is fine."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def try_lock(descriptor: int) -> bool:
    """Lock an open file for this process alone, until it is closed; ``False``: another one holds it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
