# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bill of materials of what was installed: the tree's packages, in the lockfile's words."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.contents import RECORD
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.installer import install_dependencies
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.materials import of_folder, of_plan
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.plan import plan_installation

from .world import World

#: What the fixtures were recorded with installed, out of the lockfile's packages for all platforms.
HERE = {"pkg:npm/debug@4.4.3", "pkg:npm/%40img/sharp-linux-x64@0.34.5"}
ELSEWHERE = "pkg:npm/%40img/sharp-darwin-arm64@0.34.5"


def purls(document: dict[str, t.Any]) -> set[str]:
    return {component["purl"] for component in document["components"]}


def test_what_was_installed_and_nothing_else(world: World) -> None:
    install_dependencies(world.request(), world.npm)

    document = of_folder(str(world.app), "npm", "shop", "1.4.2-20d17d6f5f")

    assert document["metadata"]["component"]["version"] == "1.4.2-20d17d6f5f"
    assert purls(document) >= HERE
    assert ELSEWHERE not in purls(document)
    # In the lockfile's words.
    debug = next(one for one in document["components"] if one["name"] == "debug")
    assert debug["licenses"] == [{"expression": "MIT"}]


def test_a_plan_has_the_same_packages(world: World) -> None:
    plan = plan_installation(world.request(), world.npm)
    assert plan
    before = of_plan(plan)
    install_dependencies(world.request(), world.npm)

    assert purls(before) == purls(of_plan(plan)) == purls(of_folder(str(world.app), "auto", "shop", "1"))
    assert before["metadata"]["component"]["name"] == json.loads((world.app / "package.json").read_text())["name"]


def test_an_app_that_has_nothing_to_install(tmp_path: pathlib.Path) -> None:
    assert of_folder(str(tmp_path), "none", "shop", "1")["components"] == []


@pytest.mark.parametrize("name", [RECORD, "."])
def test_a_tree_that_lost_its_record(world: World, name: str) -> None:
    install_dependencies(world.request(), world.npm)
    (world.app / "node_modules").rename(world.base / "gone") if name == "." else (
        world.app / "node_modules" / name
    ).write_text("{}")

    with pytest.raises(ApphostError, match="no sound record of what was installed"):
        of_folder(str(world.app), "npm", "shop", "1")
