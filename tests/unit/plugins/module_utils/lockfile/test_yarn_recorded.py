# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lockfiles that yarn wrote, beside the trees that yarn installed from them."""

from __future__ import annotations

import copy
import json
import pathlib
import random
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile import yarn_berry, yarn_classic
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Format, Lockfile, Manifest, Source
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.packagejson import parse_manifest
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.tree import Target, expected_packages

FIXTURES = pathlib.Path(__file__).parent / "fixtures" / "yarn"
RECORDED = sorted(folder.name for folder in FIXTURES.iterdir())
BERRY = [name for name in RECORDED if not name.endswith("-1.22.22")]
HOST = Target(cpu="x64", libc="glibc", node="20.20.2", npm="11.19.1")


def format_of(name: str) -> Format:
    return yarn_berry.FORMAT if name in BERRY else yarn_classic.FORMAT


def manifests_of(name: str, change: t.Callable[[dict[str, t.Any]], object] | None = None) -> dict[str, Manifest]:
    manifests = json.loads((FIXTURES / name / "manifests.json").read_text())
    if change:
        change(manifests)
    return {folder: parse_manifest(json.dumps(value).encode(), folder) for folder, value in manifests.items()}


def read(name: str, manifests: dict[str, Manifest] | None = None) -> Lockfile:
    manifests = manifests_of(name) if manifests is None else manifests
    return format_of(name).parse((FIXTURES / name / "yarn.lock").read_bytes(), "app/yarn.lock", manifests)


def installed(name: str) -> set[tuple[str, str]]:
    """Names and versions in the tree; a link to a folder that is no workspace has its name alone."""
    tree: dict[str, str] = json.loads((FIXTURES / name / "installed.json").read_text())
    return {
        (path.rpartition("node_modules/")[2], "" if version.startswith("-> ") else version)
        for path, version in tree.items()
        if not version.startswith("-> packages/")
    }


def expected(lockfile: Lockfile) -> dict[tuple[str, str], bool]:
    """The same of what is expected, and whether it is optional."""
    return {
        (package.name, "" if (package.resolved or "").startswith("link:") else package.version or ""): package.optional
        for package in expected_packages(lockfile, HOST).values()
    }


@pytest.mark.parametrize("name", RECORDED)
def test_the_manifests_are_in_step(name: str) -> None:
    manifests = manifests_of(name)

    assert format_of(name).in_step(read(name, manifests), manifests) == []


@pytest.mark.parametrize("name", [name for name in BERRY if not name.endswith("2.4.2")] + ["exotic-1.22.22"])
def test_what_is_expected_is_what_was_installed(name: str) -> None:
    assert set(expected(read(name))) == installed(name)


@pytest.mark.parametrize("name", ["workspaces-1.22.22", "workspaces-2.4.2"])
def test_without_platforms_in_the_lockfile_only_optional_packages_are_expected_in_vain(name: str) -> None:
    found = expected(read(name))
    # Yarn 2 puts a package with an alias into itself, under its own name.
    there = installed(name) - {("ms", "2.0.0")}

    assert there <= set(found)
    in_vain = set(found) - there
    assert ("fsevents", "2.3.3") in in_vain
    assert all(found[package] for package in in_vain)


@pytest.mark.parametrize("name", RECORDED)
def test_development_stays_away(name: str) -> None:
    lockfile = read(name)
    dev = {(package.name, package.version or "") for package in lockfile.packages.values() if package.dev}

    if name == "exotic-1.22.22":
        # The answer to a resolution that applies to nobody counts as development: yarn does not install it.
        assert dev == {("typescript", "5.9.3"), ("picomatch", "2.3.0")}
    else:
        assert {known for known, _version in dev} == (
            {"ws", "left-pad"} if name.startswith("workspaces") else {"typescript"}
        )
    assert dev.isdisjoint(expected(lockfile))


@pytest.mark.parametrize("name", [name for name in BERRY if name.startswith("exotic")])
def test_the_original_of_a_patch_for_development_is_for_development(name: str) -> None:
    flags = {known.path[:17]: known.dev for known in read(name).packages.values() if known.name == "typescript"}

    assert flags == {"typescript@patch:": True, "typescript@npm:5.": True}


