# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The schema engine by itself: what each kind reads, and how problems are told."""

from __future__ import annotations

import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils import schema
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.schema import (
    Choice,
    Derived,
    Field,
    Integer,
    ListOf,
    MapOf,
    Number,
    OneOf,
    Reading,
    Record,
    Text,
    Variable,
)

SHAPE = Record(
    {
        "size": Field(Integer(1, 9), "", default=3),
        "tags": Field(ListOf(Text()), "", default=[]),
        "inner": Field(Record({"on": Field(Choice(("yes", "no")), "", default="no")}), "", default={}),
        "area": Field(Derived("number"), ""),
    }
)


def read(kind: schema.Kind, value: t.Any) -> tuple[t.Any, list[str]]:
    """What was read, and the problems."""
    reading = Reading()
    result = kind.read(value, "x", reading)
    return result, [str(problem) for problem in reading.problems]


def test_defaults_reach_into_nested_records() -> None:
    assert read(SHAPE, {}) == ({"size": 3, "tags": [], "inner": {"on": "no"}, "area": None}, [])


def test_defaults_are_checked_like_values() -> None:
    assert read(Record({"size": Field(Integer(1, 9), "", default=10)}), {})[1] == ["x.size: 10 is not in 1..9"]


def test_everything_wrong_is_found_in_one_reading() -> None:
    assert read(SHAPE, {"size": 0, "tags": ["a", 2, ""], "inner": {"on": "nope"}, "tag": 1})[1] == [
        "x.tag: unknown key; did you mean `tags`?",
        "x.size: 0 is not in 1..9",
        "x.tags[1]: 2 is an integer; write it in quotes",
        "x.tags[2]: is empty",
        'x.inner.on: "nope" is not known; did you mean `no`?',
    ]


def test_derived_keys_may_be_repeated_but_not_changed() -> None:
    reading = Reading()
    SHAPE.check_derived({"area": 4}, {"area": 4}, "x", reading)
    assert reading.problems == []
    SHAPE.check_derived({"area": 5}, {"area": 4}, "x", reading)
    assert str(reading.problems[0]) == "x.area: is worked out from the other keys; leave it out"


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (Integer(0, 10), 4.0, 4),
        (Number(0, 10), 4, 4),
        (Number(0, 10), 0.5, 0.5),
        (Variable(), False, "false"),
        (ListOf(Integer(0, 9)), (1, 2), [1, 2]),
        (MapOf(Text(), Integer(0, 9)), {"b": 1, "a": 2}, {"a": 2, "b": 1}),
        (OneOf("kind", {"a": SHAPE}), {"kind": "a"}, {"kind": "a", **read(SHAPE, {})[0]}),
    ],
)
def test_what_is_read(kind: schema.Kind, value: t.Any, expected: t.Any) -> None:
    result, problems = read(kind, value)
    assert problems == []
    assert result == expected
    assert type(result) is type(expected)


@pytest.mark.parametrize(
    ("kind", "value", "problem"),
    [
        (Number(0, 1), float("nan"), "x: nan is not in 0..1"),
        (Number(0, 1), float("inf"), "x: inf is not in 0..1"),
        pytest.param(Integer(0, 1), 10**5000, "x: a very large number is not in 0..1", id="huge"),
        (Integer(0, 1), True, "x: is a boolean, not an integer"),
        (Text(), "a\nb", 'x: "a\\nb" is not one line of text'),
        pytest.param(Text(), "\ud800", 'x: "\\ud800" is not one line of text', id="surrogate"),
        (Text(), [], "x: is a list, not a string"),
        (Text(max_length=70), "a" * 71, f'x: "{"a" * 57}..." is longer than 70 characters'),
        (Choice(("a",), later=("b",)), "b", "x: b is not supported yet (supported: a)"),
        (Choice(("a",)), None, "x: is null, not a string"),
        (Variable(), {}, "x: is a mapping, not a string, number or boolean"),
        (OneOf("kind", {"a": SHAPE}), {}, "x.kind: is required (a)"),
        (OneOf("kind", {"a": SHAPE}), [], "x: is a list, not a mapping"),
        (MapOf(Text(), Variable(), may_be_empty=False), {}, "x: is empty"),
    ],
)
def test_what_is_refused(kind: schema.Kind, value: t.Any, problem: str) -> None:
    assert read(kind, value)[1] == [problem]


@pytest.mark.parametrize(
    ("key", "path"),
    [("NODE_ENV", "x.NODE_ENV"), ("a-b", "x.a-b"), ("a.b", 'x["a.b"]'), ("a b", 'x["a b"]'), (1, "x.1")],
)
def test_the_path_of_a_key_is_never_ambiguous(key: t.Any, path: str) -> None:
    assert schema.child("x", key) == path


@pytest.mark.parametrize(
    ("path", "spoiled"),
    [("x", True), ("x.a", True), ("x.a.b", True), ("x.a.b[0]", True), ("x.a.bc", False), ("x.b", False)],
)
def test_a_problem_spoils_what_is_above_and_below_it(path: str, spoiled: bool) -> None:
    reading = Reading()
    reading.add("x.a.b", "is wrong")
    assert reading.spoiled(path) is spoiled


def test_one_problem_is_one_line_and_more_have_a_headline() -> None:
    reading = Reading()
    reading.finish()
    reading.add("x.a", "is wrong")
    with pytest.raises(ApphostError) as one:
        reading.finish()
    reading.add("x.b", "is wrong too")
    with pytest.raises(ApphostError) as two:
        reading.finish()
    assert one.value.message == "x.a: is wrong"
    assert two.value.message == "2 problems\nx.a: is wrong\nx.b: is wrong too"
