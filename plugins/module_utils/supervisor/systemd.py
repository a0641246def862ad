# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Instances as systemd units. One ``systemctl`` for all units: it takes about 5 ms, whatever their number."""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, RunCommand
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import UNIT_PREFIX, AppLayout
from ansible_collections.evenkeel.apphost.plugins.module_utils.supervisor.base import Snapshot, UnitState

PROPERTIES = (
    "Id",
    "LoadState",
    "ActiveState",
    "SubState",
    "MainPID",
    "NRestarts",
    "Result",
    "ExecMainStatus",
    "UnitFileState",
)

MOST_LINES = 1000
"""How far back in the journal the end of the process before is looked for."""

UNITS = "/etc/systemd/system"
"""Where units of the administrator live, and the ``<target>.wants`` folders of what is enabled."""


class Systemd:
    """The system's systemd. ``base`` prefixes every path, for tests."""

    def __init__(self, run: RunCommand, base: str = "") -> None:
        self._run = run
        self._base = base

    def states(self, units: t.Sequence[str]) -> Snapshot:
        """The state of every named unit, in that order."""
        if not units:
            return {}
        known = self._show(units)
        missing = [unit for unit in units if unit not in known]
        if missing:
            raise ApphostError("systemd said nothing about it", missing[0], "See 'systemctl status' on the host.")
        return {unit: known[unit] for unit in units}

    def instances(self, app: str) -> Snapshot:
        """Every instance of the app that is loaded or enabled."""
        # systemctl's pattern also matches an app whose name begins with this one's and a dash, and it sees
        # only what systemd has loaded; what is enabled but not loaded is a link below the target.
        ours = re.compile(rf"{UNIT_PREFIX}-{re.escape(app)}-[a-z][a-z0-9_]*@[^@]+\.service")
        wants = wants_folder(AppLayout(app, self._base))
        enabled = os.listdir(wants) if os.path.isdir(wants) else []
        known = self._show([f"{UNIT_PREFIX}-{app}-*@*.service", *sorted(filter(ours.fullmatch, enabled))])
        return {unit: state for unit, state in sorted(known.items()) if ours.fullmatch(unit)}

    def restart(self, units: t.Sequence[str]) -> None:
        """Stop, each as its unit says, and start; with ``Type=exec`` it returns when every program was executed."""
        self._forgive(units)
        self._systemctl("restart", units)

    def start(self, units: t.Sequence[str]) -> None:
        """Start what does not run."""
        self._forgive(units)
        self._systemctl("start", units)

    def stop(self, units: t.Sequence[str]) -> None:
        """Stop, each as its unit says."""
        self._systemctl("stop", units)

    def enable(self, units: t.Sequence[str]) -> None:
        """Link the units below what wants them. Costs a reload of systemd, about 0.1 s."""
        self._systemctl("enable", units)

    def disable(self, units: t.Sequence[str]) -> None:
        """Remove those links."""
        self._systemctl("disable", units)

    def log_lines(self, unit: str, since: float, count: int) -> list[str]:
        """The unit's lines in the journal, systemd's own among them, without the end of what ran before."""
        self._run(["journalctl", "--sync"])
        argv = ["journalctl", "--quiet", "--no-pager", "--output=cat", f"--unit={unit}"]
        status, out, _err = self._run([*argv, f"--since=@{since:.6f}", f"--lines={MOST_LINES}"])
        lines = out.splitlines() if status == 0 else []
        stopped = next((at for at, line in enumerate(lines) if line.startswith("Stopped ")), -1)
        return lines[stopped + 1 :][-count:]

    def _show(self, patterns: t.Sequence[str]) -> dict[str, UnitState]:
        status, out, err = self._run(["systemctl", "show", f"--property={','.join(PROPERTIES)}", "--", *patterns])
        if status != 0:
            raise ApphostError(f"systemctl show failed: {err.strip() or out.strip()}")
        return parse_states(out)

    def _forgive(self, units: t.Sequence[str]) -> None:
        """Count starts anew: a unit that used up its start limit would refuse. Fails, harmlessly, if not loaded yet."""
        if units:
            self._run(["systemctl", "reset-failed", "--", *units])

    def _systemctl(self, verb: str, units: t.Sequence[str]) -> None:
        if not units:
            return
        status, out, err = self._run(["systemctl", verb, "--", *units])
        if status != 0:
            raise ApphostError(f"systemctl {verb} failed: {err.strip() or out.strip()}", " ".join(units))


def undefined_processes(layout: AppLayout, processes: t.Iterable[str]) -> list[str]:
    """Those of the app's processes that no unit was made for, whatever systemd has loaded."""
    units = f"{layout.base}{UNITS}"
    return [process for process in processes if not os.path.exists(f"{units}/{layout.template_unit(process)}")]


def wants_folder(layout: AppLayout) -> str:
    """Where the links to the app's enabled instances are."""
    return f"{layout.base}{UNITS}/{layout.target}.wants"


def parse_states(out: str) -> dict[str, UnitState]:
    """What ``systemctl show`` says of :data:`PROPERTIES`: blocks of ``Key=value`` lines, one a unit."""
    states = [parse_state(values) for values in blocks(out)]
    return {state.unit: state for state in states}


def blocks(out: str) -> list[dict[str, str]]:
    """The blocks of ``systemctl show``."""
    return [
        dict(line.split("=", 1) for line in block.strip().splitlines() if "=" in line)
        for block in out.split("\n\n")
        if block.strip()
    ]


def parse_state(value: t.Mapping[str, str]) -> UnitState:
    """One block."""
    return UnitState(
        unit=value["Id"],
        defined=value.get("LoadState") == "loaded",
        active=value.get("ActiveState", "unknown"),
        sub=value.get("SubState", "unknown"),
        pid=int(value.get("MainPID") or 0),
        restarts=int(value.get("NRestarts") or 0),
        result=value.get("Result", ""),
        exit_status=int(value.get("ExecMainStatus") or 0),
        enabled=value.get("UnitFileState") == "enabled",
    )
