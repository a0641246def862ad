# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Staging: whole or not at all."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import stat
import tarfile
import typing as t
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install import ship
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.installer import (
    InstallRequest,
    InstallResult,
    LacksTree,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import Network, Registry
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.store import TreeStore
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import AppLayout
from ansible_collections.evenkeel.apphost.plugins.module_utils.release import host
from ansible_collections.evenkeel.apphost.plugins.module_utils.release import stage as s
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.bundle import Bundle, bundle_apps
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.journal import Journal
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.lock import hold_lock
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.manifest import read_manifest

from .test_bundle import app, write_app

HOST_OPTIONS = {"registry": "https://registry.invalid", "registry_token": "token", "ca_file": "/ca.crt"}
NETWORK = Network((Registry("https://registry.invalid", token="token"),), ca_file="/ca.crt")
SECRETS = {"PASSWORD": 'hun"ter2'}


class World:
    """A host below a folder, with an installer and a chown that remember what they were asked."""

    def __init__(self, tmp_path: Path) -> None:
        self.tmp_path = tmp_path
        self.layout = AppLayout("hello", str(tmp_path / "host"))
        self.requests: list[InstallRequest] = []
        self.commands: list[list[str]] = []
        self.owned: dict[str, int] = {}
        self.sync = (0, "", "")
        self.install_fails: BaseException | None = None
        self.identity: str | None = None
        self.runtime = tmp_path / "host" / "opt" / "nodejs"
        self.units = tmp_path / "host" / "etc" / "systemd" / "system"
        self.root = write_app(tmp_path / "hello")
        (self.root / "tool.sh").write_text("#!/bin/sh\n")
        (self.root / "tool.sh").chmod(0o755)

    def set_up(self) -> None:
        """What site.yml does."""
        for folder in (self.layout.releases, self.layout.state, self.layout.data, self.layout.logs):
            Path(folder).mkdir(parents=True)
        (self.runtime / "bin").mkdir(parents=True)
        (self.runtime / "bin" / "node").touch(0o755)
        self.units.mkdir(parents=True)
        for process in ("web", "worker"):
            (self.units / f"apphost-hello-{process}@.service").touch()

    def bundle(self, **more: Any) -> Bundle:
        resolved = app(self.root, **more)
        resolved["runtime"]["root"] = str(self.runtime)
        return bundle_apps([resolved], {"hello": SECRETS}, str(self.tmp_path / "bundles"), write=True)["hello"]

    def stage(self, bundle: Bundle, secrets: dict[str, str] | None = None) -> s.Stage:
        return s.Stage(
            layout=self.layout,
            manifest=bundle.manifest,
            secrets=SECRETS if secrets is None else secrets,
            run=self.run,
            host_options=HOST_OPTIONS,
            install=self.install,
            group_id=self.group_id,
            chown=self.chown,
        )

    def staged(self, **more: Any) -> str:
        """Bundle and stage; returns the id."""
        bundle = self.bundle(**more)
        assert self.stage(bundle).carry_out(bundle.path).changed
        return bundle.manifest["id"]

    def run(self, command: list[str]) -> tuple[int, str, str]:
        self.commands.append(command)
        return self.sync

    def install(self, request: InstallRequest, _run: Any) -> InstallResult:
        self.requests.append(request)
        Path(request.folder, "node_modules").mkdir()
        if self.install_fails:
            raise self.install_fails
        return InstallResult(changed=True, manager="npm", packages=3, identity=self.identity)

    def group_id(self, name: str) -> int:
        return {"apphost-hello": 4711}[name]

    def chown(self, path: str | int, uid: int, gid: int) -> None:
        assert uid == -1
        real = os.readlink(f"/proc/self/fd/{path}") if isinstance(path, int) else path
        self.owned[os.path.relpath(real, self.layout.releases)] = gid

    def files(self) -> dict[str, str]:
        """What is below the releases, with modes."""
        top = Path(self.layout.releases)
        return {str(p.relative_to(top)): f"{stat.S_IMODE(p.lstat().st_mode):o}" for p in top.rglob("*")}

    def events(self) -> list[tuple[str, str]]:
        return [(entry.event, entry.release) for entry in Journal(self.layout.journal).entries()]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    # Only root may give files away; what would belong to whom is looked at through `owned`.
    monkeypatch.setattr(os, "fchown", lambda *_args: None)
    made = World(tmp_path)
    made.set_up()
    return made


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_a_release_is_staged_whole(world: World, umask: int) -> None:
    bundle = world.bundle(
        processes={"web": {"command": "node server.js", "port": 3000}, "worker": {"command": "node worker.js"}},
        env={"A": "1"},
    )
    old_umask = os.umask(umask)
    try:
        report = world.stage(bundle).carry_out(bundle.path)
    finally:
        os.umask(old_umask)
    release = bundle.manifest["id"]
    assert report.changed
    assert report.dependencies is not None and report.dependencies.packages == 3
    assert list(report.seconds) == ["verify", "unpack", "install", "finish", "total"]
    files = world.files()
    assert files.pop(f"{release}/app/node_modules")
    assert files == {
        release: "750",
        f"{release}/app": "750",
        f"{release}/app/package.json": "640",
        f"{release}/app/server.js": "640",
        f"{release}/app/tool.sh": "750",
        f"{release}/bin": "750",
        f"{release}/bin/web": "750",
        f"{release}/bin/worker": "750",
        f"{release}/environment": "600",
        f"{release}/release.json": "640",
    }
    folder = Path(world.layout.release(release))
    assert (folder / "environment").read_text() == 'A="1"\nPASSWORD="hun\\"ter2"\n'
    assert f"{folder}/app/node_modules/.bin" in (folder / "bin" / "worker").read_text()
    assert (folder / "bin" / "worker").read_text().endswith("exec node worker.js\n")
    assert "hun" not in (folder / "release.json").read_text()
    assert read_manifest(world.layout, release) == bundle.manifest
    assert world.events() == [("staged", release)]
    staging = f".staging-{release}"
    assert world.owned == dict.fromkeys(
        (
            staging,
            f"{staging}/app",
            f"{staging}/bin",
            f"{staging}/app/package.json",
            f"{staging}/app/server.js",
            f"{staging}/app/tool.sh",
        ),
        4711,
    )
    assert world.commands == [["sync", "--file-system", f"{world.layout.releases}/{staging}"]]


def test_dependencies_are_installed_as_the_release_says(world: World) -> None:
    bundle = world.bundle(dependencies={"manager": "none", "allow_scripts": ["sharp"]})
    world.stage(bundle).carry_out(bundle.path)
    assert world.requests == [
        InstallRequest(
            folder=f"{world.layout.releases}/.staging-{bundle.manifest['id']}/app",
            store=world.layout.store,
            runtime_root=str(world.runtime),
            manager="none",
            allow_scripts=("sharp",),
            network=NETWORK,
        )
    ]


def test_what_an_app_says_comes_before_what_its_host_says(world: World) -> None:
    own = {"url": "https://acme.invalid/", "scope": "@acme", "user": None}
    bundle = world.bundle(
        dependencies={
            "manager": "none",
            "allow_scripts": [],
            "registry": "https://app.invalid",
            "registries": [own],
            "max_size": "250M",
            "supply": {"minimum_age": 3, "allow_young": ["a"], "signatures": False, "audit": None},
        }
    )
    stage = world.stage(bundle)
    # The host's own token is not for the app's registry.
    tokens = {"registry_tokens": {"https://acme.invalid": "2"}}
    dataclasses.replace(stage, host_options={**HOST_OPTIONS, **tokens}).carry_out(bundle.path)

    request = world.requests[0]
    assert [(known.url, known.scope, known.token) for known in request.network.registries] == [
        ("https://app.invalid", None, None),
        ("https://acme.invalid/", "@acme", "2"),
    ]
    assert (request.max_size, request.supply.minimum_age, request.network.ca_file) == (262144000, 3, "/ca.crt")


def test_a_hosts_registry_of_node_packages_is_no_index_of_python_packages(world: World) -> None:
    bundle = world.bundle()
    lockfile = {"path": "uv.lock", "sha256": "0" * 64, "manager": "uv"}
    manifest = t.cast(Any, {**bundle.manifest, "lockfile": lockfile})
    stage = dataclasses.replace(world.stage(bundle), manifest=manifest)

    stage._install(str(world.runtime))

    assert world.requests[0].network == Network(ca_file="/ca.crt")


def test_staging_again_changes_nothing(world: World) -> None:
    release = world.staged()
    before = {path: os.lstat(f"{world.layout.releases}/{path}").st_mtime_ns for path in world.files()}
    bundle = world.bundle()
    assert not world.stage(bundle).carry_out("/no/bundle/is/read").changed
    assert not world.stage(bundle).skip().changed
    assert {path: os.lstat(f"{world.layout.releases}/{path}").st_mtime_ns for path in world.files()} == before
    assert world.events() == [("staged", release)]


def test_what_a_killed_run_did_not_write_down_is_written_down(world: World) -> None:
    release = world.staged()
    os.unlink(world.layout.journal)
    assert not world.stage(world.bundle()).skip().changed
    assert world.events() == [("staged", release)]


def test_what_killed_runs_left_is_removed(world: World) -> None:
    for name in (".staging-1.0-0123456789", ".pruned-1.0-0123456789"):
        (Path(world.layout.releases) / name / "app").mkdir(parents=True)
    release = world.staged()
    assert os.listdir(world.layout.releases) == [release]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "no space left on the device. Free some space"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "no space left on the device. Free some space"),
        (ApphostError("npm ended with status 1", "npm ci"), "npm ci: npm ended with status 1"),
        (KeyboardInterrupt(), ""),
    ],
)
def test_a_failure_in_the_middle_leaves_nothing(world: World, error: BaseException, message: str) -> None:
    world.install_fails = error
    bundle = world.bundle()
    with pytest.raises((ApphostError, KeyboardInterrupt)) as caught:
        world.stage(bundle).carry_out(bundle.path)
    assert message in str(caught.value)
    assert world.files() == {}
    assert world.events() == []
    world.install_fails = None
    world.staged()


