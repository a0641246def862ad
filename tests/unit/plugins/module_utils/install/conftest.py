# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the installer's tests; what they are made of is in world.py."""

from __future__ import annotations

import os
import pathlib

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.install import installer, known, plan
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.command import Account
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers import node
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.runtime import Runtime
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.tree import Target

from .world import World


@pytest.fixture(name="world")
def fixture_world(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A host that is always the one the fixtures were recorded on, where this process is not root."""

    def this_host(runtime: Runtime) -> Target:
        return Target(cpu="x64", libc="glibc", node=runtime.version, npm=runtime.npm_version)

    monkeypatch.setattr(node, "this_host", this_host)
    monkeypatch.setattr(plan, "libc_version", lambda: "glibc 2.36")
    monkeypatch.setattr(known, "libc_version", lambda: "glibc 2.36")
    monkeypatch.setattr(installer, "build_account", lambda _name: None)
    for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return World(tmp_path)


@pytest.fixture(name="owners")
def fixture_owners(world: World, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[int, int]]:
    """The same host, but this process is root; what it gave away to whom, by path below the world."""
    given: dict[str, tuple[int, int]] = {}

    def lchown(path: str, uid: int, gid: int) -> None:
        given[os.path.relpath(path, world.base)] = (uid, gid)

    def chown(path: str, uid: int, gid: int, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> None:
        assert not follow_symlinks
        folder = "" if dir_fd is None else os.readlink(f"/proc/self/fd/{dir_fd}")
        lchown(os.path.join(folder, path), uid, gid)

    monkeypatch.setattr(installer, "build_account", lambda name: Account(name or "nobody", 65534, 65533))
    monkeypatch.setattr(os, "lchown", lchown)
    monkeypatch.setattr(os, "chown", chown)
    return given
