# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module refuses before it touches the host, and that check mode touches nothing."""

from __future__ import annotations

import types
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.modules import systemd_units

APP = {
    "name": "shop",
    "user": "apphost-shop",
    "group": "apphost-shop",
    "runtime": {"name": "nodejs"},
    "processes": {
        "web": {
            "port": 3000,
            "stop_signal": "SIGTERM",
            "stop_timeout": 30,
            "memory_max": None,
            "file_limit": 65536,
            "umask": "0027",
        }
    },
    "logs": {"output": "journal"},
    "units": {
        "target": "apphost-shop-never-there.target",
        "templates": {"web": "apphost-shop-never-there-web@.service"},
    },
    "paths": {"current": "/srv/shop/current", "data": "/var/lib/shop/data", "logs": "/var/log/shop"},
}


def module(calls: list[list[str]], **params: t.Any) -> t.Any:
    """Stands in for AnsibleModule on a host without any of the units."""

    def run(argv: list[str], **_options: t.Any) -> tuple[int, str, str]:
        calls.append(argv)
        if argv[1] == "--version":
            return 0, "systemd 252 (252.39-1~deb12u2)\n", ""
        shown = "\n".join(
            f"Id={unit}\nLoadState=not-found\nUnitFileState=\n" for unit in argv if unit.endswith(".target")
        )
        return 0, shown, ""

    defaults = {name: option.get("default") for name, option in systemd_units.SPEC.items()}
    return types.SimpleNamespace(params={**defaults, **params}, check_mode=True, run_command=run)


def test_check_mode_says_what_it_would_write_and_only_asks() -> None:
    calls: list[list[str]] = []
    result = systemd_units.work(module(calls, apps=[APP]))
    assert result["changed"] is True
    assert result["units"] == ["apphost-shop-never-there-web@.service", "apphost-shop-never-there.target"]
    assert "ExecStart=/srv/shop/current/bin/web" in result["diff"][0]["after"]
    assert {tuple(call[:2]) for call in calls} == {
        ("systemctl", "--version"),
        ("systemctl", "show"),
        ("systemd-analyze", "--man=no"),
    }


def test_an_app_cannot_be_defined_and_absent() -> None:
    with pytest.raises(ApphostError, match="shop: is both defined and absent"):
        systemd_units.work(module([], apps=[APP], absent=["shop"]))


def test_extra_for_a_process_that_is_not_there_is_a_mistake() -> None:
    with pytest.raises(ApphostError, match="extra: shop/wbe: is no process of these apps"):
        systemd_units.work(module([], apps=[APP], extra={"shop/wbe": {"Nice": 5}}))
