# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding and checking the lockfile of a Python app: recorded projects as a whole, through the policy."""

from __future__ import annotations

import pathlib
import shutil

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.policy import Policy
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.reader import Project, checked_project

FIXTURES = pathlib.Path(__file__).parent / "fixtures"


@pytest.fixture
def app(tmp_path: pathlib.Path) -> pathlib.Path:
    shutil.copy(FIXTURES / "uv/single/pyproject.toml", tmp_path)
    shutil.copy(FIXTURES / "uv/single/r5.lock", tmp_path / "uv.lock")
    return tmp_path


def check(folder: pathlib.Path, policy: Policy | None = None) -> Project:
    found = checked_project(str(folder), "auto", policy or Policy())
    assert found
    return found


def refusal(folder: pathlib.Path, policy: Policy | None = None) -> str:
    with pytest.raises(ApphostError) as caught:
        check(folder, policy)
    return caught.value.message.replace(f"{folder}/", "").replace(str(folder), ".")


def test_uv(app: pathlib.Path) -> None:
    project = check(app)

    assert (project.lockfile.manager, {*project.files}) == ("uv", {"uv.lock", "pyproject.toml"})
    assert [*project.manifests] == [""]


def test_uv_out_of_step(app: pathlib.Path) -> None:
    manifest = app / "pyproject.toml"
    manifest.write_text(manifest.read_text().replace("docopt==0.6.2", "docopt==0.6.1"))

    assert refusal(app) == (
        "pyproject.toml: pyproject.toml asks for docopt==0.6.1, uv.lock was made for docopt==0.6.2. "
        "Run uv lock with a current uv and commit uv.lock."
    )


def test_uv_from_another_registry(app: pathlib.Path) -> None:
    lock = app / "uv.lock"
    lock.write_text(lock.read_text().replace("https://files.pythonhosted.org/", "https://files.example.org/"))

    assert "is fetched from files.example.org, which is none of the allowed registries" in refusal(app)
    assert check(app, Policy(allowed_hosts=("files.example.org", "pypi.org"))).lockfile.manager == "uv"


def test_a_workspace_whose_sources_are_allowed_by_name(tmp_path: pathlib.Path) -> None:
    shutil.copytree(FIXTURES / "uv/workspace", tmp_path, dirs_exist_ok=True)
    named = ("from-git", "outside", "sniffio", "h11")

    project = check(tmp_path, Policy(allow_sources=named))

    assert [*project.manifests] == ["", "packages/core", "packages/tools"]
    for name in named:
        others = tuple(other for other in named if other != name)
        assert f"{name}@" in refusal(tmp_path, Policy(allow_sources=others))


def test_pip(tmp_path: pathlib.Path) -> None:
    shutil.copy(FIXTURES / "pip/uvexport.txt", tmp_path / "requirements.txt")

    project = check(tmp_path)

    assert (project.lockfile.manager, project.files, project.manifests) == ("pip", ("requirements.txt",), {})


def test_pip_without_hashes(tmp_path: pathlib.Path) -> None:
    (tmp_path / "requirements.txt").write_text("flask>=2\n")

    assert refusal(tmp_path).startswith(
        "requirements.txt: line 1 asks for flask without a --hash. Make it with pip-compile"
    )


def test_requirements_of_an_app_of_node(tmp_path: pathlib.Path) -> None:
    (tmp_path / "requirements.txt").write_text("sphinx\n")
    (tmp_path / "package.json").write_text("{}")
    assert checked_project(str(tmp_path)) is None

    (tmp_path / "package.json").write_text('{"dependencies": {"express": "5"}}')
    assert "has dependencies, but no lockfile (package-lock.json" in refusal(tmp_path)
    with pytest.raises(ApphostError, match="line 1 asks for sphinx"):
        checked_project(str(tmp_path), "pip")


def test_two_lockfiles(app: pathlib.Path) -> None:
    """One that only has the name of a lockfile does not count."""
    (app / "requirements.txt").write_text("flask>=2\n")
    assert check(app).lockfile.manager == "uv"

    shutil.copy(FIXTURES / "pip/uvexport.txt", app / "requirements.txt")
    assert refusal(app).startswith(".: has lockfiles of several package managers: uv.lock, requirements.txt")


def test_a_project_without_a_lockfile(app: pathlib.Path) -> None:
    (app / "uv.lock").unlink()

    assert "has dependencies, but no lockfile (uv.lock, requirements.txt)" in refusal(app)