@pytest.mark.parametrize("name", RECORDED)
def test_who_asks_for_what_directly(name: str) -> None:
    lockfile = read(name)

    def names(paths: t.Iterable[str]) -> set[str]:
        return {lockfile.packages[path].name for path in paths}

    if name.startswith("workspaces"):
        own = {"@recorded/lib", "@recorded/web"}
        assert names(lockfile.needs) == {"chokidar", "debug", "ms", "ms-old", "semver", "sharp"} | own
        assert names(lockfile.wants) == {"fsevents", "is-odd"}
        web = next(package for package in lockfile.packages.values() if package.name == "@recorded/web")
        assert (web.source, web.resolved, web.version) == (Source.WORKSPACE, "packages/web", "1.0.0")
        assert (names(web.needs), names(web.wants)) == ({"@recorded/lib", "ms"}, {"fsevents", "is-odd"})
        # Yarn 2 and later patch this one by themselves.
        assert any(path.startswith("fsevents@patch:") for path in web.wants) == (name in BERRY)
    else:
        assert {"@x/lib", "@x/web", "debug", "ms", "ms-two", "padded", "tiny-git"} <= names(lockfile.needs)
        assert lockfile.wants == ()


@pytest.mark.parametrize("name", [name for name in RECORDED if name.startswith("exotic")])
def test_where_packages_come_from(name: str) -> None:
    packages = {package.name: package for package in read(name).packages.values() if not package.optional}
    berry = name in BERRY

    assert {known.name: known.source for known in packages.values() if known.source != Source.REGISTRY} == {
        "filed": Source.FILE,
        "folder": Source.LINK,
        "linked": Source.LINK,
        "padded": Source.ADDRESS,
        "tiny-git": Source.GIT,
        "@x/lib": Source.WORKSPACE,
        "@x/web": Source.WORKSPACE,
        **({"portaled": Source.LINK} if berry else {}),
    }
    commit = "bd612f737550e40edfcbf93192aa655b7f980155"
    assert (packages["tiny-git"].resolved or "").endswith(
        f"tiny.git#commit={commit}" if berry else f"tiny.git#{commit}"
    )
    assert packages["filed"].resolved == ("vendor/filed.tgz" if berry else "file:./vendor/filed.tgz")
    assert packages["linked"].resolved == ("vendor/linked" if berry else "link:./vendor/linked")
    assert (packages["ms-two"].real_name, packages["ms-two"].version) == ("ms", "2.1.3")
    assert packages["ms"].real_name is None
    assert packages["ms"].integrity == packages["ms-two"].integrity


@pytest.mark.parametrize("name", [name for name in BERRY if name.startswith("exotic")])
def test_a_patched_package_is_installed_and_its_original_only_fetched(name: str) -> None:
    lockfile = read(name)
    patched, original = (
        next(known for known in lockfile.packages.values() if known.path.startswith(f"is-odd@{start}"))
        for start in ("patch:", "npm:3")
    )

    assert (patched.optional, original.optional, patched.dev, original.dev) == (False, True, False, False)
    assert patched.path in expected_packages(lockfile, HOST)
    assert original.path not in expected_packages(lockfile, HOST)
    assert patched.integrity != original.integrity


@pytest.mark.parametrize("name", [name for name in RECORDED if name.startswith("workspaces")])
def test_platforms_and_hashes(name: str) -> None:
    packages = read(name).packages
    sharp = next(known for known in packages.values() if known.name == "sharp")
    musl = next(known for known in packages.values() if known.name == "@img/sharp-linuxmusl-x64")

    assert (sharp.optional, musl.optional) == (False, True)
    assert {packages[path].name for path in sharp.needs} == {"@img/colour", "detect-libc", "semver"}
    assert musl.path in sharp.wants
    assert (sharp.integrity or "").startswith("sha512-")
    if name in ("workspaces-1.22.22", "workspaces-2.4.2"):
        assert (musl.os, musl.cpu, musl.libc) == ((), (), ())
        assert (musl.integrity or "").startswith("sha512-")
    else:
        assert (musl.os, musl.cpu, musl.libc) == (("linux",), ("x64",), ("musl",))
        assert musl.integrity is None


def test_the_formats_own_versions() -> None:
    versions = {name: read(name).format for name in RECORDED if name.startswith("workspaces")}

    assert versions == {
        "workspaces-1.22.22": "1",
        "workspaces-2.4.2": "4",
        "workspaces-3.8.7": "6",
        "workspaces-4.0.0": "8",
        "workspaces-4.18.1": "10",
    }


@pytest.mark.parametrize("name", [name for name in BERRY if name.startswith("workspaces")])
def test_what_the_lockfile_was_made_for(name: str) -> None:
    projects = read(name).projects

    assert list(projects) == ["packages/lib", "packages/web", ""]
    assert projects[""].dependencies == {
        "chokidar": "^3.6.0",
        "debug": "^4.4.0",
        "ms-old": "npm:ms@2.0.0",
        "sharp": "^0.34.0",
    }
    assert projects[""].dev == {"ws": "^8.18.0"}
    assert projects["packages/web"].optional == {"fsevents": "~2.3.2", "is-odd": "^3.0.0"}


