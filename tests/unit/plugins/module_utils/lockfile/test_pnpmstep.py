# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a pnpm-lock.yaml is for the manifests and settings that are there.

What pnpm takes and refuses here is what ``pnpm install --frozen-lockfile --lockfile-only`` said to the same changes on
2026-11-21, in the versions that are named.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Manifest
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.packagejson import parse_manifest
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pnpm import parse_lockfile
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pnpmstep import in_step
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pnpmworkspace import WORKSPACE_FILE

from tests.unit.plugins.module_utils.lockfile.pnpm_examples import (
    FIXTURES,
    entry,
    lock,
    manifest,
    parsed,
    recorded,
    recorded_lockfile,
    recorded_manifests,
)

Change = t.Callable[[dict[str, t.Any]], t.Any]
ALL = ("pnpm8", "pnpm9", "pnpm10", "pnpm12")


def changed(case: str, change: Change) -> dict[str, Manifest]:
    """The manifests of a case after a change of ``{file: content}``; the settings are ``settings``."""
    files: dict[str, t.Any] = {"package.json": json.loads(recorded(f"{case}/package.json"))}
    for file in (FIXTURES / case).glob("packages-*.json"):
        files[file.stem.replace("-", "/", 1)] = json.loads(file.read_bytes())
    known = recorded_manifests(case)[""].deciding.get(WORKSPACE_FILE)
    files["settings"] = copy.deepcopy(known)
    change(files)
    own = parse_manifest(json.dumps(files.pop("package.json")).encode(), "app/package.json")
    settings = files.pop("settings")
    if settings is not None:
        own = dataclasses.replace(own, deciding={**own.deciding, WORKSPACE_FILE: settings})
    others = {folder: parse_manifest(json.dumps(value).encode(), folder) for folder, value in sorted(files.items())}
    return {"": own, **others}


def problems(case: str, change: Change) -> list[str]:
    manifests = changed(case, change)
    content = recorded(f"{case}/lockfile")
    return [str(problem) for problem in in_step(parse_lockfile(content, "app/pnpm-lock.yaml", manifests), manifests)]


def dependencies(**more: str) -> Change:
    return lambda files: files["package.json"]["dependencies"].update(more)


def package_json(**more: t.Any) -> Change:
    return lambda files: files["package.json"].update(more)


def settings(**more: t.Any) -> Change:
    return lambda files: files.update(settings={**(files["settings"] or {}), **more})


def moved(name: str, source: str, target: str) -> Change:
    def change(files: dict[str, t.Any]) -> None:
        own = files["package.json"]
        own[target][name] = own[source].pop(name)

    return change


def without(*keys: str) -> Change:
    def change(files: dict[str, t.Any]) -> None:
        value = files
        for key in keys[:-1]:
            value = value[key]
        del value[keys[-1]]

    return change


