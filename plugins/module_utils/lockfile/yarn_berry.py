# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``yarn.lock`` of yarn 2, 3 and 4 as values.

Each entry has the descriptors of everybody who asked for it. The workspaces have entries too, with their own
dependencies; these do not tell development from production, so that comes from the manifests. Checksums are of the
archive that yarn makes of a package, not of the registry's. Optional packages for one platform have none, except in
lockfiles of yarn 2, which in turn do not say what platform a package is for.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import re
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import Problem
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile import descriptors
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.berry_graph import Entries, Entry, Graph
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.instep import differences
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import (
    Format,
    Lockfile,
    Manifest,
    Package,
    Requirements,
    Source,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.packagejson import ObjectReader
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.reach import marked, reached, with_originals
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.yamlfile import parse_mapping

REMAKE = "Run yarn install and commit the lockfile."

#: Yarn 2 writes 4, yarn 3 writes 4 to 6, yarn 4 writes 8 and more.
FORMAT_VERSIONS = range(4, 11)

#: ``10c0``: the version of the archives that yarn makes (7 for yarn 2, 8 for yarn 3, 10 for yarn 4), and how far they
#: are compressed; without a ``c``, that is left to yarn.
_CACHE_KEY = re.compile(r"(7|8|10)(?:c([0-9]))?")

#: What the lockfile has for a workspace or a link.
_NO_VERSION = "0.0.0-use.local"
_RECOGNISED = re.compile(rb"^__metadata:", re.MULTILINE)


def parse_lockfile(content: bytes, path: str, manifests: t.Mapping[str, Manifest]) -> Lockfile:
    """The lockfile of yarn 2 or later in ``content``; ``path`` names it in errors.

    ``manifests`` (by project folder, ``""`` first) say what is for production; without them everything is. Raises
    ApphostError.
    """
    known = _read(content, path)
    graph = Graph(known.entries, known.version, manifests.get(""))
    workspaces = known.entries.workspaces
    packages = _packages(graph, manifests)
    needs: dict[str, None] = {}
    wants: dict[str, None] = {}
    for folder, entry in workspaces.items():
        needed, asked = _production(graph, entry, manifests.get(folder))
        needs.update(dict.fromkeys(needed))
        wants.update(dict.fromkeys(asked))
    # Yarn installs every workspace, asked for or not.
    needs.update({where: None for where, package in packages.items() if package.source == Source.WORKSPACE})
    wanted = tuple(where for where in wants if where not in needs)
    return Lockfile(
        path=path,
        name=os.path.basename(path),
        content=content,
        manager="yarn",
        format=str(known.version),
        sha256=hashlib.sha256(content).hexdigest(),
        digest=known.digest,
        projects={folder: _requirements(entry, manifests.get(folder)) for folder, entry in workspaces.items()},
        needs=tuple(needs),
        wants=wanted,
        packages=_marked(graph, packages, tuple(needs), wanted),
    )


def in_step(lockfile: Lockfile, manifests: t.Mapping[str, Manifest]) -> list[Problem]:
    """What ``yarn install --immutable`` would have to change for these manifests (by project folder); empty: nothing.

    Not seen are entries that nobody asks for any more, which are not installed, and a change of a catalog or of
    ``packageExtensions``, which are in ``.yarnrc.yml``.
    """
    comparable = {
        folder: dataclasses.replace(manifest, requirements=_comparable(manifest))
        for folder, manifest in manifests.items()
    }
    known = _read(lockfile.content, lockfile.path)
    graph = Graph(known.entries, known.version, manifests.get(""))
    return differences(lockfile, comparable) or [*graph.problems(lockfile.name)]


@dataclasses.dataclass(frozen=True)
class _Known:
    """What the file says by itself."""

    version: int
    cache_key: str
    compression_level: str
    entries: Entries
    digest: str


def compression_level(lockfile: Lockfile) -> str:
    """The setting ``compressionLevel`` that the lockfile's checksums are for.

    With any other, yarn does not compare what it fetched with the checksums, and says nothing.
    """
    return _read(lockfile.content, lockfile.path).compression_level


def strays(before: Lockfile, after: Lockfile) -> list[Problem]:
    """How the lockfile that an installation left differs in content from the one it was to keep to; empty: not at all.

    ``after`` may have fewer entries. What yarn resolved anew is named, and what it fetched without comparing it.
    """
    if _read(before.content, before.path).cache_key != _read(after.content, after.path).cache_key:
        return [
            Problem("yarn did not compare what it fetched with the lockfile's checksums: they are of another version")
        ]
    problems = []
    for path, package in after.packages.items():
        kept = before.packages.get(path)
        if package.source == Source.WORKSPACE:
            continue
        if kept is None:
            problems.append(Problem(f"yarn took {package.spec}, which {before.name} does not have"))
        elif (kept.version, kept.resolved, kept.integrity) != (package.version, package.resolved, package.integrity):
            problems.append(Problem(f"yarn took another content for {package.spec} than {before.name} has"))
    return problems


@functools.lru_cache(maxsize=2)
def _read(content: bytes, path: str) -> _Known:
    """The file; kept, because a lockfile is parsed and then compared with its manifests."""
    value = parse_mapping(content, path, REMAKE, strings=True)
    reader = ObjectReader(path, REMAKE)
    metadata = reader.table(value, "__metadata", "")
    version = reader.text(metadata, "version", "__metadata.")
    if version is None or version not in map(str, FORMAT_VERSIONS):
        known = f"{FORMAT_VERSIONS[0]} to {FORMAT_VERSIONS[-1]} are understood"
        raise reader.error(f"is of version {str(version)[:40]}; {known}")
    cache_key = reader.text(metadata, "cacheKey", "__metadata.") or ""
    match = _CACHE_KEY.fullmatch(cache_key)
    if match is None:
        raise reader.error(f"has checksums that no yarn compares (cacheKey {cache_key[:40] or 'missing'})")
    return _Known(
        version=int(version),
        cache_key=cache_key,
        compression_level=match[2] or "mixed",
        entries=Entries(reader, value, cache_key),
        digest=hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest(),
    )


def _packages(graph: Graph, manifests: t.Mapping[str, Manifest]) -> dict[str, Package]:
    """The packages by path; the project itself is none."""
    packages = {}
    for entry in graph.entries.all:
        folder = entry.reference.resolved if entry.reference.source == Source.WORKSPACE else None
        if folder == "":
            continue
        manifest = manifests.get(folder) if folder else None
        needs, wants = _production(graph, entry, manifest)
        version = manifest.version if manifest else None if entry.version == _NO_VERSION else entry.version
        for name, path in entry.paths.items():
            packages[path] = Package(
                path=path,
                name=name,
                version=version,
                real_name=entry.reference.name if entry.reference.name != name else None,
                source=entry.reference.source,
                resolved=entry.reference.resolved,
                integrity=entry.integrity,
                os=entry.conditions.get("os", ()),
                cpu=entry.conditions.get("cpu", ()),
                libc=entry.conditions.get("libc", ()),
                needs=tuple(needs),
                wants=tuple(wants),
            )
    return packages


def _production(graph: Graph, entry: Entry, manifest: Manifest | None) -> tuple[list[str], list[str]]:
    """Paths of what an entry cannot do without, and of what it can; of a workspace, without development."""
    needs, wants = entry.needs, entry.wants
    if manifest is not None:
        asked = manifest.requirements
        needs = {name: wanted for name, wanted in needs.items() if name in asked.dependencies or name not in asked.dev}
        wants = {name: wanted for name, wanted in wants.items() if name in asked.optional or name not in asked.dev}
    needed, maybe_needed = graph.found(entry, needs)
    wanted, maybe_wanted = graph.found(entry, wants)
    # What a catalog means is not sure when there are several.
    return needed, [*maybe_needed, *wanted, *maybe_wanted]


def _marked(
    graph: Graph, packages: dict[str, Package], needs: t.Sequence[str], wants: t.Sequence[str]
) -> dict[str, Package]:
    """The packages with ``dev`` and ``optional``."""
    workspaces = graph.entries.workspaces.values()
    roots = [path for entry in workspaces for paths in _production(graph, entry, None) for path in paths]
    known = reached(packages, (*needs, *roots), with_originals(graph.entries.originals))
    return {
        path: package
        # What nobody asks for may be there because of packageExtensions, which yarn has for some packages by itself.
        if path in known
        else dataclasses.replace(package, dev=False, optional=True)
        for path, package in marked(packages, needs, wants, graph.entries.originals).items()
    }


def _requirements(entry: Entry, manifest: Manifest | None) -> Requirements:
    """What a workspace's entry was made for, in the words of its manifest."""
    dev = manifest.requirements.dev if manifest else {}
    asked = {name: _plain(wanted) for name, wanted in (*entry.needs.items(), *entry.wants.items())}
    return Requirements(
        dependencies={name: wanted for name, wanted in asked.items() if name not in dev and name in entry.needs},
        dev={name: wanted for name, wanted in asked.items() if name in dev},
        optional={name: wanted for name, wanted in asked.items() if name not in dev and name in entry.wants},
        peer=entry.peers,
    )


def _plain(wanted: str) -> str:
    """A range as people write it, whichever way this one is written."""
    return descriptors.without_protocol(descriptors.with_protocol(wanted))


def _comparable(manifest: Manifest) -> Requirements:
    """What a manifest asks for, as the lockfile records it."""
    asked = manifest.requirements
    metas = manifest.deciding.get("dependenciesMeta")
    optional = {
        name
        for name, meta in (metas.items() if isinstance(metas, dict) else ())
        if isinstance(meta, dict) and meta.get("optional") is True
    }

    def plain(ranges: t.Mapping[str, str]) -> dict[str, str]:
        """Of a name that is for development too, the lockfile has that range."""
        return {name: _plain(wanted) for name, wanted in ranges.items() if ranges is asked.dev or name not in asked.dev}

    dependencies = plain(asked.dependencies)
    return Requirements(
        dependencies={name: wanted for name, wanted in dependencies.items() if name not in optional},
        dev=plain(asked.dev),
        optional={
            **{name: wanted for name, wanted in dependencies.items() if name in optional},
            **plain(asked.optional),
        },
        peer=asked.peer,
    )


FORMAT = Format(
    manager="yarn",
    names=("yarn.lock",),
    parse=parse_lockfile,
    in_step=in_step,
    ecosystem="node",
    remake=REMAKE,
    recognises=lambda content: _RECOGNISED.search(content) is not None,
)
