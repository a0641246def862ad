# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``pnpm-workspace.yaml``, and what of pnpm's settings decides what is installed.

pnpm up to 10 takes settings from the key ``pnpm`` of the project's ``package.json`` too; 11 and later only from this
file.
"""

from __future__ import annotations

import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Manifest
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.packagejson import ObjectReader
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.yamlfile import parse_documents

WORKSPACE_FILE = "pnpm-workspace.yaml"
MEND = "Mend the file."

#: The lockfile was made with these, and pnpm refuses a frozen installation when they are different now.
LOCKED_SETTINGS = (
    "catalog",
    "catalogs",
    "ignoredOptionalDependencies",
    "overrides",
    "packageExtensions",
    "patchedDependencies",
)
#: The lockfile has its own record of these.
RECORDED_SETTINGS = (
    "autoInstallPeers",
    "dedupePeers",
    "excludeLinksFromLockfile",
    "injectWorkspacePackages",
    "peersSuffixMaxLength",
)
#: These decide how the packages are laid out, or which of them are; the lockfile does not know them.
LAYOUT_SETTINGS = (
    "dedupeDirectDeps",
    "dedupeInjectedDeps",
    "hoist",
    "hoistPattern",
    "hoistWorkspacePackages",
    "hoistingLimits",
    "nodeLinker",
    "publicHoistPattern",
    "shamefullyHoist",
    "supportedArchitectures",
    "virtualStoreDirMaxLength",
)
#: What an installation goes by. The others say where from, where to, and what may run, which is not for an artifact to
#: say: registries, namedRegistries, storeDir, pnpmfile, configDependencies, allowBuilds, onlyBuiltDependencies,
#: strictSsl, scriptShell …
INSTALL_SETTINGS = ("packages", *LOCKED_SETTINGS, *RECORDED_SETTINGS, *LAYOUT_SETTINGS)


def parse_settings(content: bytes, path: str) -> dict[str, t.Any]:
    """The settings in a ``pnpm-workspace.yaml``; ``path`` names it in errors. Raises ApphostError."""
    documents = parse_documents(content, path, MEND) if content.strip() else [None]
    if len(documents) != 1 or not isinstance(documents[0], (dict, type(None))):
        # The file is a list or a text, or has several documents.
        raise ObjectReader(path, MEND).error("is no map of settings")
    return documents[0] or {}


def workspace_patterns(content: bytes, path: str) -> tuple[str, ...]:
    """The patterns of workspaces in a ``pnpm-workspace.yaml``; the project itself always belongs to them."""
    patterns = ObjectReader(path, MEND).names(parse_settings(content, path), "packages", "")
    return tuple(pattern for pattern in patterns if pattern not in (".", "./"))


def settings_of(manifest: Manifest | None, package_json: bool = True) -> dict[str, t.Any]:
    """The settings of the project whose manifest this is, as far as its reader put them there.

    ``package_json``: also the key ``pnpm`` of the manifest, behind what stands in ``pnpm-workspace.yaml``.
    """
    if manifest is None:
        return {}
    own, shared = manifest.deciding.get("pnpm"), manifest.deciding.get(WORKSPACE_FILE)
    return {
        **(own if package_json and isinstance(own, dict) else {}),
        **(shared if isinstance(shared, dict) else {}),
    }


def install_settings(manifest: Manifest | None, package_json: bool = True) -> dict[str, t.Any]:
    """The settings that an installation goes by; those that are not for an artifact to say are left out."""
    settings = settings_of(manifest, package_json)
    return {key: value for key, value in settings.items() if key in INSTALL_SETTINGS}
