# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things are on an app host. The one place that knows a path, the name of a unit or of an account.

::

    /srv/apphost/<app>/               root:root 0755
        current -> releases/<id>
        releases/<id>/                root:<group> 0750, immutable once staged
            app/                      the artifact and its dependencies; the working directory of every process
            bin/<process>             launcher: PATH of the runtime, then exec of the command
            environment               systemd EnvironmentFile with the secrets, root:root 0600
            release.json              the manifest: what the release is made of, no secrets
    /srv/apphost/.store/              built dependency trees, same file system as the releases (hard links)
    /var/lib/apphost/<app>/           root:root 0755
        journal.jsonl  lock           activation journal, lock of stage/activate/prune
        data/                         <user>:<group> 0750, the app's own; kept over releases
    /var/log/apphost/<app>/           root:root 0755
        <process>-<instance>.log      standard output when ``logs.output`` is ``file`` (opened by systemd)
        access.log  error.log         the on-host proxy's
        own/                          <user>:<group> 0750, what the app writes by itself
    /opt/apphost/runtimes/<runtime>/<version>/bin
"""

from __future__ import annotations

from dataclasses import dataclass

RELEASES_BASE = "/srv/apphost"
STORE = f"{RELEASES_BASE}/.store"
STATE_BASE = "/var/lib/apphost"
LOGS_BASE = "/var/log/apphost"
RUNTIMES_BASE = "/opt/apphost/runtimes"

UNIT_PREFIX = "apphost"

USER_PREFIX = "apphost-"
BUILD_USER = f"{USER_PREFIX}build"
"""Fetches and builds dependencies; owns nothing outside the folder it builds in. Never the user of an app."""


@dataclass(frozen=True)
class AppLayout:
    """Paths and unit names of one app. ``base`` prefixes every path, for tests."""

    name: str
    base: str = ""

    @property
    def root(self) -> str:
        return f"{self.base}{RELEASES_BASE}/{self.name}"

    @property
    def releases(self) -> str:
        return f"{self.root}/releases"

    @property
    def current(self) -> str:
        return f"{self.root}/current"

    @property
    def store(self) -> str:
        return f"{self.base}{STORE}"

    @property
    def state(self) -> str:
        return f"{self.base}{STATE_BASE}/{self.name}"

    @property
    def data(self) -> str:
        return f"{self.state}/data"

    @property
    def journal(self) -> str:
        return f"{self.state}/journal.jsonl"

    @property
    def lock(self) -> str:
        return f"{self.state}/lock"

    @property
    def logs(self) -> str:
        return f"{self.base}{LOGS_BASE}/{self.name}"

    @property
    def folders(self) -> tuple[str, ...]:
        """Those that site.yml makes."""
        return (self.root, self.releases, self.state, self.data, self.logs)

    def release(self, release_id: str) -> str:
        return f"{self.releases}/{release_id}"

    @property
    def target(self) -> str:
        return f"{UNIT_PREFIX}-{self.name}.target"

    def template_unit(self, process: str) -> str:
        return f"{UNIT_PREFIX}-{self.name}-{process}@.service"

    def unit(self, process: str, instance: str) -> str:
        return f"{UNIT_PREFIX}-{self.name}-{process}@{instance}.service"

    def paths(self) -> dict[str, str]:
        """What the resolved app carries as ``paths``."""
        return {
            "root": self.root,
            "releases": self.releases,
            "current": self.current,
            "state": self.state,
            "data": self.data,
            "logs": self.logs,
        }


def runtime_root(name: str, version: str, base: str = "") -> str:
    """The folder of one runtime version; its programs are in ``bin`` below it."""
    return f"{base}{RUNTIMES_BASE}/{name}/{version}"
