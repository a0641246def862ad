# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``pnpm-lock.yaml`` as values (formats 6.0 and 9.0: pnpm 8 to 12), and ``pnpm-workspace.yaml``.

The paths of packages are the lockfile's own keys. Folders of the project are ``link:<folder>``; what pnpm installs to
configure itself is ``config:<key>``. An alias is only known to who asks for it: a package has its real name here.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile import addresses
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import (
    Format,
    Lockfile,
    Manifest,
    Package,
    Source,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.packagejson import ObjectReader
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pnpmlock import (
    REMAKE,
    Contents,
    Entry,
    find_key,
    inside,
    read_contents,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pnpmstep import in_step
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pnpmworkspace import (
    WORKSPACE_FILE,
    parse_settings,
    settings_of,
    workspace_patterns,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.reach import marked

#: Names that pnpm gives registries by itself, for ``<name>:<range>``.
NAMED_REGISTRIES = {"npmjs": "https://registry.npmjs.org/", "gh": "https://npm.pkg.github.com/"}

_GIT_HOSTS = re.compile(r"https://(codeload\.github\.com/|gitlab\.com/.+/-/archive/|bitbucket\.org/.+/get/)")
#: pnpm hands these to git; with any other, git would run a program or read the host's own folders.
_REPOSITORY = re.compile(r"(git\+)?(https?|ssh|git)://[!-~]+|[A-Za-z0-9][\w.-]*@[A-Za-z0-9][\w.-]*:[\w./~][\w./~-]*")
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_NAMED = re.compile(r"([A-Za-z][\w.-]*):(\d+\.\d+\.\d+[0-9A-Za-z.+-]*)")
_RUNTIME = re.compile(r"(?:runtime|tool):(\d+\.\d+\.\d+[0-9A-Za-z.+-]*)")


def parse_lockfile(content: bytes, path: str, manifests: t.Mapping[str, Manifest]) -> Lockfile:
    """The lockfile of pnpm in ``content``; ``path`` names it in errors. Raises ApphostError.

    ``manifests`` (by project folder, ``""`` first) say which of the projects are there: what the others ask for is not
    installed. Without any, all are.
    """
    contents = read_contents(content, path)
    graph = _Graph(contents, path, manifests)
    packages = {key: graph.package(entry) for key, entry in contents.entries.items()}
    needs: dict[str, None] = {}
    wants: dict[str, None] = {}
    for folder in graph.projects:
        needed, wanted = graph.asked(folder)
        needs.update(dict.fromkeys(needed))
        wants.update(dict.fromkeys(wanted))
        if folder:
            packages[f"link:{folder}"] = graph.workspace(folder)
            # pnpm installs every workspace, asked for or not.
            needs[f"link:{folder}"] = None
    packages.update({key: link for key, link in graph.links.items() if key not in packages})
    wants = {key: None for key in wants if key not in needs}
    packages = marked(packages, tuple(needs), tuple(wants))
    for entry in contents.config.values():
        packages[f"config:{entry.key}"] = dataclasses.replace(graph.package(entry, config=True), dev=True)
    return Lockfile(
        path=path,
        name=os.path.basename(path),
        content=content,
        manager="pnpm",
        format=contents.version,
        sha256=hashlib.sha256(content).hexdigest(),
        digest=contents.digest,
        projects={folder: importer.asked for folder, importer in contents.importers.items()},
        needs=tuple(needs),
        wants=tuple(wants),
        packages={key: _as_installed(package) for key, package in packages.items()},
    )


def _as_installed(package: Package) -> Package:
    """What an optional package needs is left out alone when it is for another platform: pnpm keeps the package."""
    if not package.optional or package.source == Source.WORKSPACE:
        return package
    return dataclasses.replace(package, needs=(), wants=(*package.needs, *package.wants))


class _Graph:
    """Who asks for what in a lockfile."""

    def __init__(self, contents: Contents, path: str, manifests: t.Mapping[str, Manifest]) -> None:
        self.contents = contents
        self.manifests = manifests
        self.reader = ObjectReader(path, REMAKE)
        self.projects = [folder for folder in contents.importers if not manifests or folder in manifests]
        #: Links to folders that are none of the projects.
        self.links: dict[str, Package] = {}
        own = manifests.get("")
        named = settings_of(own).get("namedRegistries") if own else None
        self.registries = {**NAMED_REGISTRIES, **(named if isinstance(named, dict) else {})}

    def asked(self, folder: str) -> tuple[list[str], list[str]]:
        """Paths of what a project needs and wants for production."""
        importer = self.contents.importers[folder]
        at = f'importers["{folder or "."}"]'
        found = []
        for names in (importer.asked.dependencies, importer.asked.optional):
            edges = {name: importer.versions[name] for name in names}
            found.append(self._paths(edges, folder, at))
        development = {name: importer.versions[name] for name in importer.asked.dev}
        # What is not installed must be in order all the same.
        self._paths(development, folder, at)
        return found[0], found[1]

    def workspace(self, folder: str) -> Package:
        """The package that a project below the lockfile's folder is."""
        manifest = self.manifests.get(folder)
        needs, wants = self.asked(folder)
        return Package(
            path=f"link:{folder}",
            name=(manifest.name if manifest else None) or folder,
            version=manifest.version if manifest else None,
            source=Source.WORKSPACE,
            resolved=folder,
            needs=tuple(needs),
            wants=tuple(wants),
        )

    def package(self, entry: Entry, config: bool = False) -> Package:
        """The package of an entry."""
        at = f'packages["{entry.key[:200]}"].'
        details = entry.details
        source, resolved, integrity, version = self._resolution(entry, at)
        optional = details.get("optional") is True
        edges = [{}, {}] if config else [entry.needs, entry.wants]
        needs, wants = (self._paths(edge, "", at) for edge in edges)
        return Package(
            path=f"config:{entry.key}" if config else entry.key,
            name=entry.name,
            version=version,
            source=source,
            resolved=resolved,
            integrity=integrity,
            # Format 6.0 says it, and says it of every optional package too, as a guess.
            has_install_script=details.get("requiresBuild") is True and not optional,
            engines=_engines(details),
            os=self.reader.names(details, "os", at),
            cpu=self.reader.names(details, "cpu", at),
            libc=self.reader.names(details, "libc", at),
            needs=tuple(needs),
            wants=tuple(wants),
        )

    def _paths(self, edges: t.Mapping[str, str], folder: str, at: str) -> list[str]:
        """Paths of what ``edges`` (name -> reference) lead to, seen from ``folder``."""
        found = []
        for name, reference in edges.items():
            key = find_key(self.contents.version, name, reference)
            if key is None:
                key = self._link(name, reference[len("link:") :], folder, at)
            elif key not in self.contents.entries:
                raise self.reader.error(f"has no entry for {name} {reference[:200]}, which {at.rstrip('.')} asks for")
            if key:
                found.append(key)
        return found

    def _link(self, name: str, target: str, folder: str, at: str) -> str | None:
        """The path of what a link leads to; ``None`` when that is the project itself, or within the package."""
        within = target.startswith("<root>/")
        found = inside("" if within else folder, target[len("<root>/") :] if within else target)
        if found is None:
            raise self.reader.error(f"{at}{name} is a link out of the project, to {target[:200]}")
        if within or not found:
            return None
        path = f"link:{found}"
        if found not in self.contents.importers:
            self.links[path] = Package(path=path, name=name, version=None, source=Source.LINK, resolved=found)
        elif found not in self.projects:
            # Its folder is not there; in_step has the words for it.
            return None
        return path

    def _resolution(self, entry: Entry, at: str) -> tuple[str, str | None, str | None, str | None]:
        """Where a package comes from: source, address, hash, version."""
        error = self.reader.error
        table = self.reader.table(entry.details, "resolution", at)
        at = f"{at}resolution."
        kind = self.reader.text(table, "type", at)
        integrity = self.reader.text(table, "integrity", at)
        tarball = self.reader.text(table, "tarball", at)
        if kind == "git":
            return Source.GIT, self._repository(table, at), None, entry.version
        if kind == "directory":
            folder = inside("", self.reader.text(table, "directory", at) or "..")
            if not folder:
                raise error(f"{at}directory is no folder of the project")
            source = Source.WORKSPACE if folder in self.contents.importers else Source.LINK
            return source, folder, None, entry.version
        if kind in ("variations", "binary"):
            return self._runtime(entry, table, at)
        if kind is not None:
            raise error(f"{at}type is {kind[:100]}, which is not understood")
        if tarball is None:
            return self._from_registry(entry, integrity, at)
        if tarball.startswith("file:"):
            if not inside("", tarball[len("file:") :]):
                raise error(f"{at}tarball is no file of the project: {tarball[:200]}")
            return Source.FILE, tarball, integrity, entry.version
        if not addresses.is_web(tarball):
            raise error(f"{at}tarball is no address: {tarball[:200]}")
        if table.get("gitHosted") is True or _GIT_HOSTS.match(tarball):
            return Source.GIT, tarball, integrity, entry.version
        named = _NAMED.fullmatch(entry.locator)
        version = named[2] if named else entry.version
        ours = addresses.is_tarball_of(tarball, entry.name, version)
        return (Source.REGISTRY if ours else Source.ADDRESS), tarball, integrity, version

    def _from_registry(
        self, entry: Entry, integrity: str | None, at: str
    ) -> tuple[str, str | None, str | None, str | None]:
        """The same for a package of which only the hash is said."""
        if not integrity:
            raise self.reader.error(f"{at.rstrip('.')} says neither a hash nor an address")
        if entry.locator == entry.version:
            return Source.REGISTRY, None, integrity, entry.version
        named = _NAMED.fullmatch(entry.locator)
        registry = self.registries.get(named[1]) if named else None
        if named is None or not isinstance(registry, str):
            raise self.reader.error(f"{at.rstrip('.')} has no address, and {entry.locator[:200]!r} is none")
        base = entry.name.rpartition("/")[2]
        address = f"{registry.rstrip('/')}/{entry.name}/-/{base}-{named[2].partition('+')[0]}.tgz"
        return Source.REGISTRY, address, integrity, named[2]

    def _repository(self, table: dict[str, t.Any], at: str) -> str:
        """The address of a git repository, with its commit."""
        repository = self.reader.text(table, "repo", at) or ""
        commit = self.reader.text(table, "commit", at) or ""
        folder = self.reader.text(table, "path", at)
        if not _REPOSITORY.fullmatch(repository):
            raise self.reader.error(f"{at}repo is no address of a git repository: {addresses.shown(repository)}")
        if not _COMMIT.fullmatch(commit):
            raise self.reader.error(f"{at}commit is no commit: {commit[:100]}")
        if folder is not None and inside("", folder.lstrip("/")) is None:
            raise self.reader.error(f"{at}path leads out of the repository: {folder[:200]}")
        return f"{repository}#{commit}"

    def _runtime(
        self, entry: Entry, table: dict[str, t.Any], at: str
    ) -> tuple[str, str | None, str | None, str | None]:
        """The same for Node.js and the like, with an archive for each platform."""
        variants = table.get("variants", [{"resolution": table}])
        found = [variant.get("resolution") for variant in variants if isinstance(variant, dict)]
        archives = [archive for archive in found if isinstance(archive, dict)]
        version = _RUNTIME.fullmatch(entry.locator)
        if not archives or not version:
            raise self.reader.error(f"{at.rstrip('.')} is not understood")
        hashes = [self.reader.text(archive, "integrity", at) for archive in archives]
        known = [self.reader.text(archive, "url", at) or "" for archive in archives]
        hosts = {address[: len(address) - len(address.partition("://")[2].partition("/")[2])] for address in known}
        if len(hosts) != 1:
            raise self.reader.error(f"{at.rstrip('.')} has archives at several hosts: {', '.join(sorted(hosts))[:200]}")
        integrity = " ".join(text for text in dict.fromkeys(hashes) if text) if all(hashes) else None
        return Source.ADDRESS, known[0], integrity, version[1]


def _engines(details: dict[str, t.Any]) -> dict[str, str]:
    # pnpm does not care which npm a package wants.
    engines = details.get("engines")
    if not isinstance(engines, dict):
        return {}
    return {name: wanted for name, wanted in engines.items() if isinstance(wanted, str) and name != "npm"}


FORMAT = Format(
    manager="pnpm",
    names=("pnpm-lock.yaml",),
    parse=parse_lockfile,
    in_step=in_step,
    ecosystem="node",
    remake=REMAKE,
    workspace_file=WORKSPACE_FILE,
    workspace_patterns=workspace_patterns,
    workspace_settings=parse_settings,
)
