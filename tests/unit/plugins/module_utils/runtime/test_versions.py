# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions: exact or refused, and a hint that helps."""

from __future__ import annotations

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.versions import check_exact, nearest


@pytest.mark.parametrize(
    "version", ["24", "24.21", "v24.21.0", "^24.21.0", "24.x", "lts", "", "24.21.0-rc.1", "24.021.0"]
)
def test_only_exact_versions(version: str) -> None:
    with pytest.raises(ApphostError, match=r"^versions: .* is not an exact version\. Write it like 24\.21\.0\.$"):
        check_exact(version, "versions")


def test_an_exact_version_stays_as_it_is() -> None:
    assert check_exact("24.21.0", "versions") == "24.21.0"


def test_nearest_prefers_the_same_major_then_the_same_minor() -> None:
    existing = ["23.99.0", "24.1.0", "24.21.0", "24.21.1", "25.0.0", "24.99.0-rc.1", "next"]
    assert nearest("24.99.0", existing) == ["24.21.0", "24.21.1", "24.1.0"]
    assert nearest("24.21.7", existing, 2) == ["24.21.1", "24.21.0"]


def test_nearest_of_nothing_is_nothing() -> None:
    assert nearest("24.99.0", []) == []
