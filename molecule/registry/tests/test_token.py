# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has the token gets the package, and nobody but the registry gets to see the token."""

from __future__ import annotations

import base64
import json
import subprocess
import typing as t
from collections.abc import Callable

import pytest
from testinfra.host import Host

if t.TYPE_CHECKING:
    from devtools.lab.modules import AppHost
    from molecule.registry.tests.conftest import Account, App, Registry

testinfra_hosts = ["ansible://app_hosts"]

MakeApp = Callable[..., "App"]

#: Prints what every process was started with, until its input ends.
WATCH = """
import json, os, sys, threading
over, seen = threading.Event(), set()
threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
print("watching", flush=True)
while not over.wait(0.005):
    for process in filter(str.isdigit, os.listdir("/proc")):
        for name in ("cmdline", "environ"):
            try:
                with open(f"/proc/{process}/{name}", "rb") as file:
                    seen.add(file.read().replace(bytes(1), b" ").decode("latin-1"))
            except OSError:
                pass
print(json.dumps(sorted(seen)))
"""

#: Prints which files, written since a moment, have words in them; "journal" is what the journal shows.
SEARCH = """
import json, os, subprocess, sys
moment, words = json.load(sys.stdin)
found = {word: [] for word in words}
def look(where, content):
    for word in words:
        if word.encode() in content:
            found[word].append(where)
for top in ("/", "/run", "/dev/shm"):
    device = os.lstat(top).st_dev
    for folder, folders, names in os.walk(top):
        folders[:] = [name for name in folders if os.lstat(os.path.join(folder, name)).st_dev == device]
        for path in (os.path.join(folder, name) for name in names):
            try:
                if os.lstat(path).st_ctime >= moment and os.path.isfile(path) and not os.path.islink(path):
                    with open(path, "rb") as file:
                        look(path, file.read())
            except FileNotFoundError:
                pass
look("journal", subprocess.run(["journalctl", "--output=export"], stdout=subprocess.PIPE, check=True).stdout)
print(json.dumps(found))
"""


@pytest.mark.parametrize("token", [None, "d3JvbmcK"], ids=["none", "wrong"])
def test_without_the_token(make_app: MakeApp, token: str | None, request: pytest.FixtureRequest) -> None:
    told = make_app(f"token-{request.node.callspec.id}", "@corp/private").fails(registry_token=token)
    assert "the registry npm.corp.test:4443 refuses access (E401). Check the registry token." in told


def test_a_name_and_a_password(make_app: MakeApp, deployer: Account) -> None:
    app = make_app("password", "@corp/private")
    entry = {"url": app.options["registry"], "user": deployer.name, "token": deployer.password}
    app.installs(registry=None, registry_token=None, registries=[entry])
    assert app.says() == "private and honest"


def test_the_token_of_a_scope_is_for_its_registry_alone(
    registry: Registry, make_app: MakeApp, deployer: Account
) -> None:
    app = make_app("scoped", "@corp/private", addresses=False)
    own = {"scope": "@corp", "url": app.options["registry"], "token": deployer.token}
    app.installs(registry="https://npm.open.test:4443/", registry_token=None, registries=[own])
    assert app.says() == "private and honest"
    shown = {(one["host"], one["token"]) for one in registry.asked()}
    assert shown == {("npm.corp.test:4443", True), ("npm.open.test:4443", False)}


def test_the_token_is_nowhere_on_the_host(
    host: Host, app_host: AppHost, make_app: MakeApp, deployer: Account, began: float
) -> None:
    """After an installation by Ansible, as a play makes it, and whatever else this scenario did before."""
    app = make_app("watched", "@corp/private")
    options = {"path": app.folder, "runtime_root": "/opt/apphost/runtimes/nodejs/24.21.0", **app.options}
    watch = app_host.start("python3", "-c", WATCH, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert watch.stdout and watch.stdout.readline() == "watching\n"
    result = host.ansible(
        "evenkeel.apphost.lockfile_install", json.dumps({**options, "store": app.store}), check=False, become=True
    )
    started = json.loads(watch.communicate()[0])
    assert app.says() == "private and honest"
    assert deployer.token not in str(result)
    assert any("npm" in one and "--ignore-scripts" in one for one in started)
    assert [one for one in started if deployer.token in one] == []

    hidden = base64.b64encode(deployer.password.encode()).decode()
    order = json.dumps([began, [deployer.token, deployer.password, hidden, app.folder]])
    status, output = app_host.run("python3", "-c", SEARCH, given=order.encode())
    assert status == 0, output
    found = json.loads(output)
    # What was invoked is in the journal, and a file of this folder in the archive of Ansible's results.
    assert "journal" in found.pop(app.folder)
    assert found == {deployer.token: [], deployer.password: [], hidden: []}