def test_a_disk_that_is_full_from_the_start_is_told_before_anything_is_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.statvfs(world.layout.releases)
    bundle = world.bundle()

    def disk(**values: int) -> None:
        fake = type("Disk", (), {name: getattr(real, name) for name in dir(real) if name.startswith("f_")})
        for name, value in values.items():
            setattr(fake, name, value)
        monkeypatch.setattr(os, "statvfs", lambda _path: fake)

    disk(f_bavail=63 * 1024, f_frsize=1024)
    with pytest.raises(ApphostError, match=r"releases: release .* needs 64 MiB and 63 MiB are free. Free some space"):
        world.stage(bundle).carry_out(bundle.path)
    disk(f_bavail=10**9, f_files=100, f_favail=1)
    with pytest.raises(ApphostError, match="needs 3 inodes and 1 are free"):
        world.stage(bundle).carry_out(bundle.path)
    assert world.files() == {}
    assert world.requests == []
    disk(f_bavail=10**9, f_files=0, f_favail=0)
    assert world.stage(bundle).carry_out(bundle.path).changed


def test_a_sync_that_fails_is_a_failure(world: World) -> None:
    bundle = world.bundle()
    world.sync = (1, "", "sync: Input/output error")
    with pytest.raises(ApphostError, match="cannot be written to the disk: sync: Input/output error"):
        world.stage(bundle).carry_out(bundle.path)
    assert world.files() == {}


