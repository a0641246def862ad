# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Old workers: HAProxy processes of before a reload that still have clients.

After a reload, the runtime API speaks for the new worker only. The old one goes on serving the clients connected to it
(with ``option idle-close-on-response``, each until its next answer), it sends their requests to all servers it knows,
and it takes no orders: ``set server`` answers "Proxy is disabled" there (2.6 and 3.0). So a drain is only complete when
the old workers have no client left that could send another request. The master's socket lets us look at them.
"""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.socket import Ask, NoSuchWorker, RuntimeSocket
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.state import ServerName, read_stat
from ansible_collections.evenkeel.apphost.plugins.module_utils.waiter import Clock

# Connections are refused while the master loads the new configuration: as long as `haproxy -c` takes, and a little.
_RELOAD_PATIENCE = 10.0


@dataclass(frozen=True)
class OldWorker:
    """One of them, at one moment."""

    pid: int
    idle_clients: int
    """Clients connected that wait; each may send one more request, to any server."""
    sessions: t.Mapping[ServerName, int]
    """Requests and tunnels under way, by server."""

    def threatens(self, names: t.Iterable[ServerName]) -> bool:
        """Whether it has, or may still send, requests to one of these servers."""
        return self.idle_clients > 0 or any(self.sessions.get(name) for name in names)


class OldWorkers:
    """The old workers as the master's socket shows them.

    Without a master socket (HAProxy runs in the foreground, or without ``-S``) there is nothing to see; Debian's and
    Ubuntu's packages have one.
    """

    def __init__(self, path: str, clock: Clock) -> None:
        self._present = os.path.exists(path)
        self._socket = RuntimeSocket(path, patience=_RELOAD_PATIENCE, clock=clock)

    def look(self) -> list[OldWorker]:
        if not self._present:
            return []
        workers = (self._look_at(pid) for pid in old_pids(self._socket.ask("show proc")))
        return [worker for worker in workers if worker is not None]

    def _look_at(self, pid: int) -> OldWorker | None:
        try:
            return read_old_worker(pid, lambda command: self._socket.ask(f"@!{pid} {command}"))
        except NoSuchWorker:
            return None


def old_pids(processes: str) -> list[int]:
    """The old workers in an answer to the master's ``show proc``."""
    pids, within = [], False
    for line in processes.splitlines():
        if line.startswith("#"):
            within = line.startswith("# old workers")
        elif within and line.split()[1:2] == ["worker"]:
            pids.append(int(line.split()[0]))
    return pids


def read_old_worker(pid: int, ask: Ask) -> OldWorker:
    """Ask an old worker what it still has."""
    connections = requests = 0
    sessions: dict[ServerName, int] = {}
    for row in read_stat(ask, "show stat"):
        current = int(row["scur"] or 0)
        if row["svname"] == "FRONTEND":
            connections += current
        elif row["svname"] == "BACKEND":
            requests += current
        elif current:
            sessions[ServerName(row["pxname"], row["svname"])] = current
    return OldWorker(pid, max(connections - requests, 0), sessions)
