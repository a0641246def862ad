#!/usr/bin/python
# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_bundle
short_description: Pack apps into releases on the controller
version_added: 0.1.0
author: The Evenkeel engineers (@evenkeel)
description:
  - Packs the files of every app into a tar and computes the id of the release that they make together with the
    lockfile, the runtime, the processes and the environment. The same input gives the same bytes and the same id, on
    every controller.
  - Runs on the controller only; no host is contacted. Use it with C(run_once).
  - Everything that is wrong with any of the apps is told at once.
  - Files that C(.apphostignore) at the top of the app names are left out. It is written like a C(.gitignore), with
    blank lines and comments, C(*), C(?), C([a-z]), C([!a-z]), C(**), a C(/) at the beginning or in the middle for
    "from the top", a C(/) at the end for "folders only", and C(!) to take back. Named sets such as C([[:alpha:]]) and
    ignore files in folders below are not supported.
  - C(.git), C(node_modules) and C(.apphostignore) are always left out, at every depth. Dependencies are installed on
    the hosts from the lockfile, which has to be there, in step with C(package.json), with an integrity hash for every
    package.
  - Symbolic links that lead out of the app, sockets, pipes and devices are refused, and so is a file that changes
    while it is read. Empty folders are no part of a release, as in git.
extends_documentation_fragment:
  - evenkeel.apphost._attributes
attributes:
  check_mode:
    support: full
    details:
      - The ids are those of a real run, and no bundle is written.
      - Repositories that are not on this machine are mirrored below O(dest) in check mode too.
  diff_mode:
    support: N/A
    details: Bundles are a cache. Making one changes no host, so the module never says that it changed something.
  idempotent:
    support: full
options:
  apps:
    description: The apps, as the filter P(evenkeel.apphost.resolve_apps#filter) gives them.
    type: list
    elements: dict
    required: true
  secrets:
    description:
      - Secret environment variables, by app and name. They decide the id, through a digest that is slow to guess
        from, and are neither written nor returned.
    type: dict
    default: {}
  dest:
    description:
      - A folder on the controller for the bundles, C(<sha256>.tar), and for mirrors of git repositories. Made when
        missing, for the current user only.
      - Bundles that no run needed for a week are removed.
    type: path
    required: true
seealso:
  - module: evenkeel.apphost.release_stage
"""

EXAMPLES = r"""
- name: Bundle the apps on the controller
  evenkeel.apphost.release_bundle:
    apps: "{{ apphost_apps | evenkeel.apphost.resolve_apps(secrets=apphost_secrets) }}"
    secrets: "{{ apphost_secrets }}"
    dest: ~/.cache/evenkeel/bundles
  run_once: true
  register: bundled

- name: Show the ids
  ansible.builtin.debug:
    msg: "{{ bundled.releases.shop.id }}"
"""

RETURN = r"""
releases:
  description: The manifest of each app's release, for O(evenkeel.apphost.release_stage#module:release).
  returned: success
  type: dict
  sample:
    shop:
      schema: 1
      id: 1.4.2-20d17d6f5f
      app: shop
      version: 1.4.2
      artifact: {sha256: 24fd7c6e..., size: 12288, files: 6}
bundles:
  description: The path of each app's tar on the controller, for O(evenkeel.apphost.release_stage#module:bundle).
  returned: success
  type: dict
  sample: {shop: /home/me/.cache/evenkeel/bundles/24fd7c6e....tar}
"""
