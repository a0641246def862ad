# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set-up of the template tests, and the place of their guard. See README.md."""

from __future__ import annotations

import pathlib
import runpy
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
# The one place that makes the checkout importable as a collection; it works as a script, too.
runpy.run_path(str(HERE.parent / "unit" / "conftest.py"))
# `rendering` and `reading` are importable whatever import mode pytest runs in.
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the guard after everything else, and only when every test file of this folder is in the run."""
    ours = {item.path for item in items if item.path.parent == HERE}
    guard = [item for item in items if item.path == HERE / "test_coverage.py"]
    others = [item for item in items if item not in guard]
    items[:] = others + (guard if ours >= set(HERE.glob("test_*.py")) else [])