@pytest.mark.parametrize("case", sorted(f"{folder.parent.name}/{folder.name}" for folder in FIXTURES.glob("*/pnpm*")))
def test_what_pnpm_recorded_is_in_step(case: str) -> None:
    lockfile = recorded_lockfile(case)

    assert in_step(lockfile, recorded_manifests(case)) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (dependencies(debug="^4.3.0"), "package.json asks debug ^4.3.0, pnpm-lock.yaml was made for ^4.4.0"),
        (dependencies(new="1.0.0"), "package.json asks new 1.0.0, pnpm-lock.yaml was made without it"),
        (
            without("package.json", "dependencies", "debug"),
            "package.json does not ask debug, pnpm-lock.yaml was made for ^4.4.0",
        ),
        (
            without("package.json", "devDependencies", "ws"),
            "package.json does not ask ws (devDependencies), pnpm-lock.yaml was made for ^8.18.0",
        ),
        (moved("debug", "dependencies", "devDependencies"), "package.json does not ask debug"),
        (moved("debug", "dependencies", "optionalDependencies"), "package.json does not ask debug"),
        (
            lambda files: files["package.json"]["optionalDependencies"].update(debug="^4.4.0"),
            "package.json does not ask debug",
        ),
        (package_json(peerDependencies={"new": "*"}), "package.json asks new *, pnpm-lock.yaml was made without it"),
        (
            package_json(peerDependencies={"new": "*"}, peerDependenciesMeta={"new": {"optional": True}}),
            "package.json asks new *",
        ),
        (
            package_json(dependenciesMeta={"debug": {"injected": True}}),
            "package.json has other dependenciesMeta than pnpm-lock.yaml was made for",
        ),
        (settings(overrides={"ms": "2.0.0"}), "pnpm-lock.yaml was made with other overrides (ms: none)"),
        (settings(overrides={"ms": "-"}), "pnpm-lock.yaml was made with other overrides (ms: none)"),
        (settings(overrides={"react": "$react"}), "pnpm-lock.yaml was made with other overrides (react: none)"),
        (settings(autoInstallPeers=False), "pnpm-lock.yaml was made with autoInstallPeers: true"),
        (settings(excludeLinksFromLockfile=True), "pnpm-lock.yaml was made with excludeLinksFromLockfile: false"),
        (
            settings(packageExtensions={"debug@4": {"dependencies": {"a": "1"}}}),
            "pnpm-lock.yaml was made with other packageExtensions",
        ),
        (settings(patchedDependencies={"debug": "x"}), "pnpm-lock.yaml was made with other patchedDependencies"),
    ],
)
@pytest.mark.parametrize("pnpm", ["pnpm8", "pnpm10", "pnpm12"])
def test_what_every_pnpm_refuses(change: Change, expected: str, pnpm: str) -> None:
    found = problems(f"single/{pnpm}", change)

    assert found and found[0].startswith(expected)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (settings(ignoredOptionalDependencies=["fsevents"]), "package.json does not ask fsevents"),
        (settings(ignoredOptionalDependencies=["x"]), "pnpm-lock.yaml was made with other ignoredOptionalDependencies"),
        (settings(injectWorkspacePackages=True), "pnpm-lock.yaml was made with injectWorkspacePackages: false"),
        (settings(peersSuffixMaxLength=100), "pnpm-lock.yaml was made with peersSuffixMaxLength: 1000"),
    ],
)
def test_what_pnpm_refuses_since_it_records_it(change: Change, expected: str) -> None:
    assert problems("single/pnpm10", change)[0].startswith(expected)


@pytest.mark.parametrize(
    "change",
    [
        lambda _files: None,
        package_json(version="9.9.9", name="other", engines={"node": ">=1"}, scripts={"x": "y"}, dependenciesMeta={}),
        lambda files: files["package.json"]["devDependencies"].update(debug="^4.4.0"),
        lambda files: files["package.json"]["devDependencies"].update(debug="^3"),
        package_json(peerDependencies={"debug": "*"}),
        settings(catalog={"ms": "2.0.0"}, hoist=False, nodeLinker="hoisted", packages=["nothing/*"]),
        settings(autoInstallPeers=True, excludeLinksFromLockfile=False),
    ],
)
@pytest.mark.parametrize("pnpm", ["pnpm8", "pnpm10", "pnpm12"])
def test_what_every_pnpm_takes(change: Change, pnpm: str) -> None:
    assert problems(f"single/{pnpm}", change) == []


