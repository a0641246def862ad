# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ignore file, with git itself as the judge."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.ignore import IgnoreRules

FILES = [
    "a",
    "a.log",
    "ab",
    "b.log",
    "a b",
    "trail ",
    "#hash",
    "!bang",
    "x[1]",
    "a-b",
    "a^b",
    "a\\b",
    "star*",
    "öl.log",
    "doc/a.log",
    "doc/b/a.log",
    "doc/b/keep.log",
    "doc/frotz/file",
    "a/doc/frotz/file",
    "build/out.js",
    "src/build/out.js",
    "src/build.js",
    "src/deep/er/build/x",
    "logs/2026/01.txt",
    "foo/bar",
    "foo/x/bar",
    "foo/x/y/bar",
    "test/unit/a.js",
]
PATTERNS = [
    "a",
    "*.log",
    "?",
    "a?",
    "[ab].log",
    "[!a].log",
    "[^a].log",
    "[a-c]?",
    "a[-]b",
    "a[\\^]b",
    "x[[]1[]]",
    "x\\[1\\]",
    "a\\\\b",
    "star\\*",
    "\\#hash",
    "#hash",
    "\\!bang",
    "trail\\ ",
    "trail ",
    "a b   ",
    "build/",
    "/build",
    "/build/",
    "src/build/",
    "doc/*.log",
    "doc/**/*.log",
    "**/build",
    "**/doc/frotz",
    "doc/frotz/",
    "frotz/",
    "logs/**",
    "foo/**/bar",
    "foo/**",
    "foo/*/bar",
    "**",
    "*",
    "/*",
    "/**",
    "a**g",
    "doc/b/**/",
    "src/*/er",
    "*/er",
    "ö*",
    "*.log\n!keep.log",
    "*.log\n!doc/b/keep.log\ndoc/b/",
    "doc/*\n!doc/b",
    "/*\n!/src\n/src/*\n!/src/build.js",
    "!a.log\n*.log\n!b.log",
    "\n\n# only\n   \n",
    "a.log\r\nb.log\r",
    "**/",
    "test/**/*.js",
]


def paths_of(files: list[str]) -> list[str]:
    """Files that can exist beside each other: ``a`` is a file in some and a folder in others."""
    return [file for file in files if not any(other.startswith(f"{file}/") for other in files)]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    for file in paths_of(FILES):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text("")
    return root


@pytest.mark.parametrize("text", PATTERNS)
def test_git_leaves_out_the_same_files(repository: Path, text: str) -> None:
    files = paths_of(FILES)
    (repository / ".gitignore").write_bytes(text.encode())
    listed = subprocess.run(
        ["git", "-C", str(repository), "ls-files", "-z", "--others", "--exclude-standard"],
        check=True,
        capture_output=True,
    ).stdout
    kept_by_git = set(listed.decode().split("\0")) - {"", ".gitignore"}
    rules = IgnoreRules(text)
    assert {file for file in files if not rules.leave_out_path(file)} == kept_by_git


@pytest.mark.parametrize(
    "path",
    [".git", ".git/config", "sub/.git/HEAD", "node_modules/a/b.js", "packages/x/node_modules/y", ".apphostignore"],
)
def test_some_things_are_never_part_of_an_artifact(path: str) -> None:
    assert IgnoreRules("!.git\n!node_modules\n!*\n!**").leave_out_path(path)
    assert not IgnoreRules().leave_out_path(f"{path}x".replace("/", "x"))


def test_without_rules_everything_else_is_part_of_it() -> None:
    assert not any(IgnoreRules().leave_out_path(file) for file in FILES)
    assert not IgnoreRules().leave_out_path(".gitignore")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ok\nx[ab", "source/.apphostignore line 2: 'x[ab' has a [ without its ]"),
        ("x\\", "source/.apphostignore line 1: 'x\\\\' has a backslash at the end"),
        ("!", "source/.apphostignore line 1: '!' names nothing"),
        ("/", "source/.apphostignore line 1: '/' names nothing"),
        ("[z-a]", "source/.apphostignore line 1: '[z-a]' has a set that is none: bad character range z-a"),
    ],
)
def test_a_pattern_that_can_not_be_meant_is_an_error_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ApphostError) as caught:
        IgnoreRules(text, "source/.apphostignore")
    assert caught.value.message == message
