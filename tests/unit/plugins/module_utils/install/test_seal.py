# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a sealed tree looks like, and what is not let into one."""

from __future__ import annotations

import os
import pathlib
import stat
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.contents import read_contents
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.installer import install_dependencies
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.seal import seal

from .world import World, failure


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
    inside = {f"node_modules/{path.relative_to(tree)}" for path in tree.rglob("*")}
    inside -= {f"node_modules/.apphost-{name}.json" for name in ("tree", "packages", "files")}
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


@pytest.mark.parametrize("target", ["/etc/shadow", "../../../etc/shadow", "../.."])
def test_a_link_out_of_the_tree_is_refused(world: World, target: str) -> None:
    world.npm.meddle = lambda tree: (tree / "ms" / "shadow").symlink_to(target)

    assert f"/ms/shadow: is a symbolic link out of the tree, to {target!r}" in failure(world)
    assert (world.trees, world.rubbish) == ([], [])


def test_a_pipe_is_refused(world: World) -> None:
    world.npm.meddle = lambda tree: os.mkfifo(tree / "ms" / "pipe")

    assert "/ms/pipe: is neither file, folder nor link" in failure(world)


def test_a_link_through_another_link_is_refused(world: World) -> None:
    def meddle(tree: pathlib.Path) -> None:
        (tree / "ms/one").symlink_to("../semver")
        (tree / "ms/two").symlink_to("one/../../..")

    world.npm.meddle = meddle

    assert "/ms/two: is a symbolic link out of the tree" in failure(world)


def test_a_file_with_a_second_name_is_refused(world: World, tmp_path: pathlib.Path) -> None:
    """Else a lifecycle script could have a file of somebody else's given away."""
    (tmp_path / "secret").write_text("secret")
    world.npm.meddle = lambda tree: os.link(tmp_path / "secret", tree / "ms/secret")

    assert "/ms/secret: has a second name outside of the tree (a hard link)" in failure(world)


def test_a_tree_that_became_a_link_is_refused(world: World) -> None:
    def meddle(tree: pathlib.Path) -> None:
        tree.rename(tree.parent / "elsewhere")
        tree.symlink_to("elsewhere")

    world.npm.meddle = meddle

    assert "node_modules: is no folder; a package must not replace it" in failure(world)


def test_links_out_of_the_tree_to_what_is_allowed(tmp_path: pathlib.Path) -> None:
    modules = tmp_path / "node_modules"
    (modules / "@acme").mkdir(parents=True)
    (modules / "@acme/one").symlink_to("../../packages/one")
    (modules / "python").symlink_to("/usr/bin/python3")

    seal(str(tmp_path), ["node_modules"], False, 1, {"packages/one", "/usr/bin/python3"})

    for target in ("../../packages/two", "../../packages/one/lib", "../../packages", "/usr/bin/python2"):
        (modules / "@acme/other").symlink_to(target)
        with pytest.raises(ApphostError, match="is a symbolic link out of the tree"):
            seal(str(tmp_path), ["node_modules"], False, 1, {"packages/one", "/usr/bin/python3"})
        (modules / "@acme/other").unlink()


def test_what_was_sealed_is_what_a_look_at_every_file_finds(tmp_path: pathlib.Path) -> None:
    modules = tmp_path / "node_modules"
    (modules / "one/lib").mkdir(parents=True)
    (modules / "one/lib/large").write_bytes(bytes(range(256)) * 10_000)
    (modules / "one/program").write_text("#!/bin/sh\n")
    (modules / "one/program").chmod(0o700)
    (modules / "one/same").hardlink_to(modules / "one/program")
    (modules / "two").symlink_to("one")
    (modules / ".apphost-files.json").write_text("where ours goes")
    (modules / "one/.apphost-files.json").write_text("a package's own")

    contents = seal(str(tmp_path), ["node_modules"], as_root=False, moment=5)

    assert contents == read_contents(str(tmp_path), ["node_modules"])
    assert "node_modules/one/.apphost-files.json" in contents.files
    assert "node_modules/.apphost-files.json" not in contents.files
    assert contents.programs == {"node_modules/one/program", "node_modules/one/same"}
    assert (modules / "one/lib/large").stat().st_mtime == (modules / "one/same").stat().st_mtime == 5


