# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet as its users see it, from outside: after site.yml, and again after every host was rebooted."""

from __future__ import annotations

import base64
import json
import os
import socket
import typing as t

import pytest
from testinfra.host import Host

from devtools.lab import fleet as lab
from devtools.lab.http import request

testinfra_hosts = ["ansible://app_hosts"]
UNITS = ("apphost-hello-web@3000", "apphost-hello-web@3001", "apphost-hello-worker@1")


@pytest.fixture(scope="module")
def url(fleet: dict[str, lab.Host]) -> str:
    """The balancer, as seen from the controller."""
    return str(fleet["lb1"].url)


def live(host: Host) -> str:
    """The folder of the release that is live on a host."""
    return str(host.check_output("readlink -f /srv/apphost/hello/current"))


def test_every_instance_of_every_host_answers_through_the_balancer(url: str) -> None:
    answers = [request(url) for _number in range(40)]
    assert {answer.status for answer in answers} == {200}
    assert {json.loads(answer.body)["instance"] for answer in answers} == {"3000", "3001"}
    hosts_times_instances = 4
    assert len({json.loads(answer.body)["pid"] for answer in answers}) == hosts_times_instances


def test_the_answer_names_the_release_and_keeps_the_request_id(url: str, host: Host) -> None:
    answer = request(f"{url}/orders", method="POST", headers={"X-Request-Id": "order-1"}, data="{}")
    assert answer.status == 201
    assert json.loads(answer.body)["id"] == "order-1"
    assert answer.headers["x-apphost-release"] == os.path.basename(live(host))


def test_answers_are_compressed_for_those_who_ask(host: Host) -> None:
    plain = request("http://127.0.0.1/debug/whoami", on=host)
    assert "content-encoding" not in plain.headers
    asked = request("http://127.0.0.1/debug/whoami", on=host, headers={"Accept-Encoding": "gzip"})
    assert asked.headers.get("content-encoding") == "gzip" or len(plain.body) < 256


def websocket(address: tuple[str, int], path: str, message: str) -> list[dict[str, t.Any]]:
    """Upgrade, read the greeting, send one message, read its echo (RFC 6455, frames below 126 bytes)."""
    with socket.create_connection(address, timeout=10) as connection:
        key = base64.b64encode(os.urandom(16)).decode()
        connection.sendall(
            f"GET {path} HTTP/1.1\r\nHost: hello\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        stream = connection.makefile("rb")
        assert stream.readline().startswith(b"HTTP/1.1 101 ")
        while stream.readline() != b"\r\n":
            pass
        greeting = read_frame(stream)
        mask = os.urandom(4)
        payload = bytes(byte ^ mask[index % 4] for index, byte in enumerate(message.encode()))
        connection.sendall(bytes([0x81, 0x80 | len(payload)]) + mask + payload)
        return [greeting, read_frame(stream)]


def read_frame(stream: t.BinaryIO) -> dict[str, t.Any]:
    """One unmasked text frame that holds JSON."""
    length = stream.read(2)[1]
    if length == 126:
        length = int.from_bytes(stream.read(2), "big")
    return t.cast("dict[str, t.Any]", json.loads(stream.read(length)))


def test_websockets_pass_the_balancer_and_the_proxy(fleet: dict[str, lab.Host]) -> None:
    greeting, echo = websocket(("127.0.0.1", fleet["lb1"].http_port or 0), "/ws", "ahoy")
    assert greeting["hello"] is True
    assert echo["echo"] == "ahoy"


@pytest.mark.parametrize("unit", UNITS)
def test_every_instance_runs_unprivileged_from_the_live_release(host: Host, unit: str) -> None:
    pid = host.check_output("systemctl show --property MainPID --value %s", unit)
    assert pid != "0"
    assert host.check_output("stat --format %%U /proc/%s", pid) == "apphost-hello"
    assert host.check_output("readlink /proc/%s/cwd", pid) == f"{live(host)}/app"
    # Up at the first try: a unit that only comes up by being restarted is not set up well.
    assert host.check_output("systemctl show --property NRestarts --value %s", unit) == "0"


@pytest.mark.parametrize("check", ["cpus", "interfaces", "cluster", "outbound"])
def test_the_sandbox_leaves_the_app_what_it_needs(host: Host, check: str) -> None:
    answer = request(f"http://127.0.0.1:3000/debug/whoami/{check}", on=host)
    assert answer.status == 200, answer.body


def test_the_sandbox_is_tight(host: Host) -> None:
    report = json.loads(
        host.check_output("systemd-analyze security --no-pager --json=short apphost-hello-web@3000.service") or "[]"
    )
    assert report
    overall = host.check_output("systemd-analyze security --no-pager apphost-hello-web@3000.service").splitlines()[-1]
    assert float(overall.split(": ")[1].split()[0]) <= 1.5, overall


def test_the_app_cannot_write_its_own_release(host: Host) -> None:
    for path in (
        f"{live(host)}/app/server.js",
        f"{live(host)}/app/node_modules/express/package.json",
        f"{live(host)}/app",
    ):
        assert host.run("setpriv --reuid=apphost-hello --regid=apphost-hello --clear-groups test -w %s", path).rc == 1


def test_secrets_reach_the_process_and_nobody_else(host: Host) -> None:
    environment = f"{live(host)}/environment"
    assert host.file(environment).mode == 0o600
    pid = host.check_output("systemctl show --property MainPID --value %s", UNITS[0])
    assert "not for anybody's eyes" in host.check_output("cat /proc/%s/environ", pid)
    assert (
        host.run("grep --recursive --quiet 'for anybody' /var/log /etc /srv/apphost/*/releases/*/release.json").rc == 1
    )


def test_what_the_app_says_is_in_its_log(host: Host) -> None:
    assert "listening" in host.file("/var/log/apphost/hello/web-3000.log").content_string
