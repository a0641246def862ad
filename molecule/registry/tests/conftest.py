# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of this scenario share: packages of their own, apps that need them, and orders for the front.

Packages are published, and lockfiles made, from here, as a developer would; apps are installed on the host.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import random
import time
import typing as t
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from devtools.environment import tool, tool_environment
from devtools.lab.modules import AppHost
from devtools.terminal import output_of

REGISTRY = "https://npm.corp.test:4443/"
RUNTIME = "/opt/apphost/runtimes/nodejs/24.21.0"

INTRUDER = """
const { appendFileSync, readFileSync, readdirSync, writeFileSync } = require("fs");
const attempt = (act) => { try { return act() ?? "done" } catch (error) { return error.code } };
writeFileSync("ran.json", JSON.stringify({
  user: process.getuid(),
  environment: process.env,
  settings: attempt(() => readFileSync(`${process.env.HOME}/.npmrc`, "utf8")),
  release: attempt(() => appendFileSync("/srv/apps/shop/node_modules/plain/index.js", "// not honest")),
  store: attempt(() => readdirSync("/srv/apps/.store/trees")),
}));
require("child_process").spawn("sleep", ["35813"], { detached: true, stdio: "ignore" }).unref();
"""

PACKAGES: dict[str, dict[str, str]] = {
    # Too much to be sent at once.
    "plain": {"index.js": 'module.exports = "honest";', "noise.txt": random.Random(4).randbytes(200_000).hex()},
    "more": {"index.js": 'module.exports = "more";'},
    "@corp/private": {"index.js": 'module.exports = `private and ${require("plain")}`;'},
    "scripted": {"index.js": "", "intrude.js": INTRUDER},
}
MANIFESTS: dict[str, dict[str, t.Any]] = {
    "@corp/private": {"dependencies": {"plain": "^1.0.0"}},
    "scripted": {"scripts": {"postinstall": "node intrude.js"}},
}


