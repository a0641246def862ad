# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said when an installation with yarn fails, whichever yarn it is, and when there is no yarn to be had."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import pathlib
import tarfile
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.installer import (
    InstallRequest,
    install_dependencies,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import Network

from ..world import World

INTEGRITY = f"sha512-{base64.b64encode(bytes(64)).decode()}"
CLASSIC = f"""\
# yarn lockfile v1


ms@2.1.3:
  version "2.1.3"
  resolved "https://registry.yarnpkg.com/ms/-/ms-2.1.3.tgz#574c8138ce1d2b5861f0b44579dbadd60c6615b2"
  integrity {INTEGRITY}
"""
BERRY = f"""\
__metadata:
  version: 8
  cacheKey: 10c0

"app@workspace:.":
  version: 0.0.0-use.local
  resolution: "app@workspace:."
  dependencies:
    ms: "npm:2.1.3"

"ms@npm:2.1.3":
  version: 2.1.3
  resolution: "ms@npm:2.1.3"
  checksum: 10c0/{"0" * 128}
"""
STATE = '__metadata:\n  version: 1\n\n"{}":\n  locations:\n    - "node_modules/ms"\n'
REMAKE = "Run yarn install and commit the lockfile."


class Host:
    """An app with one dependency, a runtime with this yarn in it, and a yarn and an npm that only pretend."""

    def __init__(self, world: World, version: str = "", **manifest: t.Any) -> None:
        self.world = world
        self.app = world.base / "yarn-app"
        self.app.mkdir()
        self.berry = not version.startswith("1.")
        (self.app / "package.json").write_text(
            json.dumps({"name": "app", "version": "1.0.0", "dependencies": {"ms": "2.1.3"}, **manifest})
        )
        (self.app / "yarn.lock").write_text(BERRY if self.berry else CLASSIC)
        if version:
            folder = world.runtime / "lib" / "node_modules" / "yarn"
            (folder / "bin").mkdir(parents=True)
            (folder / "package.json").write_text(json.dumps({"name": "yarn", "version": version}))
            (folder / "bin" / "yarn.js").write_text("")
            (world.runtime / "bin" / "yarn").symlink_to("../lib/node_modules/yarn/bin/yarn.js")
        self.version = version
        #: What yarn says went wrong; empty: nothing did.
        self.words = ""
        #: Makes the tree.
        self.make: t.Callable[[pathlib.Path], object] = lambda _project: None
        #: The archive that ``npm pack`` brings.
        self.archive: bytes | None = None

    def __call__(self, argv: list[str]) -> tuple[int, str, str]:
        project = next((pathlib.Path(word[8:]) for word in argv if word.startswith("--chdir=")), self.app)
        to = next((word.partition("=")[2] for word in argv if word.startswith("--pack-destination=")), None)
        if to and self.archive is not None:
            (project / to / "yarn.tgz").write_bytes(self.archive)
        elif any(word.endswith(("/bin/yarn", "/bin/yarn.js")) for word in argv):
            if self.words:
                return 1, json.dumps({"type": "error", "data": self.words}), ""
            self.make(project)
        return 0, "", ""

    def failure(self, **more: t.Any) -> str:
        version = self.version or None
        request = InstallRequest(
            folder=str(self.app),
            store=str(self.world.store),
            runtime_root=str(self.world.runtime),
            **{"manager_version": version, **more},
        )
        with pytest.raises(ApphostError) as caught:
            install_dependencies(request, self)
        return caught.value.message.replace(str(self.app), "app")


@pytest.mark.parametrize(("cpu", "refused"), [("x64", True), ("arm64", False)])
def test_a_package_for_one_platform_without_a_hash(world: World, cpu: str, refused: bool) -> None:
    host = Host(world, "4.6.0")
    lockfile = (host.app / "yarn.lock").read_text()
    checksum = next(line for line in lockfile.splitlines() if "checksum" in line)
    (host.app / "yarn.lock").write_text(lockfile.replace(checksum, f"  conditions: os=linux & cpu={cpu}"))
    # What comes after the checks.
    host.words = "Usage Error"

    assert ("ms@2.1.3 has no integrity hash, for yarn records none of" in host.failure()) is refused


@pytest.mark.parametrize(
    ("named", "words"),
    [
        (None, "app/package.json: names no version of yarn. Set packageManager in package.json"),
        ("yarn@4", "app/package.json: packageManager is 'yarn@4', no exact version. Write it as pnpm@10.33.0"),
        ("yarn@4.0.0+sha1.00", "packageManager is 'yarn@4.0.0+sha1.00', no exact version"),
        (4, "packageManager is '4', no exact version"),
        ("pnpm@10.33.0", "app/package.json: packageManager names pnpm, and the lockfile is one of yarn. Delete what"),
        ("yarn@1.22.22", "app/yarn.lock: yarn 1.22.22 does not read this lockfile; yarn 2 and later do. Change"),
    ],
)
def test_a_version_that_is_not_named_as_it_has_to_be(world: World, named: t.Any, words: str) -> None:
    assert words in Host(world, packageManager=named).failure()


def test_a_lockfile_of_yarn_1_and_another_yarn(world: World) -> None:
    host = Host(world, "1.22.22")

    assert "yarn 4.0.0 does not read this lockfile; yarn 1 does." in host.failure(manager_version="4.0.0")


def test_packed_is_not_for_yarn_4(world: World) -> None:
    words = Host(world, "4.18.1").failure(network=Network(packed="/packed"))

    assert words == "lockfile_install: packed is not for yarn 4. Use offline, or npm."


@pytest.mark.parametrize(
    ("version", "said", "words"),
    [
        ("1.22.22", "Your lockfile needs to be updated", f"the lockfile does not match package.json. {REMAKE}"),
        (
            "1.22.22",
            'ms@2.1.3: The engine "node" is incompatible with this module. Expected version ">=99".\nFound',
            'a package is not for this Node.js: ms@2.1.3: The engine "node" is incompatible with this module. Expected',
        ),
        ("1.22.22", "Can't make a request in offline mode", "the cache of this host lacks a package, and offline is"),
        ("4.18.1", "The lockfile would have been modified", f"the lockfile does not match package.json. {REMAKE}"),
        ("4.18.1", "Usage Error: nobody knows", "failed: Usage Error: nobody knows. See what it says about it"),
        ("4.18.1", "RequestError: connect ECONNREFUSED", "the registry cannot be reached (ECONNREFUSED). Check"),
    ],
)
def test_what_yarn_says(world: World, version: str, said: str, words: str) -> None:
    host = Host(world, version)
    host.words = said

    assert host.failure().startswith(f"yarn install, app/yarn.lock: {words}")


def package(project: pathlib.Path, name: str, **manifest: t.Any) -> None:
    folder = project / "node_modules" / name
    folder.mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps({"name": name, "version": "2.1.3", **manifest}))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda _project: None, "what yarn installed is not what the lockfile says: ms@2.1.3 is missing. Run again"),
        (lambda project: package(project, "evil"), "node_modules/evil is not in the lockfile; ms@2.1.3 is missing"),
        (
            lambda project: (project / "node_modules" / "empty").mkdir(parents=True),
            "node_modules/empty: is no package: it has no readable package.json. Run again",
        ),
    ],
)
def test_what_yarn_1_installed(world: World, make: t.Callable[[pathlib.Path], object], words: str) -> None:
    host = Host(world, "1.22.22")
    host.make = make

    assert words in host.failure()


