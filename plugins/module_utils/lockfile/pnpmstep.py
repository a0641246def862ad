# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a ``pnpm-lock.yaml`` was made for these manifests and settings, as pnpm judges when it must not change it.

In doubt it was: pnpm itself judges again when it installs, and its versions differ.
"""

from __future__ import annotations

import dataclasses
import re
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import Problem
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.instep import differences
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Lockfile, Manifest, Requirements
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pnpmlock import (
    Contents,
    Importer,
    find_key,
    inside,
    read_contents,
    without_suffix,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pnpmworkspace import WORKSPACE_FILE, settings_of
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.ranges import satisfies

#: What stands between the parent and the package in an override's name: "a>b", but not in "a@>=1" and "a@1 || >2".
_BELOW = re.compile(r"(?<=[^ |@])>")

#: Settings that the lockfile only has when they are not these.
_WHEN_NOT_RECORDED = {"dedupePeers": False, "injectWorkspacePackages": False, "peersSuffixMaxLength": 1000}

Table = t.Mapping[str, t.Any]


def in_step(lockfile: Lockfile, manifests: t.Mapping[str, Manifest]) -> list[Problem]:
    """Why ``pnpm install --frozen-lockfile`` would refuse these manifests (by project folder); empty: it would not.

    Projects of the lockfile whose folders are not there do not matter, unless one that is there links to them. Not seen
    is a change in a patch, or in ``packageExtensions``, which the lockfile only has a checksum of.
    """
    contents = read_contents(lockfile.content, lockfile.path)
    own = manifests.get("")
    found = [
        _problems(lockfile, manifests, contents, _Rules(contents, own, package_json))
        for package_json in _may_look_at_package_json(own)
    ]
    return min(found, key=len)


def _may_look_at_package_json(own: Manifest | None) -> tuple[bool, ...]:
    """Whether pnpm takes settings from package.json: up to version 10, and later ones may have left them there."""
    wanted = own.deciding.get("packageManager") if own else None
    match = re.match(r"pnpm@(\d+)\.", wanted) if isinstance(wanted, str) else None
    return (int(match[1]) <= 10,) if match else (True, False)


def _problems(
    lockfile: Lockfile, manifests: t.Mapping[str, Manifest], contents: Contents, rules: _Rules
) -> list[Problem]:
    """The same, by the settings in ``rules``."""
    # pnpm does not miss a project that asks for nothing.
    known = {folder: lockfile.projects.get(folder, Requirements()) for folder in manifests}
    comparable = {
        folder: dataclasses.replace(manifest, requirements=rules.comparable(manifest, contents.importers.get(folder)))
        for folder, manifest in manifests.items()
    }
    problems = differences(dataclasses.replace(lockfile, projects=known), comparable)
    for folder, manifest in manifests.items():
        if folder in contents.importers:
            problems += rules.of_importer(lockfile.name, folder, manifest, contents.importers[folder], manifests)
    return problems + rules.of_settings(lockfile.name)


class _Rules:
    """How pnpm changes what manifests ask for before it compares, by the settings of the project."""

    def __init__(self, contents: Contents, own: Manifest | None, package_json: bool) -> None:
        self.contents = contents
        self.settings = settings_of(own, package_json)
        recorded = contents.head.get("settings")
        self.recorded: Table = recorded if isinstance(recorded, dict) else {}
        self.overrides = _overrides(own, self.settings, package_json)
        self.overridden: dict[str, set[str]] = {}
        for selector, wanted in [*_strings(contents.head.get("overrides")).items(), *self.overrides.items()]:
            self.overridden.setdefault(_name_of(_BELOW.split(selector)[-1]), set()).add(wanted)
        # A program that the project fetches may change any setting.
        self.programmed = bool(self.settings.get("configDependencies"))

    def comparable(self, manifest: Manifest, importer: Importer | None) -> Requirements:
        """What a manifest asks for, as it would be recorded."""
        asked = manifest.requirements
        locked = importer.asked if importer else Requirements()
        ignored = _Matcher(self.settings.get("ignoredOptionalDependencies"))
        optional = {name: wanted for name, wanted in asked.optional.items() if not ignored.matches(name)}
        needed = {name: wanted for name, wanted in asked.dependencies.items() if not ignored.matches(name)}
        dev = {name: wanted for name, wanted in asked.dev.items() if name not in needed and name not in optional}
        # Not recorded: it is not known whether they were.
        for name, wanted in asked.peer.items() if self.recorded.get("autoInstallPeers") is not False else ():
            expected = self.recorded.get("autoInstallPeers") or name in locked.dependencies
            if expected and not (name in needed or name in optional or name in dev):
                needed[name] = wanted
        for name, wanted in self._extensions(manifest).items():
            if name not in needed and locked.dependencies.get(name) == wanted:
                needed[name] = wanted
        kinds = ((needed, locked.dependencies), (optional, locked.optional), (dev, locked.dev))
        return Requirements(*(self._adapted(wanted, made_for) for wanted, made_for in (kinds[0], kinds[2], kinds[1])))

    def _adapted(self, asked: Table, locked: Table) -> dict[str, str]:
        """A kind's requirements with overrides, and with what is spelt differently but means the same."""
        found = {}
        for name, wanted in asked.items():
            made_for = locked.get(name)
            overrides = self.overridden.get(name, set())
            if made_for is None and ("-" in overrides or self._is_unrecorded_link(wanted)):
                continue
            same = made_for in overrides or (made_for is not None and _plain(made_for) == _plain(wanted))
            found[name] = made_for if same and made_for is not None else wanted
        return found

    def _is_unrecorded_link(self, wanted: str) -> bool:
        return self.recorded.get("excludeLinksFromLockfile") is True and wanted.startswith(("link:", "workspace:"))

    def _extensions(self, manifest: Manifest) -> dict[str, str]:
        """What ``packageExtensions`` give the project itself."""
        extensions = self.settings.get("packageExtensions")
        found: dict[str, str] = {}
        for selector, extension in extensions.items() if isinstance(extensions, dict) else ():
            if _name_of(selector) == manifest.name and isinstance(extension, dict):
                found.update(_strings(extension.get("dependencies")))
        return found

    def of_importer(
        self, lockfile: str, folder: str, manifest: Manifest, importer: Importer, manifests: t.Container[str]
    ) -> list[Problem]:
        """What is wrong between a project and its part of the lockfile, besides what it asks for."""
        file = f"{folder}/package.json" if folder else "package.json"
        meta = manifest.deciding.get("dependenciesMeta") or {}
        problems = []
        if meta != importer.meta:
            problems.append(Problem(f"{file} has other dependenciesMeta than {lockfile} was made for"))
        for kind in (importer.asked.dependencies, importer.asked.optional):
            for name, wanted in kind.items():
                reference = importer.versions[name]
                if reference.startswith("link:"):
                    target = inside(folder, reference[len("link:") :])
                    if target in self.contents.importers and target not in manifests:
                        what = f"{file} asks {name}, whose folder {target} is not there"
                        problems.append(Problem(what, "Bring all workspaces along that others ask for."))
                elif _is_beside(without_suffix(reference), self._range_of(name, wanted)) or (
                    _is_stranger(self.contents.version, name, reference, self._range_of(name, wanted))
                ):
                    what = f"{lockfile} has {name} {reference[:100]} for {file}, which asks {wanted}"
                    problems.append(Problem(what))
        return problems

    def _range_of(self, name: str, wanted: str) -> str:
        """The range that is meant, from the catalog if need be."""
        if not wanted.startswith("catalog:"):
            return wanted
        entry = _entry(self.contents.head.get("catalogs"), wanted[len("catalog:") :].strip() or "default", name)
        return str(entry.get("specifier", "")) if isinstance(entry, dict) else ""

    def of_settings(self, lockfile: str) -> list[Problem]:
        """Settings that are not those that the lockfile was made with."""
        if self.programmed:
            return []
        head = self.contents.head
        made_with = _strings(head.get("overrides"))
        problems = [
            Problem(f"{lockfile} was made with other overrides ({name}: {made_with.get(name, 'none')})")
            for name in sorted({*made_with, *self.overrides})
            if made_with.get(name) != self.overrides.get(name)
            and not (name in made_with and self.overrides.get(name, "").startswith(("$", "catalog:")))
        ]
        ignored = sorted(map(str, head.get("ignoredOptionalDependencies") or []))
        # pnpm 8 does not record them.
        are_recorded = ignored or self.contents.version == "9.0"
        if are_recorded and ignored != sorted(map(str, self.settings.get("ignoredOptionalDependencies") or [])):
            problems.append(Problem(f"{lockfile} was made with other ignoredOptionalDependencies"))
        for name in ("patchedDependencies", "packageExtensions"):
            made = head.get("packageExtensionsChecksum" if name == "packageExtensions" else name)
            now = self.settings.get(name)
            keys = set(made) != set(now) if isinstance(made, dict) and isinstance(now, dict) else False
            if bool(made) != bool(now) or keys:
                problems.append(Problem(f"{lockfile} was made with other {name}"))
        problems += self._of_catalogs(lockfile)
        recorded = {**_WHEN_NOT_RECORDED, **self.recorded} if self.contents.version == "9.0" else self.recorded
        problems += [
            Problem(f"{lockfile} was made with {name}: {str(made).lower()}")
            for name, made in recorded.items()
            if name in self.settings and self.settings[name] != made
        ]
        return problems

    def _of_catalogs(self, lockfile: str) -> list[Problem]:
        recorded = self.contents.head.get("catalogs")
        now = {"default": self.settings.get("catalog"), **_table(self.settings.get("catalogs"))}
        return [
            Problem(
                f"{lockfile} was made with {alias} {entry['specifier']} in the catalog {name},"
                f" {WORKSPACE_FILE} has {_entry(now, name, alias) or 'none'}"
            )
            for name, catalog in _table(recorded).items()
            for alias, entry in _table(catalog).items()
            if isinstance(entry, dict) and "specifier" in entry and entry["specifier"] != _entry(now, name, alias)
        ]


