# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollout that is cut off in the middle, at every moment that matters: running it again always ends well."""

from __future__ import annotations

import contextlib
import json
import time
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from testinfra.host import Host

from devtools.lab.fleet import container_name
from devtools.terminal import output_of

FLEET = "molecule-refusals"
AGAIN = "When this is mended, run the same playbook again"
States = Callable[[str], dict[str, str]]
Begin = Callable[..., t.Any]
# A bit of srv_admin_state, see "show servers state" in HAProxy's Management Guide.
DRAINED = 0x08
# The new release takes its time to get healthy: long enough to disturb the host that activates it.
SLOW: dict[str, t.Any] = {"refusals_env": {"WARMUP_MS": "4000"}}


@pytest.fixture
def again(play: Callable[..., t.Any], hello: Path, settled: Callable[[], str]) -> Callable[..., str]:
    """Run the same deploy again, which ends well; returns the release that is live everywhere then."""

    def deploy(**variables: t.Any) -> str:
        assert play("deploy.yml", refusals_hello=str(hello), **variables).status == 0
        return settled()

    return deploy


@pytest.fixture
def draining(haproxy: Callable[[str, str], str]) -> Callable[..., bool]:
    """Whether balancers have taken app1 out, however it is."""

    def look(balancer: str) -> bool:
        _version, header, *rows = haproxy(balancer, "show servers state hello").splitlines()
        servers = [dict(zip(header.lstrip("# ").split(), row.split(), strict=False)) for row in rows if row]
        return any(server["srv_name"] == "app1" and int(server["srv_admin_state"]) & DRAINED for server in servers)

    return lambda *balancers: all(map(look, balancers))


@contextlib.contextmanager
def stopped(balancer: str) -> Iterator[None]:
    """HAProxy is down."""
    container = container_name(FLEET, balancer)
    output_of(["docker", "exec", container, "systemctl", "stop", "haproxy"])
    try:
        yield
    finally:
        output_of(["docker", "exec", container, "systemctl", "start", "haproxy"])


@pytest.mark.usefixtures("held")
def test_ctrl_c_while_requests_are_waited_for(
    begin: Begin,
    draining: Callable[..., bool],
    play: Callable[..., t.Any],
    again: Callable[..., str],
    settled: Callable[[], str],
    hello: Path,
) -> None:
    before = settled()
    deploy = begin(rollout_drain_timeout=8)
    deploy.wait_until(lambda: draining("lb1"))
    deploy.interrupt()
    deploy.failed()
    assert draining("lb1")
    status = play("status.yml")
    assert status.status == 0
    assert "lb1: UP (drain, ours), lb2: UP" in status.output
    assert again(rollout_drain_timeout=1) != before
    assert not play("deploy.yml", refusals_hello=str(hello)).changed


def test_a_controller_that_dies_while_a_host_activates(
    begin: Begin,
    draining: Callable[..., bool],
    again: Callable[..., str],
    settled: Callable[[], str],
    live: Callable[[str], str],
    host_named: Callable[[str], Host],
) -> None:
    before = settled()
    deploy = begin(**SLOW)
    deploy.wait_until(lambda: live("app1") != before)
    deploy.kill()
    deploy.failed()
    app1 = host_named("app1")
    end = time.monotonic() + 30
    # Nobody is there any more, and it goes on to the end of what it has begun.
    while (last := json.loads(app1.check_output("tail --lines 1 /var/lib/apphost/hello/journal.jsonl")))["event"] in (
        "staged",
        "activating",
    ):
        assert time.monotonic() < end, last
    new = live("app1")
    assert (last["event"], last["release"], last["previous"]) == ("activated", new, before)
    assert live("app2") == before
    assert draining("lb1", "lb2")
    pid = app1.check_output("systemctl show --property MainPID apphost-hello-web@3000")
    assert again(**SLOW) == new
    assert app1.check_output("systemctl show --property MainPID apphost-hello-web@3000") == pid


@pytest.mark.usefixtures("held")
def test_a_balancer_that_dies_while_requests_are_waited_for(
    begin: Begin,
    draining: Callable[..., bool],
    again: Callable[..., str],
    settled: Callable[[], str],
    everybody_serves: Callable[..., None],
    live: Callable[[str], str],
) -> None:
    before = settled()
    deploy = begin(rollout_drain_timeout=4)
    deploy.wait_until(lambda: draining("lb1"))
    with stopped("lb2"):
        said = deploy.failed()
        assert "balancer lb2: draining: " in said
        assert "No host of this batch was touched" in said
        assert AGAIN in said
        assert live("app1") == live("app2") == before
        everybody_serves("lb1")
    assert again(rollout_drain_timeout=1) != before


def test_a_balancer_that_dies_while_a_host_activates(
    begin: Begin,
    draining: Callable[..., bool],
    again: Callable[..., str],
    settled: Callable[[], str],
    everybody_serves: Callable[..., None],
    live: Callable[[str], str],
) -> None:
    before = settled()
    deploy = begin(**SLOW)
    deploy.wait_until(lambda: draining("lb1", "lb2"))
    with stopped("lb2"):
        said = deploy.failed()
        assert "balancer lb2: enabling: " in said
        assert AGAIN in said
        assert "The new release stays on: app1." in said
        new = live("app1")
        assert new != before
        assert live("app2") == before
        everybody_serves("lb1")
    assert again(**SLOW) == new


@pytest.mark.usefixtures("held")
def test_an_app_host_that_is_lost_between_drain_and_activation(
    begin: Begin,
    draining: Callable[..., bool],
    again: Callable[..., str],
    settled: Callable[[], str],
    states: States,
    live: Callable[[str], str],
    gone: Callable[[str], contextlib.AbstractContextManager[None]],
) -> None:
    before = settled()
    deploy = begin(rollout_drain_timeout=4)
    deploy.wait_until(lambda: draining("lb1"))
    with gone("app1"):
        said = deploy.failed()
        assert "app1: activating" in said
        assert "cannot be reached" in said
        assert "It stays out of the balancers" in said
        assert AGAIN in said
        for balancer in ("lb1", "lb2"):
            assert states(balancer)["hello/app2"] == "UP"
        assert draining("lb1", "lb2")
        assert live("app2") == before
    assert again(rollout_drain_timeout=1) != before
