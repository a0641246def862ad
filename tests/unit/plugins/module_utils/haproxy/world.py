# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What HAProxy's tests are made of: answers recorded from real ones, a socket that replays them, and one that acts.

The recordings name their program, host, date and configuration. The acting one, :class:`Haproxy`, has the traps of the
real one: it is silent on success, and takes what leaves maintenance for up.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import socket
import threading
import typing as t
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.marks import Marks
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.servers import Balancer
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.state import ServerName
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.workers import OldWorker
from ansible_collections.evenkeel.apphost.plugins.module_utils.waiter import Clock

RECORDED = {
    path.stem: json.loads(path.read_text())["answers"]
    for path in sorted((pathlib.Path(__file__).parent / "recorded").glob("*.json"))
}
VERSIONS = sorted(RECORDED)


def replay(version: str, **answers: str) -> t.Callable[[str], str]:
    """Gives recorded answers; ``answers``: the beginning of a command (``_`` for a space) -> name of the recording."""

    def ask(command: str) -> str:
        for beginning, name in answers.items():
            if command.startswith(beginning.replace("_", " ")):
                return str(RECORDED[version][name]["answer"]).strip("\n")
        raise AssertionError(command)

    return ask


class SocketServer:
    """A UNIX socket that answers; ``answer`` gets the command, None closes without a word."""

    def __init__(self, path: pathlib.Path, answer: t.Callable[[str], str | None], patient: bool = False) -> None:
        self.path = str(path)
        self.commands: list[str] = []
        self._answer = answer
        self._patient = patient
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(self.path)
        self._socket.listen(16)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                with connection, connection.makefile("r", encoding="utf-8") as lines:
                    self.commands.append(lines.readline().rstrip("\n"))
                    answer = self._answer(self.commands[-1])
                    if answer is not None:
                        connection.sendall(answer.encode())
                    if self._patient:
                        # As HAProxy's master: the connection stays until the client says that it is done.
                        lines.read()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@dataclass
class Server:
    """A server of the acting HAProxy."""

    admin: str = "ready"
    up: bool = True
    passed: int = 2
    checked: bool = True
    well: bool = True
    """Whether its app passes checks."""
    going_down: bool = False
    sessions: list[float] = field(default_factory=list)
    """When each request under way ends, in seconds of the clock."""
    cuttable: bool = True
    weight: int = 1
    tracks: bool = False
    slow_from: float = float("inf")
    """From this moment on a check is under way."""


STAT_HEAD = "# pxname,svname,qcur,scur,status,weight,check_status,check_code,last_chk,check_desc,addr,type,"
STATE_HEAD = "# be_id be_name srv_id srv_name srv_op_state srv_admin_state srv_check_state srv_port"
ADMIN_BITS = {"ready": 0, "maint": 1, "drain": 8}


class Haproxy:
    """Acts as a HAProxy with checks every 0.5 s that need two passes, on a clock that only sleeping moves."""

    def __init__(self, level: str = "admin", **backends: dict[str, Server]) -> None:
        self.level = level
        self.backends = backends
        self.seconds = 1000.0
        self.commands: list[str] = []
        self.deaf = False
        """Takes every order in silence and obeys none."""
        self.events: dict[float, t.Callable[[], None]] = {}
        self.old_workers: list[OldWorker] = []
        self.clock = Clock(lambda: self.seconds, self.sleep)

    def sleep(self, seconds: float) -> None:
        before, self.seconds = self.seconds, self.seconds + seconds
        if int(before * 2) != int(self.seconds * 2):
            self.check()
        for when in [when for when in self.events if when <= self.seconds]:
            self.events.pop(when)()

    def at(self, seconds: float, event: t.Callable[[], None]) -> None:
        """Let something happen that many seconds from now."""
        self.events[self.seconds + seconds] = event

    def check(self) -> None:
        for server in (server for servers in self.backends.values() for server in servers.values()):
            if server.checked and server.admin != "maint":
                server.passed = server.passed + 1 if server.well else 0
                server.up = server.passed >= 2

    def ask(self, command: str) -> str:
        self.commands.append(command)
        words = command.split()
        if command == "show cli level":
            return self.level
        if words[:2] == ["show", "stat"]:
            return self._stat(words[2]) if words[2] in self.backends else "No such proxy."
        if words[:3] == ["show", "servers", "state"]:
            return self._state(words[3]) if words[3] in self.backends else "Can't find backend."
        return "" if self.deaf else self._obey(words)

    def _obey(self, words: list[str]) -> str:
        backend, _, name = (words[3] if words[0] == "shutdown" else words[2]).partition("/")
        server = self.backends[backend][name]
        if words[0] == "shutdown":
            server.sessions = server.sessions if not server.cuttable else []
        elif words[3:] == ["health", "down"]:
            server.up, server.passed = False, 0
        elif words[3] == "state":
            if server.admin == "maint" and words[4] != "maint":
                server.up, server.passed = True, 2
            server.admin = words[4]
        else:
            raise AssertionError(words)
        return ""

    def _status(self, server: Server) -> str:
        if server.admin == "maint":
            return "MAINT"
        if not server.up:
            return "DOWN"
        word = "DRAIN" if server.admin == "drain" else "UP"
        if not server.checked and word == "UP":
            return "no check"
        return f"{word} 1/3" if server.going_down else word

    def _stat(self, backend: str) -> str:
        lines = [STAT_HEAD]
        for name, server in self.backends[backend].items():
            count = sum(end > self.seconds for end in server.sessions)
            check = ("L7OK,200,OK" if server.well else "L7STS,503,Warming") if server.checked else ",,"
            if self.seconds >= server.slow_from:
                # As recorded: the code is gone, and so are the app's words.
                check = f"* {check.split(',')[0]},0,"
            lines.append(f"{backend},{name},0,{count},{self._status(server)},{server.weight},{check},,10.0.0.1:80,2,")
        return "\n".join(lines)

    def _state(self, backend: str) -> str:
        lines = ["1", STATE_HEAD]
        for number, (name, server) in enumerate(self.backends[backend].items()):
            bits = ADMIN_BITS[server.admin] << (1 if server.tracks else 0)
            lines.append(f"3 {backend} {number} {name} 2 {bits} {6 if server.checked else 0} 80")
        return "\n".join(lines)

    def orders(self) -> list[str]:
        """The commands that change something."""
        return [command for command in self.commands if not command.startswith("show ")]


class World:
    """A balancer with an acting HAProxy and marks in a folder."""

    def __init__(self, haproxy: Haproxy, folder: pathlib.Path) -> None:
        self.haproxy = haproxy
        self.saved: list[dict[str, str]] = []
        self.can_save = True
        self.marks = Marks(str(folder), self.now)
        self.balancer = Balancer(
            haproxy.ask, "/run/test.sock", self.marks, lambda: haproxy.old_workers, self._save, haproxy.clock
        )

    def now(self) -> datetime:
        return datetime(2026, 11, 21, 10, tzinfo=UTC) + timedelta(seconds=self.haproxy.seconds - 1000.0)

    def _save(self) -> bool:
        if self.can_save:
            self.saved.append(self.states())
        return self.can_save

    def states(self) -> dict[str, str]:
        """Server -> administrative state, as HAProxy has it."""
        return {
            f"{backend}/{name}": server.admin
            for backend, servers in self.haproxy.backends.items()
            for name, server in servers.items()
        }

    def marked(self) -> dict[str, str]:
        """Server -> owner, as the marks have it."""
        return {str(name): mark.owner for name, mark in self.marks.read().items()}


def names(*texts: str) -> list[ServerName]:
    return [ServerName(*text.split("/")) for text in texts]
