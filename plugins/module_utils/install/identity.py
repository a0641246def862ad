# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The platform that a tree is made for, and the hash of everything that decides one."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import typing as t

#: Raise it when the same inputs begin to make another tree.
RECIPE = 2

#: ``uname -m`` -> Node.js' ``process.arch``; others are the same in both.
CPUS = {"x86_64": "x64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm", "i686": "ia32", "i386": "ia32"}


def libc_version() -> str:
    """``glibc 2.36``; ``musl`` where there is no glibc."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or "musl"
    except (ValueError, OSError):
        return "musl"


def cpu() -> str:
    """The architecture, as Node.js calls it."""
    machine = platform.machine()
    return CPUS.get(machine, machine)


def tree_identity(inputs: t.Mapping[str, t.Any]) -> str:
    """SHA-256 (hex) over everything that decides a tree; the same inputs give the same identity on every host."""
    text = json.dumps({"recipe": RECIPE, **inputs}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
