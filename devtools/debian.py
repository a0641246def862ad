# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages of the machine the tools run on, where that is Debian or Ubuntu and we are root."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Sequence

from devtools.terminal import attempt, run_logged, step


def can_install() -> bool:
    """Whether we may install packages here."""
    return os.geteuid() == 0 and shutil.which("apt-get") is not None


def is_known(package: str) -> bool:
    """Whether apt has a package of that name to install."""
    _refresh()
    return bool(attempt(["apt-cache", "show", "--no-all-versions", package]).stdout.strip())


def install(packages: Sequence[str], why: str) -> None:
    """Install packages; ``why`` tells people what they are for."""
    if not packages:
        return
    with step(f"install {', '.join(packages)} ({why})"):
        _refresh()
        run_logged(
            ["apt-get", "install", "--yes", "--no-install-recommends", *packages],
            "apt",
            env={"DEBIAN_FRONTEND": "noninteractive"},
        )


@functools.cache
def _refresh() -> None:
    """Update the package lists, once a run."""
    run_logged(["apt-get", "update"], "apt-update")
