# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading HAProxy's tables, as 2.6 and 3.0 wrote them."""

from __future__ import annotations

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.state import (
    Server,
    ServerName,
    parse_names,
    read_backends,
    read_servers,
    read_sessions,
)

from .world import VERSIONS, replay

each_version = pytest.mark.parametrize("version", VERSIONS)


def seen(version: str, moment: str, backend: str = "hello") -> dict[str, Server]:
    return read_servers(replay(version, show_stat=f"{moment}: stat", show_servers_state=f"{moment}: state"), backend)


@each_version
@pytest.mark.parametrize(
    ("moment", "admin", "status", "health", "check"),
    [
        ("all up", "ready", "UP", "UP", "L7OK/200"),
        ("app1 drained, app2 in maintenance", "drain", "DRAIN", "UP", "L7OK/200"),
        ("app1 drained and going down", "drain", "DRAIN 1/3", "UP 1/3", "L4CON"),
        ("app1 drained and down", "drain", "DOWN", "DOWN", "L4CON"),
        ("app1 coming up", "ready", "DOWN 1/2", "DOWN 1/2", "L7OK/200"),
        ("app1 going down", "ready", "UP 1/3", "UP 1/3", "L7STS/503"),
        ("app1 down, 503", "ready", "DOWN", "DOWN", "L7STS/503"),
        # While a check is under way its code is not there yet.
        ("app1 being checked", "ready", "DOWN", "DOWN", "L7STS"),
    ],
)
def test_admin_state_health_and_check_are_told_apart(
    version: str, moment: str, admin: str, status: str, health: str, check: str
) -> None:
    server = seen(version, moment)["app1"]
    assert (server.admin, server.status, server.health, server.check) == (admin, status, health, check)


@each_version
def test_only_a_ready_server_that_is_not_down_gets_requests(version: str) -> None:
    servers = seen(version, "app1 drained, app2 in maintenance")
    assert {name: server.gets_requests for name, server in servers.items()} == {
        "app1": False,
        "app2": False,
        "app3": True,
    }
    assert servers["app2"].admin == "maint" and servers["app2"].health == "MAINT"


@each_version
def test_servers_out_of_the_ordinary(version: str) -> None:
    servers = seen(version, "special", "nocheck")
    unchecked, refused, follower, weightless, disabled = (servers[name] for name in ("n1", "n2", "t1", "w0", "dis"))
    assert (unchecked.status, unchecked.health, unchecked.checked) == ("no check", "UP", False)
    assert (refused.status, refused.last_check) == ("DOWN", "L4CON (Connection refused)")
    assert (follower.checked, follower.inherited) == (False, False)
    assert weightless.health == "UP" and not weightless.gets_requests
    assert disabled.admin == "maint"


@each_version
def test_requests_under_way_are_counted(version: str) -> None:
    ask = replay(version, show_stat="a request under way: stat")
    assert read_sessions(ask, "hello") == {"app1": 1, "app2": 0, "app3": 0}


@each_version
def test_the_backends_are_known_by_name(version: str) -> None:
    assert read_backends(replay(version, show_stat="backends")) == ["hello", "nocheck"]


@pytest.mark.parametrize("answer", ["", "Something else\n"])
def test_an_answer_that_is_no_table_is_an_error(answer: str) -> None:
    with pytest.raises(ApphostError, match="unexpected answer"):
        read_sessions(lambda command: answer, "hello")


def test_names_keep_their_order_and_are_asked_for_once() -> None:
    assert parse_names(["b/x", "a/y", "b/x"]) == [ServerName("b", "x"), ServerName("a", "y")]


@pytest.mark.parametrize("text", ["hello", "/app1", "hello/", "hello/app1;shutdown", "hello/app 1", "a/b/c", ""])
def test_what_is_no_name_never_reaches_haproxy(text: str) -> None:
    with pytest.raises(ApphostError, match="no <backend>/<server>"):
        parse_names([text])
