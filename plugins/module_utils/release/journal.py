# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The activation journal of one app on one host: the only source of the order of releases.

One JSON object a line, appended and flushed to the disk before the step it speaks of goes on::

    {"time": "2026-11-21T10:38:00.123Z", "event": "activated", "release": "1.4.2-0123456789", "previous": "1.4.1-…"}

``release`` is always the release the event is about, ``previous`` the one that was live before it:

==========  ==================================================================================
staged      ``release`` is on the host, complete; what runs was not touched
activating  the switch to ``release`` has begun; only activated, reverted or failed ends it
activated   ``release`` is live and was verified
reverted    ``release`` did not work; ``previous`` is live again (``reason`` says why)
failed      ``release`` did not work and nothing could be put back in its place
pruned      ``release`` is no longer on the host
==========  ==================================================================================
"""

from __future__ import annotations

import json
import os
import typing as t
from dataclasses import dataclass
from datetime import datetime, timezone

from ansible_collections.evenkeel.apphost.plugins.module_utils.files import sync_directory

STAGED = "staged"
ACTIVATING = "activating"
ACTIVATED = "activated"
REVERTED = "reverted"
FAILED = "failed"
PRUNED = "pruned"

EVENTS = (STAGED, ACTIVATING, ACTIVATED, REVERTED, FAILED, PRUNED)
_OUTCOMES = (ACTIVATED, REVERTED, FAILED)


@dataclass(frozen=True)
class Entry:
    """One line of the journal. ``time`` is ISO 8601, UTC, milliseconds."""

    time: str
    event: str
    release: str
    previous: str | None = None
    reason: str | None = None

    def as_dict(self) -> dict[str, str]:
        """The JSON object: keys without a value are left out."""
        return {key: value for key, value in vars(self).items() if value is not None}


def utc_now() -> datetime:
    """The wall clock; tests pass their own."""
    return datetime.now(timezone.utc)


class History:
    """What the entries of a journal come to, oldest first. ``content``: the journal's bytes."""

    def __init__(self, content: bytes = b"") -> None:
        self._content = content

    def content(self) -> bytes:
        """The journal's bytes."""
        return self._content

    def entries(self) -> list[Entry]:
        """Every readable entry, oldest first. A torn line is no entry: its step did not get past the journal."""
        return [entry for entry in map(_parse, self.content().split(b"\n")) if entry is not None]

    def live(self) -> Entry | None:
        """The entry that made the live release live, as far as the journal knows."""
        history = self.live_history()
        return history[-1] if history else None

    def live_history(self) -> list[Entry]:
        """The ``activated`` entries a rollback can walk back, oldest first, the live one last.

        Going back to a release that was live before takes the ones after it off the list: they were
        abandoned, and a second rollback goes further back instead of to a release known to be bad.
        A pruned release is off the list too. A failed or reverted activation leaves it as it was.
        """
        history: list[Entry] = []
        for entry in self.entries():
            if entry.event == ACTIVATED:
                seen = next((at for at, old in enumerate(history) if old.release == entry.release), len(history))
                history[seen:] = [entry]
            elif entry.event == PRUNED:
                history = [old for old in history if old.release != entry.release]
        return history

    def last_good_before(self, release: str | None, staged: t.Collection[str]) -> str | None:
        """The last release before ``release`` that was verified and is still on the host: where a rollback goes.

        For a release that was never live (or None: nothing is live) it is the last verified one. ``staged``: what is
        on the host.
        """
        releases = [entry.release for entry in self.live_history()]
        if release in releases:
            del releases[releases.index(release) :]
        return next((good for good in reversed(releases) if good in staged), None)

    def pending(self) -> Entry | None:
        """The ``activating`` entry of an activation that was interrupted (or runs right now)."""
        for entry in reversed(self.entries()):
            if entry.event in _OUTCOMES:
                return None
            if entry.event == ACTIVATING:
                return entry
        return None

    def newest_first(self) -> list[str]:
        """Releases by what happened to them last (staged or activated), newest first, pruned ones left out."""
        order: list[str] = []
        for entry in self.entries():
            if entry.event in (STAGED, ACTIVATED, PRUNED) and entry.release in order:
                order.remove(entry.release)
            if entry.event in (STAGED, ACTIVATED):
                order.append(entry.release)
        return order[::-1]


class Journal(History):
    """The journal at ``path``, read for each answer. A missing file is an empty one; its folder has to be there."""

    def __init__(self, path: str, now: t.Callable[[], datetime] = utc_now) -> None:
        super().__init__()
        self.path = path
        self._now = now

    def content(self) -> bytes:
        """The file's bytes of this moment."""
        try:
            with open(self.path, "rb") as file:
                return file.read()
        except FileNotFoundError:
            return b""

    def append(self, event: str, release: str, previous: str | None = None, reason: str | None = None) -> Entry:
        """Write one entry and return after it is on the disk. Raises ``OSError`` when it cannot be."""
        if event not in EVENTS:
            raise ValueError(f"unknown journal event {event!r}")
        time = self._now().astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        entry = Entry(time, event, release, previous, reason)
        line = json.dumps(entry.as_dict(), ensure_ascii=False).encode() + b"\n"
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o644)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                # A crash tore the last line. It stays as it is, and must not swallow this one.
                line = b"\n" + line
            if os.write(descriptor, line) != len(line):
                raise OSError(f"short write to {self.path}")
            os.fchmod(descriptor, 0o644)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if size == 0:
            sync_directory(os.path.dirname(self.path))
        return entry


def _parse(line: bytes) -> Entry | None:
    try:
        raw = json.loads(line)
    except ValueError:
        return None
    if not isinstance(raw, dict):
        return None
    fields = {key: raw.get(key) for key in ("time", "event", "release", "previous", "reason")}
    if not all(isinstance(fields[key], str) for key in ("time", "event", "release")):
        return None
    if not all(value is None or isinstance(value, str) for value in fields.values()):
        return None
    return Entry(**t.cast("dict[str, str]", fields))
