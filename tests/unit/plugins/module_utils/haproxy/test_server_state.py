# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The states over a reload: the file HAProxy reads, and a reload that is seen to happen."""

from __future__ import annotations

import pathlib
import signal

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy import server_state
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.server_state import (
    configured_ports,
    reload,
    save,
    with_ports,
)

from .world import RECORDED, VERSIONS

CONFIG = """
global
    stats socket /run/haproxy/admin.sock
frontend hello
    bind :80
backend hello
    default-server check port 9999
    server app1 10.0.0.1:8080 check
    server app2 2001:db8::2:8081
    # server app3 10.0.0.3:1
listen other
    server app1 name.example:443 ssl
    server app4 /run/app4.sock
"""


def test_ports_are_read_where_a_server_has_one() -> None:
    assert configured_ports(CONFIG) == {
        ("hello", "app1"): "8080",
        ("hello", "app2"): "8081",
        ("other", "app1"): "443",
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_a_state_keeps_everything_but_the_configured_port(version: str) -> None:
    states = RECORDED[version]["app1 drained, app2 in maintenance: state"]["answer"]
    text = with_ports(states, {("hello", "app1"): "8080", ("other", "app2"): "1"})
    before, after = states.split(), text.split()
    assert [(old, new) for old, new in zip(before, after, strict=True) if old != new] == [("3001", "8080")]
    assert text.startswith("1\n# be_id ") and text.endswith("\n") and "\n\n" not in text


@pytest.mark.parametrize("answer", ["", "1", "Permission denied", "2\n# be_id x\n"])
def test_what_is_no_state_never_replaces_the_file(tmp_path: pathlib.Path, answer: str) -> None:
    config, state = tmp_path / "haproxy.cfg", tmp_path / "server-state"
    config.write_text(CONFIG)
    state.write_text("old")
    with pytest.raises(ValueError, match="unexpected answer"):
        save(lambda command: answer, str(config), str(state))
    assert state.read_text() == "old" and len(list(tmp_path.iterdir())) == 2


def test_the_folder_is_made(tmp_path: pathlib.Path) -> None:
    config, state = tmp_path / "haproxy.cfg", tmp_path / "new" / "server-state"
    config.write_text(CONFIG)
    save(lambda command: RECORDED[VERSIONS[0]]["all up: state"]["answer"], str(config), str(state))
    assert state.read_text().count("\n") == 5


class Master:
    """A HAProxy that reloads, or does not, when it gets the signal."""

    def __init__(self, takes: bool = True, refused_before: int = 0) -> None:
        self.pid, self.failed, self.takes, self.looks = 100, refused_before, takes, 0
        self.got: list[tuple[int, int]] = []

    def signal(self, pid: int, number: int) -> None:
        self.got.append((pid, number))

    def stats(self, command: str) -> str:
        assert command == "show info"
        self.looks += bool(self.got)
        if self.looks == 3 and self.takes:
            self.pid, self.failed = 101, 0
        return f"Name: HAProxy\nPid: {self.pid}\nUptime: 0d\n"

    def control(self, command: str) -> str:
        assert command == "show proc"
        if self.got and self.looks == 1:
            raise ConnectionRefusedError
        if self.looks == 4 and not self.takes:
            self.failed += 1
        return f"#<PID> <type>\n1  master  3 [failed: {self.failed}]  0d\n"


@pytest.mark.parametrize("refused_before", [0, 2])
def test_a_reload_lasts_until_the_new_worker_answers(refused_before: int) -> None:
    master = Master(refused_before=refused_before)
    reload(1, master.stats, master.control, master.signal, lambda seconds: None)
    assert master.got == [(1, signal.SIGUSR2)] and master.looks == 3


@pytest.mark.parametrize("refused_before", [0, 2])
def test_a_configuration_that_haproxy_does_not_take_is_a_failure(refused_before: int) -> None:
    master = Master(takes=False, refused_before=refused_before)
    with pytest.raises(RuntimeError, match="refused its new configuration"):
        reload(1, master.stats, master.control, master.signal, lambda seconds: None)


def test_the_program_fails_with_its_reason_when_nobody_answers(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "haproxy.cfg").write_text(CONFIG)
    monkeypatch.setenv("CONFIG", str(tmp_path / "haproxy.cfg"))
    monkeypatch.setattr(server_state, "STATS_SOCKET", str(tmp_path / "none"))
    assert server_state.main(["save"]) == 1
    assert capsys.readouterr().err == "save: [Errno 2] No such file or directory\n"
