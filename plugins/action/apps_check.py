# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check the apps on the controller, before anything else.

The filters do that too, wherever a role reads the apps; but the error of a filter reaches people wrapped into those
of everything that called it.
"""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleActionFail, AnsibleFilterError
from ansible.plugins.action import ActionBase
from ansible_collections.evenkeel.apphost.plugins.filter.resolve_apps import resolve_apps
from ansible_collections.evenkeel.apphost.plugins.filter.select_apps import select_apps

ARGUMENT_SPEC: dict[str, t.Any] = {
    # Raw: whatever they are, the filter says best what is wrong.
    "apps": {"type": "raw", "required": True},
    "secrets": {"type": "raw", "no_log": True},
    "base_dir": {"type": "path"},
    "only": {"type": "raw"},
}


class ActionModule(ActionBase):
    """The action behind ``evenkeel.apphost.apps_check``."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Fail with every mistake; nothing ever changes."""
        super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        try:
            apps = resolve_apps(arguments["apps"], arguments["secrets"], arguments["base_dir"])
            select_apps(apps, arguments["only"])
        except AnsibleFilterError as error:
            raise AnsibleActionFail(error.message) from None
        return {"changed": False}
