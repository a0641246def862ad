# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lockfile and a manifest say, whichever package manager wrote them. Plain values, no files, no decisions."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import Problem


@dataclass(frozen=True)
class Requirements:
    """What a project asks for by itself: package name -> version range, by kind.

    A name in ``optional`` is never in ``dependencies`` too (npm counts it as optional then).
    """

    dependencies: dict[str, str] = field(default_factory=dict)
    dev: dict[str, str] = field(default_factory=dict)
    optional: dict[str, str] = field(default_factory=dict)
    peer: dict[str, str] = field(default_factory=dict)

    def by_kind(self) -> dict[str, dict[str, str]]:
        """The four maps under the names they have in ``package.json``."""
        return {
            "dependencies": self.dependencies,
            "devDependencies": self.dev,
            "optionalDependencies": self.optional,
            "peerDependencies": self.peer,
        }

    @property
    def production(self) -> dict[str, str]:
        """What a tree without development dependencies is made for."""
        return {**self.peer, **self.dependencies, **self.optional}


@dataclass(frozen=True)
class Manifest:
    """A project's own description (``package.json``, ``pyproject.toml``)."""

    path: str
    name: str | None
    version: str | None
    requirements: Requirements
    #: The parts of the file that decide what is installed, as they stand there (identity, scratch manifest).
    deciding: dict[str, t.Any]
    #: Patterns of the folders that are projects too, as they stand there; one with ``!`` in front takes folders out.
    workspaces: tuple[str, ...] = ()


class Source:
    """Where the content of a package comes from."""

    #: A registry, by name and version.
    REGISTRY = "registry"
    #: An archive at a plain address that is not the registry's own for that name.
    ADDRESS = "address"
    GIT = "git"
    #: A local archive.
    FILE = "file"
    #: A folder that is none of the project's workspaces.
    LINK = "link"
    #: A folder of the project.
    WORKSPACE = "workspace"
    #: Another package's archive, and covered by that one's hash.
    BUNDLED = "bundled"


@dataclass(frozen=True)
class Package:
    """One entry of a lockfile."""

    #: Unique in its lockfile. npm: the folder in the tree (``node_modules/a``); others: the lockfile's own key.
    path: str
    #: The name it is installed under; an alias' real name is in ``real_name``.
    name: str
    version: str | None
    real_name: str | None = None
    source: str = Source.REGISTRY
    #: The address as the lockfile has it; ``None``: the manager makes it from the registry, the name and the version.
    resolved: str | None = None
    #: Hashes as in subresource integrity (``sha512-<base64>``), separated by spaces.
    integrity: str | None = None
    #: Reached by development dependencies only.
    dev: bool = False
    #: May be left out.
    optional: bool = False
    #: Needed by a development dependency and by an optional one: stays when only ``dev`` is left out (npm).
    dev_optional: bool = False
    #: As far as the lockfile knows.
    has_install_script: bool = False
    engines: dict[str, str] = field(default_factory=dict)
    os: tuple[str, ...] = ()
    cpu: tuple[str, ...] = ()
    libc: tuple[str, ...] = ()
    #: The environment marker (Python) that decides whether it is installed.
    markers: str | None = None
    #: An SPDX expression, or whatever the package says.
    license: str | None = None
    #: Paths of the packages that it cannot do without, and of those that it can.
    needs: tuple[str, ...] = ()
    wants: tuple[str, ...] = ()

    @property
    def spec(self) -> str:
        """``name@version``, for people."""
        return f"{self.name}@{self.version}" if self.version else self.name

    @property
    def known_as(self) -> str:
        """The name that it has where it comes from."""
        return self.real_name or self.name


@dataclass(frozen=True)
class Lockfile:
    """A lockfile, read and checked for its form (not for what it asks: see ``policy``)."""

    #: Where it was read, its file name, and its bytes.
    path: str
    name: str
    content: bytes
    manager: str
    #: The format's own version (npm: ``lockfileVersion``).
    format: str
    #: SHA-256 of the file.
    sha256: str
    #: SHA-256 of what decides the tree: not the project's own name and version, so a version bump keeps it.
    digest: str
    #: What it was made for, by the project's folder relative to the lockfile (``""``, ``packages/a``); empty when the
    #: format does not say it.
    projects: dict[str, Requirements]
    #: Paths of what the project and its workspaces ask for by themselves, without development: what they cannot do
    #: without, and what they can.
    needs: tuple[str, ...]
    wants: tuple[str, ...]
    #: By path, in the file's order; development packages and workspaces too.
    packages: dict[str, Package]

    @property
    def direct(self) -> frozenset[str]:
        """Paths of what the project and its workspaces ask for by themselves."""
        return frozenset((*self.needs, *self.wants))


@dataclass(frozen=True)
class Format:
    """How one kind of lockfile is read. The modules of the formats each make one; ``formats`` has the table."""

    manager: str
    #: File names.
    names: tuple[str, ...]
    #: Content, path (for errors), and the manifests by their project's folder (``""`` first) -> the lockfile.
    #: Raises ApphostError.
    parse: t.Callable[[bytes, str, t.Mapping[str, Manifest]], Lockfile]
    #: What is wrong; nothing: the lockfile was made for these manifests.
    in_step: t.Callable[[Lockfile, t.Mapping[str, Manifest]], list[Problem]]
    #: ``node`` or ``python``.
    ecosystem: str
    #: What to do about a lockfile that is missing or not in step.
    remake: str
    #: Whether content is of this format, where several share a file name; ``None``: every content is.
    recognises: t.Callable[[bytes], bool] | None = None
    #: A file with patterns of workspaces besides the manifest's own, and how to read them from its content and path.
    workspace_file: str | None = None
    workspace_patterns: t.Callable[[bytes, str], tuple[str, ...]] | None = None
    #: What else is in that file; it becomes part of the project's ``Manifest.deciding``, under the file's name.
    workspace_settings: t.Callable[[bytes, str], dict[str, t.Any]] | None = None
    #: Whether there must be a manifest.
    needs_manifest: bool = True
