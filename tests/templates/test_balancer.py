# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the balancer's configuration means."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy import server_state
from reading import Haproxy, Section, haproxy, unit
from rendering import Role

ROLE = Role("balancer")
HOSTS = {
    "groups": {"app_hosts": ["app1", "app2"]},
    "hostvars": {"app1": {"apphost_address": "10.0.0.1"}, "app2": {"ansible_host": "10.0.0.2"}},
}


def app(name: str = "hello", port: int = 3000, **more: t.Any) -> dict[str, t.Any]:
    return {
        "name": name,
        "source": {"type": "directory", "path": name},
        "runtime": {"name": "nodejs", "version": "24.21.0"},
        "processes": {"web": {"command": "node server.js", "port": port}},
        **more,
    }


def render(*apps: dict[str, t.Any], **options: t.Any) -> Haproxy:
    return haproxy(ROLE.render("haproxy/haproxy.cfg.j2", {"apphost_apps": list(apps), **HOSTS, **options}))


def frontend(*apps: dict[str, t.Any], **options: t.Any) -> Section:
    return render(*apps, **options).section("frontend", "apphost-80")


def default_server(tree: Haproxy) -> dict[str, str]:
    """The settings of ``default-server`` that have a value."""
    words = [word for line in tree.section("defaults").all("default-server") for word in line if word != "check"]
    return dict(zip(words[::2], words[1::2], strict=True))


def test_every_app_host_is_a_server_of_every_app_by_its_inventory_name() -> None:
    tree = render(app(), app("shop", 4000, domains=["shop.example"], proxy={"port": 8080}))
    assert tree.section("backend", "hello").all("server") == [["app1", "10.0.0.1:80"], ["app2", "10.0.0.2:80"]]
    assert tree.section("backend", "shop").all("server") == [["app1", "10.0.0.1:8080"], ["app2", "10.0.0.2:8080"]]


def test_the_group_of_app_hosts_is_a_parameter_and_servers_can_be_given() -> None:
    hosts = {"groups": {"web": ["w1"]}, "hostvars": {"w1": {}}, "apphost_hosts_group": "web"}
    assert render(app(), **hosts).section("backend", "hello").all("server") == [["w1", "w1:80"]]
    given = [{"name": "x", "address": "2001:db8::1"}]
    assert render(app(), balancer_servers=given).section("backend", "hello").all("server") == [["x", "2001:db8::1:80"]]


def test_an_app_without_a_port_is_not_balanced() -> None:
    tree = render(app(), app("jobs", processes={"worker": {"command": "node worker.js"}}))
    assert set(tree.names("backend")) == {"hello", "apphost-unknown"}


def test_domains_choose_the_app_and_the_one_without_gets_the_rest() -> None:
    front = frontend(app(), app("shop", 4000, domains=["shop.example", "www.shop.example"]))
    (rule,) = front.all("use_backend", "shop")
    assert rule[-3:] == ["shop.example", "www.shop.example", "}"]
    assert "req.hdr(host),field(1,:),lower" in rule
    assert front.one("default_backend") == ["hello"]


def test_a_strange_host_name_is_refused_when_no_app_takes_the_rest() -> None:
    tree = render(app("shop", domains=["shop.example"]))
    assert tree.section("frontend", "apphost-80").one("default_backend") == ["apphost-unknown"]
    assert tree.section("backend", "apphost-unknown").one("http-request", "return")[:2] == ["status", "404"]


def test_apps_of_different_proxy_ports_have_frontends_of_their_own() -> None:
    tree = render(app(), app("shop", 4000, proxy={"port": 8080}))
    assert tree.names("frontend") == ["apphost-80", "apphost-8080"]
    assert tree.section("frontend", "apphost-8080").one("bind") == ["*:8080"]
    assert tree.section("frontend", "apphost-8080").one("default_backend") == ["shop"]


@pytest.mark.parametrize("port", [80, "80"])
def test_binds_replace_the_port_of_the_proxy(port: int | str) -> None:
    front = frontend(app(), balancer_binds={port: ["*:443 ssl crt /etc/haproxy/certs", "*:80"]})
    assert front.all("bind") == [["*:443", "ssl", "crt", "/etc/haproxy/certs"], ["*:80"]]


def test_the_health_check_asks_what_the_app_says() -> None:
    health = {"path": "/up?x=1", "status": 204, "request_timeout": 3}
    back = render(app(health=health, domains=["a.example", "b.example"])).section("backend", "hello")
    sent = back.one("http-check", "send")
    assert sent[sent.index("uri") + 1] == "/up?x=1" and sent[sent.index("Host") + 1] == "a.example"
    assert back.one("http-check", "expect") == ["status", "204"]
    assert back.one("timeout", "check") == ["3s"]
    without_domain = render(app()).section("backend", "hello").one("http-check", "send")
    assert without_domain[-1] == "hello"


