# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Node.js comes from. Each source puts one version into a folder, verified before anything is unpacked."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, field

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.checksum import Checksum, read_shasums
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.download import Downloader, NotFound
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.unpack import unpack
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.versions import nearest

# `uname -m` -> the name that nodejs.org and the npm packages use.
ARCHITECTURES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}


def architecture(machine: str) -> str:
    """Node.js' word for this machine; :class:`ApphostError` when there are no builds for it."""
    try:
        return ARCHITECTURES[machine]
    except KeyError:
        raise ApphostError(
            f"there are no Node.js builds for this machine's architecture, {machine}",
            do=f"Supported: {', '.join(ARCHITECTURES)}. The provider distro may have one.",
        ) from None


@dataclass(frozen=True)
class Wanted:
    """One version to have.

    ``npm`` is exact, or None for whatever comes along. ``checksums`` are pins by ``x64``, ``arm64``, ``npm``.
    """

    version: str
    npm: str | None = None
    checksums: t.Mapping[str, Checksum] = field(default_factory=dict)


@dataclass(frozen=True)
class Origin:
    """What was fetched: its address and what proves that it is the right thing."""

    source: str
    checksum: str


class Source(t.Protocol):
    """A provider."""

    name: str
    brings_npm: bool

    def check(self, wanted: t.Sequence[Wanted]) -> None:
        """:class:`ApphostError` for what can be seen to be impossible without asking anybody."""

    def fetch(self, wanted: Wanted, scratch: str, tree: str) -> Origin:
        """Make the folder ``tree`` with ``bin/node`` in it; ``scratch`` is for temporary files."""


class ArchiveSource:
    """The layout of nodejs.org/dist, on any mirror: ``v<version>/SHASUMS256.txt`` and the archives beside it."""

    name = "archive"
    brings_npm = True
    # The first that the mirror has: xz is half as large as gzip.
    _FORMATS = ("tar.xz", "tar.gz")

    def __init__(self, download: Downloader, mirror: str, arch: str) -> None:
        self.download = download
        self.mirror = mirror.rstrip("/")
        self.arch = arch

    def check(self, wanted: t.Sequence[Wanted]) -> None:
        """Nothing can be seen from here."""

    def fetch(self, wanted: Wanted, scratch: str, tree: str) -> Origin:
        folder = f"{self.mirror}/v{wanted.version}"
        names = [f"node-v{wanted.version}-linux-{self.arch}.{form}" for form in self._FORMATS]
        archive = os.path.join(scratch, "archive")
        for name, checksum in self._candidates(wanted, folder, names):
            try:
                self.download.file(f"{folder}/{name}", archive, checksum)
            except NotFound:
                continue
            unpack(archive, tree)
            os.unlink(archive)
            return Origin(f"{folder}/{name}", str(checksum))
        raise self._missing(wanted)

    def _candidates(self, wanted: Wanted, folder: str, names: list[str]) -> list[tuple[str, Checksum]]:
        """What to try in turn. A pin needs no list from the mirror: whichever file is there must match it."""
        pin = wanted.checksums.get(self.arch)
        if pin:
            return [(name, pin) for name in names]
        shasums = f"{folder}/SHASUMS256.txt"
        try:
            listed = read_shasums(self.download.text(shasums), shasums)
        except NotFound:
            return []
        return [(name, listed[name]) for name in names if name in listed]

    def _missing(self, wanted: Wanted) -> ApphostError:
        try:
            index = self.download.json(f"{self.mirror}/index.json")
            existing = [str(entry["version"]).lstrip("v") for entry in index]
        except (ApphostError, KeyError, TypeError):
            existing = []
        return _no_such("Node.js", wanted.version, self.mirror, existing, f"linux-{self.arch}")


class NpmRegistry:
    """Packages of an npm registry, by their conventional address ``<registry>/<name>/-/<name>-<version>.tgz``."""

    def __init__(self, download: Downloader, registry: str | None) -> None:
        self.download = download
        self.registry = registry.rstrip("/") if registry else None

    def require(self, what_for: str) -> str:
        """The address; :class:`ApphostError` when nobody gave one."""
        if not self.registry:
            raise ApphostError(
                f"the address of an npm registry is needed for {what_for}",
                do="Set apphost_npm_registry (or nodejs_npm_registry) to what `npm config get registry` says.",
            )
        return self.registry

    def fetch(self, package: str, version: str, pin: Checksum | None, scratch: str, tree: str, title: str) -> Origin:
        """Unpack one version of ``package`` into the new folder ``tree``; ``title`` is how messages call it."""
        registry = self.require(title)
        checksum = pin or self._integrity(registry, package, version, title)
        url = f"{registry}/{package}/-/{package}-{version}.tgz"
        archive = os.path.join(scratch, "package")
        try:
            self.download.file(url, archive, checksum)
        except NotFound as error:
            raise self._missing(registry, package, version, title) from error
        unpack(archive, tree)
        os.unlink(archive)
        return Origin(url, str(checksum))

    def _integrity(self, registry: str, package: str, version: str, title: str) -> Checksum:
        url = f"{registry}/{package}/{version}"
        try:
            document = _object(self.download.json(url))
        except NotFound as error:
            # Some registries serve no documents of single versions, so ask for all of them before giving up.
            document = _object(self._versions(registry, package).get(version))
            if not document:
                raise self._missing(registry, package, version, title) from error
        integrity = _object(document.get("dist")).get("integrity")
        if not integrity:
            raise ApphostError("the registry gives no integrity for it", url, "Pin its checksum in checksums.")
        return Checksum.parse(str(integrity), url)

    def _versions(self, registry: str, package: str) -> dict[str, t.Any]:
        try:
            return _object(_object(self.download.json(f"{registry}/{package}")).get("versions"))
        except NotFound:
            return {}

    def _missing(self, registry: str, package: str, version: str, title: str) -> ApphostError:
        return _no_such(title, version, registry, list(self._versions(registry, package)), f"package {package}")


class NpmSource:
    """The packages ``node-linux-<arch>``: program, headers and manual, without npm."""

    name = "npm"
    brings_npm = False

    def __init__(self, registry: NpmRegistry, arch: str) -> None:
        self.registry = registry
        self.arch = arch

    def check(self, wanted: t.Sequence[Wanted]) -> None:
        self.registry.require("the provider npm")

    def fetch(self, wanted: Wanted, scratch: str, tree: str) -> Origin:
        pin = wanted.checksums.get(self.arch)
        package = f"node-linux-{self.arch}"
        return self.registry.fetch(package, wanted.version, pin, scratch, tree, "Node.js")


def _object(value: t.Any) -> dict[str, t.Any]:
    """A JSON object as it is; anything else, which no registry should send there, as an empty one."""
    return value if isinstance(value, dict) else {}


def _no_such(title: str, version: str, place: str, existing: list[str], build: str) -> ApphostError:
    if version in existing:
        return ApphostError(f"{title} {version} exists at {place}, but not as {build}")
    near = nearest(version, existing)
    hint = f"; nearest existing: {', '.join(near)}" if near else ""
    return ApphostError(f"{title} {version} does not exist at {place}{hint}")
