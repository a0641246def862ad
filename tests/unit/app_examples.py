# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A good app to change in tests."""

from __future__ import annotations

import copy
import typing as t

HELLO: dict[str, t.Any] = {
    "name": "hello",
    "source": {"type": "directory", "path": "../hello"},
    "runtime": {"name": "nodejs", "version": "24.21.0"},
    "processes": {
        "web": {"command": "node server.js", "instances": 2, "port": 3000},
        "worker": {"command": "node worker.js"},
    },
}


def app(remove: tuple[str, ...] = (), **changes: t.Any) -> dict[str, t.Any]:
    """A fresh copy of the good app, without some of its keys, with changes merged into it."""
    changed: dict[str, t.Any] = merged({key: HELLO[key] for key in HELLO if key not in remove}, changes)
    return copy.deepcopy(changed)


def merged(value: t.Any, changes: t.Any) -> t.Any:
    """``value`` with ``changes``: mappings key by key, anything else replaced."""
    if not isinstance(value, dict) or not isinstance(changes, dict):
        return changes
    return {**value, **{key: merged(value.get(key), change) for key, change in changes.items()}}
