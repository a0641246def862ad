# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of a lockfile before anything is fetched, on the lockfile alone."""

from __future__ import annotations

import base64
import binascii
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import (
    Lockfile,
    Manifest,
    Package,
    Source,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.ranges import satisfies

#: Hashes that count, with their length in bytes. SHA-1 collisions are practical, so it does not.
STRONG_HASHES = {"sha512": 64, "sha384": 48, "sha256": 32}

#: Problems shown before "and N more".
SHOWN = 5


def check_policy(lockfile: Lockfile) -> None:
    """Raise ApphostError naming the entries that must not be installed: links, and those without a strong hash."""
    problems = [problem for package in lockfile.packages.values() for problem in [_problem(package)] if problem]
    if problems:
        do = "Take these from a registry, then run npm install again and commit the lockfile."
        raise ApphostError(joined(problems), lockfile.path, do)


def check_engines(lockfile: Lockfile, manifest: Manifest, node: str) -> None:
    """Raise ApphostError when the app, or a package it cannot do without, is not for the Node.js version ``node``.

    A range that cannot be understood is let pass.
    """
    engines = manifest.deciding.get("engines")
    own = engines.get("node") if isinstance(engines, dict) else None
    if isinstance(own, str) and satisfies(node, own) is False:
        raise ApphostError(
            f"the app is for Node.js {own[:100]}, its runtime is {node}",
            manifest.path,
            "Change the runtime's version, or engines.node in package.json.",
        )
    problems = [
        f"{package.spec} is for Node.js {package.engines['node'][:100]}"
        for package in lockfile.packages.values()
        if not (package.dev or package.dev_optional or package.optional)
        and satisfies(node, package.engines.get("node", "*")) is False
    ]
    if problems:
        raise ApphostError(
            f"{joined(problems)}, the runtime is {node}",
            lockfile.path,
            "Change the runtime's version or update the packages, or set check_engines to false.",
        )


def _problem(package: Package) -> str | None:
    if package.source in (Source.WORKSPACE, Source.LINK):
        return f"{package.path} is a link to {package.resolved} (workspaces and file: links are not supported yet)"
    if package.source == Source.BUNDLED or strong_integrity(package.integrity):
        return None
    if package.integrity:
        return f"{package.spec} has only a weak integrity hash ({package.integrity.split('-')[0][:20]})"
    source = f" (from {package.resolved.split(':')[0]}:)" if package.resolved and ":" in package.resolved else ""
    return f"{package.spec} has no integrity hash{source}"


def strong_integrity(integrity: str | None) -> bool:
    """Whether a subresource-integrity string holds a well-formed hash that counts."""
    return any(_is_strong(value) for value in (integrity or "").split())


def _is_strong(value: str) -> bool:
    algorithm, _dash, digest = value.partition("-")
    try:
        length = len(base64.b64decode(digest.split("?")[0], validate=True))
    except (binascii.Error, ValueError):
        return False
    return length == STRONG_HASHES.get(algorithm)


def joined(problems: t.Sequence[str]) -> str:
    """The first problems in one line."""
    more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    return "; ".join(problems[:SHOWN]) + more
