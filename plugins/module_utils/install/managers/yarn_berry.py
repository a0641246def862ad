# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""yarn 2 to 4, making plain folders (``nodeLinker: node-modules``)."""

from __future__ import annotations

import dataclasses
import os
import re
import typing as t
import urllib.parse

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, Problem
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.failure_kinds import explain, second_try
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.base import Job
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.node import as_json
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.nodescan import MODULES, read_package
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.npmrc import proxies
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.pinned import PinnedManager
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.yarn_classic import said
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.record import Installed
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import Registry
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.words import Failures, shortened
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.jsonfile import read_regular_file
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Package, Source
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.policy import check_platforms, joined
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.tree import expected_packages
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.yamlfile import parse_mapping
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.yarn_berry import (
    compression_level,
    parse_lockfile,
    strays,
)

#: Settings of an artifact that decide the tree, or what the lockfile was made for.
TRUSTED_SETTINGS = (
    "catalog",
    "catalogs",
    "compressionLevel",
    "defaultProtocol",
    "nmHoistingLimits",
    "packageExtensions",
)

#: Where yarn writes down what it installed.
STATE = f"{MODULES}/.yarn-state.yml"

#: Its own settings are in files of this name: it looks for them in every folder above, too.
RC_NAME = ".apphost.yarnrc.yml"

#: Milliseconds of silence after which it gives up; a connection that is reset in the middle is just silent to it.
_TIMEOUT = 20000

_PATCH = re.compile(r"#(?:optional!)?(?:~/|\./)([^:#&]+)")


