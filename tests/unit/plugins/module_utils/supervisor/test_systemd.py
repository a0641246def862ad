# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The systemd supervisor against a scripted ``systemctl``. Outputs recorded from systemd 252 (Debian 12), 2026-11."""

from __future__ import annotations

import pathlib

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.supervisor.systemd import Systemd, parse_states

RUNNING = """\
MainPID=61
Result=success
NRestarts=2
ExecMainStatus=0
Id=apphost-hello-web@3000.service
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled
"""
ABSENT = """\
MainPID=0
Result=success
NRestarts=0
ExecMainStatus=0
Id=nope@1.service
LoadState=not-found
ActiveState=inactive
SubState=dead
UnitFileState=
"""


class Script:
    """Answers calls in order and remembers them; a call too many is an error."""

    def __init__(self, *answers: tuple[int, str, str]) -> None:
        self.answers = list(answers)
        self.calls: list[list[str]] = []

    def __call__(self, argv: list[str]) -> tuple[int, str, str]:
        self.calls.append(argv)
        return self.answers.pop(0)


def supervisor(script: Script, base: str = "") -> Systemd:
    return Systemd(script, base=base)


def test_states_come_from_one_call() -> None:
    script = Script((0, RUNNING + "\n" + ABSENT, ""))
    states = supervisor(script).states(["nope@1.service", "apphost-hello-web@3000.service"])
    assert list(states) == ["nope@1.service", "apphost-hello-web@3000.service"]
    web = states["apphost-hello-web@3000.service"]
    assert (web.running, web.pid, web.restarts, web.enabled, web.defined) == (True, 61, 2, True, True)
    nope = states["nope@1.service"]
    assert (nope.running, nope.defined) == (False, False)
    assert len(script.calls) == 1


def test_no_units_no_call() -> None:
    script = Script()
    systemd = supervisor(script)
    assert systemd.states([]) == {}
    systemd.stop([])
    systemd.enable([])
    assert script.calls == []


def test_a_unit_systemd_is_silent_about_is_an_error() -> None:
    with pytest.raises(ApphostError, match=r"other@1\.service"):
        supervisor(Script((0, RUNNING, ""))).states(["other@1.service"])


def test_a_pid_without_active_is_not_running() -> None:
    for text in (RUNNING.replace("=active", "=deactivating"), RUNNING.replace("MainPID=61", "MainPID=0")):
        assert [state.running for state in parse_states(text).values()] == [False]


def test_instances_leaves_out_an_app_with_a_longer_name(tmp_path: pathlib.Path) -> None:
    wants = tmp_path / "etc/systemd/system/apphost-hello.target.wants"
    wants.mkdir(parents=True)
    (wants / "apphost-hello-worker@1.service").symlink_to("/nowhere")
    (wants / "something-else.service").symlink_to("/nowhere")
    other = RUNNING.replace("apphost-hello-web@3000", "apphost-hello-api-web@4000")
    worker = ABSENT.replace("nope@1", "apphost-hello-worker@1")
    script = Script((0, f"{RUNNING}\n{other}\n{worker}", ""))
    assert list(supervisor(script, str(tmp_path)).instances("hello")) == [
        "apphost-hello-web@3000.service",
        "apphost-hello-worker@1.service",
    ]
    assert script.calls[0][-2:] == ["apphost-hello-*@*.service", "apphost-hello-worker@1.service"]


def test_restart_forgives_earlier_failures_and_takes_all_units_at_once() -> None:
    script = Script((1, "", "Unit b@1.service not loaded."), (0, "", ""))
    supervisor(script).restart(["a@1.service", "b@1.service"])
    assert script.calls == [
        ["systemctl", "reset-failed", "--", "a@1.service", "b@1.service"],
        ["systemctl", "restart", "--", "a@1.service", "b@1.service"],
    ]


def test_a_refusal_carries_systemds_words() -> None:
    with pytest.raises(ApphostError, match=r"a@1\.service: systemctl stop failed: Access denied"):
        supervisor(Script((4, "", "Access denied\n"))).stop(["a@1.service"])


def test_log_lines_are_the_last_since_the_start() -> None:
    script = Script((0, "", ""), (0, "one\ntwo\nthree\n", ""))
    assert supervisor(script).log_lines("a@1.service", 1795257579.25, 2) == ["two", "three"]
    assert "--since=@1795257579.250000" in script.calls[1]


def test_log_lines_leave_out_the_end_of_the_process_before() -> None:
    lines = (
        "Stopping a@1.service - A...\nbye\nStopped a@1.service - A.\nStarted a@1.service - A.\nboom\nStopped again\n"
    )
    script = Script((0, "", ""), (0, lines, ""))
    assert supervisor(script).log_lines("a@1.service", 0.0, 20) == [
        "Started a@1.service - A.",
        "boom",
        "Stopped again",
    ]
