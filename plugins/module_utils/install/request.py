# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to install where, from where, and within which bounds."""

from __future__ import annotations

from dataclasses import dataclass, field

from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.policy import Policy


@dataclass(frozen=True)
class Bounds:
    """How large and old a store may become."""

    #: Seconds that a tree stays without being used.
    max_age: float
    #: Bytes of the trees that no folder has links to; ``None``: no limit.
    max_bytes: int | None = None


#: A store is swept of what nobody used for a month; a cache of downloads may have 4 GiB.
STORE_BOUNDS = Bounds(max_age=30 * 86400.0)
CACHE_BYTES = 4 * 1024**3


@dataclass(frozen=True)
class Registry:
    """Where packages come from."""

    url: str
    #: Only for packages of this scope (``@acme``); ``None``: for all others.
    scope: str | None = None
    token: str | None = field(default=None, repr=False)
    #: The name that goes with the token, for registries that want one; ``None``: none, for Python ``__token__``.
    user: str | None = None


@dataclass(frozen=True)
class Network:
    """The way to the registries."""

    #: The one for everything first (``scope`` is ``None``), if any; without it the manager's own default.
    registries: tuple[Registry, ...] = ()
    #: A file of CA certificates on the host, for registries behind a corporate CA.
    ca_file: str | None = None
    #: Address of a proxy for HTTP and HTTPS; ``None``: what this process' environment says. May hold a password.
    proxy: str | None = field(default=None, repr=False)
    no_proxy: str | None = None
    #: Nothing but the manager's cache on the host.
    offline: bool = False
    #: A folder or a tar of package archives on the host; nothing else is used then.
    packed: str | None = None

    @property
    def default(self) -> Registry | None:
        """The registry of packages without a scope of their own."""
        return next((registry for registry in self.registries if registry.scope is None), None)

    def addresses(self) -> dict[str, str]:
        """By scope (``""``: everything else); more than one for everything else (Python) by themselves."""
        found: dict[str, str] = {}
        for registry in self.registries:
            scope = registry.scope or ""
            found[registry.url if scope in found else scope] = registry.url
        return found

    @property
    def secrets(self) -> list[str]:
        """What must not be shown."""
        return [secret for secret in (self.proxy, *(registry.token for registry in self.registries)) if secret]


@dataclass(frozen=True)
class Supply:
    """More about where packages come from, asked when a tree is built; all of it is off by default."""

    #: Days that a version must have been out.
    minimum_age: float | None = None
    #: Names of packages that may be of any age.
    allow_young: tuple[str, ...] = ()
    #: Every package must carry a signature of its registry that is right.
    signatures: bool = False
    #: The lowest severity of a known vulnerability that stops the installation: ``low`` … ``critical``.
    audit: str | None = None


@dataclass(frozen=True)
class Shipped:
    """A tree that was built elsewhere: a tar on this host (``ship.py``), and its SHA-256 (hex)."""

    path: str
    sha256: str


@dataclass(frozen=True)
class InstallRequest:
    """What to install where."""

    #: The app's folder: holds the manifest and the lockfile, gets the packages.
    folder: str
    #: The store of built trees (``AppLayout.store``); on the folder's file system, so that hard links work.
    store: str
    #: The runtime's folder; ``bin/node`` and ``bin/npm`` are below it. Only for the managers of Node.js.
    runtime_root: str | None = None
    #: The host's own Python, for the managers of Python.
    python: str = "/usr/bin/python3"
    manager: str = "auto"
    #: The exact version of pnpm or yarn; ``None``: what the manifest names.
    manager_version: str | None = None
    #: The program of a manager that is not found by itself (uv).
    manager_path: str | None = None
    #: Names of packages whose lifecycle scripts may run.
    allow_scripts: tuple[str, ...] = ()
    #: The account that fetches and builds; ``None``: ``apphost-build`` when there is one, else ``nobody``.
    build_user: str | None = None
    #: Whom the files in the folder belong to; ``None``: root, by hard links. Anybody else gets copies.
    owner: str | None = None
    group: str | None = None
    network: Network = Network()
    policy: Policy = field(default_factory=Policy)
    supply: Supply = Supply()
    #: Take the settings of the package manager that the artifact brings (``.npmrc`` …) as they are.
    trust_project_config: bool = False
    #: Refuse an app or packages that are not for the runtime's version (``engines.node``).
    check_engines: bool = True
    #: Read every file of what is in place, and of what comes out of the store.
    verify_full: bool = False
    #: Bytes that a tree may have; ``None``: any number.
    max_size: int | None = None
    #: Seconds that one run of the package manager may take.
    timeout: float = 900.0
    store_bounds: Bounds = STORE_BOUNDS
    cache_bytes: int = CACHE_BYTES
    #: A tree that the store lacks is built here; else ``LacksTree`` is raised.
    may_build: bool = True
    #: The tree, for a store that lacks it; then none is built here.
    shipped: Shipped | None = None
