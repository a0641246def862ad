# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installing: what is run, what is left, what is done again and what is not."""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import threading
import time
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.installer import (
    install_dependencies,
)

from .world import CI, World, failure, make_app, make_runtime


def test_first_installation(world: World) -> None:
    result = install_dependencies(world.request(), world.npm)

    assert (result.changed, result.from_cache, result.manager, result.packages) == (True, False, "npm", 9)
    # Two files for each package, the hidden lockfile, and three of ours.
    assert result.files == 22
    assert set(result.seconds) == {"plan", "wait", "fetch", "seal", "place", "total"}
    assert world.npm.npm_calls == [CI]
    assert (world.app / "node_modules/sharp/index.js").read_text() == "'use strict';\n"
    assert os.readlink(world.app / "node_modules/.bin/semver") == "../semver/index.js"
    assert world.trees == [result.identity]
    assert world.rubbish == []


def test_scripts_that_did_not_run_are_told_once(world: World) -> None:
    words = "the lifecycle scripts of sharp@0.34.5 did not run: allow_scripts does not name them"
    assert install_dependencies(world.request(), world.npm).warnings == (words,)
    # It was told when the tree was built; since then the result has the list.
    again = [
        install_dependencies(world.request(), world.npm),
        install_dependencies(world.request(make_app(world.base / "b")), world.npm),
    ]
    assert [(result.warnings, result.scripts_skipped) for result in again] == [((), ("sharp@0.34.5",))] * 2
    assert install_dependencies(world.request(allow_scripts=("sharp",)), world.npm).warnings == ()


@pytest.mark.parametrize("folder", ["ms", "ms/lib", "."])
def test_a_package_with_files_that_are_called_like_ours(world: World, folder: str) -> None:
    def add(tree: pathlib.Path) -> None:
        (tree / folder).mkdir(exist_ok=True)
        for name in (".apphost-tree.json", ".apphost-files.json", ".apphost-packages.json"):
            (tree / folder / name).write_text("{}")

    world.npm.meddle = add

    first = install_dependencies(world.request(), world.npm)

    assert first.changed
    # At the top, ours take their places.
    assert first.files == (22 if folder == "." else 25)
    assert install_dependencies(world.request(verify_full=True), world.npm).drift == ()
    if folder != ".":
        (world.app / "node_modules" / folder / ".apphost-tree.json").write_text("[]")
        drift = install_dependencies(world.request(verify_full=True), world.npm).drift
        path = os.path.normpath(f"node_modules/{folder}/.apphost-tree.json")
        assert drift == (f"{path} was changed",)


def test_unchanged_starts_nothing(world: World) -> None:
    first = install_dependencies(world.request(), world.npm)
    world.npm.calls.clear()

    second = install_dependencies(world.request(), world.npm)

    assert (second.changed, second.from_cache, second.identity) == (False, True, first.identity)
    assert (second.packages, second.files, second.bytes) == (first.packages, first.files, first.bytes)
    assert world.npm.calls == []


def test_another_release_takes_the_tree_out_of_the_store(world: World, owners: dict[str, t.Any]) -> None:
    install_dependencies(world.request(), world.npm)
    world.npm.calls.clear()
    other = make_app(world.base / "other")
    for name in ("package.json", "package-lock.json"):
        (other / name).write_text((other / name).read_text().replace('"version": "1.0.0"', '"version": "1.1.0"', 1))

    result = install_dependencies(world.request(other), world.npm)

    assert (result.changed, result.from_cache) == (True, True)
    assert world.npm.calls == []
    one, two = (folder / "node_modules/sharp/index.js" for folder in (world.app, other))
    assert one.stat().st_ino == two.stat().st_ino


def test_nothing_to_install(world: World) -> None:
    for request in (world.request(manager="none"), world.request(world.runtime)):
        assert install_dependencies(request, world.npm).as_dict() == {
            "changed": False,
            "manager": None,
            "manager_version": None,
            "identity": None,
            "packages": 0,
            "files": 0,
            "bytes": 0,
            "from_cache": False,
            "shipped": False,
            "placed_by": None,
            "drift": [],
            "scripts_skipped": [],
            "seconds": {},
        }
    assert not world.store.exists()


def test_a_folder_that_is_not_there(world: World) -> None:
    assert failure(world, world.request(world.base / "nowhere")) == "/nowhere: is no folder. Put the app there first."


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("E500", "npm ci, /app/package-lock.json: the npm registry fails (E500). It was tried again"),
        ("EINTEGRITY", "a package from the npm registry is not what the lockfile was made with"),
        ("ECONNREFUSED", "the npm registry cannot be reached (ECONNREFUSED)"),
        ("ENOSPC", "no space left on the device. Free some space"),
    ],
)
def test_a_failed_installation_leaves_the_old_tree_and_nothing_else(world: World, code: str, words: str) -> None:
    install_dependencies(world.request(), world.npm)
    other = make_runtime(world.base / "runtime2", version="22.0.0")
    world.npm.failures = [{"code": code, "summary": "it went wrong", "detail": ""}]
    request = dataclasses.replace(world.request(), runtime_root=str(other))

    assert words in failure(world, request)

    assert len(world.trees) == 1
    assert world.rubbish == []
    assert install_dependencies(world.request(), world.npm).changed is False
    # It is only a cache, and the disk is full.
    assert any(path.is_dir() for path in (world.store / "cache").iterdir()) is (code != "ENOSPC")


