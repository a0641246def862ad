# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said when an installation with pnpm fails."""

from __future__ import annotations

import json
import pathlib
import shutil
import time
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.installer import (
    InstallRequest,
    install_dependencies,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.pnpm_words import printed
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.scripts import lacks_tools, reason
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import Network
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.policy import Policy

from ..world import World, make_runtime

HASH = "sha512-" + "A" * 86 + "=="
REMAKE = "Run pnpm install and commit the lockfile."


def lockfile(name: str, version: str, resolution: dict[str, str]) -> str:
    """One that asks for one package; JSON is YAML."""
    locator = f"{name}@{version}"
    return json.dumps(
        {
            "lockfileVersion": "9.0",
            "importers": {".": {"dependencies": {name: {"specifier": version, "version": version}}}},
            "packages": {locator: {"resolution": resolution}},
            "snapshots": {locator: {}},
        }
    )


class Host:
    """An app with one dependency, and a runtime with a pnpm that only pretends."""

    def __init__(self, world: World, version: str = "10.33.0") -> None:
        self.world = world
        self.app = world.base / "pnpm-app"
        self.app.mkdir()
        self.write("ms", "2.1.3", {"integrity": HASH})
        folder = world.runtime / "lib" / "node_modules" / "pnpm"
        (folder / "bin").mkdir(parents=True)
        (folder / "package.json").write_text(json.dumps({"name": "pnpm", "version": version}))
        (folder / "bin" / "pnpm.cjs").write_text("")
        (world.runtime / "bin" / "pnpm").symlink_to("../lib/node_modules/pnpm/bin/pnpm.cjs")
        self.version = version
        #: What pnpm says went wrong: code and message.
        self.error: tuple[str, str] | None = None
        #: What it ends with, without a word.
        self.status = 0
        self.calls: list[list[str]] = []
        #: Makes the tree.
        self.make: t.Callable[[pathlib.Path], object] = lambda _project: None

    def write(self, name: str, version: str, resolution: dict[str, str]) -> None:
        (self.app / "package.json").write_text(json.dumps({"name": "app", "dependencies": {name: version}}))
        (self.app / "pnpm-lock.yaml").write_text(lockfile(name, version, resolution))

    def __call__(self, argv: list[str]) -> tuple[int, str, str]:
        project = next((pathlib.Path(word[8:]) for word in argv if word.startswith("--chdir=")), None)
        self.calls.append(argv)
        if project and self.status:
            return self.status, "", ""
        if project and self.error:
            return 1, json.dumps({"level": "error", "code": self.error[0], "message": self.error[1]}), ""
        if project:
            self.make(project)
        return 0, "", ""

    def failure(self, **more: t.Any) -> str:
        request = InstallRequest(
            folder=str(self.app),
            store=str(self.world.store),
            runtime_root=str(self.world.runtime),
            manager_version=self.version,
            **more,
        )
        with pytest.raises(ApphostError) as caught:
            install_dependencies(request, self)
        return caught.value.message.replace(str(self.app), "app")


@pytest.mark.parametrize(
    ("version", "runtime", "limit", "trusted", "tries"),
    [("10.33.0", "20.20.2", "300", False, 2), ("11.0.0", "24.21.0", "900", True, 1)],
)
def test_a_pnpm_that_hangs(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    version: str,
    runtime: str,
    limit: str,
    trusted: bool,
    tries: int,
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    shutil.rmtree(world.runtime)
    make_runtime(world.runtime, version=runtime)
    host = Host(world, version)
    # What timeout(1) ends with.
    host.status = 124

    words = host.failure()

    installs = [argv for argv in host.calls if "install" in argv]
    assert len(installs) == tries
    for argv in installs:
        assert argv[argv.index("timeout") + 2] == limit
        # Without it pnpm 11 asks the registry about every entry; before, pnpm does not know it.
        assert ("--trust-lockfile" in argv) is trusted
    # pnpm 8 to 10 wait for the rest of an archive without end; with others something else hangs.
    if trusted:
        assert words.startswith("pnpm.cjs: did not end within 900 s. See whether the registry")
    else:
        assert "the registry breaks off in the middle of a package (ECONNRESET). It was tried again" in words


def test_packed_is_not_for_pnpm(world: World) -> None:
    words = Host(world).failure(network=Network(packed="/packed"))

    assert words == "lockfile_install: packed is not for pnpm 10.33.0. Use offline, or npm."


def test_pnpm_11_needs_another_runtime(world: World) -> None:
    words = Host(world, "11.0.0").failure()

    assert words.startswith("app/package.json: pnpm 11.0.0 needs Node.js 22, the runtime is 20.20.2. Change")


def test_a_folder_that_pnpm_would_copy(world: World) -> None:
    host = Host(world)
    (host.app / "lib").mkdir()
    (host.app / "lib" / "package.json").write_text('{"name": "lib"}')
    host.write("lib", "file:lib", {"directory": "lib", "type": "directory"})

    words = host.failure(policy=Policy(allow_sources=("lib",)))

    assert "is a copy of the folder lib. Make it a link: of the folder, or a workspace" in words


@pytest.mark.parametrize(
    ("code", "message", "words"),
    [
        (
            "ERR_PNPM_OUTDATED_LOCKFILE",
            "Cannot install",
            f"the lockfile does not match package.json: ERR_PNPM_OUTDATED_LOCKFILE Cannot install. {REMAKE}",
        ),
        (
            "ERR_PNPM_UNSUPPORTED_ENGINE",
            "Unsupported engine",
            "a package is not for this Node.js: ERR_PNPM_UNSUPPORTED_ENGINE Unsupported engine. Change the runtime's",
        ),
        ("ERR_PNPM_FETCH_401", "status code 401", "the registry refuses access (401). Check the registry token."),
    ],
)
def test_what_pnpm_says(world: World, code: str, message: str, words: str) -> None:
    host = Host(world)
    host.error = (code, message)

    assert host.failure().startswith(f"pnpm install, app/pnpm-lock.yaml: {words}")


def making(name: str, version: str, own_version: str) -> t.Callable[[pathlib.Path], object]:
    """Installs one package."""

    def make(project: pathlib.Path) -> None:
        store = project / "node_modules" / ".pnpm"
        folder = store / f"{name}@{version}" / "node_modules" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text(json.dumps({"name": name, "version": own_version}))
        (store / "lock.yaml").write_text(lockfile(name, version, {"integrity": HASH}))
        (project / "node_modules" / ".modules.yaml").write_text("{}")

    return make


def test_a_package_that_is_another_one(world: World) -> None:
    host = Host(world)
    host.make = making("ms", "2.1.3", "2.0.0")

    assert "/ms is ms@2.0.0, the lockfile has ms@2.1.3. Run again; when it stays so" in host.failure()


def test_what_pnpm_installed(world: World) -> None:
    host = Host(world)
    host.make = making("evil", "6.6.6", "6.6.6")

    assert (
        "what pnpm installed is not what the lockfile says: evil@6.6.6 is not in the lockfile; ms@2.1.3 is missing"
        in host.failure()
    )


def test_why_a_script_failed_is_in_what_it_printed() -> None:
    """As pnpm 12.21.0 says it, with the lines of node-gyp 12.4.0 (2026-11-21)."""
    common = {"name": "pnpm:lifecycle", "level": "debug", "depPath": "fs-xattr@0.3.1", "stage": "install"}
    failed = {
        "name": "pnpm",
        "level": "error",
        "code": "ERR_PNPM_EXECUTOR_LIFECYCLE_SCRIPT_FAILED",
        "message": "status: 1",
    }
    lines = [
        "  CC(target) Release/error.o",
        "gyp info it worked if it ends with ok",
        "gyp ERR! stack Error: not found: make",
        "gyp ERR! not ok",
    ]
    events = [{**common, "line": line, "stdio": "stderr"} for line in lines]
    out = "\n".join(map(json.dumps, [*events, {**common, "exitCode": 1}, failed]))

    words = reason(printed(f"{out}\nno JSON"), "")

    assert words == "gyp ERR! stack Error: not found: make"
    assert lacks_tools(words)
