# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people get wrong and what breaks under them: a clear word, and a fleet that serves as before."""

from __future__ import annotations

import contextlib
import copy
import json
import re
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from testinfra.host import Host

from devtools.paths import ROOT

APP: dict[str, t.Any] = {
    "name": "hello",
    "source": {"type": "directory", "path": str(ROOT / "examples" / "hello")},
    "runtime": {"name": "nodejs", "version": "24.21.0"},
    "processes": {"web": {"command": "node server.js", "instances": 1, "port": 3000}},
}
Play = Callable[..., t.Any]
Gone = Callable[[str], contextlib.AbstractContextManager[None]]


@pytest.fixture(autouse=True)
def unharmed(host_named: Callable[[str], Host], everybody_serves: Callable[..., None]) -> Iterator[None]:
    """After every refusal: what ran runs on, untouched, and nothing is drained anywhere."""

    def ask() -> list[str]:
        return [
            host_named(host).check_output(
                "readlink /srv/apphost/hello/current; ls /srv/apphost/hello/releases;"
                " systemctl show --property MainPID apphost-hello-web@3000"
            )
            for host in ("app1", "app2")
        ]

    before = ask()
    yield
    assert ask() == before
    everybody_serves()


def app(**changes: t.Any) -> dict[str, t.Any]:
    """The fleet's app with changes; ``process`` changes its only process."""
    changed = copy.deepcopy(APP)
    changed["processes"]["web"].update(changes.pop("process", {}))
    return {**changed, **changes}


def words(output: str) -> str:
    """Everything Ansible printed, without its line breaks."""
    return re.sub(r"\s+", " ", output)


def assert_refused(run: t.Any, *expected: str) -> None:
    """It failed, changed nothing, said why in these words, and showed nobody a traceback."""
    assert run.status != 0
    assert not run.changed
    for text in expected:
        assert text in words(run.output)
    assert "Traceback" not in run.output


@pytest.mark.parametrize(
    ("apps", "expected"),
    [
        ([app(process={"port": 70000})], "apphost_apps[0].processes.web.port: 70000 is not in 1..65535"),
        ([app(process={"prot": 3000})], "did you mean `port`?"),
        ([app(process={"instances": "two"})], "apphost_apps[0].processes.web.instances"),
        ([app(), app(name="other", domains=["other.lab"])], "3000"),
        ([app(source={"type": "directory", "path": "/srv/nowhere/hello"})], "/srv/nowhere/hello"),
    ],
    ids=["port out of range", "unknown key", "wrong type", "two apps on one port", "no such folder"],
)
def test_a_mistake_in_the_definition(play: Play, apps: list[dict[str, t.Any]], expected: str) -> None:
    assert_refused(play("deploy.yml", apphost_apps=apps), expected)


def test_an_app_that_is_not_defined(play: Play) -> None:
    assert_refused(play("deploy.yml", rollout_only="nope"), "app nope is not defined in apphost_apps (defined: hello)")


def test_a_missing_lockfile(play: Play, hello: Path) -> None:
    (hello / "package-lock.json").unlink()
    assert_refused(play("deploy.yml", refusals_hello=str(hello)), "hello", "package-lock.json")


def test_a_lockfile_of_another_manifest(play: Play, hello: Path) -> None:
    manifest = json.loads((hello / "package.json").read_text())
    manifest["dependencies"]["express"] = "^4.0.0"
    (hello / "package.json").write_text(json.dumps(manifest))
    assert_refused(play("deploy.yml", refusals_hello=str(hello)), "express", "^4.0.0")


def test_a_package_that_is_not_what_the_lockfile_says(play: Play, hello: Path) -> None:
    lockfile = json.loads((hello / "package-lock.json").read_text())
    lockfile["packages"]["node_modules/express"]["integrity"] = f"sha512-{'A' * 86}=="
    (hello / "package-lock.json").write_text(json.dumps(lockfile))
    assert_refused(play("deploy.yml", refusals_hello=str(hello)), "express", "integrity")


def test_a_version_of_nodejs_that_does_not_exist(play: Play) -> None:
    apps = [app(runtime={"name": "nodejs", "version": "24.99.0"})]
    assert_refused(play("site.yml", apphost_apps=apps), "24.99.0 does not exist")
    assert_refused(play("deploy.yml", apphost_apps=apps), "24.99.0", "site.yml")


def test_hosts_that_site_never_saw(play: Play) -> None:
    run = play("deploy.yml", apphost_hosts_group="ungrouped")
    assert_refused(run, "host new1 was never set up for app hello", "Run site.yml first")


@pytest.mark.parametrize("host", ["app1", "app2"])
def test_an_app_host_that_is_gone(play: Play, hello: Path, gone: Gone, host: str) -> None:
    with gone(host):
        run = play("deploy.yml", refusals_hello=str(hello))
    assert_refused(run, f"host {host} cannot be reached", "nothing was changed", f"--limit '!{host}'")


def test_a_balancer_that_is_gone_before_the_roll(play: Play, hello: Path, gone: Gone) -> None:
    with gone("lb2"):
        run = play("deploy.yml", refusals_hello=str(hello))
    assert_refused(run, "balancer lb2 cannot be reached", "nothing was changed")


def test_a_process_that_site_never_saw(play: Play, hello: Path) -> None:
    apps = [app(source={"type": "directory", "path": str(hello)})]
    apps[0]["processes"]["worker"] = {"command": "node worker.js"}
    run = play("deploy.yml", apphost_apps=apps)
    assert_refused(run, "app hello: this host lacks a unit for process worker. Run site.yml for this host first.")


def test_too_few_hosts_would_be_left(play: Play, hello: Path, haproxy: Callable[[str, str], str]) -> None:
    haproxy("lb2", "set server hello/app2 state drain")
    try:
        run = play("deploy.yml", refusals_hello=str(hello))
    finally:
        haproxy("lb2", "set server hello/app2 state ready")
    assert_refused(
        run, "balancer lb2: with app1 out, 0 of 2 hosts would serve app hello; rollout_min_healthy asks for 1"
    )


def test_a_full_disk(play: Play, host_named: Callable[[str], Host], hello: Path) -> None:
    host = host_named("app2")
    free = int(host.check_output("df --output=avail --block-size=1 /srv/apphost").split()[-1])
    host.check_output("fallocate --length %s /srv/apphost/filler", str(free - 64 * 1024))
    try:
        run = play("deploy.yml", "--limit", "app2", refusals_hello=str(hello))
    finally:
        host.check_output("rm /srv/apphost/filler")
    assert_refused(run, "/srv/apphost/hello/releases: release 1.0.0-", "MiB and 0 MiB are free. Free some space")
