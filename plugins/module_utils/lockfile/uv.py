# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""uv: ``uv.lock`` beside ``pyproject.toml``."""

from __future__ import annotations

from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Format
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.uvlock import REMAKE, parse
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.uvstep import in_step

FORMAT = Format(
    manager="uv",
    names=("uv.lock",),
    parse=parse,
    in_step=in_step,
    ecosystem="python",
    remake=REMAKE,
)
