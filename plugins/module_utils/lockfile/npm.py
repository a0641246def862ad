# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``package.json`` and npm's lockfiles (``package-lock.json``, ``npm-shrinkwrap.json``; formats 2 and 3) as values."""

from __future__ import annotations

import hashlib
import json
import os
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.jsonfile import parse_object
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import (
    Lockfile,
    Manifest,
    Package,
    Requirements,
)

LOCKFILE_NAMES = ("npm-shrinkwrap.json", "package-lock.json")
REMAKE = "Run npm install with a current npm and commit the lockfile."
MEND_MANIFEST = "Mend the file."

#: Keys of package.json that decide what npm installs; the others (name, version, scripts …) do not reach it.
DECIDING_KEYS = (
    "dependencies",
    "devDependencies",
    "optionalDependencies",
    "peerDependencies",
    "peerDependenciesMeta",
    "bundleDependencies",
    "bundledDependencies",
    "overrides",
    "packageExtensions",
    "patchedDependencies",
    "engines",
    "os",
    "cpu",
    "libc",
    "workspaces",
)

#: Levels of one path in the tree. Real trees stay below 30; Linux ends a path at 4,096 bytes.
MAX_PARTS = 100
MAX_PATH = 2048


def parse_manifest(content: bytes, path: str) -> Manifest:
    """The ``package.json`` in ``content``; ``path`` names it in errors."""
    # A key twice is a slip that npm forgives here (the last one counts), and so do we.
    value = parse_object(content, path, MEND_MANIFEST)
    reader = _Reader(path, MEND_MANIFEST)
    return Manifest(
        path=path,
        name=reader.text(value, "name", ""),
        version=reader.text(value, "version", ""),
        requirements=_requirements(reader, value, ""),
        deciding={key: value[key] for key in DECIDING_KEYS if value.get(key)},
    )


def parse_lockfile(content: bytes, path: str, hidden: bool = False) -> Lockfile:
    """The npm lockfile in ``content``; ``path`` names it in errors.

    ``hidden`` reads npm's ``node_modules/.package-lock.json``, which has no entry for the project itself.
    """
    value = parse_object(content, path, REMAKE, unique_keys=True)
    version = value.get("lockfileVersion")
    if version == 1 or (version is None and "packages" not in value and "dependencies" in value):
        raise ApphostError(
            "is of lockfileVersion 1 (npm 5 and 6), which does not say enough to install from", path, REMAKE
        )
    if version not in (2, 3):
        raise ApphostError(f"has lockfileVersion {json.dumps(version)[:40]}; 2 and 3 are understood", path, REMAKE)
    entries = value.get("packages")
    if not isinstance(entries, dict):
        raise ApphostError('has no object "packages"', path, REMAKE)
    root = entries.get("", None if not hidden else {})
    if not isinstance(root, dict):
        raise ApphostError('has no entry for the project itself (packages[""])', path, REMAKE)

    reader = _Reader(path, REMAKE)
    packages: dict[str, Package] = {}
    for where, entry in entries.items():
        if where:
            package = _package(reader, where, entry)
            if package:
                packages[where] = package
    requirements = _requirements(reader, root, 'packages[""].')
    decides = {key: root[key] for key in DECIDING_KEYS if root.get(key)}
    canonical = json.dumps(
        {"": decides, **{where: entries[where] for where in entries if where}}, sort_keys=True, separators=(",", ":")
    )
    return Lockfile(
        path=path,
        name=os.path.basename(path),
        content=content,
        manager="npm",
        format=version,
        sha256=hashlib.sha256(content).hexdigest(),
        digest=hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest(),
        requirements=requirements,
        packages=packages,
    )


def package_name(path: str) -> str | None:
    """The name a package has in the tree, from its path; ``None`` for a folder outside ``node_modules`` (a workspace).

    Raises ``ValueError`` for a path that does not stay inside the project or could not come from npm.
    """
    if len(path) > MAX_PATH:
        raise ValueError(f"is longer than {MAX_PATH} characters")
    if "\\" in path or not path.isprintable():
        raise ValueError("has a character no package path has")
    parts = path.split("/")
    if len(parts) > MAX_PARTS:
        raise ValueError(f"is nested deeper than {MAX_PARTS} levels")
    if any(part in ("", ".", "..") for part in parts):
        raise ValueError("does not stay inside the project")
    if "node_modules" not in parts:
        return None
    last = len(parts) - 1 - parts[::-1].index("node_modules")
    name = parts[last + 1 :]
    scoped = len(name) == 2 and len(name[0]) > 1 and name[0].startswith("@")
    # A leading dot would reach npm's own files (.bin, .package-lock.json).
    if not (scoped or (len(name) == 1 and not name[0].startswith("@"))) or name[-1].startswith("."):
        raise ValueError("does not end in a package's name")
    return "/".join(name)


