# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Ansible inventory of a fleet: ``.dev/lab/<fleet>/hosts.yml``, with a link to group variables beside it.

What is true of every lab host stands in ``hosts.yml``, where any group variables override it.
"""

from __future__ import annotations

import json
import os
import typing as t
from collections.abc import Sequence
from pathlib import Path

from devtools import environment
from devtools.lab import keys
from devtools.paths import LAB, ROOT
from devtools.terminal import output_of

if t.TYPE_CHECKING:
    from devtools.lab.fleet import Host

GROUP_VARS = ROOT / "inventories" / "lab" / "group_vars"
GROUPS = {"app": "app_hosts", "lb": "balancers"}
"""The group of a host by the letters its name begins with; other hosts are in no group."""


def is_balancer(host: str) -> bool:
    """Whether a host's name makes it a balancer."""
    return _group(host) == "balancers"


def path(fleet: str) -> Path:
    """The inventory file of a fleet."""
    return LAB / fleet / "hosts.yml"


def write(fleet: str, hosts: Sequence[Host], group_vars: Path = GROUP_VARS) -> Path:
    """Write a fleet's inventory and link ``group_vars`` beside it; returns the inventory's path."""
    target = path(fleet)
    target.parent.mkdir(parents=True, exist_ok=True)
    # JSON is YAML, and the standard library writes it.
    target.write_text(json.dumps(content(hosts, _npm_registry()), indent=2) + "\n")
    link = target.parent / "group_vars"
    link.unlink(missing_ok=True)
    if group_vars.is_dir():
        link.symlink_to(group_vars.resolve(), target_is_directory=True)
    return target


def content(hosts: Sequence[Host], npm_registry: str) -> dict[str, t.Any]:
    """The inventory as data."""
    inventory: dict[str, t.Any] = {
        "hosts": {host.name: _variables(host) for host in hosts},
        "vars": {
            "ansible_host": "127.0.0.1",
            "ansible_user": keys.ADMIN,
            "ansible_ssh_common_args": keys.ssh_arguments(),
            "ansible_python_interpreter": "/usr/bin/python3",
            # Lab hosts trust what the controller trusts (a proxy that looks into HTTPS included); Node.js must be told.
            "apphost_ca_file": "/etc/ssl/certs/ca-certificates.crt",
            "apphost_npm_registry": npm_registry,
            # One source that has to be reachable instead of two: the apps' dependencies come from there as well.
            "nodejs_provider": "npm",
        },
        "children": {group: {"hosts": {}} for group in GROUPS.values()},
    }
    for host in hosts:
        if group := _group(host.name):
            inventory["children"][group]["hosts"][host.name] = {}
    return {"all": inventory}


def _npm_registry() -> str:
    """Where npm packages come from: whatever the controller's npm client is set to."""
    return output_of(
        [environment.tool("npm"), "config", "get", "registry"],
        env={**os.environ, **environment.tool_environment()},
    )


def _variables(host: Host) -> dict[str, t.Any]:
    return {
        "ansible_port": host.ssh_port,
        "apphost_address": host.address,
        **({"lab_url": host.url} if host.url else {}),
    }


def _group(host: str) -> str | None:
    return GROUPS.get(host.rstrip("0123456789"))