def test_checks_are_quick_where_somebody_waits_for_them() -> None:
    settings = default_server(render(app()))
    assert settings["inter"] == "1s" and settings["fastinter"] == "100ms" and settings["downinter"] == "200ms"
    assert (settings["rise"], settings["fall"]) == ("2", "3")


def test_no_request_is_sent_twice() -> None:
    defaults = render(app()).section("defaults")
    assert defaults.one("retry-on") == ["conn-failure"]
    assert defaults.one("option", "redispatch") == ["1"]


def test_no_request_meets_a_connection_that_is_being_closed() -> None:
    close = render(app()).section("defaults")
    assert close.has("option", "http-server-close") and not close.has("http-reuse")
    reuse = render(app(), balancer_server_connections="reuse").section("defaults")
    assert reuse.one("http-reuse") == ["safe"] and not reuse.has("option", "http-server-close")


def test_a_reload_closes_no_connection_under_a_request_and_forgets_no_drain() -> None:
    tree = render(app())
    assert tree.section("frontend", "apphost-80").has("option", "idle-close-on-response")
    assert tree.section("defaults").one("load-server-state-from-file") == ["global"]
    assert tree.section("global").one("server-state-file") == [server_state.STATE_FILE]
    # After a reload a name means what it means now, and what it meant before when nobody can say.
    assert default_server(tree)["init-addr"] == "libc,last"


def test_the_runtime_socket_is_where_the_module_looks_and_may_change_servers() -> None:
    assert render(app()).section("global").one("stats", "socket") == [
        *(server_state.STATS_SOCKET, "mode", "660", "level", "admin", "expose-fd", "listeners")
    ]


def test_what_clients_claim_is_not_believed_unless_they_are_trusted() -> None:
    front = frontend(app())
    assert front.all("http-request", "del-header") == [["X-Forwarded-For"]]
    assert front.one("http-request", "set-header", "X-Forwarded-Proto") == ["%[ssl_fc,iif(https,http)]"]
    trusting = frontend(app(), balancer_trusted_proxies=["10.9.0.0/16", "10.8.0.1"])
    assert trusting.one("acl", "trusted") == ["src", "10.9.0.0/16", "10.8.0.1"]
    assert trusting.all("http-request", "del-header") == [["X-Forwarded-For", "unless", "trusted"]]
    assert trusting.one("http-request", "set-header", "X-Forwarded-Proto")[1:3] == ["unless", "trusted"]


def test_a_request_keeps_its_id() -> None:
    assert frontend(app()).one("http-request", "set-header", "X-Request-Id")[:2] == ["%[uuid()]", "unless"]


def test_the_page_for_bad_times_is_one_quoted_line_whatever_it_holds() -> None:
    page = "<p>It's\n  'down'</p>"
    words = render(app(), balancer_unavailable_page=page).section("defaults").one("http-error", "status", "503")
    assert words[words.index("string") + 1] == "<p>It&#39;s &#39;down&#39;</p>"


def test_the_access_log_can_be_without_success() -> None:
    assert not render(app()).section("defaults").has("option", "dontlog-normal")
    assert render(app(), balancer_access_log=False).section("defaults").has("option", "dontlog-normal")


def test_further_directives_land_in_their_sections() -> None:
    extra = {
        "global": "maxconn 5000",
        "defaults": "option abortonclose\noption splice-auto",
        "frontends": "maxconn 10",
        "backends": {"hello": "fullconn 7"},
    }
    tree = render(app(), app("shop", 4000, domains=["shop.example"]), balancer_extra_directives=extra)
    assert tree.section("global").one("maxconn") == ["5000"]
    assert tree.section("defaults").has("option", "splice-auto")
    assert tree.section("frontend", "apphost-80").one("maxconn") == ["10"]
    assert tree.section("backend", "hello").one("fullconn") == ["7"]
    assert not tree.section("backend", "shop").has("fullconn")


def test_the_unit_saves_the_states_before_it_reloads_and_stops_and_checks_first() -> None:
    dropin = unit(ROLE.render("haproxy/reload.conf.j2", {}))
    reloads = dropin.sections["Service"]["ExecReload"]
    assert reloads[0] == "" and " -c " in reloads[1]
    assert reloads[2].split()[-3:] == [server_state.PROGRAM, "reload", "$MAINPID"]
    # A dash: stopping goes on when HAProxy is dead already.
    assert dropin.one("Service", "ExecStop") == f"-/usr/bin/python3 -IS {server_state.PROGRAM} save"


def test_the_program_of_the_unit_is_the_modules_own_code() -> None:
    with open(ROLE.value("__balancer_state_source"), encoding="utf-8") as file:
        source = file.read()
    assert "ansible_collections" not in source and 'if __name__ == "__main__":' in source
