# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unpack a tar that nobody has to trust: nothing outside the folder, no odd files, plain modes, our owner."""

from __future__ import annotations

import gzip
import lzma
import os
import posixpath
import shutil
import tarfile
import typing as t
import zlib

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError

FOLDER_MODE = PROGRAM_MODE = 0o755
FILE_MODE = 0o644

# Node.js 26 with its npm and headers has 6,000 files and 240 MB; an archive far beyond that is something else.
MAX_FILES = 100_000
MAX_BYTES = 2 * 1024**3

_UNREADABLE = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)


def unpack(archive: str, into: str) -> int:
    """Unpack ``archive`` (tar, plain or with gzip or xz) into the new folder ``into``; return the number of files.

    The one folder at its top is left away. Folders and programs get 0755, other files 0644, whatever the umask.
    Only folders, regular files and symbolic links are allowed, each once, and nothing may lead out of ``into``;
    else :class:`ApphostError`.
    """
    os.mkdir(into)
    os.chmod(into, FOLDER_MODE)
    try:
        with tarfile.open(archive) as tar:
            return _Unpacking(tar, into).run()
    except _UNREADABLE as error:
        raise ApphostError(f"is not a readable archive ({error})", archive) from error


class _Unpacking:
    def __init__(self, tar: tarfile.TarFile, into: str) -> None:
        self.tar = tar
        self.into = into
        self.folders: set[str] = {""}
        self.others: set[str] = set()
        self.size = 0

    def run(self) -> int:
        for member in self.tar:
            name = self._inner_name(member.name)
            if name:
                self._unpack(member, name)
        return len(self.others)

    def _unpack(self, member: tarfile.TarInfo, name: str) -> None:
        if member.isdir():
            self._make_folder(name)
            return
        self._make_folder(posixpath.dirname(name))
        if name in self.folders or name in self.others:
            raise self._refused(member.name, "is there twice")
        self.others.add(name)
        if len(self.others) > MAX_FILES:
            raise self._refused(member.name, f"is one file more than {MAX_FILES}")
        path = posixpath.join(self.into, name)
        if member.issym():
            target = posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname))
            if posixpath.isabs(member.linkname) or target.split("/")[0] == "..":
                raise self._refused(member.name, f"is a link that leads out ({member.linkname})")
            os.symlink(member.linkname, path)
        elif member.isreg():
            self._write(member, path)
        else:
            raise self._refused(member.name, "is neither a file nor a folder nor a symbolic link")

    def _write(self, member: tarfile.TarInfo, path: str) -> None:
        self.size += member.size
        if self.size > MAX_BYTES:
            raise self._refused(member.name, f"makes more than {MAX_BYTES} bytes")
        source = t.cast(t.IO[bytes], self.tar.extractfile(member))
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "wb") as file:
            shutil.copyfileobj(source, file, 256 * 1024)
            os.fchmod(descriptor, PROGRAM_MODE if member.mode & 0o100 else FILE_MODE)
            if file.tell() != member.size:
                raise tarfile.ReadError(f"{member.name} ends early")

    def _make_folder(self, name: str) -> None:
        """The folder and those above it; never through a link or a file of the archive, for those are in ``others``."""
        if name in self.folders:
            return
        parts = name.split("/")
        for depth in range(1, len(parts) + 1):
            folder = "/".join(parts[:depth])
            if folder in self.others:
                raise self._refused(name, f"needs {folder!r} to be a folder, which it is not")
            if folder not in self.folders:
                path = posixpath.join(self.into, folder)
                os.mkdir(path)
                os.chmod(path, FOLDER_MODE)
                self.folders.add(folder)

    def _inner_name(self, name: str) -> str:
        """The name without the folder at the top; empty for that folder itself."""
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if name.startswith("/") or ".." in parts or "\0" in name:
            raise self._refused(name, "leads out of the folder")
        return "/".join(parts[1:])

    def _refused(self, name: str, why: str) -> ApphostError:
        return ApphostError(f"holds {name!r}, which {why}", str(self.tar.name), "Nothing of it was installed.")
