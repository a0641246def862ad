# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The template tests' own tools do what the other tests rely on."""

from __future__ import annotations

import pathlib

import pytest
from ansible.errors import AnsibleError
from reading import Malformed, haproxy, logrotate, nginx, unit
from rendering import Role, unrendered


@pytest.fixture
def roles(tmp_path: pathlib.Path) -> pathlib.Path:
    """A folder with one role, ``greeter``."""
    files = {
        "defaults/main.yml": "greeter_word: hello\ngreeter_names: '{{ apphost_names | default([]) }}'\n",
        "vars/main.yml": "__greeter_names: '{{ greeter_names | map(\"upper\") }}'\n",
        "templates/plain.j2": "{{ ansible_managed | comment }}\n"
        "{% for n in __greeter_names %}\n{{ greeter_word }} {{ n }}\n{% endfor %}\n",
        "templates/deep/item.j2": "{{ item.name }}",
        "templates/broken.j2": "{{ nowhere }}",
    }
    for name, text in files.items():
        path = tmp_path / "greeter" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_variables_have_ansibles_precedence(roles: pathlib.Path) -> None:
    given = {"apphost_names": ["ann"], "greeter_word": "hi", "__greeter_names": "weaker than vars/"}
    assert Role("greeter", roles).render("plain.j2", given).endswith("\nhi ANN\n")
    assert Role("greeter", roles).value("__greeter_names", given) == ["ANN"]
    assert Role("greeter", roles).render("plain.j2", given, __greeter_names=["x"]).endswith("\nhi x\n")


def test_the_managed_header_is_a_comment(roles: pathlib.Path) -> None:
    assert Role("greeter", roles).render("plain.j2").startswith("#\n# Ansible managed")


def test_an_undefined_variable_fails(roles: pathlib.Path) -> None:
    with pytest.raises(AnsibleError, match="nowhere"):
        Role("greeter", roles).render("broken.j2")


def test_what_was_not_rendered_is_listed(roles: pathlib.Path) -> None:
    Role("greeter", roles).render("deep/item.j2", item={"name": "x"})
    assert unrendered(roles) == ["greeter/templates/broken.j2", "greeter/templates/plain.j2"]


def test_given_text_is_never_a_template(roles: pathlib.Path) -> None:
    assert Role("greeter", roles).render("deep/item.j2", item={"name": "{{ greeter_word }}"}) == "{{ greeter_word }}"


def test_nginx_blocks() -> None:
    tree = nginx(
        'map $a $b { default "x; }"; "" ${c}d; } # { no\nserver { listen 80; location ~ \\.js$ { return 404; } }'
    )
    assert tree.find("map").all("default") == [["x; }"]]
    assert tree.find("map").all("") == [["${c}d"]]
    assert tree.find("server").one("listen") == "80"
    assert tree.find("server").find("location", "~").args == ["~", "\\.js$"]


@pytest.mark.parametrize(
    "text", ["server { listen 80;", "listen 80; }", "server { listen 80 }", "{ }", 'add_header "x;']
)
def test_broken_nginx_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        nginx(text)


def test_unit_values() -> None:
    read = unit("# c\n[Service]\nExecStart=/a \\\n  b=c\nUser=x\nUser=y\nCap=A B\nCap=\nCap=C\n")
    assert read.one("Service", "User") == "y"
    assert read.one("Service", "ExecStart").split() == ["/a", "b=c"]
    assert read.all("Service", "Cap") == ["C"]
    assert not read.has("Unit", "User")


@pytest.mark.parametrize("text", ["User=x\n", "[Service]\nUser\n", "[Service\nUser=x\n"])
def test_broken_unit_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        unit(text)


def test_haproxy_sections() -> None:
    read = haproxy(
        "global\n  daemon # c\n\ndefaults\n  timeout client 1s\n"
        'backend a\n  http-check send hdr X "a b" c\\ d\n  server x 1:2\n'
    )
    assert read.names("backend") == ["a"]
    assert read.section("backend", "a").one("http-check", "send") == ["hdr", "X", "a b", "c d"]
    assert read.section("defaults").one("timeout", "client") == ["1s"]
    assert not read.section("global").has("server")


@pytest.mark.parametrize("text", ["  daemon\n", "global\ndaemon\n", 'global\n  log "x\n'])
def test_broken_haproxy_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        haproxy(text)


def test_logrotate_blocks() -> None:
    read = logrotate(
        '# c\n/a/*.log\n"/b c" {\n  rotate 3\n  compress\n  postrotate\n    kill x\n  endscript\n}\n/d { \n}\n'
    )
    assert read[0].patterns == ["/a/*.log", "/b c"]
    assert read[0].directives == {"rotate": "3", "compress": ""}
    assert read[0].scripts == {"postrotate": ["kill x"]}
    assert read[1].patterns == ["/d"]


@pytest.mark.parametrize(
    "text", ["compress\n", "/a {\n", "/a\n", "/a {\n rotate 1\n rotate 2\n}\n", "/a {\npostrotate\n}\n"]
)
def test_broken_logrotate_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        logrotate(text)
