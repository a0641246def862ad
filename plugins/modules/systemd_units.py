#!/usr/bin/python
# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: systemd_units
short_description: Define the processes of apps as systemd units
version_added: 0.1.0
author: The Evenkeel engineers (@evenkeel)
description:
  - Writes one template unit a process and one target an app, checks them with C(systemd-analyze verify) before they are
    in force, reloads systemd when something changed and enables the targets, all in one call.
  - Restarts nothing. What runs goes on with the definition it was started with, until its next activation or restart.
  - An instance is confined so far that C(systemd-analyze security) rates it 1.3 on Debian 12. It reads the whole system
    but the homes, writes its data folder, its log folder and a private C(/tmp), and uses the network freely.
  - Units of a process that an app no longer has stay where they are. A rollback may need them, and no instance of them
    starts unless an activation enables it. Units of apps that are not named stay too; see O(absent).
extends_documentation_fragment:
  - evenkeel.apphost._attributes
  - evenkeel.apphost._attributes.changes
options:
  apps:
    description: Apps, as the filter P(evenkeel.apphost.resolve_apps#filter) returns them.
    type: list
    elements: dict
    required: true
  absent:
    description: Names of apps that are to be stopped now and whose units are to be deleted. Their files stay.
    type: list
    elements: str
    default: []
  restart_delay:
    description: Seconds between the end of a process and its restart.
    type: float
    default: 1
  restart_delay_max:
    description:
      - The delay grows in steps up to this many seconds while a process keeps ending.
      - Needs systemd 254 (Debian 13, Ubuntu 24.04). Before, the delay stays as it is.
    type: float
    default: 30
  start_limit:
    description: After so many starts within O(start_limit_interval) an instance is left failed. V(0) means no limit.
    type: int
    default: 60
  start_limit_interval:
    description: Seconds.
    type: float
    default: 300
  slice:
    description: The systemd slice of all instances, for limits they share. By default each process has its own.
    type: str
  environment:
    description: Variables for every instance. An app's own environment and secrets win over them.
    type: dict
    default: {}
  ca_file:
    description: File on the host with certificates of authorities that Node.js apps trust besides the well-known ones.
    type: path
  extra:
    description:
      - Further directives of the section C([Service]), by C(<app>/<process>). They replace those of the same name; a
        list gives one several times.
      - Drop-ins work too, and this module leaves them alone.
    type: dict
    default: {}
seealso:
  - module: evenkeel.apphost.release_activate
"""

EXAMPLES = r"""
- name: Define the processes
  evenkeel.apphost.systemd_units:
    apps: "{{ apphost_apps | evenkeel.apphost.resolve_apps }}"
    extra:
      shop/web:
        ProtectHome: read-only
        SystemCallFilter: "@system-service @pkey"
"""

RETURN = r"""
units:
  description: Units that were written or deleted, in check mode those that would be.
  returned: success
  type: list
  elements: str
  sample: [apphost-shop-web@.service, apphost-shop.target]
stopped:
  description: Instances of absent apps that were stopped.
  returned: success
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, run_module, runner
from ansible_collections.evenkeel.apphost.plugins.module_utils.supervisor.systemd import Systemd
from ansible_collections.evenkeel.apphost.plugins.module_utils.supervisor.unit_files import UnitFiles
from ansible_collections.evenkeel.apphost.plugins.module_utils.supervisor.units import UnitOptions, app_units

OPTIONS: dict[str, t.Any] = {
    "restart_delay": {"type": "float", "default": 1},
    "restart_delay_max": {"type": "float", "default": 30},
    "start_limit": {"type": "int", "default": 60},
    "start_limit_interval": {"type": "float", "default": 300},
    "slice": {"type": "str"},
    "environment": {"type": "dict", "default": {}},
    "ca_file": {"type": "path"},
    "extra": {"type": "dict", "default": {}},
}
SPEC: dict[str, t.Any] = {
    "apps": {"type": "list", "elements": "dict", "required": True},
    "absent": {"type": "list", "elements": "str", "default": []},
    **OPTIONS,
}


def work(module: AnsibleModule) -> dict[str, t.Any]:
    """Compare, check, and unless in check mode carry out."""
    apps, absent = module.params["apps"], module.params["absent"]
    both = sorted({app["name"] for app in apps} & set(absent))
    if both:
        raise ApphostError("is both defined and absent", both[0], "Take it out of one of the two.")
    known = {f"{app['name']}/{process}" for app in apps for process in app["processes"]}
    unknown = sorted(set(module.params["extra"]) - known)
    if unknown:
        raise ApphostError("is no process of these apps", f"extra: {unknown[0]}", "Write <app>/<process>.")
    run = runner(module)
    files = UnitFiles(run, Systemd(run))
    options = UnitOptions(systemd_version=files.version(), **{name: module.params[name] for name in OPTIONS})
    wanted: dict[str, str] = {}
    for app in apps:
        wanted.update(app_units(app, options))
    plan = files.plan(wanted, absent)
    if plan.changes:
        files.check(wanted)
    if plan.changed and not module.check_mode:
        files.carry_out(plan)
    return {
        "changed": plan.changed,
        "units": [change.unit for change in plan.changes],
        "stopped": plan.stop,
        "diff": [change.as_diff() for change in plan.changes],
    }


def main() -> None:
    """The module's entry."""
    run_module(SPEC, work)


if __name__ == "__main__":
    main()
