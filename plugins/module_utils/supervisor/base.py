# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What activation and status need of a process supervisor, whichever program it is."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass


@dataclass(frozen=True)
class UnitState:
    """What the supervisor knows of one unit at one moment."""

    unit: str
    defined: bool
    """A definition of the unit is installed on the host."""
    active: str
    """``active``, ``activating``, ``deactivating``, ``inactive``, ``failed`` …: systemd's words, for every one."""
    sub: str
    """Finer: ``running``, ``dead``, or beginning with ``auto-restart`` while it waits to be started again …"""
    pid: int
    """Main process; 0 when there is none."""
    restarts: int
    """Restarts by the supervisor itself since somebody last started the unit."""
    result: str
    """Why it last ended: ``success``, ``exit-code``, ``signal``, ``timeout``, ``start-limit-hit`` …"""
    exit_status: int
    """Exit status of the main process that ended last."""
    enabled: bool
    """Starts with the host."""

    @property
    def running(self) -> bool:
        """It is up, with a process of its own."""
        return self.active == "active" and self.pid > 0


Snapshot = t.Mapping[str, UnitState]
"""Unit name -> its state, all read at the same moment."""


class Supervisor(t.Protocol):
    """Every call takes all units at once: one round trip, and the supervisor works on them side by side."""

    def states(self, units: t.Sequence[str]) -> Snapshot:
        """The state of every named unit; one that does not exist is there too, with ``defined`` false."""

    def instances(self, app: str) -> Snapshot:
        """Every instance of the app that the supervisor knows of: running, failed or enabled."""

    def restart(self, units: t.Sequence[str]) -> None:
        """Stop (gracefully, as each unit says) and start; returns when every program has been executed."""

    def start(self, units: t.Sequence[str]) -> None:
        """Start what does not run; what runs is left alone."""

    def stop(self, units: t.Sequence[str]) -> None:
        """Stop gracefully; returns when all have ended."""

    def enable(self, units: t.Sequence[str]) -> None:
        """Start these units with the host."""

    def disable(self, units: t.Sequence[str]) -> None:
        """Start them with the host no longer."""

    def log_lines(self, unit: str, since: float, count: int) -> list[str]:
        """The last ``count`` lines that the unit wrote after ``since`` (seconds of the epoch), oldest first."""
