# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock: one holder, named; free again however the holder ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.lock import hold_lock


class FakeTime:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    with hold_lock(path, "activate 1-0123456789"), pytest.raises(ApphostError) as caught, hold_lock(path, "stage"):
        pytest.fail("two holders")
    assert caught.value.where == path
    assert caught.value.what.startswith(
        f"another run is at work: activate 1-0123456789, process {os.getpid()}, since 20"
    )


def test_it_is_free_after_the_block_even_when_that_fails(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    with pytest.raises(RuntimeError), hold_lock(path, "first"):
        raise RuntimeError("the work went wrong")
    with hold_lock(path, "second"):
        assert '"purpose": "second"' in Path(path).read_text()
    assert Path(path).read_text() == ""


def test_waiting_ends_at_the_deadline(tmp_path: Path) -> None:
    path, time = str(tmp_path / "lock"), FakeTime()
    with (
        hold_lock(path, "first"),
        pytest.raises(ApphostError, match="another run is at work"),
        hold_lock(path, "second", wait=5.0, clock=time.clock, sleep=time.sleep),
    ):
        pytest.fail("two holders")
    assert 105.0 <= time.now < 105.2


def test_a_killed_holder_leaves_it_free_and_its_children_do_not_hold_it(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    script = (
        "import fcntl, os, subprocess, sys, time\n"
        "fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)\n"
        "fcntl.flock(fd, fcntl.LOCK_EX)\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    holder = subprocess.Popen([sys.executable, "-c", script, path], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    child = int(holder.stdout.readline())
    try:
        with pytest.raises(ApphostError, match="it has not said what it does"), hold_lock(path, "ours"):
            pytest.fail("two holders")
        holder.kill()
        holder.wait()
        with hold_lock(path, "ours"):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        holder.stdout.close()
