# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Docker engine to work with: the one that runs, else one that we install and start where we may."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from devtools import debian
from devtools.paths import LOGS, shown
from devtools.terminal import DevError, attempt, step

START_DEADLINE = 60.0
"""Seconds for a new dockerd to answer; 3 s are usual."""


def ensure_engine() -> None:
    """Return when ``docker info`` answers; otherwise install and start an engine, or say what to do."""
    answer = _answer()
    if answer is None:
        return
    if os.environ.get("DOCKER_HOST"):
        raise DevError(f"the Docker engine at DOCKER_HOST={os.environ['DOCKER_HOST']} does not answer: {answer}")
    if not debian.can_install():
        raise DevError(f"no Docker engine answers ({answer}); install or start Docker, then try again")
    # docker.io of Debian 13 has its client in a package of its own; before, it came along.
    missing = [] if shutil.which("dockerd") else ["docker.io", "iptables"]
    if not shutil.which("docker"):
        missing += [package for package in ("docker-cli",) if debian.is_known(package)]
    debian.install(missing, why="Docker engine")
    _start()


def _answer() -> str | None:
    """None when an engine answers, else what is wrong, in a line."""
    if not shutil.which("docker"):
        return "the program docker is not installed"
    done = attempt(["docker", "info", "--format", "{{.ServerVersion}}"])
    # Old clients exit 0 with an empty version when only the client is there.
    if done.returncode == 0 and done.stdout.strip():
        return None
    lines = (done.stderr or done.stdout).strip().splitlines()
    return lines[-1] if lines else f"docker info ended with status {done.returncode}"


def _start() -> None:
    """Start dockerd in a session of its own, so that it outlives this command and its Ctrl-C."""
    if Path("/run/systemd/system").is_dir() and attempt(["systemctl", "start", "docker.service"]).returncode == 0:
        return
    LOGS.mkdir(parents=True, exist_ok=True)
    path = LOGS / "dockerd.log"
    with step("start the Docker engine"), path.open("ab") as log:
        daemon = subprocess.Popen(
            ["dockerd"], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, cwd="/"
        )
        deadline = time.monotonic() + START_DEADLINE
        while (answer := _answer()) is not None:
            if daemon.poll() is not None:
                raise DevError(f"dockerd ended with status {daemon.returncode}; its log is {shown(path)}")
            if time.monotonic() > deadline:
                raise DevError(f"dockerd is silent after {START_DEADLINE:.0f} s ({answer}); its log is {shown(path)}")
            time.sleep(0.3)