def damage(path: str, how: str) -> None:
    content = bytearray(Path(path).read_bytes())
    if how == "cut":
        content = content[:-512]
    elif how == "longer":
        content += bytes(512)
    elif how == "altered":
        content[600] ^= 1
    else:
        content = bytearray()
    Path(path).write_bytes(content)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("cut", "has [0-9]+ bytes instead of .*: it did not arrive whole. Run again."),
        ("longer", "has [0-9]+ bytes instead of .*: it did not arrive whole. Run again."),
        ("empty", "has 0 bytes instead of .*: it did not arrive whole. Run again."),
        ("altered", "has the SHA-256 .* instead of .*: it was altered. Bundle the app again."),
    ],
)
def test_a_bundle_that_is_not_what_was_sent_is_refused(world: World, how: str, message: str) -> None:
    bundle = world.bundle()
    damage(bundle.path, how)
    with pytest.raises(ApphostError, match=f"the bundle of release {bundle.manifest['id']}: {message}"):
        world.stage(bundle).carry_out(bundle.path)
    assert world.files() == {}


def test_a_bundle_that_leads_out_of_the_release_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = world.bundle()
    with tarfile.open(bundle.path, "w") as tar:
        tar.add(world.root / "server.js", "../../../evil")
    monkeypatch.setattr(s.Stage, "_verify", lambda *_args: None)
    with pytest.raises(ApphostError, match="which leads out of the release"):
        world.stage(bundle).carry_out(bundle.path)
    assert world.files() == {}
    assert not list(world.tmp_path.rglob("evil"))


def test_a_host_that_was_never_set_up_says_so(world: World) -> None:
    bundle = world.bundle()
    world.layout = AppLayout("hello", str(world.tmp_path / "bare"))
    with pytest.raises(ApphostError) as caught:
        world.stage(bundle).carry_out(bundle.path)
    assert caught.value.message == ("app hello: this host was never set up for it. Run site.yml for this host first.")


