# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One host: low ports without root, logs that rotate without loss, a proxy that copes. Tests undo what they change."""

from __future__ import annotations

import json
import re
import socket
import time
import typing as t
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from testinfra.host import Host

from devtools.lab import fleet as lab
from devtools.lab.http import Answer, request

testinfra_hosts = ["ansible://app_hosts"]

PROXY = "http://127.0.0.1:8080"
WEB = ("apphost-scribe-web@3000.service", "apphost-scribe-web@3001.service")
LOGS = "/var/log/apphost/scribe"
NGINX_CONF = "/etc/nginx/conf.d/apphost.conf"
NET_BIND_SERVICE = 1 << 10
"""The bit of CAP_NET_BIND_SERVICE in /proc/<pid>/status (linux/capability.h)."""


def body(answer: Answer) -> dict[str, t.Any]:
    """What the app says of itself."""
    assert answer.status == 200, answer
    return t.cast("dict[str, t.Any]", json.loads(answer.body))


def wait_for(what: str, holds: Callable[[], bool], seconds: float = 15) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.2)


def test_the_account_that_builds_dependencies_can_do_nothing_else(host: Host) -> None:
    builder = host.user("apphost-build")
    assert builder.uid != 0
    assert (builder.groups, builder.shell) == (["apphost-build"], "/usr/sbin/nologin")
    assert not host.file(builder.home).exists
    assert host.run("su apphost-build -s /bin/sh -c 'touch /srv/apphost/x || touch /var/lib/apphost/x'").failed


# -- low ports -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seen_from", ["outside", "the host itself"])
def test_port_80_leads_to_every_instance(host: Host, fleet: dict[str, lab.Host], seen_from: str) -> None:
    address = fleet[host.backend.hostname].address
    on = None if seen_from == "outside" else host
    answers = [body(request(f"http://{address}/", on=on)) for _number in range(4)]
    assert Counter(answer["port"] for answer in answers) == {3000: 2, 3001: 2}
    assert all(answer["uid"] != 0 for answer in answers)


@pytest.mark.parametrize("action", ["start", "reload", "restart", "stop"])
def test_the_firewall_service_cannot_lose_the_redirect(host: Host, action: str) -> None:
    """Debian's nftables.service flushes every table each time."""
    if action != "start":
        host.check_output("systemctl start nftables")
    try:
        host.check_output("systemctl %s nftables", action)
        assert ("table inet filter" in host.check_output("nft list tables")) == (action != "stop")
        assert body(request("http://127.0.0.1/", on=host))["port"] in (3000, 3001)
    finally:
        host.check_output("systemctl stop nftables")


