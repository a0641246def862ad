# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the runtimes' tests; what they are made of is in world.py."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.download import Downloader

from .world import FakeServer, World


@pytest.fixture(name="server")
def fixture_server(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[FakeServer]:
    # Whatever proxy the developer's machine uses, 127.0.0.1 is not behind it.
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = FakeServer()
    yield server
    server.close()


@pytest.fixture(name="sleeps")
def fixture_sleeps() -> list[float]:
    """The pauses the downloader made, instead of making them."""
    return []


@pytest.fixture(name="download")
def fixture_download(sleeps: list[float]) -> Downloader:
    return Downloader(timeout=5, retries=2, sleep=sleeps.append)


@pytest.fixture(name="world")
def fixture_world(server: FakeServer, download: Downloader, tmp_path: pathlib.Path) -> World:
    return World(server, download, tmp_path)
