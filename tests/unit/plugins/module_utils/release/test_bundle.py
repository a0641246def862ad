# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bundling: apps to manifests; the same input gives the same release."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.app_model.resolve import resolve_apps
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.release import artifact, bundle, identity, manifest


def write_app(root: Path, version: str | None = "1.4.2", **package: Any) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / "server.js").write_text("require('http')\n")
    project = {"name": root.name, **({"version": version} if version else {}), **package}
    (root / "package.json").write_text(json.dumps(project))
    return root


def write_lockfile(root: Path, **asked: str) -> None:
    """A lockfile for one package, made for what the project asked then."""
    entry = {"version": "4.0.0", "integrity": "sha512-" + "A" * 86 + "=="}
    packages = {"": {"dependencies": asked}, **{f"node_modules/{name}": entry for name in asked}}
    (root / "package-lock.json").write_text(json.dumps({"lockfileVersion": 3, "packages": packages}))


def app(root: Path, **more: Any) -> dict[str, Any]:
    raw = {
        "name": root.name,
        "source": {"type": "directory", "path": str(root)},
        "runtime": {"name": "nodejs", "version": "24.21.0"},
        "processes": {"web": {"command": "node server.js", "port": 3000}},
        **more,
    }
    return resolve_apps([raw])[0]


def bundled(root: Path, dest: Path, secrets: dict[str, str] | None = None, **more: Any) -> bundle.Bundle:
    return bundle.bundle_apps([app(root, **more)], {root.name: secrets or {}}, str(dest), write=True)[root.name]


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    return write_app(tmp_path / "hello")


@pytest.fixture
def dest(tmp_path: Path) -> Path:
    return tmp_path / "bundles"


def test_a_release_is_its_content(hello: Path, dest: Path) -> None:
    result = bundled(hello, dest)
    tar = Path(result.path).read_bytes()
    assert result.path == str(dest / f"{hashlib.sha256(tar).hexdigest()}.tar")
    assert result.manifest["artifact"] == {"sha256": hashlib.sha256(tar).hexdigest(), "size": len(tar), "files": 2}
    assert result.manifest["id"].startswith("1.4.2-")
    assert manifest.parse_manifest(json.loads(json.dumps(result.manifest)), "here") == result.manifest
    assert os.listdir(dest) == [f"{result.manifest['artifact']['sha256']}.tar"]
    assert result.manifest["lockfile"] is None
    assert bundled(hello, dest).manifest == result.manifest


def test_check_mode_gives_the_same_and_writes_nothing(hello: Path, dest: Path) -> None:
    checked = bundle.bundle_apps([app(hello)], {}, str(dest), write=False)["hello"]
    assert not dest.exists()
    assert bundled(hello, dest) == checked


@pytest.mark.parametrize(
    "more",
    [
        {"env": {"A": "1"}},
        {"runtime": {"name": "nodejs", "version": "24.21.1"}},
        {"processes": {"web": {"command": "node other.js", "port": 3000}}},
        {"processes": {"web": {"command": "node server.js", "port": 3000, "instances": 2}}},
        {"dependencies": {"manager": "none"}},
        {"release_command": "node migrate.js"},
        {"health": {"path": "/up"}},
        {"user": "somebody"},
    ],
)
def test_what_decides_behaviour_makes_a_new_release(hello: Path, dest: Path, more: dict[str, Any]) -> None:
    assert bundled(hello, dest, **more).manifest["id"] != bundled(hello, dest).manifest["id"]


@pytest.mark.parametrize("more", [{"keep_releases": 9}, {"domains": ["a.example"]}])
def test_what_does_not_makes_none(hello: Path, dest: Path, more: dict[str, Any]) -> None:
    assert bundled(hello, dest, **more).manifest["id"] == bundled(hello, dest).manifest["id"]


def test_a_secret_decides_and_is_not_shown(hello: Path, dest: Path) -> None:
    plain = bundled(hello, dest, env={"A": "1"}).manifest
    first = bundled(hello, dest, {"PASSWORD": "hunter2"}, env={"A": "1"}).manifest
    second = bundled(hello, dest, {"PASSWORD": "hunter3"}, env={"A": "1"}).manifest
    assert len({plain["id"], first["id"], second["id"]}) == 3
    assert first["env"] == {"A": "1"}
    assert "hunter2" not in json.dumps(first)
    assert "PASSWORD" not in json.dumps(first)
    assert first["env_digest"] == identity.env_digest("hello", {"A": "1", "PASSWORD": "hunter2"})


