# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the plan, the build and the explanation of failures need of a package manager."""

from __future__ import annotations

import abc
import os
import shlex
import typing as t
from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, Problem, RunCommand
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.authorities import (
    read_authorities,
    usual_authorities,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.command import Account, as_account
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.programs import Programs
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.place import remove
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.record import Installed
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import InstallRequest
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Package
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.reader import Project
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.tree import Host

#: What timeout(1) ends with.
_TIMED_OUT, _KILLED = 124, 137


class TooLong(ApphostError):
    """A program was ended because it took too long."""

    def __init__(self, program: str, limit: float) -> None:
        # The package manager was still running after the time that the option timeout gives it.
        super().__init__(
            f"did not end within {limit:.0f} s",
            program,
            "See whether the registry, or a lifecycle script, hangs; else set a longer timeout. Nothing was changed.",
        )


@dataclass(frozen=True)
class Job:
    """A build under way: the build user's folders, and the one way to run a program in them."""

    #: Holds ``project``, ``home`` and ``tmp``.
    work: str
    #: The manager's own cache.
    cache: str
    #: Managers that come from the registry.
    programs: Programs
    account: Account | None
    run: RunCommand
    #: Seconds that one run of a program may take.
    limit: float = 900.0

    @property
    def project(self) -> str:
        return os.path.join(self.work, "project")

    @property
    def home(self) -> str:
        return os.path.join(self.work, "home")

    @property
    def temporary(self) -> str:
        return os.path.join(self.work, "tmp")

    @property
    def authorities(self) -> str:
        """A file of CA certificates, when the option ca_file names one."""
        return os.path.join(self.work, "ca.pem")

    def write(self, path: str, content: bytes) -> None:
        """Write a file below ``work`` that only the build user can read, and the folders that it needs."""
        folder = self.work
        *parents, name = path.split("/")
        for parent in parents:
            folder = os.path.join(folder, parent)
            if not os.path.isdir(folder):
                os.mkdir(folder, 0o700)
                self._give(folder)
        full = os.path.join(folder, name)
        descriptor = os.open(full, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        self._give(full)

    def forget(self) -> None:
        """Delete every setting that was written for the build user, with all secrets."""
        remove(self.home)
        os.mkdir(self.home, 0o700)
        self._give(self.home)

    def _give(self, path: str) -> None:
        if self.account:
            os.lchown(path, self.account.uid, self.account.gid)

    def call(
        self,
        argv: t.Sequence[str],
        environment: t.Mapping[str, str],
        contained: bool = False,
        secret: t.Mapping[str, str] | None = None,
        limit: float | None = None,
    ) -> tuple[int, str, str]:
        """Run a program in the project as the build user; exit status, output, errors. No argument may be a secret.

        It sees ``environment`` and folders of its own, nothing else of ours. ``contained``: nothing that it started
        outlives it. ``secret`` are variables that no argument list may show. Raises TooLong when it does not end.
        """
        variables = {"HOME": self.home, "TMPDIR": self.temporary, "LC_ALL": "C.UTF-8", **environment}
        if secret:
            lines = "".join(f"{name}={shlex.quote(value)}\n" for name, value in sorted(secret.items()))
            self.write("home/.variables", lines.encode())
            argv = ["/bin/sh", "-c", 'set -a; . "$0"; exec "$@"', os.path.join(self.home, ".variables"), *argv]
        limit = limit or self.limit
        code, out, err = self.run(as_account(argv, self.account, self.project, variables, limit, contained))
        if code in (_TIMED_OUT, _KILLED):
            raise TooLong(os.path.basename(self.named(argv)), limit)
        return code, out, err

    @staticmethod
    def named(argv: t.Sequence[str]) -> str:
        """The program that an argument list is about, for people."""
        scripts = ("node", "python", "sh")
        return next((word for word in argv if word[:1] != "-" and os.path.basename(word) not in scripts), argv[0])


class Manager(abc.ABC):
    """One package manager, about to install one project."""

    #: As in ``Lockfile.manager``.
    name: t.ClassVar[str]
    #: The file of settings that an artifact may bring.
    config_file: t.ClassVar[str]
    #: Any file of its cache may go without harm to the others.
    separable_cache: t.ClassVar[bool] = False
    #: The certificates that it is given are all that it trusts, instead of some more.
    trusts_only_given: t.ClassVar[bool] = False

    def __init__(self, project: Project, request: InstallRequest) -> None:
        self.project = project
        self.request = request

    @property
    @abc.abstractmethod
    def version(self) -> str:
        """The manager's own version."""

    @property
    @abc.abstractmethod
    def target(self) -> Host:
        """What the tree has to fit."""

    @property
    @abc.abstractmethod
    def places(self) -> tuple[str, ...]:
        """All folders of the project that packages may be put into; the first one is always made."""

    @property
    @abc.abstractmethod
    def outside(self) -> frozenset[str]:
        """Where symbolic links may lead out of these: folders of the project, and absolute paths."""

    @abc.abstractmethod
    def facts(self) -> list[tuple[str, str]]:
        """What else than the project's own files the identity and the checks depend on: kind of fact, and path."""

    @abc.abstractmethod
    def check(self) -> None:
        """Refuse a project that this manager, or the runtime, is not for. Raises ApphostError."""

    @abc.abstractmethod
    def inputs(self) -> dict[str, t.Any]:
        """What of the manager, the runtime and the settings decides the tree; plain JSON."""

    def bring_authorities(self, job: Job) -> None:
        """Copy ``ca_file`` to where the build user can read it. Raises ApphostError when it cannot be meant."""
        ca_file = self.request.network.ca_file
        if ca_file:
            usual = usual_authorities() if self.trusts_only_given else b""
            job.write("ca.pem", usual + b"\n" + read_authorities(ca_file))

    @property
    def builds(self) -> bool:
        """Whether packages may be built while they are fetched, and run code for it."""
        return False

    @abc.abstractmethod
    def fetch(self, job: Job) -> None:
        """Install the packages into ``job.project``, running no code of any. Raises ApphostError that explains."""

    @abc.abstractmethod
    def installed(self, job: Job) -> dict[str, Installed]:
        """What is in ``job.project`` after that, by the lockfile's path of each package."""

    @abc.abstractmethod
    def disagreements(self, job: Job, installed: t.Mapping[str, Installed]) -> list[Problem]:
        """How that differs from what the lockfile says; empty: it does not."""

    def impostors(self, job: Job, installed: t.Mapping[str, Installed]) -> list[Problem]:
        """Packages that say of themselves that they are others than the lockfile has; empty: there are none."""
        return []

    #: The optional checks (names of ``Supply``'s fields) that it can make.
    supplies: t.ClassVar[tuple[str, ...]] = ("minimum_age",)

    def check_supplies(self) -> None:
        """Refuse optional checks that this manager has no way to make. Raises ApphostError."""
        supply = self.request.supply
        for name, wanted in (("signatures", supply.signatures), ("audit", supply.audit)):
            if wanted and name not in self.supplies:
                raise self._no_way(name)

    def _no_way(self, name: str) -> ApphostError:
        # when: supply asks for something that this package manager cannot tell
        what = f"{self.name} has no way to check this"
        return ApphostError(what, f"supply.{name}", "Leave it out, and check it where the lockfile is made.")

    def check_signatures(self, job: Job) -> None:
        """Raise ApphostError unless every package has a right signature of its registry."""
        raise self._no_way("signatures")

    def audit(self, job: Job, level: str) -> None:
        """Raise ApphostError for known vulnerabilities of this severity or a higher one."""
        raise self._no_way("audit")

    @abc.abstractmethod
    def run_scripts(self, job: Job, allowed: t.Mapping[str, Installed]) -> None:
        """Run the lifecycle scripts of these packages, without any token. Raises ApphostError."""

    @abc.abstractmethod
    def finish(self, job: Job) -> None:
        """Make the tree one that can be put anywhere, after everything has run. Raises ApphostError."""

    @property
    def own_records(self) -> tuple[str, ...]:
        """Files in which the manager itself writes down what it installed, relative to the project."""
        return ()

    @property
    def watched(self) -> tuple[str, ...]:
        """Folders whose names must not change, besides those that hold packages; relative to the project."""
        return ()

    def listed(self, folder: str) -> dict[str, Package]:
        """What the manager itself says is installed in a project that we did not install into; empty: nothing."""
        return {}
