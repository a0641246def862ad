# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which release a process runs from, read from a made-up /proc."""

from __future__ import annotations

import os
import pathlib

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import AppLayout
from ansible_collections.evenkeel.apphost.plugins.module_utils.supervisor.procfs import release_of

LAYOUT = AppLayout("hello", base="/nowhere-on-this-machine")


@pytest.mark.parametrize(
    ("folder", "release"),
    [
        (f"{LAYOUT.releases}/1.0.0-0123456789/app", "1.0.0-0123456789"),
        (f"{LAYOUT.releases}/1.0.0-0123456789/app/lib", "1.0.0-0123456789"),
        (f"{LAYOUT.releases}/1.0.0-0123456789/app (deleted)", "1.0.0-0123456789"),
        (f"{LAYOUT.releases}/1.0.0-0123456789", None),
        (f"{LAYOUT.releases}/1.0.0-0123456789/apple", None),
        (f"{LAYOUT.root}/app", None),
        (f"{LAYOUT.releases}-other/x/app", None),
        ("/", None),
    ],
)
def test_release_of(tmp_path: pathlib.Path, folder: str, release: str | None) -> None:
    (tmp_path / "61").mkdir()
    (tmp_path / "61" / "cwd").symlink_to(folder)
    assert release_of(61, LAYOUT, str(tmp_path)) == release


def test_a_process_that_is_gone_runs_from_nothing(tmp_path: pathlib.Path) -> None:
    assert release_of(61, LAYOUT, str(tmp_path)) is None


def test_a_forbidden_look_says_what_is_missing(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> str:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "readlink", refuse)
    with pytest.raises(ApphostError, match="CAP_SYS_PTRACE"):
        release_of(61, LAYOUT, str(tmp_path))
