# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running the programs of a build."""

from __future__ import annotations

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.locks import Locks
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.base import Job, TooLong
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.programs import Programs


@pytest.mark.parametrize("status", [124, 137])
def test_a_program_that_takes_too_long(status: int) -> None:
    job = Job("/work", "/cache", Programs("", Locks("")), None, lambda _argv: (status, "", "Terminated"), 7.0)

    with pytest.raises(TooLong, match=r"^yarn\.js: did not end within 7 s\. See whether the registry") as caught:
        job.call(["/runtime/bin/node", "/programs/yarn.js", "install"], {})

    assert caught.value.message.endswith("Nothing was changed.")
