# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bill of materials of what is installed: a tree's packages, as the lockfile describes them."""

from __future__ import annotations

import os
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.plan import Plan
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.preview import after
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.tree import read_record, read_tree
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile import sbom
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Lockfile, Package
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.reader import find_sources


def of_plan(plan: Plan) -> dict[str, t.Any]:
    """What ``plan`` installs, or installed, as CycloneDX."""
    manifest = plan.manager.project.manifest
    name = (manifest and manifest.name) or os.path.basename(plan.request.folder)
    packages = _described(plan.lockfile, after(plan).packages)
    return sbom.bill_of_materials(plan.lockfile, packages, name, manifest.version if manifest else None)


def of_folder(
    folder: str, manager: str, name: str, version: str, platform: sbom.Platform | None = None
) -> dict[str, t.Any]:
    """What is installed in ``folder``, as CycloneDX, for an application ``name``.

    Only what is there is read, and nothing is judged: a release that was staged under an older policy has one too.
    Raises ApphostError.
    """
    sources = find_sources(folder, manager)
    if sources is None:
        return sbom.bill_of_materials(None, {}, name, version, platform=platform)
    tree = read_tree(folder)
    record = read_record(folder, tree) if tree else None
    if record is None:
        # The app's folder has a lockfile, but the record of what was installed from it is gone or was changed.
        raise ApphostError("has no sound record of what was installed", folder, "Install the dependencies again.")
    lockfile = sources.lockfile()
    packages = _described(lockfile, record.as_packages())
    return sbom.bill_of_materials(lockfile, packages, name, version, platform=platform)


def _described(lockfile: Lockfile, packages: t.Mapping[str, Package]) -> dict[str, Package]:
    """The packages with all that the lockfile says of them."""
    return {path: lockfile.packages.get(path, package) for path, package in packages.items()}
