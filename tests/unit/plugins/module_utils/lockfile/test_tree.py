# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packages belong on a host, whether an installed tree is the lockfile's, and how two trees differ."""

from __future__ import annotations

import json
import pathlib
import random
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


def some_packages(source: random.Random) -> dict[str, Package]:
    names = source.sample([f"p{number}" for number in range(12)], source.randint(0, 12))
    paths = [source.choice([f"node_modules/{name}", f"node_modules/p0/node_modules/{name}"]) for name in names]
    return {
        path: Package(path=path, name=path.rpartition("/")[2], version=source.choice(["1.0.0", "1.1.0", "2.0.0"]))
        for path in paths
    }


@pytest.mark.parametrize("seed", range(200))
def test_applying_a_difference_to_the_first_gives_the_second(seed: int) -> None:
    source = random.Random(seed)
    before, after = some_packages(source), some_packages(source)

    differs = difference(before, after)

    result = {path: package.version for path, package in before.items()}
    for entry in differs.removed:
        assert result.pop(entry["path"]) == entry["version"]
    for entry in differs.updated:
        assert result[entry["path"]] == entry["before"]
        result[entry["path"]] = entry["after"]
    for entry in differs.added:
        assert entry["path"] not in result
        result[entry["path"]] = entry["version"]
    assert result == {path: package.version for path, package in after.items()}
    texts = listings(before, after)
    assert (texts[0] == texts[1]) is (not (differs.added or differs.removed or differs.updated))


def test_a_package_with_another_content_is_updated() -> None:
    old, new = (Package(path="node_modules/a", name="a", version="1.0.0", integrity=value) for value in ("x", "y"))

    assert difference({old.path: old}, {new.path: new}).updated == [
        {"path": "node_modules/a", "name": "a", "direct": False, "before": "1.0.0", "after": "1.0.0"}
    ]
