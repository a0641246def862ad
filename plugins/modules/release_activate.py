#!/usr/bin/python
# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_activate
short_description: Make a staged release the one that runs, or put the old one back
version_added: 0.1.0
author: The Evenkeel engineers (@evenkeel)
description:
  - Switches C(current) to the release, restarts all instances of the app at once and waits until each of them
    is proven to run it. If one is not, the old release is put back, restarted and proven, and the module fails
    saying why, with the last log lines.
  - An instance is proven when its process runs from the release (its working directory says so) and that same
    process names the release in its answer to the health check, by default in the header C(X-Apphost-Release).
    Once is enough. A process that names no release has to pass the check C(consecutive) times in a row, and one
    that no health check is for has to stay alive for 0.3 seconds (2 seconds in an app without any health check).
  - Gives up early when an instance crashes twice, without waiting for the rest of its time.
  - From the switch on the module runs to its end, even if the connection or the controller dies. A host that dies is
    made safe by running the module again, with the same release or another one.
  - Drain the host on its balancers before, if a lost request matters.
  - If the release is live and every instance runs it, nothing is touched. If only some instances run it,
    only the others are restarted.
extends_documentation_fragment:
  - evenkeel.apphost._attributes
  - evenkeel.apphost._attributes.changes
options:
  app:
    description: Name of the app.
    type: str
    required: true
  release:
    description:
      - Id of the release. M(evenkeel.apphost.release_stage) must have put it on the host.
      - Everything else (instances, health check, user) is taken from the release's own manifest.
    type: str
    required: true
  health_timeout:
    description: Seconds that the new and the old release each get to be proven, instead of what its own check says.
    type: float
  health_host:
    description: Host header of the health checks.
    type: str
    default: localhost
seealso:
  - module: evenkeel.apphost.release_stage
  - module: evenkeel.apphost.release_info
"""

EXAMPLES = r"""
- name: Make the staged release live
  evenkeel.apphost.release_activate:
    app: shop
    release: v1.4.2-3f9c01b2aa
"""

RETURN = r"""
release:
  description: The release that is live after this call.
  returned: success
  type: str
  sample: v1.4.2-3f9c01b2aa
previous:
  description: The release that was live before; null if there was none.
  returned: success
  type: str
  sample: v1.4.1-90d1c52e07
restarted:
  description: Units that were restarted, in check mode those that would be.
  returned: success
  type: list
  elements: str
  sample: [apphost-shop-web@3000.service]
instances:
  description: The instances of the release, each with its process, id, port and unit.
  returned: success
  type: list
  elements: dict
  sample: [{process: web, id: "3000", port: 3000, unit: apphost-shop-web@3000.service}]
seconds:
  description:
    - How long the phases took.
    - After a failure they are those of the failed release, and C(revert) is how long going back took.
  returned: always, when the host was ready for the release
  type: dict
  contains:
    stop_start:
      description: From the switch until every program was executed.
      type: float
    verify:
      description: From there until every instance was proven.
      type: float
    total:
      description: All of the critical part.
      type: float
  sample: {stop_start: 0.21, verify: 0.34, total: 0.58}
reverted:
  description: The old release is live again and proven.
  returned: failure
  type: bool
untouched:
  description: Nothing was changed, and what was live before runs on. Not told when something was changed.
  returned: failure
  type: bool
live:
  description: The release that is live now; null if there is none.
  returned: failure
  type: str
failed_instance:
  description: The unit that gave the reason to go back; null when it was not about one instance.
  returned: failure
  type: str
reason:
  description: Why the release was given up.
  returned: failure
  type: str
  sample: "instance web 3001: its program ended 2 times (exit-code, exit status 1)"
log_lines:
  description: The last 20 lines that the failing instance wrote since its restart.
  returned: failure
  type: list
  elements: str
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import run_module, runner
from ansible_collections.evenkeel.apphost.plugins.module_utils.health import ask_all
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import AppLayout
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.activate import Activation, Host
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.journal import Journal
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.verify import Probe
from ansible_collections.evenkeel.apphost.plugins.module_utils.supervisor.procfs import release_of
from ansible_collections.evenkeel.apphost.plugins.module_utils.supervisor.systemd import Systemd

SPEC: dict[str, t.Any] = {
    "app": {"type": "str", "required": True},
    "release": {"type": "str", "required": True},
    "health_timeout": {"type": "float"},
    "health_host": {"type": "str", "default": "localhost"},
}


def work(module: AnsibleModule) -> dict[str, t.Any]:
    """Activate, or say in check mode what would be done."""
    layout = AppLayout(module.params["app"])
    supervisor = Systemd(runner(module))
    host = Host(
        supervisor=supervisor,
        probe=Probe(supervisor.states, lambda pid: release_of(pid, layout), ask_all),
        journal=Journal(layout.journal),
    )
    activation = Activation(
        layout, module.params["release"], host, module.params["health_timeout"], module.params["health_host"]
    )
    return activation.result(activation.plan()) if module.check_mode else activation.run()


def main() -> None:
    """The module's entry."""
    run_module(SPEC, work)


if __name__ == "__main__":
    main()
