# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An installation into several folders that is killed between two of them: each is whole, and the next run mends."""

from __future__ import annotations

import json
import os
import pathlib
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.install import place
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.installer import install_dependencies

from .world import World, own_words

WORKSPACES = ("api", "cli", "web")
KILLED = 9

#: Folders that get packages -> version of ms in them. Each change adds one, changes one and takes one away.
Versions = t.Mapping[str, str]
OLD: Versions = {"": "2.1.3", "packages/cli": "1.0.0", "packages/web": "2.0.0"}
NEW: Versions = {"": "2.1.2", "packages/cli": "1.0.1", "packages/api": "2.0.0"}


def bring(app: pathlib.Path, versions: Versions) -> None:
    """Make the app a project of three workspaces, whose lockfile says these versions."""

    def manifest(folder: str, name: str, **more: t.Any) -> dict[str, t.Any]:
        value = {"name": name, "version": "1.0.0", "dependencies": {"ms": versions.get(folder, versions[""])}, **more}
        path = app / folder / "package.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value))
        return value

    entries: dict[str, t.Any] = {"": manifest("", "shop", workspaces=["packages/*"])}
    for name in WORKSPACES:
        folder = f"packages/{name}"
        entries[folder] = manifest(folder, name)
        entries[f"node_modules/{name}"] = {"resolved": folder, "link": True}
    for folder, version in versions.items():
        entries[os.path.join(folder, "node_modules/ms")] = {
            "version": version,
            "resolved": f"https://registry.npmjs.org/ms/-/ms-{version}.tgz",
            "integrity": f"sha512-{version.replace('.', 'A'):A<86}==",
        }
    lockfile = {"name": "shop", "version": "1.0.0", "lockfileVersion": 3, "packages": entries}
    (app / "package-lock.json").write_text(json.dumps(lockfile))


def npm(tree: pathlib.Path) -> None:
    """What npm makes of the lockfile."""
    project = tree.parent
    lockfile = json.loads((project / "package-lock.json").read_text())
    tree.mkdir()
    for path, entry in lockfile["packages"].items():
        if entry.get("link"):
            (project / path).symlink_to(f"../{entry['resolved']}")
        elif "node_modules" in path:
            (project / path).mkdir(parents=True)
            (project / path / "package.json").write_text(own_words(path, entry))
    del lockfile["packages"][""]
    (tree / ".package-lock.json").write_text(json.dumps(lockfile))


def installed(app: pathlib.Path) -> dict[str, str]:
    """The versions in place."""
    found = {}
    for folder in ("", *(f"packages/{name}" for name in WORKSPACES)):
        modules = app / folder / "node_modules"
        if modules.is_dir():
            found[folder] = json.loads((modules / "ms" / "package.json").read_text())["version"]
    return found


def install_until(world: World, moment: int) -> bool:
    """Install in another process that is killed before the change ``moment`` to what is in place; whether it was."""
    process = os.fork()
    if not process:
        done = 0

        def counted(change: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
            def call(*arguments: t.Any) -> t.Any:
                nonlocal done
                if done == moment:
                    os._exit(KILLED)
                done += 1
                return change(*arguments)

            return call

        place._rename, place._try_exchange = counted(place._rename), counted(place._try_exchange)
        try:
            install_dependencies(world.request(), world.npm)
        finally:
            os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert status in (0, KILLED)
    return status == KILLED


@pytest.mark.parametrize("moment", range(5))
def test_killed_between_two_folders(world: World, moment: int) -> None:
    world.npm.make_tree = npm
    bring(world.app, OLD)
    install_dependencies(world.request(), world.npm)
    assert installed(world.app) == OLD
    bring(world.app, NEW)

    killed = install_until(world, moment)

    # Four folders change.
    assert killed is (moment < 4)
    found = installed(world.app)
    assert all(version in (OLD.get(folder), NEW.get(folder)) for folder, version in found.items())
    # The root's, with the marker, comes last: what it says is new is new everywhere.
    assert (found == NEW) is not killed
    assert found[""] == (OLD if killed else NEW)[""]
    result = install_dependencies(world.request(), world.npm)
    assert result.changed is killed
    assert installed(world.app) == NEW
    assert world.rubbish == []
    assert not list(world.app.rglob(".apphost-beside-*"))


@pytest.mark.parametrize("moment", range(4))
def test_killed_and_gone_back(world: World, moment: int) -> None:
    """What is half new is no longer the old tree either."""
    world.npm.make_tree = npm
    bring(world.app, OLD)
    install_dependencies(world.request(), world.npm)
    bring(world.app, NEW)
    assert install_until(world, moment)
    bring(world.app, OLD)

    result = install_dependencies(world.request(), world.npm)

    # Before the first change nothing was done, so nothing is to be mended.
    assert result.changed is (moment > 0)
    assert result.from_cache
    assert installed(world.app) == OLD
    assert world.rubbish == []
