# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every file of a tree with its hash: written down when the tree is sealed, compared when somebody wants to be sure."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import typing as t
from dataclasses import dataclass, field

from ansible_collections.evenkeel.apphost.plugins.module_utils.install.fill import opened

#: Files of ours in a tree: the marker, the record of packages, and the contents themselves.
MARKER = ".apphost-tree.json"
RECORD = ".apphost-packages.json"
CONTENTS = ".apphost-files.json"

_CHUNK = 1024 * 1024


@dataclass
class Contents:
    """What is in the products of a tree; paths are relative to the project."""

    #: Regular files -> SHA-256 (hex).
    files: dict[str, str] = field(default_factory=dict)
    #: Those of them that can be executed.
    programs: set[str] = field(default_factory=set)
    #: Symbolic links -> target.
    links: dict[str, str] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    #: Sizes of the files in bytes; not written down.
    sizes: dict[str, int] = field(default_factory=dict)
    #: Paths of files that are not taken up; not written down. A package's own files may have any name.
    left_out: frozenset[str] = frozenset()

    def add_file(self, path: str, status: os.stat_result, sha256: str) -> None:
        """Take up a file that is neither folder nor link."""
        if path in self.left_out:
            return
        self.files[path] = sha256
        self.sizes[path] = status.st_size
        if status.st_mode & 0o111:
            self.programs.add(path)

    def parts(self) -> tuple[t.Any, ...]:
        """All of it, as a value for JSON."""
        return self.files, [*self.programs], self.links, [*self.folders], self.sizes

    def add_parts(self, parts: t.Sequence[t.Any]) -> None:
        """Take up the parts of another part of the tree."""
        own: tuple[t.Any, ...] = (self.files, self.programs, self.links, self.folders, self.sizes)
        for mine, others in zip(own, parts):
            mine.update(others)

    def discard(self, path: str) -> None:
        """Forget a file that goes."""
        if self.files.pop(path, None) is not None:
            del self.sizes[path]
            self.programs.discard(path)

    def dump(self) -> bytes:
        """As the bytes of a file."""
        value = {
            "files": self.files,
            "folders": sorted(self.folders),
            "links": self.links,
            "programs": sorted(self.programs),
        }
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def load(cls, content: bytes) -> Contents | None:
        """The contents that were dumped; ``None`` for anything else: somebody may have written it who means harm."""
        with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
            value = json.loads(content)
            loaded = cls(dict(value["files"]), set(value["programs"]), dict(value["links"]), set(value["folders"]))
            paths = (*loaded.files, *loaded.links, *loaded.folders)
            return loaded if all(isinstance(path, str) for path in paths) else None
        return None

    def differences(self, now: Contents) -> list[str]:
        """What is otherwise ``now``, in words; empty: nothing."""
        before = {*self.files, *self.links, *self.folders}
        after = {*now.files, *now.links, *now.folders}
        changed = {path for path in before & after if self._what(path) != now._what(path)}
        return (
            [f"{path} is gone" for path in sorted(_tops(before - after))]
            + [f"{path} was added" for path in sorted(_tops(after - before))]
            + [f"{path} was changed" for path in sorted(changed)]
        )

    def _what(self, path: str) -> tuple[str | None, str | None, bool]:
        return self.files.get(path), self.links.get(path), path in self.programs


def _tops(paths: set[str]) -> set[str]:
    """Those that are not below another one."""
    return {path for path in paths if os.path.dirname(path) not in paths}


def later_files(products: t.Sequence[str]) -> frozenset[str]:
    """Paths of our files that the contents do not list, because they come after them. They are in the first product."""
    return frozenset(f"{product}/{name}" for product in products[:1] for name in (MARKER, CONTENTS))


def read_contents(base: str, products: t.Sequence[str]) -> Contents:
    """Read every file of the folders ``products`` below ``base``. Raises ``OSError``.

    A device, a socket or a pipe counts as a file without content.
    """
    contents = Contents(left_out=later_files(products))
    for product in products:
        path = os.path.join(base, product)
        if os.path.islink(path):
            contents.links[product] = os.readlink(path)
        elif os.path.isdir(path):
            _read(base, product, contents)
    return contents


def _read(base: str, folder: str, contents: Contents) -> None:
    contents.folders.add(folder)
    # A stack instead of recursion: how deep a tree is, is not ours to say.
    todo = [folder]
    while todo:
        folder = todo.pop()
        # Relative to the open folder: the way to it is looked up once.
        with opened(os.path.join(base, folder)) as descriptor, os.scandir(descriptor) as entries:
            for entry in entries:
                path = f"{folder}/{entry.name}"
                if entry.is_symlink():
                    contents.links[path] = os.readlink(entry.name, dir_fd=descriptor)
                elif entry.is_dir(follow_symlinks=False):
                    contents.folders.add(path)
                    todo.append(path)
                else:
                    regular = entry.is_file(follow_symlinks=False)
                    sha256 = file_sha256(entry.name, descriptor) if regular else ""
                    contents.add_file(path, entry.stat(follow_symlinks=False), sha256)


def file_sha256(path: str, folder: int | None = None) -> str:
    """SHA-256 (hex) of a regular file, relative to an open folder; a link is not followed. Raises ``OSError``."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        return sha256_of(descriptor, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)


def sha256_of(descriptor: int, size: int) -> str:
    """SHA-256 (hex) of an open file that has about ``size`` bytes."""
    digest = hashlib.sha256()
    # No large buffer for each of thousands of small files, and no second read to see that it ends.
    chunk_size = min(size + 1, _CHUNK)
    while True:
        chunk = os.read(descriptor, chunk_size)
        digest.update(chunk)
        if len(chunk) < chunk_size:
            return digest.hexdigest()
