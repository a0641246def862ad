# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""npm's lockfiles with workspaces, links, archives, aliases and bundles: as npm recorded them, and as nobody should."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Lockfile, Source
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.npm import parse_lockfile
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.policy import Policy, policy_problems
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.reader import checked_project
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.tree import (
    Target,
    disagreements,
    expected_packages,
)

FIXTURES = pathlib.Path(__file__).parent / "fixtures"
PROJECT = FIXTURES / "npm-workspaces"
HERE = Target(cpu="x64", libc="glibc", node="20.20.2", npm="11.19.1")
ALLOWED = Policy(allow_sources=("lib", "local"))
HASH = "sha512-" + "A" * 86 + "=="


@pytest.fixture
def lockfile() -> Lockfile:
    return parse_lockfile((PROJECT / "package-lock.json").read_bytes(), "package-lock.json")


def made(packages: dict[str, t.Any], overrides: dict[str, t.Any] | None = None, **root: t.Any) -> Lockfile:
    content = json.dumps({"lockfileVersion": 3, "packages": {"": root, **packages}}).encode()
    return parse_lockfile(content, "package-lock.json", overrides=overrides)


def changed(change: t.Callable[[dict[str, t.Any]], object]) -> bytes:
    """The recorded lockfile with a change to its packages."""
    value = json.loads((PROJECT / "package-lock.json").read_text())
    change(value["packages"])
    return json.dumps(value).encode()


def test_a_recorded_project_is_good_with_what_it_needs_allowed() -> None:
    project = checked_project(str(PROJECT), policy=ALLOWED)

    assert project is not None
    assert list(project.manifests) == ["", "packages/api", "packages/web"]
    assert project.files == (
        "package.json",
        "packages/api/package.json",
        "packages/web/package.json",
        "package-lock.json",
    )


def test_what_is_not_from_a_registry_is_told_once() -> None:
    with pytest.raises(ApphostError) as caught:
        checked_project(str(PROJECT))

    assert caught.value.what == (
        "lib is a link to the folder lib; local@1.0.0 comes from a local archive, file:vendor/local-1.0.0.tgz"
    )


def test_projects_and_what_they_ask_for(lockfile: Lockfile) -> None:
    assert list(lockfile.projects) == ["", "packages/api", "packages/web"]
    assert lockfile.projects["packages/web"].dependencies == {
        "@isaacs/cliui": "^8.0.2",
        "@shop/api": "^1.0.0",
        "ms": "2.0.0",
    }
    assert set(lockfile.needs) == {
        "node_modules/lib",
        "node_modules/local",
        "node_modules/debug",
        "node_modules/@isaacs/cliui",
        "node_modules/ms",
        "node_modules/@shop/api",
        "node_modules/@shop/web",
        "packages/api",
        "packages/web",
    }
    assert lockfile.wants == ("node_modules/fsevents",)
    assert lockfile.direct == {*lockfile.needs, *lockfile.wants}


def test_sources(lockfile: Lockfile) -> None:
    by_source: dict[str, list[str]] = {}
    for path, package in lockfile.packages.items():
        by_source.setdefault(package.source, []).append(path)

    assert len(by_source.pop(Source.REGISTRY)) == len(lockfile.packages) - 7
    assert by_source == {
        Source.LINK: ["lib", "node_modules/lib"],
        Source.WORKSPACE: ["node_modules/@shop/api", "node_modules/@shop/web", "packages/api", "packages/web"],
        Source.FILE: ["node_modules/local"],
    }
    web = lockfile.packages["packages/web"]
    assert (web.name, web.version, web.needs) == (
        "@shop/web",
        "1.2.0",
        ("node_modules/@isaacs/cliui", "node_modules/@shop/api", "node_modules/ms"),
    )
    assert lockfile.packages["node_modules/@shop/web"].needs == ("packages/web",)
    assert lockfile.packages["node_modules/debug"].needs == ("node_modules/debug/node_modules/ms",)
    assert lockfile.packages["node_modules/debug"].license == "MIT"


def test_what_npm_installed_is_what_is_expected(lockfile: Lockfile) -> None:
    content = (PROJECT / "hidden-lockfile.json").read_bytes()
    installed = parse_lockfile(content, "hidden", hidden=True).packages
    projects = {path for path, package in lockfile.packages.items() if package.source == Source.WORKSPACE}

    assert disagreements(lockfile, installed, HERE) == []
    assert set(expected_packages(lockfile, HERE)) == set(installed) - projects
    del installed["node_modules/@shop/web"]
    assert disagreements(lockfile, installed, HERE) == ["node_modules/@shop/web is missing"]


def test_a_new_version_of_a_workspace_keeps_the_digest(lockfile: Lockfile) -> None:
    def digest(change: t.Callable[[dict[str, t.Any]], object]) -> str:
        return parse_lockfile(changed(change), "x").digest

    assert digest(lambda packages: packages["packages/web"].update(version="9.9.9")) == lockfile.digest
    assert digest(lambda packages: packages["packages/web"]["dependencies"].update(ms="2.0.1")) != lockfile.digest
    assert digest(lambda packages: packages["packages/web"]["bin"].update(shop="./shop.js")) != lockfile.digest
    assert digest(lambda packages: packages["node_modules/ms"].update(version="2.0.1")) != lockfile.digest