@pytest.mark.parametrize("name", RECORDED)
def test_without_manifests_everything_is_for_production(name: str) -> None:
    lockfile = read(name, {})

    assert not any(package.dev for package in lockfile.packages.values())


@pytest.mark.parametrize("name", [name for name in RECORDED if name.startswith("workspaces")])
@pytest.mark.parametrize(
    ("folder", "kind", "asked", "where"),
    [
        ("", "dependencies", "debug", "package.json asks debug ^9.0.0"),
        ("", "devDependencies", "ws", "package.json asks ws ^9.0.0 (devDependencies)"),
        ("packages/lib", "dependencies", "semver", "packages/lib/package.json asks semver ^9.0.0"),
        ("packages/web", "optionalDependencies", "is-odd", "packages/web/package.json asks is-odd ^9.0.0 (optional"),
        ("packages/web", "dependencies", "added", "packages/web/package.json asks added ^9.0.0"),
    ],
)
def test_a_manifest_that_asks_for_something_else(name: str, folder: str, kind: str, asked: str, where: str) -> None:
    manifests = manifests_of(name, lambda known: known[folder][kind].update({asked: "^9.0.0"}))

    problems = format_of(name).in_step(read(name, manifests), manifests)

    assert len(problems) == 1
    assert problems[0].startswith(where)
    assert "yarn.lock was made" in problems[0]


@pytest.mark.parametrize("name", [name for name in RECORDED if name.startswith("workspaces")])
def test_another_resolution(name: str) -> None:
    manifests = manifests_of(name, lambda known: known[""].update(resolutions={"picomatch": "2.3.0"}))

    problems = format_of(name).in_step(read(name, manifests), manifests)

    assert problems
    assert all("picomatch" in problem for problem in problems)


@pytest.mark.parametrize("name", [name for name in BERRY if name.startswith("workspaces")])
def test_no_resolution_any_more(name: str) -> None:
    manifests = manifests_of(name, lambda known: known[""].pop("resolutions"))

    problems = format_of(name).in_step(read(name, manifests), manifests)

    assert problems[0] == "yarn.lock has no entry for picomatch@^2.0.4, which anymatch@3.1.3 needs"


@pytest.mark.parametrize("name", [name for name in BERRY if name.startswith("workspaces")])
def test_workspaces_come_and_go(name: str) -> None:
    def change(known: dict[str, t.Any]) -> None:
        known["packages/new"] = copy.deepcopy(known.pop("packages/lib"))

    manifests = manifests_of(name, change)

    assert format_of(name).in_step(read(name, manifests), manifests)[:2] == [
        "yarn.lock was made without the workspace packages/new",
        "yarn.lock was made for a workspace packages/lib, which is not there",
    ]


@pytest.mark.parametrize("name", RECORDED)
def test_the_digest_does_not_change_with_a_projects_version(name: str) -> None:
    manifests = manifests_of(name, lambda known: known[""].update(version="9.9.9"))

    assert read(name, manifests).digest == read(name).digest
    assert len({read(other).digest for other in RECORDED}) == len(RECORDED)


#: What may do harm where it does not belong.
SCRAPS = [
    *(
        b'"',
        b":",
        b"@",
        b"../",
        b"/",
        b"\\",
        b"\n",
        b"  ",
        b", ",
        b"#",
        b"%2F",
        b"::",
        b"& ",
        b"(",
        b" | ",
        b"- ",
        b"? ",
    ),
    *(
        b"\x00",
        b"\xff",
        b"patch:",
        b"npm:",
        b"workspace:",
        b"catalog:",
        b"link:",
        b"file:",
        b"locator=",
        b"<<<<<<< x\n",
    ),
]


@pytest.mark.parametrize("name", RECORDED)
def test_a_mutilated_lockfile_is_refused_in_words_or_makes_sense(name: str) -> None:
    chance = random.Random(name)
    manifests = manifests_of(name)
    whole = (FIXTURES / name / "yarn.lock").read_bytes()
    refused: list[str] = []
    for _time in range(60):
        content = bytearray(whole)
        for _cut in range(chance.randint(1, 3)):
            at = chance.randrange(len(content))
            content[at : at + chance.choice([0, 0, 1, 30])] = chance.choice(SCRAPS)
        try:
            lockfile = format_of(name).parse(bytes(content), "app/yarn.lock", manifests)
        except ApphostError as error:
            refused.append(error.message)
            continue
        format_of(name).in_step(lockfile, manifests)
        known = set(lockfile.packages)
        for package in lockfile.packages.values():
            assert {*package.needs, *package.wants} <= known
            assert ".." not in package.name.split("/")
        assert lockfile.direct <= known
    assert 10 < len(refused) < 60
    assert all(message.startswith("app/yarn.lock: ") for message in refused)
