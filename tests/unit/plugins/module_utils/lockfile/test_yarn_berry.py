# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading lockfiles of yarn 2 to 4: broken ones, hostile ones, huge ones, and who gets what."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Lockfile, Manifest
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.packagejson import parse_manifest
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.yarn_berry import (
    FORMAT,
    compression_level,
    in_step,
    parse_lockfile,
    strays,
)

from .speed import within

HEX = "ab" * 64
CURE = "Run yarn install and commit the lockfile."
Lines = dict[str, t.Any]


def head(version: int = 8, cache_key: str = "10c0") -> str:
    return f"# Manual changes might be lost - proceed!\n\n__metadata:\n  version: {version}\n  cacheKey: {cache_key}\n"


def block(key: str, lines: Lines) -> str:
    text = [f'"{key}":']
    for name, value in lines.items():
        if isinstance(value, dict):
            text.append(f"  {name}:")
            for inner, other in value.items():
                if isinstance(other, dict):
                    text += [f'    "{inner}":', *(f"      {last}: {word}" for last, word in other.items())]
                else:
                    text.append(f'    "{inner}": "{other}"')
        else:
            text.append(f'  {name}: "{value}"')
    return "\n" + "\n".join(text) + "\n"


def package(key: str, version: str = "1.0.0", **more: t.Any) -> str:
    name = key[0] + key[1:].partition("@")[0]
    return block(key, {"version": version, "resolution": f"{name}@npm:{version}", "checksum": HEX, **more})


def project(name: str = "app", folder: str = ".", **more: t.Any) -> str:
    locator = f"{name}@workspace:{folder}"
    return block(locator, {"version": "0.0.0-use.local", "resolution": locator, **more})


def manifest(folder: str = "", **more: t.Any) -> dict[str, Manifest]:
    return {folder: parse_manifest(json.dumps(more).encode(), f"app/{folder}/package.json")}


def parse(text: str, manifests: t.Mapping[str, Manifest] | None = None, version: int = 8) -> Lockfile:
    return parse_lockfile((head(version) + text).encode(), "app/yarn.lock", manifests or {})


def problems(text: str, manifests: t.Mapping[str, Manifest], version: int = 8) -> list[str]:
    return [*in_step(parse(text, manifests, version), manifests)]


def refusal(content: bytes) -> str:
    with pytest.raises(ApphostError) as caught:
        parse_lockfile(content, "app/yarn.lock", {})
    assert caught.value.message.startswith("app/yarn.lock: ")
    assert caught.value.message.endswith(CURE)
    return caught.value.message


@pytest.mark.parametrize(
    ("checksum", "compared"),
    [(HEX, True), (f"10c0/{HEX}", True), (f"8/{HEX}", False), (f"10/{HEX}", False), (f"10c9/{HEX}", False)],
)
def test_a_checksum_is_a_hash_when_yarn_would_compare_it(checksum: str, compared: bool) -> None:
    text = block("a@npm:^1.0.0", {"version": "1.0.0", "resolution": "a@npm:1.0.0", "checksum": checksum})

    integrity = parse(text).packages["a@npm:1.0.0"].integrity

    assert integrity == ("sha512-" + "q6ur" * 21 + "qw==" if compared else None)


@pytest.mark.parametrize(
    ("cache_key", "level"),
    [("10c0", "0"), ("10c9", "9"), ("10", "mixed"), ("8", "mixed"), ("8c0", "0"), ("7", "mixed")],
)
def test_the_compression_that_the_checksums_are_for(cache_key: str, level: str) -> None:
    lockfile = parse_lockfile(head(8, cache_key).encode(), "x", {})

    assert compression_level(lockfile) == level


@pytest.mark.parametrize("cache_key", ["9c0", "merged", "10c", "11", '""', "10c0x"])
def test_checksums_that_yarn_would_not_compare_at_all(cache_key: str) -> None:
    assert "has checksums that no yarn compares (cacheKey " in refusal(head(8, cache_key).encode())


