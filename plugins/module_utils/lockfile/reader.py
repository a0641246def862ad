# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find and read the lockfile of an app's folder."""

from __future__ import annotations

import os

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile import npm
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.jsonfile import read_regular_file
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Lockfile, Manifest
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.policy import check_in_step, check_policy

MANAGERS = ("auto", "npm", "none")

#: Lockfile name -> manager.
LOCKFILES = {
    "npm-shrinkwrap.json": "npm",
    "package-lock.json": "npm",
    "pnpm-lock.yaml": "pnpm",
    "yarn.lock": "yarn",
    "bun.lock": "bun",
    "uv.lock": "uv",
}


def read_manifest(folder: str) -> Manifest | None:
    """The ``package.json`` of ``folder``, ``None`` when it has none."""
    path = os.path.join(folder, "package.json")
    content = read_regular_file(path)
    return None if content is None else npm.parse_manifest(content, path)


def read_lockfile(folder: str, manager: str = "auto") -> Lockfile | None:
    """The lockfile of ``folder``; ``None`` when it has none, or ``manager`` is ``none``.

    Raises ApphostError for one that cannot be read, is not understood, or when two managers claim the folder.
    """
    if manager == "none":
        return None
    present = [name for name in LOCKFILES if os.path.lexists(os.path.join(folder, name))]
    if manager == "auto":
        managers = {LOCKFILES[name] for name in present}
        if len(managers) > 1:
            raise ApphostError(
                f"has lockfiles of several package managers: {', '.join(present)}",
                folder,
                "Delete those that are not used, or name the manager.",
            )
        if managers and "npm" not in managers:
            raise ApphostError(
                f"has {present[0]}, and {LOCKFILES[present[0]]} is not supported yet",
                folder,
                "Install from a package-lock.json, or set the manager to none.",
            )
    elif manager not in MANAGERS:
        raise ApphostError(f"the package manager {manager} is not supported", folder, f"Use: {', '.join(MANAGERS)}.")
    found = [(path, read_regular_file(path)) for path in (os.path.join(folder, name) for name in npm.LOCKFILE_NAMES)]
    contents = [(path, content) for path, content in found if content is not None]
    if not contents:
        return None
    # npm up to 11 reads the shrinkwrap, npm 12 the other one: only equal ones say what will be installed.
    if len({content for _path, content in contents}) > 1:
        raise ApphostError("npm-shrinkwrap.json and package-lock.json differ", folder, "Delete one of them.")
    path, content = contents[0]
    return npm.parse_lockfile(content, path)


def checked_lockfile(folder: str, manager: str = "auto") -> tuple[Manifest, Lockfile] | None:
    """The manifest and lockfile to install from, after every check that needs no network; ``None``: nothing to install.

    Raises ApphostError for a missing or unreadable lockfile, one that is not in step with the manifest,
    and one that breaks the policy.
    """
    if manager == "none":
        return None
    lockfile = read_lockfile(folder, manager)
    manifest = read_manifest(folder)
    if manifest is None:
        if lockfile is None and manager == "auto":
            return None
        raise ApphostError("has no package.json", folder, "Add it, or set the manager to none.")
    if lockfile is None:
        if manager == "auto" and not manifest.requirements.production:
            return None
        raise ApphostError(
            "has no package-lock.json or npm-shrinkwrap.json",
            folder,
            "Run npm install and commit the lockfile, or set the manager to none.",
        )
    check_in_step(lockfile, manifest)
    check_policy(lockfile)
    return manifest, lockfile
