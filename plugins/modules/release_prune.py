#!/usr/bin/python
# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_prune
short_description: Remove old releases of an app from a host
version_added: 0.1.0
author: The Evenkeel engineers (@evenkeel)
description:
  - Keeps the newest releases, in the order of the app's activation journal, and removes the others.
  - Never removes the live release, the last good one before it, or one that an interrupted activation is about,
    however many that are and however old.
  - Removes what killed runs left behind, and built dependency trees that no release was made from for a month.
extends_documentation_fragment:
  - evenkeel.apphost._attributes
  - evenkeel.apphost._attributes.changes
options:
  app:
    description: Name of the app.
    type: str
    required: true
  keep:
    description: How many releases to keep, at least 1. The live and the last good one are counted.
    type: int
    default: 5
notes:
  - Needs root on the host.
seealso:
  - module: evenkeel.apphost.release_stage
  - module: evenkeel.apphost.release_info
"""

EXAMPLES = r"""
- name: Keep the five newest releases
  evenkeel.apphost.release_prune:
    app: shop
    keep: 5
  become: true
"""

RETURN = r"""
kept:
  description: Ids of the releases that stay, newest first.
  returned: success
  type: list
  elements: str
  sample: [1.4.2-20d17d6f5f, 1.4.1-0b1de6a1c2]
pruned:
  description: Ids of the releases that were removed, or would be in check mode, newest first.
  returned: success
  type: list
  elements: str
  sample: [1.3.0-77aa41c0de]
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, run_module
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import AppLayout
from ansible_collections.evenkeel.apphost.plugins.module_utils.release import host
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.prune import choose, prune

ARGUMENT_SPEC: dict[str, t.Any] = {
    "app": {"type": "str", "required": True},
    "keep": {"type": "int", "default": 5},
}


def work(module: AnsibleModule) -> dict[str, t.Any]:
    """Choose, remove, report."""
    layout = AppLayout(module.params["app"])
    keep = module.params["keep"]
    if keep < 1:
        raise ApphostError(f"{keep} is less than 1", "keep")
    choice = choose(layout, keep) if module.check_mode else prune(layout, keep)
    return {
        "changed": bool(choice.pruned),
        "kept": choice.kept,
        "pruned": choice.pruned,
        "diff": {
            "before": host.as_text(layout, sorted([*choice.kept, *choice.pruned])),
            "after": host.as_text(layout, sorted(choice.kept)),
        },
    }


def main() -> None:
    """Enter."""
    run_module(ARGUMENT_SPEC, work)


if __name__ == "__main__":
    main()
