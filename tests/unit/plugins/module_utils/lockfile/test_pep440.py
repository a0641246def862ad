# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions and conditions of Python packages: as the library ``packaging`` (which pip uses) understands them."""

from __future__ import annotations

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pep440 import (
    holds,
    parse_conditions,
    parse_version,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.specifiers import InvalidSpecifier, Specifier
from packaging.version import InvalidVersion, Version

VERSIONS = st.tuples(
    st.sampled_from(["0", "1", "1.0", "1.0.0", "1.1", "1.2.3", "3.9", "3.10", "3.10.2", "2!1", "v01.2", "10"]),
    st.sampled_from(["", "", "a1", "b", "rc2", "c3", ".alpha.1", "-pre", "_preview4"]),
    st.sampled_from(["", "", ".post1", "-2", "r", "-rev-3", "post"]),
    st.sampled_from(["", "", ".dev1", "dev"]),
    st.sampled_from(["", "", "+abc.1", "+ubuntu-2", "+1.x"]),
).map("".join)
OPERATORS = st.sampled_from(["==", "!=", "<", ">", "<=", ">=", "~=", "==", "!="])


@given(VERSIONS)
def test_a_version_has_its_canonical_form(text: str) -> None:
    assert str(parse_version(text)) == str(Version(text))


@given(st.text("0123.ab-+!*rc dev", max_size=8))
def test_what_is_no_version_is_none(text: str) -> None:
    try:
        expected = str(Version(text))
    except InvalidVersion:
        expected = "None"

    assert str(parse_version(text)) == expected


@given(VERSIONS, VERSIONS)
def test_versions_have_their_order(one: str, other: str) -> None:
    ours = [version.key for version in map(parse_version, (one, other)) if version]

    assert (ours[0] < ours[1], ours[0] == ours[1]) == (Version(one) < Version(other), Version(one) == Version(other))


@settings(max_examples=400)
@given(OPERATORS, VERSIONS, st.sampled_from(["", "", ".*"]), VERSIONS)
def test_a_condition_takes_the_versions_it_should(operator: str, wanted: str, end: str, version: str) -> None:
    text = operator + wanted + end
    found = parse_version(version)
    assert found
    try:
        expected = Specifier(text)
    except InvalidSpecifier:
        with pytest.raises(ValueError, match="is no condition on a version"):
            parse_conditions(text)
    else:
        (condition,) = parse_conditions(text)
        assert condition.holds(found) == expected.contains(version, prereleases=True)


def test_conditions_hold_together() -> None:
    conditions = parse_conditions(" >= 3.9, !=3.9.7,<4,")

    assert [str(condition) for condition in conditions] == [">=3.9", "!=3.9.7", "<4"]
    verdicts = {
        text: holds(conditions, version) for text in ("3.9", "3.9.7", "4.0") if (version := parse_version(text))
    }
    assert verdicts == {"3.9": True, "3.9.7": False, "4.0": False}


@pytest.mark.parametrize(
    ("condition", "version", "expected"),
    [
        (">1.0", "1.0.post1", False),
        (">1.0.post1", "1.0.post2", True),
        (">1.0.dev1", "1.0.post1", True),
        (">1.0", "1.0+local", False),
        ("<1.0", "1.0rc1", False),
        ("<1.0rc2", "1.0rc1", True),
        ("<1.0.post1", "1.0.post1.dev1", False),
        ("<1.0.post1", "1.0", True),
    ],
)
def test_what_belongs_to_the_version_itself(condition: str, version: str, expected: bool) -> None:
    found = parse_version(version)
    assert found

    assert parse_conditions(condition)[0].holds(found) is expected
    assert Specifier(condition).contains(version, prereleases=True) is expected


def test_the_very_text() -> None:
    (condition,) = parse_conditions("===1.0+local")
    same, other = parse_version("1.0+local"), parse_version("1.0")

    assert same and other
    assert (condition.holds(same), condition.holds(other)) == (True, False)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (">=1.0", ">=1", True),
        ("==1.0RC1", "==1c1", True),
        (">=1", ">1", False),
        ("~=1.0", "~=1.0.0", False),
        ("==1.*", "==1.0.*", False),
        ("==1", "==1.*", False),
    ],
)
def test_conditions_that_say_the_same_have_one_key(one: str, other: str, same: bool) -> None:
    assert (parse_conditions(one)[0].key == parse_conditions(other)[0].key) is same


@pytest.mark.parametrize("text", ["1.0", ">", ">=x", "=1.0", "~=1", ">=1.*", "==1.*.2", "<1+local", ">=" + "1" * 600])
def test_what_is_no_condition(text: str) -> None:
    with pytest.raises(ValueError, match="is no condition on a version"):
        parse_conditions(text)
