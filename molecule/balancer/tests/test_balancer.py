# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draining, enabling, reloading: on real HAProxies, and under traffic. Every test leaves all servers up and ready."""

from __future__ import annotations

import json
import os
import subprocess
import time
import typing as t
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from testinfra.host import Host

from devtools.lab.http import request
from devtools.lab.traffic import Traffic

testinfra_hosts = ["ansible://balancers"]

FLEET = f"molecule-{os.environ.get('MOLECULE_SCENARIO_NAME')}"
APPS = {"app1": "127.0.0.11", "app2": "127.0.0.12", "app3": "127.0.0.13"}
APP1 = "shop/app1"
EVERY = [f"shop/{name}" for name in APPS]

# A client that keeps its connection, and asks again when it is told to (a line on its standard input).
PATIENT_CLIENT = """
import socket, sys
client = socket.create_connection(("127.0.0.1", 80), 10)
def ask():
    client.sendall(b"GET / HTTP/1.1\\r\\nHost: shop\\r\\n\\r\\n")
    print(client.recv(4096).split()[1].decode(), flush=True)
ask()
for line in sys.stdin:
    ask()
"""


class Refused(Exception):
    """The module failed; its message."""


@pytest.fixture
def server(host: Host) -> Callable[..., dict[str, t.Any]]:
    """``server("drained", timeout=3)`` runs haproxy_server."""

    def run(state: str, servers: t.Sequence[str] = (APP1,), **options: t.Any) -> dict[str, t.Any]:
        arguments = json.dumps({"servers": list(servers), "state": state, **options})
        result = host.ansible("evenkeel.apphost.haproxy_server", arguments, check=False, become=True)
        if "servers" not in result:
            raise Refused(result["msg"])
        return t.cast("dict[str, t.Any]", result)

    return run


@pytest.fixture
def info(host: Host) -> Callable[[], dict[str, t.Any]]:
    return lambda: t.cast(
        "dict[str, t.Any]", host.ansible("evenkeel.apphost.haproxy_server_info", check=False, become=True)
    )


@pytest.fixture
def admin(info: Callable[[], dict[str, t.Any]]) -> Callable[[], dict[str, str]]:
    """Server -> what an administrator wants of it."""
    return lambda: {name: one["admin"] for name, one in info()["backends"]["shop"].items()}


@pytest.fixture
def runtime(host: Host, haproxy: Callable[[str, str], str]) -> Callable[[str], str]:
    """What an operator types."""
    return lambda command: haproxy(host.backend.hostname, command)


@pytest.fixture(autouse=True)
def all_serve(host: Host, server: Callable[..., t.Any]) -> Iterator[None]:
    """Before and after every test."""
    yield
    units = " ".join(f"lab-app@{address}" for address in APPS.values())
    host.check_output(f"rm -f /run/lab-app.*.ill && systemctl start {units}")
    server("enabled", EVERY, only_own=False)


