# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requirements and markers of Python projects, judged as the library ``packaging`` (which pip uses) judges them."""

from __future__ import annotations

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pep508 import (
    Marker,
    is_name,
    normal_name,
    parse_marker,
    parse_requirement,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.markers import Marker as PackagingMarker

from .speed import within

LINUX = {
    "implementation_name": "cpython",
    "implementation_version": "3.11.7",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_release": "6.1.0",
    "platform_system": "Linux",
    "platform_version": "#1 SMP",
    "python_full_version": "3.11.7",
    "python_version": "3.11",
    "sys_platform": "linux",
}
WINDOWS = {
    **LINUX,
    "os_name": "nt",
    "platform_system": "Windows",
    "sys_platform": "win32",
    "platform_machine": "AMD64",
    "python_full_version": "3.9.0",
    "python_version": "3.9",
}

VERSIONS = st.sampled_from(["3", "3.9", "3.9.0", "3.10", "3.11", "3.11.7", "3.12", "4"])
COMPARISONS = (
    st.tuples(
        st.sampled_from(["python_version", "python_full_version", "implementation_version"]),
        st.sampled_from(["==", "!=", "<", ">", "<=", ">="]),
        VERSIONS,
        st.booleans(),
    )
    | st.tuples(
        st.sampled_from(["sys_platform", "os_name", "platform_machine", "platform_system", "implementation_name"]),
        st.sampled_from(["==", "!=", "in", "not in"]),
        st.sampled_from(["linux", "linux darwin", "win32", "posix", "nt", "Windows", "x86_64", "64", "cpython", ""]),
        st.booleans(),
    )
).map(lambda part: f"'{part[2]}' {part[1]} {part[0]}" if part[3] else f'{part[0]} {part[1]}  "{part[2]}"')
MARKERS = st.recursive(
    COMPARISONS,
    lambda inner: st.tuples(inner, st.sampled_from(["and", "or"]), inner, st.booleans()).map(
        lambda part: f"({part[0]} {part[1]} {part[2]})" if part[3] else f"{part[0]} {part[1]} {part[2]}"
    ),
    max_leaves=6,
)


@settings(max_examples=200, deadline=None)
@given(MARKERS, st.sampled_from([LINUX, WINDOWS]))
def test_a_marker_holds_where_it_should(text: str, environment: dict[str, str]) -> None:
    marker = parse_marker(text)

    assert marker.holds(environment) == PackagingMarker(text).evaluate(dict(environment))
    assert parse_marker(str(marker)).holds(environment) == marker.holds(environment)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("os.name == 'posix' and sys.platform == 'linux' and python_implementation == 'CPython'", True),
        ("'3.1' in python_version", True),
        ("python_version in '3.10, 3.11'", True),
        ("python_version not in '3.110 3.1'", True),
        ("python_full_version == '3.11.*'", True),
        ("python_version ~= '3.9'", True),
        ("python_version >= 'x'", False),
        ("platform_release >= '6' and platform_release <= '6.1.0' and platform_release > '5'", True),
        ("platform_release < '6'", False),
        ("sys_platform === 'linux'", True),
        ("extra == 'x'", False),
        ("extra != 'X.y'", True),
        ("'test' in dependency_groups", False),
    ],
)
def test_what_markers_say_besides(text: str, holds: bool) -> None:
    assert parse_marker(text).holds(LINUX) is holds


def test_a_marker_that_must_not_hold() -> None:
    marker = Marker("not", (parse_marker("os_name == 'nt'"),))

    assert (marker.holds(LINUX), marker.holds(WINDOWS), str(marker)) == (True, False, "not (os_name == 'nt')")


def test_extras_are_chosen_by_their_normalised_names() -> None:
    marker = parse_marker("extra == 'X_y'")

    assert (marker.holds(LINUX, {"x-y"}), marker.holds(LINUX, {"x"})) == (True, False)


def test_a_python_between_two_versions() -> None:
    assert parse_marker("python_full_version >= '3.11.2'").holds({"python_full_version": "3.11.2+"})


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "is not understood"),
        ("sys_platform", "is not understood"),
        ("sys_platform ==", "is not understood"),
        ("sys_platform == linux", "is not understood"),
        ("'a' == 'a'", "is not understood"),
        ("sys_platform == os_name", "is not understood"),
        ("sys_platform = 'a'", "is not understood"),
        ("sys_platform == 'a' os_name == 'b'", "is not understood"),
        ("(sys_platform == 'a'", "is not understood"),
        ("sys_platform == 'a')", "is not understood"),
        ("sys_platform == 'a' and", "is not understood"),
        ("sys_platform == 'a", "is not understood"),
        ("favourite == 'a'", "has the variable 'favourite', which is unknown"),
        ("extra in 'a b'", "only == and != are understood"),
        ("(" * 100 + "os_name == 'a'" + ")" * 100, "nested too deeply"),
        ("os_name == 'a' or " * 5000 + "os_name == 'a'", "has more than 50000 characters"),
    ],
)
def test_markers_that_are_not_understood(text: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        parse_marker(text)


def test_a_requirement_in_its_parts() -> None:
    asked = parse_requirement(" Foo._Bar [ socks ,HTTP_2 ] ( >=1.0, <2 ) ; python_version < '3.12' ")

    assert (asked.name, asked.extras, asked.address) == ("foo-bar", frozenset({"socks", "http-2"}), None)
    assert [str(condition) for condition in asked.conditions] == [">=1.0", "<2"]
    assert str(asked.marker) == "python_version < '3.12'"


def test_a_requirement_with_an_address() -> None:
    asked = parse_requirement("tool[x]@ https://host/tool-1.0.tar.gz;v=1#sha256=00 ; os_name == 'nt'")

    assert (asked.name, asked.address) == ("tool", "https://host/tool-1.0.tar.gz;v=1#sha256=00")
    assert (str(asked.marker), asked.conditions) == ("os_name == 'nt'", ())


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "does not begin with a package's name"),
        ("-e .", "does not begin with a package's name"),
        ("./folder", "does not begin with a package's name"),
        ("../etc/passwd", "does not begin with a package's name"),
        ("a/b", "is no condition on a version"),
        ("a 1.0", "is no condition on a version"),
        ("a[b/c]", "has an extra that is no name"),
        ("a @", "has no address behind the @"),
        ("a @ https://x y", "has no address behind the @"),
        ("a ;", "has no marker behind the semicolon"),
        ("a; x", "is not understood"),
        ("a" * 300, "does not begin with a package's name"),
    ],
)
def test_requirements_that_are_not_understood(text: str, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        parse_requirement(text)


def test_a_marker_is_written_with_quotes_that_fit() -> None:
    for text in ("os_name == 'a\"b'", 'os_name != "it\'s"', "'x' not in os_name"):
        assert str(parse_marker(text)) == text


def test_names() -> None:
    assert normal_name("Zope.Interface__x-Y") == "zope-interface-x-y"
    assert [name for name in ("a", "A.b_c-9", "-a", "a-", "a/b", "..", "", "a b", "é") if is_name(name)] == [
        "a",
        "A.b_c-9",
    ]


@pytest.mark.parametrize("text", ["a " + "(" * 20_000, "a" + "[" * 40_000, "a;" + " " * 40_000, "a" + "-" * 49_000])
def test_hostile_requirements_take_linear_time(text: str) -> None:
    def refused() -> None:
        with pytest.raises(ValueError, match=r"is no|does not begin|is not understood|no marker"):
            parse_requirement(text)

    within(1, refused)
