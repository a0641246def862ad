# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print lines to the person who runs the playbook, as they are; runs on the controller, in a hundredth of a second."""

from __future__ import annotations

import typing as t

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display


class ActionModule(ActionBase):
    """The action behind ``evenkeel.apphost.report``."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Show ``title`` and ``lines``; nothing ever changes."""
        super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(
            argument_spec={"title": {"type": "str"}, "lines": {"type": "list", "elements": "str", "required": True}}
        )
        display = Display()
        if arguments["title"]:
            display.display(f"\n{arguments['title']}", color="bright purple")
        for line in arguments["lines"]:
            display.display(f"  {line}")
        return {"changed": False}
