# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A packed set of archives: found by their hashes, in a folder or a tar; what is missing is named."""

from __future__ import annotations

import base64
import hashlib
import pathlib
import tarfile
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install import packed
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.locks import Locks
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.base import Job
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.programs import Programs
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.packed import take_out
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Package, Source


def package(name: str, content: bytes, algorithm: str = "sha512", source: str = Source.REGISTRY) -> Package:
    digest = base64.b64encode(hashlib.new(algorithm, content).digest()).decode()
    return Package(f"node_modules/{name}", name, "1.0.0", integrity=f"{algorithm}-{digest}", source=source)


PACKAGES = [
    package("a", b"archive a"),
    package("b", b"archive b", "sha256"),
    package("same", b"archive a"),
    package("inside", b"never looked for", source=Source.BUNDLED),
]


@pytest.fixture
def job(tmp_path: pathlib.Path) -> Job:
    (tmp_path / "work").mkdir()
    return Job(str(tmp_path / "work"), "", Programs("", Locks("")), None, lambda argv: (0, "", ""))


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "set"
    (folder / "deep").mkdir(parents=True)
    (folder / "a b.tgz").write_bytes(b"archive a")
    (folder / "deep" / "b-1.0-py3-none-any.whl").write_bytes(b"archive b")
    (folder / "not-wanted.tgz").write_bytes(b"something else")
    (folder / "link.tgz").symlink_to("/etc/passwd")
    return folder


def copied(job: Job, found: dict[str, list[str]]) -> dict[str, bytes]:
    return {path: (pathlib.Path(job.work) / "packed" / files[0]).read_bytes() for path, files in found.items()}


EXPECTED = {"node_modules/a": b"archive a", "node_modules/b": b"archive b", "node_modules/same": b"archive a"}


def test_a_folder(folder: pathlib.Path, job: Job) -> None:
    found = take_out(str(folder), PACKAGES, job)

    assert copied(job, found) == EXPECTED
    assert found["node_modules/b"] == ["b-1.0-py3-none-any.whl"]
    assert found["node_modules/a"] == found["node_modules/same"] == ["a_b.tgz"]
    assert len(list((pathlib.Path(job.work) / "packed").rglob("*.*"))) == 2


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar(folder: pathlib.Path, job: Job, mode: t.Literal["w", "w:gz"]) -> None:
    path = folder.parent / "set.tar"
    with tarfile.open(path, mode) as tar:
        tar.add(folder, "anything/../at/all")

    assert copied(job, take_out(str(path), PACKAGES, job)) == EXPECTED


def test_what_is_missing_is_named(folder: pathlib.Path, job: Job) -> None:
    (folder / "a b.tgz").write_bytes(b"archive A")

    with pytest.raises(
        ApphostError, match=r"set: the packed set lacks a@1\.0\.0; same@1\.0\.0\. Add the very archives"
    ):
        take_out(str(folder), PACKAGES, job)


def test_no_set_at_all(folder: pathlib.Path, job: Job) -> None:
    with pytest.raises(ApphostError, match=r"is neither a folder nor a tar\. Put the packed set there, on the host\."):
        take_out(str(folder / "nowhere"), PACKAGES, job)
    with pytest.raises(ApphostError, match=r"is no readable tar"):
        take_out(str(folder / "a b.tgz"), PACKAGES, job)


def test_something_that_is_no_package(folder: pathlib.Path, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "MAX_BYTES", len(b"something else"))
    assert copied(job, take_out(str(folder), PACKAGES, job)) == EXPECTED

    monkeypatch.setattr(packed, "MAX_BYTES", len(b"something else") - 1)
    with pytest.raises(ApphostError, match=r"/not-wanted\.tgz: has 14 bytes; no package has more than 13\. Take it"):
        take_out(str(folder), PACKAGES, job)
