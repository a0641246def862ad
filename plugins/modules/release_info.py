#!/usr/bin/python
# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_info
short_description: Say which releases of apps a host has, which is live, and how its instances are
version_added: 0.1.0
author: The Evenkeel engineers (@evenkeel)
description:
  - Looks at all apps in one call. A host that was never set up is an answer too, not a failure.
  - Runs a few commands of the shell (C(ls), C(sed), C(stat), C(systemctl show)) over the connection and judges on the
    controller, so a host needs no Python for it, and the question is cheap enough to be asked of every host at every
    deploy.
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
  - Needs root on the host, to see from which folder a process runs.
seealso:
  - module: evenkeel.apphost.release_stage
  - module: evenkeel.apphost.release_activate
"""

EXAMPLES = r"""
- name: Ask what is live
  evenkeel.apphost.release_info:
    apps: [shop, blog]
  become: true
  register: info

- name: Show it
  ansible.builtin.debug:
    msg: "{{ info.apps.shop.live }} since {{ info.apps.shop.since }}"
"""

RETURN = r"""
apps:
  description: What is known of each app, by name.
  returned: success
  type: dict
  contains:
    provisioned:
      description: Whether site.yml has made everything the app needs to be staged and run.
      type: bool
    missing:
      description: The folders and the unit it has not made.
      type: list
      elements: str
    live:
      description: Id of the live release; V(null) when there is none.
      type: str
      sample: 1.4.2-20d17d6f5f
    since:
      description: When it was made live, UTC.
      type: str
      sample: "2026-11-21T10:38:00.123Z"
    previous:
      description: Id of the last release before it that was verified and is still on the host, where a rollback goes.
      type: str
    staged:
      description: Ids of all releases on the host, by name.
      type: list
      elements: str
    manifest:
      description: What the live release is made of; V(null) when there is none, or when it cannot be read.
      type: dict
    pending:
      description: An activation that was begun and not ended, as C(time), C(release) and C(previous); usually V(null).
      type: dict
    instances:
      description: The instances of the live release.
      type: list
      elements: dict
      contains:
        unit:
          description: Name of its unit.
          type: str
        process:
          description: Name of its process.
          type: str
        id:
          description: Its port, or its number.
          type: str
        port:
          description: Its port; V(null) when it has none.
          type: int
        state:
          description: C(active) when it runs, else C(activating), C(failed), C(inactive) and the like.
          type: str
        pid:
          description: Its main process; 0 when it does not run.
          type: int
        since:
          description: When it was started, UTC.
          type: str
        release:
          description: Id of the release that this process runs from, as the kernel sees it.
          type: str
    free_bytes:
      description: Free space where the releases are.
      type: int
"""
