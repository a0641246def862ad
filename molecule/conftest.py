# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of all scenarios share. `host` is testinfra's, as root; a test gets it once for each host it names.

Requests are sent with devtools.lab.http, from here or from a host.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator

import pytest
import testinfra
from testinfra.host import Host

from devtools.lab import fleet as lab
from devtools.lab import inventory

FLEET = f"molecule-{os.environ.get('MOLECULE_SCENARIO_NAME')}"
JOURNAL = (
    "journalctl --boot --no-pager --lines 60"
    " --unit 'apphost-*' --unit nginx --unit haproxy --unit nftables --unit logrotate"
)


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
            report.sections.append((f"{title} of {host.backend.hostname}", host.run(command).stdout))
    return report