def test_an_installation_that_kept_to_the_lockfile() -> None:
    before = parse(project() + package("a@npm:^1.0.0") + package("b@npm:^1.0.0, b@npm:^1.0.1"))

    assert strays(before, before) == []
    assert strays(before, parse(project("app", "web") + package("b@npm:^1.0.0"))) == []


@pytest.mark.parametrize(
    ("after", "problem"),
    [
        (head() + package("a@npm:^1.0.0", "1.0.1"), "yarn took a@1.0.1, which yarn.lock does not have"),
        (
            head() + package("a@npm:^1.0.0", checksum=f"10c0/{HEX[2:]}cd"),
            "yarn took another content for a@1.0.0 than yarn.lock has",
        ),
        (head() + package("a@npm:^1.0.0").replace("checksum", "x"), "yarn took another content for a@1.0.0 than"),
        (head(8, "10") + package("a@npm:^1.0.0"), "yarn did not compare what it fetched with the lockfile's checksums"),
    ],
)
def test_an_installation_that_did_not(after: str, problem: str) -> None:
    before = parse(package("a@npm:^1.0.0"))

    (found,) = strays(before, parse_lockfile(after.encode(), "after/yarn.lock", {}))

    assert found.startswith(problem)


def test_a_package_is_there_under_each_of_its_names() -> None:
    text = project(dependencies={"old": "npm:ms@^2.0.0", "older": "npm:ms@~2.1.0", "ms": "npm:^2.1.0"})
    text += package("ms@npm:^2.1.0, old@npm:ms@^2.0.0, older@npm:ms@~2.1.0", "2.1.3")

    lockfile = parse(text, manifest(dependencies={"old": "npm:ms@^2.0.0", "older": "npm:ms@~2.1.0", "ms": "^2.1.0"}))

    assert lockfile.needs == ("old@npm:ms@^2.0.0", "older@npm:ms@~2.1.0", "ms@npm:2.1.3")
    assert [(known.name, known.real_name) for known in lockfile.packages.values()] == [
        ("ms", None),
        ("old", "ms"),
        ("older", "ms"),
    ]


@pytest.mark.parametrize(
    ("resolutions", "version", "found"),
    [
        ({}, 8, "a@npm:1.0.0"),
        ({"a": "2.0.0"}, 8, "a@npm:2.0.0"),
        ({"a": "npm:2.0.0"}, 6, "a@npm:2.0.0"),
        ({"a@npm:^1.0.0": "2.0.0"}, 8, "a@npm:2.0.0"),
        ({"a@^1.0.0": "2.0.0"}, 8, "a@npm:2.0.0"),
        ({"a@npm:^1.0.0": "2.0.0"}, 6, "a@npm:1.0.0"),
        ({"a@^1.0.0": "2.0.0"}, 6, "a@npm:2.0.0"),
        ({"a@^3.0.0": "2.0.0"}, 8, "a@npm:1.0.0"),
        ({"b/a": "2.0.0"}, 8, "a@npm:2.0.0"),
        ({"b@npm:1.0.0/a": "2.0.0"}, 8, "a@npm:2.0.0"),
        ({"b@npm:9.0.0/a": "2.0.0"}, 8, "a@npm:1.0.0"),
        ({"@s/c/a": "2.0.0"}, 8, "a@npm:1.0.0"),
        ({"**/a": "2.0.0"}, 8, "a@npm:1.0.0"),
    ],
)
def test_resolutions(resolutions: dict[str, str], version: int, found: str) -> None:
    wanted = "npm:^1.0.0" if version > 6 else "^1.0.0"
    text = package("a@npm:^1.0.0") + package("a@npm:2.0.0", "2.0.0") + package("b@npm:1", dependencies={"a": wanted})

    assert parse(text, manifest(resolutions=resolutions), version).packages["b@npm:1.0.0"].needs == (found,)


