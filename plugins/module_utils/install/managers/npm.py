# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""npm: the files it is given, the commands it is run with, and what its failures mean."""

from __future__ import annotations

import hashlib
import os
import re
import time
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, Problem
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.failure_kinds import PAUSE
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.base import Job
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.node import NodeManager, as_json
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.nodescan import MODULES
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.npm_supply import (
    read_object,
    unsigned,
    vulnerable,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.npm_words import BROKEN_CODES, failure
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.npmrc import settings_file
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.packed import FOLDER, take_out
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.place import remove
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.record import Installed
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.words import shortened
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.addresses import PUBLIC_HOSTS
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.jsonfile import parse_object, read_regular_file
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Package, Source
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.npm import REMAKE, parse_lockfile
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.policy import joined
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.tree import disagreements, expected_packages

#: Installs exactly the lockfile, runs no package's code, asks nobody but the registry.
CI = ("ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--json")

#: Settings of an app's own .npmrc that decide the shape of the tree. Any other (registries, scripts, tokens) is not
#: taken from an artifact.
TRUSTED_SETTINGS = ("legacy-peer-deps", "strict-peer-deps", "install-strategy")

#: Settings without which a newer npm refuses packages of some sources.
ALLOWING = {Source.GIT: "allow-git", Source.ADDRESS: "allow-remote"}

#: Archives in one argument list.
_AT_ONCE = 1000

#: Where npm writes down what it installed.
HIDDEN = f"{MODULES}/.package-lock.json"


class Npm(NodeManager):
    """npm."""

    name = "npm"
    config_file = ".npmrc"
    separable_cache = True
    supplies = ("minimum_age", "signatures", "audit")

    @property
    def version(self) -> str:
        return self.runtime.npm_version

    @property
    def own_records(self) -> tuple[str, ...]:
        return (HIDDEN,)

    def inputs(self) -> dict[str, t.Any]:
        return {**super().inputs(), "manager_version": self.version, "settings": self._own_settings()}

    def _own_settings(self) -> dict[str, str]:
        """What of the artifact's settings decides the tree."""
        content = read_regular_file(os.path.join(self.project.folder, self.config_file))
        if content and self.request.trust_project_config:
            return {"sha256": hashlib.sha256(content).hexdigest()}
        return trusted_settings(content)

    def fetch(self, job: Job) -> None:
        allowed = sorted(
            set(self.request.allow_scripts) & {p.known_as for p in self.project.lockfile.packages.values()}
        )
        # A newer npm (12 always) runs a package's scripts only when the project allows them by name.
        self.write_project(job, **({"allowScripts": dict.fromkeys(allowed, True)} if allowed else {}))
        # npm 12 no longer reads a shrinkwrap; the content is the same.
        job.write("project/package-lock.json", self._lockfile_for_npm())
        own = read_regular_file(os.path.join(self.project.folder, self.config_file)) or b""
        if not self.request.trust_project_config:
            own = settings_file(trusted_settings(own))
        job.write("project/.npmrc", own)
        self.write_npmrc(job, with_tokens=True, **self._settings(job))
        offline = self.request.network.offline
        if self.request.network.packed:
            self._fill_cache(job, self.request.network.packed)
            offline = True
        self._install(job, offline)

    def _lockfile_for_npm(self) -> bytes:
        """The lockfile; for a packed set every archive has an address: npm looks a hash up only together with one."""
        content = self.project.lockfile.content
        if not self.request.network.packed:
            return content
        value = parse_object(content, self.project.lockfile.path, REMAKE)
        for path, package in self.project.lockfile.packages.items():
            if package.source == Source.REGISTRY and package.resolved is None:
                file = f"{package.known_as.rpartition('/')[2]}-{package.version}.tgz"
                value["packages"][path]["resolved"] = f"https://{PUBLIC_HOSTS['npm'][0]}/{package.known_as}/-/{file}"
        return as_json(value)

    def _fill_cache(self, job: Job, packed: str) -> None:
        """Make a cache of a packed set, for this build alone."""
        expected = expected_packages(self.project.lockfile, self.target)
        files = sorted({files[0] for files in take_out(packed, expected.values(), job).values()})
        for start in range(0, len(files), _AT_ONCE):
            argv = ["cache", "add", *(f"../{FOLDER}/{file}" for file in files[start : start + _AT_ONCE]), "--json"]
            code, words = self.npm(job, argv)
            if code is not None:
                raise self.npm_error("cache add", code, words)

    def _settings(self, job: Job) -> dict[str, str]:
        cache = os.path.join(job.work, "cache") if self.request.network.packed else job.cache
        # From npm 12 on each of these is off; the policy has looked at every package by its name.
        sources = {package.source for package in self.project.lockfile.packages.values()}
        return {"cache": cache, **{setting: "all" for source, setting in ALLOWING.items() if source in sources}}

    def _install(self, job: Job, offline: bool) -> None:
        code, words = self.npm(job, [*CI, "--offline" if offline else "--prefer-offline"])
        if code == "ETARGET" and not offline:
            # The cache knows the package from before this version came out, and npm does not look again by itself.
            code, words = self.npm(job, [*CI, "--prefer-online"])
        if code in BROKEN_CODES:
            time.sleep(PAUSE)
            code, words = self.npm(job, [*CI, "--prefer-offline"])
        if code is None:
            return
        if code in ("ENOSPC", "EDQUOT"):
            # It is only a cache, and the disk is full.
            remove(job.cache)
        raise self.npm_error("ci", code, words)

    def installed(self, job: Job) -> dict[str, Installed]:
        path = os.path.join(job.project, HIDDEN)
        content = read_regular_file(path)
        if content is None:
            if [entry for entry in self.project.lockfile.packages.values() if not (entry.dev or entry.optional)]:
                # npm succeeded, and there is no hidden lockfile in its node_modules.
                do = "Install the runtime again (role nodejs): its npm does not do what npm does."
                raise ApphostError("npm did not write down what it installed", self.project.lockfile.path, do)
            # A tree without packages: npm makes none.
            return {}
        packages = parse_lockfile(content, path, hidden=True).packages
        return {
            where: Installed(package, at=(where,), witness="package.json", has_scripts=package.has_install_script)
            for where, package in packages.items()
        }

    def disagreements(self, job: Job, installed: t.Mapping[str, Installed]) -> list[Problem]:
        packages = {path: one.package for path, one in installed.items()}
        return disagreements(self.project.lockfile, packages, self.target)

    def check_signatures(self, job: Job) -> None:
        self._report(job, ["audit", "signatures", "--json"], "signatures", unsigned)

    def audit(self, job: Job, level: str) -> None:
        argv = ["audit", "--omit=dev", f"--audit-level={level}", "--json"]
        self._report(job, argv, "audit", lambda report: vulnerable(report, level))

    def _report(
        self,
        job: Job,
        argv: t.Sequence[str],
        option: str,
        read: t.Callable[[t.Mapping[str, t.Any]], list[str] | None],
    ) -> None:
        code, out, err = job.call([self.runtime.npm, *argv], self.environment(job))
        problems = read(read_object(out))
        if problems is None:
            # when: the registry has no audits or no signatures, or does not answer
            words = failure(out, err)[1] or str(read_object(out).get("message") or "")
            what = f"npm {argv[0]} gives no answer: {shortened(words, self.secrets)}"
            raise ApphostError(what, f"supply.{option}", "Does this registry have it? Else leave the option out.")
        if code and problems:
            # when: a package has a known vulnerability, or no right signature
            do = "Update what the lockfile has, or leave the option out if you know better."
            raise ApphostError(joined(problems), f"supply.{option}, {self.project.lockfile.path}", do)

    def run_scripts(self, job: Job, allowed: t.Mapping[str, Installed]) -> None:
        self.rebuild(job, allowed, **self._settings(job))

    def listed(self, folder: str) -> dict[str, Package]:
        path = os.path.join(folder, HIDDEN)
        try:
            content = read_regular_file(path)
            packages = parse_lockfile(content, path, hidden=True).packages if content else {}
        except (ApphostError, OSError):
            return {}
        return {
            path: package
            for path, package in packages.items()
            if path.startswith(MODULES) and package.source not in (Source.WORKSPACE, Source.LINK)
        }


def trusted_settings(npmrc: bytes | None) -> dict[str, str]:
    """The settings of an app's own ``.npmrc`` that are taken from it."""
    lines = (npmrc or b"").decode("utf-8", "replace").splitlines()
    pairs = (re.fullmatch(r"\s*([a-z-]+)\s*=\s*\"?([a-z]+)\"?\s*", line) for line in lines)
    return {pair[1]: pair[2] for pair in pairs if pair and pair[1] in TRUSTED_SETTINGS}
