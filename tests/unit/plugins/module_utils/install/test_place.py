# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting a tree in place: links where they can be, copies where not, and in one step."""

from __future__ import annotations

import errno
import os
import pathlib
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.install import place as place_module
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.place import DamagedTree, place
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.tree import Tree

TREE = Tree(identity="i", packages=1, files=2, bytes=6, scripts_skipped=(), hidden_sha256="h")


@pytest.fixture
def source(tmp_path: pathlib.Path) -> pathlib.Path:
    source = tmp_path / "source"
    (source / "a" / "bin").mkdir(parents=True)
    (source / "a" / "package.json").write_text("{}")
    (source / "a" / "bin" / "a.js").write_text("new\n")
    (source / "a" / "bin" / "a.js").chmod(0o755)
    (source / "link").symlink_to("a/bin/a.js")
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
    place(str(source), TREE, str(folder), None, link=True)

    assert names(folder) == NEW
    assert (folder / "node_modules/a/bin/a.js").samefile(source / "a/bin/a.js")
    assert os.readlink(folder / "node_modules/link") == "a/bin/a.js"


@pytest.mark.parametrize("number", [errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP])
def test_copies_where_links_cannot_be(
    source: pathlib.Path, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def no_link(*_names: str, **_more: t.Any) -> t.NoReturn:
        raise OSError(number, "no")

    monkeypatch.setattr(os, "link", no_link)

    place(str(source), TREE, str(folder), None, link=True)

    assert names(folder) == NEW
    copied = folder / "node_modules/a/bin/a.js"
    assert copied.read_text() == "new\n"
    assert copied.stat().st_mode & 0o777 == 0o755
    assert not copied.samefile(source / "a/bin/a.js")


def test_copies_belong_to_their_owner(
    source: pathlib.Path, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []

    def chown(name: str, uid: int, gid: int, *, dir_fd: int, follow_symlinks: bool) -> None:
        assert not follow_symlinks
        given.append((name, uid, gid))

    monkeypatch.setattr(os, "chown", chown)

    place(str(source), TREE, str(folder), (1000, 1001), link=False)

    top = given.pop()
    assert top[0].startswith(".apphost-node_modules-") and top[1:] == (1000, 1001)
    assert sorted(given) == [(name, 1000, 1001) for name in ("a", "a.js", "bin", "link", "package.json")]


def test_a_failure_leaves_what_was_there(
    source: pathlib.Path, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_names: str, **_more: t.Any) -> t.NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", full)

    with pytest.raises(OSError, match="No space left"):
        place(str(source), TREE, str(folder), None, link=True)
    assert names(folder) == {"node_modules", "node_modules/old.js"}


def test_a_tree_with_fewer_files_than_it_had_is_not_put_in_place(source: pathlib.Path, folder: pathlib.Path) -> None:
    (source / "a" / "package.json").unlink()

    with pytest.raises(DamagedTree):
        place(str(source), TREE, str(folder), None, link=True)
    assert names(folder) == {"node_modules", "node_modules/old.js"}


def test_there_is_a_tree_at_every_moment(
    source: pathlib.Path, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    real = place_module._exchange

    def exchange(one: str, other: str, parent: int) -> int:
        seen.append((folder / "node_modules/old.js").exists())
        number = real(one, other, parent)
        seen.append((folder / "node_modules/a").exists())
        return number

    monkeypatch.setattr(place_module, "_exchange", exchange)

    place(str(source), TREE, str(folder), None, link=True)

    assert seen == [True, True]
    assert names(folder) == NEW


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EINVAL])
def test_a_file_system_that_cannot_exchange(
    source: pathlib.Path, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(place_module, "_exchange", lambda *_arguments: number)

    place(str(source), TREE, str(folder), None, link=True)

    assert names(folder) == NEW


def test_an_exchange_that_fails(source: pathlib.Path, folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place_module, "_exchange", lambda *_arguments: errno.EIO)

    with pytest.raises(OSError, match="Input/output error"):
        place(str(source), TREE, str(folder), None, link=True)
    assert names(folder) == {"node_modules", "node_modules/old.js"}


def test_a_link_planted_in_the_folder_is_not_followed(
    source: pathlib.Path, folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (folder / ".apphost-node_modules-feed").symlink_to(victim)
    (folder / "node_modules" / "old.js").unlink()
    (folder / "node_modules").rmdir()
    (folder / "node_modules").symlink_to(victim)

    place(str(source), TREE, str(folder), None, link=True)

    assert list(victim.iterdir()) == []
    assert names(folder) == NEW
