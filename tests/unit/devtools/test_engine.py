# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Docker engine is used, and what is said when there is none."""

from __future__ import annotations

import subprocess

import pytest

from devtools import debian, engine
from devtools.terminal import DevError

Done = subprocess.CompletedProcess[str]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was installed; the programs that exist are docker and dockerd."""
    packages: list[str] = []
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(debian, "install", lambda names, why: packages.extend(names))
    return packages


def answer(monkeypatch: pytest.MonkeyPatch, done: Done) -> None:
    monkeypatch.setattr(engine, "attempt", lambda command: done)


def test_an_engine_that_answers_is_used(monkeypatch: pytest.MonkeyPatch, installed: list[str]) -> None:
    answer(monkeypatch, Done([], 0, "27.0\n", ""))
    engine.ensure_engine()
    assert installed == []


@pytest.mark.parametrize("done", [Done([], 1, "", "one\nCannot connect\n"), Done([], 0, "", "Cannot connect")])
def test_without_an_engine_and_without_root_one_line_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, installed: list[str], done: Done
) -> None:
    answer(monkeypatch, done)
    monkeypatch.setattr(debian, "can_install", lambda: False)
    with pytest.raises(DevError) as caught:
        engine.ensure_engine()
    assert str(caught.value) == "no Docker engine answers (Cannot connect); install or start Docker, then try again"


def test_a_remote_engine_that_is_silent_is_not_replaced(monkeypatch: pytest.MonkeyPatch, installed: list[str]) -> None:
    answer(monkeypatch, Done([], 1, "", "no route"))
    monkeypatch.setenv("DOCKER_HOST", "tcp://far:2375")
    monkeypatch.setattr(debian, "can_install", lambda: True)
    with pytest.raises(DevError, match="tcp://far:2375 does not answer: no route"):
        engine.ensure_engine()
    assert installed == []


@pytest.mark.parametrize(
    ("programs", "known", "expected"),
    [
        ({"docker", "dockerd"}, set(), []),
        ({"docker"}, set(), ["docker.io", "iptables"]),
        (set(), set(), ["docker.io", "iptables"]),
        (set(), {"docker-cli"}, ["docker.io", "iptables", "docker-cli"]),
    ],
)
def test_root_on_debian_gets_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, installed: list[str], programs: set[str], known: set[str], expected: list[str]
) -> None:
    answer(monkeypatch, Done([], 1, "", "no engine"))
    started = []
    monkeypatch.setattr("shutil.which", lambda name: name if name in programs else None)
    monkeypatch.setattr(debian, "can_install", lambda: True)
    monkeypatch.setattr(debian, "is_known", lambda package: package in known)
    monkeypatch.setattr(engine, "_start", lambda: started.append(True))
    engine.ensure_engine()
    assert installed == expected
    assert started
