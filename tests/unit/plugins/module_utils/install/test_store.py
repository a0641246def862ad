# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The store: one build at a time for a tree, and what stays how long."""

from __future__ import annotations

import os
import pathlib
import shutil
import time
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.installer import install_dependencies
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import Bounds
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.store import TreeStore

from .world import World, make_app


def test_waiting_for_another_build_ends(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    store = TreeStore(str(world.store), None)
    store.prepare("npm")

    late = store.building("1", timeout=0)
    with store.building("1"), pytest.raises(ApphostError, match=r"another process has been building this tree for 0 s"):
        late.__enter__()


def test_waiting_for_who_throws_a_tree_away_ends(world: World) -> None:
    store = TreeStore(str(world.store), None)
    store.prepare("npm")

    late = store.using("1", timeout=0)
    with store.building("1"), pytest.raises(ApphostError, match=r"another process has had this tree for 0 s"):
        late.__enter__()


def test_waiting_for_who_uses_the_build_user_ends(world: World) -> None:
    store = TreeStore(str(world.store), None)
    store.prepare("npm")

    with store.account_used(alone=False), store.account_used(alone=False):
        late = store.account_used(alone=True, timeout=0)
        with pytest.raises(ApphostError, match=r"another build has been using the build user for 0 s\. See what"):
            late.__enter__()


@pytest.mark.parametrize("name", ["trees", "cache/npm-0"])
def test_something_else_in_the_place_of_a_folder(world: World, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "getegid", lambda: 0)
    monkeypatch.setattr(os, "lchown", lambda *_arguments: None)
    (world.base / "elsewhere").mkdir()
    path = world.store / name
    path.parent.mkdir(parents=True)
    path.symlink_to(world.base / "elsewhere")

    with pytest.raises(ApphostError, match=rf"store/{name}: is no folder\. Delete it, or choose another place"):
        TreeStore(str(world.store), None).prepare("npm")


def test_trees_that_nobody_used_for_long_are_swept(world: World) -> None:
    old = install_dependencies(world.request(), world.npm).identity
    new = install_dependencies(world.request(allow_scripts=("debug",)), world.npm).identity
    long_ago = time.time() - 1000
    os.utime(world.store / "trees" / str(old), (long_ago, long_ago))
    store = TreeStore(str(world.store), None)

    assert store.sweep(Bounds(2000)) == []
    assert store.sweep(Bounds(500)) == [old]
    assert world.trees == [new]


def test_using_a_tree_keeps_it(world: World) -> None:
    identity = install_dependencies(world.request(), world.npm).identity
    long_ago = time.time() - 1000
    os.utime(world.store / "trees" / str(identity), (long_ago, long_ago))

    install_dependencies(world.request(make_app(world.base / "other")), world.npm)

    assert TreeStore(str(world.store), None).sweep(Bounds(500)) == []


def test_a_tree_with_links_is_kept_however_old(world: World, owners: dict[str, t.Any]) -> None:
    identity = install_dependencies(world.request(), world.npm).identity
    long_ago = time.time() - 1000
    os.utime(world.store / "trees" / str(identity), (long_ago, long_ago))
    store = TreeStore(str(world.store), None)

    assert store.sweep(Bounds(500)) == []
    shutil.rmtree(world.app / "node_modules")
    with store.building(str(identity)):
        assert store.sweep(Bounds(500)) == []
    assert store.sweep(Bounds(500)) == [identity]


def test_sweeping_a_store_that_is_not_there(world: World) -> None:
    assert TreeStore(str(world.store), None).sweep(Bounds(0)) == []


def aged(world: World, identity: str | None, seconds: float) -> None:
    moment = time.time() - seconds
    os.utime(world.store / "trees" / str(identity), (moment, moment))


def three_trees(world: World) -> list[str]:
    """Three trees of the same size, the longest unused first."""
    found = []
    for age, scripts in ((300, ()), (200, ("debug",)), (100, ("sharp",))):
        identity = install_dependencies(world.request(allow_scripts=scripts), world.npm).identity
        aged(world, identity, age)
        found.append(str(identity))
    return found


def test_the_longest_unused_go_when_there_is_too_much(world: World) -> None:
    oldest, middle, newest = three_trees(world)
    size = install_dependencies(world.request(allow_scripts=("sharp",)), world.npm).bytes
    store = TreeStore(str(world.store), None)

    assert store.sweep(Bounds(1000, max_bytes=3 * size)) == []
    assert store.sweep(Bounds(1000, max_bytes=2 * size)) == [oldest]
    assert store.sweep(Bounds(1000, max_bytes=0), spared=(middle,)) == [newest]
    assert world.trees == [middle]


def test_a_new_tree_makes_room_for_itself(world: World) -> None:
    old = install_dependencies(world.request(), world.npm)
    new = install_dependencies(
        world.request(allow_scripts=("debug",), store_bounds=Bounds(1000, max_bytes=old.bytes)), world.npm
    )

    assert world.trees == [new.identity]


def test_a_tree_that_is_being_placed_stays(world: World) -> None:
    identity = str(install_dependencies(world.request(), world.npm).identity)
    store = TreeStore(str(world.store), None)

    with store.using(identity):
        assert store.sweep(Bounds(-1)) == []
    assert store.sweep(Bounds(-1)) == [identity]


def test_a_build_under_way_is_not_cleaned_up(world: World) -> None:
    store = TreeStore(str(world.store), None)
    store.prepare("npm")

    with store.building("1"), store.scratch("1") as scratch:
        store.tidy()
        assert os.path.isdir(scratch)
    (world.store / "scratch/2").mkdir()
    store.tidy()

    assert os.listdir(world.store / "scratch") == []
    assert os.listdir(world.store / "locks") == []


def test_trees_are_built_side_by_side(world: World) -> None:
    store = TreeStore(str(world.store), None)
    store.prepare("npm")

    with store.building("1"), store.building("2", timeout=0), store.scratch("1"), store.scratch("2"):
        assert sorted(os.listdir(world.store / "scratch")) == ["1", "2"]


def filled_cache(world: World) -> tuple[TreeStore, pathlib.Path]:
    store = TreeStore(str(world.store), None)
    store.prepare("npm")
    cache = pathlib.Path(store.cache("npm"))
    for number in range(4):
        (cache / f"part{number}").mkdir()
        (cache / f"part{number}/file").write_bytes(bytes(4096))
        os.utime(cache / f"part{number}/file", (1000 + number, 1000 + number))
    return store, cache


@pytest.mark.parametrize(
    ("separable", "left"), [(True, ["part2/file", "part3/file"]), (False, [])], ids=["separable", "not"]
)
def test_a_cache_stays_below_its_bound(world: World, separable: bool, left: list[str]) -> None:
    store, cache = filled_cache(world)

    with store.caching("npm"):
        store.bound_cache("npm", 2 * 4096, separable)
    assert len(list(cache.glob("*/file"))) == 4
    store.bound_cache("npm", 2 * 4096, separable)
    assert sorted(str(path.relative_to(cache)) for path in cache.glob("*/file")) == left


def test_a_cache_is_looked_at_now_and_then(world: World) -> None:
    store, cache = filled_cache(world)
    store.bound_cache("npm", 4 * 4096, True)
    store.bound_cache("npm", 2 * 4096, True)
    assert len(list(cache.glob("*/file"))) == 4
    os.utime(f"{cache}.looked-at", (1000, 1000))
    store.bound_cache("npm", 2 * 4096, True)

    assert len(list(cache.glob("*/file"))) == 2
