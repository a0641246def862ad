# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host says about its apps: what is live, what else is there, and how the instances are. Reads only."""

from __future__ import annotations

import os
import typing as t
from dataclasses import asdict, dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import AppLayout
from ansible_collections.evenkeel.apphost.plugins.module_utils.release import host
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.journal import Journal
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.manifest import Manifest, read_manifest
from ansible_collections.evenkeel.apphost.plugins.module_utils.supervisor.base import Snapshot, Supervisor
from ansible_collections.evenkeel.apphost.plugins.module_utils.supervisor.procfs import release_of


@dataclass(frozen=True)
class InstanceInfo:
    """One running copy of a process, or one that should run. ``release`` is where its process really runs from."""

    unit: str
    process: str
    id: str
    port: int | None
    state: str
    pid: int
    since: str | None
    release: str | None


@dataclass(frozen=True)
class AppInfo:
    """Everything about one app on one host. Times are ISO 8601 in UTC, ``free_bytes`` is where releases lie."""

    provisioned: bool
    missing: list[str]
    live: str | None
    since: str | None
    previous: str | None
    staged: list[str]
    manifest: Manifest | None
    pending: dict[str, str] | None
    instances: list[InstanceInfo]
    free_bytes: int | None

    def as_dict(self) -> dict[str, t.Any]:
        """For the module's result."""
        return asdict(self)


def previous_good(layout: AppLayout, journal: Journal, live: str | None) -> str | None:
    """The last release before ``live`` that was verified and is still on the host: where a rollback goes."""
    verified = [entry.release for entry in journal.live_history()]
    before = verified[: verified.index(live)] if live in verified else verified
    staged = host.staged_releases(layout)
    return next((release for release in reversed(before) if release in staged), None)


def app_infos(layouts: t.Sequence[AppLayout], supervisor: Supervisor, proc: str = "/proc") -> dict[str, AppInfo]:
    """Look at every app. ``proc`` is the kernel's, but in tests."""
    targets = supervisor.states([layout.target for layout in layouts])
    return {layout.name: _app_info(layout, targets, supervisor, proc) for layout in layouts}


def _app_info(layout: AppLayout, targets: Snapshot, supervisor: Supervisor, proc: str) -> AppInfo:
    journal = Journal(layout.journal)
    live = host.live_release(layout)
    activated = journal.live()
    pending = journal.pending()
    manifest = _manifest(layout, live)
    missing = host.missing_folders(layout)
    if not targets[layout.target].defined:
        missing.append(layout.target)
    return AppInfo(
        provisioned=not missing,
        missing=missing,
        live=live,
        since=activated.time if activated and activated.release == live else None,
        previous=previous_good(layout, journal, live),
        staged=host.staged_releases(layout),
        manifest=manifest,
        pending=pending.as_dict() if pending else None,
        instances=_instances(layout, manifest, supervisor.instances(layout.name), proc) if manifest else [],
        free_bytes=_free_bytes(layout),
    )


def _manifest(layout: AppLayout, live: str | None) -> Manifest | None:
    """What is live, None when nothing is, or when nobody can read what it is: then only its name is known."""
    try:
        return read_manifest(layout, live) if live else None
    except ApphostError:
        return None


def _instances(layout: AppLayout, manifest: Manifest, states: Snapshot, proc: str) -> list[InstanceInfo]:
    """The instances of the live release, those that do not run among them."""
    found = []
    for instance in manifest["instances"]:
        state = states.get(instance["unit"])
        pid = state.pid if state else 0
        found.append(
            InstanceInfo(
                unit=instance["unit"],
                process=instance["process"],
                id=instance["id"],
                port=instance["port"],
                state=state.active if state else "inactive",
                pid=pid,
                since=state.since if state else None,
                release=release_of(pid, layout, proc) if pid else None,
            )
        )
    return found


def _free_bytes(layout: AppLayout) -> int | None:
    if not os.path.isdir(layout.releases):
        return None
    disk = os.statvfs(layout.releases)
    return disk.f_bavail * disk.f_frsize
