# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""uv."""

from __future__ import annotations

import functools
import os
import re
import typing as t
import urllib.parse

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, RunCommand
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.facts import STATUS
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.failure_kinds import explain, second_try
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.base import Job
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.python import Python, PythonManager
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import InstallRequest
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.words import Failures, shortened
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.jsonfile import read_regular_file
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pyproject import MEND, NAME
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.reader import Project
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.tomlfile import parse_table

#: Where uv is looked for.
PLACES = ("/usr/local/bin/uv", "/usr/bin/uv")

#: Exactly the lockfile, everything but the project's own code, no package's code run.
SYNC = (
    "sync",
    "--frozen",
    "--all-packages",
    "--no-default-groups",
    "--no-install-workspace",
    "--no-editable",
    "--no-progress",
)


class Uv(PythonManager):
    """uv."""

    name = "uv"
    config_file = "uv.toml"

    def __init__(self, project: Project, request: InstallRequest, python: Python, run: RunCommand) -> None:
        super().__init__(project, request, python)
        self.program = self._find()
        self._version = _version_of(self.program, run)

    def _find(self) -> str:
        places = (self.request.manager_path,) if self.request.manager_path else PLACES
        for place in places:
            if os.access(place, os.X_OK):
                return place
        # The app's lockfile is one of uv, which does not come with Python.
        what = f"uv is not at {' or '.join(places)}"
        raise ApphostError(what, self.project.lockfile.path, "Install it on the host, or set manager_path.")

    @property
    def version(self) -> str:
        return self._version

    def facts(self) -> list[tuple[str, str]]:
        return [*super().facts(), *((STATUS, place) for place in (*PLACES, self.program))]

    @functools.cached_property
    def source_folders(self) -> list[str]:
        """Folders of workspace members that are packages: their modules are found where they are."""
        found = []
        for folder in self.project.manifests:
            path = os.path.join(self.project.folder, folder, NAME)
            content = read_regular_file(path)
            table = parse_table(content, path, MEND) if content else {}
            settings = table.get("tool", {}).get("uv", {})
            if settings.get("package", "build-system" in table):
                source = os.path.join(folder, "src")
                found.append(source if os.path.isdir(os.path.join(self.project.folder, source)) else folder)
        return found

    def fetch(self, job: Job) -> None:
        self.prepare(job)
        for folder in self.project.manifests:
            name = os.path.join(folder, NAME)
            job.write(f"project/{name}", read_regular_file(os.path.join(self.project.folder, name)) or b"")
        job.write("project/uv.lock", self.project.lockfile.content)
        words = second_try(lambda: self._sync(job))
        if words is not None:
            raise self._explain(words)

    def _sync(self, job: Job) -> str | None:
        """Install; returns what uv says when it fails."""
        network = self.request.network
        if not (network.packed or network.registries):
            return self._uv(job, [*SYNC, *self._unbuilt(), *(["--offline"] if network.offline else [])])
        # uv takes what is in its lockfile from the addresses there; only its pip takes it from elsewhere.
        file = "../tmp/requirements.txt"
        export = ["export", *SYNC[1:4], "--no-emit-workspace", "--format=requirements-txt", f"--output-file={file}"]
        words = self._uv(job, [*export, "--offline"])
        if words is not None:
            return words
        install = ["pip", "install", "--python=.venv", "--require-hashes", "--no-deps", f"--requirement={file}"]
        if network.packed:
            return self._uv(job, [*install, *self._unbuilt(), *self.links_to_packed(job, network.packed), "--offline"])
        urls = [registry.url for registry in network.registries]
        indexes = [f"--default-index={urls[0]}", *(f"--index={url}" for url in urls[1:])]
        plain = [urllib.parse.urlsplit(url).netloc for url in urls if url.startswith("http:")]
        insecure = [f"--allow-insecure-host={host}" for host in plain]
        return self._uv(job, [*install, *self._unbuilt(), *indexes, *insecure])

    def _unbuilt(self) -> list[str]:
        """The options that say what must not be built."""
        names = [word for name in self.not_built for word in ("--no-build-package", name)]
        return names if self.builds else ["--no-build"]

    def _uv(self, job: Job, argv: t.Sequence[str]) -> str | None:
        """Run uv; returns what it says when it fails."""
        environment = {
            **self.environment(job),
            "UV_CACHE_DIR": job.cache,
            "UV_HTTP_TIMEOUT": "60",
            "UV_LINK_MODE": "copy",
            # Else uv deletes an environment that does not fit what the artifact says, and makes another one.
            "UV_PYTHON": self.python.path,
            "UV_PYTHON_DOWNLOADS": "never",
            **({} if self.request.trust_project_config else {"UV_NO_CONFIG": "1"}),
        }
        code, out, err = job.call([self.program, *argv], environment, self.builds, self.ways)
        return (err or out) if code else None

    def _explain(self, words: str) -> ApphostError:
        failures = Failures(f"uv sync, {self.project.lockfile.path}", shortened(words, self.secrets))
        unbuilt = re.search(r"[Dd]istribution `([^=`@ ]+)==.*can't be installed because it (?:is marked|does)", words)
        if unbuilt or "--no-build" in words:
            # There is no wheel for this host's Python, libc or processor.
            return failures.error(
                f"{unbuilt[1] if unbuilt else 'a package'} has no ready-made archive for this host, "
                "and building it would run its code",
                "Name it in allow_scripts if you trust it, or take another version.",
            )
        if "Network connectivity is disabled" in words:
            missing = re.search(r"`([^`]+)`", words)
            return failures.not_cached(missing[1] if missing else shortened(words, self.secrets))
        named = re.search(r"[Hh]ash mismatch for `([^`]+)`", words)
        default = self.request.network.default
        altered = named[1].replace("==", "@") if named else None
        return explain(words, failures, default.url if default else None, self.secrets, "pyproject.toml", altered)


def _version_of(program: str, run: RunCommand) -> str:
    code, out, err = run([program, "--version"])
    match = re.match(r"uv (\d+\.\d+\.\d+\S*)", out)
    if code or match is None:
        # The file that is named is no uv, or one for another kind of host.
        do = "Install uv on the host, or set manager_path."
        raise ApphostError(f"does not say its version: {(err or out).strip()[:300]}", program, do)
    return match[1]
