# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bill of materials of the release that is live."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.install import materials
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import AppLayout
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.sbom import Platform
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.host import live_release
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.manifest import Runtime, read_manifest

#: Of each runtime, how scanners call it: package URL and CPE (as in the National Vulnerability Database), by version.
_PLATFORMS = {"nodejs": ("pkg:generic/node@{}", "cpe:2.3:a:nodejs:node.js:{}:*:*:*:*:*:*:*")}


@dataclass(frozen=True)
class Materials:
    """A release and its bill of materials, CycloneDX as a value for JSON."""

    release: str
    sbom: dict[str, t.Any]


def of_live(layout: AppLayout) -> Materials | None:
    """Those of what is live; ``None``: nothing is. Raises ApphostError when the release is damaged."""
    release = live_release(layout)
    if release is None:
        return None
    manifest = read_manifest(layout, release)
    lockfile = manifest["lockfile"]
    document = materials.of_folder(
        f"{layout.release(release)}/app",
        lockfile["manager"] if lockfile else "none",
        manifest["app"],
        release,
        _platform(manifest["runtime"]),
    )
    return Materials(release, document)


def _platform(runtime: Runtime) -> Platform:
    purl, cpe = (text.format(runtime["version"]) for text in _PLATFORMS[runtime["name"]])
    return Platform(runtime["name"], runtime["version"], purl, cpe)
