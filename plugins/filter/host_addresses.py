# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter ``host_addresses``: inventory hosts as the servers of a balancer."""

from __future__ import annotations

import typing as t

DOCUMENTATION = r"""
name: host_addresses
short_description: Hosts of the inventory with the addresses at which a balancer reaches them
version_added: 0.1.0
author: The Evenkeel engineers (@evenkeel)
description:
  - Takes inventory names and returns each with its C(apphost_address), else its C(ansible_host), else its name.
positional: _input, hostvars
options:
  _input:
    description: Inventory names.
    type: list
    elements: str
    required: true
  hostvars:
    description: Ansible's C(hostvars).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Show where the balancer sends requests
  ansible.builtin.debug:
    msg: "{{ groups['app_hosts'] | evenkeel.apphost.host_addresses(hostvars) }}"
"""

RETURN = r"""
_value:
  description: The hosts, in their order.
  type: list
  elements: dict
  contains:
    name:
      description: The inventory name.
      type: str
    address:
      description: The address or host name.
      type: str
"""


def host_addresses(hosts: t.Iterable[str], hostvars: t.Mapping[str, t.Mapping[str, t.Any]]) -> list[dict[str, str]]:
    """The filter itself; see its documentation above."""
    return [{"name": host, "address": _address(host, hostvars[host])} for host in hosts]


def _address(host: str, variables: t.Mapping[str, t.Any]) -> str:
    return str(variables.get("apphost_address") or variables.get("ansible_host") or host)


class FilterModule:
    """What Ansible looks for in a filter file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {"host_addresses": host_addresses}
