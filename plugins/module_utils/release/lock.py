# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One change of an app at a time on a host: a lock that the kernel lets go of when its holder dies."""

from __future__ import annotations

import contextlib
import json
import os
import time
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.files import try_lock
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.journal import utc_now

# How often a waiting process looks again, in seconds.
_POLL = 0.1


@contextlib.contextmanager
def hold_lock(
    path: str,
    purpose: str,
    wait: float = 0.0,
    clock: t.Callable[[], float] = time.monotonic,
    sleep: t.Callable[[float], None] = time.sleep,
) -> t.Iterator[None]:
    """Hold the lock file ``path`` (``AppLayout.lock``) while the block runs.

    ``purpose`` is what others are told, such as ``activate 1.4.2-0123456789``. ``wait`` is how many
    seconds to wait for another holder. Raises :class:`ApphostError` naming the holder after that.

    The file stays; only the flock counts, so a killed holder leaves nothing to clean up. Programs
    started meanwhile do not inherit it (Python opens files close-on-exec).
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        deadline = clock() + wait
        while not try_lock(descriptor):
            if clock() >= deadline:
                raise ApphostError(
                    f"another run is at work: {_holder(descriptor)}",
                    path,
                    "Wait until it has ended and run again; a lock ends with its process.",
                )
            sleep(_POLL)
        _describe(
            descriptor, {"pid": os.getpid(), "purpose": purpose, "since": utc_now().isoformat(timespec="seconds")}
        )
        try:
            yield
        finally:
            _describe(descriptor, None)
    finally:
        os.close(descriptor)


def _describe(descriptor: int, holder: dict[str, t.Any] | None) -> None:
    """Write who holds the lock. It is a courtesy: a full disk must not stop a release that would run."""
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        if holder is not None:
            os.pwrite(descriptor, json.dumps(holder).encode(), 0)


def _holder(descriptor: int) -> str:
    try:
        holder = json.loads(os.pread(descriptor, 4096, 0))
        return f"{holder['purpose']}, process {holder['pid']}, since {holder['since']}"
    except (ValueError, KeyError, TypeError):
        return "it has not said what it does"
