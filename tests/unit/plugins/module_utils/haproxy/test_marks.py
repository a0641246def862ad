# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who drained a server, in a file that survives."""

from __future__ import annotations

import pathlib
from datetime import UTC, datetime

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.haproxy.marks import Mark, Marks

from .world import names

NOON = datetime(2026, 11, 21, 12, 0, 0, 250000, tzinfo=UTC)


def test_what_was_added_is_read_again_by_the_next_run(tmp_path: pathlib.Path) -> None:
    folder = str(tmp_path / "made" / "when missing")
    Marks(folder, lambda: NOON).add(names("shop/app1", "blog/app1"), "apphost")
    assert Marks(folder).read() == dict.fromkeys(names("blog/app1", "shop/app1"), Mark("apphost", NOON))
    Marks(folder).drop(names("shop/app1"))
    assert list(Marks(folder).read()) == names("blog/app1")


def test_nothing_to_forget_touches_nothing(tmp_path: pathlib.Path) -> None:
    Marks(str(tmp_path)).drop(names("shop/app1"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "[]", '{"servers": {"x": 1}}', '{"servers": {"a/b": {"owner": "x"}}}'])
def test_a_file_nobody_understands_is_said_not_guessed(tmp_path: pathlib.Path, content: str) -> None:
    (tmp_path / "drained.json").write_text(content)
    with pytest.raises(ApphostError, match=r"drained.json: cannot be understood.*remove the file"):
        Marks(str(tmp_path)).read()


def test_one_call_at_a_time_works_on_a_server(tmp_path: pathlib.Path) -> None:
    marks = Marks(str(tmp_path / "made when missing"))
    with marks.hold(names("shop/app1", "shop/app2"), "drained"):
        with pytest.raises(ApphostError, match="another run is at work: make shop/app2 drained, process"):
            marks.hold(names("shop/app2", "shop/app3"), "enabled", wait=0.0).__enter__()
        with marks.hold(names("blog/app1", "shop/app3"), "enabled", wait=0.0):
            pass
    with marks.hold(names("shop/app1"), "enabled", wait=0.0):
        pass
