#!/usr/bin/python
# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_server
short_description: Drain and enable servers of HAProxy, and see that it happened
version_added: 0.1.0
author: The Evenkeel engineers (@evenkeel)
description:
  - Speaks with a running HAProxy over its runtime socket. All servers of a call are set first, then waited for
    together.
  - V(drained) takes servers out of the balancing and waits until no request and no tunnel (WebSocket) is under way to
    them, clients of a process from before a reload included. V(enabled) puts them back and waits until HAProxy calls
    each of them exactly C(UP); C(UP 1/3) is on its way down.
  - Everything that can be known is checked before anything is changed. The socket's level, that every server exists,
    that enough others serve. Every state that is set is read back.
  - One call at a time works on a server. Another one waits for it, up to a minute, also for one whose controller died.
  - Who drained a server is recorded on the balancer, so a run that was interrupted can be resumed, and a server that an
    operator took out stays out.
extends_documentation_fragment:
  - evenkeel.apphost._attributes
  - evenkeel.apphost._attributes.changes
options:
  servers:
    description: The servers, each as C(<backend>/<server>).
    type: list
    elements: str
    required: true
  state:
    description:
      - V(drained), no new requests, and none under way.
      - V(enabled), ready and C(UP). A server in maintenance is first drained until its checks have passed, because
        HAProxy takes a server that leaves maintenance for C(UP) before it has checked it once. A server without
        health checks is accepted with a warning.
    type: str
    choices: [drained, enabled]
    required: true
  then_drain:
    description:
      - With O(state=enabled), servers to drain as soon as O(servers) are all C(UP), each as C(<backend>/<server>).
      - A rolling deploy hands over from one host to the next in one call, and takes none out before the last is back.
      - When this part fails, O(servers) are enabled all the same, and the failed result has RV(servers).
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds to wait, for V(drained) until nothing is under way, for V(enabled) until all are C(UP).
    type: float
    default: 30
  drain_timeout:
    description: Seconds to wait until nothing is under way to O(then_drain). The default is O(timeout).
    type: float
  on_deadline:
    description:
      - What draining does with requests and tunnels that are under way when the time is over.
      - V(force) cuts them and counts them. V(fail) puts the servers that this call drained back and fails.
    type: str
    choices: [force, fail]
    default: force
  min_up:
    description:
      - Refuse to drain when fewer other servers of the backend would be C(UP) and ready. V(0) allows to take the last
        one.
      - Only a server that gets requests counts as a loss, so one that is down can always be drained.
    type: int
    default: 1
  owner:
    description: Who drains, recorded on the balancer. V(enabled) ends drains of the same owner.
    type: str
    default: apphost
  only_own:
    description: Leave servers as they are that an operator or another O(owner) keeps from serving. They are no failure.
    type: bool
    default: true
  socket:
    description: HAProxy's C(stats socket) with level C(admin).
    type: path
    default: /run/haproxy/admin.sock
  master_socket:
    description:
      - The socket of HAProxy's master process (C(-S)), which shows what processes from before a reload still serve.
      - When there is none, those are not looked at.
    type: path
    default: /run/haproxy-master.sock
  state_folder:
    description: The folder on the balancer with the record of who drained what. Made when missing.
    type: path
    default: /var/lib/apphost-balancer
