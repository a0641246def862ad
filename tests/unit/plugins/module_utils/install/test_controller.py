# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Building on the controller: for hosts like it, else an error that names both platforms."""

from __future__ import annotations

import os
import sys

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install import controller, plan
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.installer import (
    install_dependencies,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import Shipped

from .world import World, make_app, make_runtime

HOST = "linux x64, glibc 2.41, node 20.20.2 (ABI 115), npm 11.19.1"


def identity(world: World) -> str:
    found = plan.plan_installation(world.request(), world.npm)
    assert found
    return found.identity


def build(world: World, wanted: str) -> str:
    return controller.build_here(world.request(), wanted, HOST, str(world.base / "tree.tar"), world.npm)


def test_what_is_built_here_serves_a_host(world: World) -> None:
    sha256 = build(world, identity(world))

    assert not (world.app / "node_modules").exists()
    host = make_app(world.base / "host")
    shipped = Shipped(str(world.base / "tree.tar"), sha256)
    world.npm.calls.clear()
    result = install_dependencies(world.request(host, store=str(world.base / "other"), shipped=shipped), world.npm)
    assert result.shipped
    assert world.npm.npm_calls == []


def test_the_store_keeps_it_for_another_day(world: World) -> None:
    first = build(world, identity(world))
    os.unlink(world.base / "tree.tar")
    world.npm.calls.clear()

    assert build(world, identity(world)) == first
    assert world.npm.npm_calls == []


def test_another_platform_is_an_error_that_names_both(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = identity(world)
    monkeypatch.setattr(plan, "libc_version", lambda: "glibc 2.31")
    for file in (world.store / "known").glob("*"):
        file.unlink()

    with pytest.raises(ApphostError) as caught:
        build(world, wanted)

    assert f"the host is {HOST}, the controller linux " in caught.value.message
    assert ", glibc 2.31, node 20.20.2 (ABI 115), npm 11.19.1. Set dependencies.build_on to" in caught.value.message
    assert world.npm.npm_calls == []


def test_a_controller_without_the_runtime(world: World) -> None:
    wanted = identity(world)
    os.unlink(world.runtime / "bin" / "node")
    for file in (world.store / "known").glob("*"):
        file.unlink()

    with pytest.raises(ApphostError) as caught:
        build(world, wanted)

    assert caught.value.message == (
        f"the controller cannot build for {HOST}: {world.runtime}/bin/node: is not there or not executable. "
        "Install the runtime first (role nodejs). "
        "Set dependencies.build_on to first_host, or run Ansible on a machine like the hosts."
    )


def test_a_controller_that_is_no_linux(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(ApphostError, match=r"^the controller is darwin, the host linux x64"):
        build(world, "0" * 64)


def test_a_file_that_cannot_be_written_is_said_in_words(world: World) -> None:
    (world.base / "tree.tar").write_text("")
    with pytest.raises(ApphostError, match=r"tree\.tar: File exists \(while building on the controller\)"):
        build(world, identity(world))


def test_the_runtime_is_where_the_hosts_have_it_or_in_the_path(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    other = make_runtime(world.base / "other")
    (world.base / "links").mkdir()
    (world.base / "links" / "node").symlink_to(other / "bin" / "node")
    monkeypatch.setenv("PATH", str(world.base / "links"))

    assert controller.runtime_here(str(world.runtime)) == str(world.runtime)
    assert controller.runtime_here("/nowhere") == str(other)
    monkeypatch.setenv("PATH", str(world.base))
    assert controller.runtime_here("/nowhere") == "/nowhere"


def test_the_store_is_where_the_builder_gets_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert controller.default_store() == "/var/cache/evenkeel/trees"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert controller.default_store() == "/cache/evenkeel/trees"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert controller.default_store() == "/home/me/.cache/evenkeel/trees"


def test_programs_run_in_the_c_locale_without_questions() -> None:
    assert controller.run_here(["sh", "-c", "echo $LC_ALL; cat; echo oh >&2; exit 3"]) == (3, "C\n", "oh\n")
