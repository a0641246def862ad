# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""npm: what it is given, and how it is run."""

from __future__ import annotations

import json
import os
import pathlib
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.installer import install_dependencies
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import Network, Registry

from ..world import CI, FakeNpm, World, failure


def test_as_root_npm_runs_as_the_build_user_and_knows_nothing(world: World, owners: dict[str, t.Any]) -> None:
    install_dependencies(world.request(network=Network(ca_file="/etc/ssl/ca.pem")), world.npm)

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
        "env",
        "-i",
        f"--chdir={scratch}/work/project",
        f"HOME={scratch}/work/home",
        "LC_ALL=C.UTF-8",
        "NODE_EXTRA_CA_CERTS=/etc/ssl/ca.pem",
        f"PATH={world.runtime}/bin:/usr/local/bin:/usr/bin:/bin",
        f"TMPDIR={scratch}/work/tmp",
        f"npm_config_nodedir={world.runtime}",
        f"{world.runtime}/bin/npm",
        *CI,
    ]
    assert sync == ["sync", "--file-system", f"{scratch}/final"]
    work = f"store/scratch/{os.path.basename(scratch)}/work"
    assert owners[f"{work}/project/package-lock.json"] == (65534, 65533)
    assert owners["store/cache/npm-65534"] == (65534, 65533)


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
    request = world.request(network=network, allow_scripts=("sharp",))

    install_dependencies(request, world.npm)

    settings = world.npm.seen["ci ../home/.npmrc"]
    assert f'registry="{registry}"\n' in settings
    assert '//npm.example.com/team/:_authToken="s3cr3t"\n' in settings
    assert 'https-proxy="http://me:pass@proxy.example.com:3128"\n' in settings
    assert not any("s3cr3t" in word or "pass@" in word for call in world.npm.calls for word in call)
    assert "s3cr3t" not in world.npm.seen["rebuild ../home/.npmrc"]
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


def test_scripts_run_only_when_allowed(world: World, owners: dict[str, t.Any]) -> None:
    skipped = install_dependencies(world.request(), world.npm)
    assert skipped.scripts_skipped == ("sharp@0.34.5",)
    assert world.npm.npm_calls == [CI]

    world.npm.calls.clear()
    allowed = install_dependencies(world.request(allow_scripts=("sharp", "not-there")), world.npm)
    assert allowed.scripts_skipped == ()
    assert allowed.identity != skipped.identity
    assert world.npm.npm_calls == [CI, ["rebuild", "./node_modules/sharp", "--foreground-scripts", "--json"]]
    # In a process namespace of their own: when npm ends, so does everything it started.
    assert world.npm.calls[1][:6] == ["unshare", "--pid", "--fork", "--kill-child", "--", "setpriv"]
    assert json.loads(world.npm.seen["rebuild package.json"])["allowScripts"] == {"sharp": True}


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
        "--json",
    ]


def test_scripts_that_fail(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def install(tree: pathlib.Path) -> None:
        real(tree)
        world.npm.failures = [{"code": "1", "summary": "gyp ERR! not ok"}]

    real = FakeNpm.install
    monkeypatch.setattr(FakeNpm, "install", staticmethod(install))

    message = failure(world, world.request(allow_scripts=("debug",)))

    assert "the lifecycle scripts of debug failed: gyp ERR! not ok. Install what they need on the host" in message
    assert (world.trees, world.rubbish) == ([], [])
