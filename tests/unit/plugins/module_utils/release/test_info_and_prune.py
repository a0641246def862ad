# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host says, and what is removed from it."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import AppLayout
from ansible_collections.evenkeel.apphost.plugins.module_utils.release import host, prune
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.identity import release_id
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.info import AppInfo, app_info
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.journal import (
    ACTIVATED,
    ACTIVATING,
    FAILED,
    PRUNED,
    REVERTED,
    STAGED,
    Journal,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.look import parse, script
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.manifest import parse_manifest, write_manifest

from .test_identity import manifest

A, B, C, D, E, F = (f"{letter}-0000000000" for letter in "abcdef")


TARGET = "Id=apphost-hello.target\nLoadState=loaded\nActiveState=active\n"
ABSENT = "Id=apphost-hello.target\nLoadState=not-found\nActiveState=inactive\n"


def unit(name: str, active: str = "active", pid: int = 0) -> str:
    """What systemctl shows of a unit."""
    return (
        f"Id={name}\nLoadState=loaded\nActiveState={active}\nMainPID={pid}\n"
        "ActiveEnterTimestamp=Sat 2026-11-21 10:00:00 UTC\n"
    )


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


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A systemctl that shows the given units, and remembers in ``asked`` what it was asked."""
    programs = tmp_path / "programs"
    programs.mkdir()
    systemctl, answer = programs / "systemctl", programs / "answer"
    systemctl.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {programs}/asked\ncat {answer}\n')
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")

    def show(*units: str) -> None:
        answer.write_text("\n".join(units))

    show(TARGET)
    return show


def said(layout: AppLayout, proc: str = "/proc") -> str:
    """What the script says, through a terminal: with carriage returns, after words of a login shell."""
    text = script([layout], proc)
    done = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return f"Welcome!\n{done.stdout}Bye.\n".replace("\n", "\r\n").replace(f"uid {os.getuid()}", "uid 0")


def look(layout: AppLayout, proc: str = "/proc") -> AppInfo:
    return app_info(layout, parse(said(layout, proc))["hello"])


def test_a_host_that_was_never_set_up_is_an_answer(tmp_path: Path, shown: Callable[..., None]) -> None:
    bare = AppLayout("hello", str(tmp_path / "bare"))
    shown(ABSENT)
    assert look(bare) == AppInfo(
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


def test_a_look_that_was_cut_short_or_not_by_root_is_an_error(layout: AppLayout, shown: Callable[..., None]) -> None:
    shown(TARGET)
    whole = said(layout)
    with pytest.raises(ApphostError, match=r"(?s)cut short: .*app hello"):
        parse(whole[: whole.index("folder")])
    with pytest.raises(ApphostError, match="cut short: sh: not found"):
        parse("sh: not found")
    with pytest.raises(ApphostError, match=r"only root may look at the apps. Run with become: true."):
        parse(whole.replace("uid 0", "uid 1000"))


def test_without_systemd_there_is_a_reason(layout: AppLayout, shown: Callable[..., None], tmp_path: Path) -> None:
    shown(TARGET)
    (tmp_path / "programs/systemctl").write_text(
        "#!/bin/sh\necho 'System has not been booted with systemd' >&2\nexit 1\n"
    )
    with pytest.raises(
        ApphostError, match=r"^app hello: systemctl show failed: System has not been booted with systemd"
    ):
        parse(said(layout))


def test_enabled_instances_are_asked_for_by_name(layout: AppLayout, shown: Callable[..., None], tmp_path: Path) -> None:
    wants = tmp_path / "host/etc/systemd/system/apphost-hello.target.wants"
    wants.mkdir(parents=True)
    for name in ("apphost-hello-worker@1.service", "something-else.service"):
        (wants / name).symlink_to("/nowhere")
    shown(TARGET)
    look(layout)
    assert (tmp_path / "programs/asked").read_text().splitlines()[-3:] == [
        "apphost-hello.target",
        "apphost-hello-*@*.service",
        "apphost-hello-worker@1.service",
    ]


@pytest.mark.usefixtures("shown")
def test_a_host_without_releases(layout: AppLayout) -> None:
    info = look(layout)
    assert info.provisioned
    assert (info.live, info.staged, info.instances) == (None, [], [])
    assert info.free_bytes == pytest.approx(
        os.statvfs(layout.releases).f_bavail * os.statvfs(layout.releases).f_frsize, rel=0.2
    )


def test_a_live_release_and_its_instances(
    layout: AppLayout, journal: Journal, stage: Stage, tmp_path: Path, shown: Callable[..., None]
) -> None:
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
    shown(TARGET, unit(units[0], pid=10), unit(units[1], "deactivating", pid=11))
    info = look(layout, proc=str(tmp_path / "proc"))
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


@pytest.mark.usefixtures("shown")
def test_a_live_release_that_nobody_can_read_is_named_all_the_same(
    layout: AppLayout, journal: Journal, stage: Stage
) -> None:
    stage(A)
    activate(layout, journal, A)
    info = look(layout)
    assert (info.live, info.manifest, info.instances) == (A, None, [])


@pytest.mark.usefixtures("shown")
def test_an_interrupted_activation_is_told(layout: AppLayout, journal: Journal, stage: Stage) -> None:
    stage(A, B)
    activate(layout, journal, A)
    begun = journal.append(ACTIVATING, B, previous=A)
    point_at(layout, B)
    info = look(layout)
    assert info.pending == begun.as_dict()
    assert (info.live, info.since, info.previous) == (B, None, A)


@pytest.mark.usefixtures("shown")
def test_of_a_long_journal_the_end_is_looked_at(layout: AppLayout, journal: Journal, stage: Stage) -> None:
    stage(A, B)
    activate(layout, journal, A)
    line = json.dumps({"time": "2026-11-21T10:00:00.000Z", "event": STAGED, "release": C}) + "\n"
    with open(layout.journal, "a", encoding="utf-8") as file:
        file.write(line * 20_000)
    activate(layout, journal, B)
    assert len(said(layout)) < 250_000
    assert (look(layout).live, look(layout).previous) == (B, None)


def test_a_rollback_goes_to_what_is_still_there(layout: AppLayout, journal: Journal, stage: Stage) -> None:
    stage(A, B, C)
    activate(layout, journal, A, B, C)
    assert journal.last_good_before(C, [A, B, C]) == B
    assert journal.last_good_before(C, [A, C]) == A
    assert journal.last_good_before(A, [A, C]) is None
    assert journal.last_good_before(None, [A, C]) == C


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
