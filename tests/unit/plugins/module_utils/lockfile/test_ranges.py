# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Version ranges, against what node-semver 7 answers."""

from __future__ import annotations

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.ranges import satisfies


@pytest.mark.parametrize(
    ("version", "wanted", "answer"),
    [
        ("24.21.0", ">=20", True),
        ("24.21.0", ">= 20", True),
        ("24.21.0", ">24", False),
        ("24.21.0", ">24.20", True),
        ("24.21.0", ">24.21.0", False),
        ("24.21.0", "<24", False),
        ("24.21.0", "<=24", True),
        ("24.21.0", "<=24.20", False),
        ("24.21.0", "24", True),
        ("24.21.0", "v24.21", True),
        ("24.21.0", "=24.21.0", True),
        ("24.21.1", "24.21.0", False),
        ("24.21.0", "24.x", True),
        ("24.21.0", "24.X.x", True),
        ("24.21.0", "*", True),
        ("24.21.0", "", True),
        ("24.21.0", "^18 || ^20", False),
        ("24.21.0", "^18 || ^20 || ", True),
        ("24.21.0", "^22.22.2 || ^24.15.0 || >=26.0.0", True),
        ("25.0.0", "^22.22.2 || ^24.15.0 || >=26.0.0", False),
        ("24.21.0", ">=18 <25", True),
        ("24.21.0", ">= 0.8 <=22", False),
        ("24.21.0", "18 - 24", True),
        ("24.21.0", "18 - 24.20", False),
        ("24.21.0", "18.0.0-0 - 26", True),
        ("1.2.9", "~1.2.3", True),
        ("1.2.2", "~1.2.3", False),
        ("1.3.0", "~1.2.3", False),
        ("1.9.0", "~1", True),
        ("1.9.0", "~> 1.2", False),
        ("1.9.0", "^1.2.3", True),
        ("2.0.0", "^1.2.3", False),
        ("0.2.9", "^0.2.3", True),
        ("0.3.0", "^0.2.3", False),
        ("0.0.4", "^0.0.3", False),
        ("0.0.3", "^0.0.3", True),
        ("0.9.0", "^0", True),
        ("1.0.0", "^0", False),
        ("0.0.9", "^0.0", True),
        ("v24.21.0-nightly20261121", ">=24", True),
        ("24.21.0", "latest", None),
        ("24.21.0", ">=24 or so", None),
        ("24.21", ">=20", None),
        ("24.21.0", "1" * 2000, None),
    ],
)
def test_ranges(version: str, wanted: str, answer: bool | None) -> None:
    assert satisfies(version, wanted) is answer
