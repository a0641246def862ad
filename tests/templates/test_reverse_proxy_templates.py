# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the on-host proxy's configuration means."""

from __future__ import annotations

import typing as t

import pytest
from reading import Block, nginx
from rendering import Role

ROLE = Role("reverse_proxy")
TEMPLATE = "nginx/apphost.conf.j2"


def app(name: str = "hello", **more: t.Any) -> dict[str, t.Any]:
    return {
        "name": name,
        "source": {"type": "directory", "path": name},
        "runtime": {"name": "nodejs", "version": "24.21.0"},
        "processes": {
            "web": {"command": "node server.js", "instances": 2, "port": 3000},
            "worker": {"command": "node worker.js"},
        },
        **more,
    }


def one_process(port: int | None, instances: int = 1) -> dict[str, t.Any]:
    return {"main": {"command": "node main.js", "port": port, "instances": instances}}


def render(*apps: dict[str, t.Any], **options: t.Any) -> Block:
    return nginx(ROLE.render(TEMPLATE, {"apphost_apps": list(apps), **options}))


def test_every_web_instance_and_nothing_else_is_behind_the_proxy() -> None:
    upstream = render(app()).find("upstream", "apphost_hello")
    assert [server[0] for server in upstream.all("server")] == ["127.0.0.1:3000", "127.0.0.1:3001"]


def test_no_instance_is_ever_marked_as_failed() -> None:
    upstream = render(app()).find("upstream")
    assert all("max_fails=0" in server for server in upstream.all("server"))


def test_idle_connections_to_the_app_are_kept_shorter_than_node_keeps_them() -> None:
    tree = render(app())
    node_keep_alive_seconds = 5
    assert int(tree.find("upstream").one("keepalive_timeout").rstrip("s")) < node_keep_alive_seconds
    assert int(tree.find("upstream").one("keepalive")) > 0
    server = tree.find("server")
    assert server.one("proxy_http_version") == "1.1"
    assert ["Connection", "$apphost_connection"] in server.all("proxy_set_header")
    assert ["default", ""] in [[one.name, *one.args] for one in tree.find("map", "$apphost_upgrade").children or []]


def test_nginx_repeats_nothing_by_itself() -> None:
    server = render(app()).find("server")
    assert server.one("proxy_next_upstream") == "off"
    assert not server.find("location", "/").select("proxy_next_upstream")


def test_a_refused_connection_goes_to_the_next_instance_of_the_same_app() -> None:
    tree = render(
        app("one", processes=one_process(3000, 3), domains=["one.example"]),
        app("two", processes=one_process(4000, 2)),
    )
    others = {entry.name: entry.args[0] for entry in tree.find("map", "$upstream_addr").children or []}
    assert others == {
        "127.0.0.1:3000": "127.0.0.1:3001",
        "127.0.0.1:3001": "127.0.0.1:3002",
        "127.0.0.1:3002": "127.0.0.1:3000",
        "127.0.0.1:4000": "127.0.0.1:4001",
        "127.0.0.1:4001": "127.0.0.1:4000",
    }
    for server in tree.select("server"):
        assert ["502", "=", "@other"] in server.find("location", "/").all("error_page")
        guard = server.find("location", "@other").find("if", "($upstream_bytes_sent", "!=", "0)")
        assert guard.one("return") == "502"


def test_a_single_instance_has_no_other() -> None:
    server = render(app(processes=one_process(3000))).find("server")
    assert not server.select("location", "@other")
    assert not server.find("location", "/").select("error_page")


def test_websockets_are_upgraded_and_nothing_else() -> None:
    tree = render(app())
    upgrade = {entry.name: entry.args for entry in tree.find("map", "$http_upgrade").children or []}
    assert upgrade == {"default": [""], "~*^websocket$": ["websocket"]}
    connection = {entry.name: entry.args for entry in tree.find("map", "$apphost_upgrade").children or []}
    assert connection == {"default": [""], "websocket": ["upgrade"]}
    assert ["Upgrade", "$apphost_upgrade"] in tree.find("server").all("proxy_set_header")


def test_an_app_without_domains_is_the_default_server() -> None:
    tree = render(app("one", domains=["one.example", "www.one.example"]), app("two", processes=one_process(4000)))
    named, default = tree.select("server")
    assert named.find("server_name").args == ["one.example", "www.one.example"]
    assert named.all("listen") == [["*:80"], ["[::]:80"]]
    assert default.all("listen") == [["*:80", "default_server"], ["[::]:80", "default_server"]]


