# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packages belong on a host, whether an installed tree is the lockfile's, and how two trees differ."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Lockfile, Package
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.npm import parse_lockfile
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.tree import (
    Target,
    difference,
    disagreements,
    expected_packages,
    listings,
)

FIXTURES = pathlib.Path(__file__).parent / "fixtures"
GLIBC = Target(cpu="x64", libc="glibc", node="20.20.2", npm="11.19.1")
MUSL = Target(cpu="x64", libc="musl", node="20.20.2", npm="11.19.1")


@pytest.fixture
def lockfile() -> Lockfile:
    return parse_lockfile((FIXTURES / "package-lock-v3.json").read_bytes(), "package-lock.json")


@pytest.fixture
def installed() -> dict[str, Package]:
    return parse_lockfile((FIXTURES / "hidden-lockfile.json").read_bytes(), "hidden", hidden=True).packages


def made(root: dict[str, t.Any], packages: dict[str, t.Any]) -> Lockfile:
    return parse_lockfile(json.dumps({"lockfileVersion": 3, "packages": {"": root, **packages}}).encode(), "x")


def test_what_npm_installed_is_what_is_expected(lockfile: Lockfile, installed: dict[str, Package]) -> None:
    assert set(expected_packages(lockfile, GLIBC)) == set(installed)
    assert disagreements(lockfile, installed, GLIBC) == []


def test_another_platform_expects_its_own_packages(lockfile: Lockfile) -> None:
    expected = set(expected_packages(lockfile, MUSL))

    assert {"node_modules/@img/sharp-linuxmusl-x64", "node_modules/@img/sharp-libvips-linuxmusl-x64"} <= expected
    assert not any("sharp-linux-x64" in path for path in expected)


def test_an_old_runtime_expects_no_package_that_is_not_for_it(lockfile: Lockfile) -> None:
    expected = expected_packages(lockfile, Target(cpu="x64", libc="glibc", node="16.0.0", npm="8.0.0"))

    assert not any("/sharp-" in path and "libvips" not in path for path in expected)


def test_a_missing_package_is_noticed(lockfile: Lockfile, installed: dict[str, Package]) -> None:
    del installed["node_modules/ms"]

    assert disagreements(lockfile, installed, GLIBC) == ["node_modules/ms is missing"]


def test_an_optional_package_that_only_failed_to_download_is_noticed(
    lockfile: Lockfile, installed: dict[str, Package]
) -> None:
    del installed["node_modules/@img/sharp-linux-x64"]

    assert disagreements(lockfile, installed, GLIBC) == ["node_modules/@img/sharp-linux-x64 is missing"]


def test_another_version_and_a_stranger_are_noticed(lockfile: Lockfile, installed: dict[str, Package]) -> None:
    installed["node_modules/ms"] = Package(path="node_modules/ms", name="ms", version="2.1.4")
    installed["node_modules/evil"] = Package(path="node_modules/evil", name="evil", version="1.0.0")

    assert disagreements(lockfile, installed, GLIBC) == [
        "node_modules/ms is ms@2.1.4, the lockfile has ms@2.1.3",
        "node_modules/evil is not in the lockfile",
    ]


def test_a_development_package_is_a_stranger(lockfile: Lockfile, installed: dict[str, Package]) -> None:
    installed["node_modules/ws"] = lockfile.packages["node_modules/ws"]

    assert disagreements(lockfile, installed, GLIBC) == ["node_modules/ws is not in the lockfile"]


def test_an_optional_package_goes_with_what_it_needs_and_takes_along_what_only_it_needed() -> None:
    lockfile = made(
        {"optionalDependencies": {"a": "1", "c": "1"}},
        {
            "node_modules/a": {"optional": True, "dependencies": {"b": "1", "helper": "1", "shared": "1"}},
            "node_modules/b": {"optional": True, "os": ["win32"]},
            "node_modules/helper": {"optional": True},
            "node_modules/c": {"optional": True, "dependencies": {"shared": "1"}},
            "node_modules/shared": {"optional": True},
        },
    )

    assert set(expected_packages(lockfile, GLIBC)) == {"node_modules/c", "node_modules/shared"}


def test_a_package_is_looked_up_from_the_inside_out() -> None:
    lockfile = made(
        {"optionalDependencies": {"a": "1"}},
        {
            "node_modules/a": {"optional": True, "dependencies": {"b": "2"}},
            "node_modules/a/node_modules/b": {"optional": True, "dependencies": {"c": "1"}},
            "node_modules/b": {"optional": True},
            "node_modules/c": {"optional": True},
        },
    )

    expected = expected_packages(lockfile, GLIBC)

    assert set(expected) == {"node_modules/a", "node_modules/a/node_modules/b", "node_modules/c"}


@pytest.mark.parametrize(
    ("entry", "fits"),
    [
        ({}, True),
        ({"os": ["linux"], "cpu": ["arm64", "x64"], "libc": ["glibc"]}, True),
        ({"os": ["darwin"]}, False),
        ({"os": ["!win32"]}, True),
        ({"os": ["!linux"]}, False),
        ({"os": ["any"]}, True),
        ({"cpu": "x64"}, True),
        ({"libc": ["musl"]}, False),
        ({"engines": {"node": ">=18"}}, True),
        ({"engines": {"node": ">=22"}}, False),
        ({"engines": {"node": "nonsense"}}, False),
        ({"engines": {"npm": "<7"}}, False),
        ({"engines": {"vscode": "*"}}, True),
    ],
)
def test_platforms(entry: dict[str, t.Any], fits: bool) -> None:
    lockfile = made({}, {"node_modules/a": {"optional": True, **entry}})

    assert GLIBC.fits(lockfile.packages["node_modules/a"]) is fits


