# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said when an installation with pip or uv fails, and when the host lacks what these need."""

from __future__ import annotations

import json
import pathlib
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.installer import (
    InstallRequest,
    install_dependencies,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers import uv
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import Network, Registry, Shipped, Supply
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.policy import Policy

from ..world import World

HASH = "0" * 64
ENVIRONMENT = {"python_version": "3.11", "python_full_version": "3.11.2", "implementation_name": "cpython"}
PYPROJECT = '[project]\nname = "app"\nversion = "1"\nrequires-python = ">=3.9"\ndependencies = ["six==1.0"]\n'
LOCK = f"""\
version = 1
requires-python = ">=3.9"

[[package]]
name = "app"
version = "1"
source = {{ virtual = "." }}
dependencies = [{{ name = "six" }}]

[package.metadata]
requires-dist = [{{ name = "six", specifier = "==1.0" }}]

[[package]]
name = "six"
version = "1.0"
source = {{ registry = "https://pypi.org/simple" }}
wheels = [
    {{ url = "https://files.pythonhosted.org/packages/six-1.0-py3-none-any.whl", hash = "sha256:{HASH}" }},
]
"""


class Host:
    """An app with one dependency, and a Python, a pip and a uv that only pretend. What fails is named by its words."""

    def __init__(self, world: World, manager: str) -> None:
        self.world = world
        self.manager = manager
        self.app = world.base / "python-app"
        self.app.mkdir()
        if manager == "pip":
            (self.app / "requirements.txt").write_text(f"six==1.0 --hash=sha256:{HASH}\n")
        else:
            (self.app / "pyproject.toml").write_text(PYPROJECT)
            (self.app / "uv.lock").write_text(LOCK)
        for name in ("python3", "uv"):
            (world.base / name).write_text("")
            (world.base / name).chmod(0o755)
        self.python = str(world.base / "python3")
        self.uv = str(world.base / "uv")
        #: What the Python prints about itself.
        self.inspected = "\n".join([json.dumps(ENVIRONMENT), "cpython-311", self.python, "23.0", "/pip.whl/pip"])
        self.uv_version = "uv 0.9.7\n"
        #: What fails (``venv``, ``install``, ``finish``) -> its words.
        self.failing: dict[str, str] = {}
        self.installed = "six-1.0"

    def __call__(self, argv: list[str]) -> tuple[int, str, str]:
        if argv == [self.uv, "--version"]:
            return 0, self.uv_version, ""
        project = next((pathlib.Path(word[8:]) for word in argv if word.startswith("--chdir=")), None)
        if project is None:
            return (0, self.inspected, "") if argv[0] == self.python else (0, "", "")
        step = "venv" if "venv" in argv else "finish" if "-c" in argv else "install"
        if step in self.failing:
            return 1, "", self.failing[step]
        if step == "install":
            folder = project / ".venv/lib/python3.11/site-packages" / f"{self.installed}.dist-info"
            folder.mkdir(parents=True)
            name, _dash, version = self.installed.partition("-")
            (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            (folder / "RECORD").write_text("")
        return 0, "", ""

    def failure(self, **more: t.Any) -> str:
        request = InstallRequest(
            folder=str(self.app),
            store=str(self.world.store),
            **{"python": self.python, "manager_path": self.uv if self.manager == "uv" else None, **more},
        )
        with pytest.raises(ApphostError) as caught:
            install_dependencies(request, self)
        return caught.value.message.replace(str(self.world.base), "")


def test_a_python_that_is_not_there(world: World) -> None:
    words = Host(world, "pip").failure(python="/nowhere/python3")

    assert words == "/nowhere/python3: is not there or not executable. Install Python (python3), or name another."


@pytest.mark.parametrize("printed", ["", "[]", "No module named 'json'", json.dumps(ENVIRONMENT)])
def test_a_python_that_is_none(world: World, printed: str) -> None:
    host = Host(world, "pip")
    host.inspected = printed

    assert host.failure().startswith(f"/python3: does not say what it is: {printed}")


def test_registries_of_python_have_no_scopes(world: World) -> None:
    network = Network(registries=(Registry("https://pypi.example.com/simple", scope="@acme"),))

    words = Host(world, "pip").failure(network=network)

    assert words == (
        "/python-app/requirements.txt: the registry https://pypi.example.com/simple is for the scope @acme. "
        "Packages of Python have no scopes."
    )


def test_an_archive_of_the_project(world: World) -> None:
    host = Host(world, "pip")
    (host.app / "requirements.txt").write_text(f"./six-1.0-py3-none-any.whl --hash=sha256:{HASH}\n")

    words = host.failure(policy=Policy(allow_sources=("six",)))

    assert "six@1.0 is a local folder or archive, at ./six-1.0-py3-none-any.whl. Publish it in an index" in words


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("venv", "/python3: cannot make .venv: No module named venv. Install python3-venv on the host."),
        ("finish", ".venv: cannot be made to work elsewhere: No module named venv. Look for a package that brings"),
    ],
)
def test_an_environment_that_cannot_be_made(world: World, step: str, words: str) -> None:
    host = Host(world, "pip")
    host.failing[step] = "No module named venv\n"

    assert host.failure().startswith(words)


