# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packing: the same files give the same bytes, and what no artifact can hold is named."""

from __future__ import annotations

import hashlib
import os
import socket
import tarfile
import time
from pathlib import Path

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.release import artifact

LONG = "a-rather-long-name" * 5

# SHA-256 of the tar of tree(): what hosts out there know artifacts by. Never adapt it in passing.
FROZEN = "24fd7c6ee879017418455b1621263a77cec5376c22750558419df0ed07b8a274"


def tree(root: Path) -> Path:
    """A small app with every kind of member."""
    (root / "lib" / LONG / LONG).mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "server.js").write_text("console.log('hello')\n")
    (root / "bin.sh").write_text("#!/bin/sh\n")
    (root / "bin.sh").chmod(0o755)
    (root / "größe 🙂").write_bytes(b"x" * 512)
    (root / "lib" / LONG / LONG / "deep.js").write_text("")
    (root / "lib" / "link").symlink_to("../server.js")
    (root / "lib" / "far").symlink_to(f"{LONG}/{LONG}/deep.js")
    return root


def packed(root: Path) -> bytes:
    pieces: list[bytes] = []
    artifact.pack(str(root), artifact.scan(str(root)), pieces.append)
    return b"".join(pieces)


def test_the_bytes_are_frozen(tmp_path: Path) -> None:
    assert hashlib.sha256(packed(tree(tmp_path))).hexdigest() == FROZEN


def test_owner_time_umask_and_order_of_making_do_not_matter(tmp_path: Path) -> None:
    first = tree(tmp_path / "first")
    second = tmp_path / "second"
    old_umask = os.umask(0o077)
    try:
        (second / "zz-empty").mkdir(parents=True)
        for path in sorted(first.rglob("*"), reverse=True):
            copy = second / path.relative_to(first)
            if path.is_symlink():
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.symlink_to(path.readlink())
            elif path.is_file():
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(path.read_bytes())
                copy.chmod(0o700 if path.stat().st_mode & 0o100 else 0o600)
                os.utime(copy, (1, 1))
    finally:
        os.umask(old_umask)
    assert packed(first) == packed(second)


@pytest.mark.parametrize("change", ["content", "name", "executable", "link", "new"])
def test_what_an_app_can_see_does_matter(tmp_path: Path, change: str) -> None:
    before = packed(tree(tmp_path))
    if change == "content":
        (tmp_path / "server.js").write_text("console.log('HELLO')\n")
    elif change == "name":
        (tmp_path / "server.js").rename(tmp_path / "server2.js")
    elif change == "executable":
        (tmp_path / "server.js").chmod(0o755)
    elif change == "link":
        (tmp_path / "lib" / "link").unlink()
        (tmp_path / "lib" / "link").symlink_to("../bin.sh")
    else:
        (tmp_path / "new").write_text("")
    assert packed(tmp_path) != before


def test_any_tar_program_reads_it(tmp_path: Path) -> None:
    root = tree(tmp_path / "app")
    (tmp_path / "app.tar").write_bytes(packed(root))
    with tarfile.open(tmp_path / "app.tar", "r:", encoding="utf-8") as tar:
        members = {member.name: member for member in tar}
        assert list(members) == sorted(members, key=str.encode)
        assert {(m.uid, m.gid, m.mtime) for m in members.values()} == {(0, 0, 0)}
        assert {name: m.mode for name, m in members.items() if m.isreg()} == {
            "bin.sh": 0o755,
            "größe 🙂": 0o644,
            f"lib/{LONG}/{LONG}/deep.js": 0o644,
            "server.js": 0o644,
        }
        assert members["lib/link"].linkname == "../server.js"
        assert members["lib/far"].linkname == f"{LONG}/{LONG}/deep.js"
        content = tar.extractfile("server.js")
        assert content is not None
        assert content.read() == b"console.log('hello')\n"


