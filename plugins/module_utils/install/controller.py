# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build a tree on the controller, for hosts of the same platform."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, RunCommand, from_os_error
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.installer import have_tree
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.plan import Plan, plan_installation
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import InstallRequest
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.ship import export_tree
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.store import TreeStore

_ELSEWHERE = "Set dependencies.build_on to first_host, or run Ansible on a machine like the hosts."


def build_here(request: InstallRequest, identity: str, platform: str, path: str, run: RunCommand) -> str:
    """Build the tree that a host of ``platform`` (in words) lacks, and write it to a new tar; returns its SHA-256.

    ``request`` is the host's, with the folder, the runtime and the store of this machine; nothing is placed. The store
    keeps the tree, for hosts of another day. Raises ApphostError.
    """
    if sys.platform != "linux":
        # The controller is a Mac, or another machine whose packages fit no host.
        raise ApphostError(f"the controller is {sys.platform}, the host {platform}", do=_ELSEWHERE)
    try:
        plan = _plan(request, platform, run)
        if plan is None or plan.identity != identity:
            # Another architecture, another C library, another version of the runtime or of its package manager.
            here = plan.platform if plan else "without a lockfile"
            what = f"a tree that is built on the controller does not fit: the host is {platform}, the controller {here}"
            raise ApphostError(what, do=_ELSEWHERE)
        have_tree(plan, run)
        return export_tree(TreeStore(request.store, None), identity, path)
    except OSError as error:
        raise from_os_error(error, "building on the controller") from error


def _plan(request: InstallRequest, platform: str, run: RunCommand) -> Plan | None:
    try:
        return plan_installation(request, run)
    except ApphostError as error:
        # The controller lacks the runtime, or has one of another kind; a host has already judged the lockfile.
        what = f"the controller cannot build for {platform}: {error.message.rstrip('.')}"
        raise ApphostError(what, do=_ELSEWHERE) from error


def runtime_here(root: str) -> str:
    """Where this machine has the runtime that hosts have at ``root``: there too, or where its node is in ``PATH``."""
    program = None if os.path.exists(os.path.join(root, "bin", "node")) else shutil.which("node")
    return os.path.dirname(os.path.dirname(os.path.realpath(program))) if program else root


def default_store() -> str:
    """Where trees are kept on this machine: where the build user gets to, or, when nobody is root, with us."""
    if os.geteuid() == 0:
        return "/var/cache/evenkeel/trees"
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(cache, "evenkeel", "trees")


def run_here(command: list[str]) -> tuple[int, str, str]:
    """Run a program of this machine, in the C locale, without questions."""
    done = subprocess.run(
        command,
        env={**os.environ, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="backslashreplace",
        check=False,
    )
    return done.returncode, done.stdout, done.stderr
