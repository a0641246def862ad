# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which folders of a project are its workspaces, by patterns that an artifact brings along."""

from __future__ import annotations

import pathlib
import re

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile import workspaces
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.workspaces import find, matches


def make(project: pathlib.Path, *folders: str) -> None:
    for folder in folders:
        (project / folder).mkdir(parents=True, exist_ok=True)
        (project / folder / "package.json").write_text("{}")


@pytest.mark.parametrize(
    ("patterns", "folder", "expected"),
    [
        (["packages/*"], "packages/a", True),
        (["./packages/*/"], "packages/a", True),
        (["/packages/*"], "packages/a", True),
        (["packages/*"], "packages/a/b", False),
        (["packages/*"], "packages", False),
        (["packages/**"], "packages/a/b", True),
        (["packages/**"], "packages", True),
        (["**/lib"], "lib", True),
        (["**/lib"], "a/b/lib", True),
        (["a/**/c"], "a/b/b/c", True),
        (["a/**/c"], "a/b/d", False),
        (["*"], "web", True),
        (["w?b", "x[0-9]"], "x1", True),
        (["packages/{a,b}"], "packages/b", True),
        (["packages/{a,b}"], "packages/c", False),
        (["packages/*", "!packages/b"], "packages/b", False),
        (["!packages/b", "packages/*"], "packages/b", False),
        (["packages/**", "!packages/b/**", "packages/b/a"], "packages/b/a", True),
        (["!!packages/a"], "packages/a", True),
        (["**"], "node_modules/a", False),
        (["**"], "a/.hidden/b", False),
        ([], "a", False),
    ],
)
def test_patterns(patterns: list[str], folder: str, expected: bool) -> None:
    assert matches(patterns, folder) is expected


def test_workspaces_on_disk(tmp_path: pathlib.Path) -> None:
    make(tmp_path, "packages/a", "packages/b", "packages/c/deep", "other", "packages/a/node_modules/x", "packages/.git")
    (tmp_path / "packages" / "empty").mkdir()

    assert find(str(tmp_path), ["packages/*", "!packages/b"], "package.json") == ["packages/a"]
    assert find(str(tmp_path), ["packages/**"], "package.json") == ["packages/a", "packages/b", "packages/c/deep"]
    assert find(str(tmp_path), ["nothing/*"], "package.json") == []


def test_links_are_not_followed(tmp_path: pathlib.Path) -> None:
    make(tmp_path / "outside", "a")
    project = tmp_path / "project"
    make(project, "packages/b")
    (project / "packages" / "a").symlink_to(tmp_path / "outside" / "a")
    (project / "linked").symlink_to(tmp_path / "outside")

    assert find(str(project), ["packages/*", "linked/*", "**"], "package.json") == ["packages/b"]


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("../other/*", "leads out of the project"),
        ("packages/../../*", "leads out of the project"),
        ("packages/{..,a}/*", "leads out of the project"),
        ("packages\\*", "is not understood"),
        ("packages/\x00", "is not understood"),
        ("a" * 600, "is not understood"),
        ("{a,b}" * 20, "stands for more than 1000: "),
    ],
)
def test_patterns_that_are_refused(tmp_path: pathlib.Path, pattern: str, words: str) -> None:
    with pytest.raises(ApphostError, match=re.escape(words)):
        find(str(tmp_path), [pattern], "package.json")


def test_the_search_has_an_end(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, *(f"packages/p{number}" for number in range(12)))
    monkeypatch.setattr(workspaces, "MAX_FOLDERS", 10)

    with pytest.raises(ApphostError, match="has more than 10 folders to look for workspaces in"):
        find(str(tmp_path), ["**"], "package.json")
    # Where no pattern leads, nobody looks.
    assert find(str(tmp_path), ["*/p1"], "package.json") == ["packages/p1"]


def test_a_pattern_made_to_take_for_ever_does_not(tmp_path: pathlib.Path) -> None:
    make(tmp_path, "a" * 200)

    assert find(str(tmp_path), ["*a" * 100 + "b", "**/" * 100 + "b"], "package.json") == []
