# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The versions of one runtime on this host, side by side, each whole or not there at all.

::

    /opt/apphost/runtimes/<runtime>/
        .lock                   held while anything here changes
        .partial-<version>/     work in progress; what a killed run leaves is removed by the next
        <version>/              put in place by one rename, when it is complete, tried and on the disk
            runtime.json        the stamp: where it is from and how to see cheaply that it is still whole
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import shutil
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.files import sync_directory, write_atomic
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import RELEASES_BASE, runtime_root
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.lock import hold_lock
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.versions import parse

SCHEMA = 1
STAMP = "runtime.json"
_PARTIAL = ".partial-"
# Two versions take 10 s on a slow line's good day; another run that still works after this is stuck.
LOCK_WAIT = 600.0

Stamp = dict[str, t.Any]


class RuntimeStore:
    """All versions of ``runtime``. ``base`` prefixes every path, for tests."""

    def __init__(self, runtime: str, base: str = "") -> None:
        self.runtime = runtime
        self.base = base
        self.folder = os.path.dirname(runtime_root(runtime, "0", base))

    def root(self, version: str) -> str:
        return runtime_root(self.runtime, version, self.base)

    def versions(self) -> list[str]:
        """What is installed, oldest first."""
        with contextlib.suppress(FileNotFoundError):
            return sorted(filter(parse, os.listdir(self.folder)), key=parse)
        return []

    def stamp(self, version: str) -> Stamp:
        """The stamp of an installed version; empty when there is none that can be read."""
        try:
            with open(os.path.join(self.root(version), STAMP), encoding="utf-8") as file:
                stamp = json.load(file)
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return {}
        return stamp if isinstance(stamp, dict) and stamp.get("schema") == SCHEMA else {}

    def write_stamp(self, root: str, stamp: Stamp) -> None:
        text = json.dumps({"schema": SCHEMA, **stamp}, indent=2, sort_keys=True) + "\n"
        write_atomic(os.path.join(root, STAMP), text.encode(), 0o644)

    def check_executable(self) -> None:
        """:class:`ApphostError` when programs in the folder could not be started."""
        existing = self.folder
        while not os.path.exists(existing):
            existing = os.path.dirname(existing)
        if os.statvfs(existing).f_flag & os.ST_NOEXEC:
            raise ApphostError(
                "is on a file system mounted noexec, so no program in it can run", existing, "Mount it with exec."
            )

    @contextlib.contextmanager
    def changing(self) -> t.Iterator[None]:
        """Be the only run that changes this folder; first clear away what a killed one left."""
        os.makedirs(self.folder, exist_ok=True)
        with hold_lock(os.path.join(self.folder, ".lock"), f"install {self.runtime}", LOCK_WAIT):
            for leftover in self.leftovers():
                _remove(leftover)
            yield

    def leftovers(self) -> list[str]:
        """Work in progress of another run, or of one that was killed."""
        return glob.glob(os.path.join(glob.escape(self.folder), f"{_PARTIAL}*"))

    @contextlib.contextmanager
    def scratch(self, name: str) -> t.Iterator[str]:
        """A work folder on the file system of the versions, gone afterwards whatever happens."""
        path = os.path.join(self.folder, f"{_PARTIAL}{name}")
        os.mkdir(path, 0o755)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    def replace(self, place: str, new: str) -> None:
        """Rename ``new`` to ``place``; what was there before is removed after.

        Programs that run from what is replaced keep their open files.
        """
        old = os.path.join(self.folder, f"{_PARTIAL}old")
        if os.path.lexists(place):
            os.rename(place, old)
        os.rename(new, place)
        sync_directory(os.path.dirname(place))
        _remove(old)

    def remove(self, version: str) -> None:
        """Uninstall a version, if it is there: gone from its place at once, then from the disk."""
        old = os.path.join(self.folder, f"{_PARTIAL}old")
        with contextlib.suppress(FileNotFoundError):
            os.rename(self.root(version), old)
        _remove(old)

    def surplus(self, wanted: t.Iterable[str]) -> list[str]:
        """The versions that nobody wants, that no release was made for and that nothing runs from."""
        kept = {*wanted, *self._used_by_releases(), *self._used_by_processes()}
        return [version for version in self.versions() if version not in kept]

    def _used_by_releases(self) -> set[str]:
        releases = glob.glob(f"{glob.escape(self.base)}{RELEASES_BASE}/*/releases/*/release.json")
        runtimes = map(_runtime_of, releases)
        return {version for name, version in runtimes if name == self.runtime}

    def _used_by_processes(self) -> set[str]:
        used = set()
        for link in glob.glob("/proc/[0-9]*/exe"):
            with contextlib.suppress(OSError):
                program = os.readlink(link)
                if program.startswith(f"{self.folder}/"):
                    used.add(program[len(self.folder) + 1 :].split("/")[0])
        return used


def _runtime_of(manifest: str) -> tuple[str, str]:
    """Name and version of the runtime that a release was made for."""
    try:
        with open(manifest, encoding="utf-8") as file:
            runtime = json.load(file)["runtime"]
        return str(runtime["name"]), str(runtime["version"])
    except (ValueError, KeyError, TypeError) as error:
        raise ApphostError(
            "does not say which runtime its release needs, so no old version was removed",
            manifest,
            "Repair or remove that release, or set prune to false.",
        ) from error


def _remove(path: str) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
