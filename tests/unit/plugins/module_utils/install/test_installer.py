# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installing: what is run, what is left, what is done again and what is not."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import stat
import threading
import time
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install import store as store_module
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.installer import (
    InstallRequest,
    install_dependencies,
)

from .world import FakeNpm, World, make_app, make_runtime

CI = ["ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--json", "--prefer-offline"]


def failure(world: World, request: InstallRequest | None = None) -> str:
    with pytest.raises(ApphostError) as caught:
        install_dependencies(request or world.request(), world.npm)
    return caught.value.message.replace(str(world.base), "")


def test_first_installation(world: World) -> None:
    result = install_dependencies(world.request(), world.npm)

    assert (result.changed, result.from_cache, result.manager, result.packages) == (True, False, "npm", 9)
    # Two files for each package, the hidden lockfile and the marker.
    assert result.files == 20
    assert set(result.seconds) == {"build", "place", "total"}
    assert world.npm.npm_calls == [CI]
    assert (world.app / "node_modules/sharp/index.js").read_text() == "'use strict';\n"
    assert os.readlink(world.app / "node_modules/.bin/semver") == "../semver/index.js"
    assert world.trees == [result.identity]
    assert world.rubbish == []


def test_as_root_npm_runs_as_the_build_user_and_knows_nothing(world: World, owners: dict[str, t.Any]) -> None:
    install_dependencies(world.request(ca_file="/etc/ssl/ca.pem"), world.npm)

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
    assert sync == ["sync", "--file-system", f"{scratch}/final/node_modules"]
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

    install_dependencies(world.request(registry=registry, registry_token="s3cr3t", allow_scripts=("sharp",)), world.npm)

    settings = world.npm.seen["ci ../home/.npmrc"]
    assert f'registry="{registry}"\n' in settings
    assert '//npm.example.com/team/:_authToken="s3cr3t"\n' in settings
    assert 'https-proxy="http://me:pass@proxy.example.com:3128"\n' in settings
    assert not any("s3cr3t" in word or "pass@" in word for call in world.npm.calls for word in call)
    assert "s3cr3t" not in world.npm.seen["rebuild ../home/.npmrc"]
    assert "pass@" not in world.npm.seen["rebuild ../home/.npmrc"]
    assert not any(b"s3cr3t" in path.read_bytes() for path in world.base.rglob("*") if path.is_file())
    assert "s3cr3t" not in repr(world.request(registry=registry, registry_token="s3cr3t"))


def test_unchanged_starts_nothing(world: World) -> None:
    first = install_dependencies(world.request(), world.npm)
    world.npm.calls.clear()

    second = install_dependencies(world.request(), world.npm)

    assert (second.changed, second.from_cache, second.identity) == (False, True, first.identity)
    assert (second.packages, second.files, second.bytes) == (first.packages, first.files, first.bytes)
    assert world.npm.calls == []


def test_another_release_takes_the_tree_out_of_the_store(world: World, owners: dict[str, t.Any]) -> None:
    install_dependencies(world.request(), world.npm)
    world.npm.calls.clear()
    other = make_app(world.base / "other")
    for name in ("package.json", "package-lock.json"):
        (other / name).write_text((other / name).read_text().replace('"version": "1.0.0"', '"version": "1.1.0"', 1))

    result = install_dependencies(world.request(other), world.npm)

    assert (result.changed, result.from_cache) == (True, True)
    assert world.npm.calls == []
    one, two = (folder / "node_modules/sharp/index.js" for folder in (world.app, other))
    assert one.stat().st_ino == two.stat().st_ino


def test_the_tree_is_sealed(world: World, owners: dict[str, t.Any]) -> None:
    world.npm.meddle = lambda tree: (tree / "ms" / "index.js").chmod(0o6666)

    install_dependencies(world.request(), world.npm)

    tree = world.app / "node_modules"
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in tree.rglob("*") if not path.is_symlink()}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o755}
    assert {str(path.relative_to(tree)) for path, mode in modes.items() if path.is_file() and mode != 0o644} == {
        "semver/index.js"
    }
    assert modes[tree / "semver" / "index.js"] == 0o755
    sealed = {path.split("/final/", 1)[1]: owner for path, owner in owners.items() if "/final/" in path}
    inside = {f"node_modules/{path.relative_to(tree)}" for path in tree.rglob("*")} - {
        "node_modules/.apphost-tree.json"
    }
    assert sealed == dict.fromkeys({"node_modules", *inside}, (0, 0))


def test_without_root_files_are_copied(world: World) -> None:
    install_dependencies(world.request(), world.npm)

    assert (world.app / "node_modules/ms/index.js").stat().st_nlink == 1


def test_modes_do_not_depend_on_the_umask(world: World) -> None:
    before = os.umask(0o077)
    try:
        install_dependencies(world.request(), world.npm)
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(before)

    assert stat.S_IMODE((world.app / "node_modules").stat().st_mode) == 0o755
    assert stat.S_IMODE((world.app / "node_modules/ms").stat().st_mode) == 0o755
    assert stat.S_IMODE((world.store / "trees").stat().st_mode) == 0o700
    assert stat.S_IMODE((world.store / "scratch").stat().st_mode) == 0o711


