# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The software bill of materials of what a lockfile installs: CycloneDX 1.6, as a value for JSON.

The same packages give the same document: its serial number is made from its content, and it has no time unless one is
given. A package that is in several places of a tree is one component.
"""

from __future__ import annotations

import hashlib
import json
import re
import typing as t
import urllib.parse
import uuid
from dataclasses import asdict, dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile import addresses
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.integrity import strong_hashes
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Lockfile, Package, Source
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.policy import PYTHON

SCHEMA = "http://cyclonedx.org/schema/bom-1.6.schema.json"
VERSION = "1.6"

_ALGORITHMS = {"sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512"}
_LICENSE_ID = r"[A-Za-z0-9][A-Za-z0-9.+-]*"
_LICENSE_EXPRESSION = re.compile(rf"\(*{_LICENSE_ID}\)*( (AND|OR|WITH) \(*{_LICENSE_ID}\)*)*")


@dataclass(frozen=True)
class Platform:
    """What runs the application. ``purl`` and ``cpe`` are what scanners look up vulnerabilities by."""

    name: str
    version: str
    purl: str
    cpe: str


def bill_of_materials(
    lockfile: Lockfile | None,
    packages: t.Mapping[str, Package],
    name: str,
    version: str | None = None,
    timestamp: str | None = None,
    platform: Platform | None = None,
) -> dict[str, t.Any]:
    """The document for an application called ``name`` with ``packages`` (entries of ``lockfile``, by path) installed.

    Without a ``lockfile`` it has none. ``timestamp`` is a time as RFC 3339 has it. The result is ready for JSON.
    """
    said = _Document(lockfile, packages).parts() if lockfile else _Parts()
    application = {"type": "application", "bom-ref": "application", "name": name}
    if version:
        application["version"] = version
    runs = [{"type": "platform", "bom-ref": platform.purl, **asdict(platform)}] if platform else []
    body = {
        "metadata": {
            **({"timestamp": timestamp} if timestamp else {}),
            "tools": {"components": [{"type": "application", "group": "evenkeel", "name": "apphost"}]},
            "component": application,
            **({"properties": said.properties} if said.properties else {}),
        },
        "components": [*runs, *said.components],
        "dependencies": [
            {"ref": "application", "dependsOn": [*said.direct]},
            *({"ref": component["bom-ref"], "dependsOn": []} for component in runs),
            *said.dependencies,
        ],
    }
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()
    return {
        "$schema": SCHEMA,
        "bomFormat": "CycloneDX",
        "specVersion": VERSION,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, digest)}",
        "version": 1,
        **body,
    }


def package_url(package: Package, python: bool = False) -> str | None:
    """The package URL (purl) of a package; ``None`` for one that is in no registry or repository, but a local file.

    A name and a version of those alone would be taken for the public package of that name.
    """
    qualifiers = ""
    if package.source in (Source.FILE, Source.LINK, Source.WORKSPACE):
        return None
    if package.source == Source.GIT and package.resolved:
        place, _mark, commit = addresses.shown(package.resolved).partition("#")
        place = place if addresses.parse(place) else f"git+https://{place}"
        qualifiers = f"?vcs_url={urllib.parse.quote(f'{place}@{commit}' if commit else place, safe=':/')}"
    elif package.source == Source.ADDRESS and package.resolved:
        qualifiers = f"?download_url={urllib.parse.quote(addresses.shown(package.resolved), safe=':/')}"
    version = f"@{urllib.parse.quote(package.version, safe='')}" if package.version else ""
    if python:
        return f"pkg:pypi/{urllib.parse.quote(addresses.normal(package.known_as), safe='')}{version}{qualifiers}"
    path = "/".join(urllib.parse.quote(part, safe="") for part in package.known_as.split("/"))
    return f"pkg:npm/{path}{version}{qualifiers}"


class _Parts(t.NamedTuple):
    """What a document says of packages; without a lockfile, nothing."""

    #: Where all this is from.
    properties: t.Sequence[dict[str, str]] = ()
    components: t.Sequence[dict[str, t.Any]] = ()
    #: References of what the application depends on by itself.
    direct: t.Sequence[str] = ()
    dependencies: t.Sequence[dict[str, t.Any]] = ()


class _Document:
    """The components of one document, and how they depend on each other."""

    def __init__(self, lockfile: Lockfile, packages: t.Mapping[str, Package]) -> None:
        self.python = lockfile.manager in PYTHON
        # The checksums of yarn 2 and later are those of its own archives, which nobody else has.
        self.has_hashes = lockfile.manager != "yarn" or lockfile.format == "1"
        self.lockfile = lockfile
        # Of a link and the folder that it leads to, the link is what others depend on.
        self.packages = {
            path: package
            for path, package in packages.items()
            if package.source != Source.WORKSPACE and not _is_folder(package)
        }
        self.refs: dict[str, str] = {}
        self.places: dict[str, list[str]] = {}
        seen: dict[str, str | None] = {}
        for path in sorted(self.packages):
            package = self._described(path)
            ref = package_url(package, self.python) or f"{package.spec}#{path}"
            # The same name and version with another content is another component.
            if seen.setdefault(ref, package.integrity) != package.integrity:
                ref = f"{ref}#{path}"
            self.refs[path] = ref
            self.places.setdefault(ref, []).append(path)

    def _described(self, path: str) -> Package:
        """The entry that says what is at ``path``: for a link, the one of its folder."""
        package = self.packages[path]
        folder = self.lockfile.packages.get(package.resolved or "") if package.source == Source.LINK else None
        return folder or package

    def parts(self) -> _Parts:
        """All there is to say."""
        properties = [
            {"name": "evenkeel:lockfile:manager", "value": self.lockfile.manager},
            {"name": "evenkeel:lockfile:sha256", "value": self.lockfile.sha256},
        ]
        return _Parts(properties, self.components(), self.refs_of(self.lockfile.direct), self.dependencies())

    def components(self) -> list[dict[str, t.Any]]:
        """All of them, by their reference."""
        return [self._component(ref, paths) for ref, paths in sorted(self.places.items())]

    def _component(self, ref: str, paths: list[str]) -> dict[str, t.Any]:
        package = self._described(paths[0])
        scope, _slash, name = package.known_as.rpartition("/")
        purl = package_url(package, self.python)
        optional = all(self.packages[path].optional or self.packages[path].dev_optional for path in paths)
        hashes = self._hashes(package)
        component: dict[str, t.Any] = {"type": "library", "bom-ref": ref}
        if scope:
            component["group"] = scope
        component["name"] = name
        if package.version:
            component["version"] = package.version
        component["scope"] = "optional" if optional else "required"
        if hashes:
            component["hashes"] = hashes
        if package.license:
            component["licenses"] = [_license(package.license)]
        if purl:
            component["purl"] = purl
        if package.source == Source.REGISTRY and addresses.is_web(package.resolved or ""):
            urls = [addresses.shown(address) for address in (package.resolved or "").split()]
            component["externalReferences"] = [{"type": "distribution", "url": url} for url in urls]
        if self.lockfile.manager == "npm":
            # Registered for this by the makers of CycloneDX.
            component["properties"] = [{"name": "cdx:npm:package:path", "value": path} for path in paths]
            if all(self.packages[path].source == Source.BUNDLED for path in paths):
                component["properties"].append({"name": "cdx:npm:package:bundled", "value": "true"})
        return component

    def _hashes(self, package: Package) -> list[dict[str, str]]:
        hashes = strong_hashes(package.integrity) if self.has_hashes else []
        algorithms = [algorithm for algorithm, _digest in hashes]
        # Several of one kind belong to several files, of which one is installed.
        return [
            {"alg": _ALGORITHMS[algorithm], "content": digest.hex()}
            for algorithm, digest in sorted(hashes)
            if algorithms.count(algorithm) == 1
        ]

    def refs_of(self, paths: t.Iterable[str]) -> list[str]:
        """The references of the packages at ``paths`` that are there; workspaces are not, they are the application."""
        return sorted({self.refs[path] for path in paths if path in self.refs})

    def dependencies(self) -> list[dict[str, t.Any]]:
        """What each component depends on."""
        found: dict[str, set[str]] = {ref: set() for ref in self.places}
        for path, ref in self.refs.items():
            package = self._described(path)
            found[ref].update(self.refs_of((*package.needs, *package.wants)))
        return [{"ref": ref, "dependsOn": sorted(found[ref] - {ref})} for ref in sorted(found)]


def _is_folder(package: Package) -> bool:
    return package.source == Source.LINK and package.path == package.resolved


def _license(text: str) -> dict[str, t.Any]:
    """A license as CycloneDX has it: an SPDX expression, or any other words as a name."""
    if _LICENSE_EXPRESSION.fullmatch(text) and text != "UNLICENSED" and text.count("(") == text.count(")"):
        return {"expression": text}
    return {"license": {"name": text}}
