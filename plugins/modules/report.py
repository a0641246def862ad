#!/usr/bin/python
# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: report
short_description: Print lines to the person who runs the playbook
version_added: 0.1.0
author: The Evenkeel engineers (@evenkeel)
description:
  - Prints a title and lines as they are, which C(ansible.builtin.debug) cannot do.
  - Runs on the controller only; no host is contacted.
extends_documentation_fragment:
  - evenkeel.apphost._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  title:
    description: A heading above the lines.
    type: str
  lines:
    description: The lines, without line ends.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Say what the rollout will do
  evenkeel.apphost.report:
    title: Plan
    lines: "{{ rollout_plan.lines }}"
"""

RETURN = r""" # """