def test_a_tree_that_is_not_the_lockfiles_is_not_taken(world: World) -> None:
    def leave_out(tree: pathlib.Path) -> None:
        hidden = json.loads((tree / ".package-lock.json").read_text())
        del hidden["packages"]["node_modules/@img/sharp-linux-x64"]
        (tree / ".package-lock.json").write_text(json.dumps(hidden))

    world.npm.meddle = leave_out

    message = failure(world)

    assert "what npm installed is not what the lockfile says: node_modules/@img/sharp-linux-x64 is missing." in message
    assert (world.trees, world.rubbish) == ([], [])
    assert not (world.app / "node_modules").exists()


def test_an_app_without_packages_gets_an_empty_tree(world: World) -> None:
    (world.app / "package.json").write_text("{}")
    (world.app / "package-lock.json").write_text('{"lockfileVersion": 3, "packages": {"": {}}}')
    world.npm.make_tree = lambda tree: None

    assert install_dependencies(world.request(), world.npm).packages == 0
    assert install_dependencies(world.request(), world.npm).changed is False


def test_what_a_killed_run_left_is_cleaned_up(world: World) -> None:
    install_dependencies(world.request(), world.npm)

    def leave_rubbish() -> None:
        (world.app / ".apphost-beside-0123").mkdir()
        (world.store / "scratch/0123/work").mkdir(parents=True)
        (world.store / "locks/4567").touch()

    leave_rubbish()
    assert install_dependencies(world.request(), world.npm).changed is False
    assert world.rubbish == []

    leave_rubbish()
    (world.app / "node_modules/.apphost-tree.json").unlink()
    assert install_dependencies(world.request(), world.npm).from_cache is True
    assert world.rubbish == []


def test_one_identity_is_built_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    apps = [make_app(world.base / f"app{number}") for number in range(4)]
    world.npm.meddle = lambda _tree: time.sleep(0.3)
    results = {}

    def install(folder: pathlib.Path) -> None:
        results[folder.name] = install_dependencies(world.request(folder), world.npm)

    threads = [threading.Thread(target=install, args=(folder,)) for folder in apps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert world.npm.npm_calls == [CI]
    assert sorted(result.from_cache for result in results.values()) == [False, True, True, True]
    assert all((folder / "node_modules/ms/index.js").is_file() for folder in apps)


def test_a_full_disk_while_putting_it_in_place(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    install_dependencies(world.request(), world.npm)
    other = make_app(world.base / "other")

    def full(*_arguments: t.Any, **_more: t.Any) -> t.NoReturn:
        raise OSError(28, "No space left on device", "/srv/app")

    monkeypatch.setattr(os, "symlink", full)

    assert "/srv/app: no space left on the device. Free some space" in failure(world, world.request(other))
    assert sorted(path.name for path in other.iterdir()) == ["package-lock.json", "package.json"]


def test_a_tree_that_is_too_large(world: World) -> None:
    install_dependencies(world.request(), world.npm)
    world.npm.meddle = lambda tree: (tree / "semver/index.js").write_bytes(bytes(3 * 1024**2))

    words = failure(world, world.request(max_size=1024**2, allow_scripts=("debug",)))

    assert words.startswith(
        "/app: the dependencies have 3.0 MiB, more than max_size (1.0 MiB); the largest: semver@7.8.6 3.0 MiB, "
    )
    assert words.endswith("Take out what the app does not need in production, or raise max_size.")
    # Nothing was placed, and what was there is untouched.
    assert install_dependencies(world.request(max_size=1024**2), world.npm).changed is False
    # The limit also counts for what is in place, and for what comes out of the store.
    assert "more than max_size (0.0 MiB)" in failure(world, world.request(max_size=1))
    world.npm.calls.clear()
    assert "more than max_size (1.0 MiB)" in failure(world, world.request(max_size=1024**2, allow_scripts=("debug",)))
    assert world.npm.calls == []


def test_a_lockfile_of_npm_needs_a_runtime(world: World) -> None:
    request = dataclasses.replace(world.request(), runtime_root=None)

    words = "/app/package-lock.json: npm needs a Node.js, and none is named. Set runtime_root."
    assert failure(world, request) == words


@pytest.mark.parametrize("more", [{"owner": "no-such-user"}, {"group": "no-such-group"}])
def test_an_owner_that_does_not_exist(world: World, owners: dict[str, t.Any], more: dict[str, t.Any]) -> None:
    words = failure(world, world.request(**more))

    assert words.startswith("the owner ")
    assert words.endswith("does not exist. Create them first (role app_host), or name others.")
    assert "no-such" in words