def test_nothing_to_install(world: World) -> None:
    for request in (world.request(manager="none"), world.request(world.runtime)):
        assert install_dependencies(request, world.npm).as_dict() == {
            "changed": False,
            "manager": None,
            "identity": None,
            "packages": 0,
            "files": 0,
            "bytes": 0,
            "from_cache": False,
            "scripts_skipped": [],
            "seconds": {},
        }
    assert not world.store.exists()


def test_a_folder_that_is_not_there(world: World) -> None:
    assert failure(world, world.request(world.base / "nowhere")) == "/nowhere: is no folder"


def remove_package(tree: pathlib.Path) -> None:
    for path in sorted((tree / "ms").iterdir()):
        path.unlink()
    (tree / "ms").rmdir()


def replace_by_link(tree: pathlib.Path) -> None:
    tree.rename(tree.parent / "elsewhere")
    tree.symlink_to(tree.parent / "elsewhere")


DRIFT: dict[str, t.Callable[[pathlib.Path], object]] = {
    "a package deleted": remove_package,
    "a package emptied": lambda tree: (tree / "ms" / "package.json").unlink(),
    "a package added": lambda tree: (tree / "evil").mkdir(),
    "a scoped package added": lambda tree: (tree / "@img" / "evil").mkdir(),
    "npm's list changed": lambda tree: (tree / ".package-lock.json").write_text("{}"),
    "npm's list gone": lambda tree: (tree / ".package-lock.json").unlink(),
    "marker gone": lambda tree: (tree / ".apphost-tree.json").unlink(),
    "marker broken": lambda tree: (tree / ".apphost-tree.json").write_text('{"identity": 1}'),
    "replaced by a link": replace_by_link,
}


@pytest.mark.parametrize("drift", DRIFT)
def test_drift_is_mended(world: World, drift: str) -> None:
    install_dependencies(world.request(), world.npm)
    DRIFT[drift](world.app / "node_modules")

    result = install_dependencies(world.request(), world.npm)

    assert (result.changed, result.from_cache) == (True, True)
    assert install_dependencies(world.request(), world.npm).changed is False
    assert sorted(path.name for path in (world.app / "node_modules/ms").iterdir()) == ["index.js", "package.json"]
    assert not (world.app / "node_modules/evil").exists()
    assert world.rubbish == []


@pytest.mark.parametrize("file", ["ms/package.json", "ms/index.js", ".package-lock.json", ".apphost-tree.json"])
def test_a_damaged_tree_in_the_store_is_built_again(world: World, file: str) -> None:
    identity = install_dependencies(world.request(), world.npm).identity
    (world.store / "trees" / str(identity) / "node_modules" / file).unlink()
    world.npm.calls.clear()

    result = install_dependencies(world.request(make_app(world.base / "other")), world.npm)

    assert (result.changed, result.from_cache) == (True, False)
    assert world.npm.npm_calls == [CI]
    assert (world.base / "other/node_modules" / file).is_file()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("E500", "npm ci, /app/package-lock.json: npm failed (E500): it went wrong"),
        ("EINTEGRITY", "a package from the npm registry is not what the lockfile was made with"),
        ("ECONNREFUSED", "the npm registry cannot be reached (ECONNREFUSED)"),
        ("ENOSPC", "no space left on the device. Free some space"),
    ],
)
def test_a_failed_installation_leaves_the_old_tree_and_nothing_else(world: World, code: str, words: str) -> None:
    install_dependencies(world.request(), world.npm)
    other = make_runtime(world.base / "runtime2", version="22.0.0")
    world.npm.failures = [{"code": code, "summary": "it went wrong", "detail": ""}]
    request = InstallRequest(folder=str(world.app), store=str(world.store), runtime_root=str(other))

    assert words in failure(world, request)

    assert len(world.trees) == 1
    assert world.rubbish == []
    assert install_dependencies(world.request(), world.npm).changed is False
    # It is only a cache, and the disk is full.
    assert any((world.store / "cache").iterdir()) is (code != "ENOSPC")


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


def test_a_tree_that_is_not_the_lockfiles_is_not_taken(world: World) -> None:
    def leave_out(tree: pathlib.Path) -> None:
        hidden = json.loads((tree / ".package-lock.json").read_text())
        del hidden["packages"]["node_modules/@img/sharp-linux-x64"]
        (tree / ".package-lock.json").write_text(json.dumps(hidden))

    world.npm.meddle = leave_out

    message = failure(world)

    assert "what npm installed is not what the lockfile says: node_modules/@img/sharp-linux-x64 is missing." in message
    assert (world.trees, world.rubbish) == ([], [])
    assert not (world.app / "node_modules").exists()


