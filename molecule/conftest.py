# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of all scenarios share. `host` is testinfra's, as root; a test gets it once for each host it names.

Requests are sent with devtools.lab.http, from here or from a host.
"""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import typing as t
from collections.abc import Callable, Generator, Mapping

import pytest
import testinfra
from testinfra.host import Host

from devtools.environment import tool, tool_environment
from devtools.lab import fleet as lab
from devtools.lab import inventory
from devtools.lab.modules import AppHost
from devtools.paths import ROOT

FLEET = f"molecule-{os.environ.get('MOLECULE_SCENARIO_NAME')}"
JOURNAL = (
    "journalctl --boot --no-pager --lines 60"
    " --unit 'apphost-*' --unit nginx --unit haproxy --unit nftables --unit logrotate"
)

TELL_HAPROXY = """
import socket, sys
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect("/run/haproxy/admin.sock")
    connection.sendall(sys.argv[1].encode() + b"\\n")
    print(connection.makefile().read())
"""


@pytest.fixture(scope="session")
def fleet() -> dict[str, lab.Host]:
    """The scenario's hosts by name, with their addresses and ports."""
    return {host.name: host for host in lab.members(FLEET)}


@pytest.fixture(scope="session")
def host_named() -> Callable[[str], Host]:
    """Any host of the fleet, for tests that look at several."""

    def find(name: str) -> Host:
        return testinfra.get_host(f"ansible://{name}", ansible_inventory=str(inventory.path(FLEET)), sudo=True)

    return find


@pytest.fixture(scope="session")
def app_host(fleet: dict[str, lab.Host]) -> AppHost:
    """The host app1, as root, with our modules, which run there without a playbook around them."""
    host = AppHost(fleet["app1"])
    host.bring_modules()
    return host


class Run(t.NamedTuple):
    """A playbook that ran: its exit status and everything it printed."""

    status: int
    output: str

    @property
    def changed(self) -> bool:
        """Whether a host counted a change."""
        return set(re.findall(r"changed=(\d+)", self.output)) != {"0"}


def run_playbook(playbook: str, variables: Mapping[str, t.Any], *options: str, text: str = "") -> Run:
    """Run a playbook on the scenario's fleet and keep what it printed for a failing test. ``text`` is at /dev/stdin."""
    done = subprocess.run(
        [tool("ansible-playbook"), "-i", inventory.path(FLEET), "-e", json.dumps(variables), *options, playbook],
        cwd=ROOT,
        env={**os.environ, **tool_environment()},
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    print(done.stdout)
    return Run(done.returncode, done.stdout)


@pytest.fixture(scope="session")
def play() -> Callable[..., Run]:
    """``play("deploy.yml", variable=value)`` runs one of our playbooks."""
    return lambda playbook, *options, **variables: run_playbook(f"playbooks/{playbook}", variables, *options)


@pytest.fixture
def apply(host: Host) -> Callable[..., Run]:
    """``apply("balancer", variable=value)`` runs roles of the collection on the host."""

    def run(*roles: str, **variables: t.Any) -> Run:
        play = {
            "hosts": host.backend.hostname,
            "gather_facts": False,
            "become": True,
            "roles": [f"evenkeel.apphost.{role}" for role in roles],
        }
        return run_playbook("/dev/stdin", variables, text=json.dumps([play]))

    return run


@pytest.fixture(scope="session")
def haproxy(host_named: Callable[[str], Host]) -> Callable[[str, str], str]:
    """Commands for a balancer's runtime socket, ``haproxy("lb1", "show info")``, and what it answers."""
    return lambda balancer, command: str(host_named(balancer).check_output("python3 -c %s %s", TELL_HAPROXY, command))


@pytest.fixture(scope="session")
def states(haproxy: Callable[[str, str], str]) -> Callable[..., dict[str, str]]:
    """``states("lb1")``: what a balancer thinks of its servers, ``<backend>/<server>`` -> ``UP``."""

    def ask(balancer: str) -> dict[str, str]:
        rows = csv.DictReader(haproxy(balancer, "show stat -1 4 -1").lstrip("# ").splitlines())
        return {f"{row['pxname']}/{row['svname']}": row["status"] for row in rows}

    return ask


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """When a test about a host fails, show what its services said."""
    report = yield
    host = item.funcargs.get("host")
    if report.failed and call.when == "call" and isinstance(host, Host):
        for title, command in (
            ("failed units", "systemctl list-units --failed --plain --no-legend"),
            ("journal", JOURNAL),
        ):
            try:
                said = host.run(command).stdout
            except RuntimeError as error:
                said = f"the host cannot be asked: {error}"
            report.sections.append((f"{title} of {host.backend.hostname}", said))
    return report
