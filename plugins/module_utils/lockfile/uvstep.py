# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a uv.lock was made for the ``pyproject.toml`` files that are there now.

Compared is what uv compares (``uv lock --check``) as far as the files say it: the projects of the workspace, what each
asks for and from where, extras, groups, constraints, versions of Python, the resolver's settings. Not compared are a
project's own version (a release with another one installs the same tree), what a build backend tells (``dynamic``),
and settings that may come from uv.toml or the environment.
"""

from __future__ import annotations

import posixpath
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import Problem
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.environments import same
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Lockfile, Manifest
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.packagejson import ObjectReader
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pep440 import Condition, parse_conditions
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pep508 import (
    Marker,
    Requirement,
    is_name,
    normal_name,
    parse_marker,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pyproject import (
    Ask,
    Origin,
    Origins,
    Project,
    git_origin,
    project_file,
    python_marker,
    registry_origin,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.uvlock import REMAKE, UvLock

#: ``[manifest]`` in the lockfile -> the setting of the workspace that it was taken from.
LISTS = {
    "constraints": "constraint-dependencies",
    "overrides": "override-dependencies",
    "build-constraints": "build-constraint-dependencies",
}
#: ``[options]`` in the lockfile -> the setting, and its default, which is not locked.
OPTIONS = {
    "resolution-mode": ("resolution", "highest"),
    "prerelease-mode": ("prerelease", "if-necessary-or-explicit"),
    "fork-strategy": ("fork-strategy", "requires-python"),
}


def in_step(lockfile: Lockfile, manifests: t.Mapping[str, Manifest]) -> list[Problem]:
    """Problems in words; none: the lockfile was made for these manifests. Raises ApphostError for odd values."""
    if not isinstance(lockfile, UvLock):
        raise TypeError("a lockfile of uv is needed")
    return _Comparison(lockfile, manifests).problems()


class _Comparison:
    def __init__(self, lockfile: UvLock, manifests: t.Mapping[str, Manifest]) -> None:
        self.lockfile = lockfile
        self.manifests = manifests
        self.reader = ObjectReader(lockfile.path, REMAKE)
        self.pythons: tuple[Condition, ...] = parse_conditions(lockfile.requires_python or "")

    def problems(self) -> list[Problem]:
        found = [*self._members(), *self._pythons()]
        for folder, manifest in self.manifests.items():
            if folder in self.lockfile.entries:
                found += self._project(folder, Project(manifest), self.lockfile.entries[folder])
        return [*found, *self._workspace(Project(self.manifests[""]))]

    def _members(self) -> list[Problem]:
        name = self.lockfile.name
        asked = {where: normal_name(found.name) for where, found in self.manifests.items() if found.name}
        locked = {where: entry["name"] for where, entry in self.lockfile.entries.items()}
        problems = []
        for folder in sorted({*asked, *locked}):
            file = project_file(folder)
            if folder not in locked:
                problems.append(Problem(f"{name} was made without the project of {file}"))
            elif folder not in asked:
                problems.append(
                    Problem(f"{name} was made for a project {locked[folder]} in {folder or '.'}, which is not there")
                )
            elif asked[folder] != locked[folder]:
                problems.append(
                    Problem(f"{file} is the project {asked[folder]}, {name} was made for {locked[folder]} there")
                )
        return problems

    def _pythons(self) -> list[Problem]:
        wanted = [Project(manifest).requires_python() for manifest in self.manifests.values()]
        texts = list(dict.fromkeys(text for text in wanted if text))
        # Without a word about it, uv takes the Python that it runs with.
        if not texts or same(python_marker(",".join(texts)), python_marker(self.lockfile.requires_python)):
            return []
        made_for = self.lockfile.requires_python or "any"
        asked = " and ".join(texts)
        return [Problem(f"the project is for Python {asked}, {self.lockfile.name} was made for {made_for}")]

    def _project(self, folder: str, project: Project, entry: dict[str, t.Any]) -> list[Problem]:
        origins = Origins(folder, self.manifests)
        at = f"{entry['name']}.metadata."
        metadata = self.reader.table(entry, "metadata", f"{entry['name']}.")
        file = project_file(folder)
        problems = []
        if not project.is_dynamic("dependencies", "optional-dependencies"):
            asks = [ask for asked in project.dependencies() for ask in origins.asks(asked)]
            extras = project.extras()
            asks += [ask for extra, listed in extras.items() for asked in listed for ask in origins.asks(asked, extra)]
            problems += self._differences(file, "", asks, self._locked(metadata.get("requires-dist", []), at))
            if "provides-extras" in metadata:
                known = {*self._names(self.reader.names(metadata, "provides-extras", at), "an extra")}
                problems += [
                    Problem(f"{file} has an extra {name}, {self.lockfile.name} was made without it")
                    for name in sorted({*extras} - known)
                ]
                problems += [
                    Problem(f"{file} has no extra {name}, {self.lockfile.name} was made for it")
                    for name in sorted(known - {*extras})
                ]
        locked = self.reader.table(metadata, "requires-dev", at)
        return [*problems, *self._groups(file, project, origins, locked)]

    def _groups(self, file: str, project: Project, origins: Origins, locked: dict[str, t.Any]) -> list[Problem]:
        groups = project.groups()
        problems = []
        for group in sorted({*groups, *self._names(locked, "a group")}):
            asks = [ask for asked in groups.get(group, []) for ask in origins.asks(asked, group=group)]
            made_for = self._locked(locked.get(group, []), f"group {group}.")
            problems += self._differences(file, f" in the group {group}", asks, made_for)
        return problems

    def _workspace(self, project: Project) -> list[Problem]:
        """What the workspace as a whole was locked with."""
        origins = Origins("", self.manifests)
        file = project_file("")
        problems = []
        for key, setting in LISTS.items():
            asks = [ask for asked in project.listed(setting) for ask in origins.asks(asked)]
            made_for = self._locked(self.lockfile.manifest.get(key, []), "manifest.")
            problems += self._differences(file, f" in tool.uv.{setting}", asks, made_for)
        left_out = {normal_name(name) for name in project.reader.names(project.settings, "exclude-dependencies", "uv.")}
        if left_out != {*self.reader.names(self.lockfile.manifest, "excludes", "manifest.")}:
            problems.append(
                Problem(f"{file} has other tool.uv.exclude-dependencies than {self.lockfile.name} was made for")
            )
        if "" not in self.lockfile.entries:
            locked = self.reader.table(self.lockfile.manifest, "dependency-groups", "manifest.")
            problems += self._groups(file, project, origins, locked)
        for key, (setting, default) in OPTIONS.items():
            wanted, made_with = project.settings.get(setting), self.lockfile.options.get(key, default)
            # What the project does not say may come from uv.toml.
            if wanted is not None and wanted != made_with:
                problems.append(
                    Problem(f"{file} has tool.uv.{setting} {wanted}, {self.lockfile.name} was made with {made_with}")
                )
        environments = project.reader.names(project.settings, "environments", "tool.uv.")
        if not same(self._any(environments), self._any(self.lockfile.environments), self.pythons):
            problems.append(Problem(f"{file} has other tool.uv.environments than {self.lockfile.name} was made for"))
        return problems

    def _names(self, names: t.Iterable[str], what: str) -> list[str]:
        """Names out of the lockfile, which are going to be shown."""
        for name in names:
            if not is_name(name):
                raise self.reader.error(f"{name[:100]!r} is no name of {what}")
        return list(names)

    def _any(self, markers: t.Sequence[str]) -> Marker | None:
        return Marker("or", tuple(self._marker(marker) for marker in markers)) if markers else None

    def _marker(self, text: str) -> Marker:
        try:
            return parse_marker(text)
        except ValueError as error:
            raise self.reader.error(str(error)) from error

    def _locked(self, listed: t.Any, at: str) -> list[Ask]:
        if not isinstance(listed, list) or not all(isinstance(asked, dict) for asked in listed):
            raise self.reader.error(f"{at[:-1]} has no list of requirements")
        return [self._ask(asked, at) for asked in listed]

    def _ask(self, asked: dict[str, t.Any], at: str) -> Ask:
        """A requirement as the lockfile has it."""
        marker = self.reader.text(asked, "marker", at)
        try:
            conditions = parse_conditions(self.reader.text(asked, "specifier", at) or "")
        except ValueError as error:
            raise self.reader.error(f"{at[:-1]}: {error}") from error
        requirement = Requirement(
            name=self._names([self.reader.text(asked, "name", at) or ""], "a package")[0],
            extras=frozenset(self._names(self.reader.names(asked, "extras", at), "an extra")),
            conditions=conditions,
            marker=self._marker(marker) if marker else None,
        )
        return Ask(requirement, self._origin(asked, at))

    def _origin(self, asked: dict[str, t.Any], at: str) -> Origin:
        for key in ("index", "git", "url", "path", "directory", "editable", "virtual"):
            address = self.reader.text(asked, key, at)
            if address is None:
                continue
            if key == "index":
                return registry_origin(address)
            if key == "git":
                query = address.partition("?")[2].partition("#")[0]
                return git_origin(address, dict(part.partition("=")[::2] for part in query.split("&") if part))
            if key == "url":
                return ("url", address, self.reader.text(asked, "subdirectory", at) or "")
            return ("file" if key == "path" else "folder", posixpath.normpath(address))
        return ("", "")

    def _differences(self, file: str, where: str, asked: t.Sequence[Ask], locked: t.Sequence[Ask]) -> list[Problem]:
        """What is asked for, and the lockfile was not made for; and the other way round."""
        wanted, made_for = _by_key(asked), _by_key(locked)
        never = Marker("or")
        names = {
            key[0]
            for key in {*wanted, *made_for}
            if not same(wanted.get(key, never), made_for.get(key, never), self.pythons)
        }
        return [self._difference(file, where, _texts(asked, name), _texts(locked, name)) for name in sorted(names)]

    def _difference(self, file: str, where: str, asked: str, locked: str) -> Problem:
        if not asked:
            return Problem(f"{file} does not ask for {locked}{where}, {self.lockfile.name} was made for it")
        if not locked:
            return Problem(f"{file} asks for {asked}{where}, {self.lockfile.name} was made without it")
        return Problem(f"{file} asks for {asked}{where}, {self.lockfile.name} was made for {locked}")


def _by_key(asks: t.Iterable[Ask]) -> dict[t.Any, Marker | None]:
    """The markers under which each thing is asked for."""
    found: dict[t.Any, Marker | None] = {}
    for ask in asks:
        marker = ask.requirement.marker
        if ask.key in found:
            before = found[ask.key]
            marker = Marker("or", (before, marker)) if before and marker else None
        found[ask.key] = marker
    return found


def _texts(asks: t.Iterable[Ask], name: str) -> str:
    found = []
    for ask in asks:
        if ask.requirement.name == name:
            marker = ask.requirement.marker
            found.append(f"{ask}; {marker}" if marker else str(ask))
    return " and ".join(found)
