# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an app's files come from, on the controller: a folder, or a commit of a git repository."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import subprocess
import tempfile
import typing as t
from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.lock import hold_lock
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.unpack import unpack

# Longest wait, in seconds, for another run that fetches the same repository.
_FETCH_WAIT = 300.0


@dataclass(frozen=True)
class Source:
    """The files of one app, in ``folder``. ``name`` is what people call the place, in errors."""

    folder: str
    name: str
    described: str | None
    """The version as git describes it; None when git knows nothing."""


@contextlib.contextmanager
def open_source(source: t.Mapping[str, t.Any], cache: str) -> t.Iterator[Source]:
    """The files that the ``source`` of a resolved app names, while the block runs.

    Repositories that are not on this machine are mirrored below the folder ``cache``.
    Raises :class:`ApphostError` when there are no such files.
    """
    if source["type"] == "git":
        with _open_git(source["repo"], source["ref"], cache) as opened:
            yield opened
    else:
        yield _open_directory(source["path"])


def _open_directory(path: str) -> Source:
    folder = os.path.abspath(os.path.expanduser(path))
    if not os.path.exists(folder):
        raise ApphostError(f"source path {folder} does not exist")
    if not os.path.isdir(folder):
        raise ApphostError(f"source path {folder} is not a folder")
    return Source(folder, folder, _describe_folder(folder))


def _describe_folder(folder: str) -> str | None:
    """The last commit that touched the folder, with ``-dirty`` when it was changed since.

    Not the last commit of the repository: work elsewhere in it makes no new release of this app.
    """
    commit = _answer(["-C", folder, "log", "-1", "--format=%H", "--", "."])
    described = _answer(["-C", folder, "describe", "--tags", "--always", commit]) if commit else None
    changed = described and _answer(["-C", folder, "status", "--porcelain", "--", "."])
    return f"{described}-dirty" if changed else described


@contextlib.contextmanager
def _open_git(repo: str, ref: str, cache: str) -> t.Iterator[Source]:
    name = f"{_without_password(repo)} at {ref}"
    local = os.path.expanduser(repo)
    repository = local if os.path.isdir(local) else _mirror(repo, ref, name, cache)
    commit = _answer(["-C", repository, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}"])
    if not commit:
        raise ApphostError(f"source {_without_password(repo)} has no branch, tag or commit {ref}")
    tree = _answer(["-C", repository, "ls-tree", "-r", commit]) or ""
    submodules = re.findall(r"^160000 .*\t(.*)$", tree, re.MULTILINE)
    if submodules:
        raise ApphostError(f"source {name} has the submodule {submodules[0]}; submodules are not supported yet")
    with tempfile.TemporaryDirectory(prefix="apphost-source-") as scratch:
        archive, folder = os.path.join(scratch, "tar"), os.path.join(scratch, "app")
        _git(["-C", repository, "archive", "--format=tar", f"--output={archive}", commit], name)
        os.mkdir(folder)
        unpack(archive, folder, folder_mode=0o700, file_mode=0o600)
        yield Source(folder, name, _answer(["-C", repository, "describe", "--tags", "--always", commit]))


def _mirror(repo: str, ref: str, name: str, cache: str) -> str:
    """A mirror that has ``ref`` as the origin has it now. For a commit it has nobody is asked: that never changes."""
    mirror = os.path.join(cache, hashlib.sha256(repo.encode()).hexdigest()[:20])
    os.makedirs(cache, mode=0o700, exist_ok=True)
    with hold_lock(f"{mirror}.lock", f"fetch {_without_password(repo)}", wait=_FETCH_WAIT):
        if not os.path.isdir(mirror):
            with tempfile.TemporaryDirectory(dir=cache) as scratch:
                fresh = os.path.join(scratch, "mirror")
                _git(["clone", "--quiet", "--mirror", "--", repo, fresh], name)
                os.rename(fresh, mirror)
        elif not (re.fullmatch("[0-9a-f]{40}", ref) and _answer(["-C", mirror, "cat-file", "-t", ref]) == "commit"):
            _git(["-C", mirror, "fetch", "--quiet", "--prune", "origin"], name)
    return mirror


def _run_git(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    # No terminal: git must not stop a deploy to ask for a password.
    environment = {**os.environ, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
    try:
        return subprocess.run(
            ["git", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="backslashreplace",
            check=False,
        )
    except FileNotFoundError:
        return subprocess.CompletedProcess(arguments, 127, "", "git is not installed on the controller")


def _answer(arguments: list[str]) -> str | None:
    """What git prints, None when it fails: there is no repository, or no such thing in it."""
    result = _run_git(arguments)
    return result.stdout.strip() if result.returncode == 0 else None


def _git(arguments: list[str], name: str) -> None:
    result = _run_git(arguments)
    if result.returncode != 0:
        said = _without_password(result.stderr.strip()) or f"git ended with status {result.returncode}"
        raise ApphostError(f"source {name} cannot be read: {said}")


def _without_password(text: str) -> str:
    """``text`` with the user and password of every address in it left out."""
    return re.sub(r"(\w://)[^/@\s]+@", r"\1", text)
