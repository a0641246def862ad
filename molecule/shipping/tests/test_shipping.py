# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dependencies are built on one host and shipped to its like. The tests are one story and run in this order."""

from __future__ import annotations

import hashlib
import json
import re
import typing as t
from collections.abc import Callable
from pathlib import Path

import pytest
from testinfra.host import Host

from devtools.paths import ROOT
from molecule.conftest import Run, run_playbook

#: Two of one Debian, and one of another.
ALIKE, OTHER = ("app1", "app2"), "app3"
HOSTS = (*ALIKE, OTHER)
STORE = "/srv/apphost/.store"
HostNamed = Callable[[str], Host]


def trees(host: Host) -> list[str]:
    """The identities in a host's store."""
    return str(host.check_output(f"ls {STORE}/trees")).split()


def has_fetched(host: Host) -> bool:
    """Whether a package manager has ever asked for a package here: then its cache is not empty."""
    return bool(host.check_output(f"find {STORE}/cache -mindepth 2 -type f | head -1"))


def releases(host: Host) -> list[str]:
    """What is staged, with what is half staged."""
    return str(host.check_output("ls -A /srv/apphost/hello/releases")).split()


def install(*tasks: dict[str, t.Any]) -> Run:
    """Run tasks on all hosts as root."""
    play = {"hosts": ":".join(HOSTS), "gather_facts": False, "become": True, "tasks": list(tasks)}
    return run_playbook("/dev/stdin", {}, text=json.dumps([play]))


@pytest.fixture(scope="module")
def builder(host_named: HostNamed) -> str:
    """Which of the two that are alike has built."""
    built = [name for name in ALIKE if has_fetched(host_named(name))]
    assert len(built) == 1, "one fetches packages, and the other gets what it built"
    return built[0]


def test_two_hosts_of_one_platform_have_built_once_and_the_third_for_itself(
    host_named: HostNamed, builder: str
) -> None:
    assert trees(host_named("app1")) == trees(host_named("app2"))
    assert len(trees(host_named(OTHER))) == 1
    assert trees(host_named(OTHER)) != trees(host_named(builder))
    assert has_fetched(host_named(OTHER))
    for name in HOSTS:
        answer = host_named(name).check_output(
            "python3 -c 'import urllib.request as r; print(r.urlopen(\"http://127.0.0.1:3000/healthz\").status)'"
        )
        assert answer == "200"


def test_nothing_is_left_on_the_way(host_named: HostNamed) -> None:
    for name in HOSTS:
        assert host_named(name).check_output("find / -xdev -name tree.tar 2>/dev/null || true") == ""
    assert list(Path("~/.ansible/tmp").expanduser().glob("*/apphost-trees")) == []


def test_a_tree_that_was_tampered_with_is_refused(host_named: HostNamed, builder: str, tmp_path: Path) -> None:
    other = next(name for name in ALIKE if name != builder)
    host, local = host_named(other), tmp_path / "tree.tar"
    for name in ALIKE:
        host_named(name).check_output("mkdir /srv/again && cp /srv/apphost/hello/current/app/package*.json /srv/again")
    host.check_output(f"rm -rf {STORE}/trees")
    module = "evenkeel.apphost.lockfile_install"
    options = {"path": "/srv/again", "runtime_root": "/opt/apphost/runtimes/nodejs/24.21.0"}
    on_builder = {"when": f"inventory_hostname == '{builder}'"}
    on_other = {"when": f"inventory_hostname == '{other}'"}
    built = install(
        {module: {**options, "export": "/srv/tree.tar"}, **on_builder},
        {"ansible.builtin.fetch": {"src": "/srv/tree.tar", "dest": str(local), "flat": True}, **on_builder},
        {"ansible.builtin.copy": {"src": str(local), "dest": "/srv/tree.tar", "mode": "0600"}, **on_other},
    )
    assert built.status == 0
    sha256 = hashlib.sha256(local.read_bytes()).hexdigest()
    take = {module: {**options, "shipped": {"path": "/srv/tree.tar", "sha256": sha256}}, **on_other}
    host.check_output("cp /srv/tree.tar /srv/whole.tar && sed -i '0,/use strict/s//use stricT/' /srv/tree.tar")

    spoilt = install(take)

    assert spoilt.status != 0
    assert "it did not arrive as it was sent. Ship it again." in spoilt.output
    assert host.check_output(f"ls {STORE}/trees /srv/again | grep -v package") == f"/srv/again:\n\n{STORE}/trees:"
    host.check_output("mv /srv/whole.tar /srv/tree.tar")
    assert install(take).status == 0
    assert trees(host) == trees(host_named(builder))
    assert host.file("/srv/again/node_modules/express/package.json").exists
    assert not has_fetched(host)


def test_a_python_environment_that_was_built_elsewhere_runs(
    host_named: HostNamed, builder: str, tmp_path: Path
) -> None:
    local = tmp_path / "python.tar"
    for name in ALIKE:
        host_named(name).check_output("mkdir /srv/mailer")
    other = next(name for name in ALIKE if name != builder)
    module, options = "evenkeel.apphost.lockfile_install", {"path": "/srv/mailer", "manager": "pip"}
    on_builder = {"when": f"inventory_hostname == '{builder}'"}
    on_other = {"when": f"inventory_hostname == '{other}'"}
    requirements = str(ROOT / "molecule/packages/apps/pip/requirements.txt")

    run = install(
        {"ansible.builtin.apt": {"name": "python3-venv", "install_recommends": False}},
        {"ansible.builtin.copy": {"src": requirements, "dest": "/srv/mailer/", "mode": "0644"}},
        {module: {**options, "export": "/srv/python.tar"}, **on_builder, "register": "built"},
        {"ansible.builtin.fetch": {"src": "/srv/python.tar", "dest": str(local), "flat": True}, **on_builder},
        {"ansible.builtin.copy": {"src": str(local), "dest": "/srv/python.tar", "mode": "0600"}, **on_other},
        {
            module: {
                **options,
                "shipped": {
                    "path": "/srv/python.tar",
                    "sha256": f"{{{{ hostvars['{builder}'].built.exported }}}}",
                },
                "offline": True,
            },
            **on_other,
        },
    )

    assert run.status == 0, run.output
    find_uv = "import uv; print(uv.find_uv_bin())"
    where = host_named(other).check_output("/srv/mailer/.venv/bin/python -c %s", find_uv)
    assert host_named(other).check_output("%s --version", where).startswith("uv ")
    assert not has_fetched(host_named(other))


def test_a_controller_that_is_not_like_the_hosts_says_so_and_nothing_is_half_done(
    play: Callable[..., Run], host_named: HostNamed
) -> None:
    before = {}
    for name in HOSTS:
        host_named(name).check_output(f"rm -rf {STORE}/trees")
        before[name] = releases(host_named(name))

    # It cannot be like both kinds.
    run = play("deploy.yml", shipping_env={"ANOTHER": "2"}, shipping_build_on="controller")

    assert run.status != 0
    assert re.search(
        r"built on the controller: .*(host is|cannot build for) linux \w+, glibc \S+, node 24\.21", run.output
    )
    assert "The error of app" in run.output
    assert {name: releases(host_named(name)) for name in HOSTS} == before
    again = play("deploy.yml", shipping_env={"ANOTHER": "2"})
    assert again.status == 0
    assert trees(host_named("app1")) == trees(host_named("app2"))
