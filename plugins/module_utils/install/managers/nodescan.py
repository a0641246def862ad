# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packages are in folders called ``node_modules``, by their own words."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.jsonfile import parse_object, read_regular_file

MODULES = "node_modules"

#: Scripts that a package manager runs when it installs a package.
LIFECYCLE = ("preinstall", "install", "postinstall")


@dataclass(frozen=True)
class Found:
    """A folder that is a package."""

    folder: str
    #: The name it is installed under.
    name: str
    #: What its package.json says.
    own_name: str | None
    version: str | None
    has_scripts: bool
    #: It brings packages in its own archive.
    bundles: bool


def scan(project: str, places: t.Iterable[str]) -> dict[str, Found]:
    """The packages in ``places`` (folders called node_modules, relative to ``project``), by folder; links are left out.

    Raises ApphostError for a folder there that is no package. Inside a package anything may be.
    """
    found: dict[str, Found] = {}
    tops = [place for place in places if os.path.isdir(os.path.join(project, place))]
    todo = [*tops]
    while todo:
        place = todo.pop()
        for name in _names(os.path.join(project, place)):
            folder = f"{place}/{name}"
            package = read_package(project, folder, name)
            if package is None:
                if place in tops:
                    # Something else is in node_modules, or a package was not unpacked completely.
                    do = "Run again; when it stays so, take it out of the project."
                    raise ApphostError("is no package: it has no readable package.json", folder, do)
                continue
            found[folder] = package
            below = f"{folder}/{MODULES}"
            if os.path.isdir(os.path.join(project, below)):
                todo.append(below)
    return found


def _names(place: str) -> t.Iterator[str]:
    with os.scandir(place) as entries:
        for entry in entries:
            if entry.name[0] != "." and entry.is_dir(follow_symlinks=False):
                if entry.name[0] == "@":
                    yield from (f"{entry.name}/{name}" for name in _names(entry.path))
                else:
                    yield entry.name


def read_package(project: str, folder: str, name: str) -> Found | None:
    """The package in ``folder``; ``None`` when there is none."""
    path = os.path.join(project, folder, "package.json")
    try:
        value = parse_object(read_regular_file(path) or b"", path, "")
    except ApphostError:
        return None
    scripts = value.get("scripts")
    has_scripts = isinstance(scripts, dict) and any(scripts.get(stage) for stage in LIFECYCLE)
    version, own_name = value.get("version"), value.get("name")
    return Found(
        folder=folder,
        name=name,
        own_name=own_name if isinstance(own_name, str) else None,
        version=version if isinstance(version, str) else None,
        # Without a script of its own, this file alone makes a package manager compile.
        has_scripts=has_scripts or os.path.lexists(os.path.join(project, folder, "binding.gyp")),
        bundles=bool(value.get("bundleDependencies") or value.get("bundledDependencies")),
    )
