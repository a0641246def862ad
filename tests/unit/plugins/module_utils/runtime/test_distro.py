# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Node.js from the distribution, against a made-up apt."""

from __future__ import annotations

import os
import pathlib

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.apt import Apt
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.distro import DistroSource, upstream
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.sources import Wanted

from .world import World, fake_node, run

MADISON = """\
    nodejs | 18.20.4+dfsg-1~deb12u3 | mirror bookworm-security/main amd64 Packages
    nodejs | 18.20.4+dfsg-1~deb12u2 | mirror bookworm/main amd64 Packages
"""
"""Layout as printed by apt 2.6.1 (Debian 12), 2026-11."""


class FakeDebian:
    """Answers for dpkg-query, apt-cache and apt-get; ``lists`` is what an update brings."""

    def __init__(self, program: pathlib.Path, lists: str = MADISON, known: str = "", installed: str = "") -> None:
        self.program = program
        self.lists = lists
        self.known = known
        self.installed = ""
        self.log: list[str] = []
        if installed:
            self.install(installed)

    def install(self, version: str) -> None:
        self.installed = version
        self.program.write_bytes(fake_node(upstream(version)))
        self.program.chmod(0o755)

    def __call__(self, command: list[str]) -> tuple[int, str, str]:
        if command[0] == "dpkg-query":
            return (0, f"nodejs installed {self.installed}\n", "") if self.installed else (1, "", "no packages found")
        if command[0] == "apt-cache":
            return 0, self.known, ""
        if command[0] != "apt-get":
            return run(command)
        self.log.append(" ".join(command[2:]))
        if "update" in command:
            self.known = self.lists
        else:
            self.install(command[-1].partition("=")[2])
        return 0, "", ""

    def source(self) -> DistroSource:
        return DistroSource(Apt(self), str(self.program))


@pytest.mark.parametrize(
    ("package", "version"),
    [
        ("18.20.4+dfsg-1~deb12u3", "18.20.4"),
        ("20.19.2+dfsg-1", "20.19.2"),
        ("12.22.9~dfsg-1ubuntu3.6", "12.22.9"),
        ("1:24.21.0-1nodesource1", "24.21.0"),
        ("24.21.0", "24.21.0"),
        ("24.21", "24.21"),
    ],
)
def test_upstream_version_of_a_package(package: str, version: str) -> None:
    assert upstream(package) == version


def test_distro_provider_installs_the_newest_package_of_the_version(world: World, tmp_path: pathlib.Path) -> None:
    apt = FakeDebian(tmp_path / "usr-bin-node")
    installer = world.installer(registry=False, source=apt.source())
    assert world.install(installer, Wanted("18.20.4"))
    assert apt.log == ["update", "install --yes --no-install-recommends nodejs=18.20.4+dfsg-1~deb12u3"]
    assert os.readlink(os.path.join(world.store.root("18.20.4"), "bin/node")) == str(apt.program)
    assert installer.describe("18.20.4") == "Node.js 18.20.4 (distro), npm none"
    assert not world.install(installer, Wanted("18.20.4"))


def test_distro_provider_takes_what_is_installed(world: World, tmp_path: pathlib.Path) -> None:
    apt = FakeDebian(tmp_path / "usr-bin-node", installed="18.20.4+dfsg-1~deb12u1")
    assert world.install(world.installer(registry=False, source=apt.source()), Wanted("18.20.4"))
    assert apt.log == []


def test_distro_provider_with_npm_from_the_registry(world: World, tmp_path: pathlib.Path) -> None:
    world.publish_npm("11.0.0")
    apt = FakeDebian(tmp_path / "usr-bin-node", known=MADISON)
    assert world.install(world.installer(source=apt.source()), Wanted("18.20.4"))
    assert apt.log == ["install --yes --no-install-recommends nodejs=18.20.4+dfsg-1~deb12u3"]
    assert world.npm_says("18.20.4") == "11.0.0"


def test_distro_has_another_version(world: World, tmp_path: pathlib.Path) -> None:
    apt = FakeDebian(tmp_path / "usr-bin-node")
    with pytest.raises(ApphostError, match=r" has Node\.js 18\.20\.4, not 24\.21\.0\. Ask for what it has"):
        world.install(world.installer(source=apt.source()), Wanted("24.21.0"))
    assert apt.log == ["update"]
    assert world.present() == [".lock"]


def test_distro_has_none(world: World, tmp_path: pathlib.Path) -> None:
    with pytest.raises(ApphostError, match=r" has no Node\.js, not 24\.21\.0"):
        world.install(world.installer(source=FakeDebian(tmp_path / "node", lists="").source()), Wanted("24.21.0"))


def test_distro_has_one_version_at_a_time(world: World, tmp_path: pathlib.Path) -> None:
    with pytest.raises(ApphostError, match=r"one Node\.js at a time, not 18\.20\.4 and 20\.0\.0"):
        world.installer(source=FakeDebian(tmp_path / "node").source()).check([Wanted("18.20.4"), Wanted("20.0.0")])


def test_distro_upgraded_behind_our_back_is_noticed(world: World, tmp_path: pathlib.Path) -> None:
    apt = FakeDebian(tmp_path / "usr-bin-node")
    installer = world.installer(registry=False, source=apt.source())
    world.install(installer, Wanted("18.20.4"))
    apt.lists = apt.known = "nodejs | 18.20.5+dfsg-1 | mirror bookworm/main amd64 Packages\n"
    apt.install("18.20.5+dfsg-1")
    assert not installer.is_whole(Wanted("18.20.4"))
    with pytest.raises(ApphostError, match=r"has Node\.js 18\.20\.5, not 18\.20\.4"):
        world.install(installer, Wanted("18.20.4"))
