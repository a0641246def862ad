# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting units in place in a folder of the test, with a made-up systemd."""

from __future__ import annotations

import os
import pathlib
import re
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.supervisor.base import Snapshot, UnitState
from ansible_collections.evenkeel.apphost.plugins.module_utils.supervisor.unit_files import Plan, UnitFiles

WANTED = {"apphost-shop.target": "target\n", "apphost-shop-web@.service": "web\n"}


class Host:
    """A systemd that knows which units are enabled and active, and remembers what it was told."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.units = folder / "etc/systemd/system"
        self.units.mkdir(parents=True)
        self.base = str(folder)
        self.enabled: set[str] = set()
        self.active: set[str] = set()
        self.told: list[str] = []
        self.stale = False
        self.complaint = ""
        self.version = "systemd 252 (252.39-1~deb12u2)\n+PAM +AUDIT\n"

    @property
    def files(self) -> UnitFiles:
        return UnitFiles(self, self, self.base)

    def __call__(self, argv: list[str]) -> tuple[int, str, str]:
        if argv[0] == "systemd-analyze":
            return 0, "", self.complaint.format(folder=os.path.dirname(argv[-1]))
        if "--version" in argv:
            return 0, self.version, ""
        if "show" in argv:
            return 0, f"NeedDaemonReload={'yes' if self.stale else 'no'}\n", ""
        self.told.append(argv[1])
        self.stale = False
        return 0, "", ""

    def states(self, units: t.Sequence[str]) -> Snapshot:
        return {unit: self._state(unit) for unit in units}

    def _state(self, unit: str) -> UnitState:
        active = "active" if unit in self.active else "inactive"
        return UnitState(unit, True, active, "", 0, 0, "", 0, unit in self.enabled)

    def instances(self, app: str) -> Snapshot:
        ours = re.compile(rf"apphost-{app}-\w+@\w+\.service")
        return self.states([unit for unit in sorted(self.enabled | self.active) if ours.fullmatch(unit)])

    def restart(self, units: t.Sequence[str]) -> None:
        raise AssertionError("defining units restarts nothing")

    def start(self, units: t.Sequence[str]) -> None:
        self._tell("start", units)
        self.active |= set(units)

    def stop(self, units: t.Sequence[str]) -> None:
        self._tell("stop", units)
        self.active -= set(units)

    def enable(self, units: t.Sequence[str]) -> None:
        self._tell("enable", units)
        self.enabled |= set(units)

    def disable(self, units: t.Sequence[str]) -> None:
        self._tell("disable", units)
        self.enabled -= set(units)

    def log_lines(self, unit: str, since: float, count: int) -> list[str]:
        return []

    def _tell(self, verb: str, units: t.Sequence[str]) -> None:
        if units:
            self.told.append(f"{verb} {' '.join(units)}")

    def apply(self, wanted: t.Mapping[str, str], absent: t.Sequence[str] = ()) -> Plan:
        self.told.clear()
        plan = self.files.plan(wanted, absent)
        if plan.changed:
            self.files.carry_out(plan)
        return plan


@pytest.fixture
def host(tmp_path: pathlib.Path) -> Host:
    return Host(tmp_path)


def test_new_units_are_written_loaded_and_the_target_enabled(host: Host) -> None:
    plan = host.apply(WANTED)
    assert {unit: (host.units / unit).read_text() for unit in WANTED} == WANTED
    assert (host.units / "apphost-shop-web@.service").stat().st_mode & 0o777 == 0o644
    assert host.told == ["daemon-reload", "enable apphost-shop.target", "start apphost-shop.target"]
    assert plan.changes[0].as_diff()["before"] == ""


def test_a_second_time_changes_nothing(host: Host) -> None:
    host.apply(WANTED)
    assert host.apply(WANTED).changed is False
    assert host.told == []


def test_a_changed_unit_is_loaded_and_nothing_else(host: Host) -> None:
    host.apply(WANTED)
    plan = host.apply({**WANTED, "apphost-shop-web@.service": "web, changed\n"})
    assert [(change.unit, change.before) for change in plan.changes] == [("apphost-shop-web@.service", "web\n")]
    assert host.told == ["daemon-reload"]


def test_a_target_that_was_stopped_by_a_person_stays_stopped(host: Host) -> None:
    host.apply(WANTED)
    host.active.clear()
    assert host.apply(WANTED).changed is False
    assert host.active == set()


def test_a_reload_that_an_earlier_run_owes_is_made_up_for(host: Host) -> None:
    host.apply(WANTED)
    host.stale = True
    assert host.apply(WANTED).changed is True
    assert host.told == ["daemon-reload"]
    assert host.apply(WANTED).changed is False


def test_units_nobody_named_stay(host: Host) -> None:
    host.apply({**WANTED, "apphost-shop-worker@.service": "worker\n", "apphost-blog.target": "target\n"})
    host.apply(WANTED)
    assert (host.units / "apphost-shop-worker@.service").exists()
    assert (host.units / "apphost-blog.target").exists()


def test_an_absent_app_is_stopped_and_its_units_are_deleted_but_not_its_namesakes(host: Host) -> None:
    other = {"apphost-shop-api.target": "target\n", "apphost-shop-api-web@.service": "web\n"}
    host.apply({**WANTED, **other})
    host.active.add("apphost-shop-web@3000.service")
    host.enabled.add("apphost-shop-web@3000.service")
    host.apply(other, absent=["shop"])
    assert sorted(path.name for path in host.units.iterdir()) == sorted(other)
    assert host.told == [
        "disable apphost-shop-web@3000.service apphost-shop.target",
        "stop apphost-shop-web@3000.service apphost-shop.target",
        "daemon-reload",
    ]
    assert host.apply(other, absent=["shop"]).changed is False


def test_the_plan_touches_nothing(host: Host) -> None:
    plan = host.files.plan(WANTED, [])
    assert plan.changed
    assert list(host.units.iterdir()) == []
    assert host.told == []


def test_what_systemd_finds_wrong_in_a_file_is_an_error(host: Host) -> None:
    host.complaint = (
        "apphost-shop-web@i.service: Command /srv/apphost/shop/current/bin/web is not executable: No such file\n"
        "{folder}/apphost-shop-web@.service:7: Unknown key 'Protect' in section [Service], ignoring.\n"
        "/etc/systemd/system/other.service:3: Something else is wrong.\n"
    )
    with pytest.raises(ApphostError) as caught:
        host.files.check(WANTED)
    assert caught.value.message == (
        "systemd does not accept the units: apphost-shop-web@.service:7: Unknown key 'Protect' in section [Service], "
        "ignoring. Nothing was changed."
    )


def test_a_program_that_is_not_there_yet_is_none(host: Host) -> None:
    host.complaint = "apphost-shop-web@i.service: Command /srv/apphost/shop/current/bin/web is not executable\n"
    host.files.check(WANTED)


def test_the_version_decides_what_may_be_written(host: Host) -> None:
    assert host.files.version() == 252
    host.version = "runit"
    with pytest.raises(ApphostError, match="systemd does not run here"):
        host.files.version()