def _package(reader: _Reader, where: str, entry: t.Any) -> Package | None:
    at = f'packages["{where[:200]}"]'
    try:
        name = package_name(where)
    except ValueError as error:
        raise ApphostError(f"{at} {error}", reader.path, reader.mend) from error
    if not isinstance(entry, dict):
        raise ApphostError(f"{at} is no object", reader.path, reader.mend)
    if name is None:
        # A workspace's own folder: it is part of the project, its link in node_modules is an entry of its own.
        return None
    at = f"{at}."
    optional = reader.strings(entry, "optionalDependencies", at)
    peers = reader.strings(entry, "peerDependencies", at)
    optional_peers = {
        peer
        for peer, meta in reader.table(entry, "peerDependenciesMeta", at).items()
        if isinstance(meta, dict) and meta.get("optional") is True
    }
    needs = [*reader.strings(entry, "dependencies", at), *(peer for peer in peers if peer not in optional_peers)]
    return Package(
        path=where,
        name=name,
        version=reader.text(entry, "version", at),
        real_name=reader.text(entry, "name", at),
        resolved=reader.text(entry, "resolved", at),
        integrity=reader.text(entry, "integrity", at),
        dev=entry.get("dev") is True,
        optional=entry.get("optional") is True,
        dev_optional=entry.get("devOptional") is True,
        peer=entry.get("peer") is True,
        link=entry.get("link") is True,
        in_bundle=entry.get("inBundle") is True,
        has_install_script=entry.get("hasInstallScript") is True,
        engines=_engines(entry),
        os=reader.names(entry, "os", at),
        cpu=reader.names(entry, "cpu", at),
        libc=reader.names(entry, "libc", at),
        needs=tuple(needed for needed in needs if needed not in optional),
        wants=(*optional, *(peer for peer in peers if peer in optional_peers)),
    )


def _engines(entry: dict[str, t.Any]) -> dict[str, str]:
    # Old packages have lists or strings here; npm ignores those too.
    engines = entry.get("engines")
    if not isinstance(engines, dict):
        return {}
    return {name: wanted for name, wanted in engines.items() if isinstance(wanted, str)}


def _requirements(reader: _Reader, value: dict[str, t.Any], at: str) -> Requirements:
    optional = reader.strings(value, "optionalDependencies", at)
    dependencies = reader.strings(value, "dependencies", at)
    return Requirements(
        dependencies={name: wanted for name, wanted in dependencies.items() if name not in optional},
        dev=reader.strings(value, "devDependencies", at),
        optional=optional,
        peer=reader.strings(value, "peerDependencies", at),
    )


class _Reader:
    """Takes typed values out of parsed JSON; a wrong type is an error that names the file and the key."""

    def __init__(self, path: str, mend: str) -> None:
        self.path = path
        self.mend = mend

    def _wrong(self, at: str, key: str, expected: str) -> ApphostError:
        return ApphostError(f"{at}{key} is no {expected}", self.path, self.mend)

    def text(self, value: dict[str, t.Any], key: str, at: str) -> str | None:
        found = value.get(key)
        if found is None or isinstance(found, str):
            return found
        raise self._wrong(at, key, "string")

    def table(self, value: dict[str, t.Any], key: str, at: str) -> dict[str, t.Any]:
        found = value.get(key)
        if found is None:
            return {}
        if isinstance(found, dict):
            return found
        raise self._wrong(at, key, "object")

    def strings(self, value: dict[str, t.Any], key: str, at: str) -> dict[str, str]:
        found = self.table(value, key, at)
        for name, wanted in found.items():
            if not isinstance(wanted, str):
                raise self._wrong(at, f"{key}.{name[:200]}", "string")
        return found

    def names(self, value: dict[str, t.Any], key: str, at: str) -> tuple[str, ...]:
        found = value.get(key)
        if found is None:
            return ()
        if isinstance(found, str):
            return (found,)
        if isinstance(found, list) and all(isinstance(name, str) for name in found):
            return tuple(found)
        raise self._wrong(at, key, "list of strings")
