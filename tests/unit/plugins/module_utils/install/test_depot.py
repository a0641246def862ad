# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the processes of one Ansible run tell each other about a tree."""

from __future__ import annotations

import os
import pathlib
import threading
import time

from ansible_collections.evenkeel.apphost.plugins.module_utils.install.depot import Depot

TREE = "a" * 64


def test_a_tree_that_was_put_there_is_found_by_others(tmp_path: pathlib.Path) -> None:
    depot = Depot(str(tmp_path / "depot"))
    assert depot.find(TREE) is None
    put = depot.put(TREE, "b" * 64, "app1")
    assert (put.path, put.sha256, put.builder) == (str(tmp_path / "depot" / f"{TREE}.tar"), "b" * 64, "app1")
    assert Depot(str(tmp_path / "depot")).find(TREE) == put
    assert depot.find("c" * 64) is None
    assert os.stat(depot.folder).st_mode & 0o777 == 0o700


def test_a_failure_is_known_in_its_own_task_only(tmp_path: pathlib.Path) -> None:
    depot = Depot(str(tmp_path / "depot"))
    depot.give_up(TREE, "task", "app1")
    assert Depot(str(tmp_path / "depot")).given_up_by(TREE, "task") == "app1"
    assert depot.given_up_by(TREE, "another") is None
    assert depot.given_up_by("c" * 64, "task") is None


def test_one_builds_while_the_others_wait(tmp_path: pathlib.Path) -> None:
    built = []

    def serve(host: str) -> None:
        depot = Depot(str(tmp_path / "depot"))
        with depot.turn(TREE):
            if depot.find(TREE) is None:
                # As long as a build takes, for the others to be at it too if nobody kept them from it.
                time.sleep(0.1)
                built.append(host)
                depot.put(TREE, "b" * 64, host)

    threads = [threading.Thread(target=serve, args=(f"app{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1
    assert not [name for name in os.listdir(tmp_path / "depot") if name.endswith(".lock")]
