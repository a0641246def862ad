# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of a lockfile before anything is fetched, on the lockfile alone.

Whoever can write to an app's lockfile decides what code its hosts run. So every package in it has to come from a known
registry, over HTTPS, as the very package that its name says, and be nailed down by a strong hash; what is different is
allowed by name, by the operator.
"""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field, fields

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, Problem
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile import addresses
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.integrity import strong_integrity
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import (
    Lockfile,
    Manifest,
    Package,
    Source,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.ranges import satisfies

#: Problems shown before "and N more".
SHOWN = 5

PYTHON = ("uv", "pip")


@dataclass(frozen=True)
class Policy:
    """What the operator allows. The names of the fields are those of the module's options."""

    #: Addresses of the registries that packages are asked from: scope (``@acme``) -> address, with ``""`` for all other
    #: packages; none: the manager's own default.
    registries: t.Mapping[str, str] = field(default_factory=dict)
    #: Hosts that addresses in the lockfile may have, ``host``, ``host:port`` or ``host/path/``, besides the
    #: registries'; none: the manager's own default. With ``*`` hosts are not looked at: for where the registries are
    #: not known.
    allowed_hosts: tuple[str, ...] = ()
    #: Hosts (``host`` or ``host:port``) that may be asked without encryption, besides registries whose address is such.
    allow_http: tuple[str, ...] = ()
    #: Names of packages that may come from elsewhere than a registry: git, a plain address, a local archive or folder.
    allow_sources: tuple[str, ...] = ()
    #: Names of packages that may have a weak hash, or none; ``*`` in one stands for any characters.
    allow_weak_integrity: tuple[str, ...] = ()

    @classmethod
    def of(cls, options: t.Mapping[str, t.Any], registries: t.Mapping[str, str] | None = None) -> Policy:
        """The policy in a module's options; what is not among them keeps its default."""
        names = [known.name for known in fields(cls) if known.name != "registries"]
        allowed = {name: tuple(options[name]) for name in names if options.get(name)}
        return cls(registries=dict(registries or {}), **allowed)


def check_policy(lockfile: Lockfile, policy: Policy) -> None:
    """Raise ApphostError naming the entries that must not be installed."""
    problems = policy_problems(lockfile, policy)
    if problems:
        do = " ".join(dict.fromkeys(problem.do for problem in problems))
        raise ApphostError(joined(problems), lockfile.path, do)


def policy_problems(lockfile: Lockfile, policy: Policy) -> list[Problem]:
    """Everything in the lockfile that the policy does not allow, in the lockfile's order."""
    rules = _Rules(lockfile, policy)
    found = [problem for package in lockfile.packages.values() for problem in rules.problems(package)]
    # The same package may be in several places of the tree.
    return list(dict.fromkeys(found))