def test_listening_addresses_and_port() -> None:
    tree = render(app(proxy={"port": 8080}), reverse_proxy_listen_addresses=["10.0.0.5"])
    assert tree.find("server").all("listen") == [["10.0.0.5:8080", "default_server"]]


def test_only_trusted_proxies_speak_for_the_client() -> None:
    tree = render(app(), reverse_proxy_trusted_proxies=["10.0.0.0/24", "fd00::1"])
    trusted = {entry.name: entry.args for entry in tree.find("geo").children or []}
    assert trusted == {"default": ["0"], "10.0.0.0/24": ["1"], "fd00::1": ["1"]}
    assert tree.find("server").all("set_real_ip_from") == [["10.0.0.0/24"], ["fd00::1"]]
    assert ["X-Forwarded-For", "$remote_addr"] in tree.find("server").all("proxy_set_header")
    assert not render(app()).find("server").select("set_real_ip_from")


def test_the_inventorys_balancers_are_trusted_where_they_have_an_address() -> None:
    hosts = {
        "lb1": {"apphost_address": "10.0.0.1", "ansible_host": "192.0.2.1"},
        "lb2": {"ansible_host": "fd00::2"},
        "lb3": {"ansible_host": "lb3.example"},
        "abba": {},
    }
    given = {"groups": {"edge": list(hosts)}, "hostvars": hosts, "apphost_balancers_group": "edge"}
    assert ROLE.value("reverse_proxy_trusted_proxies", given) == ["10.0.0.1", "fd00::2"]
    assert ROLE.value("reverse_proxy_trusted_proxies") == []


def test_the_error_page_keeps_the_status() -> None:
    tree = render(app(), __reverse_proxy_nginx_error_page="ignored: vars/ is stronger")
    server = tree.find("server")
    page = server.find("error_page")
    assert page.args == ["502", "503", "504", "/.apphost/unavailable.html"], "no `=`: it would change the status"
    location = server.find("location", "=", "/.apphost/unavailable.html")
    assert location.select("internal")
    assert location.one("alias") == ROLE.value("__reverse_proxy_nginx_error_page")
    assert not server.select("proxy_intercept_errors"), "the app's own errors are the app's"


def test_no_directive_of_the_http_block_can_meet_debians() -> None:
    """Debian's nginx.conf sets gzip, log files and TLS there; a second time would be an error."""
    assert {block.name for block in render(app()).children or []} == {"geo", "map", "log_format", "upstream", "server"}


def test_logs_go_to_the_apps_folder() -> None:
    server = render(app()).find("server")
    assert server.one("access_log") == "/var/log/apphost/hello/access.log apphost"
    assert server.one("error_log") == "/var/log/apphost/hello/error.log warn"


def test_options_reach_the_server() -> None:
    options = {
        "reverse_proxy_max_body_size": "50m",
        "reverse_proxy_connect_timeout": "1s",
        "reverse_proxy_send_timeout": "2s",
        "reverse_proxy_read_timeout": "3s",
        "reverse_proxy_keepalive_timeout": "4s",
        "reverse_proxy_gzip": False,
        "reverse_proxy_extra_directives": {"hello": "location /static/ {\n    root /srv;\n}\n", "gone": "broken {"},
    }
    server = render(app(), **options).find("server")
    assert server.one("client_max_body_size") == "50m"
    assert server.one("proxy_connect_timeout") == "1s"
    assert server.one("proxy_send_timeout") == "2s"
    assert server.one("proxy_read_timeout") == "3s"
    assert server.one("keepalive_timeout") == "4s"
    assert server.one("gzip") == "off"
    assert server.find("location", "/static/").one("root") == "/srv"


def test_an_app_without_a_port_has_no_server() -> None:
    assert not render(app(processes=one_process(None))).select("server")


@pytest.mark.parametrize("page", ["unavailable.html.j2"])
def test_the_error_page_needs_nothing_from_the_app(page: str) -> None:
    html = ROLE.render(page)
    assert html.startswith("<!DOCTYPE html>")
    assert "src=" not in html and "href=" not in html
