# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Symbolic links in an artifact: what packs it and what unpacks it refuse the same ones."""

from __future__ import annotations

import os


def leads_out(path: str, target: str) -> bool:
    """Whether a link at ``path`` (relative to the top) leads above the top, or away from it altogether."""
    end = os.path.normpath(os.path.join(os.path.dirname(path), target))
    return os.path.isabs(target) or end == ".." or end.startswith("../") or not target
