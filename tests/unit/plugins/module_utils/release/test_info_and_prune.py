# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host says, and what is removed from it."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import AppLayout
from ansible_collections.evenkeel.apphost.plugins.module_utils.release import host, prune
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.identity import release_id
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.info import AppInfo, app_infos, previous_good
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.journal import (
    ACTIVATED,
    ACTIVATING,
    FAILED,
    PRUNED,
    REVERTED,
    STAGED,
    Journal,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.manifest import parse_manifest, write_manifest
from ansible_collections.evenkeel.apphost.plugins.module_utils.supervisor.base import Snapshot, UnitState

from .test_identity import manifest

A, B, C, D, E, F = (f"{letter}-0000000000" for letter in "abcdef")


def unit_state(unit: str, active: str = "active", pid: int = 0, defined: bool = True) -> UnitState:
    return UnitState(unit, defined, active, "", pid, 0, "success", 0, "2026-11-21T10:00:00Z", True)


class FakeSupervisor:
    """Knows the units it is told of, and that the targets in ``targets`` are installed."""

    def __init__(self, *known: UnitState, targets: Sequence[str] = ("apphost-hello.target",)) -> None:
        self.known = {state.unit: state for state in known}
        self.targets = targets

    def states(self, units: Sequence[str]) -> Snapshot:
        return {unit: unit_state(unit, defined=unit in self.targets) for unit in units}

    def instances(self, _app: str) -> Snapshot:
        return self.known

    def log_lines(self, _unit: str, _since: float, _count: int) -> list[str]:
        raise NotImplementedError

    def _never(self, _units: Sequence[str]) -> None:
        raise NotImplementedError

    restart = start = stop = enable = disable = _never


@pytest.fixture
def layout(tmp_path: Path) -> AppLayout:
    made = AppLayout("hello", str(tmp_path / "host"))
    for folder in (made.releases, made.state, made.data, made.logs):
        Path(folder).mkdir(parents=True)
    return made


@pytest.fixture
def journal(layout: AppLayout) -> Journal:
    return Journal(layout.journal)


Stage = Callable[..., None]


@pytest.fixture
def stage(layout: AppLayout, journal: Journal) -> Stage:
    """Put releases on the host as staging does."""

    def put(*releases: str) -> None:
        for release in releases:
            (Path(layout.release(release)) / "app").mkdir(parents=True)
            journal.append(STAGED, release)

    return put


def activate(layout: AppLayout, journal: Journal, *releases: str) -> None:
    for release in releases:
        journal.append(ACTIVATING, release)
        point_at(layout, release)
        journal.append(ACTIVATED, release)


def point_at(layout: AppLayout, release: str) -> None:
    Path(layout.current).unlink(missing_ok=True)
    Path(layout.current).symlink_to(f"releases/{release}")


def look(layout: AppLayout, *known: UnitState, proc: str = "/proc") -> AppInfo:
    return app_infos([layout], FakeSupervisor(*known), proc)["hello"]


def test_a_host_that_was_never_set_up_is_an_answer(tmp_path: Path) -> None:
    bare = AppLayout("hello", str(tmp_path / "bare"))
    info = app_infos([bare], FakeSupervisor(targets=()))["hello"]
    assert info == AppInfo(
        provisioned=False,
        missing=[bare.root, bare.releases, bare.state, bare.data, bare.logs, "apphost-hello.target"],
        live=None,
        since=None,
        previous=None,
        staged=[],
        manifest=None,
        pending=None,
        instances=[],
        free_bytes=None,
    )


def test_a_host_without_releases(layout: AppLayout) -> None:
    info = look(layout)
    assert info.provisioned
    assert (info.live, info.staged, info.instances) == (None, [], [])
    assert info.free_bytes == pytest.approx(
        os.statvfs(layout.releases).f_bavail * os.statvfs(layout.releases).f_frsize, rel=0.2
    )


def test_a_live_release_and_its_instances(layout: AppLayout, journal: Journal, stage: Stage, tmp_path: Path) -> None:
    raw = manifest()
    units = [f"apphost-hello-web@{port}.service" for port in (3000, 3001, 3002)]
    raw["instances"] = [{"process": "web", "id": u[18:22], "port": int(u[18:22]), "unit": u} for u in units]
    raw["id"] = release_id(raw)
    stage(A, raw["id"])
    write_manifest(layout.release(raw["id"]), parse_manifest(raw, "test"), os.getgid())
    activate(layout, journal, A, raw["id"])
    for pid, release in ((10, raw["id"]), (11, A)):
        (tmp_path / "proc" / str(pid)).mkdir(parents=True)
        (tmp_path / "proc" / str(pid) / "cwd").symlink_to(f"{layout.release(release)}/app")
    info = look(
        layout,
        unit_state(units[0], pid=10),
        unit_state(units[1], "deactivating", pid=11),
        proc=str(tmp_path / "proc"),
    )
    assert (info.live, info.previous, info.staged) == (raw["id"], A, sorted([A, raw["id"]]))
    assert info.manifest is not None
    assert dict(info.manifest) == raw
    live = journal.live()
    assert live is not None
    assert info.since == live.time
    assert [dataclasses.astuple(instance) for instance in info.instances] == [
        (units[0], "web", "3000", 3000, "active", 10, "2026-11-21T10:00:00Z", raw["id"]),
        (units[1], "web", "3001", 3001, "deactivating", 11, "2026-11-21T10:00:00Z", A),
        (units[2], "web", "3002", 3002, "inactive", 0, None, None),
    ]


def test_a_live_release_that_nobody_can_read_is_named_all_the_same(
    layout: AppLayout, journal: Journal, stage: Stage
) -> None:
    stage(A)
    activate(layout, journal, A)
    info = look(layout)
    assert (info.live, info.manifest, info.instances) == (A, None, [])


def test_an_interrupted_activation_is_told(layout: AppLayout, journal: Journal, stage: Stage) -> None:
    stage(A, B)
    activate(layout, journal, A)
    begun = journal.append(ACTIVATING, B, previous=A)
    point_at(layout, B)
    info = look(layout)
    assert info.pending == begun.as_dict()
    assert (info.live, info.since, info.previous) == (B, None, A)


def test_a_rollback_goes_to_what_is_still_there(layout: AppLayout, journal: Journal, stage: Stage) -> None:
    stage(A, B, C)
    activate(layout, journal, A, B, C)
    assert previous_good(layout, journal, C) == B
    os.rename(layout.release(B), f"{layout.releases}/gone")
    assert previous_good(layout, journal, C) == A
    assert previous_good(layout, journal, A) is None
    assert previous_good(layout, journal, None) == C


def test_the_newest_stay_by_the_journal_not_by_name_or_time(layout: AppLayout, stage: Stage) -> None:
    stage(F, A, D, C)
    for age, release in enumerate([C, D, A, F]):
        os.utime(layout.release(release), (age, age))
    assert prune.choose(layout, 2) == prune.Choice([C, D], [A, F])
    assert prune.choose(layout, 9) == prune.Choice([C, D, A, F], [])


def test_the_live_and_the_last_good_release_stay_however_old(layout: AppLayout, journal: Journal, stage: Stage) -> None:
    stage(A, B)
    activate(layout, journal, A, B)
    stage(C, D, E)
    for release in (C, D, E):
        journal.append(ACTIVATING, release, previous=B)
        journal.append(REVERTED, release, previous=B)
    assert prune.choose(layout, 1) == prune.Choice([B, A], [E, D, C])
    assert prune.choose(layout, 3) == prune.Choice([E, B, A], [D, C])


def test_both_sides_of_an_interrupted_activation_stay(layout: AppLayout, journal: Journal, stage: Stage) -> None:
    stage(A, B, C, D)
    activate(layout, journal, A, B, C)
    journal.append(ACTIVATING, D, previous=C)
    assert prune.choose(layout, 1) == prune.Choice([C, B, D], [A])
    point_at(layout, D)
    assert prune.choose(layout, 1) == prune.Choice([C, B, D], [A])


def test_what_was_verified_last_stays_when_nobody_knows_what_runs(
    layout: AppLayout, journal: Journal, stage: Stage
) -> None:
    stage(A, B)
    activate(layout, journal, A)
    journal.append(ACTIVATING, B, previous=A)
    point_at(layout, B)
    journal.append(FAILED, B, previous=A)
    assert prune.choose(layout, 1) == prune.Choice([A, B], [])


def test_without_a_journal_the_live_release_stays(layout: AppLayout, stage: Stage) -> None:
    stage(A, B, C)
    point_at(layout, B)
    os.unlink(layout.journal)
    assert prune.choose(layout, 1) == prune.Choice([B], [A, C])


def test_pruning_removes_and_says_so(layout: AppLayout, journal: Journal, stage: Stage) -> None:
    stage(A, B, C)
    (Path(layout.releases) / f"{host.STAGING}x").mkdir()
    (Path(layout.releases) / f"{host.PRUNED}x" / "app").mkdir(parents=True)
    (Path(layout.releases) / "a note.txt").touch()
    assert prune.prune(layout, 1) == prune.Choice([C], [B, A])
    assert sorted(os.listdir(layout.releases)) == ["a note.txt", C]
    assert [(entry.event, entry.release) for entry in journal.entries()[-2:]] == [(PRUNED, B), (PRUNED, A)]
    assert prune.prune(layout, 1) == prune.Choice([C], [])


def test_a_release_that_is_half_removed_never_looks_like_one(
    layout: AppLayout, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage(A, B)

    def killed(_path: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            prune.prune(layout, 1)
    assert host.staged_releases(layout) == [B]
    prune.prune(layout, 1)
    assert os.listdir(layout.releases) == [B]


def test_pruning_a_host_that_was_never_set_up_says_so(tmp_path: Path) -> None:
    bare = AppLayout("hello", str(tmp_path / "bare"))
    with pytest.raises(ApphostError, match="app hello: this host was never set up for it"):
        prune.prune(bare, 5)
    assert prune.choose(bare, 5) == prune.Choice([], [])
