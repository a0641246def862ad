# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sharing out work to several processes."""

from __future__ import annotations

import os
import signal
import time
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.workers import share_out, useful


def squares(numbers: t.Iterator[int]) -> tuple[int, list[int]]:
    return os.getpid(), [number * number for number in numbers]


@pytest.mark.parametrize("count", [0, 1, 2, 1000, 20_000])
@pytest.mark.parametrize("processes", [1, 2, 7])
def test_every_task_is_done_once(count: int, processes: int) -> None:
    answers = share_out(range(count), squares, processes)

    assert sorted(number for _pid, numbers in answers for number in numbers) == [n * n for n in range(count)]
    assert len({pid for pid, _numbers in answers}) == len(answers) <= processes


def test_who_is_done_takes_more() -> None:
    def slowly(numbers: t.Iterator[int]) -> list[int]:
        taken = []
        for number in numbers:
            taken.append(number)
            time.sleep(0.5 if number == 0 else 0.001)
        return taken

    slow = next(taken for taken in share_out(range(100), slowly, 3) if 0 in taken)
    # A third of them would be its share.
    assert len(slow) < 20


@pytest.mark.parametrize("where", ["here", "there"])
def test_the_failure_of_one_is_the_failure_of_all(where: str) -> None:
    here = os.getpid()
    done: list[int] = []

    def failing(numbers: t.Iterator[int]) -> None:
        for number in numbers:
            if (os.getpid() == here) is (where == "here"):
                raise FileNotFoundError(2, "No such file or directory", str(number))
            done.append(number)
            time.sleep(0.001)

    with pytest.raises(FileNotFoundError, match=r"No such file or directory: '[0-9]+'"):
        share_out(range(10_000), failing, 2)
    assert len(done) < 9_999
    with pytest.raises(ChildProcessError):
        os.wait()


def test_no_more_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    fork = os.fork
    forked: list[int] = []

    def limited() -> int:
        if forked:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        forked.append(fork())
        return forked[0]

    monkeypatch.setattr(os, "fork", limited)
    answers = share_out(range(100), squares, 8)

    assert len(answers) == 2
    assert sorted(number for _pid, numbers in answers for number in numbers) == [n * n for n in range(100)]


def test_a_refusal_keeps_its_parts() -> None:
    here = os.getpid()

    def refusing(numbers: t.Iterator[int]) -> None:
        for _number in numbers:
            if os.getpid() != here:
                raise ApphostError("is no good", "/here", "Mend it.")
            time.sleep(0.001)

    with pytest.raises(ApphostError) as caught:
        share_out(range(1000), refusing, 2)
    assert (caught.value.what, caught.value.where, caught.value.do) == ("is no good", "/here", "Mend it.")


def test_a_process_that_is_killed() -> None:
    here = os.getpid()

    def dying(numbers: t.Iterator[int]) -> None:
        for _number in numbers:
            if os.getpid() != here:
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(0.001)

    with pytest.raises(ChildProcessError, match="a process of the installation was killed"):
        share_out(range(1000), dying, 2)


def test_the_others_end_when_the_first_is_killed() -> None:
    reader, writer = os.pipe()
    first = os.fork()
    if not first:

        def killing(numbers: t.Iterator[int]) -> None:
            here = os.getppid() == parent
            for _number in numbers:
                time.sleep(0.05)
                if here:
                    os.kill(os.getpid(), signal.SIGKILL)

        parent = os.getppid()
        share_out(range(10_000), killing, 3)
        os._exit(0)
    os.close(writer)
    started = time.monotonic()
    # Its end is reached when the last process that could write there has ended.
    assert os.read(reader, 1) == b""
    os.close(reader)
    assert os.WTERMSIG(os.waitpid(first, 0)[1]) == signal.SIGKILL
    assert time.monotonic() - started < 30


@pytest.mark.parametrize(("processors", "processes"), [(1, 1), (2, 2), (64, 8)])
def test_a_process_for_each_processor(monkeypatch: pytest.MonkeyPatch, processors: int, processes: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(processors)))
    assert useful(31_000) == processes
    assert useful(1_000) == 1