def test_settings_in_package_json_count_up_to_pnpm_10() -> None:
    for key in ({"pnpm": {"overrides": {"ms": "2.0.0"}}}, {"resolutions": {"ms": "2.0.0"}}):
        assert problems("single/pnpm10", package_json(**key, packageManager="pnpm@10.34.9")) == [
            "pnpm-lock.yaml was made with other overrides (ms: none)"
        ]
        assert problems("single/pnpm10", package_json(**key, packageManager="pnpm@11.28.11+sha512.00")) == []
        # It is not known which pnpm it was.
        assert problems("single/pnpm10", package_json(**key)) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda files: files["settings"]["catalog"].update(debug="^4.3.0"),
            "pnpm-lock.yaml was made with debug ^4.4.0 in the catalog default, pnpm-workspace.yaml has ^4.3.0",
        ),
        (
            without("settings", "catalog", "debug"),
            "pnpm-lock.yaml was made with debug ^4.4.0 in the catalog default, pnpm-workspace.yaml has none",
        ),
        (
            lambda files: files["settings"]["catalogs"]["old"].update(ms="2.1.3"),
            "pnpm-lock.yaml was made with ms 2.0.0 in the catalog old, pnpm-workspace.yaml has 2.1.3",
        ),
        (without("settings", "overrides"), "pnpm-lock.yaml was made with other overrides (is-number: 7.0.0)"),
        (
            lambda files: files["settings"]["overrides"].update({"is-number": "6.0.0"}),
            "pnpm-lock.yaml was made with other overrides (is-number: 7.0.0)",
        ),
        (without("settings", "patchedDependencies"), "pnpm-lock.yaml was made with other patchedDependencies"),
        (
            settings(patchedDependencies={"is-odd@3.0.1": "patches/x.patch"}),
            "pnpm-lock.yaml was made with other patchedDependencies",
        ),
        (without("settings", "packageExtensions"), "pnpm-lock.yaml was made with other packageExtensions"),
        (
            without("settings", "ignoredOptionalDependencies"),
            "pnpm-lock.yaml was made with other ignoredOptionalDependencies",
        ),
        (lambda files: files.update(settings=None), "pnpm-lock.yaml was made with other overrides"),
    ],
)
@pytest.mark.parametrize("pnpm", ["pnpm10", "pnpm12"])
def test_settings_of_a_workspace(change: Change, expected: str, pnpm: str) -> None:
    assert problems(f"workspaces/{pnpm}", change)[0].startswith(expected)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda files: files["packages/api"]["dependencies"].update({"is-even": "1.0.0"}),
            "packages/api/package.json asks is-even 1.0.0, pnpm-lock.yaml was made for ^1.0.0",
        ),
        (
            lambda files: files["packages/api"]["dependencies"].update({"@shop/lib": "workspace:^"}),
            "packages/api/package.json asks @shop/lib workspace:^, pnpm-lock.yaml was made for workspace:*",
        ),
        (
            without("packages/tools", "dependenciesMeta"),
            "packages/tools/package.json has other dependenciesMeta than pnpm-lock.yaml was made for",
        ),
        (
            lambda files: files.update({"packages/new": {"dependencies": {"ms": "2.0.0"}}}),
            "packages/new/package.json asks ms 2.0.0, pnpm-lock.yaml was made without it",
        ),
        # pnpm itself installs, and leaves a link to nowhere.
        (without("packages/api"), "package.json asks @shop/api, whose folder packages/api is not there"),
    ],
)
@pytest.mark.parametrize("pnpm", ALL)
def test_projects_of_a_workspace(change: Change, expected: str, pnpm: str) -> None:
    assert problems(f"workspaces/{pnpm}", change) == [expected]


@pytest.mark.parametrize("pnpm", ALL)
def test_what_does_not_matter_in_a_workspace(pnpm: str) -> None:
    case = f"workspaces/{pnpm}"

    # Nobody who is installed links to it.
    assert problems(case, without("packages/tools")) == []
    assert problems(case, lambda files: files.update({"packages/new": {"name": "new"}})) == []
    assert problems(case, lambda files: files["packages/lib"].update(version="9.0.0")) == []
    assert problems(case, settings(catalogs={"more": {"zzz": "1"}, "old": {"ms": "2.0.0"}})) == []


