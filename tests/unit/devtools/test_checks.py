# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks, their count and the summary."""

from __future__ import annotations

from pathlib import Path

import pytest

from devtools import checks, sanity, scenarios
from devtools.environment import PINS
from devtools.outcome import Check, Outcome, Tally, run_all, summary
from devtools.terminal import DevError


def fail() -> None:
    raise DevError("it is broken")


def test_everything_runs_whatever_fails(capsys: pytest.CaptureFixture[str]) -> None:
    ran = []
    status = run_all([Check("bad", fail), Check("good", lambda: ran.append("good"))])
    out = capsys.readouterr().out
    assert status == 1
    assert ran == ["good"]
    assert "    it is broken\n" in out
    assert out.endswith("\n1 passed, 1 failed\n")


def test_all_good_is_success() -> None:
    assert run_all([Check("good", lambda: None, lambda: Tally(7, 0))]) == 0


@pytest.mark.parametrize(("tally", "line"), [(Tally(5, 2), "5 passed, 2 failed"), (Tally(5, 0), "5 passed, 1 failed")])
def test_a_failed_check_counts_at_least_one_failure(
    capsys: pytest.CaptureFixture[str], tally: Tally, line: str
) -> None:
    assert run_all([Check("tests", fail, lambda: tally)]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == line


def test_the_summary_has_a_line_for_each_and_the_sum() -> None:
    text = summary([Outcome("ruff", Tally(1, 0), 0.5), Outcome("unit tests", Tally(98, 2), 61)])
    assert text.splitlines() == [
        "ruff            1 passed    0 failed        0.5 s",
        "unit tests     98 passed    2 failed    1 min 1 s",
        "",
        "99 passed, 2 failed",
    ]


def test_a_junit_report_is_counted_without_what_was_skipped(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    assert checks.read_junit(report) is None
    report.write_text(
        '<testsuites><testsuite tests="9" failures="1" errors="1" skipped="2"/><testsuite tests="1"/></testsuites>'
    )
    assert checks.read_junit(report) == Tally(6, 2)


SANITY = """\
Running sanity test "compile" on Python 3.9
Running sanity test "compile" on Python 3.11
Running sanity test "pep8"
"""


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (SANITY, Tally(3, 0)),
        (SANITY + "FATAL: The 1 sanity test(s) listed below (out of 3) failed. See error output above.\n", Tally(2, 1)),
        ("FATAL: nothing works\n", None),
    ],
)
def test_the_output_of_ansible_test_is_counted(output: str, expected: Tally | None) -> None:
    assert sanity.read(output) == expected


def test_an_unknown_scenario_is_refused_with_the_known_ones() -> None:
    with pytest.raises(DevError, match="there is no scenario nope; there are default, "):
        scenarios.choose(["default", "nope"])


def test_people_see_which_action_of_a_scenario_runs() -> None:
    assert scenarios._action("INFO     [default > converge] Executing") == "converge"
    assert scenarios._action("INFO     [default > converge] Executed: Successful") is None


def test_every_pin_is_exact_and_hashed_and_comes_from_nowhere_special() -> None:
    entries = PINS.read_text().replace("\\\n", " ").splitlines()
    pins = [entry for entry in entries if entry and not entry.startswith("#")]
    assert pins
    assert [pin for pin in pins if "==" not in pin.split()[0] or "--hash=sha256:" not in pin] == []
    assert [
        word for pin in pins for word in pin.split() if "://" in word or word.startswith(("--index", "--find"))
    ] == []


def test_a_scenario_is_run_by_one_at_a_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(scenarios, "DEV", tmp_path)
    ran: list[str] = []

    def run_logged(*_arguments: object, **_options: object) -> None:
        ran.append("once")
        with pytest.raises(DevError, match="scenario default is running already"):
            scenarios.run("default")

    monkeypatch.setattr(scenarios, "run_logged", run_logged)
    scenarios.run("default")
    scenarios.run("default")
    assert len(ran) == 2


@pytest.mark.parametrize("full", [False, True])
def test_a_scenario_is_told_when_everything_is_wanted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, full: bool
) -> None:
    given: dict[str, str] = {}
    monkeypatch.setattr(scenarios, "DEV", tmp_path)
    monkeypatch.setattr(scenarios, "run_logged", lambda *_arguments, env, **_options: given.update(env))
    scenarios.run("default", full=full)
    assert ("EVENKEEL_FULL" in given) is full
