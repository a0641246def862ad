#!/usr/bin/python
# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: release_stage
short_description: Put a release on a host without touching what runs there
version_added: 0.1.0
author: The Evenkeel engineers (@evenkeel)
description:
  - Copies the bundle to the host, unpacks it, installs the dependencies from its lockfile, writes the launchers and
    the environment, and only then gives the folder the name of the release. What runs is not touched;
    M(evenkeel.apphost.release_activate) does that.
  - A release that is on the host already is left alone, and its bundle is not copied again.
  - Dependencies that the host lacks are built there. With C(dependencies.build_on) of the app they are built on one
    host of each platform, or on the controller, and shipped to the hosts that lack them; their hash is checked where
    they arrive. Between machines they are a tar in Ansible's own temporary folders, which Ansible removes.
  - A failure of any kind, a full disk among them, leaves the host as it was. What a killed run leaves behind is
    removed by the next.
  - Files belong to root and can be read by the app's group; the app cannot change them. Modes do not depend on the
    umask.
extends_documentation_fragment:
  - evenkeel.apphost._attributes
  - evenkeel.apphost._attributes.changes
attributes:
  check_mode:
    details: Nothing is copied. What site.yml has not made yet (a runtime, a folder) is a warning instead of an error,
      so that a check of a bare host can go on.
