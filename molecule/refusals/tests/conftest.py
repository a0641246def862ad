# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of this scenario share: releases of their own, rollouts to disturb, and what has to be true after."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
import typing as t
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from testinfra.host import Host

from devtools.environment import tool, tool_environment
from devtools.lab import fleet as lab
from devtools.lab import inventory
from devtools.lab.websocket import WebSocket
from devtools.paths import ROOT
from devtools.terminal import attempt, output_of

FLEET = "molecule-refusals"
DEADLINE = 60.0
"""Seconds for a rollout to come to the point at which it is disturbed; about 5 are usual."""


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    """A new release of the example: every test has one of its own, to break."""
    folder = tmp_path / "hello"
    shutil.copytree(ROOT / "examples" / "hello", folder, ignore=shutil.ignore_patterns("node_modules"))
    (folder / "new.txt").write_text(str(tmp_path))
    return folder


@pytest.fixture
def live(host_named: Callable[[str], Host]) -> Callable[[str], str]:
    """``live("app1")``: the release that is live on a host."""
    return lambda host: str(host_named(host).check_output("basename $(readlink /srv/apphost/hello/current)"))


@pytest.fixture
def everybody_serves(states: Callable[[str], dict[str, str]]) -> Callable[..., None]:
    """Check that balancers (both) send requests to all app hosts: nothing stays drained."""

    def check(*balancers: str) -> None:
        for balancer in balancers or ("lb1", "lb2"):
            assert states(balancer) == {"hello/app1": "UP", "hello/app2": "UP"}, balancer

    return check


@pytest.fixture
def settled(live: Callable[[str], str], everybody_serves: Callable[..., None]) -> Callable[[], str]:
    """Check that the fleet is as it should be, one release for all, and return that release."""

    def check() -> str:
        everybody_serves()
        assert live("app1") == live("app2")
        return live("app1")

    return check


class Deploy:
    """A deploy.yml that runs while the test goes on."""

    def __init__(self, variables: dict[str, t.Any], sockets: Path) -> None:
        self.mark = f"EVENKEEL_DEPLOY={uuid.uuid4()}"
        name, _, value = self.mark.partition("=")
        self.process = subprocess.Popen(
            [
                *(tool("ansible-playbook"), "-i", inventory.path(FLEET), "-e", json.dumps(variables)),
                ROOT / "playbooks" / "deploy.yml",
            ],
            cwd=ROOT,
            # Connections of its own, that others neither opened nor keep open.
            env={**os.environ, **tool_environment(), name: value, "ANSIBLE_SSH_CONTROL_PATH_DIR": str(sockets)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A terminal's Ctrl-C reaches a whole process group, and it must not be ours.
            start_new_session=True,
        )

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Until it has come to some point; it has to be running until then."""
        end = time.monotonic() + DEADLINE
        while not condition():
            assert self.process.poll() is None, self.process.communicate()[0]
            assert time.monotonic() < end, "it never came to that point"

    def interrupt(self) -> None:
        """Ctrl-C."""
        os.killpg(self.process.pid, signal.SIGINT)

    def kill(self) -> None:
        """All at once and without a word, its connections too, as when the controller loses its power."""
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if f"{self.mark}\0".encode() in (folder / "environ").read_bytes():
                    os.kill(int(folder.name), signal.SIGKILL)

    def failed(self) -> str:
        """Wait for its end, which has to be a failure; returns what it said, in one line."""
        output, _none = self.process.communicate(timeout=120)
        print(output)
        assert self.process.returncode != 0
        return " ".join(output.split())


@pytest.fixture
def begin(hello: Path, tmp_path: Path) -> Iterator[Callable[..., Deploy]]:
    """``begin(variable=value)``: start to deploy the new release."""
    begun: list[Deploy] = []

    def start(**variables: t.Any) -> Deploy:
        begun.append(Deploy({"refusals_hello": str(hello), **variables}, tmp_path / "ssh"))
        return begun[-1]

    yield start
    for deploy in begun:
        deploy.kill()
        deploy.process.wait()


@pytest.fixture
def held(fleet: dict[str, lab.Host]) -> Iterator[None]:
    """WebSockets through lb1 to both app hosts: lb1 has to wait for them until a drain's deadline."""
    with contextlib.ExitStack() as clients:
        for _number in range(4):
            clients.enter_context(WebSocket(("127.0.0.1", fleet["lb1"].http_port or 0), "/ws"))
        yield


@pytest.fixture
def gone() -> Callable[[str], contextlib.AbstractContextManager[None]]:
    """A context in which nobody gets into a host by SSH, as when it hangs; what it serves it serves on."""

    @contextlib.contextmanager
    def hang(host: str) -> Iterator[None]:
        container = lab.container_name(FLEET, host)
        output_of(["docker", "exec", container, "systemctl", "stop", "ssh"])
        # Connections that Ansible keeps open would still get through.
        attempt(["docker", "exec", container, "pkill", "sshd"])
        try:
            yield
        finally:
            output_of(["docker", "exec", container, "systemctl", "start", "ssh"])

    return hang
