# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of a tree's packages: one form for every package manager, made when the tree is sealed."""

from __future__ import annotations

import contextlib
import json
import os
import typing as t
from dataclasses import asdict, dataclass, field

from ansible_collections.evenkeel.apphost.plugins.module_utils.install.contents import Contents
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Package, Source

#: Sources of what is no package of a tree: a link to a folder.
FOLDERS = (Source.WORKSPACE, Source.LINK)


@dataclass(frozen=True)
class Installed:
    """A package as it was installed."""

    #: The lockfile's entry for it, or what stands for one.
    package: Package
    #: Folders that are this package, relative to the project; one that is in no product is not ours (a workspace's).
    at: tuple[str, ...]
    #: The file in each of these folders that says which package it is.
    witness: str
    #: It has lifecycle scripts.
    has_scripts: bool = False
    #: Its files, where its folders do not hold them all (Python).
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recorded:
    """A package of the record."""

    name: str
    version: str | None
    integrity: str | None
    #: The project or a workspace asks for it by itself.
    direct: bool
    bytes: int
    at: tuple[str, ...]


@dataclass(frozen=True)
class Record:
    """Which packages a tree has, and by what the cheap look knows them."""

    #: By the lockfile's path of each.
    packages: dict[str, Recorded]
    #: Files that say which package it is -> size in bytes, SHA-256 (hex).
    witnesses: dict[str, tuple[int, str]] = field(default_factory=dict)
    #: Folders that hold packages -> the names in them, with the target of those that are symbolic links (else "").
    folders: dict[str, dict[str, str]] = field(default_factory=dict)

    def dump(self) -> bytes:
        """As the bytes of a file."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def load(cls, content: bytes) -> Record | None:
        """The record that was dumped; ``None`` for anything else: somebody may have written it who means harm."""
        with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError, RecursionError):
            value = json.loads(content)
            return cls(
                packages={
                    path: Recorded(**{**entry, "at": tuple(map(_text, entry["at"]))})
                    for path, entry in value["packages"].items()
                },
                witnesses={file: (size, _text(sha256)) for file, (size, sha256) in value["witnesses"].items()},
                folders={
                    folder: {name: _text(target) for name, target in names.items()}
                    for folder, names in value["folders"].items()
                },
            )
        return None

    def as_packages(self) -> dict[str, Package]:
        """For comparing with what a lockfile asks for."""
        return {
            path: Package(path=path, name=entry.name, version=entry.version, integrity=entry.integrity)
            for path, entry in self.packages.items()
        }

    @property
    def direct(self) -> frozenset[str]:
        """Paths of what the project and its workspaces ask for by themselves."""
        return frozenset(path for path, entry in self.packages.items() if entry.direct)

    def all_folders(self) -> set[str]:
        """Every folder that the cheap look knows: those of packages, and those that hold packages."""
        return {*self.folders, *(os.path.dirname(file) for file in self.witnesses)}


def _text(value: t.Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def make_record(
    base: str,
    products: t.Sequence[str],
    installed: t.Mapping[str, Installed],
    direct: t.Container[str],
    contents: Contents,
    watched: t.Iterable[str] = (),
    own_records: t.Iterable[str] = (),
) -> Record:
    """The record of the sealed tree below ``base``.

    ``watched`` are more folders whose names must not change, ``own_records`` the package manager's own lists.
    """
    sizes = _Sizes(contents, (folder for one in installed.values() for folder in one.at))
    packages: dict[str, Recorded] = {}
    witnesses = {file: _witness(contents, file) for file in own_records if file in contents.files}
    folders = {*products, *watched}
    for path, one in installed.items():
        if one.package.source in FOLDERS:
            continue
        at = tuple(folder for folder in one.at if _within(folder, products))
        for folder in at:
            file = f"{folder}/{one.witness}"
            if file in contents.files:
                witnesses[file] = _witness(contents, file)
            folders.update(_holders(folder, products))
        packages[path] = Recorded(
            name=one.package.name,
            version=one.package.version,
            integrity=one.package.integrity,
            direct=path in direct,
            bytes=sizes.of(one),
            at=at,
        )
    names = {
        folder: names_in(os.path.join(base, folder))
        for folder in sorted(folders)
        if os.path.isdir(os.path.join(base, folder))
    }
    return Record(packages=packages, witnesses=witnesses, folders=names)


def _witness(contents: Contents, file: str) -> tuple[int, str]:
    return contents.sizes[file], contents.files[file]


def _within(folder: str, products: t.Sequence[str]) -> bool:
    return any(f"{folder}/".startswith(f"{product}/") for product in products)


def _holders(folder: str, products: t.Sequence[str]) -> t.Iterator[str]:
    """The folder that holds this package's folder; for ``@scope/name`` also the one that holds the scope's."""
    holder = os.path.dirname(folder)
    yield holder
    if os.path.basename(holder).startswith("@") and holder not in products:
        yield os.path.dirname(holder)


def names_in(folder: str) -> dict[str, str]:
    """The names in a folder that mean packages, with the target of those that are symbolic links (else "").

    Hidden ones do not (``.bin``, caches that tools make there), nor what Python compiles by itself.
    """
    with os.scandir(folder) as entries:
        return {
            entry.name: os.readlink(entry.path) if entry.is_symlink() else ""
            for entry in entries
            if entry.name[0] != "." and entry.name != "__pycache__"
        }


class _Sizes:
    """Bytes by package folder: a file belongs to the innermost folder of a package that it is in."""

    def __init__(self, contents: Contents, folders: t.Iterable[str]) -> None:
        self.contents = contents
        self._owners: dict[str, str | None] = {folder: folder for folder in folders}
        self._bytes: dict[str | None, int] = {}
        for path, size in contents.sizes.items():
            owner = self._owner(os.path.dirname(path))
            self._bytes[owner] = self._bytes.get(owner, 0) + size

    def _owner(self, folder: str) -> str | None:
        """The package's folder that ``folder`` is in."""
        below: list[str] = []
        while folder and folder not in self._owners:
            below.append(folder)
            folder = os.path.dirname(folder)
        owner = self._owners.get(folder)
        self._owners.update(dict.fromkeys(below, owner))
        return owner

    def of(self, one: Installed) -> int:
        if one.files:
            return sum(self.contents.sizes.get(file, 0) for file in one.files)
        return sum(self._bytes.get(folder, 0) for folder in one.at)
