# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab, as far as it can be told without a Docker engine."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from devtools.lab import fleet, image, inventory, keys
from devtools.lab.fleet import Host
from devtools.terminal import DevError

BALANCER = Host("lb1", "10.213.7.10", 20700, 20750, "evenkeel-lab:bookworm-0123456789ab", "running")
APP_HOST = Host("app1", "10.213.7.11", 20701, None, "evenkeel-lab:trixie-0123456789ab", "running")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lb1,app1", {"lb1": "bookworm", "app1": "bookworm"}),
        ("app1:trixie, app2", {"app1": "trixie", "app2": "bookworm"}),
    ],
)
def test_hosts_are_read_with_their_suites(text: str, expected: dict[str, str]) -> None:
    assert fleet.parse_hosts(text, "bookworm") == expected


@pytest.mark.parametrize(
    ("text", "message"), [("app1,app1:trixie", "app1 is named twice"), (" , ", "at least one host")]
)
def test_hosts_that_make_no_fleet_are_refused(text: str, message: str) -> None:
    with pytest.raises(DevError, match=message):
        fleet.parse_hosts(text, "bookworm")


@pytest.mark.parametrize("name", ["App1", "-x", "a_b", "1a", ""])
def test_a_name_that_is_no_host_name_is_refused_before_anything_is_done(name: str) -> None:
    with pytest.raises(DevError, match="cannot be a name"):
        fleet.up("lab", {name: "bookworm"})


def test_an_unknown_suite_is_refused_with_the_known_ones() -> None:
    with pytest.raises(DevError, match="no such suite: sarge; there are bookworm, trixie"):
        image.ensure_image("sarge")


def test_a_host_knows_its_suite_and_its_address_for_people() -> None:
    assert (BALANCER.suite, APP_HOST.suite) == ("bookworm", "trixie")
    assert (BALANCER.url, APP_HOST.url) == ("http://127.0.0.1:20750", None)


def test_a_new_host_gets_the_first_number_nobody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = {20701, 20752}  # an SSH port and a port of a balancer
    monkeypatch.setattr(fleet, "_is_free", lambda port: port not in busy)
    numbers = fleet._free_numbers([BALANCER], slot=7)
    assert [next(numbers), next(numbers)] == [3, 4]


def test_when_all_ports_are_taken_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "_is_free", lambda port: False)
    with pytest.raises(DevError, match="no free ports"):
        next(fleet._free_numbers([], slot=0))


def test_two_slots_share_neither_ports_nor_addresses() -> None:
    last = fleet._plan("lb9", fleet.HOSTS_PER_SLOT - 1, 0, "image")
    first = fleet._plan("app1", 0, 1, "image")
    assert last.http_port is not None
    assert last.ssh_port < first.ssh_port > last.http_port
    assert last.address.rpartition(".")[0] != first.address.rpartition(".")[0]


def test_all_ports_of_all_slots_are_below_those_of_outgoing_connections() -> None:
    highest = fleet._plan("lb1", fleet.HOSTS_PER_SLOT - 1, fleet.SLOTS[-1], "image")
    assert highest.http_port is not None
    assert highest.http_port < 32768


def test_the_inventory_groups_hosts_by_name_and_knows_how_to_reach_them() -> None:
    data = inventory.content([BALANCER, APP_HOST], "registry")["all"]
    assert {group: list(what["hosts"]) for group, what in data["children"].items()} == {
        "app_hosts": ["app1"],
        "balancers": ["lb1"],
    }
    assert data["hosts"]["app1"] == {"ansible_port": 20701, "apphost_address": "10.213.7.11"}
    assert data["hosts"]["lb1"]["lab_url"] == "http://127.0.0.1:20750"
    assert "ansible_become" not in data["vars"]


@pytest.mark.parametrize(
    ("name", "expected"), [("lb1", True), ("lb", True), ("app1", False), ("lbx1", False), ("1", False)]
)
def test_a_balancer_is_told_by_its_name(name: str, expected: bool) -> None:
    assert inventory.is_balancer(name) is expected


def test_ssh_checks_the_host_key() -> None:
    options = keys.ssh_options()
    assert "StrictHostKeyChecking=yes" in options
    assert f"HostKeyAlias={keys.HOST_ALIAS}" in options


def test_a_host_gets_its_key_and_the_admins_readable_by_nobody_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, attribute in (("admin", "ADMIN_KEY"), ("host", "HOST_KEY")):
        (tmp_path / name).write_text(f"private {name}")
        (tmp_path / f"{name}.pub").write_text(f"public {name}")
        monkeypatch.setattr(keys, attribute, tmp_path / name)
    with tarfile.open(fileobj=io.BytesIO(keys.host_files())) as tar:
        found = {
            entry.name: (entry.uid, entry.mode, content.read())
            for entry in tar
            if (content := tar.extractfile(entry)) is not None
        }
    assert found == {
        "etc/ssh/lab_host_key": (0, 0o600, b"private host"),
        "home/admin/.ssh/authorized_keys": (1000, 0o600, b"public admin"),
    }


def test_an_image_is_named_after_all_that_is_in_it() -> None:
    digests = {image._digest(suite, authorities) for suite in image.SUITES for authorities in (b"", b"x")}
    assert len(digests) == 4