def test_what_the_ignore_file_names_is_left_out(tmp_path: Path) -> None:
    for name in ("a.js", "a.log", "tmp/x", "node_modules/x/index.js", ".git/HEAD", "sub/node_modules/y.js"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / ".apphostignore").write_text("*.log\ntmp/\n")
    assert [member.path for member in artifact.scan(str(tmp_path))] == ["a.js"]


def test_what_is_left_out_is_not_looked_at(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a.js").write_text("")
    (tmp_path / ".apphostignore").write_text("pipe\n")
    assert [member.path for member in artifact.scan(str(tmp_path))] == ["a.js"]


def test_everything_no_artifact_can_hold_is_told_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "out").symlink_to("../../etc/passwd")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "absolute").symlink_to("/etc/passwd")
    (tmp_path / "sub" / "fine").symlink_to("../sub/../a.js")
    (tmp_path / "dangling").symlink_to("node_modules/later")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))).write_text("")
    with pytest.raises(ApphostError) as caught:
        artifact.scan(str(tmp_path))
    assert sorted(caught.value.message.splitlines()) == [
        f"{tmp_path}/\\xff: its name is not UTF-8",
        f"{tmp_path}/out: is a link that leads out of the folder, to ../../etc/passwd",
        f"{tmp_path}/pipe: is a named pipe; an artifact holds files, folders and links",
        f"{tmp_path}/socket: is a socket; an artifact holds files, folders and links",
        f"{tmp_path}/sub/absolute: is a link that leads out of the folder, to /etc/passwd",
    ]


def test_many_problems_are_cut_short(tmp_path: Path) -> None:
    for number in range(9):
        os.mkfifo(tmp_path / f"pipe{number}")
    with pytest.raises(ApphostError) as caught:
        artifact.scan(str(tmp_path))
    assert caught.value.message.splitlines()[5:] == ["and 4 more"]


@pytest.mark.parametrize("size", [5, 500_000, 3_000_000])
@pytest.mark.parametrize("change", ["grows", "shrinks", "is written", "is replaced", "goes"])
def test_a_file_that_changes_while_it_is_read_is_an_error(tmp_path: Path, size: int, change: str) -> None:
    moving = tmp_path / "moving.log"
    moving.write_bytes(b"x" * size)
    os.utime(moving, (1, 1))
    members = artifact.scan(str(tmp_path))
    changes = {
        "grows": lambda: moving.write_bytes(b"x" * (size + 1)),
        "shrinks": lambda: os.truncate(moving, size - 1),
        "is written": lambda: moving.write_bytes(b"y" * size),
    }
    if change == "is replaced":
        moving.unlink()
        os.mkfifo(moving)
    elif change == "goes":
        moving.unlink()

    def emit(_piece: bytes) -> None:
        # The header comes first: the file is open by then.
        if change in changes:
            changes[change]()

    with pytest.raises(ApphostError, match=r"moving.log: changed while it was read"):
        artifact.pack(str(tmp_path), members, emit)


def test_a_file_too_large_for_a_tar_header_is_refused(tmp_path: Path) -> None:
    (tmp_path / "huge").touch()
    os.truncate(tmp_path / "huge", 8**11)
    with pytest.raises(ApphostError, match="huge: is larger than 8589934591 bytes"):
        artifact.pack(str(tmp_path), artifact.scan(str(tmp_path)), lambda _piece: None)


def test_five_thousand_files_take_less_than_two_seconds(tmp_path: Path) -> None:
    (tmp_path / ".apphostignore").write_text("*.log\n/tmp/\n!keep.log\ndoc/**/*.md\n")
    for folder in range(100):
        (tmp_path / f"folder{folder}").mkdir()
        for file in range(50):
            (tmp_path / f"folder{folder}" / f"{file}.js").write_text("x" * 1000)
    begin = time.monotonic()
    assert len(packed(tmp_path)) == 5000 * 1536 + 1024
    assert time.monotonic() - begin < 2
