# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Node.js from the distribution's own package, by apt."""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.sources import Origin, Run, Wanted

PACKAGE = "nodejs"
PROGRAM = "/usr/bin/node"

# [epoch:]upstream[+repack][-revision], deb-version(7); only the upstream part is Node.js' own.
_UPSTREAM = re.compile(r"(?:\d+:)?(\d+\.\d+\.\d+)(?=[+~-]|$)")
# Another apt at work (unattended-upgrades) is waited for, in seconds.
_LOCK_TIMEOUT = 120


def upstream(package_version: str) -> str:
    """``18.20.4`` from ``18.20.4+dfsg-1~deb12u1``; the whole text when it has another form."""
    match = _UPSTREAM.match(package_version)
    return match[1] if match else package_version


class DistroSource:
    """The package ``nodejs`` in exactly the wanted version, shown in our layout by a link to its program."""

    name = "distro"
    # Debian's package npm brings hundreds of others (624 on Debian 12), so npm comes from the registry or not at all.
    brings_npm = False

    def __init__(self, run: Run, program: str = PROGRAM) -> None:
        self.run = run
        self.program = program

    def check(self, wanted: t.Sequence[Wanted]) -> None:
        if len(wanted) > 1:
            raise ApphostError(
                f"the distribution has one Node.js at a time, not {' and '.join(each.version for each in wanted)}",
                do="Use the provider archive or npm for versions side by side.",
            )

    def fetch(self, wanted: Wanted, scratch: str, tree: str) -> Origin:
        installed = self._installed()
        if not installed or upstream(installed) != wanted.version:
            installed = self._choose(wanted.version)
            self._apt_get("install", "--no-install-recommends", f"{PACKAGE}={installed}")
        os.makedirs(os.path.join(tree, "bin"))
        os.symlink(self.program, os.path.join(tree, "bin", "node"))
        return Origin(f"package {PACKAGE}", installed)

    def _installed(self) -> str | None:
        status, out, _err = self._start(["dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", PACKAGE])
        words = out.split()
        return words[1] if status == 0 and len(words) == 2 and words[0] == "installed" else None

    def _choose(self, version: str) -> str:
        """The newest package of that version; the lists are fetched afresh when they do not know it."""
        available = self._available()
        if version not in map(upstream, available):
            self._apt_get("update")
            available = self._available()
        for package_version in available:
            if upstream(package_version) == version:
                return package_version
        has = f"has Node.js {' and '.join(dict.fromkeys(map(upstream, available)))}" if available else "has no Node.js"
        raise ApphostError(
            f"{_distribution()} {has}, not {version}", do="Ask for what it has, or use the provider archive or npm."
        )

    def _available(self) -> list[str]:
        """Package versions, newest first, as ``apt-cache madison`` prints them: ``nodejs | <version> | <where>``."""
        _status, out, _err = self._start(["apt-cache", "madison", PACKAGE])
        return [columns[1].strip() for columns in (line.split("|") for line in out.splitlines()) if len(columns) == 3]

    def _apt_get(self, *arguments: str) -> None:
        status, out, err = self._start(
            ["apt-get", "-q", "-y", "-o", f"DPkg::Lock::Timeout={_LOCK_TIMEOUT}", *arguments]
        )
        if status:
            lines = (err.strip() or out.strip()).splitlines()
            raise ApphostError(f"apt-get {arguments[0]} failed: {lines[-1] if lines else f'exit status {status}'}")

    def _start(self, command: list[str]) -> tuple[int, str, str]:
        try:
            return self.run(command)
        except FileNotFoundError as error:
            raise ApphostError(
                f"this host has no {command[0]}: the provider distro works on Debian and Ubuntu",
                do="Use the provider archive or npm.",
            ) from error


def _distribution(path: str = "/etc/os-release") -> str:
    """The distribution's name for messages."""
    try:
        with open(path, encoding="utf-8") as file:
            names = [line.partition("=")[2].strip().strip('"') for line in file if line.startswith("PRETTY_NAME=")]
    except OSError:
        names = []
    return names[0] if names else "The distribution"