@pytest.mark.parametrize("wanted", ["^4.4.0", "catalog:default"])
def test_catalogs_are_asked_by_their_name(wanted: str) -> None:
    found = problems("workspaces/pnpm10", lambda files: files["packages/api"]["dependencies"].update(debug=wanted))

    assert found == [f"packages/api/package.json asks debug {wanted}, pnpm-lock.yaml was made for catalog:"]


def test_a_lockfile_whose_versions_are_beside_their_ranges() -> None:
    def found(wanted: str, version: str, **more: t.Any) -> list[str]:
        content = lock({f"a@{version}": entry()}, {"a": (wanted, version)}, **more)
        manifests = {"": manifest({"dependencies": {"a": wanted}}, {"catalog": {"a": "^1.0.0"}})}
        return [str(problem) for problem in in_step(parsed(content, manifests), manifests)]

    assert found("^1.0.0", "1.2.3") == []
    assert found("^1.0.0", "2.0.0") == ["pnpm-lock.yaml has a 2.0.0 for package.json, which asks ^1.0.0"]
    catalogs = {"default": {"a": {"specifier": "^1.0.0", "version": "2.0.0"}}}
    assert found("catalog:", "2.0.0", catalogs=catalogs) == [
        "pnpm-lock.yaml has a 2.0.0 for package.json, which asks catalog:"
    ]
    # What a range means for them is a matter of its own.
    assert found("^1.0.0", "2.0.0-rc.1") == []
    assert found("latest", "2.0.0") == []


def test_no_other_package_stands_in_for_one_that_nobody_calls_so() -> None:
    def found(wanted: str) -> list[str]:
        content = lock({"evil@1.2.3": entry()}, {"a": (wanted, "evil@1.2.3")})
        manifests = {"": manifest({"dependencies": {"a": wanted}}, {})}
        return [str(problem) for problem in in_step(parsed(content, manifests), manifests)]

    assert found("^1.0.0") == ["pnpm-lock.yaml has a evil@1.2.3 for package.json, which asks ^1.0.0"]
    assert found("npm:good@^1.0.0") == ["pnpm-lock.yaml has a evil@1.2.3 for package.json, which asks npm:good@^1.0.0"]
    assert found("npm:evil@^1.0.0") == []


def test_overrides_change_what_projects_ask_for() -> None:
    def found(overrides: dict[str, str], wanted: str, made_for: str, direct: str = "^1.0.0") -> list[str]:
        recorded_as = {selector: made_for if value == "$b" else value for selector, value in overrides.items()}
        asked = {"a": (made_for, "2.0.0")} if made_for != "-" else {}
        content = lock({"a@2.0.0": entry()}, {**asked, "b": (direct, "b@1.0.0")}, {"a@2.0.0": {}, "b@1.0.0": {}})
        content = content.replace(
            b'"a@2.0.0": {"res', b'"b@1.0.0": {"resolution": {"integrity": "x"}}, "a@2.0.0": {"res'
        )
        value = json.loads(content) | {"overrides": recorded_as}
        own = manifest({"dependencies": {"a": wanted, "b": direct}}, {"overrides": overrides})
        return [str(problem) for problem in in_step(parsed(json.dumps(value).encode(), {"": own}), {"": own})]

    assert found({"a": "2.0.0"}, "^1.0.0", "2.0.0") == []
    assert found({"a@>=1 <2": "2.0.0"}, "^1.0.0", "2.0.0") == []
    assert found({"shop>a": "2.0.0"}, "^1.0.0", "2.0.0") == []
    assert found({"x@1||>2>a@1": "^2.0.0"}, "^1.0.0", "^2.0.0") == []
    assert found({"a": "-"}, "^1.0.0", "-") == []
    assert found({"a": "$b"}, "^1.0.0", "^2.0.0", direct="^2.0.0") == []
    # The project asks for another range of b now.
    content = lock({"a@2.0.0": entry()}, {"a": (">=2", "2.0.0")}, overrides={"a": ">=2"})
    own = manifest({"dependencies": {"a": "1"}, "devDependencies": {"b": "^2.0.0"}}, {"overrides": {"a": "$b"}})
    assert "pnpm-lock.yaml was made with other overrides (a: >=2)" in in_step(parsed(content, {"": own}), {"": own})
    assert found({"b": "2.0.0"}, "^1.0.0", "^2.0.0") == [
        "package.json asks a ^1.0.0, pnpm-lock.yaml was made for ^2.0.0"
    ]


