#!/usr/bin/python
# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: app_host_layout
short_description: Prepare a host for apps
version_added: 0.1.0
author: The Evenkeel engineers (@evenkeel)
description:
  - Makes what every app needs before its first release, for all apps in one call. A system user and group without
    login, the folders of releases, state, data and logs with their owners and modes, kernel settings and limits.
  - Makes the system account C(apphost-build), too, without login, home or rights; it fetches and builds dependencies.
  - Users and groups that exist are left as they are. Folders of apps that are not named are not touched.
extends_documentation_fragment:
  - evenkeel.apphost._attributes
  - evenkeel.apphost._attributes.changes
options:
  apps:
    description: Apps, as the filter P(evenkeel.apphost.resolve_apps#filter) returns them.
    type: list
    elements: dict
    required: true
  sysctl:
    description:
      - Kernel settings for C(/etc/sysctl.d/60-apphost.conf), set at once and at every boot. Without any the file is
        removed.
      - A setting that is taken out keeps its value until the next boot.
    type: dict
    default: {}
  limits:
    description:
      - Limits for sessions of the apps' users (cron, C(su), C(sudo)), such as C(nofile), for
        C(/etc/security/limits.d/60-apphost.conf). Without any the file is removed.
      - Instances have their own, from C(processes.<name>.file_limit) and C(memory_max).
    type: dict
    default: {}
seealso:
  - module: evenkeel.apphost.systemd_units
"""

EXAMPLES = r"""
- name: Prepare the host
  evenkeel.apphost.app_host_layout:
    apps: "{{ apphost_apps | evenkeel.apphost.resolve_apps }}"
    sysctl:
      net.core.somaxconn: 8192
    limits:
      nofile: 65536
"""

RETURN = r"""
made:
  description: What was not as it should be, such as C(folder /srv/apphost/shop).
  returned: success
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.evenkeel.apphost.plugins.module_utils.app_host import bring_about, steps
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import run_module, runner

SPEC: dict[str, t.Any] = {
    "apps": {"type": "list", "elements": "dict", "required": True},
    "sysctl": {"type": "dict", "default": {}},
    "limits": {"type": "dict", "default": {}},
}


def work(module: AnsibleModule) -> dict[str, t.Any]:
    """Compare, and unless in check mode make it so."""
    wanted = steps(module.params["apps"], module.params["sysctl"], module.params["limits"], runner(module))
    differences = bring_about(wanted, module.check_mode)
    return {
        "changed": bool(differences),
        "made": [difference["after_header"] for difference in differences],
        "diff": differences,
    }


def main() -> None:
    """The module's entry."""
    run_module(SPEC, work)


if __name__ == "__main__":
    main()