class _Rules:
    """The policy for one lockfile."""

    def __init__(self, lockfile: Lockfile, policy: Policy) -> None:
        self.manager = lockfile.manager
        self.public = addresses.PUBLIC_HOSTS[lockfile.manager]
        self.registries = policy.registries
        ours = [known for known in map(addresses.parse, policy.registries.values()) if known]
        self.any_host = "*" in policy.allowed_hosts
        hosts = [*(known.host for known in ours), *(policy.allowed_hosts or self.public)]
        self.places = tuple(addresses.place(host) for host in hosts)
        self.any_http = "*" in policy.allow_http
        plain = [*policy.allow_http, *(known.host for known in ours if known.scheme == "http")]
        self.http = tuple(addresses.place(re.sub("^https?://", "", host)) for host in plain)
        self.sources = {_plain(name, self.manager) for name in policy.allow_sources}
        self.weak = [_plain(name, self.manager).split("*") for name in policy.allow_weak_integrity]

    def problems(self, package: Package) -> t.Iterator[Problem]:
        """What is wrong with one package."""
        if package.source in (Source.WORKSPACE, Source.BUNDLED):
            return
        if package.source == Source.LINK and package.path == package.resolved:
            # The folder itself; what counts is the link to it.
            return
        if package.source != Source.REGISTRY and _plain(package.name, self.manager) not in self.sources:
            yield _not_of_a_registry(package)
            return
        if package.source == Source.REGISTRY:
            yield from self._registry_problems(package)
        elif package.source in (Source.GIT, Source.ADDRESS):
            yield from self._transport_problems(package, package.resolved or "")
        if package.source == Source.GIT:
            if not re.search(r"[#@/=]([0-9a-f]{40}|[0-9a-f]{64})\b", package.resolved or ""):
                # A branch or a tag can be moved to other code; a commit cannot.
                place = addresses.shown(package.resolved or "?")
                yield Problem(
                    f"{package.spec} comes from a git repository, {place}, without its commit",
                    "Make the lockfile again, so that it names the commit.",
                )
        elif package.source in (Source.REGISTRY, Source.ADDRESS):
            yield from self._integrity_problems(package)

    def _registry_problems(self, package: Package) -> t.Iterator[Problem]:
        if package.resolved is None:
            # The manager asks the configured registry, or its own default one.
            scope = package.known_as.partition("/")[0]
            default = addresses.Address("https", self.public[0], "/", False)
            if not {"", scope} & {*self.registries} and not self._is_allowed(default):
                yield self._foreign(default.host, package)
        elif self.manager in PYTHON:
            # One package has several files, which need not be at the same host.
            for address in package.resolved.split():
                yield from self._address_problems(package, address)
        else:
            yield from self._address_problems(package, package.resolved)

    def _address_problems(self, package: Package, address: str) -> t.Iterator[Problem]:
        known = addresses.parse(address)
        # npm's default registry in a lockfile stands for the configured one, whichever that is.
        stands_for_ours = self.manager == "npm" and "" in self.registries and known and known.host in self.public
        if known is None:
            yield _misunderstood(package, address)
            return
        if not stands_for_ours or known.user:
            yield from self._transport_problems(package, address)
            if not self._is_allowed(known):
                yield self._foreign(known.host, package)
        if not _belongs(self.manager, address, package):
            # The name says one package, and the address is that of another: one would be installed for the other.
            yield Problem(
                f"{package.spec} is fetched from {addresses.shown(address)}, the address of something else",
                "Find out who wrote that; then make the lockfile again.",
            )

    def _is_allowed(self, address: addresses.Address) -> bool:
        return self.any_host or address.place.startswith(self.places)

    def _transport_problems(self, package: Package, address: str) -> t.Iterator[Problem]:
        known = addresses.parse(address)
        if known is None:
            if package.source != Source.GIT or not addresses.is_short_git(address):
                yield _misunderstood(package, address)
        elif known.scheme not in ("https", "http", "ssh", "git"):
            yield _misunderstood(package, address)
        elif known.scheme in ("http", "git") and not self.any_http and not known.place.startswith(self.http):
            # Whoever is on the way can read what is asked for, with the token, and answer in the registry's place.
            yield Problem(
                f"{package.spec} is fetched without encryption, from {addresses.shown(address)}",
                f"Use https, or name {known.host} in allow_http.",
            )
        elif known.user and known.scheme != "ssh":
            # A password in a lockfile is known to everybody who can read it.
            do = "Take the user's name and the password out of the address; a token belongs into registry_token."
            yield Problem(f"the address of {package.spec} has a user's name in it", do)

    def _integrity_problems(self, package: Package) -> t.Iterator[Problem]:
        if strong_integrity(package.integrity) or self.may_be_weak(package):
            return
        do = "Make the lockfile again with a current package manager, or name the package in allow_weak_integrity."
        if package.integrity:
            # The lockfile has SHA-1 or MD5, for which other content can be made, or a hash that is cut off.
            kinds = ", ".join(value.split("-")[0][:20] for value in package.integrity.split()[:3])
            yield Problem(f"{package.spec} has only a weak integrity hash ({kinds})", do)
            return
        if self.manager == "yarn" and package.os + package.cpu + package.libc:
            # Yarn records no hash of packages for one platform: see check_platforms.
            return
        # The lockfile does not say what the package's content is, so it could be anything.
        yield Problem(f"{package.spec} has no integrity hash", do)

    def may_be_weak(self, package: Package) -> bool:
        """Whether the package is allowed to have a weak hash, or none."""
        name = _plain(package.name, self.manager)
        return any(_fits(name, parts) for parts in self.weak)

    def _foreign(self, host: str, package: Package) -> Problem:
        # Whoever has the host decides what is in the package. Besides the registries that are configured, or else the
        # manager's default one, no host is allowed.
        do = f"Name {host} in allowed_hosts if you trust it."
        return Problem(f"{package.spec} is fetched from {host}, which is none of the allowed registries", do)


