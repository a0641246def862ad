# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action attempt: whatever comes of a module is an answer, and the task never fails."""

from __future__ import annotations

import typing as t
from unittest.mock import MagicMock

import pytest
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure, AnsibleError
from ansible.playbook.task import Task
from ansible_collections.evenkeel.apphost.plugins.action import release_info
from ansible_collections.evenkeel.apphost.plugins.action.attempt import ActionModule

INFO = "evenkeel.apphost.release_info"


class Attempt(ActionModule):
    """The action with a module that ends as the test says."""

    def __init__(self, end: dict[str, t.Any] | Exception, action: t.Any = None) -> None:
        task = Task()
        task.args = {"module": INFO, "options": {"apps": ["shop"]}}
        task.check_mode = False
        super().__init__(task, MagicMock(), MagicMock(), MagicMock(), MagicMock(), None)
        self.plugin = action
        self.end = end
        self.asked: list[tuple[str, dict[str, t.Any]]] = []

    def _action(self, name: str, options: dict[str, t.Any]) -> t.Any:
        return self.plugin

    def _execute_module(self, name: str, module_args: dict[str, t.Any], **_options: t.Any) -> dict[str, t.Any]:
        self.asked.append((name, module_args))
        if isinstance(self.end, Exception):
            raise self.end
        return self.end


@pytest.mark.parametrize(
    ("end", "answer"),
    [
        ({"changed": True, "apps": {}}, {"changed": True, "apps": {}, "failed": False}),
        ({"failed": True, "msg": "no", "log_lines": ["x"]}, {"msg": "no", "log_lines": ["x"], "failed": False}),
        (
            {"failed": True, "msg": "crashed", "exception": "Traceback", "rc": 1},
            {"msg": "crashed", "rc": 1, "failed": False},
        ),
        (AnsibleConnectionFailure("no route"), {"changed": False, "lost": "no route"}),
        (AnsibleError("Missing sudo password"), {"changed": False, "msg": "Missing sudo password"}),
    ],
    ids=["good", "failed", "crashed", "lost", "refused"],
)
def test_every_end_is_an_answer(end: dict[str, t.Any] | Exception, answer: dict[str, t.Any]) -> None:
    action = Attempt(end)
    assert action.run(task_vars={}) == answer
    assert action.asked == [(INFO, {"apps": ["shop"]})]


def test_an_action_plugin_of_that_name_is_run_as_a_task_would() -> None:
    class Action:
        def run(self, task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
            raise AnsibleActionFail(f"no {task_vars['what']}")

    action = Attempt({}, Action())
    assert action.run(task_vars={"what": "luck"}) == {"changed": False, "msg": "no luck"}
    assert action.asked == []


def test_the_action_plugin_gets_the_options_and_the_module_without_one_has_none() -> None:
    action = ActionModule(Task(), MagicMock(), MagicMock(), MagicMock(), MagicMock(), None)
    found = action._action(INFO, {"apps": ["shop"]})
    assert isinstance(found, release_info.ActionModule)
    assert found._task.args == {"apps": ["shop"]}
    assert action._action("evenkeel.apphost.haproxy_server", {}) is None
