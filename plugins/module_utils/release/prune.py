# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove old releases from a host; never one that runs, that a rollback needs, or that an activation is about."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.files import sync_directory
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.command import build_account
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import Bounds
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.store import TreeStore
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import AppLayout
from ansible_collections.evenkeel.apphost.plugins.module_utils.release import host
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.journal import PRUNED, Journal
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.lock import hold_lock

# Seconds to wait for another run that is at work on the same app.
_LOCK_WAIT = 60.0

# Built trees that no release was made from for so long are removed, in seconds: a month.
_TREES_KEPT = 30 * 86400


@dataclass(frozen=True)
class Choice:
    """Which releases stay and which go, newest first by the journal."""

    kept: list[str]
    pruned: list[str]


def choose(layout: AppLayout, keep: int) -> Choice:
    """The ``keep`` newest releases stay, and those that are needed, however old.

    Needed are the live one, the last good one before it, and both sides of an activation that was interrupted.
    What the journal does not know (it was lost) is older than everything it knows.
    """
    journal = Journal(layout.journal)
    staged = host.staged_releases(layout)
    known = [release for release in journal.newest_first() if release in staged]
    order = known + [release for release in staged if release not in known]
    live, pending, verified = host.live_release(layout), journal.pending(), journal.live()
    needed = {live, journal.last_good_before(live, staged)}
    needed |= {pending.release, pending.previous} if pending else set()
    if verified:
        # Not the live one after an activation that was interrupted or failed for good: the way back begins here.
        needed |= {verified.release, journal.last_good_before(verified.release, staged)}
    others = [release for release in order if release not in needed]
    room = max(0, keep - (len(order) - len(others)))
    pruned = others[room:]
    return Choice([release for release in order if release not in pruned], pruned)


def prune(layout: AppLayout, keep: int) -> Choice:
    """Remove what :func:`choose` says, what killed runs left behind, and dependency trees nobody needs.

    A release first loses its name, so that what is half removed never looks like a release.
    """
    if not os.path.isdir(layout.state):
        raise ApphostError(
            "this host was never set up for it", f"app {layout.name}", "Run site.yml for this host first."
        )
    with hold_lock(layout.lock, "prune", _LOCK_WAIT):
        choice = choose(layout, keep)
        journal = Journal(layout.journal)
        for release in choice.pruned:
            journal.append(PRUNED, release)
            os.rename(layout.release(release), f"{layout.releases}/{host.PRUNED}{release}")
        leftovers = host.leftovers(layout)
        if leftovers:
            sync_directory(layout.releases)
        for leftover in leftovers:
            shutil.rmtree(leftover)
    # A cache: what goes from here changes no release.
    TreeStore(layout.store, build_account(None)).sweep(Bounds(_TREES_KEPT))
    return choice
