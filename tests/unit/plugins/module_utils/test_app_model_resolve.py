# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What resolving adds: defaults, what depends on other keys, and what is derived."""

from __future__ import annotations

import copy
import os
import time
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.app_model.resolve import resolve_apps, select_apps
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError

from tests.unit.app_examples import app


def resolved(**changes: t.Any) -> dict[str, t.Any]:
    """The one app that comes out for one that goes in."""
    (result,) = resolve_apps([app(**changes)])
    return result


def test_the_smallest_app_is_filled_in_completely() -> None:
    process = {"stop_signal": "SIGTERM", "stop_timeout": 30, "memory_max": None, "file_limit": 65536, "umask": "0027"}
    assert resolved() == {
        "name": "hello",
        "user": "apphost-hello",
        "group": "apphost-hello",
        "source": {"type": "directory", "path": "../hello"},
        "version": None,
        "runtime": {"name": "nodejs", "version": "24.21.0", "root": "/opt/apphost/runtimes/nodejs/24.21.0"},
        "dependencies": {
            "manager": "auto",
            "manager_version": None,
            "allow_scripts": [],
            "registry": None,
            "registries": [],
            "allowed_hosts": [],
            "allow_http": [],
            "allow_sources": [],
            "allow_weak_integrity": [],
            "trust_project_config": False,
            "check_engines": True,
            "max_size": None,
            "build_on": "host",
            "supply": {"minimum_age": None, "allow_young": [], "signatures": False, "audit": None},
        },
        "processes": {
            "web": {"command": "node server.js", "instances": 2, "port": 3000, **process},
            "worker": {"command": "node worker.js", "instances": 1, "port": None, **process},
        },
        "instances": [
            {"process": "web", "id": "3000", "port": 3000, "unit": "apphost-hello-web@3000.service"},
            {"process": "web", "id": "3001", "port": 3001, "unit": "apphost-hello-web@3001.service"},
            {"process": "worker", "id": "1", "port": None, "unit": "apphost-hello-worker@1.service"},
        ],
        "health": {
            "process": "web",
            "path": "/healthz",
            "status": 200,
            "consecutive": 3,
            "interval": 0.1,
            "timeout": 30,
            "request_timeout": 2,
            "release_header": "X-Apphost-Release",
        },
        "env": {},
        "release_command": None,
        "domains": [],
        "proxy": {"port": 80, "process": "web"},
        "port_access": {"provider": "none", "port": 80},
        "logs": {"output": "journal", "max_size": "100M", "keep": 14, "files": []},
        "keep_releases": 5,
        "supervisor": "systemd",
        "units": {
            "target": "apphost-hello.target",
            "templates": {"web": "apphost-hello-web@.service", "worker": "apphost-hello-worker@.service"},
        },
        "paths": {
            "root": "/srv/apphost/hello",
            "releases": "/srv/apphost/hello/releases",
            "current": "/srv/apphost/hello/current",
            "state": "/var/lib/apphost/hello",
            "data": "/var/lib/apphost/hello/data",
            "logs": "/var/log/apphost/hello",
        },
    }


@pytest.mark.parametrize("nothing", [None, []])
def test_no_apps_are_no_mistake(nothing: t.Any) -> None:
    assert resolve_apps(nothing) == []


def test_null_is_the_same_as_leaving_out() -> None:
    assert resolved(health=None, env=None, keep_releases=None, logs={"keep": None}) == resolved()


def test_the_input_is_left_alone() -> None:
    given = [app(logs={"files": [{"path": "own/a.log", "rotate": "signal"}]})]
    before = copy.deepcopy(given)
    resolve_apps(given, base_dir="/fleet")
    assert given == before


def test_apps_keep_their_order_and_share_nothing() -> None:
    first, second = resolve_apps(
        [app(name="zulu"), app(name="alpha", domains=["a.example"], processes={"web": {"port": 4000}})]
    )
    assert (first["name"], second["name"]) == ("zulu", "alpha")
    first["domains"].append("changed")
    first["logs"]["files"].append("changed")
    assert second["domains"] == ["a.example"]
    assert second["logs"]["files"] == []


