# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal: order, queries, torn lines."""

from __future__ import annotations

import json
import stat
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.release import journal as j

A, B, C, D = (f"{number}-000000000{number}" for number in (1, 2, 3, 4))


class Clock:
    """Begins at 10:00 in a zone two hours east of Greenwich, one second a look."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 21, 12, 0, tzinfo=timezone(timedelta(hours=2)))

    def __call__(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at


@pytest.fixture
def journal(tmp_path: Path) -> j.Journal:
    return j.Journal(str(tmp_path / "journal.jsonl"), Clock())


def activate(journal: j.Journal, *releases: str) -> None:
    for release in releases:
        journal.append(j.ACTIVATING, release)
        journal.append(j.ACTIVATED, release)


def releases(entries: list[j.Entry]) -> list[str]:
    return [entry.release for entry in entries]


def test_no_file_is_an_empty_journal(journal: j.Journal) -> None:
    assert journal.entries() == []
    assert journal.live() is None
    assert journal.pending() is None
    assert journal.last_good_before(A, (A, B, C, D)) is None
    assert journal.newest_first() == []


def test_an_entry_is_one_json_line_in_utc(journal: j.Journal) -> None:
    journal.append(j.REVERTED, B, previous=A, reason="web@3000: exited 1\nsecond line é")
    lines = Path(journal.path).read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {
            "time": "2026-11-21T10:00:01.000Z",
            "event": "reverted",
            "release": B,
            "previous": A,
            "reason": "web@3000: exited 1\nsecond line é",
        }
    ]
    assert journal.entries() == [
        j.Entry("2026-11-21T10:00:01.000Z", "reverted", B, A, "web@3000: exited 1\nsecond line é")
    ]
    assert stat.S_IMODE(Path(journal.path).stat().st_mode) == 0o644


def test_an_unknown_event_is_a_bug(journal: j.Journal) -> None:
    with pytest.raises(ValueError, match="unknown journal event 'activatd'"):
        journal.append("activatd", A)
    assert not Path(journal.path).exists()


@pytest.mark.parametrize(
    "torn", ['{"time": "2026', "{", '{"time": "x", "event": "activated"}', "[1]", "\x00\x00", '"x"']
)
def test_a_torn_last_line_is_passed_over_and_does_not_swallow_the_next(journal: j.Journal, torn: str) -> None:
    activate(journal, A)
    with open(journal.path, "a", encoding="utf-8") as file:
        file.write(torn)
    assert releases(journal.live_history()) == [A]
    activate(journal, B)
    assert releases(journal.live_history()) == [A, B]
    assert [entry.event for entry in journal.entries()] == ["activating", "activated", "activating", "activated"]


def test_live_and_last_good(journal: j.Journal) -> None:
    activate(journal, A, B, C)
    live = journal.live()
    assert live is not None and live.release == C and live.time == "2026-11-21T10:00:06.000Z"
    assert journal.last_good_before(C, (A, B, C, D)) == B
    assert journal.last_good_before(B, (A, B, C, D)) == A
    assert journal.last_good_before(A, (A, B, C, D)) is None
    assert journal.last_good_before(D, (A, B, C, D)) == C
    assert journal.last_good_before(None, (A, B, C, D)) == C


def test_a_second_rollback_goes_further_back(journal: j.Journal) -> None:
    activate(journal, A, B, C, B)
    assert releases(journal.live_history()) == [A, B]
    assert journal.last_good_before(B, (A, B, C, D)) == A


def test_activating_the_live_release_again_changes_no_order(journal: j.Journal) -> None:
    activate(journal, A, B, B)
    assert releases(journal.live_history()) == [A, B]


def test_a_pruned_release_is_nowhere_to_go_back_to(journal: j.Journal) -> None:
    activate(journal, A, B, C)
    journal.append(j.PRUNED, B)
    assert journal.last_good_before(C, (A, B, C, D)) == A
    assert journal.newest_first() == [C, A]


@pytest.mark.parametrize("outcome", [j.REVERTED, j.FAILED])
def test_what_did_not_work_is_never_good(journal: j.Journal, outcome: str) -> None:
    activate(journal, A, B)
    journal.append(j.ACTIVATING, C, previous=B)
    journal.append(outcome, C, previous=B, reason="no answer")
    assert releases(journal.live_history()) == [A, B]
    assert journal.last_good_before(D, (A, B, C, D)) == B
    assert journal.pending() is None


def test_pending_is_an_activation_without_an_outcome(journal: j.Journal) -> None:
    activate(journal, A)
    assert journal.pending() is None
    begun = journal.append(j.ACTIVATING, B, previous=A)
    journal.append(j.STAGED, C)
    assert journal.pending() == begun
    journal.append(j.ACTIVATING, C, previous=A)
    pending = journal.pending()
    assert pending is not None and pending.release == C
    journal.append(j.ACTIVATED, C, previous=A)
    assert journal.pending() is None


def test_newest_first_is_the_order_of_events_not_of_names(journal: j.Journal) -> None:
    for release in (B, A, C):
        journal.append(j.STAGED, release)
    assert journal.newest_first() == [C, A, B]
    activate(journal, B)
    assert journal.newest_first() == [B, C, A]
    journal.append(j.PRUNED, C)
    journal.append(j.STAGED, C)
    assert journal.newest_first() == [C, B, A]


def test_a_journal_behind_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "journal.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"):
        j.Journal(str(tmp_path / "journal.jsonl")).append(j.STAGED, A)
    assert not (tmp_path / "elsewhere").exists()