options:
  release:
    description: The manifest of the release, as RV(evenkeel.apphost.release_bundle#module:releases) has it.
    type: dict
    required: true
  bundle:
    description: The path of its tar on the controller, as RV(evenkeel.apphost.release_bundle#module:bundles) has it.
      Needed unless the release is on the host already.
    type: path
  bundle_data:
    description: The tar itself, compressed by zlib and in Base64. The action puts it there when the tar is small, which
      saves copying it; not to be given by hand.
    type: str
  build:
    description: Whether dependencies that the host lacks are built there. The action sets it, as
      C(dependencies.build_on) of the app asks; not to be given by hand.
    type: bool
    default: true
  shipped:
    description: The dependencies as another machine built them, a tar on the host with its hash. The action puts it
      there; not to be given by hand.
    type: dict
    suboptions:
      path:
        description: The tar.
        type: path
        required: true
      sha256:
        description: Its hash.
        type: str
        required: true
  export:
    description: Where on the host to write the built dependencies for other hosts, as a tar. The action sets it; not
      to be given by hand.
    type: path
  controller_store:
    description:
      - The folder on the controller that keeps what was built there, for apps with
        C(dependencies.build_on=controller).
      - The default is V(/var/cache/evenkeel/trees) when Ansible is run by root, else V(~/.cache/evenkeel/trees).
    type: path
  secrets:
    description: The app's secret environment variables, the same as for M(evenkeel.apphost.release_bundle). They are
      written to a file that only root can read.
    type: json
  keep:
    description: Afterwards remove old releases until no more than these are left, as M(evenkeel.apphost.release_prune)
      does. Without it all stay.
    type: int
  registry:
    description: Address of the registry of Node.js packages, for apps that name none. Without it the package manager's
      own default is used.
    type: str
  registry_token:
    description: Token for O(registry). It reaches no log, no command line and no file that stays.
    type: str
  registry_tokens:
    description: Tokens for registries that apps name, by address. They reach no log, no command line and no file that
      stays.
    type: json
  call_next:
    description:
      - Modules that are called after this one, by their full names. What Ansible sends for them is made meanwhile.
      - It takes 0.2 s for each of them, which otherwise the first host is waited for, and out of the balancer.
    type: list
    elements: str
    default: []
  ca_file:
    description: A file on the host with certificates of authorities to trust besides the system's, for registries.
    type: path
  proxy:
    description: Address of a proxy on the way to registries. The default is what the variables C(https_proxy) and
      C(http_proxy) say.
    type: str
  no_proxy:
    description: Hosts that are asked without the proxy, separated by commas.
    type: str
  offline:
    description: Ask no registry; take packages from the caches of the host.
    type: bool
    default: false
  store_max_bytes:
    description: How large the host's store of built dependency trees may be, such as V(10G); trees that a release uses
      stay, and are not counted. Without it there is no limit.
    type: str
  store_max_age:
    description: Days after which a tree that no release uses is deleted from the store.
    type: float
    default: 30
notes:
  - Needs root on the host.
seealso:
  - module: evenkeel.apphost.release_bundle
  - module: evenkeel.apphost.release_activate
  - module: evenkeel.apphost.release_prune
"""

EXAMPLES = r"""
- name: Stage the shop everywhere
  evenkeel.apphost.release_stage:
    release: "{{ bundled.releases.shop }}"
    bundle: "{{ bundled.bundles.shop }}"
    secrets: "{{ apphost_secrets.shop }}"
  become: true
"""

RETURN = r"""
release:
  description: The id of the release.
  returned: success
  type: str
  sample: 1.4.2-20d17d6f5f
folder:
  description: Its folder on the host.
  returned: success
  type: str
  sample: /srv/apphost/shop/releases/1.4.2-20d17d6f5f
dependencies:
  description: What was installed; V(null) when nothing was done.
  returned: success
  type: dict
  sample: {manager: npm, packages: 68, from_cache: true, shipped: false, scripts_skipped: []}
built_on:
  description: The host that built the dependencies which were shipped to this one, or V(the controller).
  returned: when they were shipped
  type: str
  sample: app1
pruned:
  description: The releases that were removed because of O(keep).
  returned: success
  type: list
  elements: str
  sample: [1.3.9-77c01d92ab]
seconds:
  description: How long each phase took, and all of them (V(total)). Empty when nothing was done.
  returned: success
  type: dict
  sample: {verify: 0.01, unpack: 0.02, install: 0.2, finish: 0.05, total: 0.28}
"""

import base64
import json
import os
import typing as t
import zlib

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, run_module, runner
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.installer import LacksTree
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import AppLayout
from ansible_collections.evenkeel.apphost.plugins.module_utils.release import host
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.manifest import parse_manifest
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.prune import prune
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.stage import Report, Stage

ARGUMENT_SPEC: dict[str, t.Any] = {
    "release": {"type": "dict", "required": True},
    "bundle": {"type": "path"},
    "bundle_data": {"type": "str", "no_log": True},
    # JSON, not a dict: of a dict Ansible would blank every single value wherever it occurs in the result, and a
    # secret "1" would spoil every release id.
    "secrets": {"type": "json", "no_log": True},
    "build": {"type": "bool", "default": True},
    "shipped": {
        "type": "dict",
        "options": {"path": {"type": "path", "required": True}, "sha256": {"type": "str", "required": True}},
    },
    "export": {"type": "path"},
    # The action's own; they do not get here.
    "controller_store": {"type": "path"},
    "call_next": {"type": "list", "elements": "str", "default": []},
    "keep": {"type": "int"},
    "registry": {"type": "str"},
    "registry_token": {"type": "str", "no_log": True},
    # JSON, as the secrets are.
    "registry_tokens": {"type": "json", "no_log": True},
    "ca_file": {"type": "path"},
    "proxy": {"type": "str", "no_log": True},
    "no_proxy": {"type": "str"},
    "offline": {"type": "bool", "default": False},
    "store_max_bytes": {"type": "str"},
    "store_max_age": {"type": "float", "default": 30},
}


def make_stage(module: AnsibleModule) -> Stage:
    """Put the parts together as the options ask."""
    options = module.params
    manifest = parse_manifest(options["release"], "release")
    return Stage(
        layout=AppLayout(manifest["app"]),
        manifest=manifest,
        secrets=json.loads(options["secrets"] or "{}"),
        run=runner(module),
        host_options=host_options(options),
        export=options["export"],
    )


def host_options(options: dict[str, t.Any]) -> dict[str, t.Any]:
    """What the host says about the way to packages."""
    names = (
        "build",
        "shipped",
        "registry",
        "registry_token",
        "ca_file",
        "proxy",
        "no_proxy",
        "offline",
        "store_max_bytes",
        "store_max_age",
    )
    tokens = json.loads(options["registry_tokens"] or "{}")
    return {**{name: options[name] for name in names}, "registry_tokens": tokens}


def unpack_data(data: str, folder: str) -> str:
    """Write the tar that came with the arguments into ``folder``; returns its path."""
    path = os.path.join(folder, "bundle.tar")
    with open(path, "wb") as file:
        file.write(zlib.decompress(base64.b64decode(data)))
    return path


def carry_out(module: AnsibleModule, stage: Stage) -> Report:
    """Stage, or say in check mode what would happen."""
    if module.check_mode:
        lacks = stage.lacks()
        if lacks:
            module.warn(f"app {stage.layout.name}: {lacks}. Run site.yml for this host first.")
        elif not stage.staged:
            stage.check_space()
        return Report(changed=not stage.staged)
    if module.params["bundle_data"]:
        return stage.carry_out(unpack_data(module.params["bundle_data"], module.tmpdir))
    if module.params["bundle"]:
        return stage.carry_out(module.params["bundle"])
    if not stage.staged:
        raise ApphostError(f"release {stage.release} is not on the host, and no bundle is given", "release_stage")
    return stage.skip()


def work(module: AnsibleModule) -> dict[str, t.Any]:
    """Stage and report."""
    stage = make_stage(module)
    before = host.staged_releases(stage.layout)
    try:
        report = carry_out(module, stage)
    except LacksTree as lack:
        return {"changed": False, "needs_tree": {"identity": lack.identity, "platform": lack.platform}}
    for warning in report.dependencies.warnings if report.dependencies else ():
        module.warn(f"app {stage.layout.name}: {warning}")
    keep = module.params["keep"]
    pruned = prune(stage.layout, keep).pruned if keep and not module.check_mode else []
    after = sorted({*before, stage.release} - {*pruned})
    return {
        "changed": report.changed or bool(pruned),
        "pruned": pruned,
        "release": stage.release,
        "folder": stage.layout.release(stage.release),
        "dependencies": report.dependencies.as_dict() if report.dependencies else None,
        "seconds": report.seconds,
        **({"exported": report.exported} if report.exported else {}),
        "diff": {"before": host.as_text(stage.layout, before), "after": host.as_text(stage.layout, after)},
    }


def main() -> None:
    """Enter."""
    run_module(ARGUMENT_SPEC, work)


if __name__ == "__main__":
    main()
