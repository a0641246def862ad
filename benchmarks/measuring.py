# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the benchmarks share: their fleets, the playbooks that they run, and how they say what holds of a promise."""

from __future__ import annotations

import json
import shutil
import typing as t
from collections.abc import Sequence
from pathlib import Path

from devtools import environment
from devtools.engine import ensure_engine
from devtools.lab import fleet, inventory
from devtools.lab.fleet import container_name
from devtools.paths import DEV, ROOT
from devtools.terminal import output_of, say

HERE = ROOT / "benchmarks"
NODE_VERSION = "24.21.0"
NODE = f"/opt/apphost/runtimes/nodejs/{NODE_VERSION}"


class Bench:
    """A benchmark's own fleet, and its folder for what it makes."""

    def __init__(self, name: str) -> None:
        self.fleet = name
        self.work = DEV / name

    def start(self, hosts: Sequence[str]) -> None:
        """Bring up the hosts, and empty the folder."""
        environment.setup()
        ensure_engine()
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        fleet.up(self.fleet, dict.fromkeys(hosts, "bookworm"))

    def playbook(self, path: Path, variables: t.Mapping[str, t.Any]) -> list[str | Path]:
        """The command that runs a playbook on the fleet."""
        tool = environment.tool("ansible-playbook")
        return [tool, "-i", inventory.path(self.fleet), "-e", json.dumps(variables), path]

    def on(self, host: str, *words: str | Path, variables: t.Mapping[str, str] | None = None) -> list[str | Path]:
        """The command that runs a program on a host as root, with these environment variables."""
        given = [word for name, value in (variables or {}).items() for word in ("--env", f"{name}={value}")]
        return ["docker", "exec", *given, container_name(self.fleet, host), *words]

    def install(self, script: Path, host: str, path: str) -> None:
        """Put a script onto a host."""
        output_of(["docker", "cp", script, f"{container_name(self.fleet, host)}:{path}"])


def verdict(promises: t.Mapping[str, bool]) -> int:
    """Say of each promise whether it holds; 0 when all do, 1 when one does not."""
    say("")
    for promise, kept in promises.items():
        say(f"{'kept  ' if kept else 'BROKEN'}  {promise}")
    return 0 if all(promises.values()) else 1
