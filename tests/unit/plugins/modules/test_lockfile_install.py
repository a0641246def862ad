# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module: what it returns, in check mode and with --diff, on a folder and a runtime that only look real."""

from __future__ import annotations

import json
import pathlib
import shutil
import time
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.install import ship
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.installer import InstallResult
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.plan import Plan
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.preview import Inventory
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import Shipped
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.store import TreeStore
from ansible_collections.evenkeel.apphost.plugins.modules import lockfile_install
from ansible_collections.evenkeel.apphost.plugins.modules.lockfile_install import ARGUMENT_SPEC
from ansible_collections.evenkeel.apphost.plugins.modules.lockfile_install import work as module_work

FIXTURES = pathlib.Path(__file__).parents[1] / "module_utils" / "lockfile" / "fixtures"


class FakeModule:
    """What ``work`` needs of AnsibleModule; a program that is started fails the test."""

    def __init__(self, check_mode: bool, diff: bool, **params: t.Any) -> None:
        defaults = {name: spec.get("default") for name, spec in ARGUMENT_SPEC.items()}
        self.params = {**defaults, **params}
        self.check_mode = check_mode
        self._diff = diff
        self.warnings: list[str] = []

    def warn(self, warning: str) -> None:
        self.warnings.append(warning)

    def run_command(self, argv: list[str], **_options: t.Any) -> tuple[int, str, str]:
        raise AssertionError(argv)


def work(check_mode: bool, diff: bool, params: dict[str, t.Any]) -> dict[str, t.Any]:
    """The module's result with these options."""
    return module_work(t.cast(t.Any, FakeModule(check_mode, diff, **params)))


@pytest.fixture
def params(tmp_path: pathlib.Path) -> dict[str, t.Any]:
    app, root = tmp_path / "app", tmp_path / "runtime"
    app.mkdir()
    shutil.copy(FIXTURES / "package.json", app / "package.json")
    shutil.copy(FIXTURES / "package-lock-v3.json", app / "package-lock.json")
    for path, content in (
        ("bin/node", ""),
        ("npm/bin/npm-cli.js", ""),
        ("npm/package.json", '{"name": "npm", "version": "11.19.1"}'),
        (
            "include/node/node_version.h",
            (
                "#define NODE_MAJOR_VERSION 20\n#define NODE_MINOR_VERSION 20\n"
                "#define NODE_PATCH_VERSION 2\n#define NODE_MODULE_VERSION 115\n"
            ),
        ),
    ):
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        file.chmod(0o755)
    (root / "bin" / "npm").symlink_to("../npm/bin/npm-cli.js")
    return {"path": str(app), "runtime_root": str(root), "store": str(tmp_path / "store")}


def installed_before(params: dict[str, t.Any]) -> None:
    """An older tree, made by somebody else: another ms, no debug, and a package that is no longer asked for."""
    tree = pathlib.Path(params["path"]) / "node_modules"
    hidden = json.loads((FIXTURES / "hidden-lockfile.json").read_text())
    packages = hidden["packages"]
    packages["node_modules/ms"]["version"] = "2.0.0"
    packages["node_modules/left-pad"] = {"version": "1.3.0"}
    del packages["node_modules/debug"]
    for path in packages:
        (tree.parent / path).mkdir(parents=True)
    (tree / ".package-lock.json").write_text(json.dumps(hidden))


def test_check_mode_says_what_would_change_and_changes_nothing(params: dict[str, t.Any]) -> None:
    installed_before(params)

    result = work(True, True, params)

    assert result["changed"] is True
    assert result["from_cache"] is False
    assert result["seconds"] == {}
    assert result["difference"]["updated"] == 1
    assert result["difference"]["removed"] >= 1
    diff = result["diff"]
    assert diff["before_header"] == f"{params['path']}/node_modules"
    assert "node_modules/ms 2.0.0\n" in diff["before"] and "node_modules/left-pad 1.3.0\n" in diff["before"]
    assert "node_modules/ms 2.1.3\n" in diff["after"] and "node_modules/debug 4.4.3 (direct)\n" in diff["after"]
    assert "node_modules/ws" not in diff["after"]
    assert not pathlib.Path(params["store"]).exists()


