# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The package manager that a lockfile belongs to, on this host."""

from __future__ import annotations

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, RunCommand
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.base import Manager
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import InstallRequest
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.runtime import inspect_runtime
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.reader import Project


def make_manager(project: Project, request: InstallRequest, run: RunCommand) -> Manager:
    """What installs ``project``. Raises ApphostError when this host lacks what it needs.

    Only the module of the manager that is wanted is loaded: each is compiled anew in every run of a module.
    """
    name = project.lockfile.manager
    if project.format.ecosystem == "node":
        if request.runtime_root is None:
            # The lockfile is one of Node.js, and the option runtime_root is not set.
            raise ApphostError(f"{name} needs a Node.js, and none is named", project.lockfile.path, "Set runtime_root.")
        runtime = inspect_runtime(request.runtime_root, run)
        if name == "npm":
            from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.npm import Npm

            return Npm(project, request, runtime)
        if name == "pnpm":
            from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.pnpm import Pnpm

            return Pnpm(project, request, runtime)
        if name == "yarn" and project.lockfile.format == "1":
            from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.yarn_classic import (
                YarnClassic,
            )

            return YarnClassic(project, request, runtime)
        from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.yarn_berry import YarnBerry

        return YarnBerry(project, request, runtime)
    from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.python import inspect_python

    python = inspect_python(request.python, run)
    if name == "uv":
        from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.uv import Uv

        return Uv(project, request, python, run)
    from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.pip import Pip

    return Pip(project, request, python)
