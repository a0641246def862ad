# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks by name: alone or shared, and no file left."""

from __future__ import annotations

import pathlib
import threading
import time

from ansible_collections.evenkeel.apphost.plugins.module_utils.install.locks import Locks


def test_alone(tmp_path: pathlib.Path) -> None:
    locks = Locks(str(tmp_path))

    with (
        locks.held("one") as first,
        locks.held("one") as second,
        locks.held("two") as other,
        locks.held("one", shared=True) as third,
    ):
        assert (first, second, other, third) == (True, False, True, False)
    assert list(tmp_path.iterdir()) == []


def test_shared(tmp_path: pathlib.Path) -> None:
    locks = Locks(str(tmp_path))

    with locks.held("one", shared=True) as first:
        with locks.held("one", shared=True) as second, locks.held("one") as alone:
            assert (first, second, alone) == (True, True, False)
        # The one that is left still has it.
        with locks.held("one") as alone:
            assert not alone
    assert list(tmp_path.iterdir()) == []


def test_never_two_at_a_time(tmp_path: pathlib.Path) -> None:
    """The file goes away with each holder; who waited for the old one must not take it for the new one."""
    locks = Locks(str(tmp_path))
    inside, most, turns = [0], [0], [0]

    def work() -> None:
        for _turn in range(20):
            with locks.held("one", timeout=30) as ours:
                assert ours
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                time.sleep(0.0005)
                inside[0] -= 1
                turns[0] += 1

    threads = [threading.Thread(target=work) for _number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (turns[0], most[0]) == (80, 1)
    assert list(tmp_path.iterdir()) == []
