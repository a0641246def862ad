# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are replaced in one step, and locks."""

from __future__ import annotations

import os
import pathlib
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.files import (
    remove_if_there,
    replace_symlink,
    try_lock,
    write_atomic,
)


def test_content_mode_and_group_are_as_asked_whatever_the_umask(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "file"
    before = os.umask(0o077)
    try:
        write_atomic(str(path), b"one", 0o644, os.getgid())
    finally:
        os.umask(before)
    assert (path.read_bytes(), path.stat().st_mode & 0o7777) == (b"one", 0o644)
    write_atomic(str(path), b"two", 0o600)
    assert (path.read_bytes(), path.stat().st_mode & 0o7777) == (b"two", 0o600)
    assert os.listdir(tmp_path) == ["file"]


def test_a_failure_leaves_the_old_content_and_no_rubbish(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(str(path), b"new", 0o644)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_link_that_somebody_put_in_the_way_is_not_followed(tmp_path: pathlib.Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "file.new").symlink_to(tmp_path / "precious")
    write_atomic(str(tmp_path / "file"), b"secret", 0o600)
    assert (tmp_path / "precious").read_text() == "precious"
    assert (tmp_path / "file").read_text() == "secret"


def test_a_link_changes_its_target_and_a_killed_attempt_is_no_hindrance(tmp_path: pathlib.Path) -> None:
    link = tmp_path / "current"
    (tmp_path / "current.new").symlink_to("killed")
    for target in ("releases/1", "releases/2"):
        replace_symlink(target, str(link))
        assert os.readlink(link) == target
    assert os.listdir(tmp_path) == ["current"]


def test_removing_what_is_not_there_is_fine_and_a_folder_is_not(tmp_path: pathlib.Path) -> None:
    remove_if_there(str(tmp_path / "nothing"))
    with pytest.raises(OSError, match=r"Is a directory|Operation not permitted"):
        remove_if_there(str(tmp_path))


@pytest.fixture
def opened(tmp_path: pathlib.Path) -> t.Iterator[t.Callable[[], int]]:
    """Opens the same file again and again."""
    descriptors: list[int] = []

    def again() -> int:
        descriptors.append(os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT))
        return descriptors[-1]

    yield again
    for descriptor in descriptors:
        os.close(descriptor)


def test_a_lock_has_one_holder_until_the_file_is_closed(opened: t.Callable[[], int], tmp_path: pathlib.Path) -> None:
    first = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    assert try_lock(first)
    assert not try_lock(opened())
    os.close(first)
    assert try_lock(opened())
    assert not try_lock(opened())
