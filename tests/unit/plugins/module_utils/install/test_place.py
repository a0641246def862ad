# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting a tree in place: links where they can be, copies where not, and in one step."""

from __future__ import annotations

import errno
import fcntl
import os
import pathlib
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.install import place as place_module
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.place import DamagedTree, place
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.tree import Tree

PLACES = ("node_modules", "packages/one/node_modules")


def tree(*products: str, files: int) -> Tree:
    return Tree("i", "npm", products, 1, files, 6, (), 1, "", "")


TREE = tree("node_modules", files=2)


@pytest.fixture
def source(tmp_path: pathlib.Path) -> pathlib.Path:
    source = tmp_path / "source"
    modules = source / "node_modules"
    (modules / "a" / "bin").mkdir(parents=True)
    (modules / "a" / "package.json").write_text("{}")
    (modules / "a" / "bin" / "a.js").write_text("new\n")
    (modules / "a" / "bin" / "a.js").chmod(0o755)
    (modules / "link").symlink_to("a/bin/a.js")
    return source


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "app"
    (folder / "node_modules").mkdir(parents=True)
    (folder / "node_modules" / "old.js").write_text("old\n")
    return folder


def names(folder: pathlib.Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


NEW = {
    "node_modules",
    "node_modules/a",
    "node_modules/a/bin",
    "node_modules/a/bin/a.js",
    "node_modules/a/package.json",
    "node_modules/link",
}


def test_hard_links(source: pathlib.Path, folder: pathlib.Path) -> None:
    place(str(source), TREE, str(folder), PLACES[:1], None, link=True)

    assert names(folder) == NEW
    assert (folder / "node_modules/a/bin/a.js").samefile(source / "node_modules/a/bin/a.js")
    assert os.readlink(folder / "node_modules/link") == "a/bin/a.js"


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP])
def test_copies_where_links_cannot_be(
    source: pathlib.Path, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def no_link(*_names: str, **_more: t.Any) -> t.NoReturn:
        raise OSError(number, "no")

    monkeypatch.setattr(os, "link", no_link)

    place(str(source), TREE, str(folder), PLACES[:1], None, link=True)

    assert names(folder) == NEW
    copied = folder / "node_modules/a/bin/a.js"
    assert copied.read_text() == "new\n"
    assert copied.stat().st_mode & 0o777 == 0o755
    assert not copied.samefile(source / "node_modules/a/bin/a.js")


def test_copies_belong_to_their_owner(
    source: pathlib.Path, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []

    def chown(name: str, uid: int, gid: int, *, dir_fd: int, follow_symlinks: bool) -> None:
        assert not follow_symlinks
        given.append((name, uid, gid))

    monkeypatch.setattr(os, "chown", chown)

    place(str(source), TREE, str(folder), PLACES[:1], (1000, 1001), link=False)

    top = given.pop()
    assert top[0].startswith(".apphost-beside-") and top[1:] == (1000, 1001)
    assert sorted(given) == [(name, 1000, 1001) for name in ("a", "a.js", "bin", "link", "package.json")]


def test_a_failure_leaves_what_was_there(
    source: pathlib.Path, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_names: str, **_more: t.Any) -> t.NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", full)

    with pytest.raises(OSError, match="No space left"):
        place(str(source), TREE, str(folder), PLACES[:1], None, link=True)
    assert names(folder) == {"node_modules", "node_modules/old.js"}


def test_a_tree_with_fewer_files_than_it_had_is_not_put_in_place(source: pathlib.Path, folder: pathlib.Path) -> None:
    (source / "node_modules/a/package.json").unlink()

    with pytest.raises(DamagedTree):
        place(str(source), TREE, str(folder), PLACES[:1], None, link=True)
    assert names(folder) == {"node_modules", "node_modules/old.js"}


def test_there_is_a_tree_at_every_moment(
    source: pathlib.Path, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    real = place_module._try_exchange

    def exchange(one: str, other: str, parent: int) -> int:
        seen.append((folder / "node_modules/old.js").exists())
        number = real(one, other, parent)
        seen.append((folder / "node_modules/a").exists())
        return number

    monkeypatch.setattr(place_module, "_try_exchange", exchange)

    place(str(source), TREE, str(folder), PLACES[:1], None, link=True)

    assert seen == [True, True]
    assert names(folder) == NEW


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EINVAL])
def test_a_file_system_that_cannot_exchange(
    source: pathlib.Path, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(place_module, "_try_exchange", lambda *_arguments: number)

    place(str(source), TREE, str(folder), PLACES[:1], None, link=True)

    assert names(folder) == NEW


def test_an_exchange_that_fails(source: pathlib.Path, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place_module, "_try_exchange", lambda *_arguments: errno.EIO)

    with pytest.raises(OSError, match="Input/output error"):
        place(str(source), TREE, str(folder), PLACES[:1], None, link=True)
    assert names(folder) == {"node_modules", "node_modules/old.js"}


def test_a_link_planted_in_the_folder_is_not_followed(
    source: pathlib.Path, folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (folder / ".apphost-beside-feed").symlink_to(victim)
    (folder / "node_modules" / "old.js").unlink()
    (folder / "node_modules").rmdir()
    (folder / "node_modules").symlink_to(victim)

    place(str(source), TREE, str(folder), PLACES[:1], None, link=True)

    assert list(victim.iterdir()) == []
    assert names(folder) == NEW


def workspace_tree(source: pathlib.Path, folder: pathlib.Path) -> Tree:
    """Add a second product to the stored tree, and an old one to the project."""
    new, old = source / PLACES[1] / "b", folder / PLACES[1]
    new.mkdir(parents=True)
    (new / "package.json").write_text("{}")
    old.mkdir(parents=True)
    (old / "old.js").write_text("old\n")
    return tree(*PLACES, files=3)


def test_several_products(source: pathlib.Path, folder: pathlib.Path) -> None:
    whole = workspace_tree(source, folder)

    assert place(str(source), whole, str(folder), PLACES, None, link=True) == "hard_link"

    assert names(folder / "packages") == {"one", "one/node_modules", "one/node_modules/b"} | {
        "one/node_modules/b/package.json"
    }
    assert names(folder) >= NEW


def test_a_product_that_is_no_longer_made_goes_away(source: pathlib.Path, folder: pathlib.Path) -> None:
    workspace_tree(source, folder)

    place(str(source), TREE, str(folder), PLACES, None, link=True)

    assert names(folder) == NEW | {"packages", "packages/one"}


def test_all_products_are_exchanged_or_none(
    source: pathlib.Path, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = workspace_tree(source, folder)
    real, tries = place_module._try_exchange, []

    def exchange(one: str, other: str, parent: int) -> int:
        tries.append(other)
        return errno.EIO if len(tries) == 2 else real(one, other, parent)

    monkeypatch.setattr(place_module, "_try_exchange", exchange)

    with pytest.raises(OSError, match="Input/output error"):
        place(str(source), whole, str(folder), PLACES, None, link=True)

    # The second was the one with the marker; the first went back.
    assert len(tries) == 3
    assert names(folder) == {
        "node_modules",
        "node_modules/old.js",
        "packages",
        "packages/one",
        "packages/one/node_modules",
        "packages/one/node_modules/old.js",
    }


def test_a_workspace_that_is_a_link_is_not_followed(
    source: pathlib.Path, folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    whole = workspace_tree(source, folder)
    (folder / "packages").rename(tmp_path / "victim")
    (folder / "packages").symlink_to(tmp_path / "victim")

    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        place(str(source), whole, str(folder), PLACES, None, link=True)

    assert (tmp_path / "victim/one/node_modules/old.js").exists()


def test_blocks_are_shared_where_the_file_system_can(
    source: pathlib.Path, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def clone(target: int, request: int, origin: int) -> None:
        assert request == 0x40049409
        os.write(target, os.read(origin, 100))

    monkeypatch.setattr(fcntl, "ioctl", clone)

    assert place(str(source), TREE, str(folder), PLACES[:1], None, link=False) == "reflink"

    copied = folder / "node_modules/a/bin/a.js"
    assert (copied.read_text(), copied.stat().st_mode & 0o777) == ("new\n", 0o755)
    assert copied.stat().st_mtime_ns == (source / "node_modules/a/bin/a.js").stat().st_mtime_ns


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EXDEV, errno.ENOTTY])
def test_copies_where_blocks_cannot_be_shared(
    source: pathlib.Path, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    tries = []

    def clone(*arguments: int) -> t.NoReturn:
        tries.append(arguments)
        raise OSError(number, "no")

    monkeypatch.setattr(fcntl, "ioctl", clone)

    assert place(str(source), TREE, str(folder), PLACES[:1], None, link=False) == "copy"

    assert (folder / "node_modules/a/bin/a.js").read_text() == "new\n"
    assert len(tries) == 1
