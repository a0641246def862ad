# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is on a host of one app: its folders, its releases, the one that is live. Reads only."""

from __future__ import annotations

import os

from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import AppLayout
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.identity import is_release_id

# How names of folders begin that are being filled or emptied; never those of releases.
STAGING = ".staging-"
PRUNED = ".pruned-"


def missing_folders(layout: AppLayout) -> list[str]:
    """The folders of the app that site.yml makes and that are not there."""
    return [folder for folder in layout.folders if not os.path.isdir(folder)]


def live_release(layout: AppLayout) -> str | None:
    """The release that ``current`` points at; None when there is none, or it is no longer there."""
    try:
        release = os.path.basename(os.readlink(layout.current))
    except FileNotFoundError:
        return None
    return release if is_release_id(release) and os.path.isdir(layout.release(release)) else None


def staged_releases(layout: AppLayout) -> list[str]:
    """The ids of all releases on the host, by name: a folder gets such a name only when it is complete."""
    return sorted(name for name in _names(layout) if is_release_id(name))


def leftovers(layout: AppLayout) -> list[str]:
    """Folders that a killed run left half filled or half emptied. Nobody works in them once the lock is held."""
    return sorted(f"{layout.releases}/{name}" for name in _names(layout) if name.startswith((STAGING, PRUNED)))


def _names(layout: AppLayout) -> list[str]:
    return os.listdir(layout.releases) if os.path.isdir(layout.releases) else []


def as_text(layout: AppLayout, releases: list[str]) -> str:
    """One side of a ``--diff`` over the releases on a host."""
    live = live_release(layout)
    return "".join(f"{release}{' (live)' if release == live else ''}\n" for release in releases)