notes:
  - Needs root on the balancer. Tested with HAProxy 2.6 and 3.0.
  - On a balancer set up by the role P(evenkeel.apphost.balancer#role) the new states also survive a restart of HAProxy.
  - When V(enabled) fails, the servers stay ready. HAProxy sends nothing to a server that is down, and uses it as soon
    as its checks pass.
seealso:
  - module: evenkeel.apphost.haproxy_server_info
  - name: HAProxy Management Guide
    description: The runtime API.
    link: https://docs.haproxy.org/3.0/management.html
"""

EXAMPLES = r"""
- name: Take a host out of two backends
  evenkeel.apphost.haproxy_server:
    servers: [shop/app1, blog/app1]
    state: drained
    timeout: 60
    on_deadline: fail
  become: true

- name: Put it back
  evenkeel.apphost.haproxy_server:
    servers: [shop/app1, blog/app1]
    state: enabled
  become: true

- name: Hand over from one host to the next
  evenkeel.apphost.haproxy_server:
    servers: [shop/app1]
    state: enabled
    then_drain: [shop/app2]
  become: true

- name: Take the only server out
  evenkeel.apphost.haproxy_server:
    servers: [wiki/app1]
    state: drained
    min_up: 0
    owner: maintenance
  become: true
"""

RETURN = r"""
servers:
  description: What became of each server, in the order asked for.
  returned: success, and when only O(then_drain) failed
  type: list
  elements: dict
  contains:
    name:
      description: The server as C(<backend>/<server>).
      type: str
    before:
      description: Its administrative state, C(admin) (V(ready), V(drain) or V(maint)), and HAProxy's C(status) of it.
      type: dict
    after:
      description: The same afterwards. In check mode, C(admin) as it would be.
      type: dict
    changed:
      description: Whether its administrative state changed or sessions were cut.
      type: bool
    owner:
      description: Who has it drained, as recorded. V(null) when it is ready, or when an operator took it out.
      type: str
    operator:
      description: Whether an operator, or another O(owner), keeps it from serving. It was left as it was.
      type: bool
    waited:
      description: Seconds until nothing was under way, or until it was C(UP).
      type: float
    sessions_cut:
      description: Requests and tunnels cut when O(timeout) was over.
      type: int
    out_seconds:
      description: When enabled, seconds since it was drained. Otherwise V(null).
      type: float
  sample:
    - name: shop/app1
      before: {admin: drain, status: DRAIN}
      after: {admin: ready, status: UP}
      changed: true
      owner: null
      operator: false
      waited: 0.12
      sessions_cut: 0
      out_seconds: 2.31
then_drained:
  description: What became of each server of O(then_drain), like RV(servers).
  returned: success with O(then_drain)
  type: list
  elements: dict
"""

import contextlib
import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, run_module
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.drain import FAIL, FORCE, Drain
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.enable import Enable
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.marks import Marks
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.server_state import (
    MASTER_SOCKET,
    PROGRAM,
    STATE_FOLDER,
    STATS_SOCKET,
    save,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.servers import Balancer, Result
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.socket import Ask, RuntimeSocket
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.state import ServerName, parse_names
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.workers import OldWorkers
from ansible_collections.evenkeel.apphost.plugins.module_utils.waiter import Clock

SPEC: dict[str, t.Any] = {
    "servers": {"type": "list", "elements": "str", "required": True},
    "state": {"type": "str", "choices": ["drained", "enabled"], "required": True},
    "then_drain": {"type": "list", "elements": "str", "default": []},
    "timeout": {"type": "float", "default": 30},
    "drain_timeout": {"type": "float"},
    "on_deadline": {"type": "str", "choices": [FORCE, FAIL], "default": FORCE},
    "min_up": {"type": "int", "default": 1},
    "owner": {"type": "str", "default": "apphost"},
    "only_own": {"type": "bool", "default": True},
    "socket": {"type": "path", "default": STATS_SOCKET},
    "master_socket": {"type": "path", "default": MASTER_SOCKET},
    "state_folder": {"type": "path", "default": STATE_FOLDER},
}


def work(module: AnsibleModule) -> dict[str, t.Any]:
    """Drain or enable, or say in check mode what would be done."""
    params = module.params
    for option in ("timeout", "drain_timeout", "min_up"):
        if (params[option] or 0) < 0:
            raise ApphostError(f"{params[option]} is less than 0", option)
    names, following = parse_names(params["servers"]), parse_names(params["then_drain"], "then_drain")
    if following and params["state"] != "enabled":
        raise ApphostError("goes with state: enabled only", "then_drain")
    clock = Clock()
    ask = RuntimeSocket(params["socket"], clock=clock).ask
    balancer = Balancer(
        ask=ask,
        where=params["socket"],
        marks=Marks(params["state_folder"]),
        old_workers=OldWorkers(params["master_socket"], clock).look,
        save_state=lambda: save_state(module, ask),
        clock=clock,
    )
    drain_timeout = params["timeout"] if params["drain_timeout"] is None else params["drain_timeout"]
    enable = Enable(balancer, params["owner"], params["only_own"], params["timeout"])
    drain = Drain(balancer, params["owner"], params["min_up"], drain_timeout, params["on_deadline"])
    if params["state"] == "drained":
        return answer(carry_out(module, drain, names))
    enabled = carry_out(module, enable, names)
    if not following:
        return answer(enabled)
    try:
        return answer(enabled, carry_out(module, drain, following))
    except ApphostError as error:
        raise ApphostError(error.what, error.where, error.do, **{**error.details, **answer(enabled)}) from error


def carry_out(module: AnsibleModule, action: Drain | Enable, names: t.Sequence[ServerName]) -> Result:
    """One action on all of ``names``, with nobody else at work on them."""
    state = "drained" if isinstance(action, Drain) else "enabled"
    with contextlib.nullcontext() if module.check_mode else action.balancer.marks.hold(names, state):
        result = action.run(names, module.check_mode)
    for warning in result.warnings:
        module.warn(warning)
    return result


def answer(result: Result, drained: Result | None = None) -> dict[str, t.Any]:
    """The module's result; ``drained`` is what came of ``then_drain``."""
    value = {
        "changed": result.changed,
        "servers": [outcome.as_dict() for outcome in result.outcomes],
        "diff": result.diff(),
    }
    if drained is None:
        return value
    diff = {when: {**states, **drained.diff()[when]} for when, states in result.diff().items()}
    return {
        **value,
        "changed": result.changed or drained.changed,
        "then_drained": [outcome.as_dict() for outcome in drained.outcomes],
        "diff": diff,
    }


def save_state(module: AnsibleModule, ask: Ask) -> bool:
    """Have HAProxy's next start begin with the states of now, where the role ``balancer`` has set that up.

    What was asked for is done by then, so a failure is only told.
    """
    if os.path.exists(PROGRAM) and module.params["socket"] == STATS_SOCKET:
        try:
            save(ask)
        except (OSError, ValueError, ApphostError) as error:
            module.warn(f"a restart of HAProxy would bring back the states of before: {error}")
            return False
    return True


def main() -> None:
    """The module's entry."""
    run_module(SPEC, work)


if __name__ == "__main__":
    main()
