# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""yarn 1."""

from __future__ import annotations

import glob
import json
import os
import re
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, Problem
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.failure_kinds import explain, second_try
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.base import Job
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.nodescan import MODULES, Found, scan
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.pinned import PinnedManager
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.packed import FOLDER, take_out
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.record import Installed
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.words import Failures, json_lines, shortened
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.addresses import PUBLIC_HOSTS
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.jsonfile import read_regular_file
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Package, Source
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.tree import expected_packages

INSTALL = (
    "install",
    "--frozen-lockfile",
    "--production",
    "--ignore-scripts",
    "--non-interactive",
    "--no-progress",
    "--json",
)

#: Milliseconds of silence after which it tries again, five times; a connection that is reset is just silent to it.
_TIMEOUT = 20000


class YarnClassic(PinnedManager):
    """yarn 1."""

    name = "yarn"
    package = "yarn"
    program_file = "bin/yarn.js"
    config_file = ".yarnrc"
    reads = "yarn 1 does"
    separable_cache = False

    def reads_lockfile(self) -> bool:
        return self.major == 1

    @property
    def own_records(self) -> tuple[str, ...]:
        return (f"{MODULES}/.yarn-integrity",)

    def fetch(self, job: Job) -> None:
        self.write_project(job)
        tokens = any(registry.token for registry in self.request.network.registries)
        # Without it, yarn sends a token only for packages of a scope.
        self.write_npmrc(job, with_tokens=True, cache=os.path.join(job.work, "npm"), **{"always-auth": tokens})
        job.write("project/yarn.lock", self._lockfile_for_yarn())
        self._trust_project(job)
        settings: dict[str, t.Any] = {
            "cache-folder": job.cache,
            "disable-self-update-check": True,
            "network-timeout": _TIMEOUT,
        }
        options = [*INSTALL, f"--mutex=file:{job.cache}/.mutex"]
        network = self.request.network
        if not self.request.check_engines:
            options.append("--ignore-engines")
        if network.packed:
            settings["yarn-offline-mirror"] = os.path.join(job.work, "mirror")
            settings["cache-folder"] = os.path.join(job.work, "cache")
            self._fill_mirror(job, network.packed)
        if network.offline or network.packed:
            options.append("--offline")
        job.write("home/.yarnrc", yarnrc(settings))
        self._install(job, options)

    def _trust_project(self, job: Job) -> None:
        if self.request.trust_project_config:
            for name in (".yarnrc", ".npmrc"):
                content = read_regular_file(os.path.join(self.project.folder, name))
                if content is not None:
                    job.write(f"project/{name}", content)

    def _lockfile_for_yarn(self) -> bytes:
        """The lockfile; where another registry is configured, it stands for the default one, as with npm."""
        content = self.project.lockfile.content
        default = self.request.network.default
        for host in PUBLIC_HOSTS["yarn"] if default else ():
            url = default.url.rstrip("/") if default else ""
            content = re.sub(
                rb'(?m)^(  resolved ")https://' + re.escape(host.encode()), rb"\g<1>" + url.encode(), content
            )
        return content

    def _fill_mirror(self, job: Job, packed: str) -> None:
        """Make yarn's own kind of a packed set: a folder of archives that are called as in their addresses."""
        expected = expected_packages(self.project.lockfile, self.target)
        for path, files in take_out(packed, expected.values(), job, self._may_be_foreign).items():
            package = self.project.lockfile.packages[path]
            content = read_regular_file(os.path.join(job.work, FOLDER, files[0]))
            job.write(f"mirror/{_mirror_name(package)}", content or b"")

    def _may_be_foreign(self, package: Package) -> bool:
        """Whether it may be for another platform, which this lockfile does not say."""
        return package.optional

    def _install(self, job: Job, options: t.Sequence[str]) -> None:
        words = second_try(lambda: self._yarn(job, options))
        if words is not None:
            raise self._explain(words)

    def _yarn(self, job: Job, options: t.Sequence[str]) -> str | None:
        """Run yarn; returns what it says when it fails."""
        program = [os.path.join(self.runtime.root, "bin", "node"), self.program_path(job)]
        environment = {**self.environment(job), "YARN_IGNORE_PATH": "1"}
        code, out, err = job.call([*program, *options], environment)
        return said(out, err) if code else None

    def _explain(self, words: str) -> ApphostError:
        failures = Failures(f"yarn install, {self.project.lockfile.path}", shortened(words, self.secrets))
        if "lockfile needs to be updated" in words:
            # yarn itself finds that they differ, in something that was not seen before it ran.
            return failures.error("the lockfile does not match package.json", self.project.format.remake)
        if "offline mode" in words or "couldn't find any versions for" in words.lower():
            return failures.not_cached(shortened(words, self.secrets))
        if "is incompatible with this module" in words:
            # engines of a package does not take the version of the runtime; this lockfile does not say it beforehand.
            summary = shortened(words.partition("\n")[0], self.secrets)
            do = "Change the runtime's version, or set check_engines to false."
            return failures.error(f"a package is not for this Node.js: {summary}", do)
        named = re.search(r'Integrity check failed for "([^"]+)"', words)
        default = self.request.network.default
        return explain(
            words, failures, default.url if default else None, self.secrets, "A .yarnrc", named[1] if named else None
        )

    def installed(self, job: Job) -> dict[str, Installed]:
        known = {(p.name, p.version): p for p in self.project.lockfile.packages.values()}
        found: dict[str, list[Found]] = {}
        everything = scan(job.project, self.places)
        for folder, one in everything.items():
            package = known.get((one.name, one.version))
            path = package.path if package else folder
            found.setdefault(path, []).append(one)
        return {path: self._one(path, many, everything) for path, many in found.items()}

    def _one(self, path: str, many: list[Found], everything: t.Mapping[str, Found]) -> Installed:
        package = self.project.lockfile.packages.get(path)
        if package is None:
            source = Source.BUNDLED if _is_bundled(many[0].folder, everything) else Source.REGISTRY
            package = Package(path=path, name=many[0].name, version=many[0].version, source=source)
        return Installed(
            package=package,
            at=tuple(one.folder for one in many),
            witness="package.json",
            has_scripts=any(one.has_scripts for one in many),
        )

    def disagreements(self, job: Job, installed: t.Mapping[str, Installed]) -> list[Problem]:
        lockfile = self.project.lockfile
        strange = [
            Problem(f"{path} is not in the lockfile")
            for path, one in installed.items()
            if one.package.source != Source.BUNDLED and (path not in lockfile.packages or lockfile.packages[path].dev)
        ]
        # What a package is for, this lockfile does not say. What yarn has in its cache it could get, and left out.
        expected = [
            path
            for path, package in expected_packages(lockfile, self.target).items()
            if package.source != Source.LINK and not (package.optional and self._is_cached(job, package))
        ]
        return strange + self.missing(installed, expected)

    def _is_cached(self, job: Job, package: Package) -> bool:
        cache = os.path.join(job.work, "cache") if self.request.network.packed else job.cache
        name = f"npm-{package.known_as.replace('/', '-')}-{package.version}-"
        return bool(glob.glob(f"{glob.escape(cache)}/v*/{glob.escape(name)}*"))

    def run_scripts(self, job: Job, allowed: t.Mapping[str, Installed]) -> None:
        self.rebuild(job, allowed, cache=os.path.join(job.work, "npm"))


