# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Health checks against a small server in this process."""

from __future__ import annotations

import http.server
import socket
import threading
import time
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.health import Answer, Check, ask, ask_all, verdict

CHECK = Check("/healthz?deep=1", 200, 0.3, "X-Apphost-Release", host="shop.example.org")


class Handler(http.server.BaseHTTPRequestHandler):
    seen: t.ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers["Host"]))
        if self.path == "/slow":
            time.sleep(0.6)
        self.send_response(503 if self.path == "/ill" else 200)
        self.send_header("X-Apphost-Release", "1-0123456789")
        self.end_headers()

    def log_message(self, *_arguments: t.Any) -> None:
        pass


@pytest.fixture
def port() -> t.Iterator[int]:
    Handler.seen.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_an_answer_has_status_and_release(port: int) -> None:
    assert ask(port, CHECK) == Answer(200, "1-0123456789")
    assert Handler.seen == [("/healthz?deep=1", "shop.example.org")]


def test_a_bad_status_is_an_answer_too(port: int) -> None:
    assert ask(port, Check("/ill", 200, 0.3, "X-None")) == Answer(503, None)


def test_nothing_listens() -> None:
    assert ask(free_port(), CHECK).error == "nothing listens"


def test_a_slow_answer_is_none(port: int) -> None:
    started = time.monotonic()
    assert ask(port, Check("/slow", 200, 0.2, "X-None")).error == "no answer within 0.2 s"
    assert time.monotonic() - started < 0.5


def test_what_is_not_http_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def babble() -> None:
            connection, _address = listener.accept()
            connection.recv(1000)
            connection.sendall(b"SSH-2.0-hello\r\n")
            connection.close()

        threading.Thread(target=babble, daemon=True).start()
        answer = ask(listener.getsockname()[1], CHECK)
    assert answer.status is None
    assert "SSH-2.0" in (answer.error or "")


def test_instances_are_asked_side_by_side(port: int) -> None:
    started = time.monotonic()
    silent = free_port()
    answers = ask_all([port, silent], Check("/slow", 200, 1.0, "X-None"))
    assert (answers[port].status, answers[silent].error) == (200, "nothing listens")
    several = ask_all([port] * 4, Check("/slow", 200, 1.0, "X-None"))
    assert several[port].status == 200
    assert time.monotonic() - started < 2.0  # one after the other would take 0.6 + 4 x 0.6 s


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        (Answer(200, "2-b"), None),
        (Answer(200, None), None),
        (Answer(200, "1-a"), "still answered by release 1-a"),
        (Answer(503, "1-a"), "still answered by release 1-a"),
        (Answer(503, "2-b"), "answers 503, expected 200"),
        (Answer(error="nothing listens"), "nothing listens"),
    ],
)
def test_verdict(answer: Answer, wrong: str | None) -> None:
    said = verdict(answer, CHECK, "2-b")
    assert said is None if wrong is None else wrong in (said or "")