class YarnBerry(PinnedManager):
    """yarn 2 to 4."""

    name = "yarn"
    package = "@yarnpkg/cli-dist"
    program_file = "bin/yarn.js"
    config_file = ".yarnrc.yml"
    reads = "yarn 2 and later do"
    separable_cache = True

    def reads_lockfile(self) -> bool:
        return self.major >= 2

    @property
    def own_records(self) -> tuple[str, ...]:
        return (STATE,)

    def check(self) -> None:
        super().check()
        if self.request.network.packed:
            # This yarn takes archives only from its own cache, in a format of its own.
            raise ApphostError(f"packed is not for yarn {self.major}", "lockfile_install", "Use offline, or npm.")
        check_platforms(self.project.lockfile, self.request.policy, self._is_fetched)

    def _is_fetched(self, package: Package) -> bool:
        """Whether yarn fetches a package that is for one platform."""
        # It does not mind engines, and a project that is trusted can have it fetch more.
        more = "supportedArchitectures" in self._own_settings()
        return more or self.target.fits(dataclasses.replace(package, engines={}))

    def inputs(self) -> dict[str, t.Any]:
        return {**super().inputs(), "settings": self._own_settings()}

    def _own_settings(self) -> dict[str, t.Any]:
        """What is taken of the artifact's ``.yarnrc.yml``."""
        path = os.path.join(self.project.folder, self.config_file)
        content = read_regular_file(path)
        value = parse_mapping(content, path, "Mend the file.") if content and content.strip() else {}
        if self.request.trust_project_config:
            return value
        return {name: value[name] for name in TRUSTED_SETTINGS if name in value}

    def fetch(self, job: Job) -> None:
        self.write_project(job)
        for folder, manifest in {"": self.root_manifest(), **self.manifests}.items():
            job.write(os.path.join("project", folder, "package.json"), as_json(_for_production(manifest)))
        self._write_patches(job)
        job.write("project/yarn.lock", self.project.lockfile.content)
        job.write(f"project/{RC_NAME}", as_json({**self._own_settings(), **self._fixed_settings(job)}))
        job.write(f"home/{RC_NAME}", as_json(self._network_settings()))
        self.write_npmrc(job, with_tokens=True, cache=os.path.join(job.work, "npm"))
        words = second_try(lambda: self._yarn(job))
        if words is not None:
            raise self._explain(words)
        self._check_lockfile(job)

    def root_manifest(self) -> dict[str, t.Any]:
        # The lockfile has its name, in the keys of what is local.
        manifest = {key: value for key, value in super().root_manifest().items() if key != "name"}
        name = self.project.manifests[""].name
        return {**manifest, "name": name} if name else manifest

    def _check_lockfile(self, job: Job) -> None:
        """Refuse what yarn took from elsewhere than the lockfile, from which it takes what is for development."""
        path = os.path.join(job.project, "yarn.lock")
        manifests = {
            folder: dataclasses.replace(manifest, requirements=dataclasses.replace(manifest.requirements, dev={}))
            for folder, manifest in self.project.manifests.items()
        }
        after = parse_lockfile(read_regular_file(path) or b"", path, manifests)
        problems = strays(self.project.lockfile, after)
        if problems:
            raise ApphostError(joined(problems), self.project.lockfile.path, self.project.format.remake)

    def _write_patches(self, job: Job) -> None:
        """Copy the patches of packages that the lockfile names."""
        for path in self.project.lockfile.packages:
            for name in _PATCH.findall(urllib.parse.unquote(path)) if "@patch:" in path else ():
                file = os.path.normpath(name)
                content = None
                if not os.path.isabs(file) and ".." not in file.split("/"):
                    content = read_regular_file(os.path.join(self.project.folder, file))
                if content is not None:
                    job.write(f"project/{file}", content)

    def _fixed_settings(self, job: Job) -> dict[str, t.Any]:
        level = compression_level(self.project.lockfile)
        settings: dict[str, t.Any] = {
            "cacheFolder": job.cache,
            "checksumBehavior": "throw",
            # With any other, yarn does not compare what it fetches with the lockfile.
            "compressionLevel": int(level) if level.isdigit() else level,
            "enableColors": False,
            "enableGlobalCache": False,
            "enableMirror": False,
            "enableNetwork": not self.request.network.offline,
            "enableProgressBars": False,
            "enableScripts": False,
            "enableTelemetry": False,
            "globalFolder": os.path.join(job.work, "yarn"),
            "nodeLinker": "node-modules",
        }
        if self.major >= 3:
            settings["nmMode"] = "classic"
        return settings

    def _network_settings(self) -> dict[str, t.Any]:
        """Registries and the way to them, in a file of the build user's; no token and no password is ever in argv."""
        network = self.request.network
        ways = proxies(network, os.environ)
        settings: dict[str, t.Any] = {"httpRetry": 1, "httpTimeout": _TIMEOUT}
        if "proxy" in ways:
            settings["httpProxy"] = ways["proxy"]
        if "https-proxy" in ways:
            settings["httpsProxy"] = ways["https-proxy"]
        for registry in network.registries:
            if registry.scope:
                settings.setdefault("npmScopes", {})[registry.scope[1:]] = _registry(registry)
            else:
                settings.update(_registry(registry))
        plain = [urllib.parse.urlsplit(r.url).hostname for r in network.registries if r.url.startswith("http:")]
        return {**settings, "unsafeHttpWhitelist": plain} if plain else settings

    def _yarn(self, job: Job) -> str | None:
        """Run yarn; returns what it says when it fails."""
        # Not by the settings alone: those a manifest can overrule, and the project's own scripts do not mind them.
        no_scripts = "--mode=skip-build" if self.major >= 3 else "--skip-builds"
        program = [os.path.join(self.runtime.root, "bin", "node"), self.program_path(job)]
        environment = {**self.environment(job), "YARN_IGNORE_PATH": "1", "YARN_RC_FILENAME": RC_NAME}
        code, out, err = job.call([*program, "install", no_scripts, "--json"], environment)
        return said(out, err) if code else None

    def _explain(self, words: str) -> ApphostError:
        failures = Failures(f"yarn install, {self.project.lockfile.path}", shortened(words, self.secrets))
        if "lockfile would have been" in words:
            # yarn itself finds that they differ, in something that was not seen before it ran.
            return failures.error("the lockfile does not match package.json", self.project.format.remake)
        named = re.search(r"^(\S+)@(?:npm|patch):(\S+): .*checksum", words, re.MULTILINE)
        default = self.request.network.default
        return explain(
            words,
            failures,
            default.url if default else None,
            self.secrets,
            "A .yarnrc.yml",
            f"{named[1]}@{named[2]}" if named else None,
        )

    def installed(self, job: Job) -> dict[str, Installed]:
        path = os.path.join(job.project, STATE)
        content = read_regular_file(path)
        state = parse_mapping(content, path, "", strings=True) if content else {}
        places: dict[str, list[str]] = {}
        for locator, entry in state.items():
            for folder in entry.get("locations", ()) if locator != "__metadata" else ():
                if folder:
                    places.setdefault(self._path(locator, folder), []).append(folder)
        return {path: self._one(job, path, at) for path, at in places.items()}

    def _path(self, locator: str, folder: str) -> str:
        """The lockfile's path of what is in ``folder``."""
        # "name@virtual:<hash>#npm:1.0.0" is name@npm:1.0.0 with the peers that it has in that place.
        known = re.sub(r"@virtual:[0-9a-f]+#", "@", locator)
        packages = self.project.lockfile.packages
        name = folder.rpartition(f"{MODULES}/")[2]
        if known in packages and packages[known].name == name:
            return known
        # An alias is a package of its own to us; yarn 2 also puts it into itself under its real name.
        aliases = [p for p in packages.values() if f"{p.known_as}@npm:{p.version}" == known]
        return next((p.path for p in sorted(aliases, key=lambda p: p.name != name)), known)

    def _one(self, job: Job, path: str, at: list[str]) -> Installed:
        name = at[0].rpartition(f"{MODULES}/")[2]
        package = self.project.lockfile.packages.get(path) or Package(path=path, name=name, version=None)
        found = [read_package(job.project, folder, name) for folder in at]
        return Installed(
            package=package,
            at=tuple(at),
            witness="package.json",
            has_scripts=any(one is not None and one.has_scripts for one in found),
        )

    def disagreements(self, job: Job, installed: t.Mapping[str, Installed]) -> list[Problem]:
        packages = self.project.lockfile.packages
        strange = [
            Problem(f"{path} is not in the lockfile")
            for path in installed
            if path not in packages or packages[path].dev
        ]
        # yarn 2 does not say in its lockfile what a package is for.
        told = self.major > 2
        expected = [
            path
            for path, package in expected_packages(self.project.lockfile, self.target).items()
            if package.source != Source.LINK and (told or not package.optional)
        ]
        return strange + self.missing(installed, expected)

    def run_scripts(self, job: Job, allowed: t.Mapping[str, Installed]) -> None:
        self.rebuild(job, allowed, cache=os.path.join(job.work, "npm"))


def _for_production(manifest: t.Mapping[str, t.Any]) -> dict[str, t.Any]:
    """A manifest without development, and without a say in whose scripts run."""
    kept = {key: value for key, value in manifest.items() if key != "devDependencies"}
    metas = manifest.get("dependenciesMeta")
    if isinstance(metas, dict):
        kept["dependenciesMeta"] = {
            name: {key: value for key, value in meta.items() if key != "built"} if isinstance(meta, dict) else meta
            for name, meta in metas.items()
        }
    return {**kept, "private": True}


def _registry(registry: Registry) -> dict[str, t.Any]:
    settings: dict[str, t.Any] = {"npmRegistryServer": registry.url.rstrip("/")}
    if registry.token:
        # With a user's name it is one word for both.
        settings["npmAuthIdent" if registry.user else "npmAuthToken"] = (
            f"{registry.user}:{registry.token}" if registry.user else registry.token
        )
        settings["npmAlwaysAuth"] = True
    return settings
