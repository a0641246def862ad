# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runtime's versions, the host's platform, and the identity made of them."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import platform
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install import plan
from ansible_collections.evenkeel.apphost.plugins.module_utils.install import runtime as runtime_module
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.plan import plan_installation
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import Network, Registry
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.runtime import Runtime, inspect_runtime

from .world import World, make_runtime


def no_run(argv: list[str]) -> tuple[int, str, str]:
    raise AssertionError(argv)


def test_versions_out_of_the_runtimes_files(tmp_path: pathlib.Path) -> None:
    root = str(make_runtime(tmp_path / "node", "24.21.0", "137", "11.19.1"))

    assert inspect_runtime(root, no_run) == Runtime(root, "24.21.0", "137", "11.19.1")


def test_versions_asked_from_the_programs(tmp_path: pathlib.Path) -> None:
    root = make_runtime(tmp_path / "node")
    (root / "include/node/node_version.h").unlink()
    (root / "lib/node_modules/npm/package.json").write_text("[]")
    calls = []

    def run(argv: list[str]) -> tuple[int, str, str]:
        calls.append(argv)
        return (0, "24.21.0 137\n", "") if "-p" in argv else (0, "11.19.1\n", "")

    assert inspect_runtime(str(root), run) == Runtime(str(root), "24.21.0", "137", "11.19.1")
    assert calls == [
        [f"{root}/bin/node", "-p", "process.versions.node + ' ' + process.versions.modules"],
        ["/usr/bin/env", f"PATH={root}/bin:/usr/bin:/bin", f"{root}/bin/npm", "--version"],
    ]


@pytest.mark.parametrize("answer", [(1, "", "cannot execute"), (0, "cannot execute", "")])
def test_a_runtime_that_does_not_run(tmp_path: pathlib.Path, answer: tuple[int, str, str]) -> None:
    root = make_runtime(tmp_path / "node")
    (root / "include/node/node_version.h").write_text("// nothing")

    with pytest.raises(ApphostError, match=r"bin/node: does not say its version: cannot execute"):
        inspect_runtime(str(root), lambda _argv: answer)


def test_an_npm_that_does_not_run(tmp_path: pathlib.Path) -> None:
    root = make_runtime(tmp_path / "node")
    (root / "lib/node_modules/npm/package.json").unlink()

    with pytest.raises(ApphostError, match=r"bin/npm: does not say its version: no such module\. Install the runtime"):
        inspect_runtime(str(root), lambda _argv: (1, "", "no such module\n"))


@pytest.mark.parametrize("program", ["node", "npm"])
def test_a_runtime_that_is_not_there(tmp_path: pathlib.Path, program: str) -> None:
    root = make_runtime(tmp_path / "node")
    (root / "bin" / program).unlink()

    with pytest.raises(
        ApphostError, match=rf"bin/{program}: is not there or not executable\. Install the runtime first"
    ):
        inspect_runtime(str(root), no_run)


def test_the_host_in_the_lockfiles_words(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = Runtime("/r", "24.21.0", "137", "11.19.1")
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    monkeypatch.setattr(os, "confstr", lambda _name: "glibc 2.36")
    target = runtime_module.this_host(runtime)
    assert (target.os, target.cpu, target.libc, target.node, target.npm) == (
        "linux",
        "arm64",
        "glibc",
        "24.21.0",
        "11.19.1",
    )

    def no_glibc(_name: str) -> t.NoReturn:
        raise ValueError("unrecognized configuration name")

    monkeypatch.setattr(os, "confstr", no_glibc)
    monkeypatch.setattr(platform, "machine", lambda: "s390x")
    assert (runtime_module.this_host(runtime).libc, runtime_module.this_host(runtime).cpu) == ("musl", "s390x")


def identity_of(world: World, **more: t.Any) -> str:
    found = plan_installation(world.request(**more), no_run)
    assert found
    return found.identity


def test_the_same_inputs_give_the_same_identity(world: World) -> None:
    first = identity_of(world)

    assert len(first) == 64
    assert identity_of(world) == first
    # Neither where things are, nor what is fetched from where, nor a name that is not in the lockfile.
    moved = dataclasses.replace(
        world.request(), network=Network((Registry("https://npm.example.com/"),)), allow_scripts=("gone",)
    )
    found = plan_installation(moved, no_run)
    assert found
    assert found.identity == first


HEADER = "runtime/include/node/node_version.h"


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        (HEADER, "PATCH_VERSION 2", "PATCH_VERSION 3"),
        (HEADER, "115", "116"),
        ("runtime/lib/node_modules/npm/package.json", "11.19.1", "11.19.2"),
        ("app/package-lock.json", '"version": "2.1.3"', '"version": "2.1.4"'),
        ("app/package.json", '"engines"', '"overrides": {"ms": "2.1.3"}, "engines"'),
        ("app/.npmrc", "", "legacy-peer-deps=true"),
    ],
    ids=["runtime", "abi", "npm", "lockfile", "manifest", "settings"],
)
def test_what_decides_the_tree_changes_the_identity(world: World, path: str, old: str, new: str) -> None:
    first = identity_of(world)

    file = world.base / path
    text = file.read_text() if file.exists() else ""
    assert old in text
    file.write_text(text.replace(old, new))

    assert identity_of(world) != first


def test_platform_and_scripts_change_the_identity(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    first = identity_of(world)
    assert identity_of(world, allow_scripts=("sharp",)) != first
    monkeypatch.setattr(plan, "libc_version", lambda: "glibc 2.41")
    assert identity_of(world) != first


def test_engines_are_checked_before_anything_is_done(world: World) -> None:
    runtime = make_runtime(world.base / "old", version="18.0.0")
    request = dataclasses.replace(world.request(), runtime_root=str(runtime))

    with pytest.raises(ApphostError, match=r"the app is for Node\.js >=20, its runtime is 18\.0\.0"):
        plan_installation(request, no_run)
    assert plan_installation(dataclasses.replace(request, check_engines=False), no_run)
