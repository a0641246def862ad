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
  - Installs the production dependencies of an app from its lockfile, by the package manager that wrote it. For Node.js
    npm (V(package-lock.json) or V(npm-shrinkwrap.json), C(lockfileVersion) 2 and 3), pnpm (V(pnpm-lock.yaml)) and yarn
    (V(yarn.lock) of yarn 1 and of yarn 2 to 4, which then makes C(node_modules)); for Python uv (V(uv.lock)) and pip
    (V(requirements.txt) with hashes), into V(.venv). Workspaces included.
  - What is installed has an identity, a hash of the lockfile, the manifests, the runtime's version and ABI, the
    platform, the manager's version and the options that matter. While the folder holds a whole tree of that identity,
    nothing is done and no manager is started. A version bump of the app itself does not change the identity.
  - A tree is built once on a host, by an account without rights, and kept in a store; the next app or release with the
    same identity gets it by hard links, shared blocks or copies. A new tree is built beside the old one and exchanged
    with it in one step, so a failed or killed installation leaves the old tree as it was.
  - Before anything is fetched, the lockfile must be in step with the manifests, every package in it must have a
    SHA-256, SHA-384 or SHA-512 integrity hash, and come from an allowed registry as the package that its name says.
  - Lifecycle scripts of packages do not run unless O(allow_scripts) names the package; those that did not run are
    reported.
  - Settings of package managers in the app's folder (C(.npmrc), C(.yarnrc.yml), C(pip.conf) …) are not read for
    registries, tokens or scripts, only for what decides the shape of the tree.
extends_documentation_fragment:
  - evenkeel.apphost._attributes
  - evenkeel.apphost._attributes.changes
attributes:
  check_mode:
    details: Needs no network. Finds everything that is wrong with the lockfile, not what is wrong with the registry.
  diff_mode:
    details: Lists the packages with their versions, and which of them the app asks for by itself.
requirements:
  - For npm, pnpm and yarn a Node.js with its npm (role C(nodejs)). For pip C(python3-venv), for uv the program uv.
  - C(setpriv) (util-linux), C(env) and C(sync) (coreutils), which Debian and Ubuntu always have.
