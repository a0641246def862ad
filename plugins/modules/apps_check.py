#!/usr/bin/python
# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: apps_check
short_description: Check the definitions of apps before anything else
version_added: 0.1.0
author: The Evenkeel engineers (@evenkeel)
description:
  - Tells every mistake in C(apphost_apps) at once, one a line, each with its exact path.
  - The roles check the same by the filter P(evenkeel.apphost.resolve_apps#filter), whose errors Ansible wraps into many
    others. The playbooks therefore begin with this module.
  - Runs on the controller only; no host is contacted. Use it with C(run_once).
extends_documentation_fragment:
  - evenkeel.apphost._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
    details: Nothing is ever changed.
  idempotent:
    support: full
options:
  apps:
    description: The apps, as in C(apphost_apps).
    type: raw
    required: true
  secrets:
    description: The secrets of the apps, as in C(apphost_secrets). No message shows a value.
    type: raw
  base_dir:
    description: The folder on the controller where relative source paths start.
    type: path
  only:
    description: Names of apps that have to be among O(apps), as a list or as a string with commas between them.
    type: raw
seealso:
  - plugin: evenkeel.apphost.resolve_apps
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Check the apps
  evenkeel.apphost.apps_check:
    apps: "{{ apphost_apps }}"
    secrets: "{{ apphost_secrets | default({}) }}"
    base_dir: "{{ inventory_dir }}"
  run_once: true
"""

RETURN = r""" # """
