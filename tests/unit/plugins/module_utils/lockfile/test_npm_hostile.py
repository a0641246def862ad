# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""npm's lockfiles that somebody made to do harm, or to take for ever."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile import npm
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.npm import parse_lockfile
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.policy import Policy, policy_problems
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.tree import Target, expected_packages

HASH = "sha512-" + "A" * 86 + "=="
HERE = Target(cpu="x64", libc="glibc", node="20.20.2", npm="11.19.1")


def lockfile_of(packages: dict[str, t.Any], **root: t.Any) -> bytes:
    return json.dumps({"lockfileVersion": 3, "packages": {"": root, **packages}}).encode()


def refusal(packages: dict[str, t.Any], **root: t.Any) -> str:
    with pytest.raises(ApphostError) as caught:
        parse_lockfile(lockfile_of(packages, **root), "app/package-lock.json")
    assert caught.value.message.startswith("app/package-lock.json: ")
    assert caught.value.message.endswith("Run npm install with a current npm and commit the lockfile.")
    return caught.value.what or ""


@pytest.mark.parametrize(
    "programs",
    [
        {"a": "../../../../bin/sh"},
        {"a": "lib/../../b/cli.js"},
        {"a": "/bin/sh"},
        {"a": "lib\\..\\..\\cli.js"},
        {"../../bin/sh": "cli.js"},
        {"/usr/bin/sh": "cli.js"},
        {"..": "cli.js"},
        "../cli.js",
    ],
)
def test_a_program_outside_of_its_package(programs: t.Any) -> None:
    assert 'packages["node_modules/a"].bin leads out of the package' in refusal({"node_modules/a": {"bin": programs}})


def test_a_program_of_the_wrong_type() -> None:
    assert refusal({"node_modules/a": {"bin": {"a": 1}}}) == 'packages["node_modules/a"].bin.a is no string'


@pytest.mark.parametrize(
    "programs", [{"a": "./bin/a.js"}, {"@s/a": "cli.js"}, "cli.js", {"a": "bin/..a/b.js"}, ["cli.js"], None]
)
def test_ordinary_programs(programs: t.Any) -> None:
    parse_lockfile(lockfile_of({"node_modules/a": {"bin": programs}}), "x")


@pytest.mark.parametrize(
    "name",
    ["file:evil", "file:../evil", "a@2", "a?b", "a b", "../evil", "", "a/b", ".bin", "a/node_modules/b", "@s", "a\nb"],
)
def test_a_name_that_npm_would_take_for_something_else(name: str) -> None:
    # Without an address npm fetches "<name>@<version>", whatever that is.
    asking = {"node_modules/b": {"dependencies": {"a": f"npm:{name}@1"}}}

    assert refusal({"node_modules/a": {"name": name, "version": "1.0.0"}, **asking}).startswith(
        'packages["node_modules/a"].name is no package\'s name: '
    )


@pytest.mark.parametrize(
    "address", ["../evil", "/etc", "latest", "1.0.0", "npm:evil@1.0.0", "", "HTTPS://example.com/a"]
)
def test_an_address_that_npm_would_take_for_something_else(address: str) -> None:
    assert refusal({"node_modules/a": {"version": "1.0.0", "resolved": address}}).startswith(
        'packages["node_modules/a"].resolved is no address: '
    )


@pytest.mark.parametrize(
    "target", ["../../etc", "/etc", "packages/../..", "a//b", "a\\b", "node_modules/a", "missing", None]
)
def test_a_link_to_where_nothing_of_the_project_is(target: str | None) -> None:
    packages: dict[str, t.Any] = {"node_modules/a": {"resolved": target, "link": True}, "packages/b": {}}

    assert (
        refusal(packages, workspaces=["packages/*"])
        == f'packages["node_modules/a"] is a link to {target}, no folder of the project'
    )