options:
  path:
    description: The app's folder, with the manifest and the lockfile. Gets V(node_modules) or V(.venv).
    type: path
    required: true
  manager:
    description:
      - The package manager.
      - V(auto) takes the one whose lockfile is there; an app without dependencies has nothing to install then.
      - V(none) installs nothing.
    type: str
    choices: [auto, npm, pnpm, yarn, uv, pip, none]
    default: auto
  manager_version:
    description:
      - The exact version of pnpm or yarn. The default is what C(packageManager) in V(package.json) names.
      - It is taken from O(runtime_root) when that version is there, else fetched once from the registry and kept in
        O(store). The hash in C(packageManager), if there is one, must be right.
      - npm is the runtime's own, uv and pip are the host's.
    type: str
  manager_path:
    description: The program uv. The default is V(/usr/local/bin/uv), else V(/usr/bin/uv).
    type: path
  runtime_root:
    description:
      - The folder of the Node.js to install with and for; V(bin/node) and V(bin/npm) are below it.
      - Needed for npm, pnpm and yarn.
    type: path
  python:
    description: The Python to install with and for, for uv and pip.
    type: path
    default: /usr/bin/python3
  store:
    description:
      - The folder of built trees.
      - On the file system of O(path), so that hard links work; else files are copied.
    type: path
    default: /srv/apphost/.store
  store_max_age:
    description: Days after which a tree in the store that no folder has links to, and that nobody used, is deleted.
    type: float
    default: 30
  store_max_bytes:
    description:
      - How large the trees in the store may be together, such as V(10G). The longest unused are deleted then, but never
        one that a folder has links to, which takes no room of its own and is not counted.
      - Without it there is no limit.
    type: str
  cache_max_bytes:
    description: How large the manager's cache of downloads in the store may be. It is looked at once an hour.
    type: str
    default: 4G
  allow_scripts:
    description:
      - Names of packages whose lifecycle scripts (C(install), C(postinstall) …) may run, for example to compile an
        add-on. For uv and pip, those that may be built from source.
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
    description: Address of the registry. The default is the manager's own.
    type: str
  registry_token:
    description: The token for O(registry). It is in no argument list, no log, and not in the tree or the cache.
    type: str
  registries:
    description: More registries, each for packages of one scope; for uv and pip, more indexes.
    type: list
    elements: dict
    default: []
    suboptions:
      scope:
        description: The scope of the packages that come from there, such as V(@acme). Not for uv and pip.
        type: str
      url:
        description: Its address.
        type: str
        required: true
      token:
        description: The token for it.
        type: str
      user:
        description: The user that the token belongs to, where the registry wants one.
        type: str
  ca_file:
    description: A file on the host with certificates of authorities to trust besides the manager's own, in PEM form.
    type: path
  proxy:
    description:
      - Address of a proxy for HTTP and HTTPS. The default is what the variables C(https_proxy) and C(http_proxy) say,
        which a play sets by C(environment).
      - No lifecycle script gets to see it.
    type: str
  no_proxy:
    description: Hosts that are asked without the proxy, separated by commas. The default is the variable C(no_proxy).
    type: str
  offline:
    description: Ask no registry. What the manager has not in its cache on this host is an error. Not for pip.
    type: bool
    default: false
  packed:
    description:
      - A folder or a tar on the host with the archives of all packages, which then come from nowhere else. Names in it
        do not matter, archives are known by their hashes.
      - For npm, yarn 1, uv and pip.
    type: path
  trust_project_config:
    description:
      - Let the package manager read the settings in the app's folder as they are, with their registries.
      - Lifecycle scripts stay as O(allow_scripts) says.
    type: bool
    default: false
  allowed_hosts:
    description:
      - Hosts that addresses in the lockfile may have besides those of the registries, as V(host), V(host:port) or
        V(host/path/). V(*) allows any.
      - The default are the hosts of the manager's own registry.
    type: list
    elements: str
    default: []
  allow_http:
    description: Hosts (V(host) or V(host:port)) that may be asked without encryption.
    type: list
    elements: str
    default: []
  allow_sources:
    description:
      - Names of packages that may come from elsewhere than a registry, that is from git, from a plain address, from an
        archive or a folder of the app.
    type: list
    elements: str
    default: []
  allow_weak_integrity:
    description: Names of packages that may have a weak hash in the lockfile, or none.
    type: list
    elements: str
    default: []
  supply:
    description:
      - More checks of where packages come from, which need the network.
      - They are made when a tree is built; one that is in the store already was built before somebody wanted to know.
    type: dict
    suboptions:
      minimum_age:
        description: Days that every version must have been out. Most packages that were taken over are found in days.
        type: float
      allow_young:
        description: Names of packages that may be of any age.
        type: list
        elements: str
        default: []
      signatures:
        description: Every package must carry a right signature of its registry (C(npm audit signatures)). For npm.
        type: bool
        default: false
      audit:
        description: The lowest severity of a known vulnerability that stops the installation. For npm.
        type: str
        choices: [low, moderate, high, critical]
  check_engines:
    description: Refuse an app, or a package it cannot do without, whose C(engines.node) excludes the runtime's version.
    type: bool
    default: true
  verify:
    description:
      - How to look whether what is in place is still as it was installed.
      - V(cheap) looks at the record of packages, at every package's folder and the file that describes it, and at what
        is beside them. V(full) reads every file, here and in the store.
    type: str
    choices: [cheap, full]
    default: cheap
  max_size:
    description:
      - What the dependencies may have at most, such as V(250M). Else the module fails before anything is placed, naming
        the largest packages.
    type: str
  timeout:
    description: Seconds that one run of the package manager may take, for fetching as for lifecycle scripts.
    type: float
    default: 900
  sbom:
    description: Return a bill of materials.
    type: bool
    default: false
  export:
    description:
      - Afterwards write the built tree to this path on the host, as one tar for O(shipped) on other hosts. A file that
        is there is replaced. Who has the folder gets the tar.
      - Not a change, and not done in check mode.
    type: path
  shipped:
    description:
      - A tree that was built on a host of the same platform, from the same lockfile with the same options. When the
        store lacks the tree it is taken from there, checked file by file; none is built here, no manager is started.
      - What the lockfile must be like (O(allow_sources) and so on) is checked here as always; O(supply) is not asked.
    type: dict
    suboptions:
      path:
        description: The tar on the host, as O(export) wrote it.
        type: path
        required: true
      sha256:
        description: Its hash, RV(exported).
        type: str
        required: true
seealso:
  - module: evenkeel.apphost.release_stage
    description: Installs a release's dependencies in the same way.
"""

EXAMPLES = r"""
- name: Install the dependencies of the shop, whichever package manager it uses
  evenkeel.apphost.lockfile_install:
    path: /srv/shop
    runtime_root: /opt/apphost/runtimes/nodejs/24.21.0

- name: Install from a private registry with npm, and let one package compile its add-on
  evenkeel.apphost.lockfile_install:
    path: /srv/shop
    runtime_root: /opt/apphost/runtimes/nodejs/24.21.0
    manager: npm
    registry: https://npm.example.com/
    registry_token: "{{ shop_registry_token }}"
    ca_file: /etc/ssl/certs/ca-certificates.crt
    allow_scripts: [better-sqlite3]

