# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading package.json and npm's lockfiles: recorded ones and broken ones."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.npm import package_name, parse_lockfile
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.packagejson import parse_manifest

FIXTURES = pathlib.Path(__file__).parent / "fixtures"
HASH = "sha512-" + "A" * 86 + "=="


def recorded(name: str) -> bytes:
    return (FIXTURES / name).read_bytes()


def lockfile_of(packages: dict[str, t.Any], **more: t.Any) -> bytes:
    return json.dumps({"lockfileVersion": 3, "packages": {"": {}, **packages}, **more}).encode()


def refusal(content: bytes) -> str:
    with pytest.raises(ApphostError) as caught:
        parse_lockfile(content, "app/package-lock.json")
    return caught.value.message


@pytest.mark.parametrize("version", [2, 3])
def test_recorded_lockfile(version: int) -> None:
    lockfile = parse_lockfile(recorded(f"package-lock-v{version}.json"), "app/package-lock.json")

    assert (lockfile.name, lockfile.manager, lockfile.format) == ("package-lock.json", "npm", str(version))
    assert len(lockfile.packages) == 34
    assert lockfile.projects[""].dependencies == {"debug": "^4.4.0", "ms-old": "npm:ms@2.0.0", "sharp": "^0.34.0"}
    assert lockfile.projects[""].dev == {"ws": "^8.18.0"}
    alias = lockfile.packages["node_modules/ms-old"]
    assert (alias.name, alias.real_name, alias.version) == ("ms-old", "ms", "2.0.0")
    assert lockfile.packages["node_modules/ws"].dev
    musl = lockfile.packages["node_modules/@img/sharp-linuxmusl-x64"]
    assert musl.name == "@img/sharp-linuxmusl-x64"
    assert (musl.os, musl.cpu, musl.libc, musl.optional) == (("linux",), ("x64",), ("musl",), True)
    assert musl.wants == ("node_modules/@img/sharp-libvips-linuxmusl-x64",)
    sharp = lockfile.packages["node_modules/sharp"]
    assert set(sharp.needs) == {f"node_modules/{name}" for name in ("@img/colour", "detect-libc", "semver")}
    assert "node_modules/@img/sharp-linux-x64" in sharp.wants
    assert sharp.engines == {"node": "^18.17.0 || ^20.3.0 || >=21.0.0"}


def test_both_formats_describe_the_same_tree() -> None:
    two, three = (parse_lockfile(recorded(f"package-lock-v{version}.json"), "x") for version in (2, 3))

    assert two.packages == three.packages
    assert two.digest == three.digest
    assert two.sha256 != three.sha256


def test_recorded_hidden_lockfile() -> None:
    hidden = parse_lockfile(recorded("hidden-lockfile.json"), "node_modules/.package-lock.json", hidden=True)

    assert len(hidden.packages) == 9
    assert "node_modules/ws" not in hidden.packages


def test_format_1_is_refused_with_what_to_do() -> None:
    assert refusal(recorded("package-lock-v1.json")) == (
        "app/package-lock.json: is of lockfileVersion 1 (npm 5 and 6), which does not say enough to install from. "
        "Run npm install with a current npm and commit the lockfile."
    )


def test_recorded_manifest() -> None:
    manifest = parse_manifest(recorded("package.json"), "app/package.json")

    assert (manifest.name, manifest.version) == ("recorded", "1.0.0")
    assert manifest.requirements.production == {"debug": "^4.4.0", "ms-old": "npm:ms@2.0.0", "sharp": "^0.34.0"}
    assert set(manifest.deciding) == {"dependencies", "devDependencies", "engines"}


def test_an_optional_dependency_counts_once() -> None:
    manifest = parse_manifest(b'{"dependencies": {"a": "1", "b": "1"}, "optionalDependencies": {"b": "1"}}', "p")

    assert manifest.requirements.dependencies == {"a": "1"}
    assert manifest.requirements.optional == {"b": "1"}


