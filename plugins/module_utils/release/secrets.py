# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``apphost_secrets`` as modules get it. Only the controller reads it; a host gets one app's finished environment."""

from __future__ import annotations

import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.app_model.declaration import SECRETS
from ansible_collections.evenkeel.apphost.plugins.module_utils.schema import Reading


def read_secrets(secrets: t.Any, where: str = "secrets") -> dict[str, dict[str, str]]:
    """App -> name -> value, with numbers and booleans as the strings that ``env`` would make of them.

    Raises ApphostError with every problem; no value is ever shown.
    """
    reading = Reading()
    read = SECRETS.read(secrets, where, reading)
    reading.finish()
    return t.cast("dict[str, dict[str, str]]", read)
