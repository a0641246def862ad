#!/usr/bin/python
# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: lockfile_install
short_description: Install an app's dependencies exactly as its lockfile says
version_added: 0.1.0
author: The Evenkeel engineers (@evenkeel)
description:
  - Installs the production dependencies of an app from its V(package-lock.json) or V(npm-shrinkwrap.json)
    (C(lockfileVersion) 2 and 3) with C(npm ci).
  - What is installed has an identity, a hash of the lockfile, the manifest, the runtime's version and ABI, the
    platform, npm's version and the options that matter. While the folder holds a whole tree of that identity, nothing
    is done and npm is not started. A version bump of the app itself does not change the identity.
  - A tree is built once on a host, by an account without rights, and kept in a store; the next app or release with the
    same identity gets it by hard links. A new tree is built beside the old one and exchanged with it in one step, so a
    failed or killed installation leaves the old tree as it was.
  - Before anything is fetched, the lockfile must be in step with V(package.json), and every package in it must have a
    SHA-256, SHA-384 or SHA-512 integrity hash. Workspaces, C(file:) links and git dependencies are refused.
  - Lifecycle scripts of packages do not run unless O(allow_scripts) names the package; those that did not run are
    reported.
  - An C(.npmrc) in the app's folder is not read for registries, tokens or scripts, only for C(legacy-peer-deps),
    C(strict-peer-deps) and C(install-strategy).
extends_documentation_fragment:
  - evenkeel.apphost._attributes
  - evenkeel.apphost._attributes.changes
attributes:
  check_mode:
    details: Needs no network. Finds everything that is wrong with the lockfile, not what is wrong with the registry.
  diff_mode:
    details: Lists the packages with their versions.
requirements:
  - The runtime with its npm (role C(nodejs)).
  - C(setpriv) (util-linux), C(env) and C(sync) (coreutils), which Debian and Ubuntu always have.
options:
  path:
    description: The app's folder, with V(package.json) and the lockfile. Gets V(node_modules).
    type: path
    required: true
  runtime_root:
    description: The folder of the Node.js to install with and for; V(bin/node) and V(bin/npm) are below it.
    type: path
    required: true
  manager:
    description:
      - The package manager.
      - V(auto) takes the one whose lockfile is there; an app without dependencies has nothing to install then.
      - V(none) installs nothing.
    type: str
    choices: [auto, npm, none]
    default: auto
  store:
    description:
      - The folder of built trees.
      - On the file system of O(path), so that hard links work; else files are copied.
    type: path
    default: /srv/apphost/.store
  allow_scripts:
    description:
      - Names of packages whose lifecycle scripts (C(install), C(postinstall) …) may run, for example to compile an
        add-on.
      - They run as O(build_user), without the registry token, before the tree is sealed, and no process of theirs
        outlives that.
      - Needs the capability C(CAP_SYS_ADMIN) when run as root, as root on an ordinary host has it.
    type: list
    elements: str
    default: []
  build_user:
    description:
      - The account that fetches and builds. Must not be root, and should not be the one that the app runs as.
      - The default is V(apphost-build) when there is such an account, else V(nobody).
      - Ignored when the module does not run as root; then it builds as the user it runs as.
    type: str
  owner:
    description:
      - Whom the installed files belong to.
      - The default is root, and the files are hard links into the store, which nobody else can write to.
        With any other owner (or O(group)) the files are copies.
    type: str
  group:
    description: The group of the installed files, when they are not root's.
    type: str
  registry:
    description: Address of the registry. The default is npm's own.
    type: str
  registry_token:
    description: The token for O(registry). It is in no argument list, no log, and not in the tree or the cache.
    type: str
  ca_file:
    description:
      - A file on the host with certificates of authorities to trust besides Node.js' own.
      - O(build_user) must be able to read it.
    type: path
  check_engines:
    description: Refuse an app, or a package it cannot do without, whose C(engines.node) excludes the runtime's version.
    type: bool
    default: true
seealso:
  - module: evenkeel.apphost.release_stage
    description: Installs a release's dependencies in the same way.
