# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things are in a checkout. All that the tools make is below ``.dev``, which git ignores."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DEV = ROOT / ".dev"
LOGS = DEV / "logs"
VENV = DEV / "venv"
LAB = DEV / "lab"
COLLECTIONS = DEV / "collections"


def link_collection() -> Path:
    """Make this checkout reachable as ``ansible_collections/evenkeel/apphost``; return the folder above that."""
    if ROOT.parts[-3:] == ("ansible_collections", "evenkeel", "apphost"):
        return ROOT.parents[2]
    link = COLLECTIONS / "ansible_collections" / "evenkeel" / "apphost"
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink() or link.resolve() != ROOT:
        link.unlink(missing_ok=True)
        link.symlink_to(ROOT, target_is_directory=True)
    return COLLECTIONS


def shown(path: Path) -> str:
    """A path as a person reads it: relative to the checkout when it is inside."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
