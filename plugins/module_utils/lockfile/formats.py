# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The formats of lockfiles that are understood, and the manifests that belong to them."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile import npm, packagejson
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Format, Manifest

# A format's own module takes Format from ``model``: this one imports them all.
__all__ = ["FORMATS", "MANAGERS", "MANIFESTS", "NAMES", "Format", "ManifestKind", "of"]


@dataclass(frozen=True)
class ManifestKind:
    """The manifest of an ecosystem: its file name, and how to read it from its content and path."""

    name: str
    parse: t.Callable[[bytes, str], Manifest]


#: Of two formats with the same file name, the one that takes every content comes last.
FORMATS: tuple[Format, ...] = (npm.FORMAT,)

#: By ecosystem.
MANIFESTS: dict[str, ManifestKind] = {
    "node": ManifestKind("package.json", packagejson.parse_manifest),
}

#: File names of lockfiles -> package manager, and the managers there are.
NAMES: dict[str, str] = {name: known.manager for known in FORMATS for name in known.names}
MANAGERS: tuple[str, ...] = tuple(dict.fromkeys(NAMES.values()))


def of(name: str, content: bytes) -> Format | None:
    """The format of a file called ``name``; ``None`` when none has that name or recognises the content."""
    for known in FORMATS:
        if name in known.names and (known.recognises is None or known.recognises(content)):
            return known
    return None
