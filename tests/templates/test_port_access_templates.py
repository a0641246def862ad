# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the units and firewall rules for low ports mean."""

from __future__ import annotations

import re
import typing as t

from reading import Unit, unit
from rendering import Role

ROLE = Role("port_access")


def app(name: str, port: int, provider: str, proxy_port: int, instances: int = 1, low: int = 80) -> dict[str, t.Any]:
    return {
        "name": name,
        "source": {"type": "directory", "path": name},
        "runtime": {"name": "nodejs", "version": "24.21.0"},
        "processes": {
            "web": {"command": "node server.js", "instances": instances, "port": port},
            "worker": {"command": "node worker.js"},
        },
        "proxy": {"port": proxy_port},
        "port_access": {"provider": provider, "port": low},
    }


APPS = [
    app("one", 3000, "redirect", 8081, instances=2, low=80),
    app("two", 4000, "redirect", 8082, low=81),
    app("low", 443, "ambient", 8083),
    app("plain", 5000, "none", 8084),
]
GIVEN = {"apphost_apps": APPS}


def chains(apps: list[dict[str, t.Any]]) -> dict[str, list[str]]:
    """The rules of each chain, and a check that the rest of the file is one replacement of one table."""
    text = re.sub(r"#.*", "", ROLE.render("redirect/redirect.nft.j2", {"apphost_apps": apps}))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    assert lines[:3] == ["table inet apphost", "delete table inet apphost", "table inet apphost {"]
    assert lines[-1] == "}"
    found: dict[str, list[str]] = {}
    for line in lines[3:-1]:
        if line.startswith("chain "):
            found[line.split()[1]] = rules = []
        elif line.startswith("type "):
            assert line.endswith("policy accept;"), "a redirect filters nothing"
        elif line != "}":
            rules.append(line)
    return found


def test_connections_from_outside_and_from_the_host_itself_are_redirected_alike() -> None:
    found = chains(APPS)
    assert list(found) == ["prerouting", "output"]
    assert found["prerouting"] == found["output"]


def test_a_port_leads_to_every_web_instance_of_its_app() -> None:
    assert chains(APPS)["prerouting"] == [
        "fib daddr type local tcp dport 80 redirect to :numgen inc mod 2 map { 0 : 3000, 1 : 3001 }",
        "fib daddr type local tcp dport 81 redirect to :4000",
    ]


def test_without_a_redirect_there_is_no_rule() -> None:
    assert chains(APPS[2:]) == {"prerouting": [], "output": []}


def test_only_ways_in_use_are_set_up() -> None:
    assert ROLE.value("__port_access_providers", GIVEN) == ["redirect", "ambient"]
    assert ROLE.value("__port_access_providers", {"apphost_apps": APPS[3:]}) == []


def files(variable: str, apps: list[dict[str, t.Any]] = APPS) -> dict[str, str]:
    """What the role writes: path -> content."""
    return {file["path"]: file["content"] for file in ROLE.value(variable, {"apphost_apps": apps})}


def test_only_processes_with_a_port_get_the_capability_and_no_other() -> None:
    written = files("__port_access_ambient_files")
    assert list(written) == ["/etc/systemd/system/apphost-low-web@.service.d/10-port-access.conf"]
    for text in written.values():
        for key in ("AmbientCapabilities", "CapabilityBoundingSet"):
            assert unit(text).all("Service", key) == ["CAP_NET_BIND_SERVICE"]
    assert files("__port_access_ambient_files", APPS[3:]) == {}


def test_what_is_written_is_found_again() -> None:
    """What a run leaves behind is how the next one knows that there is something to take away."""
    traces = ROLE.value("__port_access_traces", GIVEN)
    for provider in ("ambient", "redirect"):
        names = {path.rpartition("/")[2] for path in files(f"__port_access_{provider}_files")}
        assert [traces[name] for name in names & traces.keys()] == [provider]


def redirect_unit(name: str) -> Unit:
    return unit(files("__port_access_redirect_files")[f"/etc/systemd/system/{name}"])


def test_the_redirect_is_put_back_whatever_nftables_does() -> None:
    load = redirect_unit("apphost-redirect.service").one("Service", "ExecStart")
    nftables = redirect_unit("nftables.service.d/10-apphost-redirect.conf")
    for when in ("ExecStartPost", "ExecReload", "ExecStopPost"):
        assert nftables.one("Service", when) == f"-{load}", "and its failure is no failure of the firewall"


def test_the_redirect_is_loaded_after_the_firewall_and_at_boot() -> None:
    service = redirect_unit("apphost-redirect.service")
    assert service.all("Unit", "After") == ["nftables.service"]
    assert service.all("Install", "WantedBy") == ["multi-user.target"]
    assert service.one("Service", "ExecReload") == service.one("Service", "ExecStart")
    assert service.one("Service", "ExecStart").split()[-1] in files("__port_access_redirect_files")
