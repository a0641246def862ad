# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module and give back whatever comes of it, a failure or a lost connection too, as an answer to be judged.

`failed_when: false` with `ignore_unreachable: true` does much the same, but shows a lost host with the results of all
others, and drops the message of a module that crashed.
"""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

ARGUMENT_SPEC: dict[str, t.Any] = {
    "module": {"type": "str", "required": True},
    "options": {"type": "dict", "default": {}},
}


class ActionModule(ActionBase):
    """The action behind ``evenkeel.apphost.attempt``."""

    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Return what the module returned, or ``lost`` with the reason why it could not be asked."""
        super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        try:
            answer = self._carry_out(arguments["module"], arguments["options"], task_vars)
        except AnsibleConnectionFailure as error:
            return {"changed": False, "lost": str(error.message)}
        except AnsibleError as error:
            return {"changed": False, "msg": str(error.message)}
        # Without `failed`, Ansible takes the `rc` of a module that crashed for its verdict.
        return {**{key: value for key, value in answer.items() if key != "exception"}, "failed": False}

    def _carry_out(self, name: str, options: dict[str, t.Any], task_vars: dict[str, t.Any] | None) -> dict[str, t.Any]:
        action = self._action(name, options)
        if action:
            return dict(action.run(task_vars=task_vars))
        result: dict[str, t.Any] = self._execute_module(name, module_args=options, task_vars=task_vars)
        return result

    def _action(self, name: str, options: dict[str, t.Any]) -> ActionBase | None:
        """The action plugin that a task of this module would run; None when there is none, and the module is all."""
        task = self._task.copy()
        task.args = options
        action: ActionBase | None = self._shared_loader_obj.action_loader.get(
            name,
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        return action
