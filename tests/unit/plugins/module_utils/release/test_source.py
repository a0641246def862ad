# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sources: folders, and commits of real git repositories."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.source import open_source

from .test_artifact import packed


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "init.defaultBranch=main"]
    command = ["git", *identity, "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit(repository: Path, **files: str) -> str:
    for name, content in files.items():
        path = repository / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    git(repository, "add", "-A")
    git(repository, "commit", "-qm", "a commit")
    return git(repository, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "repository"
    path.mkdir()
    git(path, "init", "-q")
    (path / "run.sh").touch()
    (path / "run.sh").chmod(0o755)
    (path / "link").symlink_to("run.sh")
    commit(path, server_js="one", app__index_js="one")
    git(path, "tag", "v1.0")
    return path


def described(source: dict[str, Any], cache: Path) -> str | None:
    with open_source(source, str(cache)) as opened:
        return opened.described


def content(source: dict[str, Any], cache: Path, name: str = "server.js") -> str:
    with open_source(source, str(cache)) as opened:
        return Path(opened.folder, name).read_text()


def directory(path: Path) -> dict[str, Any]:
    return {"type": "directory", "path": str(path)}


def ref(repo: Path | str, name: str) -> dict[str, Any]:
    return {"type": "git", "repo": str(repo), "ref": name}


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ApphostError, match=f"^source path {tmp_path}/none does not exist$"):
        described(directory(tmp_path / "none"), tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ApphostError, match=f"^source path {tmp_path}/file is not a folder$"):
        described(directory(tmp_path / "file"), tmp_path)


def test_a_folder_without_git_has_no_version(tmp_path: Path) -> None:
    assert described(directory(tmp_path), tmp_path) is None


def test_a_folder_is_described_by_its_own_commits(repository: Path, tmp_path: Path) -> None:
    app = directory(repository / "app")
    assert described(app, tmp_path) == "v1.0"
    commit(repository, server_js="two")
    assert described(app, tmp_path) == "v1.0"
    head = commit(repository, app__index_js="two")
    assert described(app, tmp_path) == f"v1.0-2-g{head[:7]}"
    (repository / "server.js").write_text("three")
    assert described(app, tmp_path) == f"v1.0-2-g{head[:7]}"
    (repository / "app" / "new.js").write_text("")
    assert described(app, tmp_path) == f"v1.0-2-g{head[:7]}-dirty"


def test_a_commit_is_the_same_artifact_as_a_folder_with_its_files(repository: Path, tmp_path: Path) -> None:
    with open_source(ref(repository, "main"), str(tmp_path / "cache")) as opened:
        folder = Path(opened.folder)
        assert opened.name == f"{repository} at main"
        assert packed(folder) == packed(repository)
    assert not folder.exists()
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("make", [str, "file://{}".format], ids=["path", "url"])
def test_a_ref_is_a_branch_a_tag_or_a_commit(repository: Path, tmp_path: Path, make: Any) -> None:
    repo, cache = make(repository), tmp_path / "cache"
    assert content(ref(repo, "main"), cache) == "one"
    second = commit(repository, server_js="two")
    third = commit(repository, server_js="three")
    git(repository, "tag", "-am", "annotated", "v2.0")
    (repository / "server.js").write_text("not committed")
    assert content(ref(repo, "main"), cache) == "three"
    assert content(ref(repo, "v1.0"), cache) == "one"
    assert content(ref(repo, second), cache) == "two"
    assert described(ref(repo, third), cache) == "v2.0"
    assert described(ref(repo, second), cache) == f"v1.0-1-g{second[:7]}"


def test_a_known_commit_needs_no_network_and_a_moved_branch_is_seen(repository: Path, tmp_path: Path) -> None:
    repo, cache = f"file://{repository}", tmp_path / "cache"
    head = git(repository, "rev-parse", "HEAD")
    assert content(ref(repo, "main"), cache) == "one"
    git(repository, "checkout", "-q", "--orphan", "other")
    commit(repository, server_js="forced")
    git(repository, "branch", "-qf", "main")
    assert content(ref(repo, "main"), cache) == "forced"
    repository.rename(tmp_path / "gone")
    assert content(ref(repo, head), cache) == "one"
    with pytest.raises(ApphostError, match=r"source file://.* at main cannot be read: .*repository"):
        content(ref(repo, "main"), cache)


@pytest.mark.parametrize("make", [str, "file://{}".format], ids=["path", "url"])
def test_an_unknown_ref_is_an_error(repository: Path, tmp_path: Path, make: Any) -> None:
    with pytest.raises(ApphostError, match=rf"^source .*{repository} has no branch, tag or commit v9$"):
        content(ref(make(repository), "v9"), tmp_path / "cache")


def test_a_repository_that_does_not_exist_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ApphostError, match=r"^source file:///nowhere at main cannot be read: "):
        content(ref("file:///nowhere", "main"), tmp_path / "cache")
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_a_password_in_an_address_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(ApphostError) as caught:
        content(ref("file://user:hunter2@/nowhere", "main"), tmp_path / "cache")
    assert "hunter2" not in caught.value.message
    assert caught.value.message.startswith("source file:///nowhere at main cannot be read")


def test_a_submodule_is_refused(repository: Path, tmp_path: Path) -> None:
    git(repository, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(repository), "vendor/sub")
    git(repository, "commit", "-qm", "submodule")
    with pytest.raises(ApphostError, match="has the submodule vendor/sub; submodules are not supported yet"):
        content(ref(repository, "main"), tmp_path / "cache")


def test_a_controller_without_git_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ApphostError, match="git is not installed on the controller"):
        content(ref("file:///nowhere", "main"), tmp_path / "cache")
    assert described(directory(tmp_path), tmp_path) is None
    assert os.listdir(tmp_path) == ["cache"]
