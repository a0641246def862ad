# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The formats of lockfiles that are understood, and the manifests that belong to them.

What a format is read with is only loaded when a folder has such a lockfile: a module is compiled anew in every run.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Format, Manifest


@dataclass(frozen=True)
class Known:
    """A format by what it takes to find it."""

    manager: str
    #: File names.
    names: tuple[str, ...]
    ecosystem: str
    load: t.Callable[[], Format]


@dataclass(frozen=True)
class ManifestKind:
    """The manifest of an ecosystem: its file name, and how to read it from its content and path."""

    name: str
    parse: t.Callable[[bytes, str], Manifest]


def _npm() -> Format:
    from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.npm import FORMAT

    return FORMAT


def _pnpm() -> Format:
    from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pnpm import FORMAT

    return FORMAT


def _yarn_berry() -> Format:
    from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.yarn_berry import FORMAT

    return FORMAT


def _yarn_classic() -> Format:
    from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.yarn_classic import FORMAT

    return FORMAT


def _uv() -> Format:
    from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.uv import FORMAT

    return FORMAT


def _pip() -> Format:
    from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pip import FORMAT

    return FORMAT


def _package_json(content: bytes, path: str) -> Manifest:
    from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.packagejson import parse_manifest

    return parse_manifest(content, path)


def _pyproject(content: bytes, path: str) -> Manifest:
    from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pyproject import parse_manifest

    return parse_manifest(content, path)


#: Of formats with the same file name, the one that takes every content comes last.
KNOWN: tuple[Known, ...] = (
    Known("npm", ("package-lock.json", "npm-shrinkwrap.json"), "node", _npm),
    Known("pnpm", ("pnpm-lock.yaml",), "node", _pnpm),
    Known("yarn", ("yarn.lock",), "node", _yarn_berry),
    Known("yarn", ("yarn.lock",), "node", _yarn_classic),
    Known("uv", ("uv.lock",), "python", _uv),
    Known("pip", ("requirements.txt",), "python", _pip),
)

#: By ecosystem.
MANIFESTS: dict[str, ManifestKind] = {
    "node": ManifestKind("package.json", _package_json),
    "python": ManifestKind("pyproject.toml", _pyproject),
}

#: File names of lockfiles -> package manager, and the managers there are.
NAMES: dict[str, str] = {name: known.manager for known in KNOWN for name in known.names}
MANAGERS: tuple[str, ...] = tuple(dict.fromkeys(NAMES.values()))


def of(name: str, content: bytes) -> Format | None:
    """The format of a file called ``name``; ``None`` when none has that name or recognises the content."""
    for known in KNOWN:
        if name in known.names:
            found = known.load()
            if found.recognises is None or found.recognises(content):
                return found
    return None