def package(path: str, version: str = "1.0.0", integrity: str | None = None) -> Package:
    return Package(path=path, name=path.rpartition("/")[2], version=version, integrity=integrity)


def by_path(*packages: Package) -> dict[str, Package]:
    return {package.path: package for package in packages}


def test_what_differs_and_what_of_it_the_project_asks_for() -> None:
    before = by_path(package("node_modules/a"), package("node_modules/b"), package("node_modules/c"))
    after = by_path(package("node_modules/a", "1.1.0"), package("node_modules/c"), package("node_modules/d"))

    differs = difference(before, after, {"node_modules/b"}, {"node_modules/a"})

    assert differs.added == [{"path": "node_modules/d", "name": "d", "direct": False, "version": "1.0.0"}]
    assert differs.removed == [{"path": "node_modules/b", "name": "b", "direct": True, "version": "1.0.0"}]
    assert differs.updated == [
        {"path": "node_modules/a", "name": "a", "direct": True, "before": "1.0.0", "after": "1.1.0"}
    ]
    assert differs.counts == {"added": 1, "removed": 1, "updated": 1}
    assert listings(before, after, {"node_modules/b"}, {"node_modules/a"}) == (
        "node_modules/a 1.0.0 (direct)\nnode_modules/b 1.0.0 (direct)\nnode_modules/c 1.0.0\n",
        "node_modules/a 1.1.0 (direct)\nnode_modules/c 1.0.0\nnode_modules/d 1.0.0\n",
    )


def test_a_package_with_another_content_is_updated() -> None:
    before, after = (by_path(package("node_modules/a", integrity=value)) for value in ("x", "y"))

    assert difference(before, after).updated == [
        {"path": "node_modules/a", "name": "a", "direct": False, "before": "1.0.0", "after": "1.0.0"}
    ]
    assert listings(before, after) == ("node_modules/a 1.0.0\n", "node_modules/a 1.0.0 (other content)\n")


def test_a_package_that_only_becomes_direct_does_not_differ() -> None:
    packages = by_path(package("node_modules/a"))

    assert difference(packages, dict(packages), (), {"node_modules/a"}).counts == {
        "added": 0,
        "removed": 0,
        "updated": 0,
    }
    texts = listings(packages, dict(packages), (), {"node_modules/a"})
    assert texts[0] == texts[1]


def named(path: str, name: str, version: str) -> Package:
    return Package(path=path, name=name, version=version)


def test_a_package_whose_path_holds_the_version_is_updated_too() -> None:
    before = by_path(named("ms@2.0.0", "ms", "2.0.0"), named("a@1.0.0(ms@2.0.0)", "a", "1.0.0"))
    after = by_path(named("ms@2.1.3", "ms", "2.1.3"), named("a@1.0.0(ms@2.1.3)", "a", "1.0.0"))

    differs = difference(before, after, {"ms@2.0.0"}, {"ms@2.1.3"})

    assert differs.updated == [
        {
            "path": "a@1.0.0(ms@2.1.3)",
            "name": "a",
            "direct": False,
            "before": "1.0.0",
            "after": "1.0.0",
            "path_before": "a@1.0.0(ms@2.0.0)",
        },
        {
            "path": "ms@2.1.3",
            "name": "ms",
            "direct": True,
            "before": "2.0.0",
            "after": "2.1.3",
            "path_before": "ms@2.0.0",
        },
    ]
    assert (differs.added, differs.removed) == ([], [])
    assert listings(before, after, {"ms@2.0.0"}, {"ms@2.1.3"}) == (
        "a 1.0.0 (a@1.0.0(ms@2.0.0))\nms 2.0.0 (direct)\n",
        "a 1.0.0 (a@1.0.0(ms@2.1.3))\nms 2.1.3 (direct)\n",
    )


def test_one_of_several_versions_that_goes_is_removed() -> None:
    before = by_path(*(named(f"ms@{version}", "ms", version) for version in ("1.0.0", "2.0.0")))
    after = by_path(*(named(f"ms@{version}", "ms", version) for version in ("2.0.0", "3.0.0", "4.0.0")))

    differs = difference(before, after)

    assert [entry["version"] for entry in differs.removed] == ["1.0.0"]
    assert [entry["version"] for entry in differs.added] == ["3.0.0", "4.0.0"]
    assert differs.updated == []


def test_a_package_in_another_place_is_another_one() -> None:
    before, after = by_path(package("node_modules/a")), by_path(package("node_modules/b/node_modules/a", "2.0.0"))

    assert difference(before, after).counts == {"added": 1, "removed": 1, "updated": 0}


def test_a_package_without_a_version() -> None:
    link = by_path(Package(path="node_modules/a", name="a", version=None))

    assert difference({}, link).added[0]["version"] == ""
    assert listings({}, link) == ("", "node_modules/a -\n")
