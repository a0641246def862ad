# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Node.js from the distribution's own package, by apt."""

from __future__ import annotations

import os
import re
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.apt import Apt
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.sources import Origin, Wanted

PACKAGE = "nodejs"
PROGRAM = "/usr/bin/node"

# [epoch:]upstream[+repack][-revision], deb-version(7); only the upstream part is Node.js' own.
_UPSTREAM = re.compile(r"(?:\d+:)?(\d+\.\d+\.\d+)(?=[+~-]|$)")


def upstream(package_version: str) -> str:
    """``18.20.4`` from ``18.20.4+dfsg-1~deb12u1``; the whole text when it has another form."""
    match = _UPSTREAM.match(package_version)
    return match[1] if match else package_version


class DistroSource:
    """The package ``nodejs`` in exactly the wanted version, shown in our layout by a link to its program."""

    name = "distro"
    # Debian's package npm brings hundreds of others (624 on Debian 12), so npm comes from the registry or not at all.
    brings_npm = False

    def __init__(self, apt: Apt, program: str = PROGRAM) -> None:
        self.apt = apt
        self.program = program

    def check(self, wanted: t.Sequence[Wanted]) -> None:
        """There can only be one."""
        if len(wanted) > 1:
            raise ApphostError(
                f"the distribution has one Node.js at a time, not {' and '.join(each.version for each in wanted)}",
                do="Use the provider archive or npm for versions side by side.",
            )

    def fetch(self, wanted: Wanted, scratch: str, tree: str) -> Origin:
        """Install the package unless it is there, and link to its program."""
        installed = self.apt.installed([PACKAGE]).get(PACKAGE, "")
        if upstream(installed) != wanted.version:
            installed = self._choose(wanted.version)
            self.apt.install([f"{PACKAGE}={installed}"])
        os.makedirs(os.path.join(tree, "bin"))
        os.symlink(self.program, os.path.join(tree, "bin", "node"))
        return Origin(f"package {PACKAGE}", installed)

    def _choose(self, version: str) -> str:
        """The newest package of that version; the lists are fetched afresh when they do not know it."""
        available = self.apt.available(PACKAGE)
        if version not in map(upstream, available):
            self.apt.update()
            available = self.apt.available(PACKAGE)
        for package_version in available:
            if upstream(package_version) == version:
                return package_version
        has = f"has Node.js {' and '.join(dict.fromkeys(map(upstream, available)))}" if available else "has no Node.js"
        raise ApphostError(
            f"{_distribution()} {has}, not {version}", do="Ask for what it has, or use the provider archive or npm."
        )


def _distribution(path: str = "/etc/os-release") -> str:
    """The distribution's name for messages."""
    try:
        with open(path, encoding="utf-8") as file:
            names = [line.partition("=")[2].strip().strip('"') for line in file if line.startswith("PRETTY_NAME=")]
    except OSError:
        names = []
    return names[0] if names else "The distribution"
