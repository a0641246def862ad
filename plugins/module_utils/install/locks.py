# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks by name in a folder. They end with the process that holds them, and their files go away with the last one."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import typing as t

#: Seconds between two tries to get a lock.
_STEP = 0.05


class Locks:
    """Locks in ``folder``; a name is a file name."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    @contextlib.contextmanager
    def held(self, name: str, shared: bool = False, timeout: float = 0.0) -> t.Iterator[bool]:
        """Hold the lock ``name``, alone or ``shared`` with others; whether it was free within ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            descriptor = self._try(name, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
            if descriptor is not None:
                break
            if time.monotonic() > deadline:
                yield False
                return
            time.sleep(_STEP)
        try:
            yield True
        finally:
            self._leave(name, descriptor)

    def _try(self, name: str, kind: int) -> int | None:
        path = os.path.join(self.folder, name)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            # Whoever held it before took the file away; another one has that name by now, or none.
            if os.fstat(descriptor).st_ino == os.stat(path).st_ino:
                return descriptor
        except (BlockingIOError, FileNotFoundError):
            pass
        os.close(descriptor)
        return None

    def _leave(self, name: str, descriptor: int) -> None:
        with contextlib.suppress(BlockingIOError, FileNotFoundError):
            # Nobody else shares it: nobody can be in between, so the file can go.
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_nlink:
                os.unlink(os.path.join(self.folder, name))
        os.close(descriptor)
