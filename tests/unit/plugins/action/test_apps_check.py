# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action apps_check: every mistake in words of its own, nothing around them."""

from __future__ import annotations

import typing as t
from unittest.mock import MagicMock

import pytest
from ansible.errors import AnsibleActionFail
from ansible.playbook.task import Task
from ansible_collections.evenkeel.apphost.plugins.action.apps_check import ActionModule


def check(apps: t.Any, **more: t.Any) -> dict[str, t.Any]:
    task = Task()
    task.args = {"apps": apps, **more}
    task.check_mode = False
    return ActionModule(task, MagicMock(), MagicMock(), MagicMock(), MagicMock(), None).run(task_vars={})


def app(**changes: t.Any) -> dict[str, t.Any]:
    return {
        "name": "hello",
        "source": {"type": "directory", "path": "hello"},
        "runtime": {"name": "nodejs", "version": "24.21.0"},
        "processes": {"web": {"command": "node server.js", "port": 3000}},
        **changes,
    }


def test_apps_without_a_mistake_are_let_through_and_never_returned() -> None:
    assert check([app()], base_dir="/srv", secrets={"hello": {"KEY": "hunter2"}}, only="hello") == {"changed": False}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"apps": {}}, "apphost_apps: "),
        ({"apps": [app(nmae="x")]}, "apphost_apps[0].nmae: unknown key; did you mean `name`?"),
        ({"apps": [app()], "only": ["shop"]}, "app shop is not defined in apphost_apps (defined: hello)"),
        ({"apps": [app()], "secrets": {"shop": {}}}, "apphost_secrets.shop"),
    ],
)
def test_a_mistake_is_told_from_the_first_word(given: dict[str, t.Any], expected: str) -> None:
    with pytest.raises(AnsibleActionFail) as caught:
        check(**given)
    assert str(caught.value.message).startswith(expected)
