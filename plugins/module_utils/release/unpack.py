# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unpack an artifact, trusting nothing in it: every path is checked, and nothing is written through a link."""

from __future__ import annotations

import os
import posixpath
import shutil
import tarfile
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.links import leads_out

# Takes a path or a descriptor, user and group, as os.chown does.
Chown = t.Callable[[t.Any, int, int], t.Any]


def unpack(
    bundle: str,
    folder: str,
    gid: int | None = None,
    folder_mode: int = 0o750,
    file_mode: int = 0o640,
    chown: Chown = os.chown,
) -> int:
    """Unpack the tar ``bundle`` into the existing, empty ``folder`` and return the number of files and links.

    Files get ``file_mode``, those that are executable in the tar also an execute bit for each read bit;
    folders get ``folder_mode``; all belong to root (or whoever runs this) and, when ``gid`` is given, to that
    group. The umask does not matter.

    Raises :class:`ApphostError` for a tar that is damaged or holds what no artifact may hold, and ``OSError``
    (a full disk); the caller removes ``folder`` then.
    """
    unpacker = _Unpacker(folder, gid, folder_mode, file_mode, chown)
    try:
        with tarfile.open(bundle, "r:", encoding="utf-8", errors="surrogateescape") as tar:
            for member in tar:
                unpacker.add(tar, member)
    except (tarfile.TarError, EOFError) as error:
        raise ApphostError(f"is no whole tar ({error})", bundle, "Bundle the app again.") from None
    return unpacker.count


class _Unpacker:
    def __init__(self, folder: str, gid: int | None, folder_mode: int, file_mode: int, chown: Chown) -> None:
        self._top = folder
        self._gid = gid
        self._folder_mode = folder_mode
        self._file_mode = file_mode
        self._chown = chown
        # Folders made here; links are never among them, so nothing is written through one.
        self._folders = {""}
        self.count = 0

    def add(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        path = member.name.rstrip("/")
        parts = path.split("/")
        if not path or any(part in ("", ".", "..") for part in parts):
            raise ApphostError(f"holds the path {member.name!r}, which leads out of the release", tar_name(tar))
        if member.isdir():
            self._make_folder(tar, path)
            return
        self._make_folder(tar, posixpath.dirname(path))
        if member.isreg():
            self._write(tar, member, path)
        elif member.issym():
            if leads_out(path, member.linkname):
                raise ApphostError(f"holds the link {path!r}, which leads out of the release", tar_name(tar))
            self._once(tar, path, lambda full: os.symlink(member.linkname, full))
        else:
            raise ApphostError(f"holds {path!r}, which is neither a file nor a folder nor a link", tar_name(tar))
        self.count += 1

    def _make_folder(self, tar: tarfile.TarFile, path: str) -> None:
        if path in self._folders:
            return
        self._make_folder(tar, posixpath.dirname(path))
        self._once(tar, path, lambda full: os.mkdir(full, 0o700))
        full = os.path.join(self._top, path)
        descriptor = os.open(full, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            self._belongs(descriptor, self._folder_mode)
        finally:
            os.close(descriptor)
        self._folders.add(path)

    def _write(self, tar: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
        source = t.cast(t.IO[bytes], tar.extractfile(member))
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        descriptor = self._once(tar, path, lambda full: os.open(full, flags, 0o600))
        with open(descriptor, "wb") as file:
            shutil.copyfileobj(source, file, 1024 * 1024)
            file.flush()
            executable = (self._file_mode & 0o444) >> 2 if member.mode & 0o100 else 0
            self._belongs(descriptor, self._file_mode | executable)

    def _belongs(self, descriptor: int, mode: int) -> None:
        if self._gid is not None:
            self._chown(descriptor, -1, self._gid)
        os.fchmod(descriptor, mode)

    def _once(self, tar: tarfile.TarFile, path: str, make: t.Callable[[str], t.Any]) -> t.Any:
        try:
            return make(os.path.join(self._top, path))
        except (FileExistsError, NotADirectoryError):
            raise ApphostError(f"holds {path!r} twice, or below something that is no folder", tar_name(tar)) from None


def tar_name(tar: tarfile.TarFile) -> str:
    """The path of a tar, for errors."""
    return os.fsdecode(t.cast(str, tar.name))
