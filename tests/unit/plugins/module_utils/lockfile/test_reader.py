# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding the lockfile of a folder, and everything that is checked before an installation."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile import jsonfile
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.policy import Policy
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.reader import checked_project, read_manifest

FIXTURES = pathlib.Path(__file__).parent / "fixtures"
ALLOWED = Policy(allow_sources=("lib", "local"))
EXAMPLES = pathlib.Path(__file__).parents[5] / "examples"


@pytest.fixture
def app(tmp_path: pathlib.Path) -> pathlib.Path:
    shutil.copy(FIXTURES / "package.json", tmp_path / "package.json")
    shutil.copy(FIXTURES / "package-lock-v3.json", tmp_path / "package-lock.json")
    return tmp_path


def refusal(folder: pathlib.Path, manager: str = "auto") -> str:
    with pytest.raises(ApphostError) as caught:
        checked_project(str(folder), manager)
    return caught.value.message.replace(str(folder), "app")


def rewrite(path: pathlib.Path, change: t.Callable[[dict[str, t.Any]], object]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


@pytest.mark.parametrize("manager", ["auto", "npm"])
@pytest.mark.parametrize("name", ["package-lock.json", "npm-shrinkwrap.json"])
def test_a_good_app(app: pathlib.Path, manager: str, name: str) -> None:
    (app / "package-lock.json").rename(app / name)

    checked = checked_project(str(app), manager)

    assert checked is not None
    assert checked.manifest is not None
    assert (checked.manifest.name, checked.lockfile.name, len(checked.lockfile.packages)) == ("recorded", name, 34)
    assert checked.files == ("package.json", name)


@pytest.mark.parametrize("name", ["hello", "hostile"])
def test_the_examples_are_good(name: str) -> None:
    assert checked_project(str(EXAMPLES / name)) is not None
    assert b"resolved" not in (EXAMPLES / name / "package-lock.json").read_bytes()


def test_nothing_to_install(tmp_path: pathlib.Path) -> None:
    assert checked_project(str(tmp_path)) is None
    (tmp_path / "package.json").write_text('{"name": "static", "devDependencies": {"vite": "*"}}')
    assert checked_project(str(tmp_path)) is None
    (tmp_path / "package.json").write_text("broken")
    assert checked_project(str(tmp_path), "none") is None


def test_the_manifest_of_an_app(app: pathlib.Path) -> None:
    manifest = read_manifest(str(app))

    assert manifest is not None
    assert manifest.version == "1.0.0"
    (app / "package.json").unlink()
    assert read_manifest(str(app)) is None


def test_no_lockfile(app: pathlib.Path) -> None:
    (app / "package-lock.json").unlink()

    message = refusal(app)
    assert message.startswith("app: has dependencies, but no lockfile (package-lock.json, npm-shrinkwrap.json")
    assert message.endswith("Make one with your package manager and commit it, or set the manager to none.")
    assert refusal(app, "npm") == (
        "app: has no package-lock.json or npm-shrinkwrap.json. "
        "Run npm install and commit the lockfile, or set the manager to none."
    )
    # What the workspaces ask for is not looked at before the lockfile is there.
    (app / "package.json").write_text('{"workspaces": ["packages/*"]}')
    assert "has dependencies, but no lockfile" in refusal(app)


def test_no_manifest(app: pathlib.Path) -> None:
    (app / "package.json").unlink()

    assert refusal(app) == "app: has no package.json. Add it, or set the manager to none."
    (app / "package-lock.json").unlink()
    assert "has no package.json" in refusal(app, "npm")


def test_another_range_than_the_lockfile_was_made_for(app: pathlib.Path) -> None:
    rewrite(app / "package.json", lambda manifest: manifest["dependencies"].update(debug="^5.0.0"))

    assert refusal(app) == (
        "app/package.json: package.json asks debug ^5.0.0, package-lock.json was made for ^4.4.0. "
        "Run npm install and commit the lockfile."
    )


def test_many_differences_are_shortened(app: pathlib.Path) -> None:
    asked = {f"p{number}": "1" for number in range(9)}
    rewrite(app / "package.json", lambda manifest: manifest["dependencies"].update(asked))

    message = refusal(app)

    assert message.count("was made without it") == 5
    assert "; and 4 more. Run npm install" in message


def test_lockfiles_of_two_managers(app: pathlib.Path) -> None:
    (app / "yarn.lock").touch()

    assert refusal(app) == (
        "app: has lockfiles of several package managers: package-lock.json, yarn.lock. "
        "Delete those that are not used, or name the manager."
    )
    assert checked_project(str(app), "npm") is not None


def test_a_manager_that_is_not_supported(app: pathlib.Path) -> None:
    (app / "package-lock.json").rename(app / "bun.lock")

    assert "has bun.lock, and bun is not supported. Install with npm" in refusal(app)
    assert "the package manager bun is not supported" in refusal(app, "bun")


def test_two_npm_lockfiles_must_be_equal(app: pathlib.Path) -> None:
    shutil.copy(app / "package-lock.json", app / "npm-shrinkwrap.json")
    assert checked_project(str(app)) is not None

    shutil.copy(FIXTURES / "package-lock-v2.json", app / "npm-shrinkwrap.json")
    assert refusal(app) == "app: package-lock.json and npm-shrinkwrap.json differ. Delete one of them."


def test_a_lockfile_that_is_a_link_or_a_pipe_is_not_read(app: pathlib.Path) -> None:
    lockfile = app / "package-lock.json"
    lockfile.rename(app / "elsewhere.json")
    lockfile.symlink_to(app / "elsewhere.json")
    assert refusal(app).startswith("app/package-lock.json: is not a regular file. Put a plain file there")

    lockfile.unlink()
    os.mkfifo(lockfile)
    assert refusal(app).startswith("app/package-lock.json: is not a regular file. Put a plain file there")


def test_a_lockfile_of_absurd_size_is_not_read(app: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonfile, "MAX_BYTES", 1000)

    assert "more than the 1000 that are read" in refusal(app)


def test_policy_is_part_of_the_check(app: pathlib.Path) -> None:
    rewrite(app / "package-lock.json", lambda lockfile: lockfile["packages"]["node_modules/ms"].pop("integrity"))

    assert "ms@2.1.3 has no integrity hash" in refusal(app)


@pytest.fixture
def workspaces(tmp_path: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(shutil.copytree(FIXTURES / "npm-workspaces", tmp_path / "workspaces"))


@pytest.mark.parametrize("form", [list, lambda patterns: {"packages": patterns, "nohoist": ["**"]}])
def test_manifests_of_workspaces(workspaces: pathlib.Path, form: t.Callable[[list[str]], t.Any]) -> None:
    rewrite(workspaces / "package.json", lambda value: value.update(workspaces=form(value["workspaces"])))

    project = checked_project(str(workspaces), policy=ALLOWED)

    assert project is not None
    assert {folder: manifest.name for folder, manifest in project.manifests.items()} == {
        "": "recorded-workspaces",
        "packages/api": "@shop/api",
        "packages/web": "@shop/web",
    }


def test_a_workspace_that_came_after_the_lockfile(workspaces: pathlib.Path) -> None:
    shutil.copytree(workspaces / "packages" / "api", workspaces / "packages" / "new")

    assert "package-lock.json was made without the workspace packages/new. Run npm" in refusal(workspaces)


def test_a_workspace_asks_for_something_else(workspaces: pathlib.Path) -> None:
    rewrite(workspaces / "packages" / "web" / "package.json", lambda value: value["dependencies"].update(ms="2.1.3"))

    assert "packages/web/package.json asks ms 2.1.3, package-lock.json was made for 2.0.0. Run npm" in refusal(
        workspaces
    )


def test_a_manifest_of_a_workspace_that_is_no_file(workspaces: pathlib.Path) -> None:
    manifest = workspaces / "packages" / "web" / "package.json"
    manifest.rename(workspaces / "elsewhere.json")
    manifest.symlink_to(workspaces / "elsewhere.json")
    assert refusal(workspaces).startswith("app/packages/web/package.json: is not a regular file. ")

    manifest.unlink()
    manifest.write_text("{")
    assert refusal(workspaces).startswith("app/packages/web/package.json: is no JSON")


def test_a_workspace_outside_of_the_project(workspaces: pathlib.Path) -> None:
    rewrite(workspaces / "package.json", lambda value: value.update(workspaces=["../*"]))

    assert refusal(workspaces) == (
        "app: has a workspace pattern that leads out of the project: '../*'. "
        "Keep workspaces below the folder of the lockfile."
    )


def test_a_lockfile_of_another_manager_is_read_by_its_own_format(app: pathlib.Path) -> None:
    (app / "package-lock.json").unlink()
    (app / "yarn.lock").write_text("__metadata:\n  version: 99\n")
    assert refusal(app).startswith("app/yarn.lock: is of version 99; ")
    assert "app: has no package-lock.json" in refusal(app, "npm")

    (app / "yarn.lock").write_text("not a lockfile")
    assert refusal(app).startswith("app/yarn.lock: ")
