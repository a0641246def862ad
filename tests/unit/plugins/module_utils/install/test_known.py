# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is remembered of a project saves reading it again, and never hides that its answer is another one now."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import time
import typing as t
import zipfile

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils import lockfile
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install import known, plan
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.installer import install_dependencies
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.plan import plan_installation
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import Bounds, Network, Registry, Supply
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.store import TreeStore
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile import reader
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.policy import Policy

from .world import World, failure, make_app


@pytest.fixture(name="read")
def fixture_read(world: World, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An installation was made; which lockfiles are read from then on."""
    install_dependencies(world.request(), world.npm)
    paths: list[str] = []

    def check_sources(sources: t.Any, policy: t.Any) -> t.Any:
        paths.append(sources.name)
        return reader.check_sources(sources, policy)

    monkeypatch.setattr(plan, "check_sources", check_sources)
    return paths


def no_run(argv: list[str]) -> tuple[int, str, str]:
    raise AssertionError(argv)


def test_an_unchanged_project_is_not_read_again(world: World, read: list[str]) -> None:
    again = install_dependencies(world.request(), no_run)
    elsewhere = install_dependencies(world.request(make_app(world.base / "other")), no_run)

    assert (again.changed, again.manager, again.manager_version) == (False, "npm", "11.19.1")
    assert (elsewhere.changed, elsewhere.from_cache, elsewhere.identity) == (True, True, again.identity)
    assert read == []


def test_the_next_release_of_an_app_is_not_read_again(world: World, read: list[str]) -> None:
    replaced("app/package.json", '"version": "1.0.0"', '"version": "1.0.1"')(world)

    assert plan_installation(world.request(), no_run)
    assert read == []


def test_only_we_can_read_it(world: World, read: list[str]) -> None:
    folder = world.store / "known"

    assert folder.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in folder.iterdir()] == [0o600]


def test_what_is_gone_from_the_store_is_built_as_the_lockfile_says(world: World, read: list[str]) -> None:
    first = install_dependencies(world.request(), no_run).identity
    (world.app / "node_modules/.apphost-tree.json").unlink()
    TreeStore(str(world.store), None).sweep(Bounds(1000, max_bytes=0))

    result = install_dependencies(world.request(), world.npm)

    assert (result.from_cache, result.identity) == (False, first)
    assert read == ["package-lock.json"]


def replaced(path: str, old: str, new: str) -> t.Callable[[World], object]:
    def change(world: World) -> None:
        file = world.base / path
        text = file.read_text() if file.exists() else ""
        assert old in text
        file.write_text(text.replace(old, new))

    return change


HEADER = "runtime/include/node/node_version.h"
CHANGES: dict[str, t.Callable[[World], object]] = {
    "lockfile": replaced("app/package-lock.json", '"version": "1.0.0"', '"version": "1.0.1"'),
    "manifest": replaced("app/package.json", '"private": true', '"private": false'),
    "settings of the artifact": replaced("app/.npmrc", "", "legacy-peer-deps=true"),
    "runtime": replaced(HEADER, "PATCH_VERSION 2", "PATCH_VERSION 3"),
    "npm": replaced("runtime/lib/node_modules/npm/package.json", "11.19.1", "11.19.2"),
    "the program node": lambda world: os.utime(world.base / "runtime/bin/node", (1, 1)),
    "what is remembered": lambda world: [path.write_text("{}") for path in (world.store / "known").iterdir()],
    "half of what is remembered": lambda world: [
        path.write_text(path.read_text()[:50]) for path in (world.store / "known").iterdir()
    ],
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_the_answer_depends_on_has_it_read_again(world: World, read: list[str], change: str) -> None:
    CHANGES[change](world)

    assert plan_installation(world.request(), no_run)
    assert read == ["package-lock.json"]


@pytest.mark.parametrize(
    "options",
    [
        {"allow_scripts": ("sharp",)},
        {"policy": Policy(allowed_hosts=("npm.example.com", "registry.npmjs.org"))},
        {"network": Network((Registry("https://npm.example.com/"),))},
        {"network": Network(packed="/set.tar")},
        {"check_engines": False},
        {"trust_project_config": True},
        {"supply": Supply(audit="high")},
        {"manager": "npm"},
    ],
    ids=lambda options: next(iter(options)),
)
def test_other_options_have_it_read_again(world: World, read: list[str], options: dict[str, t.Any]) -> None:
    assert plan_installation(world.request(**options), no_run)

    assert read == ["package-lock.json"]


def test_options_that_decide_nothing_do_not(world: World, read: list[str]) -> None:
    network = Network(ca_file="/ca.pem", proxy="http://proxy:3128")

    assert plan_installation(world.request(network=network, max_size=10**9, verify_full=True, timeout=1), no_run)
    assert read == []


def test_other_code_has_it_read_again(world: World, read: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A newer collection may judge in another way."""
    before = known._code()
    real = pathlib.Path.read_bytes

    class Loader:
        def get_data(self, path: str) -> bytes:
            content = real(pathlib.Path(path))
            return content + b"# stricter" if path.endswith("/policy.py") else content

    monkeypatch.setattr(lockfile, "__loader__", Loader())

    assert known._code() != before
    assert plan_installation(world.request(), no_run)
    assert read == ["package-lock.json"]


def test_a_project_that_must_not_be_installed_is_not_remembered(world: World) -> None:
    replaced("app/package.json", '">=20"', '">=99"')(world)

    for _turn in range(2):
        assert "the app is for Node.js >=99, its runtime is 20.20.2" in failure(world)
    assert not (world.store / "known").exists()


def test_check_mode_remembers_nothing(world: World) -> None:
    assert plan_installation(world.request(), no_run)

    assert not world.store.exists()


def test_old_answers_are_forgotten(world: World, read: list[str]) -> None:
    store = TreeStore(str(world.store), None)
    answer = next((world.store / "known").iterdir())
    store.sweep(Bounds(1000))
    assert answer.exists()
    os.utime(answer, (time.time() - 2000, time.time() - 2000))
    store.sweep(Bounds(1000))

    assert not answer.exists()


def test_a_policy_that_became_stricter(world: World) -> None:
    path = world.app / "package-lock.json"
    path.write_text(path.read_text().replace('"sha512-6Flz', '"sha1-6Flz'))
    allowing = world.request(policy=Policy(allow_weak_integrity=("*",)))
    assert plan_installation(allowing, no_run)

    with pytest.raises(ApphostError, match=r"ms@2\.1\.3 has only a weak integrity hash"):
        plan_installation(world.request(), no_run)


def test_out_of_a_zip(tmp_path: pathlib.Path) -> None:
    """Ansible sends a module with all it needs as one."""
    package = pathlib.Path(next(iter(lockfile.__path__))).parent
    path = tmp_path / "payload.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in package.rglob("*.py"):
            archive.write(file, f"module_utils/{file.relative_to(package)}")
    program = (
        "import importlib.util, sys; sys.path.insert(0, sys.argv[1]);"
        "from module_utils import install, lockfile; from module_utils.install import managers;"
        "import types; known = types.ModuleType('known');"
        "source = lockfile.__loader__.get_data(sys.argv[1] + '/module_utils/install/known.py').decode();"
        "body = source[source.index('def _code'):source.index('def recall')];"
        "import hashlib, os, pkgutil, typing as t;"
        "exec('from __future__ import annotations\\n' + body); print(_code())"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == known._code()
