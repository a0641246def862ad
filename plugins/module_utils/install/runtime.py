# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runtime that a tree of Node.js packages is made for."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, RunCommand
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.identity import cpu, libc_version
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.tree import Target

#: A version and nothing else: what node and npm print, and what their files say.
_VERSION = re.compile(r"\d+\.\d+\.\d+[0-9A-Za-z.+-]*")

_REINSTALL = "Install the runtime again (role nodejs)."


@dataclass(frozen=True)
class Runtime:
    """A Node.js with its npm."""

    root: str
    version: str
    #: ``process.versions.modules``: what compiled add-ons are made for.
    abi: str
    npm_version: str

    @property
    def npm(self) -> str:
        return os.path.join(self.root, "bin", "npm")


def inspect_runtime(root: str, run: RunCommand) -> Runtime:
    """The versions of the runtime at ``root``; read from its files when they say them, else asked from the programs."""
    for program in ("node", "npm"):
        path = os.path.join(root, "bin", program)
        if not os.access(path, os.X_OK):
            # The runtime was not installed on this host, or not completely.
            raise ApphostError("is not there or not executable", path, "Install the runtime first (role nodejs).")
    version, abi = _from_header(root) or _from_node(root, run)
    return Runtime(root=root, version=version, abi=abi, npm_version=_from_package(root) or _from_npm(root, run))


def _from_header(root: str) -> tuple[str, str] | None:
    """Version and ABI out of the C headers that come in the runtime's own archive."""
    try:
        with open(os.path.join(root, "include/node/node_version.h"), encoding="utf-8") as file:
            found = dict(re.findall(r"^# *define +NODE_(\w+)_VERSION +(\d+)", file.read(), re.MULTILINE))
        return f"{found['MAJOR']}.{found['MINOR']}.{found['PATCH']}", found["MODULE"]
    except (OSError, UnicodeDecodeError, KeyError):
        return None


def _from_node(root: str, run: RunCommand) -> tuple[str, str]:
    node = os.path.join(root, "bin", "node")
    code, out, err = run([node, "-p", "process.versions.node + ' ' + process.versions.modules"])
    words = out.split()
    if code or len(words) != 2 or not _VERSION.fullmatch(words[0]):
        # Neither its files say it, nor the program when it is asked: it is damaged, or for another kind of host.
        raise ApphostError(f"does not say its version: {(err or out).strip()[:300]}", node, _REINSTALL)
    return words[0], words[1]


def _from_package(root: str) -> str | None:
    """The version in npm's own package.json: ``bin/npm`` is a link to ``…/npm/bin/npm-cli.js``."""
    folder = os.path.dirname(os.path.dirname(os.path.realpath(os.path.join(root, "bin", "npm"))))
    try:
        with open(os.path.join(folder, "package.json"), encoding="utf-8") as file:
            package = json.load(file)
        version = package["version"] if package["name"] == "npm" else ""
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return version if isinstance(version, str) and _VERSION.fullmatch(version) else None


def _from_npm(root: str, run: RunCommand) -> str:
    npm = os.path.join(root, "bin", "npm")
    # npm is a script for `env node`.
    code, out, err = run(["/usr/bin/env", f"PATH={root}/bin:/usr/bin:/bin", npm, "--version"])
    if code or not _VERSION.fullmatch(out.strip()):
        # Neither its files say it, nor the program when it is asked: it is damaged, or for another kind of host.
        raise ApphostError(f"does not say its version: {(err or out).strip()[:300]}", npm, _REINSTALL)
    return out.strip()


def this_host(runtime: Runtime) -> Target:
    """What a tree for this host and ``runtime`` has to fit."""
    return Target(
        cpu=cpu(),
        libc=libc_version().split()[0],
        node=runtime.version,
        npm=runtime.npm_version,
    )
