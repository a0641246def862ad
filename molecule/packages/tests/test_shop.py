# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An app that the collection deployed: a workspace project with an add-on that was compiled on the host."""

from __future__ import annotations

import json
import shutil
import typing as t
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from testinfra.host import Host

from devtools.lab.http import request
from devtools.paths import ROOT

if t.TYPE_CHECKING:
    from devtools.lab.modules import AppHost
    from molecule.packages.tests.conftest import App

testinfra_hosts = ["ansible://app_hosts"]

SHOP = ROOT / "molecule" / "packages" / "apps" / "shop"
CURRENT = "/srv/apphost/shop/current"


def answer(host: Host) -> t.Any:
    """What the app says of its packages."""
    return json.loads(request("http://127.0.0.1:3000/", on=host).body)


def test_it_has_what_each_of_its_folders_asks_for(host: Host) -> None:
    assert answer(host) == {"own": "2.1.3", "workspace": "2.0.0", "attributes": []}


def test_a_new_release_has_the_very_same_files(host: Host, play: Callable[..., t.Any], tmp_path: Path) -> None:
    def compiled() -> tuple[str, str]:
        release = host.check_output("readlink -f %s", CURRENT)
        found = host.check_output("find %s -name xattr.node -path %s -printf %%i", release, "*/Release/xattr.node")
        return release, found

    old = compiled()
    shop = tmp_path / "shop"
    shutil.copytree(SHOP, shop)
    manifest = json.loads((shop / "package.json").read_text())
    (shop / "package.json").write_text(json.dumps({**manifest, "version": "1.0.1"}))
    assert play("deploy.yml", packages_shop=str(shop)).status == 0
    new = compiled()
    assert new[0] != old[0]
    assert new[1] == old[1] != ""
    assert answer(host)["attributes"] == []


def test_what_was_not_compiled_is_named(make_app: Callable[[str], App]) -> None:
    """Its lockfile does not say that it has a script, and neither does its manifest."""
    assert make_app("shop").install().result["scripts_skipped"] == ["fs-xattr@0.3.1"]


@pytest.fixture
def without(app_host: AppHost, request: pytest.FixtureRequest) -> Iterator[str]:
    """A program that the host does not have for a while."""
    path = f"/usr/bin/{request.param}"
    app_host.printed("mv", path, f"{path}.away")
    yield request.param
    app_host.printed("mv", f"{path}.away", path)


@pytest.mark.parametrize(("without", "name"), [("make", "shop"), ("g++", "pnpm")], indirect=["without"])
def test_missing_tools_are_told(make_app: Callable[[str], App], without: str, name: str) -> None:
    app = make_app(f"{name}:untooled")
    told = app.host.install({**app.options, "allow_scripts": ["fs-xattr"]}).result["msg"]
    assert told.startswith(f"{app.folder}/")
    assert "fs-xattr cannot be compiled on this host: " in told
    assert without in told.partition("Install what compiles")[0]
