# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is no longer as it was installed: found, named and mended."""

from __future__ import annotations

import os
import pathlib
import shutil
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.installer import install_dependencies
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.tree import Look, look

from .world import CI, World, make_app


def replace_by_link(tree: pathlib.Path) -> None:
    tree.rename(tree.parent / "elsewhere")
    tree.symlink_to(tree.parent / "elsewhere")


def package_by_link(tree: pathlib.Path) -> None:
    (tree / "ms").rename(tree / ".ms")
    (tree / "ms").symlink_to(".ms")


def another_version(tree: pathlib.Path) -> None:
    """The same number of bytes in the file that says what it is."""
    file = tree / "ms/package.json"
    file.write_text(file.read_text().replace("2.1.3", "2.1.9"))


def another_program(tree: pathlib.Path) -> None:
    (tree / ".bin/semver").unlink()
    (tree / ".bin/semver").symlink_to("../ms/index.js")


UNKNOWN = "node_modules was not installed by this module, or its marker is gone"
DRIFT: dict[str, tuple[t.Callable[[pathlib.Path], object], str]] = {
    "a package deleted": (lambda tree: shutil.rmtree(tree / "ms"), "node_modules/ms is gone"),
    "a package emptied": (lambda tree: (tree / "ms/package.json").unlink(), "node_modules/ms/package.json is gone"),
    "a package replaced": (another_version, "node_modules/ms/package.json was changed"),
    "a package replaced by a link": (package_by_link, "node_modules/ms is gone"),
    "a package added": (lambda tree: (tree / "evil").mkdir(), "node_modules/evil was added"),
    "a scoped package added": (lambda tree: (tree / "@img/evil").mkdir(), "node_modules/@img/evil was added"),
    "a scope deleted": (lambda tree: shutil.rmtree(tree / "@img"), "node_modules/@img is gone"),
    "npm's list changed": (
        lambda tree: (tree / ".package-lock.json").write_text("{}"),
        "node_modules/.package-lock.json was changed",
    ),
    "npm's list gone": (
        lambda tree: (tree / ".package-lock.json").unlink(),
        "node_modules/.package-lock.json is gone",
    ),
    "our record changed": (
        lambda tree: (tree / ".apphost-packages.json").write_text("{}"),
        "node_modules/.apphost-packages.json was changed",
    ),
    "marker gone": (lambda tree: (tree / ".apphost-tree.json").unlink(), UNKNOWN),
    "marker broken": (lambda tree: (tree / ".apphost-tree.json").write_text('{"identity": 1}'), UNKNOWN),
    "replaced by a link": (replace_by_link, UNKNOWN),
}


@pytest.mark.parametrize("drift", DRIFT)
def test_drift_is_named_and_mended(world: World, drift: str) -> None:
    install_dependencies(world.request(), world.npm)
    make, words = DRIFT[drift]
    make(world.app / "node_modules")

    result = install_dependencies(world.request(), world.npm)

    assert (result.changed, result.from_cache, result.drift) == (True, True, (words,))
    again = install_dependencies(world.request(), world.npm)
    assert (again.changed, again.drift) == (False, ())
    assert sorted(path.name for path in (world.app / "node_modules/ms").iterdir()) == ["index.js", "package.json"]
    assert not (world.app / "node_modules/evil").exists()
    assert world.rubbish == []


#: What only shows to somebody who reads everything.
DEEP: dict[str, tuple[t.Callable[[pathlib.Path], object], str]] = {
    "a file changed": (lambda tree: (tree / "ms/index.js").write_text("evil"), "node_modules/ms/index.js was changed"),
    "a file deleted": (lambda tree: (tree / "ms/index.js").unlink(), "node_modules/ms/index.js is gone"),
    "a folder added": (lambda tree: (tree / "ms/lib/deep").mkdir(parents=True), "node_modules/ms/lib was added"),
    "a mode changed": (lambda tree: (tree / "ms/index.js").chmod(0o755), "node_modules/ms/index.js was changed"),
    "a link changed": (another_program, "node_modules/.bin/semver was changed"),
}


@pytest.mark.parametrize("drift", DEEP)
def test_full_verification_reads_everything(world: World, drift: str) -> None:
    install_dependencies(world.request(), world.npm)
    make, words = DEEP[drift]
    make(world.app / "node_modules")
    assert install_dependencies(world.request(), world.npm).changed is False

    result = install_dependencies(world.request(verify_full=True), world.npm)

    assert (result.changed, result.from_cache, result.drift) == (True, True, (words,))
    assert install_dependencies(world.request(verify_full=True), world.npm).changed is False


def test_what_is_changed_through_a_link_is_built_again(world: World, owners: dict[str, t.Any]) -> None:
    install_dependencies(world.request(), world.npm)
    (world.app / "node_modules/ms/index.js").write_text("evil")
    world.npm.calls.clear()

    result = install_dependencies(world.request(verify_full=True), world.npm)

    assert (result.changed, result.from_cache) == (True, False)
    assert world.npm.npm_calls == [CI]
    assert (world.app / "node_modules/ms/index.js").read_text() == "'use strict';\n"


def test_a_copy_with_other_times_is_no_drift(world: World) -> None:
    install_dependencies(world.request(), world.npm)
    os.utime(world.app / "node_modules/ms/package.json", (1, 1))

    assert install_dependencies(world.request(), world.npm).changed is False


def test_what_tools_leave_in_hidden_folders_is_no_drift(world: World) -> None:
    install_dependencies(world.request(), world.npm)
    (world.app / "node_modules/.cache/babel").mkdir(parents=True)

    assert install_dependencies(world.request(), world.npm).changed is False


def test_nothing_there_is_no_drift(tmp_path: pathlib.Path) -> None:
    assert look(str(tmp_path), ["node_modules"]) == Look(None, ())


@pytest.mark.parametrize("file", ["ms/package.json", "ms/index.js", ".package-lock.json", ".apphost-tree.json"])
def test_a_damaged_tree_in_the_store_is_built_again(world: World, file: str) -> None:
    identity = install_dependencies(world.request(), world.npm).identity
    (world.store / "trees" / str(identity) / "node_modules" / file).unlink()
    world.npm.calls.clear()

    result = install_dependencies(world.request(make_app(world.base / "other")), world.npm)

    assert (result.changed, result.from_cache) == (True, False)
    assert world.npm.npm_calls == [CI]
    assert (world.base / "other/node_modules" / file).is_file()
