# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every error message of an installation is produced by a test. Runs last, and only when all other tests ran."""

from __future__ import annotations

import pytest

from devtools.errors.record import Record
from devtools.paths import ROOT


def test_every_error_message_was_produced(error_record: Record) -> None:
    unreached = error_record.unreached(ROOT)
    if unreached:
        pytest.fail("\n".join(["no test produces these errors:", *map(str, unreached)]), pytrace=False)