class _Matcher:
    """Names and patterns with ``*``; ``!`` in front takes a name out."""

    def __init__(self, patterns: t.Any) -> None:
        listed = patterns if isinstance(patterns, list) else []
        self.patterns = [pattern for pattern in listed if isinstance(pattern, str)]

    def matches(self, name: str) -> bool:
        """Whether the last pattern that fits takes the name in."""
        found = False
        for pattern in self.patterns:
            plain = pattern.lstrip("!")
            if _fits(plain, name):
                found = plain == pattern
        return found


def _fits(pattern: str, name: str) -> bool:
    first, *others = pattern.split("*")
    if not others:
        return name == first
    end = len(name) - len(others[-1])
    if not name.startswith(first) or not name.endswith(others[-1]):
        return False
    position = len(first)
    for part in others[:-1]:
        position = name.find(part, position)
        if position < 0:
            return False
        position += len(part)
    return position <= end


def _overrides(own: Manifest | None, settings: Table, package_json: bool) -> dict[str, str]:
    """The overrides of the project: those of pnpm, and as far as these do not say otherwise ``resolutions``."""
    found = _strings(own.deciding.get("resolutions")) if own and package_json else {}
    found.update(_strings(settings.get("overrides")))
    asked = own.requirements if own else Requirements()
    direct = {**asked.dev, **asked.optional, **asked.dependencies}
    # "$name" is what the project itself asks for.
    return {
        selector: direct.get(wanted[1:], wanted) if wanted.startswith("$") else wanted
        for selector, wanted in found.items()
    }


