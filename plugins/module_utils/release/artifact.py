# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pack a folder into an artifact: a tar whose bytes depend on nothing but paths, content and the executable bit.

Two folders with the same files give the same bytes, whoever owns them, whenever they were made and whichever
Python packs them (the standard library's tarfile has changed what it writes between versions, so the headers
are made here). **Frozen**, like the release id; a test holds the digest of a small artifact.

The tar holds files and symbolic links, sorted by the bytes of their paths. Folders are implied; empty ones are
no part of an artifact, as in git. Mode 0644 or 0755, owner and group 0, time 0; a path or link target longer
than 100 bytes comes in a pax header.
"""

from __future__ import annotations

import os
import stat
import typing as t
from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.ignore import IGNORE_FILE, IgnoreRules
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.links import leads_out

_BLOCK = 512
_CHUNK = 1024 * 1024
# What the eleven octal digits of a tar header can say.
_LARGEST = 8**11 - 1
# Problems of one folder that are told at once.
_TOLD = 5

Emit = t.Callable[[bytes], t.Any]


@dataclass(frozen=True)
class Member:
    """One file or link. ``path`` is relative, with ``/``; ``target`` is that of a link, None for a file."""

    path: str
    target: str | None = None


def scan(root: str) -> list[Member]:
    """Everything below ``root`` that its ``.apphostignore`` does not leave out, sorted.

    Raises :class:`ApphostError` with everything that no artifact can hold: links that lead out of the folder,
    sockets, devices, pipes, and names that are not UTF-8.
    """
    found, problems = [], []
    for path, entry in _walk(root, "", _rules(root)):
        problem = _problem(path, entry)
        if problem:
            problems.append(f"{root}/{_printable(path)}: {problem}")
        else:
            found.append(Member(path, os.readlink(entry.path) if entry.is_symlink() else None))
    if problems:
        more = [f"and {len(problems) - _TOLD} more"] if len(problems) > _TOLD else []
        raise ApphostError("\n".join(sorted(problems)[:_TOLD] + more))
    return sorted(found, key=lambda member: member.path.encode())


def pack(root: str, members: t.Iterable[Member], emit: Emit) -> None:
    """Give the bytes of the tar to ``emit``, piece by piece.

    Raises :class:`ApphostError` when a file changes while it is read.
    """
    for member in members:
        if member.target is not None:
            emit(_header(member.path, 0o777, 0, b"2", member.target))
        else:
            _pack_file(root, member.path, emit)
    emit(bytes(2 * _BLOCK))


def _rules(root: str) -> IgnoreRules:
    where = os.path.join(root, IGNORE_FILE)
    try:
        with open(where, encoding="utf-8") as file:
            return IgnoreRules(file.read(), where)
    except FileNotFoundError:
        return IgnoreRules()
    except UnicodeDecodeError:
        raise ApphostError("is not UTF-8", where) from None


def _walk(root: str, above: str, rules: IgnoreRules) -> t.Iterator[tuple[str, os.DirEntry[str]]]:
    with os.scandir(os.path.join(root, above)) as entries:
        for entry in entries:
            path = above + entry.name
            is_folder = entry.is_dir(follow_symlinks=False)
            if rules.leave_out(path, is_folder):
                continue
            if is_folder:
                yield from _walk(root, f"{path}/", rules)
            else:
                yield path, entry


def _problem(path: str, entry: os.DirEntry[str]) -> str | None:
    """Why no artifact can hold this entry, or None."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    if entry.is_file(follow_symlinks=False):
        return None
    if entry.is_symlink():
        target = os.readlink(entry.path)
        return f"is a link that leads out of the folder, to {_printable(target)}" if leads_out(path, target) else None
    kinds = {stat.S_IFSOCK: "socket", stat.S_IFIFO: "named pipe", stat.S_IFBLK: "device", stat.S_IFCHR: "device"}
    kind = kinds.get(stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode), "special file")
    return f"is a {kind}; an artifact holds files, folders and links"


def _printable(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _pack_file(root: str, path: str, emit: Emit) -> None:
    full = os.path.join(root, path)
    changing = ApphostError(
        "changed while it was read", full, "Wait until whatever writes there is done, and run again."
    )
    try:
        descriptor = os.open(full, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        raise changing from None
    with open(descriptor, "rb", buffering=0) as file:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise changing
        if before.st_size > _LARGEST:
            raise ApphostError(f"is larger than {_LARGEST} bytes", full)
        emit(_header(path, 0o755 if before.st_mode & 0o100 else 0o644, before.st_size, b"0"))
        left = before.st_size
        while left:
            chunk = file.read(min(left, _CHUNK))
            if not chunk:
                raise changing
            emit(chunk)
            left -= len(chunk)
        after = os.fstat(descriptor)
        if (after.st_size, after.st_mtime_ns, after.st_mode) != (before.st_size, before.st_mtime_ns, before.st_mode):
            raise changing
    emit(bytes(-before.st_size % _BLOCK))


def _header(path: str, mode: int, size: int, kind: bytes, target: str = "") -> bytes:
    """The header of one member, after a pax header for what does not fit into it."""
    fits, long = {}, b""
    for key, value in (("path", path.encode()), ("linkpath", target.encode("utf-8", "surrogateescape"))):
        if len(value) > 100:
            long += _pax_record(key, value)
        fits[key] = value[:100]
    prefix = b""
    if long:
        prefix = _ustar(b"pax", 0o644, len(long), b"x", b"") + long + bytes(-len(long) % _BLOCK)
    return prefix + _ustar(fits["path"], mode, size, kind, fits["linkpath"])


def _pax_record(key: str, value: bytes) -> bytes:
    """``<length> <key>=<value>`` and a line end, where the length counts its own digits and the line end too."""
    rest = b" %s=%s\n" % (key.encode(), value)
    length = len(rest)
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return b"%d%s" % (length, rest)


def _ustar(name: bytes, mode: int, size: int, kind: bytes, target: bytes) -> bytes:
    """One block as POSIX.1-1988 ustar lays it out."""
    before = name.ljust(100, b"\0") + b"%07o\0%07o\0%07o\0%011o\0%011o\0" % (mode, 0, 0, size, 0)
    after = kind + target.ljust(100, b"\0") + b"ustar\x0000" + bytes(64) + b"%07o\0%07o\0" % (0, 0) + bytes(167)
    checksum = sum(before) + 8 * ord(" ") + sum(after)
    return before + b"%06o\0 " % checksum + after