def test_a_tree_without_npms_list_is_not_taken(world: World) -> None:
    world.npm.meddle = lambda tree: (tree / ".package-lock.json").unlink()

    assert "npm did not write down what it installed" in failure(world)


@pytest.mark.parametrize("target", ["/etc/shadow", "../../../etc/shadow", "../.."])
def test_a_link_out_of_the_tree_is_refused(world: World, target: str) -> None:
    world.npm.meddle = lambda tree: (tree / "ms" / "shadow").symlink_to(target)

    assert f"/ms/shadow: is a symbolic link out of the tree, to {target!r}" in failure(world)
    assert (world.trees, world.rubbish) == ([], [])


def test_a_pipe_is_refused(world: World) -> None:
    world.npm.meddle = lambda tree: os.mkfifo(tree / "ms" / "pipe")

    assert "/ms/pipe: is neither file, folder nor link" in failure(world)


def test_an_app_without_packages_gets_an_empty_tree(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    (world.app / "package.json").write_text("{}")
    (world.app / "package-lock.json").write_text('{"lockfileVersion": 3, "packages": {"": {}}}')
    monkeypatch.setattr(FakeNpm, "install", lambda _self, _tree: None)

    assert install_dependencies(world.request(), world.npm).packages == 0
    assert install_dependencies(world.request(), world.npm).changed is False


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


def test_what_a_killed_run_left_is_cleaned_up(world: World) -> None:
    install_dependencies(world.request(), world.npm)

    def leave_rubbish() -> None:
        (world.app / ".apphost-node_modules-0123").mkdir()
        (world.store / "scratch/tmp0123/work").mkdir(parents=True)

    leave_rubbish()
    assert install_dependencies(world.request(), world.npm).changed is False
    assert world.rubbish == []

    leave_rubbish()
    (world.app / "node_modules/.apphost-tree.json").unlink()
    assert install_dependencies(world.request(), world.npm).from_cache is True
    assert world.rubbish == []


def test_one_identity_is_built_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    apps = [make_app(world.base / f"app{number}") for number in range(4)]
    world.npm.meddle = lambda _tree: time.sleep(0.3)
    results = {}

    def install(folder: pathlib.Path) -> None:
        results[folder.name] = install_dependencies(world.request(folder), world.npm)

    threads = [threading.Thread(target=install, args=(folder,)) for folder in apps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert world.npm.npm_calls == [CI]
    assert sorted(result.from_cache for result in results.values()) == [False, True, True, True]
    assert all((folder / "node_modules/ms/index.js").is_file() for folder in apps)


def test_waiting_for_another_build_ends(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_module.TreeStore(str(world.store), None)
    store.prepare()

    late = store.building(timeout=0)
    with store.building(), pytest.raises(ApphostError, match=r"another installation has been building for 0 s"):
        late.__enter__()


def test_trees_that_nobody_used_for_long_are_swept(world: World) -> None:
    old = install_dependencies(world.request(), world.npm).identity
    new = install_dependencies(world.request(allow_scripts=("debug",)), world.npm).identity
    long_ago = time.time() - 1000
    os.utime(world.store / "trees" / str(old), (long_ago, long_ago))
    store = store_module.TreeStore(str(world.store), None)

    assert store.sweep(unused_for=2000) == []
    assert store.sweep(unused_for=500) == [old]
    assert world.trees == [new]


def test_using_a_tree_keeps_it(world: World) -> None:
    identity = install_dependencies(world.request(), world.npm).identity
    long_ago = time.time() - 1000
    os.utime(world.store / "trees" / str(identity), (long_ago, long_ago))

    install_dependencies(world.request(make_app(world.base / "other")), world.npm)

    assert store_module.TreeStore(str(world.store), None).sweep(unused_for=500) == []


def test_a_tree_with_links_is_kept_however_old(world: World, owners: dict[str, t.Any]) -> None:
    identity = install_dependencies(world.request(), world.npm).identity
    long_ago = time.time() - 1000
    os.utime(world.store / "trees" / str(identity), (long_ago, long_ago))
    store = store_module.TreeStore(str(world.store), None)

    assert store.sweep(unused_for=500) == []
    shutil.rmtree(world.app / "node_modules")
    with store.building():
        assert store.sweep(unused_for=500) == []
    assert store.sweep(unused_for=500) == [identity]


def test_sweeping_a_store_that_is_not_there(world: World) -> None:
    assert store_module.TreeStore(str(world.store), None).sweep(unused_for=0) == []


def test_a_full_disk_while_putting_it_in_place(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    install_dependencies(world.request(), world.npm)
    other = make_app(world.base / "other")

    def full(*_arguments: t.Any, **_more: t.Any) -> t.NoReturn:
        raise OSError(28, "No space left on device", "/srv/app")

    monkeypatch.setattr(os, "symlink", full)

    assert "/srv/app: no space left on the device. Free some space" in failure(world, world.request(other))
    assert sorted(path.name for path in other.iterdir()) == ["package-lock.json", "package.json"]
