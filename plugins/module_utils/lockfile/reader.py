# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find and read the lockfile of an app's folder, and the manifests that it was made for."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass, replace

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.formats import (
    KNOWN,
    MANAGERS,
    MANIFESTS,
    NAMES,
    of,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.jsonfile import read_regular_file
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Format, Lockfile, Manifest
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.policy import Policy, check_policy, joined

#: What the option ``manager`` takes.
CHOICES = ("auto", *MANAGERS, "none")

#: Lockfile -> manager, also of those that are not supported: an app with one of them is not without dependencies.
LOCKFILES = {
    **NAMES,
    "bun.lock": "bun",
    "bun.lockb": "bun",
    "pnpm-lock.yaml": "pnpm",
    "yarn.lock": "yarn",
    "poetry.lock": "poetry",
    "Pipfile.lock": "pipenv",
    "uv.lock": "uv",
}


_DEFAULT = Policy()


@dataclass(frozen=True)
class Project:
    """What an installation is made from, read and checked."""

    folder: str
    format: Format
    lockfile: Lockfile
    #: By the project's folder relative to the lockfile, ``""`` first; empty for a format that has none.
    manifests: dict[str, Manifest]
    #: Paths relative to the folder of all the files that were read: the installation needs them on the host.
    files: tuple[str, ...]

    @property
    def manifest(self) -> Manifest | None:
        """The project's own manifest."""
        return self.manifests.get("")


def read_manifest(folder: str) -> Manifest | None:
    """The manifest of the app in ``folder`` (``package.json``, else ``pyproject.toml``); ``None``: it has none."""
    for kind in MANIFESTS.values():
        path = os.path.join(folder, kind.name)
        content = read_regular_file(path)
        if content is not None:
            return kind.parse(content, path)
    return None


@dataclass(frozen=True)
class Sources:
    """The files that an installation is made from, found; the lockfile is not read yet."""

    folder: str
    format: Format
    name: str
    content: bytes
    manifests: dict[str, Manifest]
    files: tuple[str, ...]

    def lockfile(self) -> Lockfile:
        """Read it. Raises ApphostError."""
        return self.format.parse(self.content, os.path.join(self.folder, self.name), self.manifests)


def checked_project(folder: str, manager: str = "auto", policy: Policy = _DEFAULT) -> Project | None:
    """What to install from, after every check that needs no network; ``None``: the app has nothing to install.

    ``manager`` is ``none``, a package manager, or ``auto``: the one whose lockfile is there.
    Raises ApphostError for a missing or unreadable lockfile, one that is not in step with the manifests, one that
    breaks the policy, and when lockfiles of two managers claim the folder.
    """
    sources = find_sources(folder, manager)
    return check_sources(sources, policy) if sources else None


def find_sources(folder: str, manager: str) -> Sources | None:
    """The first half of ``checked_project``: which lockfile it is, and the manifests that belong to it."""
    if manager == "none":
        return None
    if manager not in CHOICES:
        # The app's dependencies.manager names a manager that is not known.
        raise ApphostError(f"the package manager {manager} is not supported", folder, f"Use: {', '.join(CHOICES)}.")
    found = _find(folder, manager)
    if found is None:
        _nothing_to_install(folder, manager)
        return None
    chosen, name, content = found
    manifests, files = _manifests(folder, chosen)
    return Sources(folder, chosen, name, content, manifests, (*files, name))


def check_sources(sources: Sources, policy: Policy) -> Project:
    """The second half of ``checked_project``: read the lockfile, and judge it."""
    chosen, manifests = sources.format, sources.manifests
    lockfile = sources.lockfile()
    problems = chosen.in_step(lockfile, manifests)
    if problems:
        where = manifests[""].path if manifests else lockfile.path
        raise ApphostError(joined(problems), where, chosen.remake)
    check_policy(lockfile, policy)
    return Project(sources.folder, chosen, lockfile, manifests, sources.files)


def _find(folder: str, manager: str) -> tuple[Format, str, bytes] | None:
    """The lockfile of ``folder``: its format, name and content."""
    names = [name for name in LOCKFILES if os.path.lexists(os.path.join(folder, name))]
    if manager != "auto":
        names = [name for name in names if LOCKFILES[name] == manager]
    read = {name: read_regular_file(os.path.join(folder, name)) or b"" for name in names if name in NAMES}
    formats = {name: of(name, content) for name, content in read.items()}
    if manager == "auto":
        # A file that only has the name of a lockfile (requirements.txt without hashes) counts if there is nothing else:
        # neither a lockfile nor, say, a package.json.
        lockfiles = [name for name in names if name not in NAMES or formats[name]]
        names = lockfiles if lockfiles or _has_other_manifest(folder, names) else names
    if len({LOCKFILES[name] for name in names}) > 1:
        # With manager: auto, only one manager's lockfiles may be there: nothing says which of them is kept up to date.
        what = f"has lockfiles of several package managers: {', '.join(names)}"
        raise ApphostError(what, folder, "Delete those that are not used, or name the manager.")
    if not names:
        return None
    if names[0] not in NAMES:
        # The app has dependencies, of a manager that nothing here can install with.
        manager = LOCKFILES[names[0]]
        what = f"has {names[0]}, and {manager} is not supported"
        do = f"Install with {_alternatives(MANAGERS)}, or set the manager to none."
        raise ApphostError(what, folder, do)
    if len({read[name] for name in names}) > 1:
        # npm up to 11 reads the shrinkwrap, npm 12 the other one: only equal ones say what will be installed.
        raise ApphostError(f"{' and '.join(names)} differ", folder, "Delete one of them.")
    # What no format recognises is given to one all the same, for its words about what is wrong.
    chosen = formats[names[0]] or next(known.load() for known in reversed(KNOWN) if names[0] in known.names)
    return chosen, names[0], read[names[0]]


def _has_other_manifest(folder: str, names: t.Sequence[str]) -> bool:
    """Whether the folder has a manifest of an ecosystem that none of the lockfiles is of."""
    ecosystems = {known.ecosystem for known in KNOWN for name in known.names if name in names}
    others = (kind.name for ecosystem, kind in MANIFESTS.items() if ecosystem not in ecosystems)
    return any(os.path.lexists(os.path.join(folder, name)) for name in others)


def _nothing_to_install(folder: str, manager: str) -> None:
    """Raise ApphostError unless an app without a lockfile is one that has nothing to install."""
    do = "set the manager to none."
    if manager == "auto":
        manifest = read_manifest(folder)
        if manifest is None or not (manifest.requirements.production or manifest.workspaces):
            return
        ecosystems = [known for known, kind in MANIFESTS.items() if kind.name == os.path.basename(manifest.path)]
        names = [name for known in KNOWN if known.ecosystem in ecosystems for name in known.names]
        # The manifest asks for packages, or has workspaces, and nothing nails their versions down.
        what = f"has dependencies, but no lockfile ({', '.join(dict.fromkeys(names))})"
        raise ApphostError(what, folder, f"Make one with your package manager and commit it, or {do}")
    formats = [known.load() for known in KNOWN if known.manager == manager]
    file = MANIFESTS[formats[0].ecosystem].name
    if formats[0].needs_manifest and not os.path.lexists(os.path.join(folder, file)):
        # The manager that is named needs its manifest.
        raise ApphostError(f"has no {file}", folder, f"Add it, or {do}")
    names = [name for known in formats for name in known.names]
    # The manager is named, and its lockfile is not there.
    remake = formats[0].remake.rstrip(".")
    raise ApphostError(f"has no {_alternatives(list(dict.fromkeys(names)))}", folder, f"{remake}, or {do}")


def _alternatives(words: t.Sequence[str]) -> str:
    """``a, b or c``."""
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _manifests(folder: str, chosen: Format) -> tuple[dict[str, Manifest], list[str]]:
    """The manifests of the project and its workspaces by folder, and the names of the files that were read for it."""
    kind = MANIFESTS.get(chosen.ecosystem)
    files: list[str] = []

    def read(name: str) -> bytes | None:
        content = read_regular_file(os.path.join(folder, name))
        if content is not None:
            files.append(name)
        return content

    content = read(kind.name) if kind else None
    if kind is None or content is None:
        if chosen.needs_manifest:
            # There is a lockfile, but not the manifest that it was made for.
            name = kind.name if kind else "manifest"
            raise ApphostError(f"has no {name}", folder, "Add it, or set the manager to none.")
        return {}, files
    own = kind.parse(content, os.path.join(folder, kind.name))
    patterns = own.workspaces
    if chosen.workspace_file and chosen.workspace_patterns:
        listed = read(chosen.workspace_file)
        # Where the manager has a file of its own for them, it does not look at the manifest's.
        path = os.path.join(folder, chosen.workspace_file)
        patterns = chosen.workspace_patterns(listed, path) if listed is not None else ()
        if listed is not None and chosen.workspace_settings:
            settings = chosen.workspace_settings(listed, path)
            own = replace(own, deciding={**own.deciding, chosen.workspace_file: settings})
    manifests = {"": own}
    for workspace in _workspaces(folder, patterns, kind.name):
        content = read(f"{workspace}/{kind.name}")
        if content is not None:
            manifests[workspace] = kind.parse(content, os.path.join(folder, workspace, kind.name))
    return manifests, files


def _workspaces(folder: str, patterns: tuple[str, ...], manifest: str) -> list[str]:
    if not patterns:
        return []
    from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.workspaces import find

    return find(folder, patterns, manifest)
