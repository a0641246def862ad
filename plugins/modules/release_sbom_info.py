#!/usr/bin/python
# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_sbom_info
short_description: Say what the live releases of apps are made of
version_added: 0.1.0
author: The Evenkeel engineers (@evenkeel)
description:
  - Returns a software bill of materials (SBOM) of each app's live release, as CycloneDX 1.6. It has the packages that
    were installed on this host, with their versions, hashes, licenses and package URLs as the lockfile has them, and
    the runtime.
  - Equal releases on hosts of the same platform give equal documents.
extends_documentation_fragment:
  - evenkeel.apphost._attributes
  - evenkeel.apphost._attributes.info
options:
  apps:
    description: Names of the apps.
    type: list
    elements: str
    required: true
notes:
  - Needs root on the host, as releases can only be read by it and by the app's group.
seealso:
  - module: evenkeel.apphost.release_info
  - module: evenkeel.apphost.lockfile_install
    description: Returns the same of any folder that it installs into.
"""

EXAMPLES = r"""
- name: Ask what the shop is made of
  evenkeel.apphost.release_sbom_info:
    apps: [shop]
  become: true
  register: materials

- name: Keep it at the controller
  ansible.builtin.copy:
    content: "{{ materials.releases.shop.sbom | to_nice_json }}"
    dest: "{{ inventory_hostname }}-shop.cdx.json"
    mode: "0644"
  delegate_to: localhost
"""

RETURN = r"""
releases:
  description: What is known of each app, by name. An app that has no live release is not there.
  returned: success
  type: dict
  contains:
    release:
      description: Id of the live release.
      type: str
      sample: 1.4.2-20d17d6f5f
    sbom:
      description: The bill of materials, CycloneDX 1.6 as JSON.
      type: dict
"""

import typing as t
from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import run_module
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import AppLayout
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.materials import of_live

ARGUMENT_SPEC: dict[str, t.Any] = {"apps": {"type": "list", "elements": "str", "required": True}}


def work(module: AnsibleModule) -> dict[str, t.Any]:
    """Look and report."""
    found = {name: of_live(AppLayout(name)) for name in module.params["apps"]}
    return {"changed": False, "releases": {name: asdict(one) for name, one in found.items() if one}}


def main() -> None:
    """Enter."""
    run_module(ARGUMENT_SPEC, work)


if __name__ == "__main__":
    main()