- name: Take the packages of one scope from elsewhere, and stop at 300 MiB
  evenkeel.apphost.lockfile_install:
    path: /srv/shop
    runtime_root: /opt/apphost/runtimes/nodejs/24.21.0
    registries:
      - scope: "@acme"
        url: https://npm.acme.example.com/
        token: "{{ acme_token }}"
    max_size: 300M

- name: Install with pnpm, exactly this version of it
  evenkeel.apphost.lockfile_install:
    path: /srv/api
    runtime_root: /opt/apphost/runtimes/nodejs/24.21.0
    manager: pnpm
    manager_version: 10.33.0

- name: Install with yarn, as packageManager in package.json says, from archives that came with the app
  evenkeel.apphost.lockfile_install:
    path: /srv/site
    runtime_root: /opt/apphost/runtimes/nodejs/24.21.0
    manager: yarn
    packed: /srv/site-packages.tar

- name: Install a Python app with uv
  evenkeel.apphost.lockfile_install:
    path: /srv/reports
    manager: uv

- name: Install a Python app with pip, and look at every file of what is there
  evenkeel.apphost.lockfile_install:
    path: /srv/mailer
    manager: pip
    python: /usr/bin/python3
    verify: full

- name: Refuse versions that are younger than three days, and known vulnerabilities
  evenkeel.apphost.lockfile_install:
    path: /srv/shop
    runtime_root: /opt/apphost/runtimes/nodejs/24.21.0
    supply:
      minimum_age: 3
      audit: high

# Build on one host, and bring the tree to others of the same platform.
- name: Build on the first host
  evenkeel.apphost.lockfile_install:
    path: /srv/shop
    runtime_root: /opt/apphost/runtimes/nodejs/24.21.0
    export: /var/tmp/shop-tree.tar
  run_once: true
  register: shop_built

- name: Take the tree to the controller
  ansible.builtin.fetch:
    src: /var/tmp/shop-tree.tar
    dest: shop-tree.tar
    flat: true
  run_once: true

- name: Bring it to all hosts
  ansible.builtin.copy:
    src: shop-tree.tar
    dest: /var/tmp/shop-tree.tar
    mode: "0600"

- name: Install from it
  evenkeel.apphost.lockfile_install:
    path: /srv/shop
    runtime_root: /opt/apphost/runtimes/nodejs/24.21.0
    shipped:
      path: /var/tmp/shop-tree.tar
      sha256: "{{ shop_built.exported }}"
"""

RETURN = r"""
manager:
  description: The package manager that the lockfile belongs to; null when there is nothing to install.
  returned: success
  type: str
  sample: npm
manager_version:
  description: Its version.
  returned: success
  type: str
  sample: 11.19.1
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
shipped:
  description: The tree came out of O(shipped).
  returned: success
  type: bool
exported:
  description: The SHA-256 of the tar at O(export).
  returned: when O(export) was written
  type: str
placed_by:
  description:
    - How the files got to where they are. V(hard_link), a second name of the stored file; V(reflink), a file of its own
      on shared blocks; V(copy); null when they were there already, and in check mode.
  returned: success
  type: str
  sample: hard_link
drift:
  description: What was no longer as it had been installed, at most 20 lines.
  returned: success
  type: list
  elements: str
  sample: [node_modules/left-pad was added]
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
sbom:
  description: The bill of materials, CycloneDX 1.6 as JSON.
  returned: when O(sbom) is true
  type: dict
seconds:
  description:
    - What took how long, as far as it was needed. C(plan) reading and checking, C(wait) for another build of the same
      tree, C(fetch), C(supply), C(scripts), C(seal) or C(ship), C(place), C(total). Empty in check mode.
  returned: success
  type: dict
  sample: {plan: 0.02, fetch: 2.6, seal: 0.3, place: 0.1, total: 3.1}
manager_output:
  description: What the package manager said, shortened and without secrets.
  returned: when it failed
  type: str
