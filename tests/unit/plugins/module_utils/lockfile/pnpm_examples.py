# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lockfiles of pnpm for tests: recorded ones, and small ones made to order."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Lockfile, Manifest
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.packagejson import parse_manifest
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pnpm import parse_lockfile
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pnpmworkspace import (
    WORKSPACE_FILE,
    parse_settings,
)

FIXTURES = pathlib.Path(__file__).parent / "fixtures" / "pnpm"
HASH = "sha512-" + "A" * 86 + "=="


def recorded(name: str) -> bytes:
    """A recorded file."""
    return (FIXTURES / name).read_bytes()


def recorded_manifests(case: str) -> dict[str, Manifest]:
    """The manifests and settings beside a recorded lockfile (``workspaces/pnpm10``)."""
    folder = FIXTURES / case
    own = parse_manifest(recorded(f"{case}/package.json"), "app/package.json")
    if (folder / "settings").exists():
        settings = parse_settings(recorded(f"{case}/settings"), "app/pnpm-workspace.yaml")
        own = dataclasses.replace(own, deciding={**own.deciding, WORKSPACE_FILE: settings})
    manifests = {"": own}
    for file in sorted(folder.glob("packages-*.json")):
        where = file.stem.replace("-", "/", 1)
        manifests[where] = parse_manifest(file.read_bytes(), f"app/{where}/package.json")
    return manifests


def recorded_lockfile(case: str) -> Lockfile:
    """A recorded lockfile, read with its manifests."""
    return parse_lockfile(recorded(f"{case}/lockfile"), "app/pnpm-lock.yaml", recorded_manifests(case))


def entry(**more: t.Any) -> dict[str, t.Any]:
    """What ``packages`` has for a package from the registry."""
    return {"resolution": {"integrity": HASH}, **more}


def lock(
    packages: dict[str, dict[str, t.Any]] | None = None,
    asked: dict[str, tuple[str, str]] | None = None,
    snapshots: dict[str, dict[str, t.Any]] | None = None,
    **more: t.Any,
) -> bytes:
    """A lockfile of format 9.0 (JSON is YAML too); ``asked``: name -> specifier and version."""
    packages = packages or {}
    dependencies = {
        name: {"specifier": specifier, "version": version} for name, (specifier, version) in (asked or {}).items()
    }
    value = {
        "lockfileVersion": "9.0",
        "settings": {"autoInstallPeers": True, "excludeLinksFromLockfile": False},
        "importers": {".": {"dependencies": dependencies}},
        "packages": packages,
        "snapshots": snapshots if snapshots is not None else {key: {} for key in packages},
        **more,
    }
    return json.dumps(value).encode()


def parsed(content: bytes, manifests: dict[str, Manifest] | None = None) -> Lockfile:
    """The lockfile in ``content``."""
    return parse_lockfile(content, "app/pnpm-lock.yaml", manifests or {})


def manifest(value: dict[str, t.Any] | None = None, settings: dict[str, t.Any] | None = None) -> Manifest:
    """The manifest of the project, with settings as its reader puts them there."""
    own = parse_manifest(json.dumps(value or {}).encode(), "app/package.json")
    return dataclasses.replace(own, deciding={**own.deciding, WORKSPACE_FILE: settings}) if settings else own
