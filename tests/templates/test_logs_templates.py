# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the rotation rules mean."""

from __future__ import annotations

import typing as t

import pytest
from reading import Rotation, logrotate, unit
from rendering import Role

ROLE = Role("logs")
FOLDER = "/var/log/apphost/hello"


def render(logs: dict[str, t.Any] | None = None, /, *, port: int | None = 3000, **options: t.Any) -> list[Rotation]:
    app = {
        "name": "hello",
        "source": {"type": "directory", "path": "hello"},
        "runtime": {"name": "nodejs", "version": "24.21.0"},
        "processes": {"web": {"command": "node server.js", "port": port}, "worker": {"command": "node worker.js"}},
        "logs": logs or {},
    }
    return logrotate(ROLE.render("logrotate/apphost.j2", {"apphost_apps": [app], **options}))


def block(blocks: list[Rotation], pattern: str) -> Rotation:
    (found,) = [one for one in blocks if pattern in one.patterns]
    return found


ALL = {
    "output": "file",
    "max_size": "7M",
    "keep": 3,
    "files": [
        {"path": "own/a.log"},
        {"path": "own/b.log", "rotate": "signal", "signal": "SIGHUP", "process": "worker"},
    ],
}


def test_every_file_of_an_app_is_covered_once() -> None:
    patterns = [pattern for one in render(ALL) for pattern in one.patterns]
    assert sorted(patterns) == [
        f"{FOLDER}/access.log",
        f"{FOLDER}/error.log",
        f"{FOLDER}/own/a.log",
        f"{FOLDER}/own/b.log",
        f"{FOLDER}/web-*.log",
        f"{FOLDER}/worker-*.log",
    ]


def test_every_block_rotates_by_day_and_size_and_may_do_so_often() -> None:
    for one in render(ALL):
        assert {"daily", "dateext", "missingok", "notifempty", "compress"} <= one.directives.keys(), one.patterns
        assert one.directives["maxsize"] == "7M"
        assert one.directives["rotate"] == "3"
        assert one.directives["dateformat"] == "-%Y%m%d-%H%M%S"
        assert "size" not in one.directives, "it would switch the day off"


def test_a_file_is_either_copied_or_reopened() -> None:
    """A file that is moved away may be written to for a moment longer: it must not be compressed at once."""
    for one in render(ALL):
        copied = "copytruncate" in one.directives
        reopened = "postrotate" in one.scripts
        assert copied != reopened, one.patterns
        assert reopened == ("delaycompress" in one.directives), one.patterns
        assert reopened == ("create" in one.directives), one.patterns


def test_the_proxy_opens_its_logs_again_once_for_both() -> None:
    proxy = block(render(), f"{FOLDER}/access.log")
    assert "sharedscripts" in proxy.directives
    assert "USR1" in proxy.scripts["postrotate"][0] and "/run/nginx.pid" in proxy.scripts["postrotate"][0]


def test_the_process_named_gets_its_signal() -> None:
    assert block(render(ALL), f"{FOLDER}/own/b.log").scripts["postrotate"] == [
        "systemctl kill --signal=SIGHUP --kill-who=main 'apphost-hello-worker@*.service'"
    ]


@pytest.mark.parametrize("name", ["a", "b"])
def test_the_apps_own_folder_is_worked_in_as_the_app(name: str) -> None:
    assert block(render(ALL), f"{FOLDER}/own/{name}.log").directives["su"] == "apphost-hello apphost-hello"


def test_output_to_the_journal_leaves_no_files_to_rotate() -> None:
    assert [one.patterns for one in render()] == [[f"{FOLDER}/access.log", f"{FOLDER}/error.log"]]


def test_an_app_without_a_port_has_no_proxy_logs() -> None:
    assert render(port=None) == []


def test_nothing_is_compressed_when_not_wanted() -> None:
    for one in render(ALL, logs_compress=False):
        assert not {"compress", "delaycompress"} & one.directives.keys()


def test_the_timer_runs_the_distributions_service_and_starts_at_boot() -> None:
    timer = unit(ROLE.render("logrotate/apphost-logs.timer.j2", {"logs_schedule": "*:0/10"}))
    assert timer.one("Timer", "OnCalendar") == "*:0/10"
    assert timer.one("Timer", "Unit") == "logrotate.service"
    assert timer.one("Install", "WantedBy") == "timers.target"
