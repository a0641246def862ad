# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filling a folder with what is in another one."""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.contents import read_contents
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.fill import Filler, opened


def flat(base: pathlib.Path) -> None:
    """Many packages side by side, as npm has them."""
    for number in range(100):
        package(base / f"p{number}")


def nested(base: pathlib.Path) -> None:
    """All of them in one folder, as pnpm has them."""
    for number in range(100):
        package(base / ".store" / f"p{number}@1" / "node_modules" / f"p{number}")
        (base / f"p{number}").symlink_to(f".store/p{number}@1/node_modules/p{number}")


def deep(base: pathlib.Path) -> None:
    """One folder in another."""
    package(base.joinpath(*["d"] * 60))


def package(folder: pathlib.Path) -> None:
    (folder / "lib").mkdir(parents=True)
    (folder / "lib" / "index.js").write_text(folder.name)
    (folder / "program").write_text("#!/bin/sh")
    (folder / "program").chmod(0o755)


@pytest.fixture(params=[flat, nested, deep, lambda base: None], ids=["flat", "nested", "deep", "empty"])
def folders(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """A full folder and an empty one."""
    source, target = tmp_path / "one" / "tree", tmp_path / "other" / "tree"
    for folder in (source, target):
        folder.mkdir(parents=True)
    request.param(source)
    return source, target


@pytest.mark.parametrize("processes", [1, 2, 5])
@pytest.mark.parametrize(("link", "ways"), [(True, {"hard_link"}), (False, {"copy", "reflink"})])
def test_everything_is_there_afterwards(
    folders: tuple[pathlib.Path, pathlib.Path], link: bool, ways: set[str], processes: int
) -> None:
    source, target = folders
    filler = Filler(None, link, processes)

    with opened(str(source)) as old, opened(str(target)) as new:
        filler.fill(old, new)

    before, after = (read_contents(str(folder.parent), ["tree"]) for folder in folders)
    assert after == before
    assert filler.files == len(before.files)
    assert all((source.parent / path).samefile(target.parent / path) is link for path in before.files)
    assert filler.way in ways


def test_everything_is_given_away(folders: tuple[pathlib.Path, pathlib.Path], monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = folders
    given: set[str] = set()

    def chown(path: str, uid: int, gid: int, *, dir_fd: int, follow_symlinks: bool) -> None:
        assert (uid, gid, follow_symlinks) == (12, 34, False)
        full = os.path.join(os.readlink(f"/proc/self/fd/{dir_fd}"), path)
        if os.path.isdir(full) and not os.path.islink(full):
            # Whoever has a folder could change what is in it.
            assert all(os.path.join(full, name) in given for name in os.listdir(full))
        given.add(full)

    monkeypatch.setattr(os, "chown", chown)
    with opened(str(source)) as old, opened(str(target)) as new:
        Filler((12, 34), False, processes=4).fill(old, new)

    assert given == {str(path) for path in target.rglob("*")}


@pytest.mark.parametrize("processes", [1, 4])
def test_a_disk_that_gets_full(
    folders: tuple[pathlib.Path, pathlib.Path], monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    source, target = folders
    package(source / "one")

    def full(*_arguments: t.Any, **_more: t.Any) -> t.NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    with opened(str(source)) as old, opened(str(target)) as new, pytest.raises(OSError, match="No space left"):
        Filler(None, True, processes).fill(old, new)
