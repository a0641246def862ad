# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release that is bad after all: what is taken back, what stays, and what people are told."""

from __future__ import annotations

import json
import re
import typing as t
from collections.abc import Callable
from pathlib import Path

import pytest
from testinfra.host import Host

from devtools.lab.traffic import Traffic

FLEET = "molecule-refusals"
Play = Callable[..., t.Any]

BAD_ON_APP2 = """
if (require('node:os').hostname() === 'app2') {
  console.error('app2 has no database');
  process.exit(1);
}
"""

MIGRATION = """
const fs = require('node:fs');
const os = require('node:os');
const tell = (what) => fs.appendFileSync(`${process.env.APPHOST_DATA}/migrations.log`, `${os.hostname()} ${what}\\n`);
tell('begins');
setTimeout(() => tell('ends'), 3000);
"""

FAILING_MIGRATION = """
console.error('relation "orders" does not exist');
process.exit(3);
"""


@pytest.fixture
def bad_on_app2(hello: Path) -> Path:
    """A release that comes up on the first host and not on the second."""
    server = hello / "server.js"
    server.write_text(BAD_ON_APP2 + server.read_text())
    return hello


def app_with(hello: Path, migration: str) -> list[dict[str, t.Any]]:
    """The fleet's app with a release command."""
    (hello / "migrate.js").write_text(migration)
    return [
        {
            "name": "hello",
            "source": {"type": "directory", "path": str(hello)},
            "runtime": {"name": "nodejs", "version": "24.21.0"},
            "processes": {"web": {"command": "node server.js", "port": 3000}},
            "release_command": "node migrate.js",
        }
    ]


def test_a_failure_on_a_later_host_takes_the_earlier_one_back_without_losing_a_request(
    play: Play, bad_on_app2: Path, settled: Callable[[], str], host_named: Callable[[str], Host]
) -> None:
    before = settled()
    with Traffic(FLEET, ["hello,get=/,post=/orders"]) as traffic:
        run = play("deploy.yml", refusals_hello=str(bad_on_app2))
    assert run.status != 0
    assert re.search(
        r"app2: app hello: release 1\.0\.0-\w+ did not come up: instance web 3000: its program", run.output
    )
    assert "    | app2 has no database" in run.output
    assert "Taken back to the release before: app1." in run.output
    assert settled() == before
    # It really was there, and left by way of the balancer.
    new = next(release for release in traffic.summary["targets"]["hello"]["releases"] if release != before)
    journal = host_named("app1").file("/var/lib/apphost/hello/journal.jsonl").content_string.splitlines()
    assert [(line["event"], line["release"]) for line in map(json.loads, journal)][-4:] == [
        ("activating", new),
        ("activated", new),
        ("activating", before),
        ("activated", before),
    ]
    assert traffic.summary["sent"] > 500
    assert traffic.summary["lost"] == 0, traffic.summary["first_losses"]


def test_with_revert_host_the_earlier_one_keeps_the_new_release(
    play: Play,
    bad_on_app2: Path,
    settled: Callable[[], str],
    everybody_serves: Callable[..., None],
    live: Callable[[str], str],
) -> None:
    before = settled()
    run = play("deploy.yml", refusals_hello=str(bad_on_app2), rollout_revert="host")
    assert run.status != 0
    assert "The new release stays on: app1." in run.output
    everybody_serves()
    assert live("app1") != before
    assert live("app2") == before
    server = bad_on_app2 / "server.js"
    server.write_text(server.read_text().replace(BAD_ON_APP2, ""))
    assert play("deploy.yml", refusals_hello=str(bad_on_app2)).status == 0
    settled()


def test_the_release_command_runs_once_when_all_have_the_release_and_before_anybody_is_drained(
    begin: Callable[..., t.Any],
    hello: Path,
    settled: Callable[[], str],
    everybody_serves: Callable[..., None],
    live: Callable[[str], str],
    host_named: Callable[[str], Host],
) -> None:
    def told() -> list[str]:
        return [line for host in hosts for line in host.run("cat %s", log).stdout.splitlines()]

    log, hosts = "/var/lib/apphost/hello/data/migrations.log", [host_named("app1"), host_named("app2")]
    for host in hosts:
        host.check_output("rm --force %s", log)
    before = settled()
    deploy = begin(apphost_apps=app_with(hello, MIGRATION))
    deploy.wait_until(lambda: bool(told()))
    everybody_serves()
    assert live("app1") == live("app2") == before
    staged = [set(host.file("/srv/apphost/hello/releases").listdir()) for host in hosts]
    assert told() == ["app1 begins"], "it ended before the test had looked"
    output, _none = deploy.process.communicate(timeout=120)
    assert deploy.process.returncode == 0, output
    assert told() == ["app1 begins", "app1 ends"]
    assert settled() in staged[0] & staged[1]


def test_a_release_command_that_fails_changes_nothing(
    play: Play, hello: Path, settled: Callable[[], str], host_named: Callable[[str], Host]
) -> None:
    def pids() -> list[str]:
        show = "systemctl show --property MainPID apphost-hello-web@3000"
        return [host_named(host).check_output(show) for host in ("app1", "app2")]

    before = settled(), pids()
    run = play("deploy.yml", apphost_apps=app_with(hello, FAILING_MIGRATION))
    assert run.status != 0
    said = " ".join(run.output.split())
    assert "app hello: the release command `node migrate.js` ended with status 3. Nothing was activated" in said
    assert 'relation "orders" does not exist' in said
    assert (settled(), pids()) == before
