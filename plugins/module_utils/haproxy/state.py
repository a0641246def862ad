# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What HAProxy says of its servers, typed: ``show servers state`` and ``show stat`` put together."""

from __future__ import annotations

import csv
import io
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.socket import Ask

# Bits of srv_admin_state and srv_check_state: HAProxy's Management Guide, "show servers state".
_MAINT_BITS = 0x01 | 0x02 | 0x04 | 0x20
_INHERITED_BITS = 0x02 | 0x10
_DRAIN_BITS = 0x08 | 0x10
_CHECK_CONFIGURED = 0x02

READY, DRAIN, MAINT = "ready", "drain", "maint"

_NAME = re.compile(r"[A-Za-z0-9_.:-]+")


class ServerName(t.NamedTuple):
    """``<backend>/<server>``."""

    backend: str
    server: str

    def __str__(self) -> str:
        return f"{self.backend}/{self.server}"


def parse_names(texts: t.Iterable[str], option: str = "servers") -> list[ServerName]:
    """Read the ``<backend>/<server>`` texts of ``option``; each once, in their order.

    :raises ApphostError: for all that are no such names (nothing else may reach HAProxy's command line).
    """
    names, bad = [], []
    for text in texts:
        backend, slash, server = text.partition("/")
        if slash and _NAME.fullmatch(backend) and _NAME.fullmatch(server):
            names.append(ServerName(backend, server))
        else:
            bad.append(text)
    if bad:
        raise ApphostError(f"no <backend>/<server>: {', '.join(map(repr, bad))}", option)
    return list(dict.fromkeys(names))


@dataclass(frozen=True)
class Server:
    """A server as HAProxy sees it at one moment."""

    name: ServerName
    address: str
    admin: str
    """What a person or a program wants: ``ready``, ``drain`` or ``maint``."""
    inherited: bool
    """Whether it has that state from a server it tracks."""
    status: str
    """HAProxy's own word: ``UP``, ``UP 1/3`` (going down), ``DOWN``, ``DRAIN``, ``MAINT``, ``no check``, …"""
    checked: bool
    """Whether it has health checks of its own."""
    check: str
    """The last check: ``L7OK/200``, ``L4CON``, or nothing."""
    check_text: str
    checking: bool
    """Whether a check is under way: then the last one's code and words are not told."""
    sessions: int
    """Requests and tunnels under way, those that wait for a connection included."""
    weight: int

    @property
    def health(self) -> str:
        """The status without what an administrator wants, such as ``UP``, ``UP 1/3`` or ``DOWN``."""
        if self.status == "no check":
            return "UP"
        return self.status.replace("DRAIN", "UP")

    @property
    def gets_requests(self) -> bool:
        return self.admin == READY and self.health.startswith("UP") and self.weight > 0

    @property
    def last_check(self) -> str:
        """The last check in words, for an error."""
        return " ".join(filter(None, [self.check, f"({self.check_text})" if self.check_text else ""])) or "none yet"


class Frontends(t.NamedTuple):
    """Connections and requests of a whole HAProxy process."""

    connections: int
    requests: int


def read_servers(ask: Ask, backend: str) -> dict[str, Server]:
    """Server -> what HAProxy says of it.

    :raises ApphostError: there is no such backend.
    """
    stats = {row["svname"]: row for row in read_stat(ask, f"show stat {backend} 4 -1")}
    servers = {}
    for fields in _state_lines(ask(f"show servers state {backend}")):
        row = stats.get(fields["srv_name"])
        # A server deleted between the two answers is no server any more.
        if row is not None:
            servers[fields["srv_name"]] = _server(ServerName(backend, fields["srv_name"]), fields, row)
    return servers


def read_sessions(ask: Ask, backend: str) -> dict[str, int]:
    """Server -> requests and tunnels under way: what is worth asking many times a second."""
    return {row["svname"]: _sessions(row) for row in read_stat(ask, f"show stat {backend} 4 -1")}


def read_backends(ask: Ask) -> list[str]:
    """The names of all backends."""
    return [row["pxname"] for row in read_stat(ask, "show stat -1 2 -1")]


def read_stat(ask: Ask, command: str) -> list[dict[str, str]]:
    """The lines of a ``show stat``, by the names in its head line."""
    answer = ask(command)
    if not answer.startswith("# pxname,"):
        raise ApphostError(f"unexpected answer to `{command}`: {answer[:80]!r}")
    return list(csv.DictReader(io.StringIO(answer[2:])))


def _state_lines(answer: str) -> t.Iterator[dict[str, str]]:
    version, _newline, table = answer.partition("\n")
    head, *lines = table.splitlines() or [""]
    if version != "1" or not head.startswith("# "):
        raise ApphostError(f"unexpected answer to `show servers state`: {answer[:80]!r}")
    names = head[2:].split()
    for line in lines:
        if line and not line.startswith("#"):
            yield dict(zip(names, line.split()))


def _server(name: ServerName, state: t.Mapping[str, str], row: t.Mapping[str, str]) -> Server:
    admin = int(state["srv_admin_state"])
    # A star marks a check under way; the rest is then still the last result, but its code is not.
    checking = row["check_status"].startswith("*")
    check = row["check_status"].removeprefix("* ")
    code = row["check_code"] if check.startswith("L7") and not checking else ""
    return Server(
        name=name,
        address=row.get("addr", ""),
        admin=MAINT if admin & _MAINT_BITS else DRAIN if admin & _DRAIN_BITS else READY,
        inherited=bool(admin & _INHERITED_BITS),
        status=row["status"],
        checked=bool(int(state["srv_check_state"]) & _CHECK_CONFIGURED),
        check=f"{check}/{code}" if code and code != "0" else check,
        checking=checking,
        check_text=row.get("last_chk") or row.get("check_desc") or "",
        sessions=_sessions(row),
        weight=int(row["weight"] or 0),
    )


def _sessions(row: t.Mapping[str, str]) -> int:
    return int(row["scur"] or 0) + int(row["qcur"] or 0)
