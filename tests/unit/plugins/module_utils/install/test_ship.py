# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A tree from one host to another: one tar, the same for the same tree, and nothing else is taken."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import pathlib
import tarfile
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.installer import LacksTree, install_dependencies
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import Shipped
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.ship import export_tree, import_tree
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.store import TreeStore
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.tree import Tree, look

from .world import World, make_app


def nothing(_argv: list[str]) -> tuple[int, str, str]:
    return 0, "", ""


class Shipment:
    """A tree that was built, its tar, and the store of another host."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.identity = str(install_dependencies(world.request(), world.npm).identity)
        self.store = TreeStore(str(world.store), None)
        self.tar = world.base / "tree.tar"
        self.digest = export_tree(self.store, self.identity, str(self.tar))
        self.other = TreeStore(str(world.base / "other"), None)
        self.other.prepare("npm")

    def arrive(self, digest: str | None = None) -> Tree:
        with self.other.building(self.identity):
            return import_tree(self.other, self.identity, str(self.tar), digest or self.digest, (), nothing)

    def repacked(self, change: t.Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes] | None]) -> str:
        """Change what is in the tar, as somebody would who can also change the digest."""
        with tarfile.open(self.tar) as old:
            members = [(member, _content(old, member)) for member in old]
        with tarfile.open(self.tar, "w") as new:
            for member, content in members:
                changed = change(member, content)
                if changed:
                    changed[0].size = len(changed[1])
                    new.addfile(changed[0], io.BytesIO(changed[1]))
        return hashlib.sha256(self.tar.read_bytes()).hexdigest()


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    # Of a link it would give the target's.
    file = tar.extractfile(member) if member.isreg() else None
    return file.read() if file else b""


#: Our own lists in a tree, with the key of the marker that vouches for them; and what somebody may write there.
LIST = ("/.apphost-files.json", "contents_sha256")
RECORD = ("/.apphost-packages.json", "record_sha256")
FORGED = (b"no JSON", b"[]", b"{}", b"[" * 100_000, b'{"files": [["a"]], "packages": [], "witnesses": 1}')


@pytest.fixture(name="shipment")
def fixture_shipment(world: World) -> Shipment:
    return Shipment(world)


def test_a_tree_arrives(shipment: Shipment) -> None:
    tree = shipment.arrive()

    assert tree == shipment.store.find(shipment.identity)
    base = shipment.other.tree_path(shipment.identity)
    assert look(base, ["node_modules"], full=True).intact == tree
    assert os.readlink(f"{base}/node_modules/.bin/semver") == "../semver/index.js"
    assert os.listdir(f"{shipment.other.root}/scratch") == []


def test_the_same_tree_gives_the_same_tar(shipment: Shipment) -> None:
    shipment.arrive()
    again = str(shipment.world.base / "again.tar")

    assert export_tree(shipment.other, shipment.identity, again) == shipment.digest
    assert pathlib.Path(again).read_bytes() == shipment.tar.read_bytes()
    assert pathlib.Path(again).stat().st_mode & 0o777 == 0o600


def test_an_installation_from_what_arrived(shipment: Shipment) -> None:
    shipment.arrive()
    shipment.world.npm.calls.clear()
    world = shipment.world

    result = install_dependencies(world.request(store=shipment.other.root), world.npm)

    assert (result.changed, result.from_cache) == (False, True)
    (world.app / "node_modules/.apphost-tree.json").unlink()
    assert install_dependencies(world.request(store=shipment.other.root), world.npm).from_cache
    assert world.npm.calls == []


def test_an_installation_that_gets_its_tree_shipped(shipment: Shipment) -> None:
    world = shipment.world
    world.npm.calls.clear()
    app = make_app(world.base / "elsewhere")
    other = {"store": shipment.other.root}
    with pytest.raises(LacksTree) as caught:
        install_dependencies(world.request(app, may_build=False, **other), world.npm)
    assert caught.value.identity == shipment.identity
    assert caught.value.platform.endswith(", glibc 2.36, node 20.20.2 (ABI 115), npm 11.19.1")
    assert caught.value.platform.startswith("linux ")
    assert not (app / "node_modules").exists()

    shipped = Shipped(str(shipment.tar), shipment.digest)
    result = install_dependencies(world.request(app, shipped=shipped, **other), world.npm)

    assert (result.changed, result.from_cache, result.shipped) == (True, False, True)
    assert "ship" in result.seconds
    assert world.npm.npm_calls == []
    assert (app / "node_modules/semver/index.js").exists()
    # It is there now.
    shipment.tar.unlink()
    again = install_dependencies(world.request(make_app(world.base / "third"), may_build=False, **other), world.npm)
    assert (again.from_cache, again.shipped) == (True, False)


def test_an_installation_whose_shipped_tree_was_tampered_with(shipment: Shipment) -> None:
    world = shipment.world
    app = make_app(world.base / "elsewhere")
    shipment.tar.write_bytes(shipment.tar.read_bytes().replace(b"strict", b"sloppy", 1))

    request = world.request(app, store=shipment.other.root, shipped=Shipped(str(shipment.tar), shipment.digest))
    with pytest.raises(ApphostError, match="it did not arrive as it was sent"):
        install_dependencies(request, world.npm)

    assert not (app / "node_modules").exists()
    assert shipment.other.find(shipment.identity) is None


def test_what_did_not_arrive_whole(shipment: Shipment) -> None:
    shipment.tar.write_bytes(shipment.tar.read_bytes()[:-1])

    with pytest.raises(ApphostError, match=r"it did not arrive as it was sent\. Ship it again\."):
        shipment.arrive()
    assert shipment.other.find(shipment.identity) is None


def changed_content(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    return member, b"evil" if member.name.endswith("ms/index.js") else content


def another_list(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    return member, b"{}" if member.name.endswith("/.apphost-files.json") else content


def forged(name: str, key: str, made: bytes) -> t.Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes]]:
    """Another file of ours, with a marker that vouches for it."""

    def change(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
        if member.name.endswith("/.apphost-tree.json"):
            content = json.dumps({**json.loads(content), key: hashlib.sha256(made).hexdigest()}).encode()
        return member, made if member.name.endswith(name) else content

    return change


def another_marker(**values: t.Any) -> t.Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes]]:
    def change(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
        if member.name.endswith("/.apphost-tree.json"):
            content = json.dumps({**json.loads(content), **values}).encode()
        return member, content

    return change


def left_out(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes] | None:
    return None if member.name.endswith("ms/index.js") else (member, content)


def renamed(name: str) -> t.Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes]]:
    def change(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
        if member.name.endswith("ms/index.js"):
            member.name = name
        return member, content

    return change


def linked(target: str) -> t.Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes]]:
    def change(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
        if member.name.endswith(".bin/semver"):
            member.linkname = target
        return member, content

    return change


def a_pipe(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    if member.name.endswith("ms/index.js"):
        member.type = tarfile.FIFOTYPE
    return member, b"" if member.type == tarfile.FIFOTYPE else content


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (another_list, r"is not what was sealed: node_modules/\.apphost-files\.json was changed\. Ship it again\."),
        *((forged(*LIST, made), r"node_modules/\.apphost-files\.json was changed") for made in FORGED),
        *((forged(*RECORD, made), r"node_modules/\.apphost-packages\.json was changed") for made in FORGED),
        (another_marker(products=["node_modules", 1]), "holds no tree "),
        (another_marker(products=["node_modules", "../evil"]), "holds no tree "),
        (another_marker(sealed_at="now"), "holds no tree "),
        (another_marker(sealed_at=2**70), "holds no tree "),
        (another_marker(scripts_skipped=[["a"]]), "holds no tree "),
        (changed_content, "the shipped tree is not what was sealed: node_modules/ms/index.js was changed"),
        (left_out, "the shipped tree is not what was sealed: node_modules/ms/index.js is gone"),
        (renamed("../evil.js"), r"holds the path '\.\./evil\.js', which leads out of the tree"),
        (renamed("node_modules/.bin/semver/evil.js"), "which is in no tree of packages"),
        (renamed("etc/evil.js"), "holds 'etc/evil.js', which is in no tree of packages"),
        (renamed("node_modules/ms/package.json"), "holds 'node_modules/ms/package.json' twice"),
        (linked("/etc/shadow"), "is a symbolic link out of the tree"),
        (a_pipe, "which is neither file, folder nor link"),
    ],
)
def test_a_tar_that_somebody_made_is_refused(
    shipment: Shipment,
    change: t.Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes] | None],
    words: str,
) -> None:
    digest = shipment.repacked(change)

    with pytest.raises(ApphostError, match=words):
        shipment.arrive(digest)

    assert shipment.other.find(shipment.identity) is None
    assert os.listdir(f"{shipment.other.root}/scratch") == []


def test_what_is_no_tar_is_refused(shipment: Shipment) -> None:
    content = shipment.tar.read_bytes()
    for damaged in (content[: content.index(b"'use strict'") + 3], b"no tar at all"):
        shipment.tar.write_bytes(damaged)
        with pytest.raises(ApphostError, match=r"tree\.tar: is no whole tar \(.*\)\. Ship it again\."):
            shipment.arrive(hashlib.sha256(damaged).hexdigest())
        assert os.listdir(f"{shipment.other.root}/scratch") == []


def test_another_tree_than_was_asked_for(shipment: Shipment) -> None:
    with pytest.raises(ApphostError, match="holds no tree 000000000000"):
        import_tree(shipment.other, "0" * 64, str(shipment.tar), shipment.digest, (), nothing)


def test_a_disk_that_cannot_be_written_to(shipment: Shipment) -> None:
    def run(_argv: list[str]) -> tuple[int, str, str]:
        return 1, "", "sync: Input/output error\n"

    with pytest.raises(ApphostError, match=r"cannot be written to the disk: sync: Input/output error\. See what"):
        import_tree(shipment.other, shipment.identity, str(shipment.tar), shipment.digest, (), run)
    assert shipment.other.find(shipment.identity) is None


def test_a_tar_that_does_not_get_complete_is_gone_again(shipment: Shipment, monkeypatch: pytest.MonkeyPatch) -> None:
    path = shipment.world.base / "more.tar"

    def full(*_arguments: t.Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    with pytest.raises(OSError, match="No space"):
        export_tree(shipment.store, shipment.identity, str(path))
    assert not path.exists()


def test_a_tree_that_is_not_there(shipment: Shipment) -> None:
    with pytest.raises(ApphostError, match=r"the store has no tree 000000000000\. Install it on this host first\."):
        export_tree(shipment.store, "0" * 64, str(shipment.world.base / "none.tar"))