class Registry:
    """Verdaccio as its users see it, and the front before it, to give orders to."""

    def __init__(self, address: str, folder: Path) -> None:
        self.address = address
        self.url = f"http://{address}:4873/"
        self.folder = folder
        self.wait()

    def wait(self) -> None:
        """Wait until both are there."""
        deadline = time.monotonic() + 30
        for port, path in ((4873, "/-/ping"), (4899, "/")):
            while not self._answers(port, path):
                assert time.monotonic() < deadline, f"port {port} does not answer"
                time.sleep(0.1)

    def _answers(self, port: int, path: str) -> bool:
        try:
            return self._ask(port, "GET", path)[0] == 200
        except OSError:
            return False

    def _ask(self, port: int, method: str, path: str, data: t.Any = None) -> tuple[int, t.Any]:
        """Status and content of an answer."""
        connection = http.client.HTTPConnection(self.address, port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, json.dumps(data), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def sign_up(self, name: str) -> Account:
        """Make an account."""
        password = uuid.uuid4().hex
        status, answer = self._ask(
            4873, "PUT", f"/-/user/org.couchdb.user:{name}", {"name": name, "password": password}
        )
        assert status == 201, answer
        return Account(name, password, answer["token"])

    def npm(self, folder: Path, *argv: str) -> None:
        """Run npm here, with nobody's settings but ours."""
        settings = {"userconfig": self.folder / ".npmrc", "globalconfig": "/dev/null", "cache": self.folder / "cache"}
        environment = {f"npm_config_{name}": str(value) for name, value in settings.items()}
        output_of([tool("npm"), *argv], cwd=folder, env={**os.environ, **tool_environment(), **environment})

    def order(self, *faults: Mapping[str, t.Any]) -> None:
        """Let the front misbehave in these ways from now on, and forget what was asked."""
        assert self._ask(4899, "PUT", "/", faults)[0] == 200

    def asked(self, *of: str) -> list[dict[str, t.Any]]:
        """What was asked since the last orders, of everybody or of these (``registry``, ``proxy``, ``stranger``)."""
        _status, asked = self._ask(4899, "GET", "/")
        return [one for one in asked if not of or one["at"] in of]


@pytest.fixture(scope="session", name="verdaccio")
def fixture_verdaccio(app_host: AppHost, tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """The registry, with our packages in it and nothing else, and no app installed from it yet."""
    app_host.printed("systemctl", "stop", "verdaccio", "front")
    app_host.printed("rm", "-rf", "/var/lib/private/verdaccio", "/srv/apps", "/srv/stores")
    app_host.printed("systemctl", "start", "verdaccio", "front")
    folder = tmp_path_factory.mktemp("developer")
    registry = Registry(app_host.address, folder)
    token = registry.sign_up("developer").token
    place = registry.url.partition(":")[2]
    (folder / ".npmrc").write_text(f"registry={registry.url}\n{place}:_authToken={token}\n")
    for name, files in PACKAGES.items():
        package = folder / name.replace("@", "").replace("/", "-")
        package.mkdir()
        manifest = {"name": name, "version": "1.0.0", **MANIFESTS.get(name, {})}
        for file, text in {"package.json": json.dumps(manifest), **files}.items():
            (package / file).write_text(text)
    workspaces = [path.parent.name for path in folder.glob("*/package.json")]
    (folder / "package.json").write_text(json.dumps({"private": True, "workspaces": workspaces}))
    registry.npm(folder, "publish", "--workspaces")
    return registry


@pytest.fixture
def registry(verdaccio: Registry) -> Registry:
    """The registry, well-behaved until the test orders otherwise."""
    verdaccio.order()
    return verdaccio


@pytest.fixture(scope="session")
def began(app_host: AppHost) -> float:
    """When, by the clock of the host, nothing had been written yet; seconds since the epoch."""
    return float(app_host.printed("date", "+%s"))


class Account(t.NamedTuple):
    """An account at the registry."""

    name: str
    password: str
    token: str


@pytest.fixture(scope="session")
def deployer(verdaccio: Registry, began: float) -> Account:
    """Who installs; nobody else has this token."""
    return verdaccio.sign_up("deployer")


class App:
    """An app on the host. ``store`` is its own where nothing may be known beforehand."""

    def __init__(self, host: AppHost, name: str, own_store: bool, token: str) -> None:
        self.host = host
        self.token = token
        self.folder = f"/srv/apps/{name}"
        self.modules = f"{self.folder}/node_modules"
        self.store = f"/srv/stores/{name}" if own_store else "/srv/apps/.store"
        self.options = {"registry": REGISTRY, "registry_token": token, "ca_file": "/etc/ssl/ca.pem"}

    def install(
        self, check: bool = False, environment: Mapping[str, str] | None = None, **options: t.Any
    ) -> dict[str, t.Any]:
        """Run the module; its result."""
        own = {"path": self.folder, "runtime_root": RUNTIME, "store": self.store}
        ran = self.host.install({**own, **self.options, **options}, check, environment)
        assert self.token not in ran.output
        print(ran.result)
        return ran.result

    def installs(self, **options: t.Any) -> dict[str, t.Any]:
        """Run the module, which succeeds; then the app works."""
        result = self.install(**options)
        assert not result.get("failed"), result["msg"]
        return result

    def fails(self, **options: t.Any) -> str:
        """Run the module, which fails in words and leaves nothing behind; these words."""
        before = self.files()
        result = self.install(**options)
        assert result["failed"] and "exception" not in result, result
        assert self.files() == before
        # A store that there was no need for is not even made.
        listing = 'test ! -e "$0" || find "$0/scratch" "$0/locks" -mindepth 1'
        assert self.host.printed("sh", "-c", listing, self.store) == ""
        return str(result["msg"])

    def files(self) -> list[str]:
        """Everything in the folder: path, inode, time and target of a link."""
        return sorted(self.host.printed("find", self.folder, "-printf", r"%p %i %T@ %l\n").splitlines())

    def says(self, *packages: str) -> str:
        """What these packages say, or all that the app asks for: it is nothing but its dependencies."""
        names = json.dumps(packages) if packages else "Object.keys(require('./package.json').dependencies)"
        script = f"console.log({names}.map(name => require(name)).join(', '))"
        return self.host.printed("env", f"--chdir={self.folder}", f"{RUNTIME}/bin/node", "-e", script)


@pytest.fixture(scope="session")
def make_app(
    app_host: AppHost, verdaccio: Registry, deployer: Account, tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., App]:
    """``make_app("shop", "plain", "@corp/private")``: an app that needs these packages, not yet installed.

    ``registry`` is where its lockfile says that they are; without ``addresses`` it does not say it. With ``own_store``
    it is installed as if it was the first app on the host.
    """
    locked: dict[tuple[str, ...], dict[str, str]] = {}

    def lock(packages: tuple[str, ...]) -> dict[str, str]:
        if packages not in locked:
            folder = tmp_path_factory.mktemp("app")
            manifest = {"name": "app", "version": "1.0.0", "dependencies": dict.fromkeys(packages, "1.0.0")}
            (folder / "package.json").write_text(json.dumps(manifest))
            verdaccio.npm(folder, "install", "--package-lock-only", "--ignore-scripts")
            locked[packages] = {name: (folder / name).read_text() for name in ("package.json", "package-lock.json")}
        return locked[packages]

    def make(
        name: str,
        *packages: str,
        registry: str = REGISTRY,
        addresses: bool = True,
        own_store: bool = True,
        **files: str,
    ) -> App:
        app = App(app_host, name, own_store, deployer.token)
        project = {file: text.replace(verdaccio.url, registry) for file, text in lock(packages).items()}
        if not addresses:
            value = json.loads(project["package-lock.json"])
            for entry in value["packages"].values():
                entry.pop("resolved", None)
            project["package-lock.json"] = json.dumps(value)
        app_host.write({f"{app.folder}/{file}": text for file, text in {**project, **files}.items()})
        return app

    return make


@pytest.fixture(scope="session")
def shop(make_app: Callable[..., App]) -> App:
    """An app that is installed, from the store that most apps share."""
    app: App = make_app("shop", "plain", "@corp/private", own_store=False)
    assert app.installs()["packages"] == 2
    return app
