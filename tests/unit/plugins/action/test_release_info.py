# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action release_info: one command, plain data, and a reason when there is none."""

from __future__ import annotations

import json
import typing as t
from unittest.mock import MagicMock

import pytest
from ansible.errors import AnsibleActionFail
from ansible.playbook.task import Task
from ansible_collections.evenkeel.apphost.plugins.action.release_info import ActionModule

BARE = """\
apphost-look
uid 0
app hello
unit Id=apphost-hello.target
unit LoadState=loaded
app blog
unit Id=apphost-blog.target
unit LoadState=not-found
apphost-end
"""


class Info(ActionModule):
    """The action on a host that says what the test wants."""

    def __init__(self, out: str, err: str = "") -> None:
        task = Task()
        task.args = {"apps": ["hello", "blog"]}
        super().__init__(task, MagicMock(), MagicMock(), MagicMock(), MagicMock(), None)
        self.answer = {"rc": 0, "stdout": out, "stderr": err}
        self.asked: list[str] = []

    def _low_level_execute_command(self, cmd: str, **_options: t.Any) -> dict[str, t.Any]:
        self.asked.append(cmd)
        return self.answer


def test_all_apps_are_looked_at_in_one_command_and_the_answer_is_plain_data() -> None:
    action = Info(BARE)
    result = action.run(task_vars={})
    assert json.loads(json.dumps(result)) == result
    assert result["changed"] is False
    assert {name: app["missing"][-1] for name, app in result["apps"].items()} == {
        "hello": "/var/log/apphost/hello",
        "blog": "apphost-blog.target",
    }
    assert len(action.asked) == 1
    assert action.asked[0].index("look hello ") < action.asked[0].index("look blog ")


def test_a_host_that_cannot_look_says_why() -> None:
    with pytest.raises(AnsibleActionFail, match="cut short: sh: 1: systemctl: not found"):
        Info("", "sh: 1: systemctl: not found").run(task_vars={})
