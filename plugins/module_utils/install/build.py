# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build one tree: fetch, check, run what is allowed to run, seal, and take it into the store."""

from __future__ import annotations

import os
import stat
import time
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, RunCommand
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.command import Account
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.contents import CONTENTS, RECORD
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.laps import Laps
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.base import Job, Manager
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.programs import Programs
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.place import remove
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.plan import Plan
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.record import Installed, make_record
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.seal import BLAME, seal
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.store import TreeStore
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.supply import check_age, check_installed
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.tree import Tree, write_marker, write_sealed
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.policy import joined
from ansible_collections.evenkeel.apphost.plugins.module_utils.workers import useful

#: About so many files does a package have, until they are counted (31,065 of 1,054 packages from npm).
_FILES_OF_A_PACKAGE = 30


def build(plan: Plan, store: TreeStore, account: Account | None, run: RunCommand, laps: Laps) -> Tree:
    """Build the tree of ``plan`` into the store, which has its lock. Raises ApphostError; then nothing is left."""
    manager = plan.manager
    with store.scratch(plan.identity) as scratch:
        limit = plan.request.timeout
        programs = Programs(store.path("managers"), store.locks)
        job = Job(os.path.join(scratch, "work"), store.cache(manager.name), programs, account, run, limit)
        manager.bring_authorities(job)
        if manager.request.supply.minimum_age is not None:
            check_age(manager, store, plan.after().values())
            laps.lap("supply")
        with store.account_used(alone=manager.builds):
            try:
                installed = _fetch(manager, store, job, laps)
            finally:
                job.forget()
        allowed = {path: one for path, one in installed.items() if plan.may_run(one.package)}
        if allowed:
            with store.account_used(alone=True):
                manager.run_scripts(job, allowed)
            laps.lap("scripts")
        manager.finish(job)
        # From here on no process of the build is left, and nobody but us can reach the tree.
        final = os.path.join(scratch, "final")
        products = _move(manager.places, job.project, final)
        remove(job.work)
        tree = _seal(plan, final, products, installed, account is not None)
        store.publish(final, plan.identity, run)
        laps.lap("seal")
        return tree


def _fetch(manager: Manager, store: TreeStore, job: Job, laps: Laps) -> dict[str, Installed]:
    """Have the packages fetched, by whoever may read tokens; returns what was installed. Raises ApphostError."""
    with store.caching(manager.name):
        manager.fetch(job)
    laps.lap("fetch")
    installed = manager.installed(job)
    problems = manager.disagreements(job, installed) or manager.impostors(job, installed)
    if problems:
        what = f"what {manager.name} installed is not what the lockfile says: {joined(problems)}"
        do = f"Run again; when it stays so: {manager.project.format.remake}"
        raise ApphostError(what, manager.project.lockfile.path, do)
    if manager.request.supply.signatures or manager.request.supply.audit:
        check_installed(manager, job)
        laps.lap("supply")
    return installed


def _move(places: t.Sequence[str], project: str, final: str) -> tuple[str, ...]:
    """Take the products out of the build user's folder; returns those there are, and always the first one."""
    os.mkdir(final, 0o700)
    products = []
    for place in places:
        built, sealed = os.path.join(project, place), os.path.join(final, place)
        there = os.path.lexists(built)
        if there and not stat.S_ISDIR(os.lstat(built).st_mode):
            raise ApphostError("is no folder; a package must not replace it", place, BLAME)
        if there or place == places[0]:
            os.makedirs(os.path.dirname(sealed), exist_ok=True)
            if there:
                os.rename(built, sealed)
            else:
                os.mkdir(sealed)
            products.append(place)
    return tuple(products)


def _seal(
    plan: Plan, final: str, products: tuple[str, ...], installed: t.Mapping[str, Installed], as_root: bool
) -> Tree:
    """Seal what was built, and write down what it is."""
    manager = plan.manager
    moment = int(time.time())
    processes = useful(_FILES_OF_A_PACKAGE * len(installed))
    contents = seal(final, products, as_root, moment, manager.outside, processes)
    record = make_record(
        final,
        products,
        installed,
        manager.project.lockfile.direct,
        contents,
        manager.watched,
        manager.own_records,
    )
    # Where a script of a package made something of that name, ours takes its place.
    contents.discard(f"{products[0]}/{RECORD}")
    files, size = len(contents.files), sum(contents.sizes.values())
    record_sha256 = write_sealed(final, products[0], RECORD, record.dump(), moment)
    contents.files[f"{products[0]}/{RECORD}"] = record_sha256
    tree = Tree(
        identity=plan.identity,
        manager=manager.name,
        products=products,
        packages=len(record.packages),
        # The record, the contents and the marker.
        files=files + 3,
        bytes=size,
        scripts_skipped=plan.scripts_skipped(installed),
        sealed_at=moment,
        record_sha256=record_sha256,
        contents_sha256=write_sealed(final, products[0], CONTENTS, contents.dump(), moment),
    )
    write_marker(final, tree)
    return tree
