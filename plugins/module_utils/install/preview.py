# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an installation would change: for check mode, ``--diff`` and the counts."""

from __future__ import annotations

import os
import typing as t
from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.install.installer import InstallResult
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.plan import Plan
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.size import check_size
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.store import TreeStore
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile import sbom
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.tree import (
    Difference,
    difference,
    listings,
)


@dataclass(frozen=True)
class Changes:
    """How what is installed differs from what will be."""

    difference: Difference
    #: Before and after, one line a package.
    texts: tuple[str, str]


def changes(plan: Plan) -> Changes:
    """Compare what is in the folder with what the lockfile asks for; both come from the same two lists."""
    before, direct_before = plan.before()
    after, direct = (before, direct_before) if plan.up_to_date else (plan.after(), plan.lockfile.direct)
    return Changes(
        difference=difference(before, after, direct_before, direct),
        texts=listings(before, after, direct_before, direct),
    )


def bill_of_materials(plan: Plan) -> dict[str, t.Any]:
    """What is installed, as CycloneDX."""
    manifest = plan.manager.project.manifest
    name = (manifest and manifest.name) or os.path.basename(plan.request.folder)
    return sbom.bill_of_materials(plan.lockfile, plan.after(), name, manifest.version if manifest else None)


def preview(plan: Plan) -> InstallResult:
    """The result that the installation would have; nothing is written, and no network asked."""
    request = plan.request
    store = TreeStore(request.store, None)
    tree = plan.placed if plan.up_to_date else store.find(plan.identity)
    if tree:
        check_size(request, tree, request.folder if plan.up_to_date else store.tree_path(plan.identity))
    after = plan.after()
    return InstallResult(
        changed=not plan.up_to_date,
        manager=plan.manager.name,
        manager_version=plan.manager.version,
        identity=plan.identity,
        packages=tree.packages if tree else len(after),
        files=tree.files if tree else 0,
        bytes=tree.bytes if tree else 0,
        from_cache=tree is not None,
        drift=plan.found.drift,
        scripts_skipped=tree.scripts_skipped if tree else plan.scripts_to_skip(after.values()),
    )
