# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a built tree from one host to others of the same platform: as one tar, always the same for the same tree."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tarfile
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, RunCommand
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.seal import seal
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.store import TreeStore
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.tree import MAIN_PRODUCTS, Tree, look, read_tree
from ansible_collections.evenkeel.apphost.plugins.module_utils.workers import useful

_CHUNK = 1024 * 1024
_AGAIN = "Ship it again."


def export_tree(store: TreeStore, identity: str, path: str) -> str:
    """Write the stored tree into a new tar at ``path``; returns its SHA-256 (hex). Raises ApphostError, ``OSError``.

    Files belong to root in it, with the modes and the one time that they were sealed with, sorted by name. The tar
    itself belongs to whom its folder belongs to: whoever fetches it need not be root.
    """
    with store.using(identity):
        tree = store.find(identity)
        if tree is None:
            # The host that builds for the others has thrown the tree away meanwhile, or never built it.
            raise ApphostError(f"the store has no tree {identity[:12]}", store.root, "Install it on this host first.")
        base = store.tree_path(identity)
        with _new_file(path) as file:
            writer = _Hashing(file)
            with tarfile.open(fileobj=t.cast(t.IO[bytes], writer), mode="w|", format=tarfile.GNU_FORMAT) as tar:
                for product in sorted(tree.products):
                    _add(tar, base, product, tree.sealed_at)
        return writer.digest.hexdigest()


@contextlib.contextmanager
def _new_file(path: str) -> t.Iterator[t.IO[bytes]]:
    """A new file for whoever has its folder, gone again when it does not get complete."""
    with open(path, "xb") as file:
        try:
            os.fchmod(file.fileno(), 0o600)
            if os.geteuid() == 0:
                folder = os.stat(os.path.dirname(path))
                os.fchown(file.fileno(), folder.st_uid, folder.st_gid)
            yield file
        except BaseException:
            os.unlink(path)
            raise


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
    """Take the tree in the tar at ``path`` into the store, which is prepared; the tree's lock is held.

    The tar must have the SHA-256 ``digest``, the tree in it ``identity``, and every file the hash that it was sealed
    with. ``outside`` is what the tree's links may lead to (``Manager.outside``). Raises ApphostError, ``OSError``;
    then nothing is left.
    """
    with open(path, "rb") as file, store.scratch(identity) as scratch:
        _check_digest(file, path, digest)
        final = os.path.join(scratch, "final")
        os.mkdir(final, 0o700)
        try:
            products = _unpack(file, path, final)
        except (tarfile.TarError, EOFError, ValueError) as error:
            raise ApphostError(f"is no whole tar ({error})", path, _AGAIN) from error
        tree = _sealed_again(final, products, identity, path, outside, as_root=store.account is not None)
        store.publish(final, identity, run)
        return tree


def _check_digest(file: t.IO[bytes], path: str, digest: str) -> None:
    found = hashlib.sha256()
    while chunk := file.read(_CHUNK):
        found.update(chunk)
    if found.hexdigest() != digest:
        what = f"the shipped tree has the SHA-256 {found.hexdigest()[:16]}… instead of {digest[:16]}…"
        raise ApphostError(f"{what}: it did not arrive as it was sent", path, _AGAIN)
    file.seek(0)


def _unpack(file: t.IO[bytes], path: str, final: str) -> list[str]:
    """Unpack into the empty folder ``final``; returns the folders that are products."""
    folders: set[str] = set()
    products: list[str] = []
    with tarfile.open(fileobj=file, mode="r:") as tar:
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
            try:
                _write(tar, member, os.path.join(final, name), path)
            except FileExistsError as error:
                raise ApphostError(f"holds {name[:200]!r} twice", path, _AGAIN) from error
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
        # It was built from another lockfile, with other options or for another platform, or it is no tree.
        do = "Ship one that was built from this lockfile, with the same options, on a host of the same platform."
        raise ApphostError(f"holds no tree {identity[:12]}", path, do)
    seal(final, tree.products, as_root, tree.sealed_at, outside, useful(tree.files))
    drift = look(final, tree.products, full=True).drift
    if drift:
        raise ApphostError(f"the shipped tree is not what was sealed: {drift[0]}", path, _AGAIN)
    return tree
