# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding the places in code that make the words of errors, and whether they were reached."""

from __future__ import annotations

import dataclasses
import textwrap
import typing as t
from pathlib import Path

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, Problem

from devtools.errors.page import page
from devtools.errors.places import PARTS, Kind, Place, Places
from devtools.errors.record import Record
from devtools.errors.sections import section_of
from devtools.errors.source import Source
from devtools.paths import ROOT


def places(code: str, **others: str) -> Places:
    texts = {"module": code, **others}
    return Places({f"{name}.py": Source(f"{name}.py", textwrap.dedent(text)) for name, text in texts.items()})


def texts(code: str, **others: str) -> list[str]:
    found = places(code, **others)
    assert found.mistakes == []
    return [text for place in found.found for text in place.texts]


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ('"is empty"', ["is empty"]),
        ('f"has {package.name!r}, {len(names)} of {MOST}"', ["has '<package name>', <names> of 1024"]),
        ('f"asks for {package.spec} at {addresses.shown(url)[:200]}"', ["asks for <package> at <url>"]),
        ('f"has {\', \'.join(names)}" + f" of {tree.bytes}"', ["has <names> of <bytes>"]),
        ('"one thing" if found else "another"', ["one thing", "another"]),
        ("f\"failed{f' ({code})' if code else ''}\"", ["failed (<code>)"]),
        ("f\"the {'app' if found else 'workspace'} is old\"", ["the app is old", "the workspace is old"]),
        ('f"{at}bin is no string"', ["<entry>.bin is no string"]),
        ('f"{at[:-1]} is no string"', ["<entry> is no string"]),
        ('f"understood are {RANGE[0]} to {RANGE[-1]}"', ["understood are 4 to 10"]),
    ],
)
def test_what_an_error_says(what: str, words: list[str]) -> None:
    constants = "MOST = 2 ** 10\nRANGE = range(4, 11)\n"
    assert texts(f"{constants}def f(package, names, url, at):\n    raise ApphostError({what}, at, REMAKE)\n") == words


def test_words_that_are_prepared() -> None:
    code = """
        from other import REMAKE

        def f(x):
            what = "is never shown"
            if x:
                what = f"has {x}"
            else:
                what = "has nothing"
            raise ApphostError(what, do=REMAKE)
    """
    (place,) = places(code, other='REMAKE = "Make it again."').found

    assert (place.kind, place.function, place.texts) == (Kind.ERROR, "f", ("has <x>", "has nothing"))
    assert (place.cures, place.first, place.last) == (("Make it again.",), 10, 10)


def test_errors_of_other_peoples_words() -> None:
    code = """
        class Reader:
            def error(self, what, do) -> ApphostError:
                return ApphostError(f"{what} (line {self.number})", self.path, do)

            def unknown(self, path, what) -> ApphostError:
                return self.error(f"{what}: {self.words}", "Try it.")

            def read(self):
                raise self.unknown(self.path, "failed") if self.words else self.error("is empty", "Fill it.")
    """
    found = places(code)

    assert [(place.texts, place.cures) for place in found.found] == [
        (("failed: <words> (line <number>)",), ("Try it.",)),
        (("is empty (line <number>)",), ("Fill it.",)),
    ]
    assert [found.passes_on("module.py", line) for line in (3, 4, 7, 10)] == [False, True, True, False]


def test_what_to_do_about_a_file_is_what_its_reader_was_given() -> None:
    reader = """
        class ObjectReader:
            def error(self, what) -> ApphostError:
                return ApphostError(what, self.path, self.mend)
    """
    code = 'def f(path):\n    raise ObjectReader(path, "Mend it.").error("is odd")\n'

    (place,) = places(code, reader=reader).found

    assert (place.texts, place.cures) == (("is odd",), ("Mend it.",))


def test_problems_reasons_and_exceptions_of_the_codes_own() -> None:
    code = """
        class Wrong(Exception):
            pass

        class Lost(ApphostError):
            def __init__(self, path):
                super().__init__("is lost", path, "Run again.")

        def f(x):
            problems = [
                # Somebody took it away.
                Problem(f"{x} is missing", "Bring it back.")
            ]
            try:
                raise Wrong("expected a key", x)
            except Wrong as error:
                raise ApphostError(f"{x}: {error}") from error
            raise Lost(x)
            raise ValueError(x)
            raise ApphostError(joined(problems), x)
    """
    found = places(code)

    assert found.mistakes == []
    assert {(place.kind, *place.texts): (place.cures, place.cause) for place in found.found} == {
        (Kind.ERROR, "is lost"): (("Run again.",), None),
        (Kind.PROBLEM, "<x> is missing"): (("Bring it back.",), "Somebody took it away."),
        (Kind.REASON, "expected a key"): ((), None),
    }


