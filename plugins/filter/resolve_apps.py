# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter ``resolve_apps``: from the user's ``apphost_apps`` to checked and complete apps."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence

from ansible.errors import AnsibleFilterError
from ansible.release import __version__ as ansible_version
from ansible_collections.evenkeel.apphost.plugins.module_utils.app_model import resolve
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from jinja2 import Undefined

DOCUMENTATION = r"""
name: resolve_apps
short_description: Check the apps and fill in what they leave out
version_added: 0.1.0
author: The Evenkeel engineers (@evenkeel)
description:
  - Takes the list O(_input), which users write as C(apphost_apps), and returns it checked and complete.
    Defaults are filled in, and what follows from them is added, such as instances, unit names and paths.
  - Every mistake is reported at once, one a line, each with its exact path.
    For example C(apphost_apps[0].processes.web.port), followed by C(70000 is not in 1..65535).
  - Every key is described in C(docs/apps.md).
  - Resolving what this filter returned gives the same again.
positional: _input
options:
  _input:
    description: The apps, as in C(apphost_apps).
    type: list
    elements: dict
    required: true
  secrets:
    description:
      - The secrets of the apps, as in C(apphost_secrets). One mapping of variable names to values for each app.
      - They are checked only. An app must exist for them, and none may have the name of a variable in its C(env).
        They are never part of the result, and no message shows a value.
    type: dict
  base_dir:
    description:
      - The folder on the controller where relative source paths start.
      - Without it, the filter leaves paths as they are written.
    type: path
notes:
  - Numbers must be numbers. The string C("3000") is refused where an integer is wanted.
    In ansible-core 2.17 and 2.18 a template always gives a string, unless native Jinja is switched on.
    There, and only there, strings of digits are accepted, so that C(port) can come from a template.
seealso:
  - plugin: evenkeel.apphost.select_apps
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Show the ports of every app
  ansible.builtin.debug:
    msg: "{{ item.instances | map(attribute='port') }}"
  loop: "{{ apphost_apps | evenkeel.apphost.resolve_apps }}"
  loop_control:
    label: "{{ item.name }}"

- name: Check the apps and their secrets before anything else
  ansible.builtin.set_fact:
    apps: "{{ apphost_apps | evenkeel.apphost.resolve_apps(secrets=apphost_secrets, base_dir=inventory_dir) }}"
"""

RETURN = r"""
_value:
  description: The apps in the order given, complete, as plain data. Every key is described in C(docs/apps.md).
  type: list
  elements: dict
"""

# Before data tagging (ansible-core 2.19), Jinja turned the result of every template into a string.
TEMPLATES_GIVE_STRINGS = tuple(int(part) for part in ansible_version.split(".")[:2]) < (2, 19)


def plain(value: t.Any) -> t.Any:
    """The same data without what Ansible adds to it: tags, lazy containers, vaulted values.

    ``str`` also decrypts what vault encrypted, and raises Ansible's own error for an undefined variable.
    """
    if isinstance(value, (str, Undefined)) or getattr(value, "__ENCRYPTED__", False):
        return str(value)
    if isinstance(value, Mapping):
        return {plain(key): plain(content) for key, content in value.items()}
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    return value


def resolve_apps(apps: t.Any, secrets: t.Any = None, base_dir: str | None = None) -> list[dict[str, t.Any]]:
    """The filter itself; see its documentation above."""
    try:
        return resolve.resolve_apps(plain(apps), plain(secrets), plain(base_dir), TEMPLATES_GIVE_STRINGS)
    except ApphostError as error:
        raise AnsibleFilterError(error.message) from None


class FilterModule:
    """What Ansible looks for in a filter file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"resolve_apps": resolve_apps}
