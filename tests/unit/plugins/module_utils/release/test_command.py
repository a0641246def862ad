# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The release command: what systemd is asked to run, and what a failure says."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import AppLayout
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.command import command_line, run_release_command

MANIFEST: t.Any = {
    "id": "1.0.0-aaaaaaaaaa",
    "app": "shop",
    "user": "apphost-shop",
    "group": "apphost-shop",
    "runtime": {"name": "nodejs", "version": "24.21.0", "root": "/opt/apphost/runtimes/nodejs/24.21.0"},
    "release_command": "node migrate.js --to $TARGET",
}


def test_it_runs_unprivileged_in_the_staged_release_and_secrets_stay_out_of_argv() -> None:
    argv = command_line(AppLayout("shop"), MANIFEST, 60)
    assert argv[0] == "systemd-run"
    assert argv[-3:] == ["/bin/sh", "-c", "exec node migrate.js --to $TARGET"]
    release = "/srv/apphost/shop/releases/1.0.0-aaaaaaaaaa"
    for expected in (
        "--property=User=apphost-shop",
        f"--property=WorkingDirectory={release}/app",
        f"--property=EnvironmentFile={release}/environment",
        "--property=RuntimeMaxSec=60",
        "--setenv=APPHOST_RELEASE=1.0.0-aaaaaaaaaa",
    ):
        assert expected in argv


def test_a_failure_quotes_what_the_command_said() -> None:
    def run(_argv: list[str]) -> tuple[int, str, str]:
        return 3, "migrating\n", "no such table\n"

    with pytest.raises(ApphostError, match=r"`node migrate.js --to \$TARGET` ended with status 3") as caught:
        run_release_command(AppLayout("shop"), MANIFEST, 60, run)
    assert caught.value.details["log_lines"] == ["migrating", "no such table"]
