# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an installation would change: for check mode, ``--diff`` and the counts."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.install.installer import InstallResult
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.plan import Plan
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.size import check_size
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.store import TreeStore
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.tree import read_record, read_tree
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Package
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.tree import (
    Difference,
    difference,
    listings,
)

#: What the counts are when nothing differs.
NOTHING = Difference([], [], []).counts


@dataclass(frozen=True)
class Inventory:
    """Packages by path, and the paths of those that the project asks for by itself."""

    packages: dict[str, Package]
    direct: frozenset[str]


@dataclass(frozen=True)
class Changes:
    """How what was installed differs from what is, or will be; counts and texts come from the same lists."""

    old: Inventory
    new: Inventory

    @property
    def counts(self) -> dict[str, int]:
        """How many packages are ``added``, ``removed`` and ``updated``."""
        old, new = self.old, self.new
        return difference(old.packages, new.packages, old.direct, new.direct).counts

    def texts(self) -> tuple[str, str]:
        """Before and after, one line a package."""
        old, new = self.old, self.new
        return listings(old.packages, new.packages, old.direct, new.direct)


def before(plan: Plan) -> Inventory:
    """What is in the folder now; to be asked before anything is changed."""
    return Inventory(*plan.before())


def after(plan: Plan) -> Inventory:
    """What is in the folder once ``plan`` was carried out; until then, what will be as far as that can be known.

    Not every lockfile says what a package is for (yarn 1), so a tree that was built knows better.
    """
    folder = plan.request.folder
    for base in (folder, TreeStore(plan.request.store, None).tree_path(plan.identity)):
        tree = read_tree(base, plan.places[0])
        record = read_record(base, tree) if tree and tree.identity == plan.identity else None
        if record:
            return Inventory(record.as_packages(), record.direct)
    return Inventory(plan.after(), plan.lockfile.direct)


def preview(plan: Plan) -> InstallResult:
    """The result that the installation would have; nothing is written, and no network asked."""
    request = plan.request
    store = TreeStore(request.store, None)
    tree = plan.placed if plan.up_to_date else store.find(plan.identity)
    if tree:
        check_size(request, tree, request.folder if plan.up_to_date else store.tree_path(plan.identity))
    expected = after(plan).packages
    return InstallResult(
        changed=not plan.up_to_date,
        manager=plan.name,
        manager_version=plan.version,
        identity=plan.identity,
        packages=tree.packages if tree else len(expected),
        files=tree.files if tree else 0,
        bytes=tree.bytes if tree else 0,
        from_cache=tree is not None,
        drift=plan.found.drift,
        scripts_skipped=tree.scripts_skipped if tree else plan.scripts_to_skip(expected.values()),
    )