def test_the_order_of_processes_and_variables_in_the_input_does_not_show() -> None:
    one = resolved(env={"B": 1, "A": 2})
    other = resolve_apps([{**app(env={"A": 2, "B": 1}), "processes": dict(reversed(app()["processes"].items()))}])[0]
    assert list(other["env"]) == list(one["env"]) == ["A", "B"]
    assert list(other["processes"]) == list(one["processes"]) == ["web", "worker"]


def test_instances_are_in_the_order_of_their_numbers() -> None:
    ids = [instance["id"] for instance in resolved(processes={"worker": {"instances": 11}})["instances"]]
    assert ids == ["3000", "3001", *map(str, range(1, 12))]


def test_env_values_become_strings() -> None:
    env = {"TEXT": "a\nb", "EMPTY": "", "YES": True, "NO": False, "WHOLE": 8, "PART": 0.25}
    assert resolved(env=env)["env"] == {
        "TEXT": "a\nb",
        "EMPTY": "",
        "YES": "true",
        "NO": "false",
        "WHOLE": "8",
        "PART": "0.25",
    }


def test_a_whole_number_is_the_same_however_it_is_written() -> None:
    # 30.0 and 30 would give two release ids.
    assert str(resolved(health={"timeout": 45.0})["health"]["timeout"]) == "45"


@pytest.mark.parametrize(
    ("processes", "expected"),
    [
        ({"web": 3000, "api": 4000, "worker": None}, "web"),
        ({"api": 4000, "worker": None}, "api"),
        ({"web": None, "api": 4000}, "api"),
    ],
)
def test_health_asks_web_or_the_only_process_with_a_port(processes: dict[str, int | None], expected: str) -> None:
    given = {name: {"command": "node x.js", "port": port} for name, port in processes.items()}
    result = resolve_apps([{**app(), "processes": given}])[0]
    assert result["health"]["process"] == result["proxy"]["process"] == expected


def test_the_proxy_follows_health_unless_told_otherwise() -> None:
    admin = {"admin": {"command": "node admin.js", "port": 4000}}
    assert resolved(processes=admin, health={"process": "admin"})["proxy"]["process"] == "admin"
    told = resolved(processes=admin, health={"process": "admin"}, proxy={"process": "web"})
    assert (told["health"]["process"], told["proxy"]["process"]) == ("admin", "web")


def test_an_app_without_a_port_has_no_health_and_no_proxy() -> None:
    result = resolve_apps([{**app(), "processes": {"worker": {"command": "node worker.js"}}}])[0]
    assert result["health"] is None
    assert result["proxy"] is None


def test_apps_without_a_port_need_no_domains() -> None:
    worker = {"worker": {"command": "node worker.js"}}
    names = [entry["name"] for entry in resolve_apps([app(), {**app(name="jobs"), "processes": worker}])]
    assert names == ["hello", "jobs"]


def test_the_group_follows_the_user() -> None:
    assert resolved(user="www")["group"] == "www"
    assert resolved(group="www")["user"] == "apphost-hello"


def test_ambient_allows_low_ports() -> None:
    result = resolved(processes={"web": {"port": 443}}, port_access={"provider": "ambient"})
    assert [instance["port"] for instance in result["instances"]][:2] == [443, 444]


def test_redirect_takes_a_port_beside_the_proxy() -> None:
    result = resolved(proxy={"port": 8080}, port_access={"provider": "redirect"})
    assert result["port_access"] == {"provider": "redirect", "port": 80}


def test_the_log_signal_goes_to_the_process_behind_the_proxy() -> None:
    files = [{"path": "own/a.log", "rotate": "signal"}, {"path": "own/b/c.log"}]
    assert [(file["rotate"], file["process"]) for file in resolved(logs={"files": files})["logs"]["files"]] == [
        ("signal", "web"),
        ("copytruncate", None),
    ]


