# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``package.json`` as a value: the manifest of npm, pnpm and yarn."""

from __future__ import annotations

import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.jsonfile import parse_object
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Manifest, Requirements

MEND = "Mend the file."

#: Keys that decide what is installed; the others (name, version, scripts …) do not reach the package manager.
DECIDING_KEYS = (
    "dependencies",
    "devDependencies",
    "optionalDependencies",
    "peerDependencies",
    "peerDependenciesMeta",
    "bundleDependencies",
    "bundledDependencies",
    "dependenciesMeta",
    "overrides",
    "resolutions",
    "packageExtensions",
    "patchedDependencies",
    "engines",
    "os",
    "cpu",
    "libc",
    "workspaces",
    "pnpm",
    "packageManager",
)


def parse_manifest(content: bytes, path: str) -> Manifest:
    """The ``package.json`` in ``content``; ``path`` names it in errors. Raises ApphostError."""
    # A key twice is a slip that the managers forgive here (the last one counts), and so do we.
    value = parse_object(content, path, MEND)
    reader = ObjectReader(path, MEND)
    return Manifest(
        path=path,
        name=reader.text(value, "name", ""),
        version=reader.text(value, "version", ""),
        requirements=requirements(reader, value, ""),
        deciding={key: value[key] for key in DECIDING_KEYS if value.get(key)},
        workspaces=workspace_patterns(reader, value, ""),
    )


def workspace_patterns(reader: ObjectReader, value: dict[str, t.Any], at: str) -> tuple[str, ...]:
    """The key ``workspaces``: a list of patterns, or an object with such a list as ``packages`` (yarn classic)."""
    found = value.get("workspaces")
    if isinstance(found, dict):
        return reader.names(found, "packages", f"{at}workspaces.")
    return reader.names(value, "workspaces", at)


def requirements(reader: ObjectReader, value: dict[str, t.Any], at: str) -> Requirements:
    """The dependencies of every kind in ``value``, which has them as ``package.json`` does."""
    optional = reader.strings(value, "optionalDependencies", at)
    dependencies = reader.strings(value, "dependencies", at)
    return Requirements(
        dependencies={name: wanted for name, wanted in dependencies.items() if name not in optional},
        dev=reader.strings(value, "devDependencies", at),
        optional=optional,
        peer=reader.strings(value, "peerDependencies", at),
    )


class ObjectReader:
    """Takes typed values out of parsed JSON or YAML; a wrong type is an error that names the file and the key.

    ``at`` is where in the file the object is, as a prefix of the key (``packages["a"].``).
    """

    def __init__(self, path: str, mend: str) -> None:
        self.path = path
        self.mend = mend

    def error(self, what: str) -> ApphostError:
        """An error about this file."""
        return ApphostError(what, self.path, self.mend)

    def text(self, value: dict[str, t.Any], key: str, at: str) -> str | None:
        found = value.get(key)
        if found is None or isinstance(found, str):
            return found
        raise self.error(f"{at}{key} is no string")

    def table(self, value: dict[str, t.Any], key: str, at: str) -> dict[str, t.Any]:
        found = value.get(key)
        if found is None:
            return {}
        if isinstance(found, dict):
            return found
        raise self.error(f"{at}{key} is no object")

    def strings(self, value: dict[str, t.Any], key: str, at: str) -> dict[str, str]:
        found = self.table(value, key, at)
        for name, wanted in found.items():
            if not isinstance(wanted, str):
                raise self.error(f"{at}{key}.{name[:200]} is no string")
        return found

    def names(self, value: dict[str, t.Any], key: str, at: str) -> tuple[str, ...]:
        found = value.get(key)
        if found is None:
            return ()
        if isinstance(found, str):
            return (found,)
        if isinstance(found, list) and all(isinstance(name, str) for name in found):
            return tuple(found)
        raise self.error(f"{at}{key} is no list of strings")
