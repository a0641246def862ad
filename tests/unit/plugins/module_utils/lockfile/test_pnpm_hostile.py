# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pnpm-lock.yaml from somebody with bad intent, and from a merge or an editor that went wrong."""

from __future__ import annotations

import random
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pnpm import parse_lockfile

from tests.unit.plugins.module_utils.lockfile.pnpm_examples import HASH, entry, lock, parsed, recorded

COMMIT = "0" * 40


def refusal(content: bytes) -> str:
    with pytest.raises(ApphostError) as caught:
        parsed(content)
    assert caught.value.where == "app/pnpm-lock.yaml"
    assert caught.value.do == "Run pnpm install and commit the lockfile."
    return caught.value.what


def resolution(**parts: t.Any) -> bytes:
    return lock({"a@1.0.0": {"resolution": parts}})


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"\xff\xfe", "is not UTF-8 (byte 0)"),
        (b"lockfileVersion: '9.0'\n<<<<<<< ours\na: 1\n=======\n", "holds the marks of an unresolved merge"),
        (b"just text\n", "is no lockfile of pnpm, which is one map or two"),
        (b"---\na: 1\n---\nb: 2\n---\nc: 3\n", "is no lockfile of pnpm, which is one map or two"),
        (b"settings: {}\n", "has no lockfileVersion"),
        (b"lockfileVersion: 5.4\n", "has lockfileVersion 5.4 (pnpm 7 or older); 6.0 and 9.0 are understood"),
        (
            b"lockfileVersion: 5.4-inlineSpecifiers\n",
            "has lockfileVersion 5.4-inlineSpecifiers (pnpm 7 or older); 6.0 and 9.0 are understood",
        ),
        (b"lockfileVersion: '10.0'\n", "has lockfileVersion 10.0; 6.0 and 9.0 are understood"),
        (b"lockfileVersion: [9]\n", "has lockfileVersion [9]; 6.0 and 9.0 are understood"),
        (b"lockfileVersion: '9.0'\npackages: []\n", "packages is no object"),
        (b"lockfileVersion: '9.0'\nimporters: x\n", "importers is no object"),
        (b"lockfileVersion: '9.0'\nimporters:\n  .: x\n", "importers.. is no object"),
        (
            b"lockfileVersion: '9.0'\na: &x [1]\n",
            "is no YAML that is understood: there is an anchor (&x [1]) (line 2)",
        ),
        (
            b"lockfileVersion: '9.0'\npackages: {}\npackages: {}\n",
            'is no YAML that is understood: the key "packages" stands there twice (line 3)',
        ),
    ],
)
def test_no_lockfile(content: bytes, problem: str) -> None:
    assert refusal(content) == problem


def test_the_experimental_format_is_refused() -> None:
    assert refusal(recorded("format13")) == "has lockfileVersion 13.0; 6.0 and 9.0 are understood"


def test_anchors_that_multiply() -> None:
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{after}: &{after} [*{before}, *{before}, *{before}, *{before}, *{before}]\n"
        for before, after in zip("abcdefgh", "bcdefghi", strict=True)
    )

    assert "there is an anchor" in refusal(f"lockfileVersion: '9.0'\n{bomb}".encode())


@pytest.mark.parametrize(
    "name",
    [
        "../x", "..", ".", ".bin", "a/../../x", "/etc", "a/b", "@s", "@s/", "@/a", "@s/a/b", "@s/..", "a\\b",
        "node_modules/../x", " ", "a\tb",
    ],
)  # fmt: skip
def test_names_that_lead_elsewhere(name: str) -> None:
    assert "is no name of a package" in refusal(lock({"a@1.0.0": entry()}, {name: ("^1", "a@1.0.0")}))
    edges = {"a@1.0.0": {"dependencies": {name: "1.0.0"}}}
    assert "is no name of a package" in refusal(lock({"a@1.0.0": entry()}, {"a": ("^1", "1.0.0")}, edges))
    edges = {"a@1.0.0": {"optionalDependencies": {name: "1.0.0"}}}
    assert "is no name of a package" in refusal(lock({"a@1.0.0": entry()}, {"a": ("^1", "1.0.0")}, edges))
    assert "is no name of a package" in refusal(lock({f"{name}@1.0.0": entry()}))
    old: dict[str, t.Any] = {"lockfileVersion": "6.0", "snapshots": None}
    assert "is no name of a package" in refusal(lock({f"/{name}@1.0.0": entry()}, **old))
    assert "is no name of a package" in refusal(lock({"host/x": entry(name=name)}, **old))


