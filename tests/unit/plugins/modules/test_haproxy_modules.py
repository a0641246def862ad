# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules haproxy_server and haproxy_server_info over a real socket, with what HAProxy answered."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
import yaml
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.modules import haproxy_server, haproxy_server_info

from ..module_utils.haproxy.world import RECORDED, VERSIONS, Haproxy, Server, SocketServer

each_version = pytest.mark.parametrize("version", VERSIONS)


class FakeModule:
    """What ``work`` needs of AnsibleModule."""

    def __init__(self, spec: dict[str, t.Any], check_mode: bool, options: dict[str, t.Any]) -> None:
        self.params = {**{name: option.get("default") for name, option in spec.items()}, **options}
        self.check_mode = check_mode
        self.warnings: list[str] = []

    def warn(self, message: str) -> None:
        self.warnings.append(message)


def change(folder: pathlib.Path, state: str, check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
    given = {"state": state, "socket": str(folder / "s"), "master_socket": str(folder / "m"), **options}
    module = FakeModule(haproxy_server.SPEC, check_mode, {"state_folder": str(folder / "state"), **given})
    return haproxy_server.work(t.cast(t.Any, module))


def info(folder: pathlib.Path, **options: t.Any) -> dict[str, t.Any]:
    given = {"socket": str(folder / "s"), "master_socket": str(folder / "m"), **options}
    module = FakeModule(haproxy_server_info.SPEC, False, {"state_folder": str(folder / "state"), **given})
    return haproxy_server_info.work(t.cast(t.Any, module))


def recorded(version: str, **names: str) -> t.Callable[[str], str]:
    return lambda command: next(
        str(RECORDED[version][name]["answer"])
        for start, name in names.items()
        if command.startswith(start.replace("_", " "))
    )


def documented(module: t.Any, *path: str) -> set[str]:
    """The keys that RETURN promises."""
    node = yaml.safe_load(module.RETURN)
    for key in path:
        node = node[key]
    return set(node)


def test_drain_and_enable_over_a_socket(tmp_path: pathlib.Path) -> None:
    haproxy = Haproxy(shop={"app1": Server(), "app2": Server()})
    SocketServer(tmp_path / "s", lambda command: haproxy.ask(command) + "\n")
    out = change(tmp_path, "drained", servers=["shop/app1"])
    assert out["changed"] and out["diff"] == {"before": {"shop/app1": "ready"}, "after": {"shop/app1": "drain"}}
    assert json.loads((tmp_path / "state/drained.json").read_text())["servers"]["shop/app1"]["owner"] == "apphost"
    back = change(tmp_path, "enabled", servers=["shop/app1"])
    (server,) = back["servers"]
    assert server["after"] == {"admin": "ready", "status": "UP"} and server["out_seconds"] >= 0
    assert set(server) == documented(haproxy_server, "servers", "contains")


def test_one_call_hands_over_from_one_host_to_the_next(tmp_path: pathlib.Path) -> None:
    haproxy = Haproxy(shop={"app1": Server(), "app2": Server()})
    SocketServer(tmp_path / "s", lambda command: haproxy.ask(command) + "\n")
    change(tmp_path, "drained", servers=["shop/app1"])
    out = change(tmp_path, "enabled", servers=["shop/app1"], then_drain=["shop/app2"])
    assert out["changed"]
    assert [server["after"]["admin"] for server in (*out["servers"], *out["then_drained"])] == ["ready", "drain"]
    assert out["diff"]["after"] == {"shop/app1": "ready", "shop/app2": "drain"}
    assert set(out) == {"changed", "diff", *yaml.safe_load(haproxy_server.RETURN)}


def test_a_handover_that_may_not_be_says_what_was_enabled(tmp_path: pathlib.Path) -> None:
    haproxy = Haproxy(shop={"app1": Server(), "app2": Server()})
    SocketServer(tmp_path / "s", lambda command: haproxy.ask(command) + "\n")
    change(tmp_path, "drained", servers=["shop/app1"])
    with pytest.raises(ApphostError, match="has 1 servers up, not 2") as caught:
        change(tmp_path, "enabled", servers=["shop/app1"], then_drain=["shop/app2"], min_up=2)
    assert caught.value.details["changed"] is True
    assert [server["after"]["admin"] for server in caught.value.details["servers"]] == ["ready"]


def test_nobody_is_taken_out_when_the_one_before_does_not_come_back(tmp_path: pathlib.Path) -> None:
    haproxy = Haproxy(shop={"app1": Server(), "app2": Server()})
    SocketServer(tmp_path / "s", lambda command: haproxy.ask(command) + "\n")
    change(tmp_path, "drained", servers=["shop/app1"])
    with pytest.raises(ApphostError, match="no such server"):
        change(tmp_path, "enabled", servers=["shop/app9"], then_drain=["shop/app2"])
    assert haproxy.backends["shop"]["app2"].admin == "ready"


def test_only_enabling_hands_over(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ApphostError, match="then_drain: goes with state: enabled only"):
        change(tmp_path, "drained", servers=["shop/app1"], then_drain=["shop/app2"])


@pytest.mark.parametrize("options", [{"timeout": -1.0}, {"min_up": -1}, {"drain_timeout": -1.0}])
def test_negative_numbers_are_refused(tmp_path: pathlib.Path, options: dict[str, t.Any]) -> None:
    with pytest.raises(ApphostError, match="less than 0"):
        change(tmp_path, "drained", servers=["shop/app1"], **options)


def test_a_balancer_without_the_roles_program_saves_nothing(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    haproxy = Haproxy(shop={"app1": Server(), "app2": Server()})
    SocketServer(tmp_path / "s", lambda command: haproxy.ask(command) + "\n")
    monkeypatch.setattr(haproxy_server, "STATS_SOCKET", str(tmp_path / "s"))
    monkeypatch.setattr(haproxy_server, "PROGRAM", str(tmp_path / "program"))
    saved: list[str] = []
    monkeypatch.setattr(haproxy_server, "save", lambda ask: saved.append(ask("show servers state shop")))
    change(tmp_path, "drained", servers=["shop/app1"])
    assert saved == []
    (tmp_path / "program").touch()
    change(tmp_path, "enabled", servers=["shop/app1"])
    assert len(saved) == 1


@each_version
def test_the_info_has_what_is_documented_for_every_server(tmp_path: pathlib.Path, version: str) -> None:
    moment = "app1 drained, app2 in maintenance"
    names = {
        "show stat -1 2 -1": "backends",
        "show stat hello": f"{moment}: stat",
        "show stat nocheck": "special: stat",
        "show servers state hello": f"{moment}: state",
        "show servers state nocheck": "special: state",
    }
    SocketServer(tmp_path / "s", recorded(version, **names))
    (tmp_path / "state").mkdir()
    marks = {
        name: {"owner": "apphost", "since": "2026-11-21T10:00:00.125+00:00"} for name in ("hello/app1", "hello/app2")
    }
    (tmp_path / "state/drained.json").write_text(json.dumps({"schema": 1, "servers": marks}))
    out = info(tmp_path)
    hello = out["backends"]["hello"]
    assert set(hello["app1"]) == documented(haproxy_server_info, "backends", "contains")
    assert (hello["app1"]["owner"], hello["app1"]["since"]) == ("apphost", "2026-11-21T10:00:00.125+00:00")
    assert (hello["app1"]["op"], hello["app1"]["admin"], hello["app1"]["serving"]) == ("UP", "drain", False)
    # In maintenance it is not ours any more, whatever the mark says.
    assert (hello["app2"]["admin"], hello["app2"]["owner"]) == ("maint", None)
    assert hello["app3"]["serving"] and hello["app3"]["check"] == "L7OK/200"
    assert out["old_workers"] is None and not out["changed"]
    assert set(out["backends"]) == {"hello", "nocheck"} and set(info(tmp_path, backends=["hello"])["backends"]) == {
        "hello"
    }


@each_version
def test_the_info_tells_of_workers_of_before_a_reload(tmp_path: pathlib.Path, version: str) -> None:
    SocketServer(tmp_path / "s", lambda command: "# pxname,svname\n\n")
    SocketServer(
        tmp_path / "m", recorded(version, **{"show proc": "processes after a reload", "@!": "old worker: stat"})
    )
    (worker,) = info(tmp_path)["old_workers"]
    assert (worker["idle_clients"], worker["sessions"]) == (1, 1)
    assert set(worker) == documented(haproxy_server_info, "old_workers", "contains")


def test_an_unreachable_balancer_is_a_failure_not_an_empty_answer(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ApphostError, match="no such socket"):
        info(tmp_path)
