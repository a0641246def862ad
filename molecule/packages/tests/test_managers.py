# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A project of every package manager, from the first installation to drift, and one with more than 500 packages."""

from __future__ import annotations

import json
import os
import random
import typing as t
from collections.abc import Callable

from devtools.lab.modules import RUN
from devtools.paths import ROOT

if t.TYPE_CHECKING:
    from devtools.lab.modules import AppHost
    from molecule.packages.tests.conftest import App, Installed

#: How often an installation is killed; ./dev test --full takes its time.
ROUNDS = 50 if os.environ.get("EVENKEEL_FULL") else 10
#: Each is built anew, but for the large one: so that some are killed while a tree is put in place.
KILLED = ("pnpm", "large", "hello", "yarn-classic", "yarn-berry")


def test_an_installation_is_foreseen_without_a_network(installed: Installed) -> None:
    before, after = installed.files
    assert before == after
    foreseen, result = installed.foreseen.result, installed.ran.result
    assert foreseen["changed"] and not foreseen["from_cache"]
    assert (foreseen["identity"], foreseen["packages"]) == (result["identity"], result["packages"])


def test_what_was_installed_works(installed: Installed) -> None:
    result, kind = installed.ran.result, installed.app.kind
    assert (result["changed"], result["from_cache"], result["manager"]) == (True, False, kind.manager)
    assert installed.ran.started
    assert installed.app.says() == kind.prints


def test_nothing_to_do_is_known_without_the_manager(installed: Installed) -> None:
    before = installed.app.files()
    for check in (False, True):
        again = installed.app.install(check=check, network=False)
        assert (again.result["changed"], again.result["drift"], again.started) == (False, [], [])
    assert installed.app.files() == before


def test_a_new_release_gets_the_tree_that_is_there(installed: Installed, make_app: Callable[[str], App]) -> None:
    name = installed.app.folder.rpartition("/")[2]
    new = make_app(f"{name}:next").install(network=False)
    assert (new.result["from_cache"], new.result["placed_by"], new.started) == (True, "hard_link", [])
    assert make_app(f"{name}:next").says() == installed.app.kind.prints


def test_drift_is_mended(installed: Installed) -> None:
    app, missing = installed.app, f"{installed.app.folder}/{installed.app.kind.needs}"
    app.host.printed("rm", "-r", missing)
    foreseen, mended = app.install(check=True, network=False), app.install(network=False)
    assert foreseen.result["drift"] == mended.result["drift"] != []
    assert (mended.result["changed"], mended.started) == (True, [])
    assert app.says() == app.kind.prints


def test_the_large_project_is_large(make_app: Callable[[str], App]) -> None:
    assert make_app("large").install().result["packages"] >= 500


def test_a_killed_installation_leaves_the_old_tree_and_the_next_run_no_rubbish(
    app_host: AppHost, make_app: Callable[[str], App]
) -> None:
    apps = {name: make_app(f"{name}:killed") for name in KILLED}
    for app in apps.values():
        app.install()
    app_host.printed("mkdir", "-p", "/srv/apps/killed")
    seed, folder = random.randrange(2**32), "/srv/apps/killed"
    order = {
        "folder": folder,
        "store": apps["hello"].options["store"],
        "builder": "apphost-build",
        "rounds": ROUNDS,
        "seed": seed,
        "run": RUN,
        "projects": {
            name: {"source": app.folder, "cached": name == "large", "options": {**app.options, "path": folder}}
            for name, app in apps.items()
        },
    }
    script = (ROOT / "molecule" / "packages" / "files" / "kill.py").read_text()
    report = json.loads(app_host.printed("python3", "-c", script, given=json.dumps(order).encode()))
    print(f"seed {seed}: {report}")
    assert report["problems"] == []
    assert report["killed"] >= ROUNDS / 3
