# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an installation would change: for check mode, ``--diff`` and the counts."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.install.installer import InstallResult
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.plan import Plan
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.store import TreeStore
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.tree import difference, listings


@dataclass(frozen=True)
class Changes:
    """How what is installed differs from what will be."""

    #: Packages ``added``, ``removed``, ``updated``.
    counts: dict[str, int]
    #: Before and after, one line a package.
    texts: tuple[str, str]


def changes(plan: Plan) -> Changes:
    """Compare what is in the folder with what the lockfile asks for; both come from the same two lists."""
    before = plan.before()
    after = before if plan.up_to_date else plan.after()
    # What was direct before is not on disk: the lockfile there is the new one.
    direct = plan.lockfile.direct
    return Changes(
        counts=difference(before, after, direct, direct).counts, texts=listings(before, after, direct, direct)
    )


def preview(plan: Plan) -> InstallResult:
    """The result that the installation would have; nothing is written, and no network asked."""
    tree = plan.placed if plan.up_to_date else TreeStore(plan.request.store, None).find(plan.identity)
    after = plan.after()
    return InstallResult(
        changed=not plan.up_to_date,
        manager=plan.lockfile.manager,
        identity=plan.identity,
        packages=tree.packages if tree else len(after),
        files=tree.files if tree else 0,
        bytes=tree.bytes if tree else 0,
        from_cache=tree is not None,
        scripts_skipped=tree.scripts_skipped if tree else plan.scripts_skipped(after.values()),
    )
