# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in a ``pnpm-lock.yaml``, read and checked, whichever version of its format it has.

Format 6.0 (pnpm 8) has one section ``packages`` with keys such as ``/react-dom@18.3.1(react@18.3.1)``. Format 9.0 (pnpm
9 to 12) has what belongs to a version in ``packages`` (``react-dom@18.3.1``), and in ``snapshots`` what it depends on,
once for each set of peers. pnpm 11 and later may put a document of their own in front, about themselves.
"""

from __future__ import annotations

import functools
import hashlib
import json
import posixpath
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Requirements
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.npm import package_name
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.packagejson import ObjectReader
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.yamlfile import parse_documents

REMAKE = "Run pnpm install and commit the lockfile."

FORMAT_VERSIONS = ("6.0", "6.1", "9.0")

_KINDS = ("dependencies", "optionalDependencies", "devDependencies")
#: What does not decide the tree: when something was published, and what its author says about it today.
_ASIDE = ("time", "deprecated")

_VERSION = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")


@dataclass(frozen=True)
class Importer:
    """A project of the workspace: what it asked for, and what it got."""

    #: Ranges by kind; never peers.
    asked: Requirements
    #: Name -> what it is locked to, as the lockfile refers to packages.
    versions: dict[str, str]
    #: The key ``dependenciesMeta``.
    meta: dict[str, t.Any]


@dataclass(frozen=True)
class Entry:
    """A package with one set of peers."""

    #: As the lockfile refers to it.
    key: str
    name: str
    version: str | None
    #: What stands behind the name in the key, without peers: a version, or where it comes from.
    locator: str
    #: What belongs to the version: resolution, engines, os, …
    details: dict[str, t.Any]
    #: Name in its ``node_modules`` -> reference.
    needs: dict[str, str]
    wants: dict[str, str]


@dataclass(frozen=True)
class Contents:
    """A lockfile's contents."""

    version: str
    #: The sections besides importers and packages: settings, overrides, catalogs, patchedDependencies, …
    head: dict[str, t.Any]
    #: By folder, ``""`` for the project itself.
    importers: dict[str, Importer]
    entries: dict[str, Entry]
    #: Entries of pnpm's own document: what is installed to configure pnpm.
    config: dict[str, Entry]
    digest: str


@functools.lru_cache(maxsize=1)
def read_contents(content: bytes, path: str) -> Contents:
    """The lockfile in ``content``; ``path`` names it in errors. Raises ApphostError.

    The last one read is kept, because a lockfile is parsed and then compared with its manifests.
    """
    reader = _LockReader(path, REMAKE)
    documents = parse_documents(content, path, REMAKE)
    if len(documents) > 2 or not all(isinstance(document, dict) for document in documents):
        raise reader.error("is no lockfile of pnpm, which is one map or two")
    main = documents[-1]
    version = reader.format_version(main)
    importers = reader.importers(main)
    entries = reader.entries(main, version)
    config: dict[str, Entry] = {}
    if len(documents) == 2:
        config = reader.config_entries(documents[0], reader.format_version(documents[0]))
    decides = {key: value for key, value in main.items() if key not in _ASIDE}
    decides["packages"] = _without_notices(reader.table(main, "packages", ""))
    decides["config"] = {key: [entry.details, entry.needs, entry.wants] for key, entry in config.items()}
    text = json.dumps(decides, separators=(",", ":"))
    return Contents(
        version=version,
        head={key: value for key, value in main.items() if key not in ("importers", "packages", "snapshots", *_KINDS)},
        importers=importers,
        entries=entries,
        config=config,
        digest=hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(),
    )


def without_suffix(key: str) -> str:
    """A key without its peers and patches: ``(react@18.3.1)(patch_hash=…)`` at the end."""
    end = len(key)
    while end and key[end - 1] == ")":
        depth = 0
        for position in range(end - 1, -1, -1):
            depth += (key[position] == ")") - (key[position] == "(")
            if not depth:
                break
        if depth:
            break
        end = position
    return key[:end]


def find_key(version: str, name: str, reference: str) -> str | None:
    """The key of the entry that ``reference`` means for ``name``; ``None``: a link to a folder."""
    if reference.startswith("link:"):
        return None
    if version != "9.0":
        # A version alone, maybe with peers, is one of the registry; anything else is the key itself.
        base = without_suffix(reference)
        alone = "/" not in base and not base.startswith("file:")
        return f"/{name}@{reference}" if alone else reference
    if reference.startswith("@"):
        return reference
    # An alias has the real name in front: "ms@2.0.0". In an address or in peers the sign means something else.
    at = reference.find("@")
    others = [place for place in (reference.find(":"), reference.find("(")) if place >= 0]
    return reference if at >= 0 and all(at < place for place in others) else f"{name}@{reference}"


def inside(folder: str, target: str) -> str | None:
    """Where ``target`` leads that is relative to ``folder``, ``""`` for the project; ``None``: out of the project."""
    if target.startswith("/") or "\\" in target or not target.isprintable() or re.match(r"[A-Za-z]:", target):
        return None
    found = posixpath.normpath(posixpath.join(folder, target))
    if found == ".." or found.startswith("../"):
        return None
    return "" if found == "." else found


def _without_notices(packages: dict[str, t.Any]) -> dict[str, t.Any]:
    """``packages`` without what does not decide anything."""
    return {
        key: {name: value for name, value in entry.items() if name not in _ASIDE} if "deprecated" in entry else entry
        for key, entry in packages.items()
        if isinstance(entry, dict)
    }


