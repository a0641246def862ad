# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Environments of Python packages: a host's own, and whether one tells two markers apart."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.environments import (
    PROGRAM,
    PythonTarget,
    same,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Package
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pep440 import parse_conditions
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pep508 import parse_marker
from packaging.markers import default_environment


def test_the_program_tells_what_pip_sees() -> None:
    printed = subprocess.run([sys.executable, "-I", "-c", PROGRAM], check=True, capture_output=True, text=True).stdout

    assert PythonTarget.of(printed).environment == default_environment()


@pytest.mark.parametrize("printed", ["", "[]", '{"os_name": 1}', "Traceback"])
def test_something_else_that_was_printed(printed: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(printed)}$"):
        PythonTarget.of(printed)


def test_a_package_fits_where_its_markers_hold() -> None:
    target = PythonTarget.of(json.dumps({"python_full_version": "3.11.7", "sys_platform": "linux"}))

    def fits(markers: str | None) -> bool:
        return target.fits(Package(path="a", name="a", version="1", markers=markers))

    assert fits(None)
    assert fits("python_full_version < '3.12' and sys_platform == 'linux'")
    assert not fits("sys_platform == 'win32' or extra == 'x'")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("python_version < '3.11'", "python_full_version < '3.11'"),
        ("python_version <= '3.9'", "python_full_version < '3.10'"),
        ("python_version == '3.10'", "python_full_version == '3.10.*'"),
        ("python_version in '3.10 3.12'", "python_full_version == '3.10.*' or python_full_version == '3.12.*'"),
        ("python_version != '3.10'", "python_full_version < '3.10' or python_full_version >= '3.11'"),
        ("platform_system == 'Windows'", "sys_platform == 'win32'"),
        ("platform_python_implementation != 'PyPy'", "implementation_name != 'pypy'"),
        ("os_name == 'a' and (os_name == 'b' or os_name == 'a')", "os_name == 'a'"),
        ("'linux' == sys_platform", "sys_platform == 'linux'"),
        ("sys_platform == 'x' and extra == 'y'", "extra == 'y' and sys_platform == 'x'"),
        ("python_version >= '3.8'", None),
        ("python_version < '3.9' and sys_platform == 'linux'", "python_version < '3.0'"),
        ("platform_machine != 'x86_64' or platform_machine == 'x86_64'", None),
        ("platform_release >= '20'", "'20' <= platform_release"),
    ],
)
def test_markers_that_say_the_same(one: str, other: str | None) -> None:
    within = parse_conditions(">=3.9")
    first, second = parse_marker(one), parse_marker(other) if other else None

    assert same(first, second, within)
    assert same(second, first, within)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("python_version < '3.11'", "python_full_version < '3.11.1'"),
        ("python_version < '3.11'", "python_version <= '3.11'"),
        ("python_version == '3.10'", "python_full_version == '3.10'"),
        ("python_version >= '3.10'", None),
        ("sys_platform == 'linux'", "sys_platform == 'linux2'"),
        ("sys_platform == 'linux'", "os_name == 'posix'"),
        ("sys_platform == 'linux'", "'linux' in sys_platform and sys_platform != 'linux'"),
        ("platform_machine == 'x86_64'", "platform_machine == 'x86_64' or platform_machine == 'aarch64'"),
        ("platform_machine == 'x86_64'", None),
        ("extra == 'a'", "extra == 'b'"),
        ("extra == 'a'", None),
        ("extra == 'a' or extra == 'b'", "extra == 'a'"),
        ("platform_release >= '20'", "platform_release > '20'"),
        ("platform_release >= '20'", None),
        ("implementation_version < '3.11'", "implementation_version < '3.12'"),
        ("implementation_version > '3.11'", "implementation_version >= '3.12'"),
        ("python_full_version >= '3.13.0rc1'", "python_full_version >= '3.13'"),
        ("implementation_name == 'cpython'", "implementation_name != 'pypy'"),
    ],
)
def test_markers_that_some_environment_tells_apart(one: str, other: str | None) -> None:
    within = parse_conditions(">=3.9")
    first, second = parse_marker(one), parse_marker(other) if other else None

    assert not same(first, second, within)
    assert not same(second, first, within)


@pytest.mark.parametrize("text", ["python_full_version >= '3.10'", "python_version >= '3'", "python_version < '4'"])
def test_pythons_of_every_kind_are_tried_without_bounds(text: str) -> None:
    assert not same(parse_marker(text), None)


def test_markers_with_too_many_combinations_count_as_different() -> None:
    variables = ("platform_machine", "platform_release", "platform_version", "implementation_name", "os_name")
    many = " and ".join(
        f"({' or '.join(f'{name} == {index!r}' for index in map(str, range(20)))})" for name in variables
    )

    assert same(parse_marker(many), parse_marker(many))
    assert not same(parse_marker(many), parse_marker(f"os_name == '1' and {many}"))
