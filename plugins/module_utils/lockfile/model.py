# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lockfile and a manifest say, whichever package manager wrote them. Plain values, no files, no decisions."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field


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
    """A project's own description (``package.json``)."""

    path: str
    name: str | None
    version: str | None
    requirements: Requirements
    #: The parts of the file that decide what is installed, as they stand there (identity, scratch manifest).
    deciding: dict[str, t.Any]


@dataclass(frozen=True)
class Package:
    """One entry of a lockfile: one folder of the installed tree."""

    #: Relative to the project: ``node_modules/a/node_modules/@scope/b``.
    path: str
    #: The name it is installed under; an alias' real name is in ``real_name``.
    name: str
    version: str | None
    real_name: str | None = None
    resolved: str | None = None
    integrity: str | None = None
    dev: bool = False
    optional: bool = False
    #: Needed by a development dependency and by an optional one: stays when only ``dev`` is left out.
    dev_optional: bool = False
    peer: bool = False
    #: A symbolic link to a folder of the project (workspace, ``file:``).
    link: bool = False
    #: Comes inside another package's archive and is covered by that one's hash.
    in_bundle: bool = False
    has_install_script: bool = False
    engines: dict[str, str] = field(default_factory=dict)
    os: tuple[str, ...] = ()
    cpu: tuple[str, ...] = ()
    libc: tuple[str, ...] = ()
    #: Names of the packages it looks up: what it needs, what it can do without.
    needs: tuple[str, ...] = ()
    wants: tuple[str, ...] = ()

    @property
    def spec(self) -> str:
        """``name@version``, for people."""
        return f"{self.name}@{self.version}" if self.version else self.name


@dataclass(frozen=True)
class Lockfile:
    """A lockfile, read and checked for its form (not for what it asks: see ``policy``)."""

    #: Where it was read, its file name, and its bytes.
    path: str
    name: str
    content: bytes
    manager: str
    #: The format's own version (``lockfileVersion``).
    format: int
    #: SHA-256 of the file.
    sha256: str
    #: SHA-256 of what decides the tree: not the project's own name and version, so a version bump keeps it.
    digest: str
    requirements: Requirements
    #: By path, in the file's order.
    packages: dict[str, Package]
