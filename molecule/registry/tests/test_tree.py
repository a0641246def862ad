# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is installed stays as it was installed, whatever people and scripts of packages do to it."""

from __future__ import annotations

import json
import typing as t
from collections.abc import Callable

if t.TYPE_CHECKING:
    from devtools.lab.modules import AppHost
    from molecule.registry.tests.conftest import App, Registry

MakeApp = Callable[..., "App"]


def sums(app: App) -> list[str]:
    """Every file of the tree with its hash."""
    return sorted(app.host.printed("find", app.modules, "-type", "f", "-exec", "sha256sum", "{}", "+").splitlines())


def test_verdaccio_itself_is_there_by_our_own_module(app_host: AppHost) -> None:
    """One name in the folder, one in the store, and nobody but root may write to it."""
    file = "/srv/verdaccio/node_modules/verdaccio/package.json"
    assert app_host.printed("stat", "--format=%U %a %h", file) == "root 644 2"


def test_nothing_to_do(shop: App, registry: Registry) -> None:
    before = shop.files()
    for verify in ("cheap", "full"):
        result = shop.installs(verify=verify)
        assert (result["changed"], result["drift"], result["placed_by"]) == (False, [], None)
    assert shop.files() == before
    assert registry.asked() == []


def test_drift_is_found_and_mended(shop: App, registry: Registry) -> None:
    host, plain = shop.host, f"{shop.modules}/plain"
    before = sums(shop)

    host.printed("rm", "-r", plain)
    for check in (True, False):
        result = shop.installs(check=check)
        assert (result["changed"], result["drift"]) == (True, ["node_modules/plain is gone"])

    host.printed("mkdir", f"{shop.modules}/added")
    host.printed("rm", f"{plain}/package.json")
    host.write({f"{plain}/package.json": json.dumps({"name": "plain", "version": "1.0.1"})})
    result = shop.installs()
    assert result["drift"] == ["node_modules/added was added", "node_modules/plain/package.json was changed"]
    assert (result["changed"], result["from_cache"]) == (True, True)

    # Only who reads every file sees this one.
    host.printed("sed", "-i", "s/honest/hacked/", f"{plain}/index.js")
    assert not shop.installs()["changed"]
    assert shop.installs(verify="full")["drift"] == ["node_modules/plain/index.js was changed"]

    assert sums(shop) == before
    assert registry.asked() == []


def test_scripts_do_not_run_by_themselves(make_app: MakeApp) -> None:
    app = make_app("no-scripts", "scripted", own_store=False)
    assert app.installs()["scripts_skipped"] == ["scripted@1.0.0"]
    assert app.host.run("test", "-e", f"{app.modules}/scripted/ran.json")[0] == 1


def test_scripts_that_may_run_reach_nothing_but_their_own_tree(shop: App, make_app: MakeApp) -> None:
    app = make_app("scripts", "scripted", own_store=False)
    assert app.installs(allow_scripts=["scripted"])["scripts_skipped"] == []
    ran = app.host.printed("cat", f"{app.modules}/scripted/ran.json")
    told = json.loads(ran)
    assert told["user"] != 0
    assert (told["release"], told["store"]) == ("EACCES", "EACCES")
    # It saw the settings that it would have been in.
    assert "registry=" in told["settings"]
    assert app.token not in ran
    # What it started has ended.
    assert app.host.run("pgrep", "--full", "[s]leep 35813")[0] == 1
    assert not shop.installs(verify="full")["changed"]
