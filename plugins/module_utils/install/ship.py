# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a built tree from one host to others of the same platform: as one tar, always the same for the same tree."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, RunCommand
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.contents import (
    CONTENTS,
    MARKER,
    Contents,
    read_contents,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.seal import seal
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.store import TreeStore
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.tree import MAIN_PRODUCTS, Tree, read_tree

_CHUNK = 1024 * 1024
_AGAIN = "Ship it again."


def export_tree(store: TreeStore, identity: str, path: str) -> str:
    """Write the stored tree into a new tar at ``path``; returns its SHA-256 (hex). Raises ApphostError, ``OSError``.

    Files belong to root in it, with the modes and the one time that they were sealed with, sorted by name.
    """
    with store.using(identity):
        tree = store.find(identity)
        if tree is None:
            # The host that builds for the others has thrown the tree away meanwhile, or never built it.
            raise ApphostError(f"the store has no tree {identity[:12]}", store.root, "Install it on this host first.")
        base = store.tree_path(identity)
        with open(path, "xb") as file:
            os.fchmod(file.fileno(), 0o600)
            writer = _Hashing(file)
            with tarfile.open(fileobj=t.cast(t.IO[bytes], writer), mode="w|", format=tarfile.GNU_FORMAT) as tar:
                for product in sorted(tree.products):
                    _add(tar, base, product, tree.sealed_at)
        return writer.digest.hexdigest()


class _Hashing:
    """A file that is hashed while it is written."""

    def __init__(self, file: t.IO[bytes]) -> None:
        self.file = file
        self.digest = hashlib.sha256()

    def write(self, content: bytes) -> int:
        self.digest.update(content)
        return self.file.write(content)


def _add(tar: tarfile.TarFile, base: str, path: str, moment: int) -> None:
    """Add a folder and all that is in it."""
    todo = [path]
    while todo:
        path = todo.pop()
        full = os.path.join(base, path)
        info = tarfile.TarInfo(path)
        info.mtime = moment
        info.mode = os.lstat(full).st_mode & 0o777
        if os.path.islink(full):
            info.type, info.mode, info.linkname = tarfile.SYMTYPE, 0o777, os.readlink(full)
            tar.addfile(info)
        elif os.path.isdir(full):
            info.type = tarfile.DIRTYPE
            tar.addfile(info)
            todo += [f"{path}/{name}" for name in sorted(os.listdir(full), reverse=True)]
        else:
            info.size = os.lstat(full).st_size
            with open(full, "rb") as file:
                tar.addfile(info, file)


def import_tree(
    store: TreeStore, identity: str, path: str, digest: str, outside: t.Collection[str], run: RunCommand
) -> Tree:
    """Take the tree in the tar at ``path`` into the store, which is prepared; one that is there stays.

    The tar must have the SHA-256 ``digest``, the tree in it ``identity``, and every file the hash that it was sealed
    with. ``outside`` is what the tree's links may lead to (``Manager.outside``). Raises ApphostError, ``OSError``.
    """
    with store.building(identity):
        tree = store.find(identity)
        if tree is not None:
            return tree
        _check_digest(path, digest)
        with store.scratch(identity) as scratch:
            final = os.path.join(scratch, "final")
            os.mkdir(final, 0o700)
            products = _unpack(path, final)
            tree = _sealed_again(final, products, identity, path, outside, as_root=store.account is not None)
            code, _out, err = run(["sync", "--file-system", final])
            if code:
                # The disk has errors, or went away.
                raise ApphostError(f"cannot be written to the disk: {err.strip()[:300]}", final, "Check the disk.")
            store.publish(final, identity)
            return tree


def _check_digest(path: str, digest: str) -> None:
    found = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            found.update(chunk)
    if found.hexdigest() != digest:
        what = f"the shipped tree has the SHA-256 {found.hexdigest()[:16]}… instead of {digest[:16]}…"
        raise ApphostError(f"{what}: it did not arrive as it was sent", path, _AGAIN)


def _unpack(path: str, final: str) -> list[str]:
    """Unpack into the empty folder ``final``; returns the folders that are products."""
    folders: set[str] = set()
    products: list[str] = []
    with tarfile.open(path, "r:") as tar:
        for member in tar:
            name = member.name
            parts = name.split("/")
            if any(part in ("", ".", "..") for part in parts):
                raise ApphostError(f"holds the path {name[:200]!r}, which leads out of the tree", path, _AGAIN)
            if os.path.dirname(name) not in folders:
                if not member.isdir() or parts[-1] not in MAIN_PRODUCTS:
                    raise ApphostError(f"holds {name[:200]!r}, which is in no tree of packages", path, _AGAIN)
                os.makedirs(os.path.dirname(os.path.join(final, name)), exist_ok=True)
                products.append(name)
            _write(tar, member, os.path.join(final, name), path)
            if member.isdir():
                # Only these have something in them: nothing is written through a link.
                folders.add(name)
    return products


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, target: str, path: str) -> None:
    if member.isdir():
        os.mkdir(target, 0o755)
    elif member.issym():
        os.symlink(member.linkname, target)
    elif member.isreg():
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(target, flags, member.mode & 0o777), "wb") as file:
            shutil.copyfileobj(t.cast(t.IO[bytes], tar.extractfile(member)), file, _CHUNK)
    else:
        raise ApphostError(f"holds {member.name[:200]!r}, which is neither file, folder nor link", path, _AGAIN)


def _sealed_again(
    final: str, products: list[str], identity: str, path: str, outside: t.Collection[str], as_root: bool
) -> Tree:
    """The tree that was unpacked, sealed as it was where it comes from."""
    tree = read_tree(final)
    if tree is None or tree.identity != identity or sorted(tree.products) != sorted(products):
        raise ApphostError(f"holds no tree {identity[:12]}", path, _AGAIN)
    seal(final, tree.products, as_root, tree.sealed_at, outside)
    content = _read(os.path.join(final, tree.products[0], CONTENTS))
    if hashlib.sha256(content).hexdigest() != tree.contents_sha256:
        raise ApphostError(f"the shipped tree's list of files is not that of its {MARKER}", path, _AGAIN)
    differences = Contents.load(content).differences(read_contents(final, tree.products))
    if differences:
        raise ApphostError(f"the shipped tree is not what was sealed: {differences[0]}", path, _AGAIN)
    return tree


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