def test_a_workspace_pattern_that_leads_out_of_the_project() -> None:
    with pytest.raises(ApphostError) as caught:
        parse_lockfile(lockfile_of({"packages/a": {}}, workspaces=["../*"]), "app/package-lock.json")

    assert caught.value.message == (
        "app/package-lock.json: has a workspace pattern that leads out of the project: '../*'. "
        "Keep workspaces below the folder of the lockfile."
    )


@pytest.mark.parametrize(
    "path",
    [
        "packages/../../etc",
        "../lib",
        "packages/./a",
        "/packages/a",
        "packages//a",
        "packages/a/node_modules/../b",
        "a/" * 101 + "b",
    ],
)
def test_a_folder_that_is_none_of_the_project(path: str) -> None:
    assert refusal({path: {}}, workspaces=["packages/*"]).startswith(f'packages["{path[:200]}"] ')


def test_a_key_twice_in_an_entry() -> None:
    content = lockfile_of({"node_modules/a": {"version": "1.0.0"}})
    twice = content.replace(b'"version": "1.0.0"', b'"version": "1.0.0", "version": "6.6.6"')

    with pytest.raises(ApphostError, match='has the key "version" twice'):
        parse_lockfile(twice, "x")


@pytest.mark.parametrize("key", ["dependencies", "optionalDependencies", "peerDependencies"])
def test_absurd_nesting(key: str) -> None:
    deep = b'{"lockfileVersion": 3, "packages": {"": {}, "node_modules/a": ' + b'{"' + key.encode() + b'": ' * 1
    content = deep + b'{"x": ' * 100_000 + b"1" + b"}" * 100_000 + b"}}}"

    with pytest.raises(ApphostError, match="nested too deeply"):
        parse_lockfile(content, "x")


def test_packages_that_need_each_other_in_a_circle() -> None:
    packages = {
        f"node_modules/p{number}": {
            "version": "1.0.0",
            "optional": True,
            "dependencies": {f"p{(number + 1) % 1000}": "1"},
            **({"os": ["win32"]} if number == 500 else {}),
        }
        for number in range(1000)
    }
    lockfile = parse_lockfile(lockfile_of(packages, optionalDependencies={"p0": "1"}), "x")

    assert expected_packages(lockfile, HERE) == {}


class Counting(dict[str, t.Any]):
    """Counts how often it is asked for a path."""

    asked = 0

    def __contains__(self, key: object) -> bool:
        self.asked += 1
        return super().__contains__(key)


def test_a_name_is_looked_for_in_no_more_places_than_there_are_above() -> None:
    packages = Counting({"node_modules/x": {}})

    assert npm.find(packages, "/".join(["node_modules/a"] * 50), "x") == "node_modules/x"
    assert packages.asked == 51
    assert npm.find(packages, "a/b/node_modules/@s/c/node_modules/d", "y") is None
    assert packages.asked == 51 + 6


def test_20_000_packages_are_read_and_judged_without_comparing_each_with_each(monkeypatch: pytest.MonkeyPatch) -> None:
    count = 20_000
    packages = {
        f"node_modules/p{number}": {
            "version": "1.0.0",
            "resolved": f"https://registry.npmjs.org/p{number}/-/p{number}-1.0.0.tgz",
            "integrity": HASH,
            "optional": True,
            "dependencies": {f"p{number + 1}": "1", f"p{number // 2}": "1"},
        }
        for number in range(count)
    }
    content = lockfile_of(packages, optionalDependencies={"p0": "1"})
    looked = 0
    find = npm.find

    def counting(packages: t.Container[str], folder: str, name: str) -> str | None:
        nonlocal looked
        looked += 1
        return find(packages, folder, name)

    monkeypatch.setattr(npm, "find", counting)

    lockfile = parse_lockfile(content, "x")

    assert len(lockfile.packages) == len(expected_packages(lockfile, HERE)) == count
    assert policy_problems(lockfile, Policy()) == []
    assert looked == 2 * count + 1