@pytest.mark.parametrize("processes", [2, 5])
def test_several_processes_seal_as_one_does(tmp_path: pathlib.Path, processes: int) -> None:
    for folder in ("one", "two"):
        modules = tmp_path / folder / "node_modules"
        for number in range(200):
            package = modules / f"@s{number % 7}" / f"p{number}"
            (package / "lib").mkdir(parents=True, mode=0o777)
            (package / "lib" / "index.js").write_text(str(number))
            (package / "program").write_text("#!/bin/sh")
            (package / "program").chmod(0o775)
            (modules / f"l{number}").symlink_to(f"@s{number % 7}/p{number}")
        # Names of one file, which different processes see.
        for number in (3, 50, 120, 199):
            (modules / f"l{number}" / "same").hardlink_to(modules / "l0/program")

    one = seal(str(tmp_path / "one"), ["node_modules"], False, 5)
    two = seal(str(tmp_path / "two"), ["node_modules"], False, 5, processes=processes)

    assert two == one == read_contents(str(tmp_path / "two"), ["node_modules"])
    files = [path for path in (tmp_path / "two").rglob("*") if path.is_file()]
    assert {(path.stat().st_mtime, stat.S_IMODE(path.stat().st_mode)) for path in files} == {(5, 0o644), (5, 0o755)}


@pytest.mark.parametrize("processes", [1, 3])
def test_what_is_not_let_in_is_named_whoever_finds_it(tmp_path: pathlib.Path, processes: int) -> None:
    modules = tmp_path / "tree/node_modules"
    for number in range(100):
        (modules / f"p{number}" / "lib").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    stranger = modules / "p77/lib/secret"
    stranger.hardlink_to(tmp_path / "secret")
    with pytest.raises(ApphostError, match="/p77/lib/secret: has a second name outside of the tree") as caught:
        seal(str(tmp_path / "tree"), ["node_modules"], False, 5, processes=processes)
    assert caught.value.do
    assert (tmp_path / "secret").stat().st_mtime != 5

    stranger.unlink()
    os.mkfifo(stranger)
    with pytest.raises(ApphostError, match="/p77/lib/secret: is neither file, folder nor link") as caught:
        seal(str(tmp_path / "tree"), ["node_modules"], False, 5, processes=processes)
    assert caught.value.do


def test_a_link_in_the_place_of_the_tree_is_refused(tmp_path: pathlib.Path) -> None:
    (tmp_path / "node_modules").symlink_to("/etc")

    with pytest.raises(ApphostError, match=r"/node_modules: is a symbolic link; a package must not make one there\. "):
        seal(str(tmp_path), ["node_modules"], as_root=False, moment=0)


def test_a_disk_that_cannot_be_written_to(world: World) -> None:
    def run(argv: list[str]) -> tuple[int, str, str]:
        return (1, "", "sync: Input/output error\n") if argv[0] == "sync" else world.npm(argv)

    with pytest.raises(ApphostError, match=r"cannot be written to the disk: sync: Input/output error\. See what"):
        install_dependencies(world.request(), run)
    assert (world.trees, world.rubbish) == ([], [])


def test_a_file_with_two_names_in_the_tree(world: World, owners: dict[str, t.Any]) -> None:
    """Esbuild's script does that with its program."""

    def meddle(tree: pathlib.Path) -> None:
        os.link(tree / "ms/index.js", tree / "semver/program")
        (tree / "ms/index.js").chmod(0o4777)

    world.npm.meddle = meddle

    install_dependencies(world.request(), world.npm)

    program = world.app / "node_modules/semver/program"
    assert stat.S_IMODE(program.stat().st_mode) == 0o755
    assert program.samefile(world.app / "node_modules/ms/index.js")


def test_a_file_that_its_owner_may_not_read(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "node_modules").mkdir()
    program = tmp_path / "node_modules/program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o111)
    ordinary = os.open

    def refusing(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path == "program" and not program.stat().st_mode & stat.S_IRUSR:
            raise PermissionError(path)
        return ordinary(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", refusing)

    assert seal(str(tmp_path), ["node_modules"], as_root=False, moment=0).programs == {"node_modules/program"}
    assert stat.S_IMODE(program.stat().st_mode) == 0o755
