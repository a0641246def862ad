# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The entries of a ``yarn.lock`` of yarn 2 and later, and who gets which of them."""

from __future__ import annotations

import functools
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import Problem
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile import descriptors
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.integrity import from_hex
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Manifest, Source
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.packagejson import ObjectReader
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.ranges import satisfies

#: The version of the archives that the hash is of, and SHA-512 in hexadecimal digits.
_CHECKSUM = re.compile(r"(?:([0-9a-z]{1,10})/)?([0-9a-f]{128})")
_OVERRIDE = re.compile(r"(?:((?:@[^/@]+/)?[^/@]+)(?:@([^/]+))?/)?((?:@[^/@]+/)?[^/@]+)(?:@([^/]+))?")

#: Protocols of ranges that are relative to who asks.
_RELATIVE = ("file:", "link:", "portal:", "patch:")


@dataclass(frozen=True)
class Entry:
    """One entry: a package, under all the names it is installed under."""

    locator: str
    #: The locator's name, and what is behind it.
    name: str
    text: str
    reference: descriptors.Reference
    #: Name it is installed under -> the package's path: the locator, or the descriptor of an alias.
    paths: dict[str, str]
    version: str | None
    integrity: str | None
    #: ``os``, ``cpu``, ``libc``.
    conditions: dict[str, tuple[str, ...]]
    #: Name -> range: what it cannot do without (development too, for a workspace), and what it can.
    needs: dict[str, str]
    wants: dict[str, str]
    peers: dict[str, str]


@dataclass(frozen=True)
class _Override:
    """One of the project's ``resolutions``."""

    #: Who asks: name and reference; ``None``: whoever, whichever version.
    asking: str | None
    asking_reference: str | None
    #: What for; ``None``: whatever range.
    name: str
    wanted: str | None
    #: What it gets.
    answer: str


class Entries:
    """The entries of a lockfile, by what was asked for. Raises ApphostError for one that cannot be understood.

    ``cache_key`` is the version of yarn's archives that the lockfile's checksums are of.
    """

    def __init__(self, reader: ObjectReader, value: t.Mapping[str, t.Any], cache_key: str) -> None:
        self.all: list[Entry] = []
        #: Name and range (with its protocol) -> path: of everything, and of what yarn patches by itself.
        self.answers: dict[tuple[str, str], str] = {}
        self.patched: dict[tuple[str, str], str] = {}
        #: Path of a patched package -> path of its original, which is fetched and not installed.
        self.originals: dict[str, str] = {}
        #: The project's folder (``""`` its own) -> its entry.
        self.workspaces: dict[str, Entry] = {}
        self._cache_key = cache_key
        self._locators: set[str] = set()
        self._reader = reader
        for key, entry in value.items():
            if key != "__metadata":
                self._add(key, entry)
        paths = {path for entry in self.all for path in entry.paths.values()}
        self.originals = {path: original for path, original in self.originals.items() if original in paths}

    @functools.cached_property
    def by_name(self) -> dict[str, list[str]]:
        """Paths of what is installed under a name."""
        originals = {*self.originals.values()}
        found: dict[str, list[str]] = {}
        for entry in self.all:
            for name, path in entry.paths.items():
                if path not in originals:
                    found.setdefault(name, []).append(path)
        return found

    def _add(self, key: str, value: t.Any) -> None:
        called = f'"{key[:200]}"'
        if not isinstance(value, dict):
            raise self._reader.error(f"{called} is no object")
        at = f"{called}."
        locator = self._reader.text(value, "resolution", at)
        if not locator:
            raise self._reader.error(f"{called} has no resolution")
        try:
            entry = self._entry(key, locator, value, at)
        except ValueError as error:
            raise self._reader.error(f"{called} {error}") from error
        if locator in self._locators:
            raise self._reader.error(f"{called} is not the only entry for {locator[:200]}")
        self._locators.add(locator)
        self.all.append(entry)
        if entry.reference.source == Source.WORKSPACE:
            folder = entry.reference.resolved or ""
            if folder in self.workspaces:
                raise self._reader.error(f"{called} is a second workspace in the folder {folder or '.'}")
            self.workspaces[folder] = entry
        if entry.reference.patched:
            self.originals.update(dict.fromkeys(entry.paths.values(), entry.reference.patched))

    def _entry(self, key: str, locator: str, value: dict[str, t.Any], at: str) -> Entry:
        name, text = descriptors.split(locator)
        reference = descriptors.reference(locator)
        version = self._reader.text(value, "version", at)
        if reference.version is not None and reference.version != version:
            raise ValueError(f"is of version {version} and resolved to {locator[:200]}")
        paths: dict[str, str] = {}
        for descriptor in key.split(","):
            self._answer(descriptor.strip(), name, locator, paths)
        checksum = self._reader.text(value, "checksum", at)
        match = _CHECKSUM.fullmatch(checksum or "")
        if checksum and not match:
            raise ValueError(f"has a checksum that is no SHA-512: {checksum[:40]}")
        metas = self._reader.table(value, "dependenciesMeta", at)
        optional = {other for other, meta in metas.items() if isinstance(meta, dict) and meta.get("optional") == "true"}
        asked = self._reader.strings(value, "dependencies", at)
        return Entry(
            locator=locator,
            name=name,
            text=text,
            reference=reference,
            paths=paths,
            version=version,
            # Yarn does not look at a checksum of another version, it puts its own in the place.
            integrity=from_hex("sha512", match[2]) if match and match[1] in (None, self._cache_key) else None,
            conditions=descriptors.conditions(self._reader.text(value, "conditions", at)),
            needs={other: wanted for other, wanted in asked.items() if other not in optional},
            wants={other: wanted for other, wanted in asked.items() if other in optional},
            peers=self._reader.strings(value, "peerDependencies", at),
        )

    def _answer(self, descriptor: str, name: str, locator: str, paths: dict[str, str]) -> None:
        """Take one of the descriptors of the entry of ``locator``, whose name is ``name``."""
        known, wanted = descriptors.split(descriptor)
        wanted = descriptors.with_protocol(wanted)
        if known != name and descriptors.alias_of(wanted) != name:
            # Yarn would install the one under the name of the other.
            raise ValueError(f"is resolved to another package, {locator[:200]}")
        if (known, wanted) in self.answers:
            raise ValueError(f"is not the only one for {descriptor[:200]}")
        path = paths.setdefault(known, locator if known == name else descriptor)
        self.answers[known, wanted] = path
        inner = descriptors.builtin_patch_of(wanted)
        if inner is not None:
            self.patched[known, inner] = path


