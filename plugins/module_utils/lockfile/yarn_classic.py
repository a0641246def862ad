# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``yarn.lock`` of yarn 1 as values.

The file is a table of what was asked for (``ms@^2.1.3``) and what it is then. It names neither the project's own
dependencies, nor its workspaces, nor what is for development: these come from the manifests. Nor has it ``os``,
``cpu``, ``libc`` or ``engines``: every optional package counts as fit here, and yarn leaves out what is not when it
installs, going by each package's own ``package.json``.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, Problem
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile import addresses
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.integrity import from_hex
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import (
    Format,
    Lockfile,
    Manifest,
    Package,
    Source,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.npm import package_name
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.ranges import satisfies
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.reach import marked
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.yarnfile import Entry, parse_entries

REMAKE = "Run yarn install and commit the lockfile."

#: The one version of the format there ever was.
FORMAT_VERSION = 1

_SHA1 = re.compile(r"[0-9a-f]{40}")


def split_pattern(pattern: str) -> tuple[str, str]:
    """Name and range of ``@scope/name@range``. Raises ``ValueError`` when it does not begin with a package's name."""
    name, at, wanted = pattern[1:].partition("@")
    name = pattern[:1] + name
    if not at or not _is_name(name):
        raise ValueError("does not begin with a package's name")
    return name, wanted


@functools.lru_cache(maxsize=65536)
def _is_name(name: str) -> bool:
    return package_name(f"node_modules/{name}") == name


def parse_lockfile(content: bytes, path: str, manifests: t.Mapping[str, Manifest]) -> Lockfile:
    """The lockfile of yarn 1 in ``content``; ``path`` names it in errors.

    ``manifests`` (by project folder, ``""`` first) say what it is for. Raises ApphostError.
    """
    graph = _Graph(_read(content, path), manifests)
    packages = {known.path: graph.package(known) for known in graph.locked}
    packages.update({where: graph.workspace(where, folder) for where, folder in graph.workspaces.items()})
    needs: dict[str, None] = {}
    wants: dict[str, None] = {}
    for manifest in graph.projects.values():
        needs.update(dict.fromkeys(graph.found(manifest.requirements.dependencies)))
        wants.update(dict.fromkeys(graph.found(manifest.requirements.optional)))
    # yarn installs every workspace, asked for or not.
    needs.update(dict.fromkeys(graph.workspaces))
    wanted = tuple(where for where in wants if where not in needs)
    return Lockfile(
        path=path,
        name=os.path.basename(path),
        content=content,
        manager="yarn",
        format=str(FORMAT_VERSION),
        sha256=hashlib.sha256(content).hexdigest(),
        digest=_digest(graph.locked),
        projects={},
        needs=tuple(needs),
        wants=wanted,
        packages=marked(packages, tuple(needs), wanted) if manifests else packages,
    )


def in_step(lockfile: Lockfile, manifests: t.Mapping[str, Manifest]) -> list[Problem]:
    """What yarn would have to resolve anew to install for these manifests (by project folder); empty: nothing.

    ``yarn install --frozen-lockfile`` refuses only a part of it: in a project with workspaces, and for what packages
    need of each other, it takes from the registry what the lockfile lacks, and goes on.
    """
    graph = _Graph(_read(lockfile.content, lockfile.path), manifests)
    problems = []
    for folder, manifest in graph.projects.items():
        file = f"{folder}/package.json" if folder else "package.json"
        for kind, asked in manifest.requirements.by_kind().items():
            if kind != "peerDependencies":
                of_kind = "" if kind == "dependencies" else f" ({kind})"
                problems += [
                    Problem(f"{file} asks {name} {wanted}{of_kind}, {lockfile.name} was made without it")
                    for name, wanted in asked.items()
                    if graph.find(name, wanted) is None
                ]
    problems += [
        Problem(f"package.json asks {name} {wanted} (resolutions), {lockfile.name} was made without it")
        for name, wanted in graph.resolutions
        if f"{name}@{wanted}" not in graph.answers and graph.find(name, wanted) is None
    ]
    for known in graph.locked:
        problems += [
            Problem(f"{lockfile.name} has no {name}@{wanted}, which {known.name}@{known.version} needs")
            for table in (known.needs, known.wants)
            for name, wanted in table.items()
            if graph.find(name, wanted) is None
        ]
        problems += [
            Problem(f"{lockfile.name} has {known.name} {known.version} for {pattern}, and yarn would take another")
            for pattern, wanted in known.ranges.items()
            if known.name not in graph.overridden and _unfit(known.version, wanted)
        ]
    return problems


@dataclass(frozen=True)
class _Locked:
    """What the lockfile says about one package."""

    path: str
    name: str
    version: str
    #: Pattern -> its range.
    ranges: dict[str, str]
    entry: Entry
    needs: dict[str, str]
    wants: dict[str, str]


@functools.lru_cache(maxsize=1)
def _read(content: bytes, path: str) -> tuple[_Locked, ...]:
    """The packages in the file; kept, because a lockfile is parsed and then compared with its manifests."""
    version, entries = parse_entries(content, path, REMAKE)
    if version != FORMAT_VERSION:
        raise ApphostError(f"is of version {version}; {FORMAT_VERSION} is understood", path, REMAKE)
    locked = []
    seen: dict[str, int] = {}
    for entry in entries:
        at = f'the entry "{entry.keys[0][:200]}" (line {entry.line})'
        names: dict[str, dict[str, str]] = {}
        for key in entry.keys:
            try:
                name, wanted = split_pattern(key)
            except ValueError as error:
                raise ApphostError(f'"{key[:200]}" (line {entry.line}) {error}', path, REMAKE) from error
            names.setdefault(name, {})[key] = wanted
        version_text = entry.values.get("version")
        if not version_text:
            raise ApphostError(f"{at} has no version", path, REMAKE)
        if "resolved" not in entry.values and not all(_is_folder(split_pattern(key)[1]) for key in entry.keys):
            # Such an entry only looks locked: yarn asks the registry again.
            raise ApphostError(f"{at} has no address, so that yarn would not keep to it", path, REMAKE)
        wants = entry.tables.get("optionalDependencies", {})
        needs = entry.tables.get("dependencies", {})
        if wants:
            needs = {name: wanted for name, wanted in needs.items() if name not in wants}
        for name, ranges in names.items():
            if entry.values.get("name", name) != name:
                raise ApphostError(f"{at} is named {entry.values['name'][:200]}", path, REMAKE)
            where = f"{name}@{version_text}"
            seen[where] = seen.get(where, 0) + 1
            # The same version from another address.
            where = where if seen[where] == 1 else f"{where}#{seen[where]}"
            locked.append(_Locked(where, name, version_text, ranges, entry, needs, wants))
    return tuple(locked)


class _Graph:
    """Who asks for what: the lockfile together with the manifests."""

    def __init__(self, locked: t.Sequence[_Locked], manifests: t.Mapping[str, Manifest]) -> None:
        self.locked = locked
        #: What was asked for -> path of the package.
        self.answers = {pattern: known.path for known in locked for pattern in known.ranges}
        #: Without the workspaces that yarn passes over.
        self.projects = {
            folder: manifest
            for folder, manifest in manifests.items()
            if not folder or (manifest.name and manifest.version)
        }
        self.workspaces = {
            f"{manifest.name}@workspace:{folder}": folder for folder, manifest in self.projects.items() if folder
        }
        self._by_name = {self.projects[folder].name: where for where, folder in self.workspaces.items()}
        self.resolutions = _resolutions(manifests[""]) if "" in manifests else []
        self.overridden = {name: f"{name}@{wanted}" for name, wanted in self.resolutions}

    def find(self, name: str, wanted: str) -> str | None:
        """The package that somebody gets who asks for this range."""
        workspace = self._by_name.get(name)
        if workspace is not None and satisfies(self.projects[self.workspaces[workspace]].version or "", wanted):
            return workspace
        found = self.answers.get(f"{name}@{wanted}")
        if found is None and name in self.overridden:
            found = self.answers.get(self.overridden[name])
        return found

    def found(self, asked: t.Mapping[str, str]) -> tuple[str, ...]:
        """Paths of what is asked for; what the lockfile lacks is left out."""
        paths = (self.find(name, wanted) for name, wanted in asked.items())
        return tuple(path for path in paths if path is not None)

    def package(self, known: _Locked) -> Package:
        """The package of an entry."""
        real_name = next((_real_name(wanted) for wanted in known.ranges.values() if wanted.startswith("npm:")), None)
        address, sha1, source = _address(known.entry.values.get("resolved"), real_name or known.name, known.version)
        integrity = known.entry.values.get("integrity")
        if integrity is None and sha1 is not None:
            integrity = from_hex("sha1", sha1)
        return Package(
            path=known.path,
            name=known.name,
            version=known.version,
            real_name=real_name if real_name != known.name else None,
            source=source,
            # A folder is where it is asked for.
            resolved=address or next(iter(known.ranges.values())),
            integrity=integrity,
            needs=self.found(known.needs),
            wants=self.found(known.wants),
        )

    def workspace(self, path: str, folder: str) -> Package:
        """The package that a workspace is."""
        manifest = self.projects[folder]
        return Package(
            path=path,
            name=manifest.name or folder,
            version=manifest.version,
            source=Source.WORKSPACE,
            resolved=folder,
            needs=self.found(manifest.requirements.dependencies),
            wants=self.found(manifest.requirements.optional),
        )


def _is_folder(wanted: str) -> bool:
    """Whether a range is a folder of the project or beside it, which yarn links or copies."""
    return wanted.startswith(("link:", "file:", "./", "../", "/", "~/"))


def _real_name(wanted: str) -> str:
    """``ms`` of ``npm:ms@2.0.0``."""
    name = wanted[len("npm:") :]
    at = name.find("@", 1)
    return name if at < 0 else name[:at]


def _address(resolved: str | None, name: str, version: str) -> tuple[str | None, str | None, str]:
    """An address without the SHA-1 that yarn puts after a tarball's; that; and the kind of source."""
    if resolved is None:
        return None, None, Source.LINK
    if _is_git(resolved):
        # What stands after it is the commit.
        return resolved, None, Source.GIT
    address, _mark, fragment = resolved.partition("#")
    sha1 = fragment if _SHA1.fullmatch(fragment) else None
    if not addresses.is_web(address):
        return address, sha1, Source.FILE
    return address, sha1, Source.REGISTRY if addresses.is_tarball_of(address, name, version) else Source.ADDRESS


def _is_git(address: str) -> bool:
    """Whether yarn clones it, or takes the archive that GitHub makes of a commit."""
    parts = addresses.parse(address)
    of_commit = parts is not None and (parts.path.endswith(".git") or parts.host == "codeload.github.com")
    return of_commit or addresses.is_git(address)


def _resolutions(manifest: Manifest) -> list[tuple[str, str]]:
    """Names and ranges of the project's ``resolutions``; those that yarn passes over are left out."""
    table = manifest.deciding.get("resolutions")
    found = []
    for where, wanted in table.items() if isinstance(table, dict) else ():
        parts = where.split("/")
        name = "/".join(parts[-2:]) if len(parts) > 1 and parts[-2].startswith("@") else parts[-1]
        # A tag ("latest") is no resolution for yarn 1.
        if isinstance(wanted, str) and (":" in wanted or "/" in wanted or satisfies("0.0.0", wanted) is not None):
            found.append((name, wanted))
    return found


def _unfit(version: str, wanted: str) -> bool:
    """Whether a locked version is not in its range, so that yarn resolves it anew."""
    # Ranges are compared without pre-releases.
    return "-" not in version and "-" not in wanted and satisfies(version, wanted) is False


def _digest(locked: t.Sequence[_Locked]) -> str:
    """SHA-256 of what decides the tree, in whatever order it stands in the file."""
    text = json.dumps(
        sorted((sorted(known.ranges), known.entry.values, known.entry.tables) for known in locked),
        sort_keys=True,
        separators=(",", ":"),
    )
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


FORMAT = Format(
    manager="yarn",
    names=("yarn.lock",),
    parse=parse_lockfile,
    in_step=in_step,
    ecosystem="node",
    remake=REMAKE,
)
