# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""npm: the files it is given, the commands it is run with, and what its failures mean."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.base import Job
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.node import (
    BROKEN_CODES,
    CERTIFICATE_CODES,
    MODULES,
    NETWORK_CODES,
    NodeManager,
    Settings,
    as_json,
    proxies,
    registry_settings,
    settings_file,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.packed import FOLDER, take_out
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.place import remove
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.record import Installed
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.words import (
    Failures,
    registry_host,
    shortened,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.addresses import PUBLIC_HOSTS
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.jsonfile import parse_object, read_regular_file
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Lockfile, Package, Source
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.npm import REMAKE, parse_lockfile
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.tree import disagreements, expected_packages

#: Installs exactly the lockfile, runs no package's code, asks nobody but the registry.
CI = ("ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--json")

#: Settings of an app's own .npmrc that decide the shape of the tree. Any other (registries, scripts, tokens) is not
#: taken from an artifact.
TRUSTED_SETTINGS = ("legacy-peer-deps", "strict-peer-deps", "install-strategy")

#: Behaviour that must not depend on somebody's configuration. Times in milliseconds: npm's own defaults wait up to
#: 70 s between two attempts and 300 s for an answer, with a deploy standing still meanwhile.
FIXED_SETTINGS: Settings = {
    "color": False,
    "fetch-retries": 2,
    "fetch-retry-maxtimeout": 10000,
    "fetch-retry-mintimeout": 1000,
    "fetch-timeout": 60000,
    "loglevel": "warn",
    "logs-max": 0,
    "progress": False,
    "update-notifier": False,
}

#: Settings without which a newer npm refuses packages of some sources.
ALLOWING = {Source.GIT: "allow-git", Source.ADDRESS: "allow-remote"}

#: Archives in one argument list.
_AT_ONCE = 1000

#: Where npm writes down what it installed.
HIDDEN = f"{MODULES}/.package-lock.json"

#: Seconds to wait before everything is tried once more: npm itself does not try again in the middle of an archive.
PAUSE = 2.0


class Npm(NodeManager):
    """npm."""

    name = "npm"
    config_file = ".npmrc"
    separable_cache = True

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
        self._write_settings(job, with_tokens=True)
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
        files = sorted({*take_out(packed, expected.values(), job).values()})
        for start in range(0, len(files), _AT_ONCE):
            argv = ["cache", "add", *(f"../{FOLDER}/{file}" for file in files[start : start + _AT_ONCE]), "--json"]
            code, words = self._npm(job, argv)
            if code is not None:
                raise self._explain(code, words)

    def _write_settings(self, job: Job, with_tokens: bool) -> None:
        """What npm is told in a file of the build user's: no token and no password of a proxy is ever in argv."""
        network = self.request.network
        ways = proxies(network, os.environ) if with_tokens else {}
        cache = os.path.join(job.work, "cache") if network.packed else job.cache
        # From npm 12 on each of these is off; the policy has looked at every package by its name.
        sources = {package.source for package in self.project.lockfile.packages.values()}
        allowed: Settings = {setting: "all" for source, setting in ALLOWING.items() if source in sources}
        settings = {**FIXED_SETTINGS, **ways, **registry_settings(network, with_tokens), **allowed, "cache": cache}
        job.write("home/.npmrc", settings_file(settings))

    def _install(self, job: Job, offline: bool) -> None:
        code, words = self._npm(job, [*CI, "--offline" if offline else "--prefer-offline"])
        if code == "ETARGET" and not offline:
            # The cache knows the package from before this version came out, and npm does not look again by itself.
            code, words = self._npm(job, [*CI, "--prefer-online"])
        if code in BROKEN_CODES:
            time.sleep(PAUSE)
            code, words = self._npm(job, [*CI, "--prefer-offline"])
        if code is None:
            return
        if code in ("ENOSPC", "EDQUOT"):
            # It is only a cache, and the disk is full.
            remove(job.cache)
        raise self._explain(code, words)

    def _npm(self, job: Job, argv: t.Sequence[str], contained: bool = False) -> tuple[str | None, str]:
        """Run npm; returns its error code (``None``: it succeeded) and its words."""
        code, out, err = job.call([self.runtime.npm, *argv], self.environment(), contained)
        return failure(out, err) if code else (None, "")

    def _explain(self, code: str, words: str) -> ApphostError:
        network = self.request.network
        secrets = [*network.secrets, *proxies(network, os.environ).values()]
        return explain(code, words, self.project.lockfile, network.default.url if network.default else None, secrets)

    def installed(self, job: Job) -> dict[str, Installed]:
        path = os.path.join(job.project, HIDDEN)
        content = read_regular_file(path)
        if content is None:
            if [entry for entry in self.project.lockfile.packages.values() if not (entry.dev or entry.optional)]:
                raise ApphostError("npm did not write down what it installed", self.project.lockfile.path)
            # A tree without packages: npm makes none.
            return {}
        packages = parse_lockfile(content, path, hidden=True).packages
        return {
            where: Installed(package, at=(where,), witness="package.json", has_scripts=package.has_install_script)
            for where, package in packages.items()
        }

    def disagreements(self, installed: t.Mapping[str, Installed]) -> list[str]:
        packages = {path: one.package for path, one in installed.items()}
        return disagreements(self.project.lockfile, packages, self.target)

    def run_scripts(self, job: Job, allowed: t.Mapping[str, Installed]) -> None:
        self._write_settings(job, with_tokens=False)
        # By path: a name would also run a package that only calls itself so.
        argv = ["rebuild", *(f"./{path}" for path in sorted(allowed)), "--foreground-scripts", "--json"]
        code, words = self._npm(job, argv, contained=True)
        if code is not None:
            names = sorted({one.package.known_as for one in allowed.values()})
            raise ApphostError(
                f"the lifecycle scripts of {', '.join(names)} failed: {shortened(words, [])}",
                self.project.lockfile.path,
                "Install what they need on the host, or take the package out of allow_scripts.",
            )

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


def failure(out: str, err: str) -> tuple[str, str]:
    """The error code and the words of npm, from ``--json`` output or, failing that, from the log."""
    try:
        error = json.loads(out[out.index("{") :])["error"]
        return str(error.get("code") or ""), f"{error.get('summary') or ''}\n{error.get('detail') or ''}".strip()
    except (ValueError, KeyError, TypeError, AttributeError):
        lines = [line for line in err.splitlines() if line.startswith("npm error")]
        code = next((line.split()[-1] for line in lines if line.startswith("npm error code ")), "")
        text = "\n".join(line[len("npm error ") :] for line in lines if not line.startswith("npm error code "))
        return code, text or err.strip() or out.strip()


def explain(code: str, words: str, lockfile: Lockfile, registry: str | None, secrets: t.Sequence[str]) -> ApphostError:
    """The error for a person: what went wrong in one sentence, what to do, and npm's own words, short and clean."""
    said = shortened(words, secrets)
    summary = shortened(words.partition("\n")[0], secrets)
    failures = Failures(f"npm ci, {lockfile.path}", said)
    # npm names the address that it could not get, which may be a scope's.
    address = re.search(r"https?://[^\s'\"]+", words)
    at = registry_host(address[0] if address and code not in ("EUSAGE", "ETARGET") else registry)
    if code == "EINTEGRITY":
        wanted = set(re.findall(r"sha\d+-[0-9A-Za-z+/]+=*", words))
        named = [package.spec for package in lockfile.packages.values() if package.integrity in wanted]
        return failures.altered(named[0] if named else "a package", at)
    if code in ("ENOSPC", "EDQUOT"):
        return failures.no_space()
    if code == "ENOTCACHED":
        return failures.not_cached(summary)
    if code in NETWORK_CODES:
        return failures.unreachable(at, code)
    if code in BROKEN_CODES:
        return failures.broken_off(at, code)
    if re.fullmatch(r"E(429|5\d\d)", code):
        return failures.server_error(at, code)
    if code in CERTIFICATE_CODES:
        return failures.untrusted(at, code)
    if code in ("E401", "E403", "ENEEDAUTH"):
        return failures.refused(at, code, "An .npmrc")
    if code == "E404":
        return failures.no_package(at, summary, "An .npmrc")
    if code == "ETARGET":
        return failures.no_version(at, summary)
    if code == "EUSAGE":
        found = re.findall(r"^(?:Missing|Invalid): .+", words, re.MULTILINE)
        what = shortened("; ".join(found[:3]), secrets) if found else said
        return failures.error(
            f"the lockfile does not match package.json: {what}", "Run npm install and commit the lockfile."
        )
    return failures.error(f"npm failed{f' ({code})' if code else ''}: {said}")
