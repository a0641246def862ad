# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a uv.lock was made for the manifests that are there, against what ``uv lock --check`` said."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Manifest
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pyproject import parse_manifest
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.uv import FORMAT
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.workspaces import matches

FIXTURES = pathlib.Path(__file__).parent / "fixtures" / "uv"
LOCKS = {"single": "r5.lock", "workspace": "uv.lock"}
MEMBERS = {"single": [""], "workspace": ["", "packages/core", "packages/tools", "packages/old-thing"]}
CHECKED: dict[str, list[dict[str, t.Any]]] = json.loads((FIXTURES / "check.json").read_text())
#: What uv makes a new lockfile for, though the same tree comes out of it.
FORGIVEN = {
    "its own version",
    "a marker that no platform tells apart",
    "empty group",
    "default groups",
    # Whether the project's own folders are installed is not up to the lockfile here.
    "build system",
    "member not editable",
    "folder editable",
    "index slash",
}


GIT = "from-git from git https://git.example.org/from-git"


def problems(project: str, file: str = "", old: str = "", new: str = "") -> list[str]:
    """For a recorded project with a piece of one file replaced by another."""
    manifests: dict[str, Manifest] = {}
    for folder in MEMBERS[project]:
        path = FIXTURES / project / folder / "pyproject.toml"
        text = path.read_text() if path.exists() else '[project]\nname = "old-thing"\nversion = "0"\n'
        if file == f"{folder}/pyproject.toml".lstrip("/"):
            assert old in text
            text = text.replace(old, new, 1)
        if not folder or matches(manifests[""].workspaces, folder):
            manifests[folder] = parse_manifest(text.encode(), f"app/{folder}/pyproject.toml")
    lockfile = FORMAT.parse((FIXTURES / project / LOCKS[project]).read_bytes(), "app/uv.lock", manifests)
    return [*FORMAT.in_step(lockfile, manifests)]


@pytest.mark.parametrize(
    ("project", "case"), [pytest.param(name, case, id=case["case"]) for name in CHECKED for case in CHECKED[name]]
)
def test_the_verdict_is_that_of_uv(project: str, case: dict[str, t.Any]) -> None:
    found = problems(project, case["file"], case["replace"], case["with"])

    assert (not found) == (case["accepted"] or case["case"] in FORGIVEN), found


@pytest.mark.parametrize(
    ("project", "file", "old", "new", "words"),
    [
        (
            "single",
            "pyproject.toml",
            ">=0.27, <1",
            ">=0.28",
            ["pyproject.toml asks for httpx[http2,socks]>=0.28, uv.lock was made for httpx[http2,socks]>=0.27,<1"],
        ),
        (
            "single",
            "pyproject.toml",
            '"docopt==0.6.2",',
            '"mdurl",',
            [
                "pyproject.toml does not ask for docopt==0.6.2, uv.lock was made for it",
                "pyproject.toml asks for mdurl, uv.lock was made without it",
            ],
        ),
        (
            "single",
            "pyproject.toml",
            '"iniconfig"',
            "\"iniconfig>2; os_name == 'nt'\"",
            ["pyproject.toml asks for iniconfig>2; os_name == 'nt' in the group dev, uv.lock was made for iniconfig"],
        ),
        (
            "single",
            "pyproject.toml",
            '">=3.9"',
            '">=3.10"',
            ["the project is for Python >=3.10, uv.lock was made for >=3.9"],
        ),
        (
            "single",
            "pyproject.toml",
            "color = [",
            "colour = []\ncolor = [",
            ["pyproject.toml has an extra colour, uv.lock was made without it"],
        ),
        (
            "single",
            "pyproject.toml",
            '"idna<4"',
            "",
            ["pyproject.toml does not ask for idna<4 in tool.uv.constraint-dependencies, uv.lock was made for it"],
        ),
        (
            "workspace",
            "packages/core/pyproject.toml",
            '"anyio"',
            '"anyio<5"',
            ["packages/core/pyproject.toml asks for anyio<5, uv.lock was made for anyio"],
        ),
        (
            "workspace",
            "pyproject.toml",
            'tag = "v0.4.0"',
            'rev = "v0.5"',
            [
                f"pyproject.toml asks for {GIT} rev=v0.5, uv.lock was made for {GIT} tag=v0.4.0",
            ],
        ),
        (
            "workspace",
            "pyproject.toml",
            '"packages/*"',
            '"packages/c*"',
            ["uv.lock was made for a project shop-tools in packages/tools, which is not there"],
        ),
    ],
)
def test_problems_in_words(project: str, file: str, old: str, new: str, words: list[str]) -> None:
    assert set(words) <= {*problems(project, file, old, new)}