class _LockReader(ObjectReader):
    """Takes the parts of a lockfile out of its document."""

    def __init__(self, path: str, mend: str) -> None:
        super().__init__(path, mend)
        self._names: set[str] = set()

    def format_version(self, main: dict[str, t.Any]) -> str:
        """The version of the format, if it is one of those that are understood."""
        version = main.get("lockfileVersion")
        if isinstance(version, str) and version in FORMAT_VERSIONS:
            return version
        if version is None:
            raise self.error("has no lockfileVersion")
        shown = str(version)[:40]
        if isinstance(version, (int, float)) or shown.startswith("5."):
            raise self.error(f"has lockfileVersion {shown} (pnpm 7 or older); 6.0 and 9.0 are understood")
        raise self.error(f"has lockfileVersion {shown}; 6.0 and 9.0 are understood")

    def importers(self, main: dict[str, t.Any]) -> dict[str, Importer]:
        """The projects, the one of the lockfile's folder first."""
        tables = {".": main} if "importers" not in main else self.table(main, "importers", "")
        found = {}
        for key in sorted(tables, key=lambda key: key != "."):
            folder = inside("", key)
            if folder is None or (folder != key and key != ".") or "node_modules" in folder.split("/"):
                raise self.error(f'importers["{key[:200]}"] is no folder of the project')
            found[folder] = self._importer(self.table(tables, key, "importers."), f'importers["{key[:200]}"].')
        return found

    def _importer(self, table: dict[str, t.Any], at: str) -> Importer:
        asked: dict[str, dict[str, str]] = {}
        versions: dict[str, str] = {}
        for kind in _KINDS:
            asked[kind] = {}
            for name, locked in self.table(table, kind, at).items():
                self.check_name(name, f"{at}{kind}")
                if not isinstance(locked, dict):
                    raise self.error(f"{at}{kind}.{name} is no object")
                specifier = self.text(locked, "specifier", f"{at}{kind}.{name}.")
                version = self.text(locked, "version", f"{at}{kind}.{name}.")
                if not specifier or not version:
                    raise self.error(f"{at}{kind}.{name} has no specifier and version")
                if name in versions:
                    raise self.error(f"{at}{kind}.{name} is there twice, as another kind of dependency too")
                asked[kind][name] = specifier
                versions[name] = version
        return Importer(
            Requirements(asked["dependencies"], asked["devDependencies"], asked["optionalDependencies"]),
            versions,
            self.table(table, "dependenciesMeta", at),
        )

    def entries(self, main: dict[str, t.Any], version: str) -> dict[str, Entry]:
        """The packages by key."""
        packages = self.table(main, "packages", "")
        if version != "9.0":
            return {key: self._entry_6(key, self.table(packages, key, "packages.")) for key in packages}
        snapshots = self.table(main, "snapshots", "")
        found = {}
        for key in snapshots:
            base = without_suffix(key)
            if not isinstance(packages.get(base), dict):
                raise self.error(f'has no packages["{base[:200]}"], which snapshots["{key[:200]}"] is about')
            found[key] = self._entry_9(key, base, packages[base], self.table(snapshots, key, "snapshots."))
        return found

    def config_entries(self, document: dict[str, t.Any], version: str) -> dict[str, Entry]:
        """The entries that pnpm installs to configure itself; not those that are pnpm itself."""
        known = self.entries(document, version)
        projects = self.table(document, "importers", "")
        todo = [
            find_key(version, name, self.text(locked, "version", "configDependencies.") or "")
            for name, locked in self.table(self.table(projects, ".", "importers."), "configDependencies", "").items()
            if isinstance(locked, dict)
        ]
        found: dict[str, Entry] = {}
        while todo:
            key = todo.pop()
            if key in known and key not in found:
                found[key] = known[key]
                edges = {**known[key].needs, **known[key].wants}
                todo += [find_key(version, name, reference) for name, reference in edges.items()]
        return found

    def _entry_9(self, key: str, base: str, details: dict[str, t.Any], snapshot: dict[str, t.Any]) -> Entry:
        at = f'packages["{base[:200]}"]'
        name, _at, locator = base[1:].partition("@")
        name = base[:1] + name
        self.check_name(name, at)
        if not locator:
            raise self.error(f"{at} names no version")
        version = locator if _VERSION.fullmatch(locator) else self.text(details, "version", f"{at}.")
        return self._entry(key, name, version, locator, details, snapshot)

    def _entry_6(self, key: str, details: dict[str, t.Any]) -> Entry:
        at = f'packages["{key[:200]}"]'
        base = without_suffix(key)
        if base.startswith("/"):
            name, _at, locator = base[2:].partition("@")
            name = base[1:2] + name
            version: str | None = locator
        else:
            name, version, locator = self.text(details, "name", f"{at}.") or "", None, base
        version = self.text(details, "version", f"{at}.") or version
        self.check_name(name, at)
        return self._entry(key, name, version, locator, details, details)

    def _entry(
        self, key: str, name: str, version: str | None, locator: str, details: dict[str, t.Any], edges: dict[str, t.Any]
    ) -> Entry:
        at = f'the package "{key[:200]}": '
        if version is not None and not _VERSION.fullmatch(version):
            raise self.error(f"{at}{version[:100]} is no version")
        needs = self.strings(edges, "dependencies", at)
        wants = self.strings(edges, "optionalDependencies", at)
        for alias in (*needs, *wants):
            self.check_name(alias, at)
        return Entry(key, name, version, locator, details, needs, wants)

    def check_name(self, name: str, at: str) -> None:
        """Refuse what is no package's name: it becomes a folder."""
        if name in self._names:
            return
        try:
            fine = package_name(f"node_modules/{name}") == name
        except ValueError:
            fine = False
        if not fine:
            raise self.error(f"{at} {name[:200]!r} is no name of a package")
        self._names.add(name)