"""

import os
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import RunCommand, run_module, runner
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.installer import (
    InstallResult,
    carry_out,
    have_tree,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.options import install_request
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.plan import Plan, plan_installation
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.preview import (
    NOTHING,
    Changes,
    after,
    before,
    preview,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import STORE

STRINGS = {"type": "list", "elements": "str", "default": []}

ARGUMENT_SPEC: dict[str, dict[str, t.Any]] = {
    "path": {"type": "path", "required": True},
    "manager": {"type": "str", "choices": ["auto", "npm", "pnpm", "yarn", "uv", "pip", "none"], "default": "auto"},
    "manager_version": {"type": "str"},
    "manager_path": {"type": "path"},
    "runtime_root": {"type": "path"},
    "python": {"type": "path", "default": "/usr/bin/python3"},
    "store": {"type": "path", "default": STORE},
    "store_max_age": {"type": "float", "default": 30},
    "store_max_bytes": {"type": "str"},
    "cache_max_bytes": {"type": "str", "default": "4G"},
    "allow_scripts": STRINGS,
    "build_user": {"type": "str"},
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "registry": {"type": "str"},
    "registry_token": {"type": "str", "no_log": True},
    "registries": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "scope": {"type": "str"},
            "url": {"type": "str", "required": True},
            "token": {"type": "str", "no_log": True},
            "user": {"type": "str"},
        },
    },
    "ca_file": {"type": "path"},
    "proxy": {"type": "str", "no_log": True},
    "no_proxy": {"type": "str"},
    "offline": {"type": "bool", "default": False},
    "packed": {"type": "path"},
    "trust_project_config": {"type": "bool", "default": False},
    "allowed_hosts": STRINGS,
    "allow_http": STRINGS,
    "allow_sources": STRINGS,
    "allow_weak_integrity": STRINGS,
    "supply": {
        "type": "dict",
        "options": {
            "minimum_age": {"type": "float"},
            "allow_young": STRINGS,
            "signatures": {"type": "bool", "default": False},
            "audit": {"type": "str", "choices": ["low", "moderate", "high", "critical"]},
        },
    },
    "check_engines": {"type": "bool", "default": True},
    "verify": {"type": "str", "choices": ["cheap", "full"], "default": "cheap"},
    "max_size": {"type": "str"},
    "timeout": {"type": "float", "default": 900},
    "sbom": {"type": "bool", "default": False},
    "export": {"type": "path"},
    "shipped": {
        "type": "dict",
        "options": {"path": {"type": "path", "required": True}, "sha256": {"type": "str", "required": True}},
    },
}


def work(module: AnsibleModule) -> dict[str, t.Any]:
    """Plan, then do it or say what it would do."""
    started = time.monotonic()
    options = module.params
    request = install_request(os.path.abspath(options["path"]), os.path.abspath(options["store"]), options)
    run = runner(module)
    plan = plan_installation(request, run)
    if plan is None:
        return InstallResult(changed=False).as_dict()
    # Who has nothing to do need not know what is there, unless somebody wants to see it.
    idle = plan.up_to_date and not module._diff
    old = None if idle else before(plan)
    result = preview(plan) if module.check_mode else carry_out(plan, run)
    for warning in result.warnings:
        module.warn(warning)
    counts, diff = NOTHING, {}
    if old:
        differs = Changes(old, old if plan.up_to_date else after(plan))
        counts, diff = differs.counts, _diff(module, plan, differs)
    materials = {"sbom": _bill_of_materials(plan)} if options["sbom"] else {}
    exported = (
        {"exported": _export(plan, run, options["export"])} if options["export"] and not module.check_mode else {}
    )
    answer = {**result.as_dict(), "difference": counts, **materials, **exported, **diff}
    if answer["seconds"]:
        answer["seconds"] = {**answer["seconds"], "total": round(time.monotonic() - started, 3)}
    return answer


def _bill_of_materials(plan: Plan) -> dict[str, t.Any]:
    # Only loaded for whoever asks for it.
    from ansible_collections.evenkeel.apphost.plugins.module_utils.install import materials

    return materials.of_plan(plan)


def _export(plan: Plan, run: RunCommand, path: str) -> str:
    """Write the tree to ``path``, in the place of what is there; returns its SHA-256."""
    # Only loaded for whoever asks for it.
    from ansible_collections.evenkeel.apphost.plugins.module_utils.install.ship import export_tree
    from ansible_collections.evenkeel.apphost.plugins.module_utils.install.store import TreeStore

    # The store may have forgotten a tree that no folder has links to.
    have_tree(plan, run)
    fresh = f"{path}.{os.getpid()}"
    sha256 = export_tree(TreeStore(plan.request.store, None), plan.identity, fresh)
    os.rename(fresh, path)
    return sha256


def _diff(module: AnsibleModule, plan: Plan, differs: Changes) -> dict[str, t.Any]:
    if not module._diff:
        return {}
    header, (old, new) = plan.main, differs.texts()
    return {"diff": {"before": old, "after": new, "before_header": header, "after_header": header}}


def main() -> None:
    """Run the module."""
    run_module(ARGUMENT_SPEC, work)


if __name__ == "__main__":
    main()