def test_a_new_member_is_named() -> None:
    assert problems("workspace", "pyproject.toml", 'exclude = ["packages/old-*"]', "") == [
        "uv.lock was made without the project of packages/old-thing/pyproject.toml"
    ]


def judge(pyproject: str, metadata: str, head: str = "", **members: str) -> list[str]:
    """For a small project, and what its lockfile says that it was made for."""
    manifests = {"": parse_manifest(pyproject.encode(), "pyproject.toml")}
    manifests.update({name: parse_manifest(text.encode(), f"{name}/pyproject.toml") for name, text in members.items()})
    entry = '[[package]]\nname = "app"\nsource = { virtual = "." }\n[package.metadata]\n'
    lock = f"version = 1\n{head}\n{entry}{metadata}\n"
    return [*FORMAT.in_step(FORMAT.parse(lock.encode(), "uv.lock", manifests), manifests)]


APP = '[project]\nname = "app"\n'


def test_what_a_build_backend_tells_is_not_compared() -> None:
    assert judge(f'{APP}dynamic = ["dependencies"]', 'requires-dist = [{ name = "a" }]') == []
    assert judge(f'{APP}dynamic = ["version"]', 'requires-dist = [{ name = "a" }]') != []


def test_addresses_behind_an_at() -> None:
    asks = [
        "a @ git+https://host/a.git@v1#subdirectory=x",
        "b @ git+ssh://git@host/b",
        "c @ https://host/c-1.tar.gz#sha256=00",
        "d @ file:///libs/d-1.0.tar.gz",
    ]
    locked = [
        '{ name = "a", git = "https://host/a.git?subdirectory=x&rev=v1" }',
        '{ name = "b", git = "ssh://git@host/b" }',
        '{ name = "c", url = "https://host/c-1.tar.gz" }',
        '{ name = "d", path = "/libs/d-1.0.tar.gz" }',
    ]
    metadata = f"requires-dist = [{', '.join(locked)}]"

    assert judge(f"{APP}dependencies = {json.dumps(asks)}", metadata) == []
    for old, new in (("@v1", "@v2"), ("host/b", "host/bb"), ("c-1.tar", "c-2.tar"), ("/libs/", "/lib/"), ("=x", "=y")):
        changed = json.dumps(asks).replace(old, new)
        assert len(judge(f"{APP}dependencies = {changed}", metadata)) == 1, new


def test_credentials_of_an_index_are_not_locked() -> None:
    index = (
        '[[tool.uv.index]]\nname = "i"\nurl = "https://user:secret@host/simple/"\n[tool.uv.sources]\na = {index = "i"}'
    )
    text = f'{APP}dependencies = ["a"]\n{index}\n'

    assert judge(text, 'requires-dist = [{ name = "a", index = "https://host/simple" }]') == []
    (problem,) = judge(text, 'requires-dist = [{ name = "a", index = "https://other/simple" }]')
    assert "secret" not in problem


def test_sources_of_an_extra_and_of_a_group() -> None:
    text = (
        f'{APP}dependencies = ["a"]\n[project.optional-dependencies]\nx = ["a"]\n[dependency-groups]\ng = ["a"]\n'
        '[tool.uv.sources]\na = [{url = "https://x/a.whl", extra = "x"}, {url = "https://g/a.whl", group = "g"}]\n'
    )
    metadata = (
        'requires-dist = [{ name = "a" }, { name = "a", marker = "extra == \'x\'", url = "https://x/a.whl" }]\n'
        'provides-extras = ["x"]\nrequires-dev = { g = [{ name = "a", url = "https://g/a.whl" }] }'
    )

    assert judge(text, metadata) == []
    assert judge(text.replace('extra = "x"', 'extra = "y"'), metadata) != []


