# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter ``select_apps``: the apps that a person named."""

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.evenkeel.apphost.plugins.module_utils.app_model import resolve
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError

DOCUMENTATION = r"""
name: select_apps
short_description: Pick apps by name
version_added: 0.1.0
author: The Evenkeel engineers (@evenkeel)
description:
  - Takes resolved apps and returns those with the given names, in the order of the apps.
  - Fails when there is no app of a name.
positional: _input, names
options:
  _input:
    description: The apps that P(evenkeel.apphost.resolve_apps#filter) returned.
    type: list
    elements: dict
    required: true
  names:
    description:
      - The names, as a list or as a string with commas between them.
      - An empty list, an empty string or nothing at all means every app.
    type: raw
seealso:
  - plugin: evenkeel.apphost.resolve_apps
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Deploy only the apps named on the command line, with -e apps=shop,blog
  ansible.builtin.debug:
    msg: "{{ apphost_apps | evenkeel.apphost.resolve_apps | evenkeel.apphost.select_apps(apps | default('')) }}"
"""

RETURN = r"""
_value:
  description: The selected apps.
  type: list
  elements: dict
"""


def select_apps(apps: list[dict[str, t.Any]], names: str | list[str] | None = None) -> list[dict[str, t.Any]]:
    """The filter itself; see its documentation above."""
    try:
        return resolve.select_apps(apps, names)
    except ApphostError as error:
        raise AnsibleFilterError(error.message) from None


class FilterModule:
    """What Ansible looks for in a filter file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"select_apps": select_apps}
