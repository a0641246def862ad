# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Workers of before a reload, as the master shows them."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.state import ServerName
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.workers import (
    OldWorker,
    OldWorkers,
    old_pids,
    read_old_worker,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.waiter import Clock

from .world import RECORDED, VERSIONS, SocketServer, replay

each_version = pytest.mark.parametrize("version", VERSIONS)


@each_version
def test_only_workers_of_before_are_old(version: str) -> None:
    answers = RECORDED[version]
    assert old_pids(answers["processes"]["answer"]) == []
    pid = int(answers["old worker: stat"]["command"].split()[0].strip("@!"))
    assert old_pids(answers["processes after a reload"]["answer"]) == [pid]


@each_version
def test_an_idle_client_and_a_request_are_told_apart(version: str) -> None:
    # Recorded with one of each.
    worker = read_old_worker(7, replay(version, show_stat="old worker: stat"))
    assert (worker.idle_clients, dict(worker.sessions)) == (1, {ServerName("hello", "app1"): 1})


def test_a_waiting_client_threatens_every_server_and_a_tunnel_only_its_own() -> None:
    one, other = ServerName("hello", "app1"), ServerName("hello", "app2")
    assert OldWorker(7, 1, {}).threatens([other])
    assert OldWorker(7, 0, {one: 1}).threatens([one])
    assert not OldWorker(7, 0, {one: 1}).threatens([other])


@each_version
def test_a_worker_that_ends_while_it_is_looked_at_is_none(tmp_path: pathlib.Path, version: str) -> None:
    answers = RECORDED[version]
    recordings = {"show": "processes after a reload", "@!": "no such worker"}
    server = SocketServer(
        tmp_path / "s",
        lambda command: next(
            str(answers[name]["answer"]) for start, name in recordings.items() if command.startswith(start)
        ),
    )
    assert OldWorkers(server.path, Clock()).look() == []
    assert len(server.commands) == 2


def test_without_a_master_socket_there_is_nothing_to_see(tmp_path: pathlib.Path) -> None:
    assert OldWorkers(str(tmp_path / "none"), Clock()).look() == []