class TestSourcePaths:
    """Where relative paths start."""

    @pytest.mark.parametrize(
        ("path", "expected"),
        [("../hello", "/fleet/hello"), ("hello/.", "/fleet/inventory/hello"), ("/srv/hello", "/srv/hello")],
    )
    def test_a_relative_path_starts_at_the_base(self, path: str, expected: str) -> None:
        (result,) = resolve_apps([app(source={"path": path})], base_dir="/fleet/inventory")
        assert result["source"]["path"] == expected

    def test_without_a_base_it_stays_as_written(self) -> None:
        assert resolved(source={"path": "../hello/."})["source"]["path"] == "../hello/."

    def test_a_tilde_is_the_home_directory(self) -> None:
        (result,) = resolve_apps([app(source={"path": "~/hello"})], base_dir="/fleet")
        assert result["source"]["path"] == os.path.expanduser("~/hello")

    @pytest.mark.parametrize(
        ("repo", "expected"),
        [
            ("../hello.git", "/fleet/hello.git"),
            ("https://example.com/hello.git", "https://example.com/hello.git"),
            ("git@example.com:team/hello.git", "git@example.com:team/hello.git"),
        ],
    )
    def test_only_a_local_repository_is_a_path(self, repo: str, expected: str) -> None:
        source = {"type": "git", "repo": repo, "ref": "main"}
        (result,) = resolve_apps([{**app(), "source": source}], base_dir="/fleet/inventory")
        assert result["source"] == {**source, "repo": expected}

    # With `-i host1,host2` Ansible's inventory_dir is undefined, or the string "None".
    @pytest.mark.parametrize("base", ["", "None"])
    def test_a_base_that_is_no_folder_matters_only_to_relative_paths(self, base: str) -> None:
        assert resolve_apps([app(source={"path": "/srv/hello"})], base_dir=base)
        with pytest.raises(ApphostError, match=r"source\.path: \.\./hello is relative, but to no folder"):
            resolve_apps([app()], base_dir=base)


class TestDigits:
    """Numbers that a template made strings of, in ansible-core before 2.19."""

    def test_they_are_numbers_only_when_asked_for(self) -> None:
        given = [app(processes={"web": {"port": "3000"}}, health={"interval": "0.5"})]
        (result,) = resolve_apps(given, digits_are_numbers=True)
        assert (result["processes"]["web"]["port"], result["health"]["interval"]) == (3000, 0.5)
        with pytest.raises(ApphostError, match='"3000" is a string; write it without quotes'):
            resolve_apps(given)

    def test_words_never_are(self) -> None:
        with pytest.raises(ApphostError, match="is a string, not an integer"):
            resolve_apps([app(processes={"web": {"port": "3e3"}})], digits_are_numbers=True)

    def test_their_range_is_checked(self) -> None:
        with pytest.raises(ApphostError, match=r"70000 is not in 1\.\.65535"):
            resolve_apps([app(processes={"web": {"port": "70000"}})], digits_are_numbers=True)


def test_secrets_are_checked_and_left_out() -> None:
    assert resolve_apps([app()], secrets={"hello": {"DB_PASSWORD": "geheim", "PIN": 1234}}) == resolve_apps([app()])


class TestSelect:
    """Picking apps by name."""

    APPS = resolve_apps([app(), app(name="jobs", domains=["j.example"], processes={"web": {"port": 4000}})])

    @pytest.mark.parametrize("nothing", [None, "", [], " , "])
    def test_no_names_are_all_apps(self, nothing: t.Any) -> None:
        assert select_apps(self.APPS, nothing) == self.APPS

    @pytest.mark.parametrize("names", ["jobs", ["jobs"], " jobs ,", ["jobs", "jobs"]])
    def test_names_pick(self, names: t.Any) -> None:
        assert [entry["name"] for entry in select_apps(self.APPS, names)] == ["jobs"]

    def test_the_order_is_that_of_the_apps(self) -> None:
        assert [entry["name"] for entry in select_apps(self.APPS, "jobs,hello")] == ["hello", "jobs"]

    def test_an_unknown_name_says_which_there_are(self) -> None:
        with pytest.raises(ApphostError) as failure:
            select_apps(self.APPS, ["hello", "nope", "nada", "nope"])
        assert failure.value.message.split("\n") == [
            "app nope is not defined in apphost_apps (defined: hello, jobs)",
            "app nada is not defined in apphost_apps (defined: hello, jobs)",
        ]

    def test_without_apps_every_name_is_unknown(self) -> None:
        with pytest.raises(ApphostError, match=r"\(defined: none\)"):
            select_apps([], "hello")


def test_fifty_apps_take_a_moment() -> None:
    apps = [
        app(name=f"app{number}", domains=[f"{number}.example"], processes={"web": {"port": 3000 + 2 * number}})
        for number in range(50)
    ]
    started = time.process_time()
    resolve_apps(apps)
    assert time.process_time() - started < 0.05
