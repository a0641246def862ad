# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Releases roll under traffic. The tests are one story and run in this order; each leaves the fleet serving."""

from __future__ import annotations

import json
import re
import shutil
import typing as t
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from testinfra.host import Host

from devtools.lab import fleet as lab
from devtools.lab.traffic import Traffic
from devtools.paths import ROOT

FLEET = "molecule-rolling"
HOSTS = ("app1", "app2")
TARGETS = tuple(f"{app},host={app}.lab,get=/,post=/orders,slow=/slow,own=2" for app in ("hello", "hostile"))
HostNamed = Callable[[str], Host]


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copies of the examples to change."""
    folder = tmp_path_factory.mktemp("examples")
    for app in ("hello", "hostile"):
        shutil.copytree(ROOT / "examples" / app, folder / app, ignore=shutil.ignore_patterns("node_modules"))
    return folder


@pytest.fixture
def roll(play: Callable[..., t.Any], examples: Path) -> Callable[..., t.Any]:
    """Runs one of our playbooks with the copies."""
    return lambda playbook, *options, **variables: play(playbook, *options, rolling_examples=str(examples), **variables)


def set_version(examples: Path, version: str) -> None:
    """Give both apps a version."""
    for app in ("hello", "hostile"):
        manifest = examples / app / "package.json"
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "version": version}, indent=2) + "\n")


def pids(host_named: HostNamed) -> dict[str, str]:
    """The main process of every instance of every host."""
    return {
        host: host_named(host).check_output("systemctl show --property Id,MainPID 'apphost-*@*.service'")
        for host in HOSTS
    }


def executions(host_named: HostNamed) -> Counter[str]:
    """How often every request id was executed, on all hosts, by all releases."""
    lines = [
        line
        for host in HOSTS
        for app in ("hello", "hostile")
        for line in host_named(host).file(f"/var/lib/apphost/{app}/data/executed.log").content_string.splitlines()
    ]
    return Counter(line.split()[0] for line in lines)


def versions(traffic: Traffic, app: str) -> set[str]:
    """The versions that answered for an app."""
    return {release.rsplit("-", 1)[0] for release in traffic.summary["targets"][app]["releases"]}


def assert_nothing_lost(traffic: Traffic, host_named: HostNamed) -> None:
    """Every request was answered, in time, and executed once."""
    summary = traffic.summary
    assert summary["sent"] > 500, "too little traffic to prove anything"
    assert summary["lost"] == 0, summary["first_losses"]
    assert summary["delayed"] == 0, [r for r in traffic.requests if r["elapsed"] > r["own"] + 0.9]
    executed = executions(host_named)
    assert {
        request["id"]: executed[request["id"]] for request in traffic.requests if executed[request["id"]] != 1
    } == {}


@pytest.fixture
def all_serve(states: Callable[[str], dict[str, str]]) -> Callable[[], bool]:
    """Whether the balancer sends requests to every host: nothing stays drained."""
    everything = {f"{app}/{host}": "UP" for app in ("hello", "hostile") for host in HOSTS}
    return lambda: states("lb1") == everything


def test_new_versions_of_both_apps_roll_without_losing_a_request(
    roll: Callable[..., t.Any], examples: Path, host_named: HostNamed, all_serve: Callable[[], bool]
) -> None:
    set_version(examples, "2.0.0")
    with Traffic(FLEET, TARGETS) as traffic:
        run = roll("deploy.yml")
    assert run.status == 0
    assert versions(traffic, "hello") == versions(traffic, "hostile") == {"1.0.0", "2.0.0"}
    assert_nothing_lost(traffic, host_named)
    assert all_serve()


def test_deploying_the_same_again_changes_nothing_and_is_found_out_in_three_round_trips_at_most(
    roll: Callable[..., t.Any], host_named: HostNamed, fleet: dict[str, lab.Host]
) -> None:
    before = pids(host_named)
    run = roll("deploy.yml", "-vvv")
    assert run.status == 0
    assert not run.changed
    assert pids(host_named) == before
    for host in HOSTS:
        round_trips = re.findall(rf"SSH: EXEC ssh .* -o Port={fleet[host].ssh_port} ", run.output)
        assert 1 <= len(round_trips) <= 3


def test_a_version_that_never_gets_healthy_is_taken_back_and_says_why(
    roll: Callable[..., t.Any], examples: Path, host_named: HostNamed, all_serve: Callable[[], bool]
) -> None:
    set_version(examples, "3.0.0")
    with Traffic(FLEET, TARGETS) as traffic:
        run = roll("deploy.yml", rolling_env={"BREAK_HEALTH": "1"})
    assert run.status != 0
    assert re.search(r"app1: app hello: release 3\.0\.0-\w+ did not come up: .*503", run.output)
    assert_nothing_lost(traffic, host_named)
    assert versions(traffic, "hello") == versions(traffic, "hostile") == {"2.0.0"}
    assert all_serve()


def test_rollback_goes_to_the_last_good_release(
    roll: Callable[..., t.Any], host_named: HostNamed, all_serve: Callable[[], bool]
) -> None:
    with Traffic(FLEET, TARGETS) as traffic:
        run = roll("rollback.yml")
    assert run.status == 0
    assert versions(traffic, "hello") == versions(traffic, "hostile") == {"1.0.0", "2.0.0"}
    assert_nothing_lost(traffic, host_named)
    assert all_serve()


def test_status_shows_what_is_live(roll: Callable[..., t.Any], tmp_path: Path) -> None:
    run = roll("status.yml")
    assert run.status == 0 and not run.changed
    assert roll("status.yml", rollout_sbom_dir=str(tmp_path)).changed
    for host in HOSTS:
        assert re.search(rf"{host} +hello +1\.0\.0-\w{{10}} +\S+ +nodejs 24\.21\.0 +2/2 running +UP", run.output)
        materials = json.loads((tmp_path / host / "hello.cdx.json").read_text())
        purls = {component.get("purl") for component in materials["components"]}
        assert {"pkg:generic/node@24.21.0", "pkg:npm/express@5.3.0"} <= purls
    # The same releases give the same files.
    assert not roll("status.yml", rollout_sbom_dir=str(tmp_path)).changed
