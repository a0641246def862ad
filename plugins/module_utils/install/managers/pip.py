# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pip: the one that comes with the host's own Python."""

from __future__ import annotations

import os
import re
import time
import urllib.parse

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.failure_kinds import explain, kind_of_failure
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.base import Job
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.npm import PAUSE
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.python import VENV, PythonManager
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.words import Failures, shortened
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pip import PipLock

INSTALL = (
    "install",
    "--require-hashes",
    "--no-compile",
    "--no-input",
    "--no-warn-script-location",
    "--disable-pip-version-check",
    "--progress-bar=off",
    "--requirement=requirements.txt",
)


class Pip(PythonManager):
    """pip."""

    name = "pip"
    config_file = "pip.conf"
    separable_cache = True

    @property
    def version(self) -> str:
        return self.python.pip_version

    def check(self) -> None:
        super().check()
        if self.request.network.offline and not self.request.network.packed:
            do = "Give the archives as a packed set."
            raise ApphostError("pip asks its index even for what is in its cache", self.project.lockfile.path, do)

    def fetch(self, job: Job) -> None:
        self.prepare(job)
        lockfile = self.project.lockfile
        # What was checked, and nothing that pip could read in another way.
        clean = lockfile.clean if isinstance(lockfile, PipLock) else ""
        job.write("project/requirements.txt", clean.encode())
        job.write("home/pip.conf", self._settings(job))
        # pip runs from an environment of its own, so that the tree holds none.
        code, out, err = job.call([self.python.path, "-I", "-m", "venv", "../tmp/pip"], {})
        if code:
            raise ApphostError(f"cannot make a virtual environment: {(err or out).strip()[:300]}", self.python.path)
        words = self._install(job)
        if words and kind_of_failure(words)[0] == "broken_off":
            time.sleep(PAUSE)
            words = self._install(job)
        if words is not None:
            raise self._explain(words)

    def _settings(self, job: Job) -> bytes:
        """A ``pip.conf``."""
        network = self.request.network
        urls = [registry.url for registry in network.registries]
        settings: dict[str, str] = {"cache-dir": job.cache, "retries": "3", "timeout": "60"}
        if urls:
            settings["index-url"] = urls[0]
        if urls[1:]:
            settings["extra-index-url"] = " ".join(urls[1:])
        plain = [urllib.parse.urlsplit(url).netloc for url in urls if url.startswith("http:")]
        if plain:
            settings["trusted-host"] = " ".join(plain)
        lines = "".join(f"{name} = {value}\n" for name, value in sorted(settings.items()))
        return f"[global]\n{lines}".encode()

    def _install(self, job: Job) -> str | None:
        """Run pip; returns what it says when it fails."""
        network = self.request.network
        options = ["--only-binary=:all:"]
        if self.builds:
            # Each in an environment of its own: the tree holds nothing to build with.
            options = [f"--only-binary={','.join(self.not_built) or ':none:'}", "--use-pep517"]
        if network.packed:
            options += self.links_to_packed(job, network.packed)
        program = f"../tmp/pip/lib/python{self.python.minor}/site-packages/pip"
        environment = {**self.environment(job), "PIP_CONFIG_FILE": os.path.join(job.home, "pip.conf")}
        argv = [os.path.join(VENV, "bin", "python"), program, *INSTALL, *options]
        code, out, err = job.call(argv, environment, self.builds, self.ways)
        return f"{err}\n{out}".strip() if code else None

    def _explain(self, words: str) -> ApphostError:
        errors = [line for line in words.splitlines() if re.match(r"\s*(ERROR|error):?", line)]
        said = "\n".join(errors) or words
        failures = Failures(f"pip install, {self.project.lockfile.path}", shortened(said, self.secrets))
        if "HASHES" in words:
            named = re.search(r"^ +(\S+) from (\S+)", words, re.MULTILINE)
            return failures.altered(named[1].replace("==", "@") if named else "a package", "the registry")
        missing = re.search(r"No matching distribution found for (\S+)", words)
        if missing and kind_of_failure(words)[0] in ("", "no_package"):
            return failures.error(
                f"there is no ready-made archive of {missing[1]} for this host, or none of this version at all",
                "Name it in allow_scripts to have it built, or take another version.",
            )
        default = self.request.network.default
        return explain(words, failures, default.url if default else None, self.secrets, "A pip.conf")
