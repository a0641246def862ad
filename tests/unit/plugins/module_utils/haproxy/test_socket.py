# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Speaking with HAProxy: every answer that is no success is an error that says where and what to do."""

from __future__ import annotations

import pathlib
import socket
import threading

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.socket import (
    NoSuchWorker,
    RuntimeSocket,
    order,
    require_admin,
)

from .world import RECORDED, VERSIONS, SocketServer

each_version = pytest.mark.parametrize("version", VERSIONS)


def answering(path: pathlib.Path, version: str, name: str) -> RuntimeSocket:
    return RuntimeSocket(SocketServer(path, lambda command: str(RECORDED[version][name]["answer"])).path)


@each_version
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("denied to operator", "permission denied.*level admin"),
        ("denied to user", "permission denied.*level admin"),
        ("set unknown backend", "No such backend"),
        ("set unknown server", "No such server"),
        ("stat of unknown backend", "No such proxy"),
        ("state of unknown backend", "Can't find backend"),
        ("unknown command", "Unknown command"),
        ("old worker: set", "Proxy is disabled"),
    ],
)
def test_a_refusal_is_an_error_that_names_the_socket(
    tmp_path: pathlib.Path, version: str, name: str, words: str
) -> None:
    path = tmp_path / "s"
    with pytest.raises(ApphostError, match=words) as caught:
        answering(path, version, name).ask(RECORDED[version][name]["command"])
    assert caught.value.where == str(path)


@each_version
@pytest.mark.parametrize("name", ["set unknown state", "set banana weight", "health of a follower"])
def test_an_order_that_is_answered_was_not_obeyed(tmp_path: pathlib.Path, version: str, name: str) -> None:
    with pytest.raises(ApphostError, match="did not obey"):
        order(answering(tmp_path / "s", version, name).ask, "set server hello/app1 state banana")


@each_version
def test_an_order_that_is_not_answered_was_obeyed(tmp_path: pathlib.Path, version: str) -> None:
    order(answering(tmp_path / "s", version, "set drain").ask, "set server hello/app1 state drain")


@each_version
@pytest.mark.parametrize("level", ["operator", "user"])
def test_less_than_admin_is_refused_before_anything_is_tried(tmp_path: pathlib.Path, version: str, level: str) -> None:
    ask = answering(tmp_path / "s", version, f"level of {level}").ask
    with pytest.raises(ApphostError, match=f"level {level}, not admin"):
        require_admin(ask, "/run/haproxy/admin.sock")


@each_version
def test_admin_will_do(tmp_path: pathlib.Path, version: str) -> None:
    require_admin(answering(tmp_path / "s", version, "level of admin").ask, "")


def test_a_master_that_keeps_the_connection_is_told_that_no_more_comes(tmp_path: pathlib.Path) -> None:
    server = SocketServer(tmp_path / "s", lambda command: "hello\n\n", patient=True)
    assert RuntimeSocket(server.path, timeout=2.0).ask("show proc") == "hello"


def test_no_socket_says_to_look_whether_haproxy_runs(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ApphostError, match=r"there is no such socket.*Does HAProxy run"):
        RuntimeSocket(str(tmp_path / "none")).ask("show info")


def test_a_socket_that_nobody_listens_on(tmp_path: pathlib.Path) -> None:
    SocketServer(tmp_path / "s", lambda command: "").close()
    with pytest.raises(ApphostError, match=r"nobody listens \(Connection refused\)"):
        RuntimeSocket(str(tmp_path / "s")).ask("show info")


def test_closing_without_an_answer_is_no_answer(tmp_path: pathlib.Path) -> None:
    server = SocketServer(tmp_path / "s", lambda command: None)
    with pytest.raises(ApphostError, match="closed without an answer"):
        RuntimeSocket(server.path).ask("show info")


def test_a_stuck_haproxy_is_not_waited_for_for_ever(tmp_path: pathlib.Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "s"))
        silent.listen()
        with pytest.raises(ApphostError, match=r"no answer to `show info` within 0.05 s"):
            RuntimeSocket(str(tmp_path / "s"), timeout=0.05).ask("show info")


def test_the_master_is_asked_again_while_it_reloads(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "s"
    SocketServer(path, lambda command: "").close()
    back = SocketServer(tmp_path / "new", lambda command: "back\n")
    later = threading.Timer(0.1, lambda: (tmp_path / "new").rename(path))
    later.start()
    assert RuntimeSocket(str(path), patience=5.0).ask("show proc") == "back"
    assert back.commands == ["show proc"]
    later.join()


def test_a_worker_that_just_ends_is_asked_again_until_it_is_gone(tmp_path: pathlib.Path) -> None:
    answers = iter(["Can't connect to the target CLI!\n", "Can't find the target PID matching the prefix '@!7'\n"])
    server = SocketServer(tmp_path / "s", lambda command: next(answers))
    with pytest.raises(NoSuchWorker):
        RuntimeSocket(server.path, patience=5.0).ask("@!7 show stat")
    assert server.commands == ["@!7 show stat", "@!7 show stat"]
