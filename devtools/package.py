# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as users get it."""

from __future__ import annotations

import shutil
from pathlib import Path

from devtools.environment import tool, tool_environment
from devtools.paths import DEV
from devtools.terminal import Command, run_logged

FOLDER = DEV / "package"


def build(folder: Path = FOLDER) -> Path:
    """Build the collection's archive in an empty folder; returns its path."""
    shutil.rmtree(folder, ignore_errors=True)
    command: Command = [tool("ansible-galaxy"), "collection", "build", "--output-path", folder]
    run_logged(command, "package-build", env=tool_environment())
    return next(folder.glob("*.tar.gz"))


def try_out() -> None:
    """Build it, install it into an empty folder, and load its main playbook from there by its full name."""
    archive = build()
    installed = FOLDER / "installed"
    # Nothing of this checkout may help.
    environment = {name: value for name, value in tool_environment().items() if name in ("PATH", "ANSIBLE_HOME")}
    environment["ANSIBLE_COLLECTIONS_PATH"] = str(installed)
    # --no-deps: what it depends on comes with the ansible package of the tools' environment.
    install: Command = [
        tool("ansible-galaxy"),
        "collection",
        "install",
        "--no-deps",
        "--collections-path",
        installed,
        archive,
    ]
    run_logged(install, "package-install", env=environment, cwd=FOLDER)
    load: Command = [tool("ansible-playbook"), "--syntax-check", "--inventory", "localhost,", "evenkeel.apphost.site"]
    run_logged(load, "package-load", env=environment, cwd=FOLDER)
