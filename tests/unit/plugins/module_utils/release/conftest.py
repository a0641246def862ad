# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of releases share."""

from __future__ import annotations

import os
import pathlib

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import AppLayout

from .world import World


@pytest.fixture
def world(tmp_path: pathlib.Path) -> World:
    layout = AppLayout("hello", base=str(tmp_path))
    for folder in (layout.state, layout.logs, layout.releases, f"{tmp_path}/runtime/bin"):
        os.makedirs(folder)
    return World(layout)
