# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unpacking: plain trees come out right, hostile ones do not come out at all."""

from __future__ import annotations

import os
import pathlib
import tarfile
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime import unpack as unpack_module
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.unpack import unpack

from .world import Entry, make_tar


@pytest.fixture(name="unpacked")
def fixture_unpacked(tmp_path: pathlib.Path) -> t.Callable[..., pathlib.Path]:
    """Make an archive of the entries and unpack it; the folder."""

    def unpacked(*entries: t.Any, compression: str = "gz") -> pathlib.Path:
        archive = tmp_path / "archive"
        archive.write_bytes(make_tar(*entries, compression=compression))
        unpack(str(archive), str(tmp_path / "tree"))
        return tmp_path / "tree"

    return unpacked


@pytest.mark.parametrize("compression", ["gz", "xz", ""])
def test_a_plain_tree(unpacked: t.Any, compression: str) -> None:
    tree = unpacked(
        Entry("top/", kind=tarfile.DIRTYPE, mode=0o700),
        Entry("top/bin/node", b"program", mode=0o4775),
        Entry("./top/lib/data.js", b"text", mode=0o666),
        Entry("top/bin/npm", kind=tarfile.SYMTYPE, link="../lib/data.js"),
        Entry("top/empty", kind=tarfile.DIRTYPE, mode=0o777),
        compression=compression,
    )
    assert (tree / "bin/node").read_bytes() == b"program"
    assert (tree / "bin/npm").read_text() == "text"
    modes = {
        name: oct((tree / name).stat().st_mode & 0o7777) for name in (".", "bin", "bin/node", "lib/data.js", "empty")
    }
    assert modes == {".": "0o755", "bin": "0o755", "bin/node": "0o755", "lib/data.js": "0o644", "empty": "0o755"}
    assert (tree / "bin/node").stat().st_uid == os.getuid()


def test_modes_do_not_depend_on_the_umask(unpacked: t.Any) -> None:
    before = os.umask(0o077)
    try:
        tree = unpacked(Entry("top/bin/node", b"", mode=0o755), Entry("top/README", b""))
    finally:
        os.umask(before)
    modes = [oct((tree / name).stat().st_mode & 0o7777) for name in (".", "bin", "bin/node", "README")]
    assert modes == ["0o755", "0o755", "0o755", "0o644"]


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ([("top/../../evil", b"x")], "leads out"),
        ([("../evil", b"x")], "leads out"),
        ([("/top/evil", b"x")], "leads out"),
        ([("top/away", b"", 0o777, tarfile.SYMTYPE, "../../evil")], "leads out"),
        ([("top/away", b"", 0o777, tarfile.SYMTYPE, "/etc")], "leads out"),
        ([("top/in", b"", 0o777, tarfile.SYMTYPE, "."), ("top/in/evil", b"x")], "needs 'in' to be a folder"),
        ([("top/in", b"", 0o777, tarfile.SYMTYPE, "other"), ("top/in", b"x")], "is there twice"),
        ([("top/file", b"x"), ("top/file/evil", b"x")], "needs 'file' to be a folder"),
        ([("top/file", b"x"), ("top/file", b"", 0o755, tarfile.DIRTYPE)], "needs 'file' to be a folder"),
        ([("top/same", b"x"), ("top/./same", b"y")], "is there twice"),
        ([("top/folder/x", b""), ("top/folder", b"y")], "is there twice"),
        ([("top/hard", b"", 0o644, tarfile.LNKTYPE, "/etc/passwd")], "is neither a file nor"),
        ([("top/device", b"", 0o666, tarfile.CHRTYPE)], "is neither a file nor"),
        ([("top/pipe", b"", 0o666, tarfile.FIFOTYPE)], "is neither a file nor"),
    ],
)
def test_hostile_archives_are_refused(unpacked: t.Any, tmp_path: pathlib.Path, entries: list[t.Any], why: str) -> None:
    with pytest.raises(ApphostError, match=why):
        unpacked(*(Entry(*each) for each in entries))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["archive", "tree"]
    assert not (tmp_path.parent / "evil").exists()


def test_too_much_is_refused(unpacked: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack_module, "MAX_BYTES", 10)
    with pytest.raises(ApphostError, match="makes more than 10 bytes"):
        unpacked(Entry("top/a", b"123456"), Entry("top/b", b"123456"))


def test_too_many_are_refused(unpacked: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack_module, "MAX_FILES", 1)
    with pytest.raises(ApphostError, match="is one file more than 1"):
        unpacked(Entry("top/a", b""), Entry("top/b", b""))


@pytest.mark.parametrize("compression", ["gz", "xz", ""])
def test_a_torn_archive_is_no_archive(tmp_path: pathlib.Path, compression: str) -> None:
    whole = make_tar(Entry("top/file", os.urandom(50_000)), compression=compression)
    (tmp_path / "archive").write_bytes(whole[:30_000])
    with pytest.raises(ApphostError, match="is not a readable archive"):
        unpack(str(tmp_path / "archive"), str(tmp_path / "tree"))


def test_something_else_is_no_archive(tmp_path: pathlib.Path) -> None:
    (tmp_path / "archive").write_bytes(b"<html>Please log in</html>" * 100)
    with pytest.raises(ApphostError, match="is not a readable archive"):
        unpack(str(tmp_path / "archive"), str(tmp_path / "tree"))