def check_platforms(lockfile: Lockfile, policy: Policy, fits: t.Callable[[Package], bool]) -> None:
    """Raise ApphostError naming the packages for one platform that yarn would fetch here with nothing to check them by.

    ``check_policy`` lets those pass, for on another host it is others that are fetched. ``fits`` tells which these are.
    """
    rules = _Rules(lockfile, policy)
    do = "Allow them by allow_weak_integrity, like @img/*, if you trust the registry."
    problems = [
        # yarn 3 and 4 record no hash of packages for one platform, so what is fetched could be anything.
        Problem(f"{package.spec} has no integrity hash, for yarn records none of packages for one platform", do)
        for package in lockfile.packages.values()
        if package.os + package.cpu + package.libc
        and not (package.integrity or package.dev or rules.may_be_weak(package))
        and fits(package)
    ]
    if problems:
        # The packages that are named are for the platform of this host.
        raise ApphostError(joined(problems), lockfile.path, do)


def _not_of_a_registry(package: Package) -> Problem:
    place = addresses.shown(package.resolved or "?")
    do = "Take it from a registry and make the lockfile again, or name the package in allow_sources."
    if package.source == Source.GIT:
        # A repository has no versions that stay, and building it runs its code.
        return Problem(f"{package.spec} comes from a git repository, {place}", do)
    if package.source == Source.ADDRESS:
        # Nobody keeps watch over a plain address as over a registry.
        return Problem(f"{package.spec} comes from {place}, not from a registry as this package", do)
    if package.source == Source.FILE:
        # What is in the archive is only known to whoever made it.
        return Problem(f"{package.spec} comes from a local archive, {place}", do)
    # What is in the folder is in no lockfile.
    return Problem(f"{package.spec} is a link to the folder {place}", do)


def _misunderstood(package: Package, address: str) -> Problem:
    # It has a form that programs read differently, or a scheme that no registry has.
    do = "Make the lockfile again."
    return Problem(f"{package.spec} has an address that cannot be relied on, {addresses.shown(address)!r}", do)


def _plain(name: str, manager: str) -> str:
    """A name as it is compared: Python does not care about case, and about which of ``-_.`` there is."""
    return addresses.normal(name) if manager in PYTHON else name


def _fits(name: str, parts: t.Sequence[str]) -> bool:
    """Whether a name begins with the first of the parts, ends with the last, and has the others in between."""
    return re.fullmatch(".*".join(map(re.escape, parts)), name) is not None


def _belongs(manager: str, address: str, package: Package) -> bool:
    """Whether a registry's address is that of the package that its name says."""
    if manager in PYTHON:
        # The address of an index belongs to no package; the files in it are checked by their hashes.
        file = re.search(r"\.(whl|tar\.\w+|tgz|zip)(#.*)?$", address)
        return file is None or addresses.is_distribution_of(address, package.known_as, package.version)
    return addresses.is_tarball_of(address, package.known_as, package.version)


def check_engines(lockfile: Lockfile, manifests: t.Mapping[str, Manifest], node: str) -> None:
    """Raise ApphostError when the app, or a package it cannot do without, is not for the Node.js version ``node``.

    ``manifests`` are those of the project and its workspaces, by folder. A range that cannot be understood is let pass.
    """
    for folder, manifest in manifests.items():
        engines = manifest.deciding.get("engines")
        own = engines.get("node") if isinstance(engines, dict) else None
        if isinstance(own, str) and satisfies(node, own) is False:
            # engines.node in package.json does not take the version of the runtime.
            raise ApphostError(
                f"the {'workspace' if folder else 'app'} is for Node.js {own[:100]}, its runtime is {node}",
                manifest.path,
                "Change the runtime's version, or engines.node in package.json.",
            )
    problems = [
        # engines.node of a package that the app cannot do without does not take the version of the runtime.
        Problem(f"{package.spec} is for Node.js {package.engines['node'][:100]}")
        for package in lockfile.packages.values()
        if not (package.dev or package.dev_optional or package.optional or package.source == Source.WORKSPACE)
        and satisfies(node, package.engines.get("node", "*")) is False
    ]
    if problems:
        # The packages that are named are for other versions of Node.js.
        raise ApphostError(
            f"{joined(problems)}, the runtime is {node}",
            lockfile.path,
            "Change the runtime's version or update the packages, or set check_engines to false.",
        )


def joined(problems: t.Sequence[str]) -> str:
    """The first problems in one line."""
    more = f"; and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    return "; ".join(problems[:SHOWN]) + more
