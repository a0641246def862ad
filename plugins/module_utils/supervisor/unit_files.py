# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put units in place: compare, check with systemd itself, write, reload, enable targets, take away what is to go."""

from __future__ import annotations

import os
import re
import tempfile
import typing as t
from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, RunCommand
from ansible_collections.evenkeel.apphost.plugins.module_utils.files import remove_if_there, write_atomic
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import UNIT_PREFIX, AppLayout
from ansible_collections.evenkeel.apphost.plugins.module_utils.supervisor.base import Supervisor
from ansible_collections.evenkeel.apphost.plugins.module_utils.supervisor.systemd import UNITS


@dataclass(frozen=True)
class Change:
    """One unit file that is not as it should be; ``None``: no file."""

    unit: str
    before: str | None
    after: str | None

    def as_diff(self) -> dict[str, str]:
        """The form of Ansible's ``--diff``."""
        return {
            "before": self.before or "",
            "after": self.after or "",
            "before_header": self.unit,
            "after_header": self.unit,
        }


@dataclass(frozen=True)
class Plan:
    """What is to be done; an empty plan changes nothing."""

    changes: list[Change]
    stop: list[str]
    disable: list[str]
    enable: list[str]
    reload: bool

    @property
    def changed(self) -> bool:
        """There is something to do."""
        return bool(self.changes or self.stop or self.disable or self.enable or self.reload)


class UnitFiles:
    """The units of the administrator on this host. ``base`` prefixes their folder, for tests."""

    def __init__(self, run: RunCommand, supervisor: Supervisor, base: str = "") -> None:
        self._run = run
        self._supervisor = supervisor
        self._folder = f"{base}{UNITS}"

    def version(self) -> int:
        """The version of systemd, such as 252."""
        _status, out, _err = self._run(["systemctl", "--version"])
        found = re.match(r"systemd (\d+)", out)
        if not found:
            raise ApphostError("systemd does not run here", "systemctl --version")
        return int(found.group(1))

    def plan(self, wanted: t.Mapping[str, str], absent: t.Sequence[str]) -> Plan:
        """``wanted``: unit -> text. ``absent``: names of apps whose units are to go."""
        changes = [Change(unit, self._read(unit), text) for unit, text in sorted(wanted.items())]
        stop: list[str] = []
        disable: list[str] = []
        for app in absent:
            changes += [Change(unit, self._read(unit), None) for unit in self._units_of(app)]
            instances = self._supervisor.instances(app)
            stop += [unit for unit, state in instances.items() if state.active not in ("inactive", "failed")]
            disable += [unit for unit, state in instances.items() if state.enabled]
        targets = [unit for unit in wanted if unit.endswith(".target")]
        gone = [change.unit for change in changes if change.after is None and change.unit.endswith(".target")]
        states = self._supervisor.states([*targets, *gone])
        return Plan(
            changes=[change for change in changes if change.before != change.after],
            stop=stop + [unit for unit in gone if states[unit].active == "active"],
            disable=disable + [unit for unit in gone if states[unit].enabled],
            enable=[unit for unit in targets if not states[unit].enabled],
            reload=self._stale(),
        )

    def check(self, wanted: t.Mapping[str, str]) -> None:
        """Let systemd read the units before they are in force; raises with its complaints.

        Its exit status says nothing of use: it is 0 for a directive it ignores, and 1 for a program that is not there
        yet. What it finds wrong in a file begins with the file's name and a line number.
        """
        with tempfile.TemporaryDirectory(prefix="apphost-units-") as folder:
            paths = [f"{folder}/{unit}" for unit in wanted]
            for path, text in zip(paths, wanted.values()):
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
            _status, out, err = self._run(["systemd-analyze", "--man=no", "verify", *paths])
        where = re.compile(rf"{re.escape(folder)}/(.+?:\d+: .*)")
        complaints = [found.group(1) for found in map(where.match, (out + err).splitlines()) if found]
        if complaints:
            what = "; ".join(dict.fromkeys(complaints))
            raise ApphostError(what, "systemd does not accept the units", "Nothing was changed.")

    def carry_out(self, plan: Plan) -> None:
        """Make it so. Nothing that runs is restarted; a target is started once, when it is first enabled."""
        self._supervisor.disable(plan.disable)
        self._supervisor.stop(plan.stop)
        for change in plan.changes:
            path = f"{self._folder}/{change.unit}"
            if change.after is None:
                remove_if_there(path)
            else:
                write_atomic(path, change.after.encode(), 0o644)
        if plan.changes or plan.reload:
            status, out, err = self._run(["systemctl", "daemon-reload"])
            if status != 0:
                raise ApphostError(f"systemctl daemon-reload failed: {err.strip() or out.strip()}")
        self._supervisor.enable(plan.enable)
        # A target holds what PartOf= it only while it is active; nothing is enabled below a new one.
        self._supervisor.start(plan.enable)

    def _read(self, unit: str) -> str | None:
        try:
            with open(f"{self._folder}/{unit}", encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def _units_of(self, app: str) -> list[str]:
        ours = re.compile(
            rf"{UNIT_PREFIX}-{re.escape(app)}-[a-z][a-z0-9_]*@\.service|{re.escape(AppLayout(app).target)}"
        )
        return sorted(filter(ours.fullmatch, os.listdir(self._folder)))

    def _stale(self) -> bool:
        """A unit was written and systemd not told: an earlier run was interrupted in between."""
        argv = ["systemctl", "show", "--property=NeedDaemonReload", "--", f"{UNIT_PREFIX}-*"]
        _status, out, _err = self._run(argv)
        return "NeedDaemonReload=yes" in out