def test_the_edge_app_opened_its_low_port_itself_and_can_do_nothing_else(host: Host) -> None:
    answer = body(request("http://127.0.0.1:443/", on=host))
    assert answer["port"] == 443
    assert answer["uid"] != 0
    pid = host.check_output("systemctl show --property MainPID --value apphost-edge-web@443.service")
    status = dict(line.split(":", 1) for line in host.file(f"/proc/{pid}/status").content_string.splitlines())
    assert {int(status[one], 16) for one in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {NET_BIND_SERVICE}


def test_an_app_that_needs_no_low_port_any_more_loses_it(host: Host, apply: Callable[..., t.Any]) -> None:
    dropin = host.file("/etc/systemd/system/apphost-edge-web@.service.d/10-port-access.conf")
    assert dropin.exists
    try:
        assert apply("port_access", host_redirect="none", host_edge_port=4000).status == 0
        assert not dropin.exists
        assert "inet apphost" not in host.check_output("nft list tables")
        assert host.run("systemctl cat apphost-redirect.service").rc != 0
        assert "apphost" not in host.check_output("systemctl cat nftables.service")
        with pytest.raises(AssertionError):
            request("http://127.0.0.1/", on=host)
    finally:
        assert apply("port_access").status == 0
    assert body(request("http://127.0.0.1/", on=host))


# -- the proxy -------------------------------------------------------------------------------------------------------


def test_a_client_cannot_speak_for_another(host: Host) -> None:
    forged = {
        "X-Forwarded-For": "6.6.6.6",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil",
        "X-Request-Id": "kept-1",
    }
    headers = body(request(PROXY, on=host, headers=forged))["headers"]
    assert headers["x-forwarded-for"] == headers["x-real-ip"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == "http"
    assert headers["x-forwarded-host"] == headers["host"] == "127.0.0.1:8080"
    assert headers["x-request-id"] == "kept-1"
    made = [
        body(request(PROXY, on=host, headers=one))["headers"]["x-request-id"]
        for one in ({}, {"X-Request-Id": "not well formed"})
    ]
    assert all(len(one) == 32 for one in made)


def test_large_answers_are_compressed(host: Host) -> None:
    assert request(f"{PROXY}/big", on=host, headers={"Accept-Encoding": "gzip"}).headers["content-encoding"] == "gzip"
    assert "content-encoding" not in request(f"{PROXY}/big", on=host).headers
    assert "content-encoding" not in request(PROXY, on=host, headers={"Accept-Encoding": "gzip"}).headers


def test_websockets_pass_and_other_upgrades_do_not(host: Host, fleet: dict[str, lab.Host]) -> None:
    with socket.create_connection((fleet[host.backend.hostname].address, 8080), timeout=10) as connection:
        connection.sendall(
            b"GET / HTTP/1.1\r\nHost: scribe\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        stream = connection.makefile("rb")
        assert stream.readline().startswith(b"HTTP/1.1 101 ")
        while stream.readline() != b"\r\n":
            pass
        for message in (b"ahoy", b"a second one"):
            connection.sendall(message)
            assert stream.read(len(message)) == message
    headers = body(request(PROXY, on=host, headers={"Upgrade": "h2c", "Connection": "Upgrade"}))["headers"]
    assert "upgrade" not in headers


@pytest.fixture
def stop(host: Host) -> Iterator[Callable[..., None]]:
    """Stops instances; they run and answer again after the test."""

    def answers(port: int) -> bool:
        try:
            return request(f"http://127.0.0.1:{port}/healthz", on=host).status == 200
        except AssertionError:
            return False

    yield lambda *units: host.check_output(f"systemctl stop {' '.join(units)}")
    host.check_output(f"systemctl start {' '.join(WEB)}")
    wait_for("both instances answer", lambda: answers(3000) and answers(3001))


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("unit", WEB)
def test_nobody_notices_that_one_instance_is_down(
    host: Host, stop: Callable[..., None], unit: str, method: str
) -> None:
    stop(unit)
    assert {request(PROXY, on=host, method=method).status for _number in range(10)} == {200}


def test_a_request_that_may_have_run_is_never_repeated(host: Host) -> None:
    def calls() -> int:
        return sum(int(body(request(f"http://127.0.0.1:{port}/", on=host))["calls"]) for port in (3000, 3001))

    before, sent = calls(), 0
    for method in ("GET", "PUT", "POST"):
        for _number in range(5):
            assert request(f"{PROXY}/break", on=host, method=method).status == 502
            sent += 1
    assert calls() - before == sent


def test_an_app_that_is_down_has_a_page_and_keeps_the_status(host: Host, stop: Callable[..., None]) -> None:
    stop(*WEB)
    for method in ("GET", "POST"):
        answer = request(PROXY, on=host, method=method)
        assert answer.status == 502
        assert "Back in a moment" in answer.body
        assert answer.headers["content-type"].startswith("text/html")
        assert answer.headers["cache-control"] == "no-store"
        assert len(answer.headers["x-request-id"]) == 32
        assert answer.headers["server"] == "nginx"


def test_the_errors_of_the_app_itself_pass(host: Host) -> None:
    answer = request(f"{PROXY}/own-error", on=host)
    assert (answer.status, answer.body) == (503, "the error of the app itself\n")


def test_a_configuration_that_nginx_refuses_is_never_in_force(host: Host, apply: Callable[..., t.Any]) -> None:
    before = host.file(NGINX_CONF).content
    pid = host.file("/run/nginx.pid").content_string
    run = apply("reverse_proxy", reverse_proxy_extra_directives={"scribe": "nonsense on;"})
    assert run.status != 0
    assert re.search(r"unknown directive .{1,2}nonsense", run.output)
    assert host.file(NGINX_CONF).content == before
    host.check_output("nginx -t -q")
    assert host.file("/run/nginx.pid").content_string == pid
    assert body(request(PROXY, on=host))


def test_a_change_is_taken_over_without_a_restart(host: Host, apply: Callable[..., t.Any]) -> None:
    pid = host.file("/run/nginx.pid").content_string
    try:
        more = "location = /extra {\n    return 204;\n}"
        assert apply("reverse_proxy", reverse_proxy_extra_directives={"scribe": more}).status == 0
        wait_for("the new location answers", lambda: request(f"{PROXY}/extra", on=host).status == 204)
        assert host.file("/run/nginx.pid").content_string == pid
    finally:
        assert apply("reverse_proxy").status == 0


# -- logs ------------------------------------------------------------------------------------------------------------


ROTATIONS = 3
REQUESTS = 400
LOAD = f"""
import http.client, time
connection = http.client.HTTPConnection("127.0.0.1", 8080)
for number in range({REQUESTS}):
    connection.request("GET", "/", headers={{"X-Request-Id": f"MARK-{{number}}"}})
    connection.getresponse().read()
    time.sleep({ROTATIONS * 3 / REQUESTS})
"""


def contents(host: Host, file: str) -> list[str]:
    """The lines of a log, the oldest first: what was rotated from it, then the file itself."""
    return str(host.check_output(f"zcat --force {file}-* {file}")).splitlines()


def by_instance(lines: list[str]) -> dict[str, list[int]]:
    """The numbers that each instance wrote since it was started last."""
    numbers: dict[str, list[int]] = {}
    for instance, number in (line.split() for line in lines if line[0].isdigit()):
        if number == "1":
            numbers[instance] = []
        numbers.setdefault(instance, []).append(int(number))
    return numbers


def missing(numbers: list[int]) -> int:
    """How many of a row of numbers are not there."""
    return max(numbers) - min(numbers) + 1 - len(numbers)


def test_logs_rotate_by_size_without_losing_lines(host: Host) -> None:
    mark = f"run{time.monotonic_ns()}"
    host.check_output("systemd-run --quiet --unit=%s python3 -c %s", mark, LOAD.replace("MARK", mark))
    before = int(host.check_output(f"ls {LOGS}/own | wc -l"))
    for _number in range(ROTATIONS):
        # Long enough for every log to grow beyond its max_size.
        time.sleep(3)
        host.check_output("systemctl start logrotate.service")
    wait_for("the load is over", lambda: host.run("systemctl is-active %s", mark).stdout.strip() != "active")
    assert int(host.check_output(f"ls {LOGS}/own | wc -l")) == before + 2 * ROTATIONS

    # Moved and opened again: the proxy's by its signal, the app's by its own.
    access = "\n".join(contents(host, f"{LOGS}/access.log"))
    assert {f"{mark}-{number}" for number in range(REQUESTS)} == set(re.findall(rf"{mark}-\d+", access))
    moved = by_instance(contents(host, f"{LOGS}/own/signal.log"))
    assert moved.keys() == {"3000", "3001"}
    assert {instance: missing(numbers) for instance, numbers in moved.items()} == {"3000": 0, "3001": 0}

    # Copied and emptied: what is written in between is lost, and no more than that.
    for file in ("own/copy.log", "web-3000.log", "web-3001.log"):
        for numbers in by_instance(contents(host, f"{LOGS}/{file}")).values():
            assert 0 <= missing(numbers) <= 10 * ROTATIONS, file


def test_sizes_are_looked_at_more_often_than_once_a_day(host: Host) -> None:
    timer = host.service("apphost-logs.timer")
    assert timer.is_enabled and timer.is_running
    assert host.check_output("systemctl show --property Triggers --value apphost-logs.timer") == "logrotate.service"
