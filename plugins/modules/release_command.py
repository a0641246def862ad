#!/usr/bin/python
# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_command
short_description: Run a staged release's release command
version_added: 0.1.0
author: The Evenkeel engineers (@evenkeel)
description:
  - Runs the app's C(release_command) (a database migration, for example) from the staged release, with its
    environment and runtime, as the app's user.
  - A rollout runs it once, on one host, after staging and before the first host is drained. A rollout that is run
    again after an interruption runs it again, so it has to bear that.
extends_documentation_fragment:
  - evenkeel.apphost._attributes
attributes:
  check_mode:
    support: full
    description: The command is not run; C(changed) says that it would be.
  diff_mode:
    support: none
  idempotent:
    support: none
    description: Whether something changed is the command's own business; the module always says so.
options:
  app:
    description: Name of the app.
    type: str
    required: true
  release:
    description: Id of the release. M(evenkeel.apphost.release_stage) must have put it on the host.
    type: str
    required: true
  timeout:
    description: Seconds after which the command is stopped.
    type: int
    default: 600
seealso:
  - module: evenkeel.apphost.release_stage
"""

EXAMPLES = r"""
- name: Migrate the database
  evenkeel.apphost.release_command:
    app: shop
    release: v1.4.2-3f9c01b2aa
"""

RETURN = r"""
log_lines:
  description: The last 20 lines that the command printed.
  returned: always
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import run_module, runner
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import AppLayout
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.command import run_release_command
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.manifest import read_manifest

SPEC: dict[str, t.Any] = {
    "app": {"type": "str", "required": True},
    "release": {"type": "str", "required": True},
    "timeout": {"type": "int", "default": 600},
}


def work(module: AnsibleModule) -> dict[str, t.Any]:
    """Run the command; without one there is nothing to do."""
    if module.check_mode:
        return {"changed": True, "log_lines": []}
    layout = AppLayout(module.params["app"])
    manifest = read_manifest(layout, module.params["release"])
    if not manifest["release_command"]:
        return {"changed": False, "log_lines": []}
    lines = run_release_command(layout, manifest, module.params["timeout"], runner(module))
    return {"changed": True, "log_lines": lines}


def main() -> None:
    """The module's entry."""
    run_module(SPEC, work)


if __name__ == "__main__":
    main()
