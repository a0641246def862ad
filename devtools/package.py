# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection as users get it."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

from devtools.environment import tool, tool_environment
from devtools.paths import DEV, ROOT
from devtools.terminal import Command, DevError, output_of, run_logged

FOLDER = DEV / "package"

# What users get is below these folders, and a few files beside them.
FOLDERS = ("docs", "examples", "inventories/example", "meta", "playbooks", "plugins", "roles")
FILES = ("CHANGELOG.md", "LICENSE", "README.md", "changelogs/changelog.yaml", "changelogs/config.yaml")
MADE = ("FILES.json", "MANIFEST.json")


def build(folder: Path = FOLDER) -> Path:
    """Build the collection's archive in an empty folder; returns its path."""
    shutil.rmtree(folder, ignore_errors=True)
    command: Command = [tool("ansible-galaxy"), "collection", "build", "--output-path", folder]
    run_logged(command, "package-build", env=tool_environment())
    return next(folder.glob("*.tar.gz"))


def try_out() -> None:
    """Build it, check what is in it, install it into an empty folder, and load its main playbook from there."""
    archive = build()
    check_contents(archive)
    installed = FOLDER / "installed"
    # Nothing of this checkout may help.
    environment = {name: value for name, value in tool_environment().items() if name in ("PATH", "ANSIBLE_HOME")}
    environment["ANSIBLE_COLLECTIONS_PATH"] = str(installed)
    install: Command = [tool("ansible-galaxy"), "collection", "install", "--collections-path", installed, archive]
    run_logged(install, "package-install", env=environment, cwd=FOLDER)
    load: Command = [tool("ansible-playbook"), "--syntax-check", "--inventory", "localhost,", "evenkeel.apphost.site"]
    run_logged(load, "package-load", env=environment, cwd=FOLDER)


def check_contents(archive: Path) -> None:
    """Refuse an archive that lacks a file of the checkout that users need, or has one that they do not."""
    with tarfile.open(archive) as tar:
        there = {member.name for member in tar if not member.isdir()}
    # What git ignores, such as caches, belongs to nobody; a new file need not be committed for a try.
    listed = output_of(["git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard", "-z"])
    files = (name for name in listed.split("\0") if (ROOT / name).is_file())
    wanted = {name for name in files if name in FILES or name.startswith(tuple(f"{folder}/" for folder in FOLDERS))}
    wanted.update(MADE)
    if wanted != there:
        wrong = [*(f"lacks {name}" for name in wanted - there), *(f"has {name}" for name in there - wanted)]
        raise DevError(f"build_ignore of galaxy.yml is off: the archive {', '.join(sorted(wrong))}")