"""

EXAMPLES = r"""
- name: Install the dependencies of the shop
  evenkeel.apphost.lockfile_install:
    path: /srv/shop
    runtime_root: /opt/apphost/runtimes/nodejs/24.21.0

- name: Install from a private registry, and let one package compile its add-on
  evenkeel.apphost.lockfile_install:
    path: /srv/shop
    runtime_root: /opt/apphost/runtimes/nodejs/24.21.0
    registry: https://npm.example.com/
    registry_token: "{{ shop_registry_token }}"
    ca_file: /etc/ssl/certs/ca-certificates.crt
    allow_scripts: [better-sqlite3]
"""

RETURN = r"""
manager:
  description: The package manager that the lockfile belongs to; null when there is nothing to install.
  returned: success
  type: str
  sample: npm
identity:
  description: The hash of everything that decides what is installed; null when there is nothing to install.
  returned: success
  type: str
packages:
  description: Number of packages installed (in check mode, expected).
  returned: success
  type: int
  sample: 83
files:
  description: Number of files in the tree; 0 in check mode for a tree that is not built yet.
  returned: success
  type: int
bytes:
  description: Size of these files in bytes; 0 in check mode for a tree that is not built yet.
  returned: success
  type: int
from_cache:
  description: The tree was there already, in the folder or in the store.
  returned: success
  type: bool
scripts_skipped:
  description: Packages whose lifecycle scripts did not run, because O(allow_scripts) does not name them.
  returned: success
  type: list
  elements: str
  sample: [core-js@3.46.0]
difference:
  description: How many packages are C(added), C(removed) and C(updated) compared with what was in the folder.
  returned: success
  type: dict
  sample: {added: 1, removed: 0, updated: 3}
seconds:
  description: What took how long (C(build), C(place), C(total)); empty in check mode.
  returned: success
  type: dict
  sample: {build: 3.1, place: 0.1, total: 3.2}
npm:
  description: What npm said, shortened and without secrets.
  returned: when npm failed
  type: str
"""

import os
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import run_module, runner
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.installer import (
    InstallRequest,
    InstallResult,
    carry_out,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.plan import Plan, plan_installation
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.preview import changes, preview
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import Network, Registry
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import STORE

ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    "path": {"type": "path", "required": True},
    "runtime_root": {"type": "path", "required": True},
    "manager": {"type": "str", "choices": ["auto", "npm", "none"], "default": "auto"},
    "store": {"type": "path", "default": STORE},
    "allow_scripts": {"type": "list", "elements": "str", "default": []},
    "build_user": {"type": "str"},
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "registry": {"type": "str"},
    "registry_token": {"type": "str", "no_log": True},
    "ca_file": {"type": "path"},
    "check_engines": {"type": "bool", "default": True},
}


def work(module: AnsibleModule) -> dict[str, t.Any]:
    """Plan, then do it or say what it would do."""
    options = dict(module.params)
    url, token = options.pop("registry"), options.pop("registry_token")
    request = InstallRequest(
        folder=os.path.abspath(options.pop("path")),
        store=os.path.abspath(options.pop("store")),
        allow_scripts=tuple(options.pop("allow_scripts")),
        network=Network((Registry(url, token=token),) if url else (), ca_file=options.pop("ca_file")),
        **options,
    )
    run = runner(module)
    plan = plan_installation(request, run)
    if plan is None:
        return InstallResult(changed=False).as_dict()
    # Before anything is changed: it compares with what is there now.
    differs = changes(plan)
    result = preview(plan) if module.check_mode else carry_out(plan, run)
    return {**result.as_dict(), "difference": differs.difference.counts, **_diff(module, plan, differs.texts)}


def _diff(module: AnsibleModule, plan: Plan, texts: tuple[str, str]) -> dict[str, t.Any]:
    if not module._diff:
        return {}
    header = plan.main
    return {"diff": {"before": texts[0], "after": texts[1], "before_header": header, "after_header": header}}


def main() -> None:
    """Run the module."""
    run_module(ARGUMENT_SPEC, work)


if __name__ == "__main__":
    main()