def test_members_use_the_sources_of_the_root() -> None:
    root = f'{APP}[tool.uv.sources]\na = {{ index = "i" }}\n[[tool.uv.index]]\nname = "i"\nurl = "https://i/simple"\n'
    head = (
        'manifest = { members = ["app", "m"] }\n'
        '[[package]]\nname = "m"\nsource = { editable = "m" }\n[package.metadata]\n'
        'requires-dist = [{ name = "a", index = "https://i/simple" }]\n'
    )
    member = '[project]\nname = "m"\ndependencies = ["a"]\n'

    assert judge(root, "", head, m=member) == []
    assert judge(root, "", head, m=f'{member}[tool.uv.sources]\na = {{ index = "https://j/simple" }}') != []


@pytest.mark.parametrize(
    ("setting", "head", "same"),
    [
        ("environments = [\"os_name == 'nt'\"]", "supported-markers = [\"os_name == 'nt'\"]", True),
        ("environments = [\"os_name == 'nt'\"]", "", False),
        ("", "supported-markers = [\"os_name == 'nt'\"]", False),
        ('exclude-dependencies = ["A_b"]', 'manifest = { excludes = ["a-b"] }', True),
        ('exclude-dependencies = ["A_b"]', "", False),
        ('resolution = "lowest"', 'options = { resolution-mode = "lowest" }', True),
        ('resolution = "lowest"', "", False),
        ("", 'options = { resolution-mode = "lowest" }', True),
        ('prerelease = "if-necessary-or-explicit"', "", True),
    ],
)
def test_settings_of_the_resolver(setting: str, head: str, same: bool) -> None:
    assert (judge(f"{APP}[tool.uv]\n{setting}", "", head) == []) is same


def test_a_workspace_without_a_project_of_its_own_has_groups() -> None:
    root = '[tool.uv.workspace]\nmembers = ["m"]\n[dependency-groups]\ndev = ["a>1"]\n'
    lock = (
        'version = 1\n[manifest]\nmembers = ["m"]\n[manifest.dependency-groups]\n'
        'dev = [{ name = "a", specifier = ">1" }]\n[[package]]\nname = "m"\nsource = { editable = "m" }\n'
    )

    def verdict(text: str) -> list[str]:
        manifests = {"": parse_manifest(text.encode(), "p"), "m": parse_manifest(b'[project]\nname = "m"', "m/p")}
        return [*FORMAT.in_step(FORMAT.parse(lock.encode(), "uv.lock", manifests), manifests)]

    assert verdict(root) == []
    assert verdict(root.replace("a>1", "a>2")) == [
        "pyproject.toml asks for a>2 in the group dev, uv.lock was made for a>1"
    ]


@pytest.mark.parametrize(
    ("metadata", "what"),
    [
        ("requires-dist = 1", "app.metadata has no list of requirements"),
        ("requires-dist = [1]", "app.metadata has no list of requirements"),
        ("requires-dist = [{ name = 1 }]", "app.metadata.name is no string"),
        ('requires-dist = [{ name = "a", specifier = "1" }]', "app.metadata: '1' is no condition on a version"),
        ('requires-dist = [{ name = "a", marker = "x" }]', "the marker 'x' is not understood"),
        ("requires-dev = 1", "app.metadata.requires-dev is no object"),
        ('requires-dist = [{ name = "a\\nb" }]', "'a\\nb' is no name of a package"),
        ('requires-dist = [{ name = "a", extras = ["-"] }]', "'-' is no name of an extra"),
        ('provides-extras = ["a b"]', "'a b' is no name of an extra"),
        ('requires-dev = { "a\\u001b" = [] }', "'a\\x1b' is no name of a group"),
    ],
)
def test_odd_values_in_the_lockfile(metadata: str, what: str) -> None:
    with pytest.raises(ApphostError) as caught:
        judge(APP, metadata)
    assert what in caught.value.message
