# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""uv's lockfile (``uv.lock``, version 1, every revision) as a value.

Every project of the workspace counts as wanted in production, without its extras and groups: what
``uv sync --frozen --all-packages --no-default-groups`` installs. Which of a package's wheels fits a host is for uv to
judge: all of them are covered by ``integrity``.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import re
import typing as t
import urllib.parse
from dataclasses import dataclass, field

from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile import integrity, uvgraph
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.addresses import is_distribution_file
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.environments import same
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import (
    Lockfile,
    Manifest,
    Package,
    Requirements,
    Source,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.packagejson import ObjectReader
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pep440 import parse_conditions
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pep508 import parse_marker
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.tomlfile import Table, parse_table

REMAKE = "Run uv lock with a current uv and commit uv.lock."

_NORMAL_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_VERSION = re.compile(r"[0-9][0-9a-z.!+]{0,200}")
_HASH = re.compile(r"(sha256|sha384|sha512):([0-9a-f]{64,128})")
#: What an address or a path in the lockfile has: no white space, no control characters.
_ADDRESS = re.compile(r"[^\s\x00-\x1f\x7f\\]{1,4000}")

#: The keys of a package's source, and what the package is then. ``url``, ``path``: see ``_source``.
_KINDS = ("registry", "git", "url", "path", "directory", "editable", "virtual")
_FOLDERS = ("directory", "editable", "virtual")


@dataclass(frozen=True)
class UvLock(Lockfile):
    """With what ``in_step`` needs besides: the parts of the file that say what it was made for."""

    requires_python: str | None = None
    #: ``[manifest]``: constraints, overrides and groups of the workspace.
    manifest: Table = field(default_factory=dict)
    #: ``[options]``, and ``supported-markers``.
    options: Table = field(default_factory=dict)
    environments: tuple[str, ...] = ()
    #: The entries of the workspace's projects, by folder.
    entries: dict[str, Table] = field(default_factory=dict)


def parse(content: bytes, path: str, _manifests: t.Mapping[str, Manifest]) -> UvLock:
    """The lockfile in ``content``; ``path`` names it in errors. Raises ApphostError."""
    value = parse_table(content, path, REMAKE)
    return _Parser(value, content, path).lockfile()


class _Parser:
    def __init__(self, value: Table, content: bytes, path: str) -> None:
        self.reader = ObjectReader(path, REMAKE)
        self.value = value
        self.content = content
        self.manifest = self.reader.table(value, "manifest", "")
        #: By name: the keys of all packages that have it, in the file's order.
        self.named: dict[str, list[str]] = {}
        self.entries: dict[str, Table] = {}
        #: By key: the kind of the package's source, and the address there.
        self.places: dict[str, tuple[str, str]] = {}
        self.known_markers: dict[uvgraph.Terms, str | None] = {}
        self.requires_python = self.reader.text(value, "requires-python", "")
        try:
            self.pythons = parse_conditions(self.requires_python or "")
        except ValueError as error:
            raise self.reader.error(f"requires-python: {error}") from error

    def lockfile(self) -> UvLock:
        version = self.value.get("version")
        if version != 1 or isinstance(version, bool):
            raise self.reader.error(f"has version {str(version)[:40]}; 1 is understood")
        revision = self.value.get("revision", 0)
        if not isinstance(revision, int) or isinstance(revision, bool):
            raise self.reader.error("has a revision that is no number")
        if "distribution" in self.value:
            raise self.reader.error("was written by a uv before 0.3")
        self._index()
        folders = self._folders()
        graph = self._graph()
        packages = self._packages(graph, folders)
        roots: list[uvgraph.Node] = [(key, "") for key in folders]
        needs, wants = uvgraph.asked(graph, roots)
        entries = {folder: self.entries[key] for key, folder in folders.items()}
        return UvLock(
            path=self.reader.path,
            name=os.path.basename(self.reader.path),
            content=self.content,
            manager="uv",
            format=f"{version}.{revision}",
            sha256=hashlib.sha256(self.content).hexdigest(),
            digest=_digest(self.content, [self.entries[key]["name"] for key in folders]),
            projects={folder: self._requirements(entry) for folder, entry in entries.items()},
            needs=tuple(key for key in needs if key not in folders),
            wants=tuple(key for key in wants if key not in folders),
            packages=packages,
            requires_python=self.requires_python,
            manifest=self.manifest,
            options=self.reader.table(self.value, "options", ""),
            environments=self.reader.names(self.value, "supported-markers", ""),
            entries=entries,
        )

    # Entries and their keys

    def _index(self) -> None:
        listed = self.value.get("package", [])
        if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
            raise self.reader.error("package is no list of tables")
        by_name: dict[str, list[Table]] = {}
        for entry in listed:
            name = entry.get("name")
            if not isinstance(name, str) or len(name) > 200 or not _NORMAL_NAME.fullmatch(name):
                raise self.reader.error(f"has a package with the name {str(name)[:100]!r}, which is no normalised one")
            by_name.setdefault(name, []).append(entry)
        for name, entries in by_name.items():
            for entry in entries:
                key = self._key(name, entry, entries)
                if key in self.entries:
                    raise self.reader.error(f"has the package {key[:200]} twice")
                self.entries[key] = entry
                self.named.setdefault(name, []).append(key)

    def _key(self, name: str, entry: Table, others: list[Table]) -> str:
        """The name, as far as it is unique: an update is the same package in another version then."""
        if len(others) == 1:
            return name
        version = entry.get("version")
        key = f"{name}@{version}"
        if sum(other.get("version") == version for other in others) == 1:
            return key
        kind, address = self._place(name, entry)
        return f"{key} ({kind} {address})"

    def _place(self, name: str, entry: Table) -> tuple[str, str]:
        """The kind of the package's source, and the address there."""
        source = entry.get("source")
        kinds = [kind for kind in _KINDS if kind in source] if isinstance(source, dict) else []
        address = source[kinds[0]] if isinstance(source, dict) and len(kinds) == 1 else None
        if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
            raise self.reader.error(f"the package {name} has no source that is understood")
        return kinds[0], address

    def _folders(self) -> dict[str, str]:
        """The keys of the workspace's projects -> their folders relative to the lockfile (``""``: the lockfile's)."""
        members = self.reader.names(self.manifest, "members", "manifest.")
        folders: dict[str, str] = {}
        for key, entry in self.entries.items():
            kind, address = self.places[key] = self._place(entry["name"], entry)
            if kind in _FOLDERS and (entry["name"] in members or (not members and address == ".")):
                folder = posixpath.normpath(address)
                if folder.startswith(("/", "..")) or folder in folders.values():
                    raise self.reader.error(f"the project {key} is not in a folder of its own below the lockfile's")
                folders[key] = "" if folder == "." else folder
        missing = {*members} - {self.entries[key]["name"] for key in folders}
        if missing:
            raise self.reader.error(f"has no package for the workspace's project {min(missing)[:100]}")
        return folders

    # Who asks for whom

    def _graph(self) -> dict[uvgraph.Node, list[uvgraph.Edge]]:
        graph = {}
        for key, entry in self.entries.items():
            if "dependencies" in entry:
                graph[(key, "")] = self._edges(key, entry["dependencies"])
            if "optional-dependencies" in entry:
                for extra, listed in self.reader.table(entry, "optional-dependencies", f"{key}.").items():
                    graph[(key, extra)] = self._edges(key, listed)
        return graph

    def _groups(self, key: str) -> list[uvgraph.Edge]:
        groups = self.reader.table(self.entries[key], "dev-dependencies", f"{key}.")
        return [edge for listed in groups.values() for edge in self._edges(key, listed)]

    def _edges(self, key: str, listed: t.Any) -> list[uvgraph.Edge]:
        if not isinstance(listed, list) or not all(isinstance(asked, dict) for asked in listed):
            raise self.reader.error(f"the dependencies of {key} are no list of tables")
        return [self._edge(key, asked) for asked in listed]

    def _edge(self, key: str, asked: Table) -> uvgraph.Edge:
        name = asked.get("name")
        candidates = self.named.get(name, []) if isinstance(name, str) else []
        if len(asked) == 1 and len(candidates) == 1:
            return uvgraph.Edge(candidates[0])
        if len(candidates) > 1:
            candidates = [found for found in candidates if self._is_meant(asked, self.entries[found])]
        if len(candidates) != 1:
            problem = "no entry" if not candidates else "several entries"
            raise self.reader.error(f"{key} asks for {str(name)[:100]}, which has {problem}")
        marker = asked.get("marker", "")
        if not isinstance(marker, str):
            raise self.reader.error(f"{key} asks for {name} with a marker that is no text")
        extras = self.reader.names(asked, "extra", f"{key}.dependencies.") if "extra" in asked else ()
        return uvgraph.Edge(candidates[0], extras, marker)

    def _is_meant(self, asked: Table, entry: Table) -> bool:
        return all(what not in asked or asked[what] == entry.get(what) for what in ("version", "source"))

    # Packages

    def _packages(self, graph: uvgraph.Graph, folders: dict[str, str]) -> dict[str, Package]:
        roots = [(key, "") for key in folders]
        extras = [node for node in graph if node[0] in folders and node[1]]
        groups = [edge for key in folders for edge in self._groups(key)]
        groups += [uvgraph.Edge(key) for name in self._manifest_groups() for key in self.named.get(name, [])]
        grouped = {**graph, ("", ""): groups}
        try:
            production = uvgraph.conditions(graph, roots)
            chosen = uvgraph.conditions(graph, extras)
            development = uvgraph.conditions(grouped, [("", "")])
            return {
                key: self._package(key, entry, graph, folders, (production, chosen, development))
                for key, entry in self.entries.items()
            }
        except uvgraph.Tangled as error:
            raise self.reader.error(f"there are too many ways with markers that lead to {error.args[0]}") from error

    def _manifest_groups(self) -> list[str]:
        groups = self.reader.table(self.manifest, "dependency-groups", "manifest.")
        listed = [asked for group in groups.values() if isinstance(group, list) for asked in group]
        return [asked["name"] for asked in listed if isinstance(asked, dict) and isinstance(asked.get("name"), str)]

    def _package(
        self,
        key: str,
        entry: Table,
        graph: uvgraph.Graph,
        folders: dict[str, str],
        reached: tuple[dict[str, uvgraph.Terms], dict[str, uvgraph.Terms], dict[str, uvgraph.Terms]],
    ) -> Package:
        production, chosen, development = reached
        terms = production.get(key) or chosen.get(key) or development.get(key, uvgraph.ALWAYS)
        name = entry["name"]
        version = entry.get("version")
        if version is not None and (not isinstance(version, str) or not _VERSION.fullmatch(version)):
            raise self.reader.error(f"the package {key} has the version {str(version)[:100]!r}, which is none")
        kind, address = self.places[key]
        files = self._files(key, entry)
        needs, wants = uvgraph.asked(graph, [(key, "")])
        markers = self._markers(key, terms)
        return Package(
            path=key,
            name=name,
            version=version,
            source=Source.WORKSPACE if key in folders else _source(kind, address),
            resolved=_resolved(address, [place for place, _hash in files]),
            integrity=_integrity(files),
            dev=key in development and key not in production and key not in chosen,
            optional=key not in production or markers is not None,
            # To build a package from its sources is to run its code.
            has_install_script=key not in folders and kind != "virtual" and not entry.get("wheels"),
            markers=markers,
            needs=tuple(needs),
            wants=tuple(wants),
        )

    def _markers(self, key: str, terms: uvgraph.Terms) -> str | None:
        """The terms as one marker; ``None``: every Python that the lockfile is for gets the package."""
        if terms == uvgraph.ALWAYS:
            return None
        if terms not in self.known_markers:
            text = uvgraph.text(terms)
            try:
                always = text is None or same(parse_marker(text), None, self.pythons)
            except ValueError as error:
                raise self.reader.error(f"the package {key}: {error}") from error
            self.known_markers[terms] = None if always else text
        return self.known_markers[terms]

    def _files(self, key: str, entry: Table) -> list[tuple[str, str | None]]:
        """Addresses (or file names) and hashes of the package's archives; an address may be empty: the source's."""
        wheels = entry.get("wheels", [])
        files = [*wheels] if isinstance(wheels, list) else [wheels]
        if "sdist" in entry:
            files.append(entry["sdist"])
        found = []
        for file in files:
            if not isinstance(file, dict):
                raise self.reader.error(f"the archives of {key} are no tables")
            place = file.get("url") or file.get("path") or file.get("filename") or ""
            hashed = file.get("hash")
            if not isinstance(place, str) or not (hashed is None or isinstance(hashed, str)):
                raise self.reader.error(f"the package {key} has an archive whose address or hash is no text")
            if place:
                self._check_file(key, entry["name"], entry.get("version"), place, traversable="url" not in file)
            found.append((place, hashed))
        return found

    def _check_file(self, key: str, name: str, version: str | None, place: str, traversable: bool) -> None:
        """Refuse an archive that is not called after its package and version, or that lies outside of its folder."""
        if not _ADDRESS.fullmatch(place) or (traversable and ".." in place.split("/")):
            raise self.reader.error(f"the package {key} has an archive at {place[:200]!r}, which is no address")
        file = urllib.parse.unquote(place.split("#")[0].split("?")[0].rpartition("/")[2])
        if not is_distribution_file(file, name, version):
            raise self.reader.error(f"the package {key} has an archive of another name: {file[:200]!r}")

    def _requirements(self, entry: Table) -> Requirements:
        """What a project of the workspace was locked for, in words (for people and the release's identity)."""
        at = f"{entry['name']}.metadata."
        metadata = self.reader.table(entry, "metadata", f"{entry['name']}.")
        groups = self.reader.table(metadata, "requires-dev", at)
        return Requirements(
            dependencies=_texts([metadata.get("requires-dist", [])]),
            dev=_texts(groups.values()),
        )


def _texts(lists: t.Iterable[t.Any]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for listed in lists:
        for asked in listed if isinstance(listed, list) else []:
            # What an extra asks for is not asked for in production.
            if isinstance(asked, dict) and "extra ==" not in str(asked.get("marker", "")):
                marker = f"; {asked['marker']}" if "marker" in asked else ""
                found.setdefault(str(asked.get("name")), []).append(f"{asked.get('specifier', '*')}{marker}")
    return {name: " | ".join(texts) for name, texts in found.items()}


def _source(kind: str, address: str) -> str:
    if kind == "registry":
        # A folder of archives, used as a registry.
        return Source.REGISTRY if "://" in address else Source.FILE
    if kind in _FOLDERS:
        return Source.LINK
    return {"git": Source.GIT, "url": Source.ADDRESS, "path": Source.FILE}[kind]


def _resolved(address: str, places: t.Sequence[str]) -> str:
    """The addresses, separated by spaces: one archive for each host that has some, and the source's own.

    The host of a registry and the host of its archives are often two, and uv fetches from both.
    """
    hosts = {"/".join(place.split("/", 3)[:3]): place for place in reversed(places) if "://" in place}
    return " ".join(dict.fromkeys([*hosts.values(), address]))


def _integrity(files: t.Sequence[tuple[str, str | None]]) -> str | None:
    """All the hashes; only the weak ones, or none, when an archive has no strong one: uv would take that unchecked."""
    strong, weak = [], []
    missing = not files
    for _place, hashed in files:
        match = _HASH.fullmatch(hashed or "")
        if match and len(match[2]) == 2 * integrity.STRONG_HASHES[match[1]]:
            strong.append(integrity.from_hex(match[1], match[2]))
        elif hashed:
            weak.append(hashed.replace(":", "-", 1).replace(" ", ""))
        else:
            missing = True
    if missing or weak:
        return " ".join(weak) or None
    return " ".join(strong)


def _digest(content: bytes, projects: t.Sequence[str]) -> str:
    """Of the whole file but the versions of the workspace's own projects."""
    for name in projects:
        version = re.compile(rb'^(name = "%s"\n)version = "[^"\n]*"\n(?=source = \{ )' % re.escape(name).encode(), re.M)
        content = version.sub(rb"\1", content, count=1)
    return hashlib.sha256(content).hexdigest()