def test_what_packages_are_extended_by() -> None:
    content = lock({"a@1.0.0": entry()}, {"a": ("1.0.0", "1.0.0")}, packageExtensionsChecksum="x")
    extension = {"packageExtensions": {"shop@1": {"dependencies": {"a": "1.0.0"}}}}
    for name, expected in (("shop", []), ("other", ["package.json does not ask a, pnpm-lock.yaml was made for 1.0.0"])):
        manifests = {"": manifest({"name": name}, extension)}
        assert in_step(parsed(content, manifests), manifests) == expected


def test_ignored_optional_dependencies_are_patterns() -> None:
    content = lock(ignoredOptionalDependencies=["@s/*", "!@s/kept", "a*b*c", "x-y*y-z"])
    for name, ignored in (
        ("@s/a", True),
        ("@s/kept", False),
        ("abc", True),
        ("aXbYc", True),
        ("acb", False),
        ("x-y-y-z", True),
        ("x-y-z", False),
        ("s", False),
    ):
        settings_now = {"ignoredOptionalDependencies": ["x-y*y-z", "a*b*c", "@s/*", "!@s/kept"]}
        manifests = {"": manifest({"optionalDependencies": {name: "1"}}, settings_now)}
        assert (in_step(parsed(content, manifests), manifests) == []) == ignored
    content = lock(ignoredOptionalDependencies=["*a" * 50 + "b"])
    manifests = {
        "": manifest({"optionalDependencies": {"a" * 200: "1"}}, {"ignoredOptionalDependencies": ["*a" * 50 + "b"]})
    }
    assert len(in_step(parsed(content, manifests), manifests)) == 1


def test_settings_that_a_fetched_program_may_change_are_not_judged() -> None:
    content = lock(overrides={"a": "1.0.0"})
    manifests = {"": manifest({}, {"configDependencies": {"x": "1.0.0"}})}

    assert in_step(parsed(content, manifests), manifests) == []
    # The lockfile alone does not get out of it.
    assert in_step(parsed(content, {"": manifest()}), {"": manifest()}) != []


def test_links_may_be_unrecorded() -> None:
    content = lock(settings={"excludeLinksFromLockfile": True})
    manifests = {
        "": manifest({"dependencies": {"a": "link:../a", "b": "workspace:*"}}, {"excludeLinksFromLockfile": True})
    }

    assert in_step(parsed(content, manifests), manifests) == []
    manifests = {"": manifest({"dependencies": {"a": "1.0.0"}}, {"excludeLinksFromLockfile": True})}
    assert len(in_step(parsed(content, manifests), manifests)) == 1


def test_lockfiles_that_do_not_say_whether_peers_are_installed() -> None:
    for settings_then, expected in (({}, 0), ({"autoInstallPeers": False}, 0), ({"autoInstallPeers": True}, 1)):
        manifests = {"": manifest({"peerDependencies": {"a": "*"}})}
        assert len(in_step(parsed(lock(settings=settings_then), manifests), manifests)) == expected


def test_tools_have_two_names() -> None:
    runtime = {"resolution": {"type": "variations", "variants": [{"resolution": {"url": "https://x.example/n"}}]}}
    content = lock({"node@runtime:24.4.1": runtime}, {"node": ("runtime:^24", "runtime:24.4.1")})
    manifests = {"": manifest({"dependencies": {"node": "tool:^24"}})}

    assert in_step(parsed(content, manifests), manifests) == []
