# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look at the apps of a host with one short command, and judge here what it says."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import AppLayout
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.info import app_info
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.look import parse, script

ARGUMENT_SPEC: dict[str, t.Any] = {"apps": {"type": "list", "elements": "str", "required": True}}


class ActionModule(ActionBase):
    """The action behind ``evenkeel.apphost.release_info``."""

    _supports_check_mode = True
    _supports_diff = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Return what is documented in the module of this name."""
        super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        layouts = [AppLayout(name) for name in arguments["apps"]]
        answer = self._low_level_execute_command(script(layouts))
        try:
            looks = parse(answer["stdout"] + answer["stderr"])
        except ApphostError as error:
            raise AnsibleActionFail(error.message) from None
        return {
            "changed": False,
            "apps": {layout.name: app_info(layout, looks[layout.name]).as_dict() for layout in layouts},
        }