def test_a_range_that_is_relative_to_who_asks() -> None:
    text = "".join(
        project(name, folder, dependencies={"x": "file:./x.tgz"})
        + block(
            f"x@file:./x.tgz::locator={name}%40workspace%3A{folder.replace('/', '%2F')}",
            {
                "version": version,
                "resolution": f"x@file:./x.tgz::locator={name}%40workspace%3A{folder.replace('/', '%2F')}",
            },
        )
        for name, folder, version in (("app", ".", "1.0.0"), ("web", "packages/web", "2.0.0"))
    )
    manifests = {
        **manifest(dependencies={"x": "file:./x.tgz"}),
        **manifest("packages/web", name="web", dependencies={"x": "file:./x.tgz"}),
    }

    lockfile = parse(text, manifests)

    assert in_step(lockfile, manifests) == []
    (needed,) = lockfile.packages["web@workspace:packages/web"].needs
    assert (lockfile.packages[needed].version, lockfile.packages[needed].resolved) == ("2.0.0", "packages/web/x.tgz")


def test_a_range_in_a_catalog_is_the_only_one_there_is_or_any() -> None:
    asked = manifest(dependencies={"a": "catalog:", "b": "catalog:old"})
    text = project(dependencies={"a": "catalog:", "b": "catalog:old"})
    text += package("a@npm:^1.0.0") + package("b@npm:^1.0.0") + package("b@npm:^2.0.0", "2.0.0")

    lockfile = parse(text, asked)

    assert (lockfile.needs, lockfile.wants) == (("a@npm:1.0.0",), ("b@npm:1.0.0", "b@npm:2.0.0"))
    assert in_step(lockfile, asked) == []
    assert problems(project(dependencies={"a": "catalog:"}), manifest(dependencies={"a": "catalog:"})) == [
        "yarn.lock has no entry for a@catalog:, which app@workspace:. needs"
    ]


def test_a_range_in_a_catalog_does_not_mean_the_original_of_a_patch() -> None:
    patch = "patch:resolve@npm%3A^1.0.0#optional!builtin<compat/resolve>"
    text = project(dependencies={"resolve": "catalog:"}) + package("resolve@npm:^1.0.0")
    text += block(
        f"resolve@{patch}",
        {"version": "1.0.0", "resolution": f"resolve@{patch.replace('^', '')}::version=1.0.0&hash=c3c19d"},
    )

    (needed,) = parse(text, manifest(dependencies={"resolve": "catalog:"})).needs

    assert needed.startswith("resolve@patch:")


def test_a_resolution_that_is_relative_to_the_project() -> None:
    archive = "x@file:./x.tgz::locator=app%40workspace%3A."
    text = project() + project("web", "web", dependencies={"x": "npm:^1.0.0"})
    text += block(archive, {"version": "1.0.0", "resolution": archive})

    lockfile = parse(text, manifest(resolutions={"x": "file:./x.tgz"}))

    assert lockfile.packages["web@workspace:web"].needs == (archive,)


def test_what_is_for_development_too_is_for_production() -> None:
    asked = manifest(dependencies={"a": "^1.0.0"}, devDependencies={"a": "^1.0.0", "b": "^1.0.0"})
    text = (
        project(dependencies={"a": "npm:^1.0.0", "b": "npm:^1.0.0"}) + package("a@npm:^1.0.0") + package("b@npm:^1.0.0")
    )

    lockfile = parse(text, asked)

    assert in_step(lockfile, asked) == []
    assert lockfile.needs == ("a@npm:1.0.0",)
    assert [known.dev for known in lockfile.packages.values()] == [False, True]


def test_what_nobody_asks_for_may_or_may_not_be_installed() -> None:
    package_of_an_extension = parse(project() + package("a@npm:^1.0.0"), manifest()).packages["a@npm:1.0.0"]

    assert (package_of_an_extension.dev, package_of_an_extension.optional) == (False, True)


