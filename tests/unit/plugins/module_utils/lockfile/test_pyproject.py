# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading pyproject.toml."""

from __future__ import annotations

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pep508 import parse_requirement
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pyproject import (
    Origins,
    Project,
    parse_manifest,
)

FULL = """
[project]
name = "Shop_App"
version = "1.0"
description = "does not decide"
requires-python = ">=3.9"
dependencies = ["Foo.Bar[x]>=1,<2", "b; os_name == 'nt'", "b>1; os_name != 'nt'", "c @ https://host/c.whl"]

[project.optional-dependencies]
Fast_one = ["d"]

[dependency-groups]
Dev = ["e", { include-group = "li_nt" }]
li-nt = ["f>=1"]

[build-system]
requires = ["hatchling"]

[tool.uv]
publish-url = "https://host/upload"
dev-dependencies = ["g"]
dependency-groups = { li_nt = { requires-python = ">=3.12" } }

[tool.uv.workspace]
members = ["packages/*"]
exclude = ["packages/old"]

[tool.other]
x = 1
"""

UNKNOWN = "project.dependencies: the marker \" x == 'y'\" has the variable 'x', which is unknown"
COMPARED = "project.dependencies: a marker compares extra by '>'; only == and != are understood"


def refusal(text: str) -> str:
    with pytest.raises(ApphostError) as caught:
        parse_manifest(text.encode(), "app/pyproject.toml")
    return caught.value.message


def test_a_manifest() -> None:
    manifest = parse_manifest(FULL.encode(), "app/pyproject.toml")

    assert (manifest.name, manifest.version, manifest.path) == ("Shop_App", "1.0", "app/pyproject.toml")
    assert manifest.requirements.dependencies == {
        "foo-bar": ">=1,<2",
        "b": "*; os_name == 'nt' | >1; os_name != 'nt'",
        "c": "https://host/c.whl",
    }
    assert manifest.requirements.dev == {"e": "*", "f": ">=1; python_full_version >= '3.12'", "g": "*"}
    assert manifest.requirements.optional == {}
    assert manifest.workspaces == ("packages/*", "!packages/old")


def test_what_decides() -> None:
    deciding = parse_manifest(FULL.encode(), "x").deciding

    assert [*deciding] == ["project", "dependency-groups", "build-system", "uv"]
    assert [*deciding["project"]] == ["requires-python", "dependencies", "optional-dependencies"]
    assert [*deciding["uv"]] == ["dev-dependencies", "dependency-groups", "workspace"]
    renamed = (
        FULL.replace('"1.0"', '"2.0"').replace("does not decide", "x").replace("upload", "up").replace("x = 1", "")
    )
    assert parse_manifest(renamed.encode(), "x").deciding == deciding


def test_a_manifest_without_a_project() -> None:
    manifest = parse_manifest(b'[tool.black]\nline-length = 120\n[dependency-groups]\ndev = ["a"]\n', "x")

    assert (manifest.name, manifest.version, manifest.workspaces) == (None, None, ())
    assert (manifest.requirements.dependencies, manifest.requirements.dev) == ({}, {"a": "*"})


def test_a_group_may_narrow_the_versions_of_python() -> None:
    groups = Project(parse_manifest(FULL.encode(), "x")).groups()

    assert {name: [str(asked.marker) for asked in group] for name, group in groups.items()} == {
        "dev": ["None", "python_full_version >= '3.12'", "None"],
        "li-nt": ["python_full_version >= '3.12'"],
    }


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "is empty"),
        ("[project", "is no TOML: expected ] after the table's name (line 1, column 9)"),
        ("project = 1", "project is no object"),
        ("[project]\nname = 1", "project.name is no string"),
        ('[project]\ndependencies = "a"', "project.dependencies is no list of requirements"),
        ("[project]\ndependencies = [1]", "project.dependencies is no list of requirements"),
        ('[project]\ndependencies = ["../a"]', "project.dependencies: '../a' does not begin with a package's name"),
        ('[project]\ndependencies = ["a[b/c]"]', "project.dependencies: 'a[b/c]' has an extra that is no name"),
        ('[project]\ndependencies = ["a @"]', "project.dependencies: 'a @' has no address behind the @"),
        ('[project]\ndependencies = ["a ;"]', "project.dependencies: 'a ;' has no marker behind the semicolon"),
        ('[project]\ndependencies = ["a 1"]', "project.dependencies: '1' is no condition on a version"),
        ("[project]\ndependencies = [\"a; x == 'y'\"]", UNKNOWN),
        ("[project]\ndependencies = [\"a; extra > 'b'\"]", COMPARED),
        ('[project.optional-dependencies]\nx = "a"', ""),
        ("[dependency-groups]\nx = [{ y = 1 }]", "dependency-groups.x is no list of requirements"),
        ("[dependency-groups]\nx = 1", "dependency-groups.x is no list of requirements"),
        ('[dependency-groups]\n"a b" = []', "'a b' is no name of an extra or a group"),
        ('[dependency-groups]\nx = [{ include-group = "y" }]', "the dependency group y is not there"),
        ('[dependency-groups]\nx = [{ include-group = "X" }]', "the dependency group x includes itself"),
        ('[tool.uv]\nworkspace = { members = "a", exclude = 1 }', "tool.uv.workspace.exclude is no list of strings"),
        (
            '[tool.uv.dependency-groups]\nx = { requires-python = "3" }\n[dependency-groups]\nx = ["a"]',
            "tool.uv.dependency-groups.x.requires-python: '3' is no condition on a version",
        ),
    ],
)
def test_odd_manifests(text: str, what: str) -> None:
    if what:
        assert refusal(text) == f"app/pyproject.toml: {what}. Mend the file."
    else:
        with pytest.raises(ApphostError, match=r"project.optional-dependencies.x is no list of requirements"):
            Project(parse_manifest(text.encode(), "x")).extras()


def test_groups_that_include_each_other_without_end() -> None:
    groups = "".join(f'g{index} = [{{ include-group = "g{index + 1}" }}]\n' for index in range(3000))

    assert "is no list of requirements" in refusal(f"[dependency-groups]\n{groups}")


def test_markers_without_end() -> None:
    deep = f"a; {'(' * 300}os_name == 'x'{')' * 300}"
    assert "is nested too deeply. Mend the file." in refusal(f'[project]\ndependencies = ["{deep}"]')

    table = f'tool.uv.sources.a = {{ index = "x", marker = "{"os_name " * 10_000}" }}'
    assert (
        sources(table)
        == "app/pyproject.toml: tool.uv.sources.a: a marker has more than 50000 characters. Mend the file."
    )


@pytest.mark.parametrize(
    ("table", "what"),
    [
        ("tool.uv.sources.a = 1", "tool.uv.sources.a is no table"),
        ("tool.uv.sources.a = {}", "tool.uv.sources.a has no source that is understood"),
        ("tool.uv.sources.a = { git = 1 }", "tool.uv.sources.a.git is no string"),
        (
            "tool.uv.sources.a = { index = 'x', marker = 'y' }",
            "tool.uv.sources.a: the marker 'y' is not understood",
        ),
    ],
)
def test_odd_sources(table: str, what: str) -> None:
    assert sources(table) == f"app/pyproject.toml: {what}. Mend the file."


def sources(table: str) -> str:
    """What is said about the sources of the package ``a``."""
    manifests = {"": parse_manifest(table.encode(), "app/pyproject.toml")}
    with pytest.raises(ApphostError) as caught:
        Origins("", manifests).asks(parse_requirement("a"))
    return caught.value.message