class Graph:
    """Who gets which entry: ``version`` is the lockfile's, ``project`` the manifest of the project itself."""

    def __init__(self, entries: Entries, version: int, project: Manifest | None) -> None:
        self.entries = entries
        # Up to yarn 3 a resolution is for a range as it is written; then npm: in front makes no difference.
        self._as_compared = descriptors.with_protocol if version > 6 else str
        self._overrides = _overrides(project, self._as_compared)

    def found(self, entry: Entry, asked: t.Mapping[str, str]) -> tuple[list[str], list[str]]:
        """Paths of what an entry gets for what it asks for, and those that may be meant by a range in a catalog.

        What the lockfile lacks is left out, and the project itself.
        """
        root = self.entries.workspaces.get("")
        sure: list[str] = []
        maybe: list[str] = []
        for name, wanted in asked.items():
            path = self.find(entry, name, wanted)
            candidates = [path] if path else self._of_catalog(name, wanted)
            if root is not None and candidates == [root.locator]:
                continue
            (sure if len(candidates) == 1 else maybe).extend(candidates)
        return sure, maybe

    def find(self, entry: Entry, name: str, wanted: str) -> str | None:
        """The path of what an entry gets that asks for this; ``None``: the lockfile lacks it, or it is in a catalog."""
        wanted, asking = self._overridden(entry, name, wanted)
        wanted = descriptors.with_protocol(wanted)
        path = self.entries.patched.get((name, wanted)) or self.entries.answers.get((name, wanted))
        if path is None and wanted.startswith(_RELATIVE):
            path = self.entries.answers.get((name, descriptors.bound(wanted, asking)))
        return path

    def problems(self, lockfile: str) -> t.Iterator[Problem]:
        """What yarn would have to resolve anew: what the file ``lockfile`` lacks, and what is not in its range."""
        for entry in self.entries.all:
            who = entry.locator if entry.reference.source == Source.WORKSPACE else f"{entry.name}@{entry.version}"
            for name, wanted in (*entry.needs.items(), *entry.wants.items()):
                if self.find(entry, name, wanted) is None and not self._of_catalog(name, wanted):
                    plain = descriptors.without_protocol(wanted)
                    yield Problem(f"{lockfile} has no entry for {name}@{plain}, which {who} needs")
        versions = {path: entry.version for entry in self.entries.all for path in entry.paths.values()}
        for (name, wanted), path in self.entries.answers.items():
            version = versions[path]
            plain = wanted[len("npm:") :].rpartition("@")[2]
            # Ranges are compared without pre-releases.
            if (
                wanted.startswith("npm:")
                and version
                and "-" not in version + plain
                and satisfies(version, plain) is False
            ):
                asked = descriptors.without_protocol(wanted)
                yield Problem(f"{lockfile} has {version} for {name}@{asked}, which is not in that range")

    def _of_catalog(self, name: str, wanted: str) -> list[str]:
        """Paths of what a range in a catalog may mean. The catalogs are not in the lockfile."""
        if not wanted.startswith("catalog:"):
            return []
        return self.entries.by_name.get(name, [])

    def _overridden(self, entry: Entry, name: str, wanted: str) -> tuple[str, str]:
        """The range that the project puts in the place of this one, and the locator it is relative to."""
        for override in self._overrides:
            if (
                override.name == name
                and override.wanted in (None, self._as_compared(wanted))
                and override.asking in (None, entry.name)
                and override.asking_reference in (None, entry.text)
            ):
                root = self.entries.workspaces.get("")
                return override.answer, root.locator if root else ""
        return wanted, entry.locator


def _overrides(project: Manifest | None, as_compared: t.Callable[[str], str]) -> list[_Override]:
    """The project's ``resolutions``; what yarn passes over is left out."""
    table = project.deciding.get("resolutions") if project else None
    found = []
    for key, answer in table.items() if isinstance(table, dict) else ():
        match = _OVERRIDE.fullmatch(key)
        if match and isinstance(answer, str):
            asking, reference, name, wanted = match.groups()
            found.append(
                _Override(
                    asking=asking,
                    asking_reference=as_compared(reference) if reference else None,
                    name=name,
                    wanted=as_compared(wanted) if wanted else None,
                    answer=answer,
                )
            )
    return found