def test_the_digest_keeps_over_a_version_bump_and_changes_with_a_package() -> None:
    packages = {"node_modules/a": {"version": "1.0.0", "integrity": HASH}}
    root = {"dependencies": {"a": "^1.0.0"}}

    def digest(version: str, packages: dict[str, t.Any], root: dict[str, t.Any]) -> str:
        named = {"name": "app", "version": version}
        return parse_lockfile(lockfile_of({"": {**root, **named}, **packages}, **named), "x").digest

    first = digest("1.0.0", packages, root)
    assert digest("1.1.0", packages, root) == first
    assert digest("1.0.0", {"node_modules/a": {"version": "1.0.1", "integrity": HASH}}, root) != first
    assert digest("1.0.0", packages, {"dependencies": {"a": "^1.0.1"}}) != first


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"{", "is no JSON"),
        (b"[]", "is JSON, but no object"),
        (b'"packages"', "is JSON, but no object"),
        (b'{"lockfileVersion": 3, "packages": {"": {}}\n<<<<<<< HEAD\n', "unresolved merge"),
        (b"\xff\xfe{}", "is not UTF-8 (byte 0)"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"lockfileVersion": ' + b"9" * 5000 + b"}", "is no JSON"),
        (b'{"lockfileVersion": 4, "packages": {"": {}}}', "has lockfileVersion 4; 2 and 3 are understood"),
        (b"{}", "has lockfileVersion null"),
        (b'{"lockfileVersion": 3}', 'has no object "packages"'),
        (b'{"lockfileVersion": 3, "packages": []}', 'has no object "packages"'),
        (b'{"lockfileVersion": 3, "packages": {}}', "has no entry for the project itself"),
        (b'{"lockfileVersion": 3, "packages": {"": []}}', "has no entry for the project itself"),
        (b'{"lockfileVersion": 3, "lockfileVersion": 2, "packages": {}}', 'has the key "lockfileVersion" twice'),
    ],
)
def test_a_file_that_is_no_lockfile(content: bytes, words: str) -> None:
    message = refusal(content)

    assert message.startswith("app/package-lock.json: ")
    assert words in message
    assert message.endswith("Run npm install with a current npm and commit the lockfile.")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ([], 'packages["node_modules/a"] is no object'),
        ({"version": 1}, 'packages["node_modules/a"].version is no string'),
        ({"integrity": ["sha512-x"]}, 'packages["node_modules/a"].integrity is no string'),
        ({"dependencies": ["b"]}, 'packages["node_modules/a"].dependencies is no object'),
        ({"dependencies": {"b": 1}}, 'packages["node_modules/a"].dependencies.b is no string'),
        ({"os": {"linux": True}}, 'packages["node_modules/a"].os is no list of strings'),
    ],
)
def test_an_entry_of_the_wrong_type(entry: t.Any, words: str) -> None:
    assert words in refusal(lockfile_of({"node_modules/a": entry}))


@pytest.mark.parametrize(
    "path",
    [
        "node_modules/../../etc/cron.d",
        "node_modules/a/../../../b",
        "../node_modules/a",
        "/node_modules/a",
        "node_modules//a",
        "node_modules/./a",
        "node_modules/a/",
        "node_modules/a\\..\\b",
        "node_modules/a\x00b",
        "node_modules/a\nb",
        "node_modules/.bin",
        "node_modules/.package-lock.json",
        "node_modules/@scope",
        "node_modules/@/a",
        "node_modules/@scope/.a",
        "node_modules/a/b",
        "node_modules/file:a",
        "node_modules/@a:b/c",
        "node_modules/a@1",
        "node_modules",
        "node_modules/" + "a" * 3000,
        "node_modules/" + "/node_modules/".join("a" * 200),
    ],
)
def test_a_path_that_is_no_package(path: str) -> None:
    with pytest.raises(ValueError, match=r"does not|has a character|is nested|is longer"):
        package_name(path)
    assert 'packages["' in refusal(lockfile_of({path: {}}))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("node_modules/a", "a"),
        ("node_modules/@scope/a", "@scope/a"),
        ("node_modules/a/node_modules/@scope/b", "@scope/b"),
        ("packages/web/node_modules/a.b-c_d~e", "a.b-c_d~e"),
        ("packages/web", None),
    ],
)
def test_a_path_of_a_package(path: str, name: str | None) -> None:
    assert package_name(path) == name


def test_engines_of_an_old_package_are_no_error() -> None:
    lockfile = parse_lockfile(lockfile_of({"node_modules/a": {"engines": ["node >= 0.4"]}}), "x")

    assert lockfile.packages["node_modules/a"].engines == {}


def test_an_optional_peer_is_wanted_and_another_needed() -> None:
    entry = {"peerDependencies": {"b": "1", "c": "1"}, "peerDependenciesMeta": {"c": {"optional": True}}}
    entries: dict[str, t.Any] = {f"node_modules/{name}": {} for name in "bc"}
    package = parse_lockfile(lockfile_of({"node_modules/a": entry, **entries}), "x").packages["node_modules/a"]

    assert (package.needs, package.wants) == (("node_modules/b",), ("node_modules/c",))
