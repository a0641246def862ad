# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of the places that make the words of errors were reached while tests ran.

Recorded is where an ``ApphostError`` or a ``Problem`` is made, and where the exception was raised that is being handled
at that moment: its words are the reason in the error's. That costs some microseconds for each error, and nothing else.
"""

from __future__ import annotations

import functools
import sys
import types
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

from devtools.errors.places import PARTS, Kind, Place, Places

#: Calls of functions that make errors of other people's words in each other.
_DEPTH = 4

Line = tuple[str, int]


class Record:
    """Lines that made errors: of each error the innermost one, with those that called it; of reasons the line."""

    def __init__(self) -> None:
        self.made: set[tuple[Line, ...]] = set()
        self.reasons: set[Line] = set()

    def watch(self, function: Callable[..., t.Any]) -> Callable[..., t.Any]:
        """``function``, which makes an error or a problem, noting who calls it."""

        @functools.wraps(function)
        def watched(*arguments: t.Any, **more: t.Any) -> t.Any:
            self.made.add(tuple(_callers(sys._getframe(1))))
            error = sys.exc_info()[1]
            while error is not None:
                self.reasons.update(_raised(error.__traceback__))
                error = error.__cause__ or error.__context__
            return function(*arguments, **more)

        return watched

    def unreached(self, root: Path) -> list[Place]:
        """The places below ``root`` that made nothing."""
        places = Places.of(root)
        by_file: dict[str, list[Place]] = {}
        for place in places.found:
            by_file.setdefault(place.file, []).append(place)

        def at(line: Line, *kinds: Kind) -> Iterator[Place]:
            for place in by_file.get(_below(line[0], *PARTS), ()):
                if place.kind in kinds and place.first <= line[1] <= place.last:
                    yield place

        reached: set[Place] = set()
        for line in self.reasons:
            reached.update(at(line, Kind.REASON))
        for lines in self.made:
            for line in lines:
                found = [*at(line, Kind.ERROR, Kind.PROBLEM)]
                reached.update(found)
                if found or not places.passes_on(_below(line[0], *PARTS), line[1]):
                    break
        return [place for place in places.found if place not in reached]


def _callers(frame: types.FrameType | None) -> Iterator[Line]:
    for _step in range(_DEPTH):
        if frame is None:
            return
        yield frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back


def _raised(traceback: types.TracebackType | None) -> Iterator[Line]:
    """Where an exception was raised."""
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is not None:
        yield traceback.tb_frame.f_code.co_filename, traceback.tb_lineno


def _below(path: str, *parts: str) -> str:
    """A path from one of the parts on, whichever checkout or link it was loaded from; empty: it is in none."""
    for part in parts:
        position = f"{path}/".rfind(f"/{part}/")
        if position >= 0:
            return path[position + 1 :]
    return ""
