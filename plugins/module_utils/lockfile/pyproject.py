# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``pyproject.toml`` as a value: the manifest of uv, and what it asks for in comparable form."""

from __future__ import annotations

import posixpath
import typing as t
import urllib.parse
from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Manifest, Requirements
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.packagejson import ObjectReader
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pep440 import parse_conditions
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pep508 import (
    Marker,
    Requirement,
    is_name,
    normal_name,
    parse_marker,
    parse_requirement,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.tomlfile import parse_table

NAME = "pyproject.toml"
MEND = "Mend the file."

#: Keys of ``[project]`` that decide what is installed.
PROJECT_KEYS = ("requires-python", "dependencies", "optional-dependencies", "dynamic")
#: Settings of uv that do not: how it is published, shown, cached.
OTHER_SETTINGS = ("publish-url", "check-url", "trusted-publishing", "preview", "cache-keys", "pip", "build-backend")

#: Ends of the names of archives; another path is a folder.
ARCHIVES = (".whl", ".zip", ".tar.gz", ".tgz", ".tar", ".tar.bz2", ".tbz", ".tar.xz", ".txz", ".tar.zst", ".tar.lzma")

#: Where a requirement is taken from: kind and address. ``("", "")`` is the default registry.
Origin = tuple[str, ...]


@dataclass(frozen=True)
class Ask:
    """One requirement, from one origin."""

    requirement: Requirement
    origin: Origin = ("", "")

    @property
    def key(self) -> tuple[t.Any, ...]:
        """Equal for what differs in its marker only."""
        asked = self.requirement
        return asked.name, asked.extras, frozenset(condition.key for condition in asked.conditions), self.origin

    def __str__(self) -> str:
        """For people: ``requests[socks]>=2 from git https://…``."""
        asked = self.requirement
        extras = f"[{','.join(sorted(asked.extras))}]" if asked.extras else ""
        origin = f" from {' '.join(part for part in self.origin if part)}" if any(self.origin) else ""
        return f"{asked.name}{extras}{specifier(asked)}{origin}"


def specifier(requirement: Requirement) -> str:
    """``>=3,<4``, sorted; empty: any version."""
    return ",".join(sorted(map(str, requirement.conditions), reverse=True))


def parse_manifest(content: bytes, path: str) -> Manifest:
    """The ``pyproject.toml`` in ``content``; ``path`` names it in errors. Raises ApphostError."""
    value = parse_table(content, path, MEND)
    reader = ObjectReader(path, MEND)
    project = reader.table(value, "project", "")
    settings = reader.table(reader.table(value, "tool", ""), "uv", "tool.")
    workspace = reader.table(settings, "workspace", "tool.uv.")
    deciding = {
        "project": {key: project[key] for key in PROJECT_KEYS if project.get(key)},
        "dependency-groups": reader.table(value, "dependency-groups", ""),
        "build-system": reader.table(value, "build-system", ""),
        "uv": {key: settings[key] for key in settings if key not in OTHER_SETTINGS},
    }
    name = reader.text(project, "name", "project.")
    bare = Manifest(path, name, None, Requirements(), {key: part for key, part in deciding.items() if part})
    own = Project(bare)
    return Manifest(
        path=path,
        name=name,
        version=reader.text(project, "version", "project."),
        requirements=Requirements(
            dependencies=_by_name(own.dependencies()),
            dev=_by_name([asked for group in own.groups().values() for asked in group]),
        ),
        deciding=bare.deciding,
        workspaces=(
            *reader.names(workspace, "members", "tool.uv.workspace."),
            *(f"!{pattern}" for pattern in reader.names(workspace, "exclude", "tool.uv.workspace.")),
        ),
    )


def _by_name(requirements: t.Iterable[Requirement]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for asked in requirements:
        marker = f"; {asked.marker}" if asked.marker else ""
        found.setdefault(asked.name, []).append((asked.address or specifier(asked) or "*") + marker)
    return {name: " | ".join(dict.fromkeys(texts)) for name, texts in found.items()}


class Project:
    """Reads what a ``pyproject.toml`` asks for. Every method raises ApphostError for what is not understood."""

    def __init__(self, manifest: Manifest) -> None:
        self.reader = ObjectReader(manifest.path, MEND)
        self.project = manifest.deciding.get("project", {})
        self.settings = manifest.deciding.get("uv", {})
        self._groups = manifest.deciding.get("dependency-groups", {})

    def is_dynamic(self, *keys: str) -> bool:
        """Whether the build backend tells one of these, so that the file does not."""
        return any(key in self.reader.names(self.project, "dynamic", "project.") for key in keys)

    def requires_python(self) -> str | None:
        """The versions of Python it is for."""
        return self.reader.text(self.project, "requires-python", "project.")

    def dependencies(self) -> list[Requirement]:
        """What production needs."""
        return self._requirements(self.project.get("dependencies"), "project.dependencies")

    def extras(self) -> dict[str, list[Requirement]]:
        """What may be chosen in addition, by normalised name."""
        table = self.reader.table(self.project, "optional-dependencies", "project.")
        return {
            self._name(name): self._requirements(listed, f"project.optional-dependencies.{name[:100]}")
            for name, listed in table.items()
        }

    def groups(self) -> dict[str, list[Requirement]]:
        """What is for development, by normalised name of the group, with what a group includes."""
        groups = {self._name(name): (name, listed) for name, listed in self._groups.items()}
        versions = self.reader.table(self.settings, "dependency-groups", "tool.uv.")
        done: dict[str, list[Requirement]] = {}

        def flat(name: str, above: tuple[str, ...]) -> list[Requirement]:
            if name not in groups or name in above:
                problem = "is not there" if name not in groups else "includes itself"
                raise self.reader.error(f"the dependency group {name[:100]} {problem}")
            if name not in done:
                written, listed = groups[name]
                at = f"dependency-groups.{written[:100]}"
                found = []
                for item in listed if isinstance(listed, list) else [listed]:
                    included = item.get("include-group") if isinstance(item, dict) else None
                    if isinstance(included, str) and len(above) < 50:
                        found += flat(normal_name(included), (*above, name))
                    else:
                        found += self._requirements([item], at)
                done[name] = [_also(asked, self._group_marker(versions, name)) for asked in found]
            return done[name]

        flattened = {name: flat(name, ()) for name in groups}
        old = self._requirements(self.settings.get("dev-dependencies"), "tool.uv.dev-dependencies")
        if old:
            flattened["dev"] = [*flattened.get("dev", []), *old]
        return flattened

    def _name(self, name: str) -> str:
        """The normalised name of an extra or a group."""
        if not is_name(name):
            raise self.reader.error(f"{name[:100]!r} is no name of an extra or a group")
        return normal_name(name)

    def _group_marker(self, versions: dict[str, t.Any], group: str) -> Marker | None:
        for name, table in versions.items():
            if normal_name(name) == group and isinstance(table, dict):
                at = f"tool.uv.dependency-groups.{name[:100]}."
                try:
                    return python_marker(self.reader.text(table, "requires-python", at))
                except ValueError as error:
                    raise self.reader.error(f"{at}requires-python: {error}") from error
        return None

    def listed(self, key: str) -> list[Requirement]:
        """A list of requirements among uv's settings (``constraint-dependencies``)."""
        return self._requirements(self.settings.get(key), f"tool.uv.{key}")

    def _requirements(self, listed: t.Any, at: str) -> list[Requirement]:
        if listed is None:
            return []
        if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
            raise self.reader.error(f"{at} is no list of requirements")
        try:
            return [parse_requirement(item) for item in listed]
        except ValueError as error:
            raise self.reader.error(f"{at}: {error}") from error


def python_marker(versions: str | None) -> Marker | None:
    """``>=3.12,<4`` as a marker. Raises ``ValueError``."""
    conditions = parse_conditions(versions or "")
    parts = (
        Marker(found.operator, (), "python_full_version", str(found)[len(found.operator) :], found)
        for found in conditions
    )
    return Marker("and", tuple(parts)) if conditions else None


def _also(asked: Requirement, marker: Marker | None) -> Requirement:
    return Requirement(asked.name, asked.extras, asked.conditions, asked.address, both(asked.marker, marker))


def both(one: Marker | None, other: Marker | None) -> Marker | None:
    """A marker that holds where both do; ``None`` holds everywhere."""
    if one is None or other is None:
        return one or other
    return Marker("and", (one, other))


class Origins:
    """Where uv takes what a project asks for: ``[tool.uv.sources]`` of the project, else of the one above it."""

    def __init__(self, folder: str, manifests: t.Mapping[str, Manifest]) -> None:
        self.folder = folder
        self.reader = ObjectReader(manifests[folder].path, MEND)
        #: Names of the workspace's projects -> their folders.
        self.members = {normal_name(found.name): where for where, found in manifests.items() if found.name}
        self.sources: dict[str, tuple[str, t.Any]] = {}
        self.indexes: dict[str, str] = {}
        for where in dict.fromkeys(("", folder)):
            settings = manifests[where].deciding.get("uv", {})
            for name, source in self.reader.table(settings, "sources", "tool.uv.").items():
                self.sources[normal_name(name)] = (where, source)
            for index in settings.get("index") or []:
                if isinstance(index, dict) and isinstance(index.get("name"), str) and isinstance(index.get("url"), str):
                    self.indexes[index["name"]] = index["url"]

    def asks(self, asked: Requirement, extra: str | None = None, group: str | None = None) -> list[Ask]:
        """The requirement once for each origin it is taken from; in an extra or a group when these are named."""
        requirement = _also(asked, Marker("==", variable="extra", text=extra) if extra else None)
        if asked.address:
            return [Ask(requirement, direct_origin(asked.address, self.folder))]
        where, sources = self.sources.get(asked.name, ("", []))
        found = []
        rest: list[Marker] = []
        for source in sources if isinstance(sources, list) else [sources]:
            if not isinstance(source, dict):
                raise self.reader.error(f"tool.uv.sources.{asked.name} is no table")
            if (source.get("extra"), source.get("group")) not in ((None, None), (extra, None), (None, group)):
                continue
            marker = self._marker(source, asked.name)
            found.append(Ask(_also(requirement, marker), self._origin(source, where, asked.name)))
            if marker is None:
                return found
            rest.append(marker)
        if not found:
            return [Ask(requirement)]
        # Where none of the sources applies, the default registry does.
        return [*found, Ask(_also(requirement, Marker("not", (Marker("or", tuple(rest)),))))]

    def _marker(self, source: dict[str, t.Any], name: str) -> Marker | None:
        marker = self.reader.text(source, "marker", f"tool.uv.sources.{name}.")
        try:
            return parse_marker(marker) if marker else None
        except ValueError as error:
            raise self.reader.error(f"tool.uv.sources.{name}: {error}") from error

    def _origin(self, source: dict[str, t.Any], where: str, name: str) -> Origin:
        at = f"tool.uv.sources.{name}."
        if source.get("workspace") is True:
            return ("folder", self.members.get(name, "?") or ".")
        for kind in ("git", "url", "path", "index"):
            address = self.reader.text(source, kind, at)
            if address is None:
                continue
            if kind == "path":
                return local_origin(where, address)
            if kind == "index":
                return registry_origin(self.indexes.get(address, address))
            query = {key: source[key] for key in ("subdirectory", "rev", "tag", "branch") if source.get(key)}
            return git_origin(address, query) if kind == "git" else ("url", address, str(query.get("subdirectory", "")))
        raise self.reader.error(f"{at[:-1]} has no source that is understood")


def direct_origin(address: str, folder: str) -> Origin:
    """What stands behind ``@`` in a requirement, as uv writes it into its lockfile."""
    if address.startswith("git+"):
        parts = urllib.parse.urlsplit(address[4:])
        path, _at, revision = parts.path.rpartition("@") if "@" in parts.path else (parts.path, "", "")
        query = dict(urllib.parse.parse_qsl(parts.fragment))
        if revision:
            query["rev"] = revision
        return git_origin(urllib.parse.urlunsplit((parts.scheme, parts.netloc, path, "", "")), query)
    if address.startswith("file:"):
        return local_origin(folder, urllib.parse.unquote(urllib.parse.urlsplit(address).path))
    plain, _hash, fragment = address.partition("#")
    return ("url", plain, dict(urllib.parse.parse_qsl(fragment)).get("subdirectory", ""))


def git_origin(address: str, query: t.Mapping[str, t.Any]) -> Origin:
    """A repository, and what of it."""
    wanted = [f"{key}={query[key]}" for key in sorted(query) if key in ("subdirectory", "rev", "tag", "branch")]
    return ("git", address.split("?")[0].rstrip("/"), *wanted)


def registry_origin(address: str) -> Origin:
    """A registry of its own; credentials in its address do not count (uv does not lock them)."""
    parts = urllib.parse.urlsplit(address)
    netloc = parts.netloc.rpartition("@")[2]
    return ("index", urllib.parse.urlunsplit((parts.scheme, netloc, parts.path.rstrip("/"), parts.query, "")))


def local_origin(folder: str, path: str) -> Origin:
    """An archive or a folder at ``path``, which is relative to the project in ``folder``."""
    kind = "file" if path.lower().endswith(ARCHIVES) else "folder"
    return (kind, posixpath.normpath(posixpath.join(folder, path)))


def project_file(folder: str) -> str:
    """The manifest of the project in ``folder``, for people."""
    return f"{folder}/{NAME}" if folder else NAME
