# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Running programs and telling people about it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from devtools import terminal
from devtools.terminal import DevError, output_of, run_logged, seconds, step


@pytest.fixture(autouse=True)
def _logs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(terminal, "LOGS", tmp_path)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@pytest.mark.parametrize(
    ("duration", "expected"), [(0.04, "0.0 s"), (59.94, "59.9 s"), (60.2, "1 min 0 s"), (200, "3 min 20 s")]
)
def test_seconds_are_shown_as_people_say_them(duration: float, expected: str) -> None:
    assert seconds(duration) == expected


def test_a_step_says_how_it_ended(capsys: pytest.CaptureFixture[str]) -> None:
    with step("good"):
        pass
    with pytest.raises(ZeroDivisionError), step("bad"):
        raise ZeroDivisionError
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["==> good", "    done in 0.0 s", "==> bad", "    failed after 0.0 s"]


def test_the_output_of_what_passes_is_kept_but_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    log = run_logged(python("import sys; print('out'); print('err', file=sys.stderr)"), "some")
    assert sorted(log.read_text().split()) == ["err", "out"]
    assert capsys.readouterr().out == ""


def test_the_output_of_what_fails_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(DevError, match=r"it failed with exit status 3; its output is in .*some.log"):
        run_logged(python("print('why'); raise SystemExit(3)"), "some", what="it")
    assert capsys.readouterr().out == "why\n"


def test_people_see_the_lines_they_should_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    run_logged(python("print('one'); print('two')"), "some", tell=lambda line: line.upper() if line == "two" else None)
    assert capsys.readouterr().out == "    TWO\n"


def test_output_of_says_what_the_program_said() -> None:
    assert output_of(python("print(' x ')")) == "x"
    with pytest.raises(DevError, match=r"oh dear$"):
        output_of(python("raise SystemExit('oh dear')"))


@pytest.mark.parametrize("run", [output_of, lambda command: run_logged(command, "some")])
def test_a_missing_program_is_named(run: object) -> None:
    assert callable(run)
    with pytest.raises(DevError, match="the program no-such-program is not installed"):
        run(["no-such-program"])


def test_nothing_waits_for_input() -> None:
    run_logged(python("import sys; assert sys.stdin.read() == ''"), "some")
