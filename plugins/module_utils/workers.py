# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work on many folders of a tree in several processes.

A link or a small file costs a system call and hardly any work here, but Python does one at a time. The library's own
``concurrent.futures`` and ``multiprocessing`` need semaphores, which not every host allows, and time to load.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError

T = t.TypeVar("T")
R = t.TypeVar("R")

#: One for each processor was as fast as two; of a host with many, this leaves the most to the apps.
_MOST = 8

#: Below this, starting another process takes as long as it helps (0.03 ms a link, 10 ms a process).
_MANY_FILES = 2000

#: Folders for each process: some take longer than others.
_ENOUGH = 8

_NUMBER = 4  # bytes of a number in the queue
_QUEUED = 1024  # numbers that fit into a page: more than that Linux need not give a pipe


def useful(files: int) -> int:
    """How many processes are worth their start for about so many files."""
    return min(len(os.sched_getaffinity(0)), _MOST) if files >= _MANY_FILES else 1


def share_out(tasks: t.Sequence[T], work: t.Callable[[t.Iterator[T]], R], processes: int) -> list[R]:
    """Call ``work`` in ``processes`` processes, this one among them; returns what each call returned.

    Each call takes its tasks from an iterator; whoever is done with one takes the next. What a call returns has to be a
    value for JSON. The first ``OSError`` or ``ApphostError`` is raised here, after all have ended. Locks of files
    (``flock``) that this process holds are held until the last of them has ended; when this one is killed, the others
    end after the task that they are at.
    """
    if processes < 2 or len(tasks) < 2:
        return [work(iter(tasks))]
    with _Queue(len(tasks)) as queue:

        def call() -> R:
            try:
                return work(queue.taken(tasks))
            except BaseException:
                # Nobody wants the rest any more.
                queue.empty()
                raise

        others: list[_Other] = []
        try:
            with contextlib.suppress(BlockingIOError):
                # Where no more processes may be started, those there are do it all.
                others.extend(_Other(call) for _number in range(min(processes, len(tasks)) - 1))
            results = [call()]
        finally:
            answers = [other.answer() for other in others]
    for answer in answers:
        if "error" in answer:
            raise OSError(*answer["error"])
        if "refusal" in answer:
            raise ApphostError(*answer["refusal"])
        results.append(answer["result"])
    return results


def share_out_below(
    tops: t.Iterable[T],
    open_up: t.Callable[[T], t.Iterable[T]],
    work: t.Callable[[t.Iterator[T]], R],
    processes: int,
) -> list[R]:
    """Share out the folders below ``tops``, as ``share_out`` does with tasks.

    From the top down ``open_up`` does a folder's own part here and returns the folders in it, until there are enough
    of them to share out.
    """
    folders = list(tops)
    while folders and len(folders) < _ENOUGH * processes:
        folders += open_up(folders.pop(0))
    return share_out(folders, work, processes)


class _Queue:
    """Numbers in a pipe, of which every process takes the next; each stands for so many tasks that all fit in."""

    def __init__(self, tasks: int) -> None:
        self.process = os.getpid()
        self.size = -(-tasks // _QUEUED)
        self.reader, writer = os.pipe()
        for start in range(0, tasks, self.size):
            os.write(writer, start.to_bytes(_NUMBER, "little"))
        os.close(writer)

    def __enter__(self) -> _Queue:
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self.reader)

    def taken(self, tasks: t.Sequence[T]) -> t.Iterator[T]:
        """The tasks whose numbers nobody else took; none any more once the first process has gone."""
        while number := os.read(self.reader, _NUMBER):
            start = int.from_bytes(number, "little")
            for task in tasks[start : start + self.size]:
                if self.process not in (os.getpid(), os.getppid()):
                    return
                yield task

    def empty(self) -> None:
        """Leave nothing to take."""
        while os.read(self.reader, _NUMBER * _QUEUED):
            pass


class _Other:
    """Another process that makes one call."""

    def __init__(self, call: t.Callable[[], t.Any]) -> None:
        self.reader, writer = os.pipe()
        try:
            self.pid = os.fork()
        except OSError:
            os.close(self.reader)
            os.close(writer)
            raise
        if self.pid:
            os.close(writer)
            return
        # From here on this is the other process; it must never get back to whoever called.
        try:
            os.close(self.reader)
            with os.fdopen(writer, "w", encoding="ascii") as file:
                try:
                    answer = {"result": call()}
                except OSError as error:
                    answer = {"error": [error.errno, error.strerror, error.filename]}
                except ApphostError as error:
                    answer = {"refusal": [error.what, error.where, error.do]}
                json.dump(answer, file)
        finally:
            os._exit(0)

    def answer(self) -> dict[str, t.Any]:
        """What the call returned (``result``), or the parts of what it raised (``error``, ``refusal``)."""
        with os.fdopen(self.reader, encoding="ascii") as file:
            content = file.read()
        os.waitpid(self.pid, 0)
        try:
            answer: dict[str, t.Any] = json.loads(content)
        except ValueError:
            # when: somebody kills it, or the host has no memory left
            return {"error": [errno.ECHILD, "a process of the installation was killed"]}
        return answer
