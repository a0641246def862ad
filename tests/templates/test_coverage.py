# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The guard: a template that no test renders is a template that can break unseen."""

from __future__ import annotations

from rendering import unrendered


def test_every_template_is_rendered() -> None:
    assert unrendered() == [], "these templates are rendered by no test; see tests/templates/README.md"
