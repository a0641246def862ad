# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host says about its apps: what is live, what else is there, and how the instances are."""

from __future__ import annotations

import datetime
import os
import typing as t
from dataclasses import asdict, dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import AppLayout
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.identity import is_release_id
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.journal import History
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.look import SINCE, Look
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.manifest import (
    Instance,
    Manifest,
    load_manifest,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.supervisor.procfs import release_in
from ansible_collections.evenkeel.apphost.plugins.module_utils.supervisor.systemd import blocks, parse_state


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


def app_info(layout: AppLayout, look: Look) -> AppInfo:
    """What a look at an app comes to."""
    history = History(look.journal)
    staged = sorted(filter(is_release_id, look.releases))
    live = os.path.basename(look.current or "")
    live_now = live if live in staged else None
    activated, pending = history.live(), history.pending()
    manifest = _manifest(layout, live_now, look)
    units = {block["Id"]: block for block in blocks(look.units)}
    missing = [folder for folder in layout.folders if folder not in look.folders]
    if layout.target not in units or not parse_state(units[layout.target]).defined:
        missing.append(layout.target)
    return AppInfo(
        provisioned=not missing,
        missing=missing,
        live=live_now,
        since=activated.time if activated and activated.release == live_now else None,
        previous=history.last_good_before(live_now, staged),
        staged=staged,
        manifest=manifest,
        pending=pending.as_dict() if pending else None,
        instances=[_instance(instance, units, look) for instance in manifest["instances"]] if manifest else [],
        free_bytes=look.free_bytes,
    )


def _manifest(layout: AppLayout, live: str | None, look: Look) -> Manifest | None:
    """What is live, None when nothing is, or when nobody can read what it is: then only its name is known."""
    try:
        return load_manifest(look.manifest or "", layout.release(live)) if live else None
    except ApphostError:
        return None


def _instance(instance: Instance, units: t.Mapping[str, t.Mapping[str, str]], look: Look) -> InstanceInfo:
    """An instance of the live release, whether it runs or not."""
    unit = units.get(instance["unit"])
    state = parse_state(unit) if unit else None
    pid = state.pid if state else 0
    return InstanceInfo(
        unit=instance["unit"],
        process=instance["process"],
        id=instance["id"],
        port=instance["port"],
        state=state.active if state else "inactive",
        pid=pid,
        since=iso(unit.get(SINCE, "")) if unit else None,
        release=release_in(look.cwd[pid], look.real_releases) if pid in look.cwd else None,
    )


def iso(time: str) -> str | None:
    """A time as systemctl says it, in ISO 8601; None for one that is empty: never."""
    try:
        return datetime.datetime.strptime(time, "%a %Y-%m-%d %H:%M:%S UTC").strftime("%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return None
