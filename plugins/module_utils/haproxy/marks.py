# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who drained a server: a small file on the balancer, so that a drain of ours can be told from an operator's.

HAProxy keeps no reason with a drained server. The file has one entry a server that we drained and have not enabled
again; it survives reloads, restarts and a killed run. An entry is written before the server is drained and removed
after it is ready. A run killed in between leaves an entry too many: it is dropped when the server is seen ready.
"""

from __future__ import annotations

import contextlib
import json
import os
import typing as t
from dataclasses import dataclass
from datetime import datetime

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.files import write_atomic
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.state import ServerName
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.journal import utc_now
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.lock import hold_lock

# Seconds to wait for another run that writes the file; it holds the lock for milliseconds.
_LOCK_WAIT = 10.0

RUN_WAIT = 60.0
"""Seconds to wait for another run at work on the same server; a rollout's drain takes up to 45 s by default."""


@dataclass(frozen=True)
class Mark:
    """Who drained a server and when, on the balancer's clock."""

    owner: str
    since: datetime


class Marks:
    """The file ``drained.json`` in ``folder``.

    ``{"schema": 1, "servers": {"shop/app1": {"owner": "apphost", "since": "2026-11-21T10:00:00.000+00:00"}}}``
    """

    def __init__(self, folder: str, now: t.Callable[[], datetime] = utc_now) -> None:
        self.path = os.path.join(folder, "drained.json")
        self._folder = folder
        self.now = now

    def read(self) -> dict[ServerName, Mark]:
        """Server -> mark; a missing file has none.

        :raises ApphostError: the file says nothing that can be understood.
        """
        try:
            with open(self.path, encoding="utf-8") as file:
                content = json.load(file)
            return {
                ServerName(*name.split("/")): Mark(str(mark["owner"]), datetime.fromisoformat(mark["since"]))
                for name, mark in content["servers"].items()
            }
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ApphostError(
                f"cannot be understood ({error})",
                self.path,
                "It says which servers a rollout drained. Enable those by hand, remove the file and run again.",
            ) from error

    def add(self, names: t.Iterable[ServerName], owner: str) -> None:
        """Mark servers as drained by ``owner`` now."""
        with self._changing() as marks:
            marks.update((name, Mark(owner, self.now())) for name in names)

    def drop(self, names: t.Iterable[ServerName]) -> None:
        """Forget servers; without any, the file is not touched."""
        names = set(names)
        if names & set(self.read()):
            with self._changing() as marks:
                for name in names:
                    marks.pop(name, None)

    @contextlib.contextmanager
    def hold(self, names: t.Iterable[ServerName], state: str, wait: float = RUN_WAIT) -> t.Iterator[None]:
        """Nobody else drains or enables these servers while the block runs.

        A call whose controller died goes on to its deadline, and then cuts requests or puts servers back. The next run
        must not be at work on the same ones by then.

        :raises ApphostError: somebody is still at work on one of them after ``wait`` seconds.
        """
        os.makedirs(self._folder, mode=0o755, exist_ok=True)
        with contextlib.ExitStack() as locks:
            for name in sorted(names):
                path = os.path.join(self._folder, f"{name.backend}.{name.server}.lock")
                locks.enter_context(hold_lock(path, f"make {name} {state}", wait))
            yield

    @contextlib.contextmanager
    def _changing(self) -> t.Iterator[dict[ServerName, Mark]]:
        os.makedirs(self._folder, mode=0o755, exist_ok=True)
        with hold_lock(f"{self.path}.lock", "record who drained a server", wait=_LOCK_WAIT):
            marks = self.read()
            yield marks
            servers = {
                str(name): {"owner": mark.owner, "since": mark.since.isoformat(timespec="milliseconds")}
                for name, mark in sorted(marks.items())
            }
            text = json.dumps({"schema": 1, "servers": servers}, indent=2) + "\n"
            write_atomic(self.path, text.encode(), 0o644)
