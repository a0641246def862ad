# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the package managers of Node.js have in common: the runtime, manifests without anything that runs, settings."""

from __future__ import annotations

import base64
import functools
import json
import os
import posixpath
import re
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.identity import Runtime, this_host
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.base import Job, Manager
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import InstallRequest, Network
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.jsonfile import parse_object, read_regular_file
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Package, Source
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.packagejson import DECIDING_KEYS, MEND
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.policy import check_engines
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.reader import Project
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.tree import Target

MODULES = "node_modules"

#: What of a workspace reaches the package manager besides what decides the tree.
_OF_OTHERS = ("name", "version", "bin")

NETWORK_CODES = frozenset(
    {
        "ECONNREFUSED",
        "EAI_AGAIN",
        "ENOTFOUND",
        "ENETUNREACH",
        "EHOSTUNREACH",
        "ETIMEDOUT",
        "ERR_SOCKET_TIMEOUT",
    }
)
#: The connection was there, and ended before its time: worth another try.
BROKEN_CODES = frozenset({"ECONNRESET", "EPIPE", "FETCH_ERROR", "ERR_STREAM_PREMATURE_CLOSE", "Z_BUF_ERROR"})
CERTIFICATE_CODES = frozenset(
    {
        "CERT_HAS_EXPIRED",
        "DEPTH_ZERO_SELF_SIGNED_CERT",
        "ERR_TLS_CERT_ALTNAME_INVALID",
        "SELF_SIGNED_CERT_IN_CHAIN",
        "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
        "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    }
)

Settings = dict[str, t.Union[str, int, bool]]


class NodeManager(Manager):
    """A package manager of Node.js."""

    def __init__(self, project: Project, request: InstallRequest, runtime: Runtime) -> None:
        super().__init__(project, request)
        self.runtime = runtime

    @property
    def target(self) -> Target:
        return this_host(self.runtime)

    @property
    def places(self) -> tuple[str, ...]:
        return tuple(posixpath.join(folder, MODULES) for folder in ("", *self.manifests))

    @property
    def outside(self) -> frozenset[str]:
        return frozenset(self.manifests)

    def check(self) -> None:
        check_network(self.request.network)
        for package in self.project.lockfile.packages.values():
            if package.source in (Source.LINK, Source.FILE) and not package.dev and _local_path(package) is None:
                raise ApphostError(
                    f"{package.spec} is outside of the app's folder, at {(package.resolved or '?')[:200]}",
                    self.project.lockfile.path,
                    "Move it into the app's folder: an artifact holds nothing else.",
                )
        if self.request.check_engines:
            check_engines(self.project.lockfile, self.project.manifests, self.runtime.version)

    def inputs(self) -> dict[str, t.Any]:
        return {
            "runtime": self.runtime.version,
            "abi": self.runtime.abi,
            "workspaces": {
                folder: {key: value for key, value in manifest.items() if key != "version"}
                for folder, manifest in self.manifests.items()
            },
        }

    def finish(self, job: Job) -> None:
        """Nothing to do: these trees have no path in them that depends on where they are."""

    def environment(self) -> dict[str, str]:
        """All that the manager and lifecycle scripts get to see."""
        variables = {
            "PATH": f"{self.runtime.root}/bin:/usr/local/bin:/usr/bin:/bin",
            # Where add-ons find the headers of this very runtime, instead of downloading them.
            "npm_config_nodedir": self.runtime.root,
        }
        ca_file = self.request.network.ca_file
        return {**variables, "NODE_EXTRA_CA_CERTS": ca_file} if ca_file else variables

    @functools.cached_property
    def manifests(self) -> dict[str, dict[str, t.Any]]:
        """What the package manager gets to know of the project's other folders: of workspaces, and of linked ones."""
        linked = [_local_path(p) for p in self.project.lockfile.packages.values() if p.source == Source.LINK]
        found = {}
        for folder in dict.fromkeys([*self.project.manifests, *(path for path in linked if path)]):
            path = os.path.join(self.project.folder, folder, "package.json")
            content = read_regular_file(path) if folder else None
            if content is not None:
                value = parse_object(content, path, MEND)
                found[folder] = {key: value[key] for key in (*_OF_OTHERS, *DECIDING_KEYS) if value.get(key)}
        return found

    def write_project(self, job: Job, **more: t.Any) -> None:
        """Write into the scratch project what decides the tree, and nothing else; ``more`` are keys of the manifest."""
        root = {"name": "apphost-install", "version": "0.0.0", "private": True}
        job.write("project/package.json", as_json({**root, **self.project.manifests[""].deciding, **more}))
        for folder, manifest in self.manifests.items():
            job.write(f"project/{folder}/package.json", as_json({**manifest, "private": True}))
            for program in _programs(manifest):
                # Managers make no link to a program that is not there.
                job.write(f"project/{folder}/{program}", b"")
        for package in self.project.lockfile.packages.values():
            path = _local_path(package) if package.source == Source.FILE else None
            content = read_regular_file(os.path.join(self.project.folder, path)) if path else None
            if content is not None:
                job.write(f"project/{path}", content)


def _local_path(package: Package) -> str | None:
    """Where a linked folder or a local archive is in the project; ``None``: it is not in it."""
    path = posixpath.normpath(re.sub(r"^(file|link|portal):", "", package.resolved or ""))
    parts = path.split("/")
    inside = not posixpath.isabs(path) and path.isprintable() and not {".", "..", MODULES} & {*parts}
    return path if inside else None


def as_json(value: t.Any) -> bytes:
    """As the bytes of a file."""
    return json.dumps(value, indent=1, sort_keys=True).encode("utf-8", "surrogatepass")


def _programs(manifest: t.Mapping[str, t.Any]) -> t.Iterator[str]:
    """Paths of a workspace's programs (``bin``), relative to its folder; none that leads out of it."""
    programs = manifest.get("bin")
    for found in [programs] if isinstance(programs, str) else programs.values() if isinstance(programs, dict) else ():
        if isinstance(found, str) and found.isprintable() and not posixpath.isabs(found):
            path = posixpath.normpath(found)
            if path not in (".", "package.json") and not {"..", MODULES} & {*path.split("/")}:
                yield path


def settings_file(settings: t.Mapping[str, str | int | bool]) -> bytes:
    """An ``.npmrc``; every text is quoted, so that it cannot become a setting of its own."""
    return "".join(f"{name}={json.dumps(settings[name])}\n" for name in sorted(settings)).encode()


def registry_settings(network: Network, with_tokens: bool) -> Settings:
    """The registries as ``.npmrc`` has them."""
    settings: Settings = {}
    for registry in network.registries:
        settings[f"{registry.scope}:registry" if registry.scope else "registry"] = registry.url
        if registry.token and with_tokens:
            place = registry.url.split(":", 1)[-1].rstrip("/")
            if registry.user:
                settings[f"{place}/:username"] = registry.user
                settings[f"{place}/:_password"] = _base64(registry.token)
            else:
                settings[f"{place}/:_authToken"] = registry.token
    return settings


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def proxies(network: Network, environment: t.Mapping[str, str]) -> dict[str, str]:
    """The proxy as ``.npmrc`` has it: the one asked for, else that of this process (of a play's ``environment:``)."""
    found = {}
    given = {"https-proxy": network.proxy, "proxy": network.proxy, "noproxy": network.no_proxy}
    for setting, names in (
        ("https-proxy", ("https_proxy", "HTTPS_PROXY")),
        ("proxy", ("http_proxy", "HTTP_PROXY")),
        ("noproxy", ("no_proxy", "NO_PROXY")),
    ):
        value = given[setting] or next((environment[name] for name in names if environment.get(name)), None)
        if value:
            found[setting] = value
    return found


def check_network(network: Network) -> None:
    """Refuse registries that cannot be meant. Raises ApphostError."""
    for registry in network.registries:
        if registry.scope is not None and not re.fullmatch(r"@[a-zA-Z0-9~][a-zA-Z0-9._~-]*", registry.scope):
            raise ApphostError(f"the scope {registry.scope!r} of a registry is none", do="Write it as @acme.")
        if not re.match(r"https?://[^/\s]+", registry.url):
            raise ApphostError(f"the registry {registry.url!r} is no address", do="Write it as https://host/path/.")
    if len({registry.scope for registry in network.registries}) < len(network.registries):
        raise ApphostError("two registries are for the same packages", do="Give each a scope of its own.")
