# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the package managers of Node.js have in common: the runtime, manifests without anything that runs, settings."""

from __future__ import annotations

import functools
import json
import os
import posixpath
import re
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, Problem
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.facts import CONTENT, STATUS
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.base import Job, Manager
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.nodescan import MODULES, read_package
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.npm_words import explain, failure
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.npmrc import (
    FIXED_SETTINGS,
    check_addresses,
    check_scopes,
    proxies,
    registry_settings,
    settings_file,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.programs import Pinned, check_hash
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.scripts import lacks_tools, reason
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.record import Installed
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import InstallRequest
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.runtime import Runtime, this_host
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.words import shortened
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.jsonfile import parse_object, read_regular_file
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Package, Source
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.packagejson import DECIDING_KEYS, MEND
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.policy import check_engines
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.reader import Project
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.tree import Target

#: What of a workspace reaches the package manager besides what decides the tree.
_OF_OTHERS = ("name", "version", "bin")


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

    def facts(self) -> list[tuple[str, str]]:
        root = self.runtime.root
        npm = os.path.dirname(os.path.dirname(os.path.realpath(self.runtime.npm)))
        programs = [os.path.join(root, "bin", "node"), os.path.join(root, "include/node/node_version.h")]
        contents = [self.config_file, os.path.join(npm, "package.json")]
        contents += [os.path.join(folder, "package.json") for folder in self.manifests]
        return [*((STATUS, path) for path in programs), *((CONTENT, path) for path in contents)]

    def check(self) -> None:
        check_addresses(self.request.network)
        check_scopes(self.request.network)
        self.check_supplies()
        for package in self.project.lockfile.packages.values():
            if package.source in (Source.LINK, Source.FILE) and not package.dev and _local_path(package) is None:
                # The lockfile has a link or an archive (file:, link:, portal:) that does not come with the app.
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

    @property
    def secrets(self) -> list[str]:
        """What must not be shown of what a manager says."""
        return [*self.request.network.secrets, *proxies(self.request.network, os.environ).values()]

    def write_npmrc(self, job: Job, with_tokens: bool, **more: str | int | bool) -> None:
        """What npm, pnpm and yarn 1 are told in a file of the build user's.

        No token and no password of a proxy is ever in argv. ``with_tokens``: the file has them, and the proxy.
        """
        network = self.request.network
        ways = proxies(network, os.environ) if with_tokens else {}
        settings = {**FIXED_SETTINGS, **ways, **registry_settings(network, with_tokens), **more}
        job.write("home/.npmrc", settings_file(settings))

    def npm(self, job: Job, argv: t.Sequence[str], contained: bool = False) -> tuple[str | None, str]:
        """Run npm; returns its error code (``None``: it succeeded) and its words."""
        code, out, err = job.call([self.runtime.npm, *argv], self.environment(job), contained)
        return failure(out, err) if code else (None, "")

    def npm_error(self, what: str, code: str, words: str) -> ApphostError:
        """The error for a person about ``npm <what>``."""
        default = self.request.network.default
        where = f"npm {what}, {self.project.lockfile.path}"
        return explain(code, words, where, default.url if default else None, self.secrets, self.project.lockfile)

    def program(self, job: Job, package: str, wanted: Pinned, file: str) -> str:
        """The program ``file`` of the package manager ``package``, fetched by npm when this host has it not yet."""

        def fetch() -> bytes:
            folder = f"pack-{package.replace('/', '-')}"
            job.write(f"tmp/{folder}/.empty", b"")
            to = f"--pack-destination=../tmp/{folder}"
            code, words = self.npm(job, ["pack", f"{package}@{wanted.version}", to, "--json"])
            if code is not None:
                raise self.npm_error(f"pack {package}@{wanted.version}", code, words)
            path = os.path.join(job.temporary, folder)
            names = [name for name in os.listdir(path) if name.endswith(".tgz")]
            content = read_regular_file(os.path.join(path, names[0])) if names else None
            if content is None:
                # npm pack succeeded and left no archive where it was told to.
                what = f"npm brought no archive of {package}@{wanted.version}"
                do = "Install the runtime again (role nodejs): its npm does not do what npm does."
                raise ApphostError(what, self.project.lockfile.path, do)
            check_hash(content, file, wanted, self.project.manifests[""].path)
            return content

        return os.path.join(job.programs.get(package, wanted.version, fetch), file)

    def impostors(self, job: Job, installed: t.Mapping[str, Installed]) -> list[Problem]:
        # A manager believes an archive that has no hash, or comes from its cache by the hash alone.
        problems = []
        for one in installed.values():
            package = one.package
            for folder in one.at if package.source == Source.REGISTRY and package.version else ():
                found = read_package(job.project, folder, package.name)
                spec = f"{found.own_name}@{found.version}" if found else "no package"
                if found is None or found.own_name != package.known_as or not _same(found.version, package.version):
                    problems.append(Problem(f"{folder} is {spec[:200]}, the lockfile has {package.spec}"))
        return problems

    def rebuild(self, job: Job, allowed: t.Mapping[str, Installed], **settings: str | int | bool) -> None:
        """Run the lifecycle scripts of these packages by npm, in a tree of plain folders."""
        self.write_npmrc(job, with_tokens=False, **settings)
        # By path: a name would also run a package that only calls itself so.
        folders = sorted({f"./{folder}" for one in allowed.values() for folder in one.at})
        # In the foreground scripts print by themselves, and npm says nothing about why one failed.
        argv = [self.runtime.npm, "rebuild", *folders, "--foreground-scripts"]
        code, out, err = job.call(argv, self.environment(job), contained=True)
        if code:
            raise self.scripts_failed(allowed, reason(out, err) or failure(out, err)[1])

    def scripts_failed(self, allowed: t.Mapping[str, Installed], words: str) -> ApphostError:
        """The error for scripts that failed."""
        names = ", ".join(sorted({one.package.known_as for one in allowed.values()}))
        said, where = shortened(words, self.secrets), self.project.lockfile.path
        if lacks_tools(words):
            # A package in allow_scripts compiles an add-on, and the host has no compiler, no make or no Python.
            return ApphostError(
                f"{names} cannot be compiled on this host: {said}",
                where,
                "Install what compiles (on Debian and Ubuntu build-essential and python3), or take the package out of "
                "allow_scripts.",
            )
        # A script of a package in allow_scripts failed; often a library's headers are missing.
        return ApphostError(
            f"the lifecycle scripts of {names} failed: {said}",
            where,
            "Install what they need on the host, or take the package out of allow_scripts.",
        )

    def finish(self, job: Job) -> None:
        """Nothing to do: these trees have no path in them that depends on where they are."""

    def environment(self, job: Job) -> dict[str, str]:
        """All that the manager and lifecycle scripts get to see."""
        variables = {
            "PATH": f"{self.runtime.root}/bin:/usr/local/bin:/usr/bin:/bin",
            # From Node.js 22 on npm and pnpm would write down what they compiled, into a folder that goes away: half a
            # second for nothing. In one that stays, a script could change what runs with the next app's tokens.
            "NODE_DISABLE_COMPILE_CACHE": "1",
            # Where add-ons find the headers of this very runtime, instead of downloading them.
            "npm_config_nodedir": self.runtime.root,
        }
        return {**variables, "NODE_EXTRA_CA_CERTS": job.authorities} if self.request.network.ca_file else variables

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

    def root_manifest(self) -> dict[str, t.Any]:
        """What the package manager gets to know of the project itself."""
        own = {"name": "apphost-install", "version": "0.0.0", "private": True}
        return {**own, **self.project.manifests[""].deciding}

    def write_project(self, job: Job, **more: t.Any) -> None:
        """Write into the scratch project what decides the tree, and nothing else; ``more`` are keys of the manifest."""
        job.write("project/package.json", as_json({**self.root_manifest(), **more}))
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


def _same(own: str | None, version: str | None) -> bool:
    """Whether two versions are the same one to a registry, which keeps no build and is not strict about the form."""
    plain = [re.sub(r"^[=v\s]+|\+.*|\s+$", "", text or "") for text in (own, version)]
    loose = [re.sub(r"(?<![0-9A-Za-z])0+(?=\d)", "", re.sub(r"(?<=\d)-?(?=[A-Za-z])", "-", text)) for text in plain]
    return loose[0] == loose[1]


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
