# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One built tree on disk: the marker it carries, and the cheap look that says whether it is still whole.

A tree is one or more folders of a project, its products: ``node_modules``, that of a workspace, ``.venv``. The first of
them holds three files of ours: the marker (what tree it is), the record (which packages, where) and the contents (every
file with its hash).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import typing as t
from dataclasses import asdict, dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.contents import (
    CONTENTS,
    MARKER,
    RECORD,
    Contents,
    file_sha256,
    read_contents,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.record import Record, names_in
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.jsonfile import read_regular_file

#: The first product, which carries the marker: of the managers of Node.js, and of those of Python.
MAIN_PRODUCTS = ("node_modules", ".venv")

#: No count, size in bytes or time in seconds of a tree is greater; the system's own numbers end at 2**63.
_MOST = 2**50


@dataclass(frozen=True)
class Tree:
    """What a tree's marker says."""

    identity: str
    manager: str
    #: The folders that it consists of, relative to the project; the first one has the marker.
    products: tuple[str, ...]
    packages: int
    #: Regular files, with ours; bytes without ours.
    files: int
    bytes: int
    #: Packages whose lifecycle scripts did not run, ``name@version``.
    scripts_skipped: tuple[str, ...]
    #: Modification time of all its files, in seconds.
    sealed_at: int
    record_sha256: str
    contents_sha256: str


@dataclass(frozen=True)
class Look:
    """What is in a folder: the tree that its marker names (``None``: none of ours), and what is no longer as it was."""

    tree: Tree | None = None
    drift: tuple[str, ...] = ()

    @property
    def intact(self) -> Tree | None:
        """The tree, when it is whole."""
        return None if self.drift else self.tree


def read_tree(base: str, main: str | None = None) -> Tree | None:
    """The tree that the marker below ``base`` names; ``None`` without a marker, or with one that is broken."""
    for product in (main,) if main else MAIN_PRODUCTS:
        path = os.path.join(base, product)
        with contextlib.suppress(ApphostError, OSError, ValueError, TypeError, KeyError, RecursionError):
            marker = None if os.path.islink(path) else read_regular_file(os.path.join(path, MARKER))
            if marker is not None:
                value = json.loads(marker)
                lists = {name: tuple(value[name]) for name in ("products", "scripts_skipped")}
                tree = Tree(**{**value, **lists})
                return tree if _is_sound(tree) else None
    return None


def _is_sound(tree: Tree) -> bool:
    """Whether a marker holds what a marker holds: somebody may have written it who means harm."""
    texts = (tree.identity, tree.manager, tree.record_sha256, tree.contents_sha256)
    numbers = (tree.packages, tree.files, tree.bytes, tree.sealed_at)
    return (
        bool(tree.products)
        and all(isinstance(text, str) for text in (*texts, *tree.products, *tree.scripts_skipped))
        and all(part not in ("", ".", "..") for product in tree.products for part in product.split("/"))
        and all(isinstance(number, int) and 0 <= number <= _MOST for number in numbers)
    )


def read_record(base: str, tree: Tree) -> Record | None:
    """Which packages the tree below ``base`` was sealed with; ``None`` when that cannot be told any more."""
    content = _sealed_file(base, tree, RECORD, tree.record_sha256)
    return Record.load(content) if content is not None else None


def look(base: str, places: t.Sequence[str], full: bool = False) -> Look:
    """Look whether the tree in the project ``base`` is as it was sealed.

    ``places`` are all folders that packages may be in, the first product first. The cheap look: the record is
    unchanged, every package's folder is there with the file that describes it, every folder of packages holds the names
    that it held, and no other place has packages. ``full`` reads every file.
    """
    main = places[0]
    tree = read_tree(base, main)
    if tree is None:
        there = os.path.lexists(os.path.join(base, main))
        return Look(None, (f"{main} was not installed by this module, or its marker is gone",) if there else ())
    record = read_record(base, tree)
    if record is None:
        return Look(tree, (f"{main}/{RECORD} was changed",))
    drift = [
        f"{place} was added" for place in {*places} - {*tree.products} if os.path.lexists(os.path.join(base, place))
    ]
    missing = _missing_folders(base, record)
    drift += missing or [*_changed_names(base, record), *_changed_packages(base, tree, record)]
    if full and not drift:
        drift = _changed_contents(base, tree)
    return Look(tree, tuple(dict.fromkeys(drift)))


def _missing_folders(base: str, record: Record) -> list[str]:
    """Folders that are not there, or are not folders; what is below one is not named too."""
    missing: list[str] = []
    for folder in sorted(record.all_folders()):
        if not (missing and f"{folder}/".startswith(f"{missing[-1]}/")) and not _is_folder(os.path.join(base, folder)):
            missing.append(folder)
    return [f"{folder} is gone" for folder in missing]


def _is_folder(path: str) -> bool:
    with contextlib.suppress(OSError):
        return stat.S_ISDIR(os.lstat(path).st_mode)
    return False


def _changed_names(base: str, record: Record) -> list[str]:
    problems = []
    for folder, before in record.folders.items():
        now = names_in(os.path.join(base, folder))
        if now != before:
            problems += [f"{folder}/{name} is gone" for name in sorted({*before} - {*now})]
            problems += [f"{folder}/{name} was added" for name in sorted({*now} - {*before})]
            changed = {name for name in {*before} & {*now} if before[name] != now[name]}
            problems += [f"{folder}/{name} was replaced" for name in sorted(changed)]
    return problems


def _changed_packages(base: str, tree: Tree, record: Record) -> list[str]:
    """Packages whose describing file is not the one that was sealed.

    One with the time and the size that it had is taken for it; any other is read, for a copy may have another time.
    """
    problems = []
    for file, (size, sha256) in record.witnesses.items():
        path = os.path.join(base, file)
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            problems.append(f"{file} is gone")
            continue
        same = stat.S_ISREG(status.st_mode) and status.st_size == size
        if not same or (status.st_mtime_ns != tree.sealed_at * 10**9 and file_sha256(path) != sha256):
            problems.append(f"{file} was changed")
    return problems


def _changed_contents(base: str, tree: Tree) -> list[str]:
    content = _sealed_file(base, tree, CONTENTS, tree.contents_sha256)
    contents = Contents.load(content) if content is not None else None
    if contents is None:
        return [f"{tree.products[0]}/{CONTENTS} was changed"]
    return contents.differences(read_contents(base, tree.products))


def _sealed_file(base: str, tree: Tree, name: str, sha256: str) -> bytes | None:
    try:
        content = read_regular_file(os.path.join(base, tree.products[0], name))
    except (ApphostError, OSError):
        return None
    return content if content is not None and hashlib.sha256(content).hexdigest() == sha256 else None


def write_sealed(base: str, product: str, name: str, content: bytes, moment: int) -> str:
    """Write a file of ours into a tree that is otherwise sealed; returns its SHA-256."""
    path = os.path.join(base, product, name)
    # A package may have made something of that name.
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fchmod(descriptor, 0o644)
        os.utime(descriptor, (moment, moment))
    return hashlib.sha256(content).hexdigest()


def write_marker(base: str, tree: Tree) -> None:
    """Write the marker of a tree that is otherwise complete."""
    content = json.dumps(asdict(tree), indent=1, sort_keys=True).encode()
    write_sealed(base, tree.products[0], MARKER, content, tree.sealed_at)


def links(base: str) -> int:
    """How many trees have the files of the one below ``base``, with itself; 0 when it has no marker."""
    for product in MAIN_PRODUCTS:
        with contextlib.suppress(OSError):
            return os.lstat(os.path.join(base, product, MARKER)).st_nlink
    return 0