def test_optional_by_the_manifests_own_word() -> None:
    asked = manifest(dependencies={"a": "^1.0.0"}, dependenciesMeta={"a": {"optional": True}})
    text = project(dependencies={"a": "npm:^1.0.0"}, dependenciesMeta={"a": {"optional": "true"}}) + package(
        "a@npm:^1.0.0"
    )

    assert problems(text, asked) == []
    assert parse(text, asked).wants == ("a@npm:1.0.0",)


def test_a_workspace_that_asks_for_the_project() -> None:
    text = project() + project("web", "web", dependencies={"app": "workspace:."})
    text = text.replace('"app@workspace:."', '"app@workspace:., app@workspace:^"', 1)

    assert parse(text).packages["web@workspace:web"].needs == ()


def test_what_a_package_lacks_is_a_problem() -> None:
    text = project(dependencies={"a": "npm:^1.0.0"}) + package("a@npm:^1.0.0", dependencies={"b": "npm:^2.0.0"})

    assert problems(text, manifest(dependencies={"a": "^1.0.0"})) == [
        "yarn.lock has no entry for b@^2.0.0, which a@1.0.0 needs"
    ]


@pytest.mark.parametrize(
    ("wanted", "version", "problem"),
    [
        ("npm:^2.0.0", "1.0.0", "yarn.lock has 1.0.0 for a@^2.0.0, which is not in that range"),
        ("npm:^1.0.0", "1.0.0", None),
        ("npm:^2.0.0", "2.0.0-rc.1", None),
        ("npm:latest", "1.0.0", None),
    ],
)
def test_a_version_that_is_not_in_its_range(wanted: str, version: str, problem: str | None) -> None:
    text = project(dependencies={"a": wanted}) + package(f"a@{wanted}", version)

    assert problems(text, manifest(dependencies={"a": wanted})) == ([problem] if problem else [])


def test_peers_are_compared_and_not_installed() -> None:
    text = project(peerDependencies={"react": "*"})

    assert problems(text, manifest(peerDependencies={"react": "*"})) == []
    assert problems(text, manifest()) == [
        "package.json does not ask react (peerDependencies), yarn.lock was made for *"
    ]


def test_a_key_of_many_descriptors() -> None:
    ranges = [f"^1.0.{number}" for number in range(200)]
    key = ", ".join(f"a@npm:{wanted}" for wanted in ranges)
    entry = f'\n? "{key}"\n: version: 1.1.0\n  resolution: "a@npm:1.1.0"\n'

    lockfile = parse(project(dependencies={"a": "npm:^1.0.150"}) + entry, manifest(dependencies={"a": "^1.0.150"}))

    assert lockfile.needs == ("a@npm:1.1.0",)