def test_without_diff_there_is_none(params: dict[str, t.Any]) -> None:
    assert "diff" not in work(True, False, params)


def test_scripts_that_would_not_run_are_named_in_check_mode(params: dict[str, t.Any]) -> None:
    assert work(True, False, params)["scripts_skipped"] == ["sharp@0.34.5"]
    assert work(True, False, {**params, "allow_scripts": ["sharp"]})["scripts_skipped"] == []


def test_scripts_that_did_not_run_are_a_warning(params: dict[str, t.Any], monkeypatch: pytest.MonkeyPatch) -> None:
    result = InstallResult(True, "npm", placed_by="copy", scripts_skipped=("sharp@0.34.5",))
    monkeypatch.setattr(lockfile_install, "carry_out", lambda _plan, _run: result)
    module = FakeModule(False, False, **params)

    module_work(t.cast(t.Any, module))

    assert [warning.partition(" did not run")[0] for warning in module.warnings] == [
        "the lifecycle scripts of sharp@0.34.5"
    ]


def test_the_seconds_count_everything(params: dict[str, t.Any], monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def before(_plan: Plan) -> Inventory:
        now[0] += 5
        return Inventory({}, frozenset())

    def carry_out(_plan: Plan, _run: object) -> InstallResult:
        now[0] += 3
        return InstallResult(True, "npm", seconds={"plan": 0.5, "total": 3.0})

    monkeypatch.setattr(lockfile_install, "before", before)
    monkeypatch.setattr(lockfile_install, "carry_out", carry_out)

    assert work(False, False, params)["seconds"] == {"plan": 0.5, "total": 8.0}


def test_who_has_nothing_to_do_does_not_list_what_is_there(
    params: dict[str, t.Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = []

    def before(plan: Plan) -> Inventory:
        listed.append(plan)
        return Inventory({}, frozenset())

    monkeypatch.setattr(lockfile_install, "before", before)
    monkeypatch.setattr(lockfile_install, "carry_out", lambda _plan, _run: InstallResult(False, "npm"))
    monkeypatch.setattr(Plan, "up_to_date", True)

    assert work(False, False, params)["difference"] == {"added": 0, "removed": 0, "updated": 0}
    assert listed == []
    assert work(False, True, params)["diff"]["before"] == ""
    assert len(listed) == 1


def test_nothing_to_install(params: dict[str, t.Any]) -> None:
    result = work(False, True, {**params, "manager": "none"})

    assert (result["changed"], result["identity"]) == (False, None)


def test_a_relative_path_is_understood(params: dict[str, t.Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(pathlib.Path(params["path"]).parent)

    assert work(True, True, {**params, "path": "app"})["diff"]["after_header"].startswith("/")


def test_a_tree_is_exported_and_taken_from_there(
    params: dict[str, t.Any], tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[str, str]] = []
    taken: list[Shipped | None] = []

    def export(store: TreeStore, identity: str, path: str) -> str:
        made.append((store.root, identity))
        pathlib.Path(path).write_text("tar")
        return "b" * 64

    def carry_out(plan: Plan, _run: t.Any) -> InstallResult:
        taken.append(plan.request.shipped)
        return InstallResult(True, "npm", identity=plan.identity)

    monkeypatch.setattr(lockfile_install, "carry_out", carry_out)
    monkeypatch.setattr(lockfile_install, "have_tree", lambda plan, _run: made.append(("had", plan.identity)))
    monkeypatch.setattr(ship, "export_tree", export)
    tar = tmp_path / "tree.tar"
    tar.write_text("an older one")

    assert "exported" not in work(True, False, {**params, "export": str(tar)})
    assert made == []
    result = work(False, False, {**params, "export": str(tar)})
    assert result["exported"] == "b" * 64
    assert made == [("had", result["identity"]), (params["store"], result["identity"])]
    assert tar.read_text() == "tar"
    work(False, False, {**params, "shipped": {"path": str(tar), "sha256": "b" * 64}})
    assert taken == [None, Shipped(str(tar), "b" * 64)]
    assert sorted(path.name for path in tmp_path.iterdir() if "tar" in path.name) == ["tree.tar"]
