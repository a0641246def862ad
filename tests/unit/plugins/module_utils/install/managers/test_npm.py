# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""npm: what it is given, and how it is run."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import threading
import time
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.installer import (
    InstallRequest,
    install_dependencies,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers import npm
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.base import Job
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import Network, Registry
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Package
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.policy import Policy

from ..world import CI, FIXTURES, FakeNpm, World, failure, make_app, own_words

AUTHORITY = pathlib.Path(__file__).parents[1] / "fixtures" / "authority.pem"


def test_as_root_npm_runs_as_the_build_user_and_knows_nothing(world: World, owners: dict[str, t.Any]) -> None:
    world.npm.look = lambda project: {"ca.pem": (project / "../ca.pem").read_bytes()}
    install_dependencies(world.request(network=Network(ca_file=str(AUTHORITY))), world.npm)

    ci, sync = world.npm.calls
    scratch = next(word for word in ci if word.startswith("--chdir=")).split("=")[1].removesuffix("/work/project")
    assert ci == [
        "setpriv",
        "--reuid=65534",
        "--regid=65533",
        "--clear-groups",
        "--no-new-privs",
        "--pdeathsig=KILL",
        "--",
        "timeout",
        "--kill-after=5",
        "900",
        "setpriv",
        "--pdeathsig=KILL",
        "--",
        "env",
        "-i",
        f"--chdir={scratch}/work/project",
        f"HOME={scratch}/work/home",
        "LC_ALL=C.UTF-8",
        "NODE_DISABLE_COMPILE_CACHE=1",
        f"NODE_EXTRA_CA_CERTS={scratch}/work/ca.pem",
        f"PATH={world.runtime}/bin:/usr/local/bin:/usr/bin:/bin",
        f"TMPDIR={scratch}/work/tmp",
        f"npm_config_nodedir={world.runtime}",
        f"{world.runtime}/bin/npm",
        *CI,
    ]
    assert sync == ["sync", "--file-system", f"{scratch}/final"]
    work = f"store/scratch/{os.path.basename(scratch)}/work"
    assert owners[f"{work}/project/package-lock.json"] == (65534, 65533)
    # The build user need not be able to read what the option names.
    assert owners[f"{work}/ca.pem"] == (65534, 65533)
    assert world.npm.found["ca.pem"].strip() == AUTHORITY.read_bytes().strip()
    assert owners["store/cache/npm-65534"] == (65534, 65533)


def test_nothing_is_fetched_with_certificates_that_cannot_be_read(world: World) -> None:
    ca_file = world.base / "ca.pem"
    ca_file.write_text("no certificate")

    words = failure(world, world.request(network=Network(ca_file=str(ca_file))))

    assert words.startswith("/ca.pem: holds no certificates that can be read.")
    assert (world.npm.calls, world.rubbish) == ([], [])


def test_npm_gets_only_what_decides_the_tree(world: World) -> None:
    manifest = json.loads((world.app / "package.json").read_text())
    manifest["scripts"] = {"postinstall": "curl evil"}
    (world.app / "package.json").write_text(json.dumps(manifest))
    (world.app / ".npmrc").write_text(
        "registry=https://evil.example.com/\nlegacy-peer-deps=true\nignore-scripts=false\n"
    )

    install_dependencies(world.request(), world.npm)

    given = json.loads(world.npm.seen["ci package.json"])
    assert "scripts" not in given
    assert given["dependencies"] == manifest["dependencies"]
    assert world.npm.seen["ci .npmrc"] == 'legacy-peer-deps="true"\n'
    assert world.npm.seen["ci package-lock.json"] == (world.app / "package-lock.json").read_text()


def test_a_token_is_only_in_the_build_users_file(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:pass@proxy.example.com:3128")
    registry = "https://npm.example.com/team/"

    network = Network((Registry(registry, token="s3cr3t"),))
    # What a package manager left of them in a file of its own.
    world.npm.meddle = lambda tree: (tree / "../../home/leak").write_text("s3cr3t")
    world.npm.look = lambda project: {path.name: b"" for path in project.glob("../home/leak")}
    request = world.request(network=network, allow_scripts=("sharp",))

    install_dependencies(request, world.npm)

    settings = world.npm.seen["ci ../home/.npmrc"]
    assert f'registry="{registry}"\n' in settings
    assert '//npm.example.com/team/:_authToken="s3cr3t"\n' in settings
    assert 'https-proxy="http://me:pass@proxy.example.com:3128"\n' in settings
    assert not any("s3cr3t" in word or "pass@" in word for call in world.npm.calls for word in call)
    assert "s3cr3t" not in world.npm.seen["rebuild ../home/.npmrc"]
    assert world.npm.found == {}
    assert "pass@" not in world.npm.seen["rebuild ../home/.npmrc"]
    assert not any(b"s3cr3t" in path.read_bytes() for path in world.base.rglob("*") if path.is_file())
    assert "s3cr3t" not in repr(request)


def test_a_stale_cache_is_asked_past(world: World) -> None:
    world.npm.failures = [{"code": "ETARGET", "summary": "No matching version found for ms@2.1.3."}]

    assert install_dependencies(world.request(), world.npm).changed
    assert world.npm.npm_calls == [CI, [*CI[:-1], "--prefer-online"]]


def test_a_version_that_is_nowhere(world: World) -> None:
    world.npm.failures = [{"code": "ETARGET", "summary": "No matching version found for ms@2.1.3."}] * 2

    assert (
        "the npm registry lacks a version that the lockfile names: No matching version found for ms@2.1.3."
        in failure(world)
    )


def test_a_tree_without_npms_list_is_not_taken(world: World) -> None:
    world.npm.meddle = lambda tree: (tree / ".package-lock.json").unlink()

    assert "npm did not write down what it installed" in failure(world)


@pytest.mark.parametrize(
    ("folder", "content", "words"),
    [
        ("ms", {"name": "ms", "version": "2.0.0"}, "node_modules/ms is ms@2.0.0, the lockfile has ms@2.1.3"),
        ("ms", {"name": "evil", "version": "2.1.3"}, "node_modules/ms is evil@2.1.3, the lockfile has ms@2.1.3"),
        ("ms-old", {"name": "ms-old", "version": "2.0.0"}, "node_modules/ms-old is ms-old@2.0.0, the lockfile has ms-"),
        ("ms", None, "node_modules/ms is no package, the lockfile has ms@2.1.3"),
    ],
)
def test_a_package_that_is_another_one_is_not_taken(
    world: World, folder: str, content: dict[str, str] | None, words: str
) -> None:
    install_dependencies(world.request(), world.npm)
    world.npm.meddle = lambda tree: (tree / folder / "package.json").write_text(json.dumps(content))
    request = world.request(allow_scripts=("debug",))

    assert f"what npm installed is not what the lockfile says: {words}" in failure(world, request)
    assert (len(world.trees), world.rubbish) == (1, [])
    assert (world.app / "node_modules/ms/package.json").is_file()


@pytest.mark.parametrize("version", ["v2.1.3", " =2.1.3 ", "2.1.3+build.5", "2.01.3"])
def test_a_version_that_is_written_in_another_way(world: World, version: str) -> None:
    content = json.dumps({"name": "ms", "version": version})
    world.npm.meddle = lambda tree: (tree / "ms/package.json").write_text(content)

    assert install_dependencies(world.request(), world.npm).changed


def test_scripts_run_only_when_allowed(world: World, owners: dict[str, t.Any]) -> None:
    skipped = install_dependencies(world.request(), world.npm)
    assert skipped.scripts_skipped == ("sharp@0.34.5",)
    assert world.npm.npm_calls == [CI]

    world.npm.calls.clear()
    allowed = install_dependencies(world.request(allow_scripts=("sharp", "not-there")), world.npm)
    assert allowed.scripts_skipped == ()
    assert allowed.identity != skipped.identity
    assert world.npm.npm_calls == [CI, ["rebuild", "./node_modules/sharp", "--foreground-scripts"]]
    # In a process namespace of their own: when npm ends, so does everything it started.
    assert world.npm.calls[1][:6] == ["unshare", "--pid", "--fork", "--kill-child", "--", "setpriv"]
    assert json.loads(world.npm.seen["rebuild package.json"])["allowScripts"] == {"sharp": True}


def test_scripts_wait_until_nobody_has_tokens(world: World) -> None:
    other = make_app(world.base / "other")
    begun, order = threading.Event(), []

    def fetch(tree: pathlib.Path) -> None:
        FakeNpm.install(tree)
        begun.set()
        time.sleep(0.3)
        order.append("fetched")

    def slow(argv: list[str]) -> tuple[int, str, str]:
        npm = FakeNpm()
        npm.make_tree = fetch
        return npm(argv)

    def quick(argv: list[str]) -> tuple[int, str, str]:
        if "rebuild" in argv:
            order.append("scripts")
        return world.npm(argv)

    thread = threading.Thread(target=install_dependencies, args=(world.request(other), slow))
    thread.start()
    assert begun.wait(30)
    install_dependencies(world.request(allow_scripts=("sharp",)), quick)
    thread.join()

    assert order == ["fetched", "scripts"]


def test_an_alias_does_not_pass_for_another_package(world: World) -> None:
    install_dependencies(world.request(allow_scripts=("ms-old",)), world.npm)
    assert world.npm.npm_calls == [CI]

    world.npm.calls.clear()
    install_dependencies(world.request(allow_scripts=("ms",)), world.npm)
    assert world.npm.npm_calls[1] == [
        "rebuild",
        "./node_modules/ms",
        "./node_modules/ms-old",
        "--foreground-scripts",
    ]


#: What surrounds the reason in the output of npm 11.19.1 with node-gyp 12.4.0 (2026-11-21).
NOISE = """
> debug@4.4.3 install
> node-gyp rebuild

gyp info using node-gyp@12.4.0
{}
gyp ERR! stack at PythonFinder.fail (/build/find-python.js:300:11)
gyp ERR! cwd /build/node_modules/debug
gyp ERR! not ok
npm error code 1
npm error command sh -c node-gyp rebuild
"""


@pytest.mark.parametrize(
    ("printed", "message"),
    [
        ("npm error command failed", "the lifecycle scripts of debug failed: > debug@4.4.3 install > node-gyp rebuild"),
        ("cannot tell", "the lifecycle scripts of debug failed: cannot tell. Install what they need on the host"),
        (
            "compiling\nx.c:1:10: fatal error: zlib.h: No such file or directory",
            "the lifecycle scripts of debug failed: x.c:1:10: fatal error: zlib.h: No such file or directory. Install",
        ),
        ("gyp ERR! stack Error: not found: make", "debug cannot be compiled on this host: gyp ERR! stack Error: not f"),
        ("make: g++: No such file or directory", "debug cannot be compiled on this host: make: g++: No such file"),
        ("/bin/sh: 1: cc: not found", "debug cannot be compiled on this host: /bin/sh: 1: cc: not found. Install what"),
        ("gyp ERR! stack Error: Could not find any Python installation to use", "debug cannot be compiled on this"),
    ],
    ids=["nothing", "unknown", "no-headers", "no-make", "no-g++", "no-cc", "no-python"],
)
def test_scripts_that_fail(world: World, printed: str, message: str) -> None:
    world.npm.answers["rebuild"] = (1, NOISE.replace("{}", printed))
    assert message in failure(world, world.request(allow_scripts=("debug",)))
    assert (world.trees, world.rubbish) == ([], [])


@pytest.fixture(name="workspaces")
def fixture_workspaces(world: World) -> World:
    """The recorded project with workspaces, a linked folder and a local archive; npm makes their tree."""
    recorded = FIXTURES / "npm-workspaces"
    shutil.rmtree(world.app)
    shutil.copytree(recorded, world.app)
    (world.app / "hidden-lockfile.json").unlink()

    def install(tree: pathlib.Path) -> None:
        hidden = json.loads((recorded / "hidden-lockfile.json").read_text())
        for path, entry in hidden["packages"].items():
            folder = tree.parent / path
            if entry.get("link"):
                folder.parent.mkdir(parents=True, exist_ok=True)
                folder.symlink_to(os.path.relpath(tree.parent / entry["resolved"], folder.parent))
            else:
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "package.json").write_text(own_words(path, entry))
        # A version that only this workspace has.
        (tree.parent / "packages/web/node_modules/own").mkdir(parents=True)
        (tree / ".bin").mkdir()
        (tree / ".bin/shop-web").symlink_to("../@shop/web/cli.js")
        (tree / ".package-lock.json").write_text(json.dumps(hidden))

    world.npm.make_tree = install
    return world


def allowing(world: World) -> InstallRequest:
    return world.request(policy=Policy(allow_sources=("lib", "local")))


def test_workspaces(workspaces: World) -> None:
    result = install_dependencies(allowing(workspaces), workspaces.npm)

    # The links to folders of the project, and these folders, are no packages.
    assert (result.changed, result.packages) == (True, 28)
    modules = workspaces.app / "node_modules"
    assert os.readlink(modules / "@shop/web") == "../../packages/web"
    assert (modules / ".bin/shop-web").resolve() == workspaces.app / "packages/web/cli.js"
    assert (workspaces.app / "packages/web/node_modules/own").is_dir()
    assert not (workspaces.app / "packages/api/node_modules").exists()
    assert install_dependencies(allowing(workspaces), workspaces.npm).changed is False


def test_what_npm_gets_of_workspaces(workspaces: World) -> None:
    path = workspaces.app / "packages/web/package.json"
    manifest = json.loads(path.read_text())
    manifest["scripts"] = {"postinstall": "curl evil"}
    path.write_text(json.dumps(manifest))
    workspaces.npm.look = lambda project: {
        str(file.relative_to(project)): file.read_bytes() for file in project.rglob("*") if file.is_file()
    }

    install_dependencies(allowing(workspaces), workspaces.npm)

    files = workspaces.npm.found
    assert set(files) == {
        ".npmrc",
        "lib/package.json",
        "package-lock.json",
        "package.json",
        "packages/api/package.json",
        "packages/web/cli.js",
        "packages/web/package.json",
        "vendor/local-1.0.0.tgz",
    }
    assert json.loads(files["package.json"])["workspaces"] == ["packages/*", "!packages/old"]
    given = json.loads(files["packages/web/package.json"])
    assert (given["name"], given["version"], "scripts" in given) == ("@shop/web", "1.2.0", False)
    # A program is only there so that npm makes a link to it.
    assert files["packages/web/cli.js"] == b""
    assert files["vendor/local-1.0.0.tgz"] == (workspaces.app / "vendor/local-1.0.0.tgz").read_bytes()


def test_packages_in_a_workspace_that_has_none_are_drift(workspaces: World) -> None:
    install_dependencies(allowing(workspaces), workspaces.npm)
    (workspaces.app / "packages/api/node_modules/evil").mkdir(parents=True)

    result = install_dependencies(allowing(workspaces), workspaces.npm)

    assert (result.changed, result.drift) == (True, ("packages/api/node_modules was added",))
    assert not (workspaces.app / "packages/api/node_modules").exists()


def test_the_version_of_a_workspace_does_not_decide(workspaces: World) -> None:
    first = install_dependencies(allowing(workspaces), workspaces.npm).identity
    path = workspaces.app / "packages/web/package.json"
    path.write_text(path.read_text().replace('"1.2.0"', '"1.3.0"'))
    assert install_dependencies(allowing(workspaces), workspaces.npm).identity == first
    path.write_text(path.read_text().replace('"shop-web"', '"shop"'))
    assert install_dependencies(allowing(workspaces), workspaces.npm).identity != first


def test_an_archive_outside_of_the_app(workspaces: World) -> None:
    for name in ("package.json", "package-lock.json"):
        path = workspaces.app / name
        path.write_text(path.read_text().replace("file:vendor/", "file:../vendor/"))

    words = failure(workspaces, allowing(workspaces))

    assert "local@1.0.0 is outside of the app's folder, at file:../vendor/local-1.0.0.tgz. Move it into" in words


def test_a_packed_set(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def take_out(packed: str, packages: t.Iterable[Package], job: Job) -> dict[str, list[str]]:
        asked.extend(package.path for package in packages)
        return {"node_modules/ms": ["ms.tgz"], "node_modules/ms-old": ["1/ms.tgz"]}

    monkeypatch.setattr(npm, "take_out", take_out)

    result = install_dependencies(world.request(network=Network(packed="/set.tar")), world.npm)

    assert len(asked) == result.packages
    assert world.npm.npm_calls == [
        ["cache", "add", "../packed/1/ms.tgz", "../packed/ms.tgz", "--json"],
        [*CI[:-1], "--offline"],
    ]
    # For this build alone, and an address for everything, which the lockfile lacks: npm looks no hash up without one.
    assert f'cache="{world.store}/scratch/{result.identity}/work/cache"\n' in world.npm.seen["ci ../home/.npmrc"]
    given = json.loads(world.npm.seen["ci package-lock.json"])["packages"]
    assert given["node_modules/ms"]["resolved"] == "https://registry.npmjs.org/ms/-/ms-2.1.3.tgz"


def test_offline(world: World) -> None:
    world.npm.failures = [{"code": "ENOTCACHED", "summary": "request to https://registry.npmjs.org/ms failed"}]

    words = failure(world, world.request(network=Network(offline=True)))

    assert "the cache of this host lacks a package, and offline is set: request to https://registry" in words
    assert words.endswith("Install once without offline, or give the packages as a packed set.")
    assert world.npm.npm_calls == [[*CI[:-1], "--offline"]]


@pytest.mark.parametrize("code", ["ECONNRESET", "ERR_STREAM_PREMATURE_CLOSE"])
def test_a_connection_that_breaks_is_given_a_second_chance(
    world: World, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    world.npm.failures = [{"code": code, "summary": "aborted"}]

    assert install_dependencies(world.request(), world.npm).changed
    assert (world.npm.npm_calls, pauses) == ([CI, CI], [2.0])

    world.npm.failures = [{"code": code, "summary": "aborted"}] * 2
    words = failure(world, world.request(allow_scripts=("debug",)))
    assert f"the npm registry breaks off in the middle of a package ({code}). It was tried again" in words


def test_registries_by_scope(world: World) -> None:
    network = Network(
        (
            Registry("https://npm.example.com/team/", token="t1"),
            Registry("https://acme.example.com", "@acme", "t2", user="me"),
        )
    )

    install_dependencies(world.request(network=network), world.npm)

    settings = world.npm.seen["ci ../home/.npmrc"].splitlines()
    assert 'registry="https://npm.example.com/team/"' in settings
    assert '//npm.example.com/team/:_authToken="t1"' in settings
    assert '@acme:registry="https://acme.example.com"' in settings
    assert '//acme.example.com/:username="me"' in settings
    assert '//acme.example.com/:_password="dDI="' in settings


@pytest.mark.parametrize(
    ("registries", "words"),
    [
        ([Registry("https://a/", "acme")], "the scope 'acme' of a registry is none. Write it as @acme."),
        ([Registry("npm.example.com")], "the registry 'npm.example.com' is no address. Write it as https://"),
        ([Registry("https://a/"), Registry("https://b/")], "two registries are for the same packages."),
    ],
)
def test_registries_that_cannot_be_meant(world: World, registries: list[Registry], words: str) -> None:
    assert words in failure(world, world.request(network=Network(tuple(registries))))


def test_an_artifacts_settings_can_be_trusted(world: World) -> None:
    (world.app / ".npmrc").write_text("registry=https://npm.example.com/\nignore-scripts=false\n")
    first = install_dependencies(world.request(trust_project_config=True), world.npm)

    assert world.npm.seen["ci .npmrc"] == "registry=https://npm.example.com/\nignore-scripts=false\n"
    # On the command line, which is stronger than any file.
    assert "--ignore-scripts" in world.npm.npm_calls[0]
    (world.app / ".npmrc").write_text("registry=https://npm.example.org/\n")
    assert install_dependencies(world.request(trust_project_config=True), world.npm).identity != first.identity


def test_sources_that_a_newer_npm_has_to_be_told(workspaces: World) -> None:
    install_dependencies(allowing(workspaces), workspaces.npm)
    assert "allow-" not in workspaces.npm.seen["ci ../home/.npmrc"]

    lockfile = workspaces.app / "package-lock.json"
    value = json.loads(lockfile.read_text())
    value["packages"]["node_modules/ms"]["resolved"] = f"git+https://git.example.com/ms.git#{'0' * 40}"
    lockfile.write_text(json.dumps(value))
    request = workspaces.request(policy=Policy(allow_sources=("lib", "local", "ms"), allowed_hosts=("*",)))
    install_dependencies(request, workspaces.npm)
    assert 'allow-git="all"\n' in workspaces.npm.seen["ci ../home/.npmrc"]