@pytest.mark.parametrize(
    ("given", "in_package", "version"),
    [
        ("v2", "1.4.2", "v2"),
        (None, "1.4.2", "1.4.2"),
        (None, "1.0.0 beta/3", "1.0.0-beta-3"),
        (None, None, "unversioned"),
    ],
)
def test_the_version_comes_from_the_app_or_its_source(
    tmp_path: Path, dest: Path, given: str | None, in_package: str | None, version: str
) -> None:
    result = bundled(write_app(tmp_path / "hello", in_package), dest, version=given)
    assert result.manifest["version"] == version
    assert result.manifest["id"].startswith(f"{version}-")


def test_the_lockfile_is_part_of_the_release(hello: Path, dest: Path) -> None:
    write_app(hello, dependencies={"express": "^4.0.0"})
    write_lockfile(hello, express="^4.0.0")
    sha256 = hashlib.sha256((hello / "package-lock.json").read_bytes()).hexdigest()
    found = bundled(hello, dest).manifest["lockfile"]
    assert found == {"path": "package-lock.json", "sha256": sha256, "manager": "npm"}


def test_a_lockfile_that_is_left_out_is_an_error(hello: Path, dest: Path) -> None:
    write_app(hello, dependencies={"express": "^4.0.0"})
    write_lockfile(hello, express="^4.0.0")
    (hello / ".apphostignore").write_text("*.json\n")
    with pytest.raises(ApphostError) as caught:
        bundled(hello, dest)
    assert caught.value.message == (
        f"app hello: {hello}/package.json: is left out by .apphostignore, but the host needs it"
    )


def test_what_is_wrong_with_several_apps_is_told_at_once_and_nothing_is_left(tmp_path: Path, dest: Path) -> None:
    missing = tmp_path / "missing"
    unlocked = write_app(tmp_path / "unlocked", dependencies={"express": "^4.0.0"})
    stale = write_app(tmp_path / "stale", dependencies={"express": "^5.0.0"})
    write_lockfile(stale, express="^4.0.0")
    special = write_app(tmp_path / "special")
    os.mkfifo(special / "a")
    os.mkfifo(special / "b")
    empty = tmp_path / "empty"
    empty.mkdir()
    apps = [app(root, env={"X": "1"}) for root in (missing, unlocked, stale, special, empty)]
    apps.append(app(write_app(tmp_path / "odd"), env={"X": "\ufeff"}))
    with pytest.raises(ApphostError) as caught:
        bundle.bundle_apps(apps, {}, str(dest), write=True)
    lines = caught.value.message.splitlines()
    assert [line.partition(". Run npm")[0].partition(" (package-lock.json")[0] for line in lines] == [
        f"app missing: source path {missing} does not exist",
        f"app unlocked: {unlocked}: has dependencies, but no lockfile",
        f"app stale: {stale}/package.json: package.json asks express ^5.0.0, package-lock.json was made for ^4.0.0",
        f"app special: {special}/a: is a named pipe; an artifact holds files, folders and links",
        f"app special: {special}/b: is a named pipe; an artifact holds files, folders and links",
        f"app empty: source {empty} is empty",
        "app odd: env: the value of X holds a character that systemd refuses in an environment file",
    ]
    assert not dest.exists() or os.listdir(dest) == []


def test_an_app_that_goes_wrong_half_way_leaves_no_file(
    hello: Path, dest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_folder: str, _members: Any, emit: Any) -> None:
        emit(b"some")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(artifact, "pack", full)
    with pytest.raises(ApphostError, match=r"app hello: bundling: no space left on the device. Free some space"):
        bundled(hello, dest)
    assert os.listdir(dest) == []


def test_bundles_nobody_used_for_a_week_are_removed(hello: Path, dest: Path) -> None:
    dest.mkdir()
    names = {"old.tar": 8, "recent.tar": 6, ".bundling-killed": 8, "notes.txt": 99}
    for name, days in names.items():
        (dest / name).touch()
        os.utime(dest / name, (time.time() - days * 86400,) * 2)
    result = bundled(hello, dest)
    assert sorted(os.listdir(dest)) == sorted([os.path.basename(result.path), "notes.txt", "recent.tar"])