@pytest.mark.parametrize(
    ("locator", "words"),
    [
        ("evil@npm:6.6.6", "evil@npm:6.6.6 is not in the lockfile; ms@npm:2.1.3 is missing. Run again; when it stays"),
        (None, "what yarn installed is not what the lockfile says: ms@npm:2.1.3 is missing"),
    ],
)
def test_what_yarn_4_installed(world: World, locator: str | None, words: str) -> None:
    def make(project: pathlib.Path) -> None:
        package(project, "ms")
        if locator:
            (project / "node_modules" / ".yarn-state.yml").write_text(STATE.format(locator))

    host = Host(world, "4.18.1")
    host.make = make

    assert words in host.failure()


def archive(program: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        member = tarfile.TarInfo("package/bin/yarn.js")
        member.size = len(program)
        tar.addfile(member, io.BytesIO(program))
    return file.getvalue()


def test_npm_brings_no_archive(world: World) -> None:
    words = Host(world, packageManager="yarn@4.18.1").failure()

    assert words.startswith("app/yarn.lock: npm brought no archive of @yarnpkg/cli-dist@4.18.1. Install the runtime")


def test_an_archive_with_another_hash(world: World) -> None:
    wanted = hashlib.sha224(b"the real one").hexdigest()
    host = Host(world, packageManager=f"yarn@4.18.1+sha224.{wanted}")
    host.archive = archive(b"another one")
    found = hashlib.sha224(host.archive).hexdigest()

    assert host.failure() == (
        "app/package.json: yarn 4.18.1 from the registry has not the hash that packageManager names, "
        f"but sha224.{found[:16]}…. Find out whether the registry or the manifest is wrong before you go on."
    )

    # What corepack hashes is the program.
    host.archive = archive(b"the real one")
    assert "has not the hash" not in host.failure()
