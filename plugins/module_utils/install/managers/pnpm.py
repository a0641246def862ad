# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pnpm 8 to 12."""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, Problem
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.failure_kinds import second_try
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.identity import cpu, libc_version
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.base import Job, TooLong
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.node import as_json
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.nodescan import MODULES, read_package
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.npmrc import FIXED_SETTINGS
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.pinned import PinnedManager
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.pnpm_words import (
    explain_pnpm,
    printed,
    said,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.programs import Pinned
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.scripts import reason
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.record import FOLDERS, Installed
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.jsonfile import read_regular_file
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Package
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pnpmlock import read_contents
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pnpmtree import (
    CURRENT_LOCKFILE,
    MODULES_FILE,
    folder_names,
    installed_packages,
    is_copied,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pnpmworkspace import (
    WORKSPACE_FILE,
    install_settings,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.tree import expected_packages
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.yamlfile import parse_mapping

INSTALL = ("install", "--frozen-lockfile", "--prod", "--ignore-scripts", "--ignore-pnpmfile")

#: What pnpm reads of a manifest that is not for an artifact to say: it would fetch and run another pnpm.
_NOT_GIVEN = ("packageManager", "pnpm", WORKSPACE_FILE)
#: Settings in an artifact's .npmrc that decide how a tree is laid out (up to pnpm 10).
_LAYOUT = re.compile(
    r"\s*((?:public-)?hoist-pattern(?:\[\])?|node-linker|(?:shamefully-)?hoist|hoist-workspace-packages)"
    r"\s*=\s*\"?([\w@*!/.-]+)\"?\s*"
)
#: Up to this version a download that stops in the middle is waited for without end.
_HANGS = 10
#: Seconds that a run of such a version may take.
_LIMIT = 300.0


class Pnpm(PinnedManager):
    """pnpm."""

    name = "pnpm"
    package = "pnpm"
    program_file = "bin/pnpm.cjs"
    config_file = ".npmrc"
    reads = "pnpm 8 reads lockfileVersion 6, pnpm 9 and later read 9"

    def reads_lockfile(self) -> bool:
        return (self.major >= 9) == self.project.lockfile.format.startswith("9")

    @property
    def own_records(self) -> tuple[str, ...]:
        return (CURRENT_LOCKFILE,)

    @property
    def watched(self) -> tuple[str, ...]:
        return (os.path.dirname(CURRENT_LOCKFILE),)

    def check(self) -> None:
        super().check()
        if self.request.network.packed:
            # pnpm takes archives only from its own store, in a format of its own.
            raise ApphostError(f"packed is not for pnpm {self.version}", "lockfile_install", "Use offline, or npm.")
        if self.major == 11 and int(self.runtime.version.partition(".")[0]) < 22:
            # pnpm 11 uses a database that comes with that version of Node.js.
            what = f"pnpm {self.version} needs Node.js 22, the runtime is {self.runtime.version}"
            raise ApphostError(
                what, self.project.manifests[""].path, "Change packageManager, or the runtime's version."
            )
        for package in self.project.lockfile.packages.values():
            if is_copied(package) and not package.dev:
                # pnpm copies the folder (file:, dependenciesMeta.injected) as it was when somebody installed last.
                raise ApphostError(
                    f"{package.spec} is a copy of the folder {(package.resolved or '?')[:200]}",
                    self.project.lockfile.path,
                    "Make it a link: of the folder, or a workspace that is not injected.",
                )

    def inputs(self) -> dict[str, t.Any]:
        return {**super().inputs(), "settings": self._settings(), "npmrc": self._layout()}

    def _settings(self) -> dict[str, t.Any]:
        """The settings that the tree is made from, but for the platforms: it is made for this host."""
        settings = install_settings(self.project.manifests[""], package_json=self.major < 11)
        return {key: value for key, value in settings.items() if key != "supportedArchitectures"}

    def _layout(self) -> list[str]:
        """What is taken of the artifact's ``.npmrc``."""
        if self.major > _HANGS:
            return []
        content = read_regular_file(os.path.join(self.project.folder, self.config_file)) or b""
        matches = (_LAYOUT.fullmatch(line) for line in content.decode("utf-8", "replace").splitlines())
        return [f"{match[1]}={match[2]}" for match in matches if match]

    def root_manifest(self) -> dict[str, t.Any]:
        manifest = {key: value for key, value in super().root_manifest().items() if key not in _NOT_GIVEN}
        # pnpm 8 and 9 have their settings there.
        return {**manifest, "pnpm": self._settings()} if self.major < 10 else manifest

    def fetch(self, job: Job) -> None:
        self.write_project(job)
        settings = self._settings()
        if self.major < 10:
            settings = {key: settings[key] for key in ("packages", "catalog", "catalogs") if key in settings}
        if settings:
            job.write(f"project/{WORKSPACE_FILE}", as_json(settings))
        job.write("project/pnpm-lock.yaml", self.project.lockfile.content)
        job.write("project/.npmrc", "".join(f"{line}\n" for line in self._own_npmrc()).encode())
        self._write_patches(job)
        self.write_npmrc(job, with_tokens=True)
        words = second_try(lambda: self._install(job))
        if words is not None:
            network = self.request.network
            raise explain_pnpm(words, self.project, network.default.url if network.default else None, self.secrets)

    def _install(self, job: Job) -> str | None:
        try:
            return self._pnpm(job, [*INSTALL, *self._offline()])
        except TooLong:
            if self.major > _HANGS:
                raise
            # It waits for the rest of an archive that broke off.
            return "ECONNRESET"

    def _own_npmrc(self) -> list[str]:
        if not self.request.trust_project_config:
            return self._layout()
        content = read_regular_file(os.path.join(self.project.folder, self.config_file)) or b""
        return content.decode("utf-8", "surrogateescape").splitlines()

    def _write_patches(self, job: Job) -> None:
        patches = self._settings().get("patchedDependencies")
        for path in patches.values() if isinstance(patches, dict) else ():
            file = os.path.normpath(str(path))
            if not os.path.isabs(file) and ".." not in file.split("/"):
                job.write(f"project/{file}", read_regular_file(os.path.join(self.project.folder, file)) or b"")

    def _offline(self) -> list[str]:
        options = ["--offline"] if self.request.network.offline else []
        # Else it asks the registry about every entry; our policy has looked at the lockfile already.
        return [*options, "--trust-lockfile"] if self.major >= 11 else options

    def _options(self, job: Job) -> list[str]:
        """What every command gets: where things are, and the settings that the lockfile was made with."""
        options = [
            f"--store-dir={job.cache}",
            "--reporter=ndjson",
            "--config.package-import-method=copy",
            "--config.extend-node-path=false",
        ]
        recorded = read_contents(self.project.lockfile.content, self.project.lockfile.path).head.get("settings")
        for name, value in sorted(recorded.items()) if isinstance(recorded, dict) else ():
            kebab = re.sub(r"[A-Z]", lambda letter: f"-{letter[0].lower()}", name)
            options.append(f"--config.{kebab}={str(value).lower() if isinstance(value, bool) else value}")
        return options

    def _pnpm(self, job: Job, argv: t.Sequence[str]) -> str | None:
        """Run pnpm; returns what it says when it fails."""
        code, out, err = self._run(job, argv)
        return said(out, err) if code else None

    def _run(self, job: Job, argv: t.Sequence[str], contained: bool = False) -> tuple[int, str, str]:
        """Run pnpm; its exit status, output and errors."""
        program, path = self._program(job)
        environment = self.environment(job)
        settings = {
            key.replace("-", "_"): str(value).lower() for key, value in FIXED_SETTINGS.items() if "fetch" in key
        }
        for prefix in ("npm_config_", "pnpm_config_"):
            environment.update({f"{prefix}{name}": value for name, value in settings.items()})
        environment.update(
            CI="1",
            PATH=f"{path}:{environment['PATH']}" if path else environment["PATH"],
            npm_config_manage_package_manager_versions="false",
            pnpm_config_pm_on_fail="ignore",
        )
        limit = min(job.limit, _LIMIT) if self.major <= _HANGS and not contained else None
        return job.call([*program, *argv, *self._options(job)], environment, contained, limit=limit)

    def _program(self, job: Job) -> tuple[list[str], str | None]:
        """How pnpm is started, and a folder that has to be in its ``PATH``."""
        node = os.path.join(self.runtime.root, "bin", "node")
        there = self.in_runtime()
        if there:
            real = os.path.realpath(there)
            return ([node, real] if real.endswith(("js", ".cjs", ".mjs")) else [there]), None
        if self.major < 12:
            file = "bin/pnpm.mjs" if self.major == 11 else "bin/pnpm.cjs"
            return [node, self.program(job, self.package, self.wanted, file)], None
        # The package itself only has scripts that would fetch the program; a hash that a manifest names is of this.
        helper = self.program(job, self.package, self.wanted, "dist/node-gyp-bin")
        musl = "" if libc_version().startswith("glibc") else "-musl"
        exe = f"@pnpm/exe.linux-{cpu()}{musl}"
        return [self.program(job, exe, Pinned(self.name, self.version), "pnpm")], helper

    def installed(self, job: Job) -> dict[str, Installed]:
        files = [read_regular_file(os.path.join(job.project, name)) for name in (CURRENT_LOCKFILE, MODULES_FILE)]
        current, modules = files
        if current is None or modules is None:
            return {}
        hoisted = parse_mapping(modules, MODULES_FILE, "").get("hoistedLocations") or {}
        found = {}
        for path, listed in installed_packages(current, modules, job.project).items():
            package = self.project.lockfile.packages.get(path, listed)
            folders = _folders(package, hoisted)
            # One that could not be fetched, and can be done without, is listed all the same.
            ones = [one for one in (read_package(job.project, folder, package.name) for folder in folders) if one]
            if ones:
                at = tuple(one.folder for one in ones)
                found[path] = Installed(package, at, "package.json", any(one.has_scripts for one in ones))
        return found

    def disagreements(self, job: Job, installed: t.Mapping[str, Installed]) -> list[Problem]:
        packages = self.project.lockfile.packages
        strange = [path for path in installed if path not in packages or packages[path].dev]
        expected = [
            path
            for path, package in expected_packages(self.project.lockfile, self.target).items()
            if package.source not in FOLDERS
        ]
        problems = [Problem(f"{path} is not in the lockfile") for path in strange]
        return [*problems, *self.missing(installed, expected)]

    def run_scripts(self, job: Job, allowed: t.Mapping[str, Installed]) -> None:
        self.write_npmrc(job, with_tokens=False)
        names = sorted({one.package.known_as for one in allowed.values()})
        options = ["--config.dangerously-allow-all-builds=true", "--config.offline=true"]
        trust = ["--config.trust-lockfile=true"] if self.major >= 12 else []
        code, out, err = self._run(job, ["rebuild", *names, *options, *trust], contained=True)
        if code:
            raise self.scripts_failed(allowed, reason(printed(f"{out}\n{err}"), "") or said(out, err))

    def finish(self, job: Job) -> None:
        """Take out what pnpm wrote for itself: absolute paths and times, which it only reads to install again."""
        places = [place for place in self.places if os.path.isdir(os.path.join(job.project, place))]
        own = [f"{MODULES}/.modules.yaml", f"{MODULES}/.pnpm-workspace-state-v1.json"]
        job.call(["rm", "-f", *own], {})
        shims = ["-path", "*/.bin/*", "-type", "f"]
        if places:
            job.call(["find", *places, *shims, "-exec", "sed", "-i", "/^# cmd-shim-target=/d", "{}", "+"], {})


def _folders(package: Package, hoisted: t.Mapping[str, t.Any]) -> list[str]:
    """Where the package may be, relative to the project."""
    locations = hoisted.get(package.path)
    if isinstance(locations, list):
        return [str(location) for location in locations]
    names = folder_names(package.path)
    return [f"{MODULES}/.pnpm/{name}/{MODULES}/{package.known_as}" for name in names]
