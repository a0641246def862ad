# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An app, a runtime and an npm that only pretends, for the installer's tests."""

from __future__ import annotations

import json
import pathlib
import shutil
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.installer import (
    InstallRequest,
    install_dependencies,
)

CI = ["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--json", "--prefer-offline"]
FIXTURES = pathlib.Path(__file__).parents[1] / "lockfile" / "fixtures"


class FakeNpm:
    """Stands for every program that is run: writes down argument lists, and does to the disk what npm would do."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        #: Answers of ``npm ci`` before it succeeds: npm's error object.
        self.failures: list[dict[str, str]] = []
        #: Answers to other commands: status and output.
        self.answers: dict[str, tuple[int, str]] = {}
        #: What the scratch folder held when npm ran: file -> content.
        self.seen: dict[str, str] = {}
        #: Makes the tree.
        self.make_tree = self.install
        #: Looks at the scratch project when npm runs; what it found.
        self.look: t.Callable[[pathlib.Path], dict[str, bytes]] = lambda _project: {}
        self.found: dict[str, bytes] = {}
        #: Changes the tree before npm "ends".
        self.meddle: t.Callable[[pathlib.Path], object] = lambda _tree: None

    @property
    def npm_calls(self) -> list[list[str]]:
        """What npm was told, without who runs it where."""
        return [call[self._program(call) + 1 :] for call in self.calls if self._program(call)]

    @staticmethod
    def _program(call: list[str]) -> int:
        return next((index for index, word in enumerate(call) if word.endswith("/bin/npm")), 0)

    def __call__(self, argv: list[str]) -> tuple[int, str, str]:
        self.calls.append(argv)
        program = self._program(argv)
        if not program:
            return 0, "", ""
        command = argv[program + 1]
        if command in self.answers:
            return (*self.answers[command], "")
        project = pathlib.Path(next(word for word in argv if word.startswith("--chdir=")).partition("=")[2])
        for name in ("package.json", "package-lock.json", ".npmrc", "../home/.npmrc"):
            self.seen[f"{command} {name}"] = (project / name).read_text()
        self.found = self.look(project)
        if self.failures:
            return 1, json.dumps({"error": self.failures.pop(0)}), "npm error something"
        tree = project / "node_modules"
        if command == "ci":
            self.make_tree(tree)
        self.meddle(tree)
        return 0, "{}", ""

    @staticmethod
    def install(tree: pathlib.Path) -> None:
        """What npm 11 installed for the recorded lockfile: the same list, with a file or two for each package."""
        hidden = json.loads((FIXTURES / "hidden-lockfile.json").read_text())
        for path, entry in hidden["packages"].items():
            folder = tree.parent / path
            folder.mkdir(parents=True)
            (folder / "package.json").write_text(own_words(path, entry))
            (folder / "index.js").write_text("'use strict';\n")
        (tree / ".bin").mkdir()
        (tree / ".bin" / "semver").symlink_to("../semver/index.js")
        (tree / "semver" / "index.js").chmod(0o775)
        shutil.copy(FIXTURES / "hidden-lockfile.json", tree / ".package-lock.json")


def own_words(path: str, entry: dict[str, t.Any]) -> str:
    """What the package.json of an entry of npm's lockfile says."""
    name = entry.get("name") or path.rpartition("node_modules/")[2]
    return json.dumps({"name": name, "version": entry["version"]})


def make_app(folder: pathlib.Path) -> pathlib.Path:
    """The recorded project."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(FIXTURES / "package.json", folder / "package.json")
    shutil.copy(FIXTURES / "package-lock-v3.json", folder / "package-lock.json")
    return folder


def make_runtime(root: pathlib.Path, version: str = "20.20.2", abi: str = "115", npm: str = "11.19.1") -> pathlib.Path:
    """A Node.js as it is laid out on disk, without the programs."""
    major, minor, patch = version.split(".")
    header = root / "include" / "node" / "node_version.h"
    header.parent.mkdir(parents=True)
    header.write_text(
        f"#define NODE_MAJOR_VERSION {major}\n#define NODE_MINOR_VERSION {minor}\n#define NODE_PATCH_VERSION {patch}\n"
        f"# define NODE_MODULE_VERSION {abi}\n"
    )
    package = root / "lib" / "node_modules" / "npm"
    (package / "bin").mkdir(parents=True)
    (package / "package.json").write_text(json.dumps({"name": "npm", "version": npm}))
    (root / "bin").mkdir()
    for program in (root / "bin" / "node", package / "bin" / "npm-cli.js"):
        program.write_text("#!/bin/false\n")
        program.chmod(0o755)
    (root / "bin" / "npm").symlink_to("../lib/node_modules/npm/bin/npm-cli.js")
    return root


class World:
    """All of it below one folder."""

    def __init__(self, base: pathlib.Path) -> None:
        self.base = base
        self.app = make_app(base / "app")
        self.runtime = make_runtime(base / "runtime")
        self.store = base / "store"
        self.npm = FakeNpm()

    def request(self, folder: pathlib.Path | None = None, **more: t.Any) -> InstallRequest:
        where = {"folder": str(folder or self.app), "store": str(self.store), "runtime_root": str(self.runtime)}
        return InstallRequest(**{**where, **more})

    @property
    def trees(self) -> list[str]:
        """The identities in the store."""
        return sorted(path.name for path in (self.store / "trees").iterdir())

    @property
    def rubbish(self) -> list[str]:
        """What an installation must not leave."""
        beside = [path.name for path in self.app.iterdir() if path.name.startswith(".apphost")]
        return beside + [path.name for name in ("scratch", "locks") for path in (self.store / name).iterdir()]


def failure(world: World, request: InstallRequest | None = None) -> str:
    """The words of an installation that fails, without the world's own path."""
    with pytest.raises(ApphostError) as caught:
        install_dependencies(request or world.request(), world.npm)
    return caught.value.message.replace(str(world.base), "")