@pytest.mark.parametrize(
    "folder", ["..", "../x", "/x", "a/../..", "a/", "./a", "a//b", "a\\b", "node_modules/a", "C:/x"]
)
def test_projects_outside_of_the_project(folder: str) -> None:
    assert refusal(lock(importers={".": {}, folder: {}})) == f'importers["{folder}"] is no folder of the project'


@pytest.mark.parametrize("target", ["..", "../x", "/etc", "a/../../x", "C:/x", "a\\..\\..", "<root>/../x"])
def test_links_out_of_the_project(target: str) -> None:
    assert "a is a link out of the project" in refusal(lock(asked={"a": ("link:x", f"link:{target}")}))
    edges = {"b@1.0.0": {"dependencies": {"a": f"link:{target}"}}}
    assert "a is a link out of the project" in refusal(lock({"b@1.0.0": entry()}, snapshots=edges))
    from_workspace = {"packages/x": {"dependencies": {"a": {"specifier": "link:x", "version": "link:../../.."}}}}
    assert "a is a link out of the project" in refusal(lock(importers={".": {}, **from_workspace}))


def test_links_within_the_project() -> None:
    within = {
        "a": {"specifier": "link:../..", "version": "link:../.."},
        "b": {"specifier": "x", "version": "link:../y"},
    }
    lockfile = parsed(lock(importers={".": {}, "packages/x": {"dependencies": within}, "packages/y": {}}))
    assert lockfile.packages["link:packages/x"].needs == ("link:packages/y",)

    inner = {"b@1.0.0": {"dependencies": {"types": "link:<root>/typings/types"}}}
    assert list(parsed(lock({"b@1.0.0": entry()}, snapshots=inner)).packages) == ["b@1.0.0"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (resolution(), "says neither a hash nor an address"),
        (resolution(integrity=["x"]), "integrity is no string"),
        (resolution(tarball="../../etc/passwd"), "tarball is no address"),
        (resolution(tarball="//evil.example/a.tgz"), "tarball is no address"),
        (resolution(tarball="HTTPS://evil.example/a.tgz"), "tarball is no address"),
        (resolution(tarball="ftp://evil.example/a.tgz"), "tarball is no address"),
        (resolution(tarball="file:../x.tgz"), "tarball is no file of the project"),
        (resolution(tarball="file:/etc/x.tgz"), "tarball is no file of the project"),
        (resolution(type="directory"), "directory is no folder of the project"),
        (resolution(type="directory", directory="."), "directory is no folder of the project"),
        (resolution(type="directory", directory="../x"), "directory is no folder of the project"),
        (resolution(type="directory", directory="/etc"), "directory is no folder of the project"),
        (resolution(type="custom:x"), "type is custom:x, which is not understood"),
        (resolution(type="git", repo="https://h.example/x.git"), "commit is no commit"),
        (resolution(type="git", repo="https://h.example/x.git", commit="main"), "commit is no commit"),
        (resolution(type="git", repo="--upload-pack=x", commit=COMMIT), "repo is no address"),
        (resolution(type="git", repo="ext::sh -c x", commit=COMMIT), "repo is no address"),
        (resolution(type="git", repo="file:///etc", commit=COMMIT), "repo is no address"),
        (resolution(type="git", repo="/etc", commit=COMMIT), "repo is no address"),
        (resolution(type="git", repo="-x@host:y", commit=COMMIT), "repo is no address"),
        (
            resolution(type="git", repo="https://h.example/x.git", commit=COMMIT, path="/../x"),
            "path leads out of the repository",
        ),
        (resolution(type="variations", variants=[]), "is not understood"),
        (resolution(type="binary", url="https://nodejs.org/x", integrity=HASH), "is not understood"),
        (lock({"a@evil:1.0.0": entry()}), "has no address, and 'evil:1.0.0' is none"),
        (lock({"a@latest": entry()}), "has no address, and 'latest' is none"),
        (lock({"a@1.0.0/../../b": entry()}), "has no address"),
        (lock({"a": entry()}), "names no version"),
        (lock({"a@https://h.example/x": entry(version="1/../..")}), "is no version"),
        (lock({"a@1.0.0": entry(os="linux", cpu=[1])}), "cpu is no list of strings"),
        (lock({"a@1.0.0": {"resolution": "x"}}), "resolution is no object"),
        (lock({"a@1.0.0": entry()}, snapshots={"b@1.0.0": {}}), 'has no packages["b@1.0.0"]'),
        (lock({"a@1.0.0": entry()}, snapshots=t.cast("t.Any", {"a@1.0.0": []})), "a@1.0.0 is no object"),
        (
            lock({"a@1.0.0": entry()}, snapshots={"a@1.0.0": {"dependencies": {"b": "1.0.0"}}}),
            'has no entry for b 1.0.0, which packages["a@1.0.0"] asks for',
        ),
        (lock(asked={"b": ("^1", "1.0.0")}), 'has no entry for b 1.0.0, which importers["."] asks for'),
        (
            lock(importers={".": {"devDependencies": {"b": {"specifier": "1", "version": "1.0.0"}}}}),
            'has no entry for b 1.0.0, which importers["."] asks for',
        ),
        (lock(importers={".": {"dependencies": {"b": "1.0.0"}}}), "dependencies.b is no object"),
        (lock(importers={".": {"dependencies": {"b": {"version": "1.0.0"}}}}), "has no specifier and version"),
        (
            lock(
                {"a@1.0.0": entry()},
                importers={
                    ".": {
                        "dependencies": {"a": {"specifier": "1", "version": "1.0.0"}},
                        "devDependencies": {"a": {"specifier": "1", "version": "1.0.0"}},
                    }
                },
            ),
            "devDependencies.a is there twice",
        ),
    ],
)
def test_entries_that_cannot_be_from_pnpm(content: bytes, problem: str) -> None:
    assert problem in refusal(content)


