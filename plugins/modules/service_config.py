#!/usr/bin/python
# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: service_config
short_description: A program with its configuration, in one call
version_added: 0.1.0
author: The Evenkeel engineers (@evenkeel)
description:
  - Installs a program's packages, writes its configuration, and has its service running with it, now and at boot.
  - The program itself checks the new files as a part of its complete configuration before they are in force.
    For that they lie in their places in a mount namespace which only O(check) sees.
  - When they are refused, none is written, the service goes on with what it has, and the program's words are the error.
  - A new package does not start its service before the configuration is there.
  - A run that was interrupted after it wrote files is finished by the next one. The service is told then.
extends_documentation_fragment:
  - evenkeel.apphost._attributes
  - evenkeel.apphost._attributes.changes
options:
  service:
    description: The unit, such as C(nginx.service). Without one, files are written and no more.
    type: str
  running:
    description: Whether the unit runs, now and at boot. V(false) stops and disables it before files are removed.
    type: bool
    default: true
  packages:
    description: Debian packages that are needed. They are installed without those they only recommend.
    type: list
    elements: str
    default: []
  folders:
    description: Folders to make, owned by root with mode C(0755). One that is there is left as it is.
    type: list
    elements: path
    default: []
  files:
    description: Files, owned by root. Missing folders above them are made.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Where it is.
        type: path
        required: true
      content:
        description: What is in it.
        type: str
        required: true
      mode:
        description: Its mode, in octal digits.
        type: str
        default: "0644"
  absent:
    description: Files to remove. Paths may be patterns. A file of O(files) stays, whatever matches.
    type: list
    elements: path
    default: []
  check:
    description: Command that exits with 0 when the files are good. It needs no shell and is given as a list.
    type: list
    elements: str
    default: []
  on_change:
    description: What the unit does, if it runs already, to take over changed files. Without it, it needs nothing.
    type: str
    choices: [reload, restart]
notes:
  - Checking needs C(unshare) of util-linux and the right to mount. Root has it outside of tightly confined containers.
"""

EXAMPLES = r"""
- name: Serve the app
  evenkeel.apphost.service_config:
    service: nginx.service
    packages: [nginx]
    files:
      - path: /etc/nginx/conf.d/shop.conf
        content: "{{ lookup('ansible.builtin.template', 'shop.conf.j2') }}"
    absent: [/etc/nginx/sites-enabled/default]
    check: [nginx, -t, -q]
    on_change: reload
"""

RETURN = r"""
done:
  description: What was not as it should be, in the order it was dealt with.
  returned: success
  type: list
  elements: str
  sample: [package nginx, write /etc/nginx/conf.d/shop.conf, enable nginx.service, start nginx.service]
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.evenkeel.apphost.plugins.module_utils.apt import Apt
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, run_module, runner
from ansible_collections.evenkeel.apphost.plugins.module_utils.service_config import File, ServiceConfig, Wanted
from ansible_collections.evenkeel.apphost.plugins.module_utils.supervisor.systemd import Systemd

FILE: dict[str, t.Any] = {
    "path": {"type": "path", "required": True},
    "content": {"type": "str", "required": True},
    "mode": {"type": "str", "default": "0644"},
}
SPEC: dict[str, t.Any] = {
    "service": {"type": "str"},
    "running": {"type": "bool", "default": True},
    "packages": {"type": "list", "elements": "str", "default": []},
    "folders": {"type": "list", "elements": "path", "default": []},
    "files": {"type": "list", "elements": "dict", "default": [], "options": FILE},
    "absent": {"type": "list", "elements": "path", "default": []},
    "check": {"type": "list", "elements": "str", "default": []},
    "on_change": {"type": "str", "choices": ["reload", "restart"]},
}


def read_mode(text: str, path: str) -> int:
    """``"0644"`` -> 0o644."""
    try:
        return int(text, 8)
    except ValueError:
        raise ApphostError(f"mode {text!r} is not octal digits", path) from None


def work(module: AnsibleModule) -> dict[str, t.Any]:
    """Compare, and unless in check mode bring about."""
    given = dict(module.params)
    files = [File(one["path"], one["content"], read_mode(one["mode"], one["path"])) for one in given.pop("files")]
    run = runner(module)
    outcome = ServiceConfig(run, Apt(run), Systemd(run)).bring_about(Wanted(files=files, **given), module.check_mode)
    return {
        "changed": bool(outcome.done),
        "done": outcome.done,
        "diff": [change.as_diff() for change in outcome.changes],
    }


def main() -> None:
    """The module's entry."""
    run_module(SPEC, work)


if __name__ == "__main__":
    main()