def first(result: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    return t.cast("dict[str, t.Any]", result["servers"][0])


def ask_slowly(host: Host, pool: ThreadPoolExecutor, runtime: Callable[[str], str], seconds: float) -> t.Any:
    """A slow request that app1 answers."""
    for other in ("app2", "app3"):
        runtime(f"set server shop/{other} state drain")
    answer = pool.submit(request, f"http://127.0.0.1/slow?{seconds}", on=host, timeout=30)
    deadline = time.monotonic() + 10
    # qcur, qmax, scur
    while "shop,app1,0,0,1," not in runtime("show stat shop 4 -1") and time.monotonic() < deadline:
        time.sleep(0.05)
    for other in ("app2", "app3"):
        runtime(f"set server shop/{other} state ready")
    return answer


def test_a_drained_server_stays_drained_whatever_happens_to_haproxy(
    host: Host, server: Callable[..., dict[str, t.Any]], admin: Callable[[], dict[str, str]]
) -> None:
    assert first(server("drained"))["changed"]
    host.check_output("systemctl reload haproxy")
    assert admin() == {"app1": "drain", "app2": "ready", "app3": "ready"}
    host.check_output("systemctl restart haproxy")
    assert admin()["app1"] == "drain"
    host.check_output("systemctl kill --kill-whom=all --signal=KILL haproxy && sleep 1")
    assert admin()["app1"] == "drain"
    again = first(server("drained"))
    assert not again["changed"] and again["owner"] == "apphost"
    back = first(server("enabled"))
    assert back["changed"] and back["out_seconds"] > 1
    host.check_output("systemctl kill --kill-whom=all --signal=KILL haproxy && sleep 1")
    assert admin()["app1"] == "ready"


def test_what_an_operator_drained_stays_the_operators(
    host: Host,
    server: Callable[..., dict[str, t.Any]],
    runtime: Callable[[str], str],
    admin: Callable[[], dict[str, str]],
) -> None:
    runtime("set server shop/app1 state drain")
    host.check_output("systemctl restart haproxy")
    for state in ("drained", "enabled"):
        answer = first(server(state))
        assert answer["operator"] and not answer["changed"]
    assert admin()["app1"] == "drain"


def test_what_cannot_be_is_refused_and_changes_nothing(
    server: Callable[..., dict[str, t.Any]], admin: Callable[[], dict[str, str]]
) -> None:
    mistakes = {"no such server": ["shop/app9"], "no such backend": ["shp/app1"], "0 servers up, not 1": EVERY}
    for words, servers in mistakes.items():
        with pytest.raises(Refused, match=words):
            server("drained", [APP1, *servers])
    assert set(admin().values()) == {"ready"}


def test_a_request_under_way_is_waited_for(
    host: Host, server: Callable[..., dict[str, t.Any]], runtime: Callable[[str], str]
) -> None:
    with ThreadPoolExecutor() as pool:
        answer = ask_slowly(host, pool, runtime, 6)
        drained = first(server("drained", timeout=20))
        assert answer.done() or answer.result(timeout=1)
        assert drained["waited"] > 0 and drained["sessions_cut"] == 0
        assert answer.result().status == 200


def test_at_the_deadline_it_is_put_back_or_cut_as_asked(
    host: Host,
    server: Callable[..., dict[str, t.Any]],
    runtime: Callable[[str], str],
    admin: Callable[[], dict[str, str]],
) -> None:
    with ThreadPoolExecutor() as pool:
        answer = ask_slowly(host, pool, runtime, 25)
        with pytest.raises(Refused) as caught:
            server("drained", timeout=1, on_deadline="fail")
        assert "ready again, as before" in str(caught.value) and admin()["app1"] == "ready"
        cut = first(server("drained", timeout=1))
        assert cut["sessions_cut"] == 1 and cut["after"]["admin"] == "drain"
        assert answer.exception(timeout=10) or answer.result().status == 502


def test_a_client_of_before_a_reload_is_waited_for(
    host: Host, server: Callable[..., dict[str, t.Any]], info: Callable[[], dict[str, t.Any]]
) -> None:
    container = Traffic(FLEET, (), balancer=host.backend.hostname).container
    with subprocess.Popen(
        ["docker", "exec", "-i", container, "python3", "-c", PATIENT_CLIENT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as client:
        assert client.stdin and client.stdout
        assert client.stdout.readline() == "200\n"
        host.check_output("systemctl reload haproxy")
        assert [worker["idle_clients"] for worker in info()["old_workers"]] == [1]
        with pytest.raises(Refused) as caught:
            server("drained", timeout=1, on_deadline="fail")
        assert "before a reload still has 1 clients" in str(caught.value)
        print("again", file=client.stdin, flush=True)
        # The process of before serves it, and is gone.
        assert client.stdout.readline() == "200\n"
        assert first(server("drained", timeout=5, on_deadline="fail"))["changed"]
        client.stdin.close()


def test_from_maintenance_only_what_passes_its_checks_comes_back(
    host: Host,
    server: Callable[..., dict[str, t.Any]],
    runtime: Callable[[str], str],
    admin: Callable[[], dict[str, str]],
) -> None:
    host.check_output("touch /run/lab-app.127.0.0.11.ill")
    runtime("set server shop/app1 state maint")
    with Traffic(FLEET, ["shop"], balancer=host.backend.hostname) as traffic:
        with pytest.raises(Refused) as caught:
            server("enabled", only_own=False, timeout=2)
        assert "last check: L7STS/503" in str(caught.value) and admin()["app1"] == "maint"
        host.check_output("rm /run/lab-app.127.0.0.11.ill")
        assert first(server("enabled", only_own=False))["after"] == {"admin": "ready", "status": "UP"}
    assert traffic.summary["sent"] > 100 and traffic.summary["lost"] == 0, traffic.summary["first_losses"]


def test_restarts_and_reloads_lose_nothing(host: Host, server: Callable[..., dict[str, t.Any]]) -> None:
    with Traffic(FLEET, ["shop,slow=/slow?1,own=1"], balancer=host.backend.hostname) as traffic:
        for name, address in APPS.items():
            host.check_output("systemctl reload haproxy")
            server("drained", [f"shop/{name}"], timeout=40, on_deadline="fail")
            host.check_output("systemctl restart %s", f"lab-app@{address}")
            server("enabled", [f"shop/{name}"])
    summary = traffic.summary
    assert summary["sent"] > 500, "too little traffic to prove anything"
    assert (summary["lost"], summary["delayed"]) == (0, 0), summary["first_losses"]


def test_a_configuration_that_haproxy_refuses_is_never_in_force(host: Host, apply: Callable[..., t.Any]) -> None:
    before = host.file("/etc/haproxy/haproxy.cfg").content_string
    done = apply("balancer", balancer_extra_directives={"defaults": "frobnicate"})
    assert done.status and "unknown keyword 'frobnicate'" in done.output
    assert host.file("/etc/haproxy/haproxy.cfg").content_string == before
    assert request("http://127.0.0.1/", on=host).status == 200


def test_a_reload_that_did_not_happen_is_a_failure(host: Host, apply: Callable[..., t.Any]) -> None:
    # `haproxy -c` cannot know that port 22 is sshd's.
    done = apply("balancer", balancer_extra_directives={"frontends": "bind *:22"})
    assert done.status and "systemctl reload failed" in done.output
    assert request("http://127.0.0.1/", on=host).status == 200
    done = apply("balancer")
    assert done.status == 0 and "changed=1" in done.output
    assert "changed=0" in apply("balancer").output


def test_a_new_port_is_used_although_states_are_kept(
    server: Callable[..., dict[str, t.Any]], info: Callable[[], dict[str, t.Any]], apply: Callable[..., t.Any]
) -> None:
    server("drained")
    assert apply("balancer", shop_port=8001, balancer_binds={"8001": ["*:80"]}).status == 0
    servers = info()["backends"]["shop"]
    assert [one["address"] for one in servers.values()] == [f"{address}:8001" for address in APPS.values()]
    assert (servers["app1"]["admin"], servers["app1"]["owner"]) == ("drain", "apphost")
    assert apply("balancer").status == 0
