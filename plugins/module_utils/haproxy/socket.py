# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask HAProxy over a UNIX socket: the runtime API of a worker, or the master's, which reaches old workers, too.

HAProxy answers every mistake with a friendly sentence and closes the connection as if all were well. Here each of
them is an error.
"""

from __future__ import annotations

import errno
import socket
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.waiter import Clock

Ask = t.Callable[[str], str]
"""Sends one command and gives the answer, without the line breaks around it."""

# The answers to commands that cannot be obeyed, as HAProxy 2.6 and 3.0 word them. What a command that changes something
# answers beyond these is an error, too: on success it answers nothing.
_REFUSALS = (
    "No such backend",
    "No such server",
    "No such proxy",
    "Can't find backend",
    "Proxy is disabled",
    "Unknown command",
)
_DENIED = "Permission denied"
_NO_SUCH_WORKER = "Can't find the target PID"
# The master, of a worker that is just ending; a moment later there is no such worker.
_WORKER_ENDS = "Can't connect to the target CLI"

_LEVEL_HINT = "In haproxy.cfg the socket needs it: stats socket /run/haproxy/admin.sock mode 660 level admin"
_RUNNING_HINT = "Does HAProxy run (systemctl status haproxy), and does its haproxy.cfg have this `stats socket`?"

# Seconds between attempts while nobody listens.
_RETRY = 0.02


class NoSuchWorker(ApphostError):
    """The worker asked for through the master has ended."""


class RuntimeSocket:
    """One socket; every command has a connection of its own, so nothing is left half-read.

    :param path: such as ``/run/haproxy/admin.sock``.
    :param timeout: seconds to wait for an answer. HAProxy answers within a millisecond unless it is stuck.
    :param patience: seconds to try again while nobody listens. While HAProxy reloads, its master socket refuses
        connections for some 50 ms (2.6 and 3.0, a small configuration); the stats socket never does.
    """

    def __init__(self, path: str, timeout: float = 5.0, patience: float = 0.0, clock: Clock | None = None) -> None:
        self.path = path
        self._timeout = timeout
        self._patience = patience
        self._clock = clock or Clock()

    def ask(self, command: str) -> str:
        """The answer to ``command``.

        :raises ApphostError: nobody answers, or HAProxy refuses the command.
        """
        answer = self._exchange(command).strip("\n")
        if answer.startswith(_DENIED):
            raise ApphostError(f"the socket may not do `{command}`: permission denied", self.path, _LEVEL_HINT)
        if answer.startswith(_NO_SUCH_WORKER):
            raise NoSuchWorker(answer, self.path)
        if answer.startswith(_REFUSALS):
            raise ApphostError(f"`{command}`: {answer.splitlines()[0]}", self.path)
        return answer

    def _exchange(self, command: str) -> str:
        deadline = self._clock.now() + self._patience
        while True:
            answer = self._attempt(command, last=self._clock.now() >= deadline)
            if answer:
                return answer
            self._clock.sleep(_RETRY)

    def _attempt(self, command: str, last: bool) -> str | None:
        """The answer; None when nobody listens and this was not the last attempt."""
        try:
            return self._connect_and_ask(command)
        except FileNotFoundError as error:
            raise ApphostError("there is no such socket", self.path, _RUNNING_HINT) from error
        except PermissionError as error:
            raise ApphostError("this user may not open the socket", self.path, "Run as root (become: true).") from error
        except socket.timeout as error:  # TimeoutError only since Python 3.10
            raise ApphostError(f"no answer to `{command}` within {self._timeout:g} s", self.path) from error
        except ConnectionError as error:
            if last:
                raise ApphostError(f"nobody listens ({error.strerror})", self.path, _RUNNING_HINT) from error
            return None

    def _connect_and_ask(self, command: str) -> str:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(self._timeout)
            connection.connect(self.path)
            connection.sendall(f"{command}\n".encode())
            # The master keeps its connections open until it is told that no further command comes.
            connection.shutdown(socket.SHUT_WR)
            parts = []
            while True:
                part = connection.recv(65536)
                if not part:
                    break
                parts.append(part)
        if not parts:
            raise ConnectionResetError(errno.ECONNRESET, "closed without an answer")
        answer = b"".join(parts).decode("utf-8", "replace")
        if answer.startswith(_WORKER_ENDS):
            raise ConnectionRefusedError(errno.ECONNREFUSED, "the worker does not answer")
        return answer


def order(ask: Ask, command: str) -> None:
    """Have a command obeyed that answers nothing on success.

    :raises ApphostError: HAProxy said anything at all.
    """
    answer = ask(command)
    if answer:
        raise ApphostError(f"HAProxy did not obey `{command}`: {answer.splitlines()[0]}")


def require_admin(ask: Ask, path: str) -> None:
    """Make sure, before anything is changed, that the socket may change servers."""
    level = ask("show cli level")
    if level != "admin":
        raise ApphostError(f"the socket has level {level or 'unknown'}, not admin", path, _LEVEL_HINT)
