# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The release command: what a release has to do once before any of its instances starts, such as migrating a database.

systemd runs it in a unit of its own, so it has the release's environment without anybody parsing it, ends when it
takes too long, and goes on when the connection breaks.
"""

from __future__ import annotations

import re

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, RunCommand
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import UNIT_PREFIX, AppLayout
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.environment import search_path
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.manifest import Manifest

# As many lines of the command's output as a failure quotes.
LOG_LINES = 20


def command_line(layout: AppLayout, manifest: Manifest, timeout: int) -> list[str]:
    """The ``systemd-run`` that runs the manifest's command as the app's user; ``timeout`` in seconds."""
    folder = layout.release(manifest["id"])
    variables = {
        "PATH": search_path(f"{manifest['runtime']['root']}/bin", f"{folder}/app"),
        "APPHOST_APP": manifest["app"],
        "APPHOST_RELEASE": manifest["id"],
        "APPHOST_DATA": layout.data,
    }
    properties = {
        "User": manifest["user"],
        "Group": manifest["group"],
        "WorkingDirectory": f"{folder}/app",
        "EnvironmentFile": f"{folder}/environment",
        "RuntimeMaxSec": str(timeout),
    }
    return [
        *("systemd-run", "--wait", "--pipe", "--collect", "--quiet", "--service-type=exec"),
        f"--unit={UNIT_PREFIX}-{manifest['app']}-release-command",
        *(f"--property={name}={value}" for name, value in properties.items()),
        *(f"--setenv={name}={value}" for name, value in variables.items()),
        *("/bin/sh", "-c", f"exec {manifest['release_command']}"),
    ]


def run_release_command(layout: AppLayout, manifest: Manifest, timeout: int, run: RunCommand) -> list[str]:
    """Run it and return the last lines it printed.

    :raises ApphostError: when it ends with another status than 0, is still at work from another rollout, or takes
        longer than ``timeout`` seconds.
    """
    status, out, err = run(command_line(layout, manifest, timeout))
    lines = [line for line in re.split(r"[\r\n]+", f"{out}\n{err}") if line.strip()][-LOG_LINES:]
    if status:
        raise ApphostError(
            f"the release command `{manifest['release_command']}` ended with status {status}",
            f"app {manifest['app']}",
            f"Nothing was activated. Mend it and deploy again (it has {timeout} s to end).",
            log_lines=lines,
        )
    return lines
