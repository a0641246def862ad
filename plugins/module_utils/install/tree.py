# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One built tree on disk: the marker it carries, and the cheap look that says whether it is still whole."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import typing as t
from dataclasses import asdict, dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.npm import hidden_lockfile
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.jsonfile import read_regular_file
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Package
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.npm import parse_lockfile

MARKER = ".apphost-tree.json"


@dataclass(frozen=True)
class Tree:
    """What a tree's marker says."""

    identity: str
    packages: int
    #: Regular files, with the marker; bytes without it.
    files: int
    bytes: int
    #: Packages whose lifecycle scripts did not run, ``name@version``.
    scripts_skipped: tuple[str, ...]
    #: SHA-256 of npm's hidden lockfile.
    hidden_sha256: str


def installed_packages(tree: str) -> dict[str, Package] | None:
    """What npm's hidden lockfile says is in ``tree``; ``None`` when there is none, or it cannot be understood."""
    path = hidden_lockfile(tree)
    try:
        content = read_regular_file(path)
        return None if content is None else parse_lockfile(content, path, hidden=True).packages
    except (ApphostError, OSError):
        return None


def intact_tree(path: str) -> Tree | None:
    """The tree at ``path`` if it is one of ours and a cheap look finds it whole.

    The look: marker, hidden lockfile unchanged, every package's folder there with its package.json, and no package in
    ``node_modules`` that does not belong there.
    """
    try:
        marker = read_regular_file(os.path.join(path, MARKER))
        hidden = read_regular_file(hidden_lockfile(path))
        if marker is None or hidden is None or os.path.islink(path):
            return None
        value = json.loads(marker)
        tree = Tree(**{**value, "scripts_skipped": tuple(value["scripts_skipped"])})
        if hashlib.sha256(hidden).hexdigest() != tree.hidden_sha256:
            return None
        packages = parse_lockfile(hidden, path, hidden=True).packages
        parent = os.path.dirname(path)
        whole = all(stat.S_ISREG(os.lstat(os.path.join(parent, name, "package.json")).st_mode) for name in packages)
        return tree if whole and _names(path) == _top_names(packages) else None
    except (ApphostError, OSError, ValueError, TypeError, KeyError):
        return None


def _names(tree: str) -> set[str]:
    """The packages in ``node_modules`` itself: ``a``, ``@scope/b``; names with a dot in front are not packages."""
    names: set[str] = set()
    for name in os.listdir(tree):
        if name.startswith("@"):
            names.update(f"{name}/{inner}" for inner in os.listdir(os.path.join(tree, name)) if inner[0] != ".")
        elif not name.startswith("."):
            names.add(name)
    return names


def _top_names(packages: t.Iterable[str]) -> set[str]:
    return {path[len("node_modules/") :] for path in packages if path.count("node_modules/") == 1}


def write_marker(path: str, tree: Tree) -> None:
    """Write the marker of a tree that is otherwise complete."""
    with open(os.path.join(path, MARKER), "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o644)
        json.dump(asdict(tree), file, indent=1, sort_keys=True)


def hidden_sha256(path: str) -> str:
    """SHA-256 of the hidden lockfile of the tree at ``path``."""
    with open(hidden_lockfile(path), "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def links(path: str) -> int:
    """How many trees have the files of the one at ``path``, with itself; 0 when it has no marker."""
    try:
        return os.lstat(os.path.join(path, MARKER)).st_nlink
    except OSError:
        return 0