def test_everything_that_site_yml_has_not_made_is_told(world: World) -> None:
    (world.runtime / "bin" / "node").unlink()
    Path(world.layout.data).rmdir()
    processes = {"web": {"command": "node server.js", "port": 3000}, "cron": {"command": "node cron.js"}}
    bundle = world.bundle(group="other", processes=processes)
    with pytest.raises(ApphostError) as caught:
        world.stage(bundle).carry_out(bundle.path)
    assert caught.value.message == (
        f"app hello: this host lacks the folder {world.layout.data}, nodejs 24.21.0 ({world.runtime}/bin/node), "
        "the group other, a unit for process cron. Run site.yml for this host first."
    )


@pytest.mark.parametrize("secrets", [{}, {"PASSWORD": "other"}, {**SECRETS, "MORE": "x"}])
def test_other_secrets_than_the_release_was_made_with_are_refused(world: World, secrets: dict[str, str]) -> None:
    bundle = world.bundle()
    with pytest.raises(ApphostError) as caught:
        world.stage(bundle, secrets).carry_out(bundle.path)
    assert "the secrets are not those that release" in caught.value.message
    assert "hun" not in caught.value.message and "other" not in caught.value.message


def test_a_release_that_was_damaged_by_hand_is_not_taken_for_staged(world: World) -> None:
    release = world.staged()
    path = Path(world.layout.release(release)) / "release.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "user": "root"}))
    with pytest.raises(ApphostError, match=rf"release.json: names release {release}, but describes"):
        world.stage(world.bundle()).skip()


def test_only_one_run_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s, "_LOCK_WAIT", 0.0)
    bundle = world.bundle()
    with (
        hold_lock(world.layout.lock, "activate 1.0-0123456789"),
        pytest.raises(ApphostError, match=r"another run is at work: activate 1.0-0123456789"),
    ):
        world.stage(bundle).carry_out(bundle.path)


def test_what_is_on_a_host(world: World) -> None:
    assert host.staged_releases(world.layout) == []
    assert host.live_release(world.layout) is None
    first, second = sorted([world.staged(env={"A": "1"}), world.staged(env={"A": "2"})])
    (Path(world.layout.releases) / "a note.txt").touch()
    (Path(world.layout.releases) / ".staging-1.0-0123456789").mkdir()
    assert host.staged_releases(world.layout) == [first, second]
    Path(world.layout.current).symlink_to(f"releases/{second}")
    assert host.live_release(world.layout) == second
    assert host.as_text(world.layout, [first, second]) == f"{first}\n{second} (live)\n"
    assert host.missing_folders(world.layout) == []
    Path(world.layout.current).unlink()
    Path(world.layout.current).symlink_to("releases/9.9-0123456789")
    assert host.live_release(world.layout) is None


def test_a_bare_host_has_nothing(tmp_path: Path) -> None:
    layout = AppLayout("hello", str(tmp_path))
    assert host.staged_releases(layout) == []
    assert host.leftovers(layout) == []
    assert host.live_release(layout) is None
    assert host.missing_folders(layout) == [layout.root, layout.releases, layout.state, layout.data, layout.logs]


def test_a_release_whose_dependencies_are_not_to_be_built_here_leaves_nothing(world: World) -> None:
    bundle = world.bundle()
    world.install_fails = LacksTree(t.cast(Any, SimpleNamespace(identity="a" * 64, platform="linux x64")))
    with pytest.raises(LacksTree):
        world.stage(bundle).carry_out(bundle.path)
    assert world.files() == {}
    assert world.events() == []


def test_what_was_built_is_exported_for_other_hosts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[str, str, str]] = []

    def export(store: TreeStore, identity: str, path: str) -> str:
        written.append((store.root, identity, path))
        return "b" * 64

    monkeypatch.setattr(ship, "export_tree", export)
    bundle = world.bundle()
    # An app without dependencies has nothing to export.
    stage = dataclasses.replace(world.stage(bundle), export="/tmp/x/tree.tar")
    assert stage.carry_out(bundle.path).exported is None
    again = world.bundle(env={"A": "1"})
    world.identity = "a" * 64
    report = dataclasses.replace(world.stage(again), export="/tmp/x/tree.tar").carry_out(again.path)
    assert report.exported == "b" * 64
    assert "export" in report.seconds
    assert written == [(world.layout.store, "a" * 64, "/tmp/x/tree.tar")]