def _name_of(selector: str) -> str:
    """``@a/b`` of ``@a/b@^1``."""
    return selector[:1] + selector[1:].partition("@")[0]


def _is_beside(version: str, wanted: str) -> bool:
    """Whether a locked version is not in the range that was asked for. Pre-releases are not judged."""
    return "-" not in version and "-" not in wanted and satisfies(version, wanted) is False


def _is_stranger(version: str, name: str, reference: str, wanted: str) -> bool:
    """Whether another package stands in for one that nobody wants under an alias; pnpm itself would install it."""
    key = without_suffix(find_key(version, name, reference) or "").removeprefix("/")
    real, at, locked = key.rpartition("@")
    if not at or not locked[:1].isdigit() or real == name:
        return False
    return not (wanted == f"npm:{real}" or wanted.startswith((f"npm:{real}@", "jsr:")))


def _plain(wanted: str) -> str:
    """A range in the one form of two."""
    return f"runtime:{wanted[len('tool:') :]}" if wanted.startswith("tool:") else wanted


def _table(value: t.Any) -> dict[str, t.Any]:
    return value if isinstance(value, dict) else {}


def _entry(tables: t.Any, *names: str) -> t.Any:
    for name in names:
        tables = _table(tables).get(name)
    return tables


def _strings(value: t.Any) -> dict[str, str]:
    """Those entries of a map that are text."""
    return {key: wanted for key, wanted in _table(value).items() if isinstance(wanted, str)}
