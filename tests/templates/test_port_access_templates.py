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


def test_only_processes_with_a_port_get_the_capability() -> None:
    assert ROLE.value("__port_access_ambient_units", GIVEN) == ["apphost-low-web@.service"]
    assert ROLE.value("__port_access_ambient_files", GIVEN) == [
        "/etc/systemd/system/apphost-low-web@.service.d/10-port-access.conf"
    ]


def read(name: str) -> Unit:
    return unit((ROLE.path / "files" / name).read_text(encoding="utf-8"))


def test_the_capability_is_the_only_one() -> None:
    dropin = read("ambient/10-port-access.conf")
    for key in ("AmbientCapabilities", "CapabilityBoundingSet"):
        assert dropin.all("Service", key) == ["CAP_NET_BIND_SERVICE"]


def test_the_redirect_is_put_back_whatever_nftables_does() -> None:
    load = read("redirect/apphost-redirect.service").one("Service", "ExecStart")
    nftables = read("redirect/nftables.service.d/10-apphost-redirect.conf")
    for when in ("ExecStartPost", "ExecReload", "ExecStopPost"):
        assert nftables.one("Service", when) == f"-{load}", "and its failure is no failure of the firewall"


def test_the_redirect_is_loaded_after_the_firewall_and_at_boot() -> None:
    service = read("redirect/apphost-redirect.service")
    assert service.all("Unit", "After") == ["nftables.service"]
    assert service.all("Install", "WantedBy") == ["multi-user.target"]
    assert service.one("Service", "ExecReload") == service.one("Service", "ExecStart")
