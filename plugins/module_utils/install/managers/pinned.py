# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Package managers of Node.js that a project names itself, at an exact version: pnpm and yarn."""

from __future__ import annotations

import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, Problem
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.base import Job
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.node import NodeManager
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.programs import (
    Pinned,
    pinned,
    version_in,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.record import Installed
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import InstallRequest
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.runtime import Runtime
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.reader import Project


class PinnedManager(NodeManager):
    """A package manager of Node.js of which the project, or the operator, names the exact version."""

    #: Its package in the registry, and the program in that.
    package: t.ClassVar[str]
    program_file: t.ClassVar[str]
    #: Major versions that read this lockfile, in words, and how to tell one.
    reads: t.ClassVar[str]

    def __init__(self, project: Project, request: InstallRequest, runtime: Runtime) -> None:
        super().__init__(project, request, runtime)
        self.wanted = self._wanted()

    @property
    def version(self) -> str:
        return self.wanted.version

    def _wanted(self) -> Pinned:
        where = self.project.manifests[""].path
        named = pinned(self.project.manifests[""].deciding.get("packageManager"), where)
        if named and named.name != self.name:
            # The project was moved from one package manager to another, and not everything that was left was deleted.
            raise ApphostError(
                f"packageManager names {named.name}, and the lockfile is one of {self.name}",
                where,
                f"Delete what is not used: {self.project.lockfile.name}, or packageManager in package.json.",
            )
        asked = self.request.manager_version
        if asked and (named is None or asked != named.version):
            return Pinned(self.name, asked)
        if named:
            return named
        # Versions of it make different trees, and nothing in the project says which one it is for.
        raise ApphostError(
            f"names no version of {self.name}",
            where,
            f'Set packageManager in package.json ("{self.name}@<version>"), or manager_version.',
        )

    def check(self) -> None:
        super().check()
        if not self.reads_lockfile():
            # Each major version of it has a lockfile of its own form.
            what = f"{self.name} {self.version} does not read this lockfile; {self.reads}"
            do = "Change packageManager in package.json, or manager_version."
            raise ApphostError(what, self.project.lockfile.path, do)

    def reads_lockfile(self) -> bool:
        """Whether this version reads this lockfile."""
        return True

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0])

    def inputs(self) -> dict[str, t.Any]:
        return {**super().inputs(), "manager_version": self.version}

    def in_runtime(self) -> str | None:
        """The program, when the runtime has this very version."""
        there = version_in(self.runtime.root, self.name)
        return there[1] if there and there[0] == self.version else None

    def program_path(self, job: Job) -> str:
        """The program: the runtime's own when it is this very version, else the store's."""
        return self.in_runtime() or self.program(job, self.package, self.wanted, self.program_file)

    def missing(self, installed: t.Mapping[str, Installed], expected: t.Iterable[str]) -> list[Problem]:
        """Those of ``expected`` that were not installed, in words."""
        return [Problem(f"{path} is missing") for path in expected if path not in installed]