def test_authorities_that_are_not_there(world: World) -> None:
    words = Host(world, "pip").failure(network=Network(ca_file="/nowhere/ca.pem"))

    assert words == "/nowhere/ca.pem: cannot be read (No such file or directory). Put it there, or change ca_file."


def test_a_token_with_a_space(world: World) -> None:
    registry = Registry("https://pypi.example.com/simple", token="secret token")

    words = Host(world, "pip").failure(network=Network(registries=(registry,)))

    assert words == "the token for pypi.example.com has a space in it. Look where it comes from."


def test_something_else_was_installed(world: World) -> None:
    host = Host(world, "pip")
    host.installed = "evil-6.6"

    assert (
        "what pip installed is not what the lockfile says: evil@6.6 is not in the lockfile; six@1.0 is missing"
        in host.failure()
    )


@pytest.mark.parametrize(("name", "value"), [("signatures", True), ("audit", "high")])
def test_what_pip_cannot_check(world: World, name: str, value: t.Any) -> None:
    words = Host(world, "pip").failure(supply=Supply(**{name: value}))

    assert words.startswith(f"supply.{name}: pip has no way to check this. Leave it out")


def test_a_python_without_pip(world: World) -> None:
    host = Host(world, "pip")
    host.inspected = host.inspected.replace("23.0\n/pip.whl/pip", "\n")

    assert host.failure() == (
        "/python-app/requirements.txt: /python3 has no pip. Install python3-pip or python3-venv on the host."
    )


def test_pip_cannot_be_offline(world: World) -> None:
    host = Host(world, "pip")
    words = host.failure(network=Network(offline=True))

    assert "pip asks its index even for what is in its cache. Give the archives as a packed set." in words
    # Who does not build asks nobody; what was shipped is looked at next.
    shipped = Shipped(str(world.base / "tree.tar"), "0" * 64)
    assert "tree.tar" in host.failure(network=Network(offline=True), shipped=shipped)


@pytest.mark.parametrize(
    ("manager", "said", "words"),
    [
        (
            "pip",
            "ERROR: No matching distribution found for six==1.0\n",
            "pip install, /python-app/requirements.txt: there is no ready-made archive of six==1.0 for this host",
        ),
        (
            "uv",
            "error: Distribution `six==1.0 @ registry+x` can't be installed because it is marked as `--no-build`",
            "uv sync, /python-app/uv.lock: six has no ready-made archive for this host, and building it would run",
        ),
    ],
)
def test_nothing_ready_made(world: World, manager: str, said: str, words: str) -> None:
    host = Host(world, manager)
    host.failing["install"] = said

    assert host.failure().startswith(words)


def test_a_host_without_uv(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uv, "PLACES", ("/nowhere/one/uv", "/nowhere/two/uv"))

    words = Host(world, "uv").failure(manager_path=None)

    assert words == (
        "/python-app/uv.lock: uv is not at /nowhere/one/uv or /nowhere/two/uv. "
        "Install it on the host, or set manager_path."
    )


def test_a_uv_that_is_none(world: World) -> None:
    host = Host(world, "uv")
    host.uv_version = "something else\n"

    assert (
        host.failure() == "/uv: does not say its version: something else. Install uv on the host, or set manager_path."
    )