def test_when_it_happens_is_said_above_it() -> None:
    code = """
        def f(x):
            # What this is for is not asked.
            if x:
                # It was taken away.
                # Nobody knows by ``whom``.
                do = "Bring it back."
                raise ApphostError("is missing", x, do)
    """
    assert [place.cause for place in places(code).found] == ["It was taken away. Nobody knows by `whom`."]
    shorter = "def f(x):\n    # when: {}\n    raise ApphostError('is missing', x, 'Look.')\n"
    for comment in ("It is not there.", "supply.audit is set.", "npm is not there."):
        written = comment[:-1].replace("It", "it")
        assert [place.cause for place in places(shorter.format(written)).found] == [comment]


@pytest.mark.parametrize(
    ("call", "mistake"),
    [
        ('ApphostError("is empty", x)', "nobody says what to do about it: is empty"),
        ('ApphostError(words(x), x, "Run.")', "what it says is not written here (words(x))"),
        ('ApphostError(f"{x}: {y}", x, "Run.")', "it says nothing by itself"),
    ],
)
def test_what_cannot_be_documented(call: str, mistake: str) -> None:
    (found,) = places(f"def f(x, y):\n    raise {call}\n").mistakes
    assert str(found).startswith(f"module.py:2: {mistake}")


def test_a_section_takes_a_place_by_its_file_or_function() -> None:
    place = Place(Kind.ERROR, "plugins/module_utils/lockfile/policy.py", 1, 1, "check_engines", ("x",), None, None)

    titles = [
        found.title if found else None
        for found in map(
            section_of,
            [
                place,
                dataclasses.replace(place, function="_Rules.problems"),
                dataclasses.replace(place, file="plugins/module_utils/install/seal.py"),
                dataclasses.replace(place, file="plugins/module_utils/install/other.py"),
            ],
        )
    ]

    assert titles == ["Runtime and package manager", "Supply-chain policy", "Building", None]


def test_the_page_has_a_cause_and_a_cure_for_every_message() -> None:
    text, problems = page(ROOT)

    assert problems == []
    assert "\n| `no space left on the device` | " in text
    assert "\n- `… expected the end of the line`\n" in text
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ") and "---" not in line]
    assert all(len(row) == 3 and all(cell.strip(" |") for cell in row) for row in rows)


CODE = """\
def make(what, do) -> ApphostError:
    return ApphostError(what, None, do)

def check(number):
    if number == 1:
        raise make("one", "x")
    if number == 2:
        raise ApphostError(
            "two",
            do="x",
        )
    try:
        if number == 3:
            raise ValueError("three")
        if number == 4:
            raise ValueError("four")
    except ValueError as error:
        if number == 3:
            raise ApphostError(f": {error}", do="x") from error
    if number == 5:
        raise make(str([Problem("five")]), "x")
    if number == 6:
        raise make(
            "six",
            "x",
        )
"""


@pytest.fixture(name="check")
def fixture_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Record, t.Callable[[int], None]]:
    """A record, and the function above, which it watches."""
    record = Record()
    file = tmp_path / PARTS[0] / "module.py"
    file.parent.mkdir(parents=True)
    file.write_text(CODE)

    class Error(ApphostError):
        __init__ = record.watch(ApphostError.__init__)

    class Words(Problem):
        __new__ = record.watch(Problem.__new__)

    space: dict[str, t.Any] = {"ApphostError": Error, "Problem": Words}
    exec(compile(CODE, str(file), "exec"), space)
    return record, space["check"]


def test_what_was_reached(tmp_path: Path, check: tuple[Record, t.Callable[[int], None]]) -> None:
    record, function = check

    def unreached() -> list[str]:
        return [text for place in record.unreached(tmp_path) for text in place.texts]

    assert sorted(unreached()) == ["five", "four", "one", "six", "three", "two"]
    for number, left in ((1, 5), (2, 4), (3, 3), (5, 2), (6, 1)):
        with pytest.raises(ApphostError):
            function(number)
        assert len(unreached()) == left
    # The words of this exception are in no error.
    function(4)
    assert unreached() == ["four"]