@pytest.mark.parametrize(
    ("content", "recognised"),
    [(head().encode(), True), (b"# yarn lockfile v1\n", False), (b'a@1:\n  x "__metadata:"\n', False)],
)
def test_how_it_is_told_from_yarn_1(content: bytes, recognised: bool) -> None:
    assert FORMAT.recognises is not None
    assert FORMAT.recognises(content) is recognised


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\xff\xfe__metadata:", "is not UTF-8 (byte 0)"),
        (b"- a\n", "is YAML, but no map"),
        (b"a: b\n", "is of version None; 4 to 10 are understood"),
        (b"__metadata: 8\n", "__metadata is no object"),
        (head(3).encode(), "is of version 3; 4 to 10 are understood"),
        (head(11).encode(), "is of version 11; 4 to 10 are understood"),
        (head().encode() + b"\n<<<<<<< HEAD\n", "holds the marks of an unresolved merge"),
        (head().encode() + b'"a@npm:1": &x\n  version: 1\n', "there is an anchor (&x) (line 6)"),
        (head().encode() + b'"a@npm:1:\n  version: 1\n', "a quoted text does not end in its line (line 6)"),
        (head().encode() + b"a: {" * 5000, "nested deeper"),
    ],
)
def test_a_file_that_is_no_lockfile_of_berry(content: bytes, words: str) -> None:
    assert words in refusal(content)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('\n"a@npm:1": x\n', '"a@npm:1" is no object'),
        (block("a@npm:1", {"version": "1.0.0"}), '"a@npm:1" has no resolution'),
        (
            block("a@npm:1", {"version": "1.0.0", "resolution": "b@npm:1.0.0"}),
            "is resolved to another package, b@npm:1.0.0",
        ),
        (
            block("a@npm:b@1", {"version": "1.0.0", "resolution": "c@npm:1.0.0"}),
            "is resolved to another package, c@npm:1.0.0",
        ),
        (
            block("a@npm:1", {"version": "1.0.0", "resolution": "a@npm:6.6.6"}),
            "is of version 1.0.0 and resolved to a@npm:6.6.6",
        ),
        (
            block("a@npm:1", {"version": "1.0.0", "resolution": "a@patch:a@npm%3A6.6.6#~builtin<compat/a>"}),
            "is of version 1.0.0 and resolved to a@patch:a@npm%3A6.6.6",
        ),
        (
            block("a@npm:1", {"version": "1.0.0", "resolution": "a@npm:1.0.0", "checksum": "10c0/ab"}),
            "a checksum that is no SHA-512",
        ),
        (
            block("a@npm:1", {"version": "1.0.0", "resolution": "a@npm:1.0.0", "checksum": HEX[1:] + "g"}),
            "is no SHA-512",
        ),
        (package("a@npm:1", conditions="os=linux | x"), '"a@npm:1" has conditions that are not understood'),
        (package("a@npm:1, a@npm:1"), "is not the only one for a@npm:1"),
        (package("a@npm:1") + package("a@npm:2, a@npm:1", "2.0.0"), "is not the only one for a@npm:1"),
        (package("a@npm:1") + package("a@npm:^1"), '"a@npm:^1" is not the only entry for a@npm:1.0.0'),
        (package("a@npm:1") + package("a@npm:1"), "twice"),
        (project("a", "x") + project("b", "x"), '"b@workspace:x" is a second workspace in the folder x'),
        (project("a", "../x"), "leads out of the project: ../x"),
        (project("../../a", "x"), '"../../a@workspace:x" does not stay inside the project'),
        (package("a@npm:1", dependencies={"b": {"c": "1"}}), '"a@npm:1".dependencies.b is no string'),
        (block("a@exec:./x.js", {"version": "1.0.0", "resolution": "a@exec:./x.js"}), "runs a program of the project"),
    ],
)
def test_an_entry_that_is_refused(text: str, words: str) -> None:
    assert words in refusal((head() + text).encode())


def test_a_huge_lockfile_is_read_in_time() -> None:
    text = project(dependencies={"p0": "npm:^1.0.0"}) + "".join(
        package(f"p{n}@npm:^1.0.0, p{n}@npm:^1.2.0", "1.2.3", dependencies={f"p{(n + 1) % 20_000}": "npm:^1.0.0"})
        for n in range(20_000)
    )
    content = (head() + text).encode()
    asked = manifest(dependencies={"p0": "^1.0.0"})

    lockfile = within(2, lambda: parse_lockfile(content, "x", asked))

    assert len(lockfile.packages) == 20_000
    assert not any(known.dev or known.optional for known in lockfile.packages.values())


def test_many_ranges_in_a_catalog_take_no_longer() -> None:
    asked = {f"p{n}": "catalog:" for n in range(5000)}
    text = project(dependencies=asked) + "".join(package(f"p{n}@npm:^1.0.0") for n in range(5000))

    lockfile = within(2, lambda: parse(text, manifest(dependencies=asked)))

    assert len(lockfile.needs) == 5000