def test_a_folder_is_found_from_a_workspace_outwards() -> None:
    packages = made(
        {
            "a/b": {"dependencies": {"inner": "1", "middle": "1", "outer": "1"}},
            "a/b/node_modules/inner": {"dependencies": {"middle": "1"}},
            "a/node_modules/middle": {},
            "node_modules/inner": {},
            "node_modules/middle": {},
            "node_modules/outer": {},
        },
        workspaces=["a/*"],
    ).packages

    assert packages["a/b"].needs == ("a/b/node_modules/inner", "a/node_modules/middle", "node_modules/outer")
    assert packages["a/b/node_modules/inner"].needs == ("a/node_modules/middle",)


def test_recorded_aliases_are_asked_for(lockfile: Lockfile) -> None:
    aliases = {package.name: package.real_name for package in lockfile.packages.values() if package.real_name}

    assert aliases == {"string-width-cjs": "string-width", "strip-ansi-cjs": "strip-ansi", "wrap-ansi-cjs": "wrap-ansi"}


def test_an_alias_that_nobody_asks_for() -> None:
    # npm ci installs this without a word: the version fits.
    address = "https://registry.npmjs.org/evil/-/evil-2.0.0.tgz"
    disguised = {"name": "evil", "version": "2.0.0", "integrity": HASH, "resolved": address}

    with pytest.raises(ApphostError) as caught:
        parse_lockfile(changed(lambda packages: packages["node_modules/ms"].update(disguised)), "package-lock.json")

    assert caught.value.message == (
        'package-lock.json: packages["node_modules/ms"] is the package evil under another name, which nobody asks for. '
        "Run npm install with a current npm and commit the lockfile."
    )


def test_an_alias_is_asked_for_by_somebody_or_an_override() -> None:
    entry = {"node_modules/a": {"name": "b", "version": "1.0.0"}}

    for asked in ("npm:b", "npm:b@^1.0.0"):
        assert made(entry, dependencies={"a": asked}).packages["node_modules/a"].real_name == "b"
    assert made(entry, devDependencies={"a": "npm:b@1"})
    assert made(entry, {"c": {"a": "npm:b@1"}}, dependencies={"a": "^1.0.0"})
    # Of two who ask, one got the other's.
    other = {"node_modules/c": {"dependencies": {"a": "^1.0.0"}}}
    assert made({**entry, **other}, dependencies={"a": "npm:b@1", "c": "1"})
    for asked in ("^1.0.0", "npm:bb@1", "npm:c@1", "npm:@x/b@1"):
        with pytest.raises(ApphostError, match="is the package b under another name"):
            made(entry, dependencies={"a": asked})
    with pytest.raises(ApphostError, match="is the package b under another name"):
        made(entry)


def test_what_a_package_brings_in_its_archive_is_known() -> None:
    lockfile = parse_lockfile((FIXTURES / "package-lock-bundles.json").read_bytes(), "package-lock.json")
    sources = [package.source for package in lockfile.packages.values()]

    assert sources == [Source.REGISTRY, *[Source.BUNDLED] * 6]
    assert policy_problems(lockfile, Policy()) == []


@pytest.mark.parametrize("names", [["b"], True])
def test_what_is_bundled_is_decided_by_who_bundles(names: t.Any) -> None:
    inside = {"version": "1.0.0", "inBundle": True}
    entry = {"version": "1.0.0", "integrity": HASH, "dependencies": {"b": "1"}, "bundleDependencies": names}
    packages = {
        "node_modules/a": entry,
        "node_modules/a/node_modules/b": {**inside, "dependencies": {"c": "1", "d": "1"}},
        "node_modules/a/node_modules/b/node_modules/c": inside,
        # Found further up: it comes from the registry, whatever the lockfile says.
        "node_modules/d": inside,
        # Nobody in the archive asks for it.
        "node_modules/a/node_modules/e": inside,
        # What has an address or a hash is fetched.
        "node_modules/a/node_modules/b/node_modules/f": {**inside, "integrity": HASH},
    }
    bundled = [p.path for p in made(packages).packages.values() if p.source == Source.BUNDLED]

    assert bundled == ["node_modules/a/node_modules/b", "node_modules/a/node_modules/b/node_modules/c"]


def test_a_workspace_bundles_nothing() -> None:
    entry = {"version": "1.0.0", "inBundle": True}
    packages = {"web": {"bundleDependencies": ["a"], "dependencies": {"a": "1"}}, "web/node_modules/a": entry}

    assert made(packages, workspaces=["web"]).packages["web/node_modules/a"].source == Source.REGISTRY


def test_the_project_bundles_nothing() -> None:
    lockfile = made({"node_modules/a": {"version": "1.0.0", "inBundle": True}}, bundleDependencies=["a"])

    assert lockfile.packages["node_modules/a"].source == Source.REGISTRY
