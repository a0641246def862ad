#!/usr/bin/python
# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_server_info
short_description: Say what HAProxy thinks of its servers, and who drained them
version_added: 0.1.0
author: The Evenkeel engineers (@evenkeel)
description:
  - Reads the states of all servers of a running HAProxy from its runtime socket, in one call.
extends_documentation_fragment:
  - evenkeel.apphost._attributes
  - evenkeel.apphost._attributes.info
options:
  backends:
    description: Only these backends. Without, all that have servers. One that does not exist is left out.
    type: list
    elements: str
  socket:
    description: HAProxy's C(stats socket). Any level will do.
    type: path
    default: /run/haproxy/admin.sock
  master_socket:
    description: The socket of HAProxy's master process (C(-S)). When there is none, RV(old_workers) is V(null).
    type: path
    default: /run/haproxy-master.sock
  state_folder:
    description: The folder on the balancer with the record of who drained what.
    type: path
    default: /var/lib/apphost-balancer
notes:
  - Needs root on the balancer.
seealso:
  - module: evenkeel.apphost.haproxy_server
"""

EXAMPLES = r"""
- name: Ask the balancer
  evenkeel.apphost.haproxy_server_info:
  become: true
  register: balancer

- name: Show which hosts serve the shop
  ansible.builtin.debug:
    msg: "{{ balancer.backends.shop | dict2items | selectattr('value.serving') | map(attribute='key') }}"
"""

RETURN = r"""
backends:
  description: Backend -> server -> what HAProxy says of it.
  returned: success
  type: dict
  contains:
    admin:
      description: What an administrator wants. V(ready), V(drain) or V(maint).
      type: str
    op:
      description:
        - What the health checks say, whatever an administrator wants. V(UP), V(UP 1/3) (going down), V(DOWN),
          V(DOWN 1/2) (coming up), V(NOLB). V(MAINT) when checks are off.
        - A server without health checks is V(UP).
      type: str
    status:
      description: HAProxy's own word for both.
      type: str
    serving:
      description: Whether it gets requests.
      type: bool
    check:
      description: The last health check, such as V(L7OK/200) or V(L4CON). Empty when there was none.
      type: str
    scur:
      description: Requests and tunnels under way.
      type: int
    weight:
      description: Its share of the requests.
      type: int
    address:
      description: Where HAProxy reaches it.
      type: str
    owner:
      description: Who of us has it drained. V(null) when it is ready, or when an operator took it out.
      type: str
    since:
      description: When that was, in UTC by the balancer's clock. V(null) without an owner.
      type: str
  sample:
    shop:
      app1:
        admin: drain
        op: UP
        status: DRAIN
        serving: false
        check: L7OK/200
        scur: 0
        weight: 1
        address: 10.0.0.11:80
        owner: apphost
        since: "2026-11-21T10:15:30.120+00:00"
old_workers:
  description:
    - HAProxy processes from before a reload that still have clients, by process id. RV(old_workers[].idle_clients)
      may each send another request to any server. V(null) when there is no master socket.
  returned: success
  type: list
  elements: dict
  contains:
    pid:
      description: The process.
      type: int
    idle_clients:
      description: Clients connected that wait.
      type: int
    sessions:
      description: Requests and tunnels under way.
      type: int
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import run_module
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.marks import Mark, Marks
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.server_state import (
    MASTER_SOCKET,
    STATE_FOLDER,
    STATS_SOCKET,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.socket import RuntimeSocket
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.state import (
    DRAIN,
    Server,
    read_backends,
    read_servers,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.workers import OldWorkers
from ansible_collections.evenkeel.apphost.plugins.module_utils.waiter import Clock

SPEC: dict[str, t.Any] = {
    "backends": {"type": "list", "elements": "str"},
    "socket": {"type": "path", "default": STATS_SOCKET},
    "master_socket": {"type": "path", "default": MASTER_SOCKET},
    "state_folder": {"type": "path", "default": STATE_FOLDER},
}


def work(module: AnsibleModule) -> dict[str, t.Any]:
    """Look and report."""
    params = module.params
    ask = RuntimeSocket(params["socket"]).ask
    marks = Marks(params["state_folder"]).read()
    backends = {}
    for backend in read_backends(ask):
        if params["backends"] is None or backend in params["backends"]:
            servers = read_servers(ask, backend)
            if servers:
                backends[backend] = {name: describe(server, marks.get(server.name)) for name, server in servers.items()}
    return {"changed": False, "backends": backends, "old_workers": old_workers(params["master_socket"])}


def describe(server: Server, mark: Mark | None) -> dict[str, t.Any]:
    """One server of the result; a mark only counts while the server is drained."""
    holds = mark is not None and server.admin == DRAIN
    return {
        "admin": server.admin,
        "op": server.health,
        "status": server.status,
        "serving": server.gets_requests,
        "check": server.check,
        "scur": server.sessions,
        "weight": server.weight,
        "address": server.address,
        "owner": mark.owner if mark and holds else None,
        "since": mark.since.isoformat(timespec="milliseconds") if mark and holds else None,
    }


def old_workers(master_socket: str) -> list[dict[str, t.Any]] | None:
    """What is left of before a reload."""
    if not os.path.exists(master_socket):
        return None
    return [
        {"pid": worker.pid, "idle_clients": worker.idle_clients, "sessions": sum(worker.sessions.values())}
        for worker in OldWorkers(master_socket, Clock()).look()
    ]


def main() -> None:
    """The module's entry."""
    run_module(SPEC, work)


if __name__ == "__main__":
    main()
