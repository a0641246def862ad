# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""npm's lockfiles (``package-lock.json``, ``npm-shrinkwrap.json``; formats 2 and 3) as values."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, Problem
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile import addresses
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.instep import differences
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.jsonfile import parse_object
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import (
    Format,
    Lockfile,
    Manifest,
    Package,
    Source,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.packagejson import (
    DECIDING_KEYS,
    ObjectReader,
    requirements,
    workspace_patterns,
)

LOCKFILE_NAMES = ("package-lock.json", "npm-shrinkwrap.json")
REMAKE = "Run npm install with a current npm and commit the lockfile."

#: Levels of one path in the tree. Real trees stay below 30; Linux ends a path at 4,096 bytes.
MAX_PARTS = 100
MAX_PATH = 2048

_MODULES = "node_modules/"

#: What no registry has to escape in an address: with other characters a name could be something else ("file:x").
_NAME = re.compile(r"[A-Za-z0-9._~!'()*-]+")


def parse_lockfile(
    content: bytes, path: str, hidden: bool = False, overrides: t.Mapping[str, t.Any] | None = None
) -> Lockfile:
    """The npm lockfile in ``content``; ``path`` names it in errors. Raises ApphostError.

    ``hidden`` reads npm's ``node_modules/.package-lock.json``, which has no entry for the project itself.
    ``overrides`` are those of the manifest, which npm does not record.
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

    reader = ObjectReader(path, REMAKE)
    workspaces = _workspaces(reader, root, entries)
    packages = {where: _package(reader, where, entries, workspaces) for where in entries if where}
    for where in _bundled(packages, entries):
        packages[where] = dataclasses.replace(packages[where], source=Source.BUNDLED)
    projects = {"": root, **{folder: entries[folder] for folder in workspaces}}
    if not hidden:
        _check_aliases(reader, packages, {**entries, **projects}, overrides or {})
    edges = [_edges(reader, folder, entry, entries) for folder, entry in projects.items()]
    # npm installs every workspace, asked for or not.
    links = [where for where, package in packages.items() if package.source == Source.WORKSPACE]
    needs = dict.fromkeys([*(found for needed, _wanted in edges for found in needed), *links])
    return Lockfile(
        path=path,
        name=os.path.basename(path),
        content=content,
        manager="npm",
        format=str(version),
        sha256=hashlib.sha256(content).hexdigest(),
        digest=_digest(projects, entries),
        projects={folder: requirements(reader, entry, _at(folder)) for folder, entry in projects.items()},
        needs=tuple(needs),
        wants=tuple(dict.fromkeys(found for _needed, wanted in edges for found in wanted if found not in needs)),
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
    plain = all(map(_NAME.fullmatch, [name[0][1:], name[-1]] if scoped else name))
    if not plain or not (scoped or len(name) == 1) or name[-1].startswith("."):
        raise ValueError("does not end in a package's name")
    return "/".join(name)


def _is_name(text: str) -> bool:
    try:
        return package_name(f"{_MODULES}{text}") == text
    except ValueError:
        return False


def find(packages: t.Container[str], folder: str, name: str) -> str | None:
    """Where the package in ``folder`` (``""``: the project) finds ``name``: in its own node_modules or one above."""
    while True:
        found = f"{folder}/{_MODULES}{name}" if folder else _MODULES + name
        if found in packages:
            return found
        if not folder:
            return None
        folder = folder.rpartition("/")[0]
        if folder.endswith("node_modules"):
            folder = folder[: -len(_MODULES)]


def _at(where: str) -> str:
    return f'packages["{where[:200]}"].'


def _workspaces(reader: ObjectReader, root: dict[str, t.Any], entries: dict[str, t.Any]) -> list[str]:
    """The folders among the entries that the project calls its workspaces, as npm itself finds them."""
    patterns = workspace_patterns(reader, root, _at(""))
    if not patterns:
        return []
    from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.workspaces import matches

    folders = [where for where in entries if where and _MODULES not in f"{where}/"]
    return [where for where in folders if isinstance(entries[where], dict) and matches(patterns, where, reader.path)]


def _package(reader: ObjectReader, where: str, entries: dict[str, t.Any], workspaces: t.Container[str]) -> Package:
    try:
        name = package_name(where)
    except ValueError as error:
        raise reader.error(f'packages["{where[:200]}"] {error}') from error
    entry = entries[where]
    if not isinstance(entry, dict):
        raise reader.error(f'packages["{where[:200]}"] is no object')
    at = _at(where)
    _check_programs(reader, at, entry)
    called = reader.text(entry, "name", at)
    if called is not None and not _is_name(called):
        raise reader.error(f"{at}name is no package's name: {called[:200]}")
    version = reader.text(entry, "version", at)
    resolved = reader.text(entry, "resolved", at)
    if name is None or entry.get("link") is True:
        resolved = resolved if name else where
        if resolved not in entries or _MODULES in f"{resolved}/":
            raise reader.error(f"{at[:-1]} is a link to {str(resolved)[:200]}, no folder of the project")
        source = Source.WORKSPACE if resolved in workspaces else Source.LINK
    else:
        source = _source(reader, at, resolved, called or name, version)
    needs, wants = _edges(reader, where, entry, entries)
    if resolved and name and source in (Source.WORKSPACE, Source.LINK):
        needs = (resolved,)
    return Package(
        path=where,
        name=name or called or where.rpartition("/")[2],
        version=version,
        real_name=called if name else None,
        source=source,
        resolved=resolved,
        integrity=reader.text(entry, "integrity", at),
        dev=entry.get("dev") is True,
        optional=entry.get("optional") is True,
        dev_optional=entry.get("devOptional") is True,
        has_install_script=entry.get("hasInstallScript") is True,
        engines=_engines(entry),
        os=reader.names(entry, "os", at),
        cpu=reader.names(entry, "cpu", at),
        libc=reader.names(entry, "libc", at),
        license=_license(entry),
        needs=needs,
        wants=wants,
    )


def _source(reader: ObjectReader, at: str, address: str | None, name: str, version: str | None) -> str:
    """Where npm would take the archive of an entry from."""
    if address is None:
        return Source.REGISTRY
    if addresses.is_web(address):
        return Source.REGISTRY if addresses.is_tarball_of(address, name, version) else Source.ADDRESS
    if address.startswith("file:"):
        return Source.FILE
    if addresses.is_git(address):
        return Source.GIT
    raise reader.error(f"{at}resolved is no address: {address[:200]}")


def _edges(
    reader: ObjectReader, folder: str, entry: dict[str, t.Any], entries: t.Container[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Paths of what the package in ``folder`` cannot do without, and of what it can; what is not there is left out."""
    at = _at(folder)
    optional = reader.strings(entry, "optionalDependencies", at)
    peers = reader.strings(entry, "peerDependencies", at)
    optional_peers = {
        peer
        for peer, meta in reader.table(entry, "peerDependenciesMeta", at).items()
        if isinstance(meta, dict) and meta.get("optional") is True
    }
    names = [*reader.strings(entry, "dependencies", at), *(peer for peer in peers if peer not in optional_peers)]
    needed = (find(entries, folder, name) for name in names if name not in optional)
    wanted = (find(entries, folder, name) for name in (*optional, *(peer for peer in peers if peer in optional_peers)))
    return tuple(found for found in needed if found), tuple(found for found in wanted if found)


def _bundled(packages: dict[str, Package], entries: dict[str, t.Any]) -> set[str]:
    """Paths of the entries that come inside another package's archive.

    The lockfile's own mark (``inBundle``) is not believed: npm fetches such an entry all the same when no package above
    it bundles it. One with an address or a hash of its own is not taken for bundled either.
    """
    inside: set[str] = set()
    for where, package in packages.items():
        names = entries[where].get("bundleDependencies")
        if not names or package.source in (Source.WORKSPACE, Source.LINK):
            continue
        prefix = f"{where}/{_MODULES}"
        if not isinstance(names, list):
            names = entries[where].get("dependencies") or {}
        todo = [f"{prefix}{name}" for name in names if isinstance(name, str)]
        while todo:
            found = todo.pop()
            if found in packages and found not in inside:
                inside.add(found)
                edges = (*packages[found].needs, *packages[found].wants)
                todo += [other for other in edges if other.startswith(prefix)]
    return {where for where in inside if not packages[where].resolved and not packages[where].integrity}


def _check_aliases(
    reader: ObjectReader, packages: dict[str, Package], entries: dict[str, t.Any], overrides: t.Mapping[str, t.Any]
) -> None:
    """Refuse a package of a registry under another one's name, unless somebody asks for it under that name.

    npm looks at the version only: it would install ``evil`` as ``express`` for somebody who asks ``express`` ``^4``.
    """
    aliases = {
        where: package
        for where, package in packages.items()
        if package.known_as != package.name and package.source == Source.REGISTRY
    }
    names = {package.name for package in aliases.values()}
    overriding = json.dumps(overrides) if aliases else ""
    asked: dict[str, list[str]] = {where: [] for where in aliases}
    for folder, entry in entries.items() if aliases else ():
        for kind in ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies"):
            for name, wanted in (entry.get(kind) or {}).items():
                found = find(packages, folder, name) if name in names else None
                if found in asked:
                    asked[found].append(str(wanted))
    for where, wishes in asked.items():
        real = aliases[where].known_as
        if f'"npm:{real}@' in overriding:
            continue
        if not any(f"{wish}@".startswith(f"npm:{real}@") for wish in wishes):
            what = f"is the package {real[:200]} under another name, which nobody asks for"
            raise reader.error(f"{_at(where)[:-1]} {what}")


def _check_programs(reader: ObjectReader, at: str, entry: dict[str, t.Any]) -> None:
    """Refuse a program (``bin``) that is not inside its package, or whose link would not be beside the others."""
    programs = entry.get("bin")
    if isinstance(programs, str):
        programs = {"": programs}
    if not isinstance(programs, dict):
        return
    for name, target in programs.items():
        if not isinstance(target, str):
            raise reader.error(f"{at}bin.{name[:200]} is no string")
        if any(text.startswith("/") or "\\" in text or ".." in text.split("/") for text in (name, target)):
            raise reader.error(f"{at}bin leads out of the package: {name[:100]} -> {target[:100]}")


def _engines(entry: dict[str, t.Any]) -> dict[str, str]:
    # Old packages have lists or strings here; npm ignores those too.
    engines = entry.get("engines")
    if not isinstance(engines, dict):
        return {}
    return {name: wanted for name, wanted in engines.items() if isinstance(wanted, str)}


def _license(entry: dict[str, t.Any]) -> str | None:
    # Old packages have an object, or a list of them; npm takes the text over as it is.
    found = entry.get("license")
    return found if isinstance(found, str) else None


def _digest(projects: dict[str, dict[str, t.Any]], entries: dict[str, t.Any]) -> str:
    """SHA-256 of what decides the tree: of the project's own entries, not their versions."""
    own = {
        # How a workspace is called, and which programs it has, is to be seen in the tree.
        folder: {key: entry[key] for key in (*(("name", "bin") if folder else ()), *DECIDING_KEYS) if entry.get(key)}
        for folder, entry in projects.items()
    }
    text = json.dumps({**entries, **own}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _parse(content: bytes, path: str, manifests: t.Mapping[str, Manifest]) -> Lockfile:
    return parse_lockfile(content, path, overrides=manifests[""].deciding.get("overrides") if "" in manifests else None)


def in_step(lockfile: Lockfile, manifests: t.Mapping[str, Manifest]) -> list[Problem]:
    """How the lockfile differs from one made for these manifests (by project folder); empty: it does not."""
    return differences(lockfile, manifests) or [
        Problem(f"{lockfile.name} has no entry for {name}")
        for folder, manifest in manifests.items()
        for name in manifest.requirements.dependencies
        if find(lockfile.packages, folder, name) is None
    ]


FORMAT = Format(
    manager="npm",
    names=LOCKFILE_NAMES,
    parse=_parse,
    in_step=in_step,
    ecosystem="node",
    remake="Run npm install and commit the lockfile.",
)
