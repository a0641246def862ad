# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pip: the one that comes with the host's own Python."""

from __future__ import annotations

import os
import re
import urllib.parse

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.failure_kinds import (
    explain,
    kind_of_failure,
    second_try,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.base import Job
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.python import VENV, PythonManager
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.words import Failures, shortened
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.jsonfile import read_regular_file
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pip import PipLock

#: Where it says what it does not print: why an index gave no answer.
LOG = "pip.log"

INSTALL = (
    "install",
    "--require-hashes",
    "--no-compile",
    "--no-input",
    "--no-warn-script-location",
    "--disable-pip-version-check",
    "--progress-bar=off",
    "--requirement=requirements.txt",
    f"--log=../tmp/{LOG}",
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
        if not self.python.pip:
            # The distribution may have packed it apart from Python.
            what = f"{self.python.path} has no pip"
            raise ApphostError(what, self.project.lockfile.path, "Install python3-pip or python3-venv on the host.")
        network, builds = self.request.network, self.request.may_build and not self.request.shipped
        if builds and network.offline and not network.packed:
            # Therefore it cannot install offline, whatever it fetched before.
            do = "Give the archives as a packed set."
            raise ApphostError("pip asks its index even for what is in its cache", self.project.lockfile.path, do)

    def fetch(self, job: Job) -> None:
        self.prepare(job)
        lockfile = self.project.lockfile
        # What was checked, and nothing that pip could read in another way.
        clean = lockfile.clean if isinstance(lockfile, PipLock) else ""
        job.write("project/requirements.txt", clean.encode())
        job.write("home/pip.conf", self._settings(job))
        words = second_try(lambda: self._install(job))
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
        environment = {**self.environment(job), "PIP_CONFIG_FILE": os.path.join(job.home, "pip.conf")}
        # By the tree's own Python, but from outside, so that the tree holds none.
        argv = [os.path.join(VENV, "bin", "python"), self.python.pip, *INSTALL, *options]
        code, out, err = job.call(argv, environment, self.builds, self.ways)
        if not code:
            return None
        log = (read_regular_file(os.path.join(job.temporary, LOG)) or b"").decode("utf-8", "replace")
        causes = re.findall(r"Could not fetch URL .*|.*HTTP error \d+ .*", log)
        return "\n".join([err, out, *dict.fromkeys(causes)]).strip()

    def _explain(self, words: str) -> ApphostError:
        errors = [line for line in words.splitlines() if re.match(r"\s*(ERROR|error):?", line)]
        said = "\n".join(errors) or words
        failures = Failures(f"pip install, {self.project.lockfile.path}", shortened(said, self.secrets))
        if "HASHES" in words:
            named = re.search(r"^ +(\S+) from (\S+)", words, re.MULTILINE)
            return failures.altered(named[1].replace("==", "@") if named else "a package", "the registry")
        missing = re.search(r"No matching distribution found for (\S+)", words)
        if missing and kind_of_failure(words)[0] in ("", "no_package"):
            # To build a package is to run its code. There is no wheel for this host's Python, libc or processor.
            return failures.error(
                f"there is no ready-made archive of {missing[1]} for this host, or none of this version at all",
                "Name it in allow_scripts to have it built, or take another version.",
            )
        default = self.request.network.default
        return explain(words, failures, default.url if default else None, self.secrets, "A pip.conf")
