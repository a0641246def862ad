# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bundle apps on the controller. No host is asked, and the secrets do not leave this process."""

from __future__ import annotations

import os
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.bundle import bundle_apps
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.secrets import read_secrets

ARGUMENT_SPEC: dict[str, t.Any] = {
    "apps": {"type": "list", "elements": "dict", "required": True},
    "secrets": {"type": "dict", "default": {}, "no_log": True},
    "dest": {"type": "path", "required": True},
}


class ActionModule(ActionBase):
    """The action behind ``evenkeel.apphost.release_bundle``."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, t.Any] | None = None) -> dict[str, t.Any]:
        """Return ``releases`` and ``bundles``. Never changed: bundles are a cache, a new one changes no host."""
        super().run(tmp, task_vars)
        _result, arguments = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        dest = os.path.abspath(arguments["dest"])
        try:
            secrets = read_secrets(arguments["secrets"])
            bundles = bundle_apps(arguments["apps"], secrets, dest, write=not self._task.check_mode)
        except ApphostError as error:
            raise AnsibleActionFail(error.message) from None
        return {
            "changed": False,
            "releases": {app: bundle.manifest for app, bundle in bundles.items()},
            "bundles": {app: bundle.path for app, bundle in bundles.items()},
        }
