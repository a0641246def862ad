# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fleet as its users see it, from outside: after site.yml, and again after every host was rebooted."""

from __future__ import annotations

import json
import os

import pytest
from testinfra.host import Host

from devtools.lab import fleet as lab
from devtools.lab.http import request
from devtools.lab.websocket import WebSocket

testinfra_hosts = ["ansible://app_hosts"]
GZIP = {"Accept-Encoding": "gzip"}
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
    asked = request("http://127.0.0.1/debug/whoami", on=host, headers=GZIP)
    assert asked.headers["content-encoding"] == "gzip"
    # The app itself never compresses, and what is not worth it is left alone.
    assert "content-encoding" not in request("http://127.0.0.1:3000/debug/whoami", on=host, headers=GZIP).headers
    assert "content-encoding" not in request("http://127.0.0.1/", on=host, headers=GZIP).headers


def test_websockets_pass_the_balancer_and_the_proxy(fleet: dict[str, lab.Host]) -> None:
    with WebSocket(("127.0.0.1", fleet["lb1"].http_port or 0), "/ws") as client:
        assert json.loads(client.receive())["hello"] is True
        client.send("ahoy")
        assert json.loads(client.receive())["echo"] == "ahoy"


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
    # The brackets keep this command, which sudo writes to the log, from finding itself.
    places = "/var/log /etc /srv/apphost/*/releases/*/release.json /var/lib/apphost"
    assert host.run(f"grep --recursive --quiet 'for[ ]anybody' {places}").rc == 1


def test_what_the_app_says_is_in_its_log(host: Host) -> None:
    assert "listening" in host.file("/var/log/apphost/hello/web-3000.log").content_string