def test_an_error_shows_no_password_and_no_page_of_text() -> None:
    assert "secret" not in refusal(resolution(type="git", repo="ext://user:secret@h.example/x", commit=COMMIT))
    assert len(refusal(lock(asked={"x" * 100_000 + "/../y": ("1", "1.0.0")}))) < 500
    assert len(refusal(lock({f"a@{'x' * 100_000}": entry()}))) < 1000


def test_peers_nested_without_end() -> None:
    deep = "a@1.0.0" + "(b@1.0.0" * 50_000 + ")" * 50_000

    assert deep in parsed(lock({"a@1.0.0": entry()}, snapshots={deep: {}})).packages


def test_whatever_is_changed_is_read_or_refused() -> None:
    picked = random.Random(7)
    content = recorded("workspaces/pnpm10/lockfile").decode()
    lines = content.split("\n")
    outcomes = {"read": 0, "refused": 0}
    for _ in range(300):
        changed = list(lines)
        for _ in range(picked.randint(1, 3)):
            at = picked.randrange(len(changed))
            line = changed[at]
            column = picked.randrange(len(line) + 1)
            changed[at] = picked.choice(
                [line[:column] + picked.choice("'\":{}[]#-?& \t.\\/é") + line[column:], line[:column], f"  {line}", ""]
            )
        try:
            parse_lockfile("\n".join(changed).encode(), "app/pnpm-lock.yaml", {})
            outcomes["read"] += 1
        except ApphostError:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 30
