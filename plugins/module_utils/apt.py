# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is needed of apt: which packages are there, which could be, and installing some.

The module ``ansible.builtin.apt`` would be a task of its own, takes half a second to look at its cache, and fails in
check mode on a host that has no package lists yet.
"""

from __future__ import annotations

import time
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, RunCommand

# Another apt at work, such as the daily one after boot, is waited for; in seconds.
LOCK_WAIT = 120.0
_LOCK_POLL = 1.0


class Apt:
    """Debian's package manager by its command line; ``run`` starts programs in the C locale."""

    def __init__(
        self,
        run: RunCommand,
        clock: t.Callable[[], float] = time.monotonic,
        sleep: t.Callable[[float], None] = time.sleep,
    ) -> None:
        self.run = run
        self.clock = clock
        self.sleep = sleep

    def installed(self, packages: t.Sequence[str]) -> dict[str, str]:
        """Package -> version, of those that are installed."""
        if not packages:
            return {}
        form = "${Package} ${db:Status-Status} ${Version}\n"
        _status, out, _err = self._start(["dpkg-query", "--show", f"--showformat={form}", *packages])
        found = (line.split() for line in out.splitlines())
        return {words[0]: words[2] for words in found if len(words) == 3 and words[1] == "installed"}

    def missing(self, packages: t.Sequence[str]) -> list[str]:
        """Those of them that are not installed."""
        there = self.installed(packages)
        return [package for package in packages if package not in there]

    def available(self, package: str) -> list[str]:
        """Its versions in the lists, newest first; ``apt-cache madison`` prints ``<package> | <version> | <where>``."""
        _status, out, _err = self._start(["apt-cache", "madison", package])
        return [columns[1].strip() for columns in (line.split("|") for line in out.splitlines()) if len(columns) == 3]

    def update(self) -> None:
        """Fetch the package lists."""
        self._apt_get("update")

    def install(self, packages: t.Sequence[str]) -> None:
        """Install ``<package>`` or ``<package>=<version>``; missing or outdated lists are fetched on the way."""
        if not packages:
            return
        command = ("install", "--yes", "--no-install-recommends", *packages)
        try:
            self._apt_get(*command)
        except ApphostError:
            self.update()
            self._apt_get(*command)

    def _apt_get(self, *arguments: str) -> None:
        deadline = self.clock() + LOCK_WAIT
        status, out, err = self._start(["apt-get", "--quiet", *arguments])
        while status and "Could not get lock" in err and self.clock() < deadline:
            self.sleep(_LOCK_POLL)
            status, out, err = self._start(["apt-get", "--quiet", *arguments])
        if status:
            lines = [line for line in err.splitlines() if line.startswith("E:")] or (err or out).splitlines()
            raise ApphostError(f"apt-get {arguments[0]} failed: {lines[0] if lines else f'exit status {status}'}")

    def _start(self, command: list[str]) -> tuple[int, str, str]:
        try:
            return self.run(command)
        except FileNotFoundError as error:
            raise ApphostError(
                f"this host has no {command[0]}, and only Debian and Ubuntu are known here",
                do="Install what is needed by other means, and leave the list of packages empty.",
            ) from error