def yarnrc(settings: t.Mapping[str, t.Any]) -> bytes:
    """A ``.yarnrc``."""
    return "".join(f"{json.dumps(name)} {json.dumps(settings[name])}\n" for name in sorted(settings)).encode()


def said(out: str, err: str) -> str:
    """What yarn 1 or yarn 2 to 4 says went wrong, from its lines of JSON; else its last words."""
    errors = [
        # What follows is a stack.
        re.split(r"\n\s+at ", value["data"])[0].strip()
        for value in json_lines(out, err)
        if value.get("type") == "error" and isinstance(value.get("data"), str)
    ]
    return "\n".join(dict.fromkeys(errors)) or (err.strip() or out.strip())[-2000:]


def _mirror_name(package: Package) -> str:
    """How yarn calls the archive in its mirror: by its address, with the scope in front."""
    base = package.known_as.rpartition("/")[2]
    address = (package.resolved or "").partition("#")[0].partition("?")[0]
    file = address.rpartition("/")[2] or f"{base}-{package.version}.tgz"
    scope = package.known_as.partition("/")[0] if package.known_as.startswith("@") else ""
    return f"{scope}-{file}" if scope else file


def _is_bundled(folder: str, everything: t.Mapping[str, Found]) -> bool:
    """Whether the folder is inside a package that brings others in its archive."""
    while f"/{MODULES}/" in folder:
        folder = folder.rpartition(f"/{MODULES}/")[0]
        if folder in everything and everything[folder].bundles:
            return True
    return False
