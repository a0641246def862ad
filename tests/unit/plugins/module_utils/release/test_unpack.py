# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unpacking: whole, with the right modes, and never outside of its folder."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from pathlib import Path

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.release import artifact
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.unpack import unpack

from .test_artifact import LONG, packed, tree

GID = 4711


class Chown:
    """Remembers what would belong to whom."""

    def __init__(self) -> None:
        self.owned: dict[str, tuple[int, int]] = {}

    def __call__(self, descriptor: int, uid: int, gid: int) -> None:
        self.owned[os.readlink(f"/proc/self/fd/{descriptor}")] = (uid, gid)


def hostile(tmp_path: Path, *members: tuple[str, bytes, str]) -> str:
    """A tar of (name, type, content or link target) that no packer of ours writes."""
    path = tmp_path / "hostile.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, content in members:
            member = tarfile.TarInfo(name)
            member.type = kind
            if kind == tarfile.REGTYPE:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content.encode()))
            else:
                member.linkname = content
                tar.addfile(member)
    return str(path)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_files_come_back_with_modes_that_do_not_depend_on_the_umask(tmp_path: Path, umask: int) -> None:
    root = tree(tmp_path / "app")
    (tmp_path / "app.tar").write_bytes(packed(root))
    out, chown = tmp_path / "out", Chown()
    out.mkdir()
    old_umask = os.umask(umask)
    try:
        assert unpack(str(tmp_path / "app.tar"), str(out), GID, chown=chown) == 6
    finally:
        os.umask(old_umask)
    assert packed(out) == packed(root)
    modes = {
        str(p.relative_to(out)): oct(stat.S_IMODE(p.lstat().st_mode)) for p in out.rglob("*") if not p.is_symlink()
    }
    assert modes == {
        "bin.sh": "0o750",
        "größe 🙂": "0o640",
        "lib": "0o750",
        f"lib/{LONG}": "0o750",
        f"lib/{LONG}/{LONG}": "0o750",
        f"lib/{LONG}/{LONG}/deep.js": "0o640",
        "server.js": "0o640",
    }
    assert chown.owned == {str(out / name): (-1, GID) for name in modes}


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("../evil", tarfile.REGTYPE, "x")], "holds the path '../evil', which leads out of the release"),
        ([("a/../../evil", tarfile.REGTYPE, "x")], "holds the path 'a/../../evil', which leads out"),
        ([("/evil", tarfile.REGTYPE, "x")], "holds the path '/evil', which leads out"),
        ([("..", tarfile.DIRTYPE, "")], "holds the path '..', which leads out"),
        ([("a/./b", tarfile.REGTYPE, "x")], "holds the path 'a/./b', which leads out"),
        ([("", tarfile.REGTYPE, "x")], "holds the path '', which leads out"),
        ([("out", tarfile.SYMTYPE, "../..")], "holds the link 'out', which leads out"),
        ([("out", tarfile.SYMTYPE, "/etc")], "holds the link 'out', which leads out"),
        ([("d", tarfile.SYMTYPE, "."), ("d/evil", tarfile.REGTYPE, "x")], "holds 'd' twice, or below something"),
        ([("f", tarfile.REGTYPE, "x"), ("f/evil", tarfile.REGTYPE, "x")], "holds 'f' twice, or below something"),
        ([("a", tarfile.SYMTYPE, "b"), ("a", tarfile.REGTYPE, "x")], "holds 'a' twice"),
        ([("a", tarfile.REGTYPE, "x"), ("a", tarfile.REGTYPE, "y")], "holds 'a' twice"),
        ([("a", tarfile.REGTYPE, "x"), ("b", tarfile.LNKTYPE, "a")], "holds 'b', which is neither a file nor a folder"),
        ([("tty", tarfile.CHRTYPE, "")], "holds 'tty', which is neither a file nor a folder"),
        ([("pipe", tarfile.FIFOTYPE, "")], "holds 'pipe', which is neither a file nor a folder"),
    ],
)
def test_nothing_leaves_the_folder(tmp_path: Path, members: list[tuple[str, bytes, str]], message: str) -> None:
    bundle = hostile(tmp_path, *members)
    out = tmp_path / "deep" / "er" / "out"
    out.mkdir(parents=True)
    with pytest.raises(ApphostError) as caught:
        unpack(bundle, str(out))
    assert caught.value.message.startswith(f"{bundle}: {message}")
    assert not list(tmp_path.rglob("evil"))


def test_folders_in_a_tar_are_fine(tmp_path: Path) -> None:
    bundle = hostile(tmp_path, ("a/", tarfile.DIRTYPE, ""), ("a/b", tarfile.REGTYPE, "x"), ("c", tarfile.DIRTYPE, ""))
    (tmp_path / "out").mkdir()
    assert unpack(bundle, str(tmp_path / "out")) == 1
    assert (tmp_path / "out" / "a" / "b").read_text() == "x"
    assert (tmp_path / "out" / "c").is_dir()


@pytest.mark.parametrize("keep", [1, 600, 1500])
def test_a_tar_cut_short_is_an_error(tmp_path: Path, keep: int) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "a").write_bytes(b"x" * 1200)
    (tmp_path / "app" / "b").write_bytes(b"y" * 1200)
    pieces: list[bytes] = []
    artifact.pack(str(tmp_path / "app"), artifact.scan(str(tmp_path / "app")), pieces.append)
    (tmp_path / "cut.tar").write_bytes(b"".join(pieces)[:keep])
    (tmp_path / "out").mkdir()
    with pytest.raises(ApphostError, match=r"cut.tar: is no whole tar"):
        unpack(str(tmp_path / "cut.tar"), str(tmp_path / "out"))
