#!/usr/bin/python
# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: attempt
short_description: Run a module and take whatever comes of it for an answer
version_added: 0.1.0
author: The Evenkeel engineers (@evenkeel)
description:
  - Runs a module on the host. The task never fails. A failure and a host that cannot be reached are answers like any
    other, for a later task to judge all of them together.
  - An answer is good when it has a key that the module returns on success only.
extends_documentation_fragment:
  - evenkeel.apphost._attributes
attributes:
  check_mode:
    support: partial
    details: As the module that is run.
  diff_mode:
    support: partial
    details: As the module that is run.
  idempotent:
    support: partial
    details: As the module that is run.
options:
  module:
    description: The module, by its full name.
    type: str
    required: true
  options:
    description: Its options.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Ask every host what it runs
  evenkeel.apphost.attempt:
    module: evenkeel.apphost.release_info
    options:
      apps: [shop]
  register: answer

- name: Name the hosts that did not answer
  evenkeel.apphost.report:
    lines: "{{ [inventory_hostname ~ ': ' ~ (answer.lost | default(answer.msg))] }}"
  when: answer.apps is not defined
"""

RETURN = r"""
lost:
  description: Why the host could not be reached. Everything else is what the module returned.
  returned: when it could not
  type: str
  sample: "Failed to connect to the host via ssh: No route to host"
"""
