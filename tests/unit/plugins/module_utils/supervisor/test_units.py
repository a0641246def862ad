# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd is told, read back as directives."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.supervisor.units import (
    UnitOptions,
    app_units,
    process_unit,
    target_unit,
)


def app(**changes: t.Any) -> dict[str, t.Any]:
    """A resolved app, as far as units look at it."""
    process = {
        "command": "node server.js",
        "port": 3000,
        "stop_signal": "SIGTERM",
        "stop_timeout": 45,
        "memory_max": None,
        "file_limit": 65536,
        "umask": "0027",
    }
    return {
        "name": "shop",
        "user": "apphost-shop",
        "group": "shop-files",
        "runtime": {"name": "nodejs"},
        "processes": {
            "web": process,
            "worker": {**process, "port": None, "stop_signal": "SIGINT", "memory_max": "512M"},
        },
        "logs": {"output": "journal"},
        "units": {
            "target": "apphost-shop.target",
            "templates": {"web": "apphost-shop-web@.service", "worker": "apphost-shop-worker@.service"},
        },
        "paths": {"current": "/srv/shop/current", "data": "/var/lib/shop/data", "logs": "/var/log/shop"},
        **changes,
    }


def read(text: str) -> dict[str, dict[str, list[str]]]:
    """Section -> directive -> its values in order."""
    sections: dict[str, dict[str, list[str]]] = {}
    for line in text.splitlines():
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            name, _equals, value = line.partition("=")
            section.setdefault(name, []).append(value)
    return sections


def service(process: str = "web", options: UnitOptions | None = None, **changes: t.Any) -> dict[str, list[str]]:
    return read(process_unit(app(**changes), process, options or UnitOptions(252)))["Service"]


def test_an_app_is_a_target_and_a_template_for_each_process() -> None:
    assert list(app_units(app(), UnitOptions(252))) == [
        "apphost-shop.target",
        "apphost-shop-web@.service",
        "apphost-shop-worker@.service",
    ]


def test_the_target_starts_with_the_host_and_takes_its_instances_along() -> None:
    assert read(target_unit(app()))["Install"] == {"WantedBy": ["multi-user.target"]}
    unit = read(process_unit(app(), "web", UnitOptions(252)))
    assert unit["Unit"]["PartOf"] == unit["Install"]["WantedBy"] == ["apphost-shop.target"]


def test_nothing_starts_before_there_is_a_release() -> None:
    unit = read(process_unit(app(), "web", UnitOptions(252)))["Unit"]
    assert unit["ConditionPathExists"] == ["/srv/shop/current/release.json"]


def test_the_program_comes_from_the_live_release() -> None:
    web = service()
    assert web["ExecStart"] == ["/srv/shop/current/bin/web"]
    assert web["WorkingDirectory"] == ["/srv/shop/current/app"]
    assert web["EnvironmentFile"] == ["/srv/shop/current/environment"]
    assert (web["User"], web["Group"]) == (["apphost-shop"], ["shop-files"])
    # Other types return from a start before the program was executed, so a missing one would go unnoticed.
    assert web["Type"] == ["exec"]


def test_only_a_process_with_ports_gets_one() -> None:
    assert '"PORT=%i"' in service()["Environment"]
    worker = service("worker")["Environment"]
    assert '"APPHOST_INSTANCE=%i"' in worker
    assert not any("PORT=" in value for value in worker)


def test_how_it_stops_and_what_it_may_use_is_the_processes_own() -> None:
    worker = service("worker")
    assert worker["KillSignal"] == ["SIGINT"]
    assert worker["TimeoutStopSec"] == ["45"]
    assert worker["MemoryMax"] == ["512M"]
    assert worker["LimitNOFILE"] == ["65536"]
    assert worker["UMask"] == ["0027"]
    assert "MemoryMax" not in service("web")


@pytest.mark.parametrize(
    ("version", "steps"),
    [(249, None), (252, None), (253, None), (254, ["5"]), (257, ["5"])],
)
def test_the_back_off_is_only_for_a_systemd_that_knows_it(version: int, steps: list[str] | None) -> None:
    web = service(options=UnitOptions(version, restart_delay=0.5, restart_delay_max=20))
    assert web["RestartSec"] == ["0.5"]
    assert web.get("RestartSteps") == steps
    assert web.get("RestartMaxDelaySec") == (["20"] if steps else None)


def test_no_back_off_to_a_shorter_delay() -> None:
    assert "RestartSteps" not in service(options=UnitOptions(257, restart_delay=10, restart_delay_max=10))


def test_restarts_have_a_limit() -> None:
    unit = read(process_unit(app(), "web", UnitOptions(252, start_limit=7, start_limit_interval=90)))["Unit"]
    assert (unit["StartLimitBurst"], unit["StartLimitIntervalSec"]) == (["7"], ["90"])


def test_output_goes_to_the_journal_under_its_name_or_to_a_file_an_instance() -> None:
    assert service()["SyslogIdentifier"] == ["shop-web"]
    to_file = service(logs={"output": "file"})
    assert to_file["StandardOutput"] == to_file["StandardError"] == ["append:/var/log/shop/web-%i.log"]


def test_it_writes_its_data_and_its_logs_only() -> None:
    web = service()
    assert web["ProtectSystem"] == ["strict"]
    assert web["ReadWritePaths"] == ["/var/lib/shop/data /var/log/shop/own"]


def test_what_nodejs_needs_is_not_taken_away() -> None:
    web = service()
    assert not {"MemoryDenyWriteExecute", "PrivateUsers", "ProcSubset", "PrivateNetwork", "IPAddressDeny"} & set(web)
    assert "AF_NETLINK" in web["RestrictAddressFamilies"][0]
    # Without an errno a call that is not allowed kills the program.
    assert web["SystemCallErrorNumber"] == ["EPERM"]


def test_a_drop_in_can_give_a_capability() -> None:
    # An empty value takes back what came before and leaves room for what comes after; `~CAP_…` would not.
    assert service()["CapabilityBoundingSet"] == service()["AmbientCapabilities"] == [""]


def test_variables_reach_the_app_as_they_are() -> None:
    options = UnitOptions(252, environment={"A": 'say "100%" \\o/', "N": 5})
    assert r'"A=say \"100%%\" \\o/"' in service(options=options)["Environment"]
    assert '"N=5"' in service(options=options)["Environment"]


def test_authorities_are_given_to_nodejs_in_its_own_way() -> None:
    options = UnitOptions(252, ca_file="/etc/ca.pem")
    assert '"NODE_EXTRA_CA_CERTS=/etc/ca.pem"' in service(options=options)["Environment"]
    assert not any("ca.pem" in value for value in service(options=options, runtime={"name": "python"})["Environment"])
    mine = UnitOptions(252, ca_file="/etc/ca.pem", environment={"NODE_EXTRA_CA_CERTS": "/mine"})
    assert [v for v in service(options=mine)["Environment"] if "CERTS" in v] == ['"NODE_EXTRA_CA_CERTS=/mine"']


def test_extra_replaces_for_one_process_only() -> None:
    options = UnitOptions(252, extra={"shop/web": {"ProtectHome": "read-only", "BindPaths": ["/a", "/b"], "Nice": 5}})
    web = service(options=options)
    assert (web["ProtectHome"], web["BindPaths"], web["Nice"]) == (["read-only"], ["/a", "/b"], ["5"])
    assert service("worker", options)["ProtectHome"] == ["yes"]


def test_the_slice_is_a_wish() -> None:
    assert "Slice" not in service()
    assert service(options=UnitOptions(252, slice="apps.slice"))["Slice"] == ["apps.slice"]
