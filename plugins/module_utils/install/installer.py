# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install an app's dependencies exactly as its lockfile says: the one way in, for ``release_stage`` and ``lockfile_install``."""

from __future__ import annotations

import typing as t
from dataclasses import dataclass, field

#: Runs a program: argument list -> exit code, stdout, stderr. ``AnsibleModule.run_command`` is one.
RunCommand = t.Callable[[list[str]], tuple[int, str, str]]


@dataclass(frozen=True)
class InstallRequest:
    """What to install where."""

    #: The app's folder: holds package.json and the lockfile, gets ``node_modules``.
    folder: str
    #: The store of built trees (``AppLayout.store``); on the folder's file system, so that hard links work.
    store: str
    #: The runtime's folder; ``bin/node`` and ``bin/npm`` are below it.
    runtime_root: str
    manager: str = "auto"
    #: Names of packages whose lifecycle scripts may run.
    allow_scripts: tuple[str, ...] = ()
    #: The account that fetches and builds; ``None``: ``apphost-build`` when there is one, else ``nobody``.
    build_user: str | None = None
    #: Whom the files in the folder belong to; ``None``: root, by hard links. Anybody else gets copies.
    owner: str | None = None
    group: str | None = None
    #: Address of the registry and the token for it; ``None``: npm's own default, no token.
    registry: str | None = None
    registry_token: str | None = field(default=None, repr=False)
    #: A file of CA certificates on the host, for a registry behind a corporate CA.
    ca_file: str | None = None


@dataclass(frozen=True)
class InstallResult:
    """What an installation did. ``manager`` and ``identity`` are ``None`` when the app has nothing to install."""

    changed: bool
    manager: str | None = None
    identity: str | None = None
    packages: int = 0
    files: int = 0
    bytes: int = 0
    #: The tree was built before, by this release or another.
    from_cache: bool = False
    #: Packages whose lifecycle scripts did not run, as ``name@version``.
    scripts_skipped: tuple[str, ...] = ()
    #: Seconds by phase: ``build``, ``place``, ``total``.
    seconds: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, t.Any]:
        """For a module's result."""
        return {
            "changed": self.changed,
            "manager": self.manager,
            "identity": self.identity,
            "packages": self.packages,
            "files": self.files,
            "bytes": self.bytes,
            "from_cache": self.from_cache,
            "scripts_skipped": list(self.scripts_skipped),
            "seconds": self.seconds,
        }


def install_dependencies(request: InstallRequest, run: RunCommand) -> InstallResult:
    """Put the dependencies of ``request.folder`` in place. Raises ApphostError; then the folder is as it was.

    An app without dependencies (no package.json, or manager ``none``) has nothing to do.
    """
    raise NotImplementedError
