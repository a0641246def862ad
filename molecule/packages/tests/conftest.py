# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of this scenario share: the apps, installed on the host by the module, and programs that use them."""

from __future__ import annotations

import json
import tarfile
import typing as t
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.install import lock_large
from devtools.lab import inventory
from devtools.lab.modules import AppHost, Ran
from devtools.paths import ROOT

APPS = ROOT / "molecule" / "packages" / "apps"
RUNTIME = "/opt/apphost/runtimes/nodejs/24.21.0"

#: Loads everything that the large project asks for; what is no library is looked up.
LOAD_ALL = """
const { dependencies } = require('./package.json');
const programs = ['webpack-dev-server', 'webpack-cli', 'mocha'];
require('reflect-metadata');
const loaded = Object.keys(dependencies).map((name) => programs.includes(name) ? require.resolve(name) : require(name));
const { code } = require('@babel/core').transformSync('<b/>', { presets: ['@babel/preset-react'] });
console.log(loaded.length, code);
"""
ASK_FLASK = """
import flask
app = flask.Flask("app")
app.get("/")(lambda: {"tracing": flask.__name__})
print(app.test_client().get("/").text.strip())
"""
FIND_UV = "import uv; print(uv.find_uv_bin().partition('/.venv/')[2])"


class Kind(t.NamedTuple):
    """An app of one package manager."""

    #: A program that uses what was installed, run in the app's folder, and what it prints.
    program: tuple[str, ...]
    prints: str
    #: A folder of a package that the program needs.
    needs: str
    #: How the packages are put there.
    manager: str
    options: dict[str, t.Any]


def _node(manager: str, needs: str = "node_modules/ms") -> Kind:
    program = (f"{RUNTIME}/bin/node", "/srv/apps/say.js")
    return Kind(program, '{"attributes":[]}', needs, manager, {"allow_scripts": ["fs-xattr"]})


KINDS = {
    # No program here: the one is deployed, the other killed.
    "shop": Kind((), "", "", "npm", {}),
    "hello": Kind((), "", "", "npm", {}),
    "large": Kind(
        (f"{RUNTIME}/bin/node", "-e", LOAD_ALL),
        '26 /*#__PURE__*/React.createElement("b", null);',
        "node_modules/lodash",
        "npm",
        {},
    ),
    "pnpm": _node("pnpm", "node_modules/.pnpm/ms@2.1.3/node_modules/ms"),
    "yarn-classic": _node("yarn"),
    "yarn-berry": _node("yarn"),
    "pip": Kind((".venv/bin/python", "-c", FIND_UV), "bin/uv", ".venv/lib/python3.11/site-packages/uv", "pip", {}),
    "uv": Kind(
        (".venv/bin/python", "-c", ASK_FLASK),
        '{"tracing":"flask"}',
        ".venv/lib/python3.11/site-packages/click",
        "uv",
        # It comes with the app of pip.
        {"manager_path": "/srv/apps/pip/.venv/bin/uv"},
    ),
}


class App:
    """An app on the host, of the kind that its name says, and what the module is told of it."""

    def __init__(self, host: AppHost, name: str, options: t.Mapping[str, t.Any]) -> None:
        self.host = host
        self.kind = KINDS[name.partition(":")[0]]
        self.folder = f"/srv/apps/{name.replace(':', '-')}"
        self.options = {"path": self.folder, "store": "/srv/apps/.store", **options, **self.kind.options}

    def install(self, check: bool = False, network: bool = True, **options: t.Any) -> Ran:
        """Run the module, which succeeds."""
        ran = self.host.install({**self.options, **options}, check, network=network)
        print(ran.result, ran.started)
        assert not ran.result.get("failed"), ran.result["msg"]
        return ran

    def says(self) -> str:
        """What its program prints, which somebody runs who can change nothing."""
        return self.host.printed("env", f"--chdir={self.folder}", "setpriv", "--reuid=nobody", *self.kind.program)

    def files(self) -> list[str]:
        """Everything in the folder: path, inode, time, and target of a link."""
        return sorted(self.host.printed("find", self.folder, "-printf", r"%p %i %T@ %l\n").splitlines())


@pytest.fixture(scope="session")
def make_app(app_host: AppHost) -> Callable[[str], App]:
    """``make_app("pnpm:second")``: an app of that kind, not installed yet, on a host that knows none of them."""
    app_host.printed("rm", "-rf", "/srv/apps")
    lab = json.loads(inventory.path("molecule-packages").read_text())["all"]["vars"]
    node = {"runtime_root": RUNTIME, "registry": lab["apphost_npm_registry"]}

    def make(name: str) -> App:
        kind = name.partition(":")[0]
        options = {"ca_file": lab["apphost_ca_file"], **(node if kind not in ("pip", "uv") else {})}
        app = App(app_host, name, options)
        source = {"large": lock_large, "hello": lambda: ROOT / "examples" / "hello"}.get(kind, lambda: APPS / kind)()
        app_host.unpack(lambda tar: _add(tar, source, app.folder))
        return app

    app_host.unpack(lambda tar: tar.add(APPS / "say.js", "srv/apps/say.js"))
    return make


def _add(tar: tarfile.TarFile, source: Path, to: str) -> None:
    for path in sorted(source.rglob("*")):
        if path.is_file() and "node_modules" not in path.parts:
            tar.add(path, f"{to.lstrip('/')}/{path.relative_to(source)}")


class Installed(t.NamedTuple):
    """An app that is installed, and how that went."""

    app: App
    foreseen: Ran
    #: The files before and after it was foreseen.
    files: tuple[list[str], list[str]]
    ran: Ran


@pytest.fixture(scope="session", params=[name for name, kind in KINDS.items() if kind.program])
def installed(make_app: Callable[[str], App], request: pytest.FixtureRequest) -> Installed:
    """An app of every kind."""
    if request.param == "uv":
        make_app("pip").install()
    app = make_app(request.param)
    before = app.files()
    foreseen = app.install(check=True, network=False)
    return Installed(app, foreseen, (before, app.files()), app.install())
