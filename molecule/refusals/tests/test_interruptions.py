# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollout that is interrupted in the middle: nothing is lost, and running it again ends well."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import typing as t
from collections.abc import Callable
from pathlib import Path

import pytest
from testinfra.host import Host

from devtools.environment import tool, tool_environment
from devtools.lab import inventory
from devtools.lab.fleet import container_name
from devtools.paths import ROOT
from devtools.terminal import output_of

FLEET = "molecule-refusals"
SERVES = {f"hello/{host}": "UP" for host in ("app1", "app2")}
States = Callable[[str], dict[str, str]]
DEADLINE = 60.0
"""Seconds for a rollout to come to its first drain; about 5 are usual."""


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    """A new release of the example: every test has one of its own."""
    folder = tmp_path / "hello"
    shutil.copytree(ROOT / "examples" / "hello", folder, ignore=shutil.ignore_patterns("node_modules"))
    (folder / "new.txt").write_text(str(tmp_path))
    return folder


def begin(hello: Path) -> subprocess.Popen[str]:
    """Start the deploy in a session of its own, as a terminal would."""
    values = json.dumps({"refusals_hello": str(hello)})
    return subprocess.Popen(
        [tool("ansible-playbook"), "-i", inventory.path(FLEET), "-e", values, ROOT / "playbooks" / "deploy.yml"],
        cwd=ROOT,
        env={**os.environ, **tool_environment()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_for_drain(deploy: subprocess.Popen[str], states: States) -> None:
    """Until the first host is out of both balancers."""
    end = time.monotonic() + DEADLINE
    while not all("DRAIN" in states(balancer)["hello/app1"] for balancer in ("lb1", "lb2")):
        assert time.monotonic() < end, "nothing was ever drained"
        assert deploy.poll() is None, deploy.communicate()[0]


def live(host_named: Callable[[str], Host]) -> set[str]:
    """The releases that are live on the app hosts."""
    return {host_named(host).check_output("readlink /srv/apphost/hello/current") for host in ("app1", "app2")}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "a dead controller"])
def test_the_next_run_resumes(
    play: Callable[..., t.Any], hello: Path, host_named: Callable[[str], Host], states: States, number: int
) -> None:
    before = live(host_named)
    deploy = begin(hello)
    wait_for_drain(deploy, states)
    os.killpg(deploy.pid, number)
    deploy.communicate(timeout=60)
    assert deploy.returncode != 0
    run = play("deploy.yml", refusals_hello=str(hello))
    assert run.status == 0
    assert states("lb1") == states("lb2") == SERVES
    after = live(host_named)
    assert len(after) == 1
    assert after != before
    assert not play("deploy.yml", refusals_hello=str(hello)).changed


def test_a_balancer_that_dies_in_the_middle(
    play: Callable[..., t.Any], hello: Path, host_named: Callable[[str], Host], states: States
) -> None:
    container = container_name(FLEET, "lb2")
    deploy = begin(hello)
    wait_for_drain(deploy, states)
    output_of(["docker", "exec", container, "systemctl", "stop", "haproxy"])
    output, _none = deploy.communicate(timeout=180)
    said = " ".join(output.split())
    assert deploy.returncode != 0
    assert "balancer lb2" in said
    assert "run the same playbook again when this is mended" in said
    assert states("lb1") == SERVES, "the other balancer sends requests to everybody"
    output_of(["docker", "exec", container, "systemctl", "start", "haproxy"])
    run = play("deploy.yml", refusals_hello=str(hello))
    assert run.status == 0
    assert len(live(host_named)) == 1
    assert states("lb1") == states("lb2") == SERVES
