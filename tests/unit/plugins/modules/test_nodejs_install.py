# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module nodejs_install: what it reports, and that check mode asks and changes nothing."""

from __future__ import annotations

import functools
import os
import pathlib
import platform
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.download import Downloader
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.store import RuntimeStore
from ansible_collections.evenkeel.apphost.plugins.modules import nodejs_install

NODE = "#!/bin/sh\necho v{version}\n"


class FakeModule:
    """What ``work`` needs of AnsibleModule."""

    def __init__(self, check_mode: bool = False, **options: t.Any) -> None:
        defaults = {name: option.get("default") for name, option in nodejs_install.ARGUMENT_SPEC.items()}
        self.params = {**defaults, **options}
        self.check_mode = check_mode
        self.answers: dict[str, tuple[int, str, str]] = {}
        self.started: list[list[str]] = []

    def run_command(self, command: list[str], **_options: t.Any) -> tuple[int, str, str]:
        self.started.append(command)
        return self.answers[command[0]]

    def warn(self, message: str) -> None:
        raise AssertionError(message)


def work(check_mode: bool = False, **options: t.Any) -> dict[str, t.Any]:
    """The module's result with these options."""
    return nodejs_install.work(t.cast(t.Any, FakeModule(check_mode, **options)))


@pytest.fixture(name="store", autouse=True)
def fixture_store(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> t.Iterator[RuntimeStore]:
    """A host's store below a temporary folder, on an x86_64 that can reach nobody."""
    monkeypatch.setattr(nodejs_install, "RuntimeStore", functools.partial(RuntimeStore, base=str(tmp_path)))
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(Downloader, "text", lambda _self, url: pytest.fail(f"asked {url}"))
    before = os.umask(0o022)
    yield RuntimeStore("nodejs", str(tmp_path))
    os.umask(before)


def put(store: RuntimeStore, version: str, provider: str = "archive") -> None:
    """An installed version, as the installer leaves it."""
    program = pathlib.Path(store.root(version), "bin/node")
    program.parent.mkdir(parents=True)
    program.write_text(NODE.format(version=version))
    (program.parent / "npm").write_text("")
    status = program.stat()
    stamp = {
        "version": version,
        "provider": provider,
        "arch": "x64",
        "source": "https://mirror.example/x",
        "checksum": "sha256:00",
        "node": {"size": status.st_size, "mtime_ns": status.st_mtime_ns},
        "npm": {"version": "10.9.0", "checksum": None},
    }
    store.write_stamp(store.root(version), stamp)


def test_nothing_wanted_is_nothing_done(store: RuntimeStore) -> None:
    result = work()
    assert (result["changed"], result["runtimes"], result["pruned"]) == (False, [], [])
    assert not os.path.exists(store.folder)


def test_what_is_there_is_reported_and_left_alone(store: RuntimeStore) -> None:
    put(store, "24.21.0")
    result = work(versions=["24.21.0"])
    assert not result["changed"]
    assert result["runtimes"] == [
        {
            "version": "24.21.0",
            "root": store.root("24.21.0"),
            "npm": "10.9.0",
            "source": "https://mirror.example/x",
            "checksum": "sha256:00",
            "changed": False,
            "seconds": 0.0,
        }
    ]
    assert result["diff"]["before"] == result["diff"]["after"] == "Node.js 24.21.0 (archive), npm 10.9.0\n"


def test_check_mode_foretells_without_asking(store: RuntimeStore) -> None:
    put(store, "22.23.3")
    result = work(check_mode=True, versions=["24.21.0"], prune=True)
    assert result["changed"]
    assert result["pruned"] == ["22.23.3"]
    assert result["diff"] == {
        "before": "Node.js 22.23.3 (archive), npm 10.9.0\n",
        "after": "Node.js 24.21.0 (archive), npm its own\n",
    }
    assert [each["changed"] for each in result["runtimes"]] == [True]
    assert os.listdir(store.folder) == ["22.23.3"]


def test_check_mode_on_a_bare_host_makes_no_folder(store: RuntimeStore) -> None:
    options = {"provider": "npm", "registry": "https://registry.example", "npm_version": "11.0.0"}
    result = work(check_mode=True, versions=["24.21.0", "9.0.0"], **options)
    assert result["diff"]["after"] == "Node.js 9.0.0 (npm), npm 11.0.0\nNode.js 24.21.0 (npm), npm 11.0.0\n"
    assert not os.path.exists(store.folder)


def test_prune_for_real(store: RuntimeStore) -> None:
    put(store, "22.23.3")
    put(store, "24.21.0")
    result = work(versions=["24.21.0"], prune=True)
    assert (result["changed"], result["pruned"]) == (True, ["22.23.3"])
    assert result["diff"]["after"] == "Node.js 24.21.0 (archive), npm 10.9.0\n"
    assert not work(versions=["24.21.0"], prune=True)["changed"]


def test_leftovers_are_cleared_even_with_nothing_to_do(store: RuntimeStore) -> None:
    put(store, "24.21.0")
    pathlib.Path(store.folder, ".partial-22.23.3").mkdir()
    assert not work(versions=["24.21.0"])["changed"]
    assert store.leftovers() == []


def test_missing_packages_come_first(store: RuntimeStore) -> None:
    put(store, "24.21.0")
    answers = {"dpkg-query": (1, "ca-certificates installed 20250419\n", ""), "apt-get": (0, "", "")}
    module = FakeModule(versions=["24.21.0"], packages=["ca-certificates", "libatomic1"])
    module.answers = answers
    result = nodejs_install.work(t.cast(t.Any, module))
    assert (result["changed"], result["packages"]) == (True, ["libatomic1"])
    assert result["diff"]["after"] == "Package libatomic1\nNode.js 24.21.0 (archive), npm 10.9.0\n"
    assert [command[0] for command in module.started] == ["dpkg-query", "apt-get"]
    assert module.started[1][-1] == "libatomic1"


def test_check_mode_installs_no_package() -> None:
    module = FakeModule(check_mode=True, packages=["libatomic1"])
    module.answers = {"dpkg-query": (1, "", "")}
    result = nodejs_install.work(t.cast(t.Any, module))
    assert result["changed"]
    assert result["diff"] == {"before": "", "after": "Package libatomic1\n"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"versions": ["24"]}, "'24' is not an exact version"),
        ({"versions": ["24.21.0"], "provider": "npm"}, "address of an npm registry is needed"),
        ({"versions": ["24.21.0"], "npm_version": "latest"}, "^npm_version: 'latest' is not an exact version"),
    ],
)
@pytest.mark.parametrize("check_mode", [True, False])
def test_impossible_wishes_fail_before_anything(
    store: RuntimeStore, options: dict[str, t.Any], message: str, check_mode: bool
) -> None:
    with pytest.raises(ApphostError, match=message):
        work(check_mode=check_mode, **options)
    assert not os.path.exists(store.folder)


def test_an_architecture_without_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(ApphostError, match=r"no Node\.js builds for this machine's architecture, riscv64"):
        work(versions=["24.21.0"])


def test_a_file_system_without_programs(store: RuntimeStore, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = os.statvfs("/").f_flag | os.ST_NOEXEC
    monkeypatch.setattr(os, "statvfs", lambda _path: type("Status", (), {"f_flag": flags}))
    with pytest.raises(ApphostError, match="is on a file system mounted noexec"):
        work(versions=["24.21.0"])
    assert not os.path.exists(store.folder)
