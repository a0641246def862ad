# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading pnpm-workspace.yaml, and which of pnpm's settings an installation goes by."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pnpmworkspace import (
    install_settings,
    parse_settings,
    settings_of,
    workspace_patterns,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.reader import checked_project

from tests.unit.plugins.module_utils.lockfile.pnpm_examples import FIXTURES, manifest, recorded


def test_recorded_settings() -> None:
    content = recorded("workspaces/pnpm10/settings")

    assert workspace_patterns(content, "x") == ("packages/*", "!**/test/**")
    assert parse_settings(content, "x")["overrides"] == {"is-number": "7.0.0", "loose-envify>js-tokens": "^3.0.2"}
    assert parse_settings(content, "x")["catalogs"] == {"old": {"ms": "2.0.0"}}


def test_the_project_itself_is_no_pattern() -> None:
    assert workspace_patterns(b"packages: ['.', a/*]\n", "x") == ("a/*",)
    assert workspace_patterns(b"hoist: false\n", "x") == ()
    assert workspace_patterns(b"", "x") == ()
    assert workspace_patterns(b"# nothing yet\n", "x") == ()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"- a\n", "x: is no map of settings. Mend the file."),
        (b"a: 1\n---\nb: 2\n", "x: is no map of settings. Mend the file."),
        (b"packages: {a: b}\n", "x: packages is no list of strings. Mend the file."),
        (b"a: &b c\n", "x: is no YAML that is understood: there is an anchor (&b c) (line 1). Mend the file."),
    ],
)
def test_broken_settings(content: bytes, problem: str) -> None:
    with pytest.raises(ApphostError) as caught:
        workspace_patterns(content, "x")
    assert caught.value.message == problem


def test_settings_are_in_two_places() -> None:
    value = {"pnpm": {"overrides": {"a": "1"}, "hoist": True}}
    shared = {"overrides": {"b": "2"}, "nodeLinker": "hoisted"}

    assert settings_of(manifest(value, shared)) == {"overrides": {"b": "2"}, "hoist": True, "nodeLinker": "hoisted"}
    assert settings_of(manifest(value, shared), package_json=False) == shared
    assert settings_of(manifest({"pnpm": ["odd"]})) == {}
    assert settings_of(None) == {}


def test_an_installation_does_not_go_by_what_says_where_from_and_what_runs() -> None:
    shared = {
        "packages": ["a/*"],
        "nodeLinker": "hoisted",
        "registries": {"default": "https://evil.example/"},
        "namedRegistries": {"work": "https://evil.example/"},
        "allowBuilds": {"a": True},
        "onlyBuiltDependencies": ["a"],
        "dangerouslyAllowAllBuilds": True,
        "configDependencies": {"a": "1.0.0"},
        "pnpmfile": "x.cjs",
        "storeDir": "/tmp/x",
        "modulesDir": "../x",
        "virtualStoreDir": "/x",
        "strictSsl": False,
        "scriptShell": "/x",
        "nodeOptions": "--require x",
    }

    assert install_settings(manifest({}, shared)) == {"packages": ["a/*"], "nodeLinker": "hoisted"}


def test_the_reader_puts_settings_and_workspaces_together(tmp_path: pathlib.Path) -> None:
    case = FIXTURES / "workspaces" / "pnpm10"
    for name in ("api", "lib", "tools"):
        (tmp_path / "packages" / name).mkdir(parents=True)
        (tmp_path / "packages" / name / "package.json").write_bytes((case / f"packages-{name}.json").read_bytes())
    (tmp_path / "packages" / "test" / "inner").mkdir(parents=True)
    (tmp_path / "packages" / "test" / "inner" / "package.json").write_text("{}")
    (tmp_path / "package.json").write_bytes((case / "package.json").read_bytes())
    (tmp_path / "pnpm-lock.yaml").write_bytes((case / "lockfile").read_bytes())
    (tmp_path / "pnpm-workspace.yaml").write_bytes((case / "settings").read_bytes())

    project = checked_project(str(tmp_path))

    assert project is not None and project.lockfile.manager == "pnpm"
    assert list(project.manifests) == ["", "packages/api", "packages/lib", "packages/tools"]
    assert project.manifests[""].deciding["pnpm-workspace.yaml"]["ignoredOptionalDependencies"] == ["left-pad"]
    assert set(project.files) == {
        "package.json", "pnpm-lock.yaml", "pnpm-workspace.yaml",
        "packages/api/package.json", "packages/lib/package.json", "packages/tools/package.json",
    }  # fmt: skip
    (tmp_path / "pnpm-workspace.yaml").write_text("packages: ['packages/*']\n")
    with pytest.raises(ApphostError, match=r"pnpm-lock\.yaml was made with other overrides \(is-number: 7\.0\.0\)"):
        checked_project(str(tmp_path))
