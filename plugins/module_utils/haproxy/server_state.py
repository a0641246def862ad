# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep what HAProxy knows of its servers over a reload and a restart.

HAProxy by itself forgets at every reload which servers are drained, and which are down. It reads a file when it starts;
this writes it. The module haproxy_server does so whenever it has changed a server, and the role ``balancer`` puts this
very file on the balancer as a program, for HAProxy's systemd unit. So it stands alone: no import from the collection.

    save            write the states of the running HAProxy to its server-state-file
    reload PID      the same, then have the master process PID reload, and see that it did
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import sys
import time
import typing as t

# As Debian's and Ubuntu's packages and the role ``balancer`` have them.
STATS_SOCKET = "/run/haproxy/admin.sock"
MASTER_SOCKET = "/run/haproxy-master.sock"
STATE_FOLDER = "/var/lib/apphost-balancer"
STATE_FILE = f"{STATE_FOLDER}/server-state"
CONFIG = "/etc/haproxy/haproxy.cfg"

PROGRAM = "/usr/local/lib/apphost-balancer/server_state.py"
"""Where the role puts this file. Without it, nothing reads the state file."""

Ask = t.Callable[[str], str]

# Seconds until a reload must have happened. Loading takes as long as `haproxy -c -f haproxy.cfg`.
RELOAD_TIMEOUT = 60.0


def configured_ports(config: str) -> dict[tuple[str, str], str]:
    """(backend, server) -> port, as the text of a configuration has them."""
    ports: dict[tuple[str, str], str] = {}
    backend = None
    for line in config.splitlines():
        words = line.split()
        if words and not line[0].isspace():
            backend = words[1] if words[0] in ("backend", "listen") and len(words) > 1 else None
        elif backend and words[:1] == ["server"] and len(words) > 2:
            _host, colon, port = words[2].rpartition(":")
            if colon and port.isdigit():
                ports[backend, words[1]] = port
    return ports


def with_ports(states: str, ports: t.Mapping[tuple[str, str], str]) -> str:
    """An answer to ``show servers state`` as a file, with the configured ports.

    HAProxy (2.6 and 3.0) takes a server's address from its configuration but its port from this file: without this, a
    new port in the configuration would never be used.

    :raises ValueError: it is no such answer.
    """
    lines = states.strip("\n").splitlines()
    if len(lines) < 2 or lines[0] != "1" or not lines[1].startswith("# be_id "):
        raise ValueError(f"unexpected answer to `show servers state`: {states[:80]!r}")
    names = lines[1][2:].split(" ")
    for number, line in enumerate(lines[2:], 2):
        fields = line.split(" ")
        state = dict(zip(names, fields))
        port = ports.get((state["be_name"], state["srv_name"]))
        if port:
            fields[names.index("srv_port")] = port
            lines[number] = " ".join(fields)
    return "\n".join(lines) + "\n"


def save(ask: Ask, config: str = CONFIG, path: str = STATE_FILE) -> None:
    """Write the state file; it is either the old one or the new one, whatever happens.

    :raises OSError: nobody answers, or it cannot be written.
    """
    with open(config, encoding="utf-8") as file:
        ports = configured_ports(file.read())
    states = with_ports(ask("show servers state"), ports)
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    partial = f"{path}.{os.getpid()}"
    with open(partial, "w", encoding="utf-8") as file:
        file.write(states)
        file.flush()
        os.fsync(file.fileno())
    os.rename(partial, path)


def reload(
    master: int,
    stats: Ask,
    control: Ask,
    signal_master: t.Callable[[int, int], None] = os.kill,
    pause: t.Callable[[float], None] = time.sleep,
) -> None:
    """Have HAProxy reload and wait until its new worker answers: the signal alone promises nothing.

    :param stats: asks the worker that serves; while HAProxy reloads that is first the old, then the new one.
    :param control: asks the master.
    :raises RuntimeError: HAProxy goes on with its old configuration.
    """
    before, failed = _worker(stats), _failures(control)
    signal_master(master, signal.SIGUSR2)
    deadline = time.monotonic() + RELOAD_TIMEOUT
    while time.monotonic() < deadline:
        pause(0.02)
        if _worker(stats) not in (before, None):
            return
        if _failures(control) > failed:
            raise RuntimeError("HAProxy refused its new configuration and goes on with the old one")
    raise RuntimeError(f"HAProxy has not reloaded within {RELOAD_TIMEOUT:g} s")


def _worker(stats: Ask) -> str | None:
    """The process that answers; None when none does."""
    with contextlib.suppress(OSError):
        found = re.search(r"^Pid: (\d+)$", stats("show info"), re.MULTILINE)
        return found[1] if found else None
    return None


def _failures(control: Ask) -> int:
    """How many reloads have failed since the last good one; 0 while the master is busy, or too old to count."""
    with contextlib.suppress(OSError):
        found = re.search(r"\[failed: (\d+)\]", control("show proc"))
        return int(found[1]) if found else 0
    return 0


def _ask(path: str) -> Ask:
    def ask(command: str) -> str:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(5.0)
            connection.connect(path)
            connection.sendall(command.encode() + b"\n")
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()

    return ask


def main(arguments: t.Sequence[str]) -> int:
    """The program on the balancer; returns its exit status."""
    stats = _ask(STATS_SOCKET)
    try:
        # Without the socket nobody can have changed anything, and the reload may bring the socket.
        if arguments[:1] == ["save"] or os.path.exists(STATS_SOCKET):
            save(stats, os.environ.get("CONFIG", CONFIG))
        if arguments[:1] == ["reload"]:
            reload(int(arguments[1]), stats, _ask(MASTER_SOCKET))
    except (OSError, ValueError, RuntimeError) as error:
        sys.stderr.write(f"{arguments[0]}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
