# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put a release on a host without touching what runs there.

Everything happens in ``releases/.staging-<id>``, under the app's lock; the last step gives the folder its name.
So a folder with the name of a release is whole, whatever killed a run, and the next run removes what is half done.
"""

from __future__ import annotations

import grp
import hashlib
import os
import shutil
import time
import typing as t
from dataclasses import dataclass, field

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, RunCommand, from_os_error
from ansible_collections.evenkeel.apphost.plugins.module_utils.files import (
    sync_directory,
    sync_file_system,
    write_atomic,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.installer import (
    InstallRequest,
    InstallResult,
    install_dependencies,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.options import app_options, install_request
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import AppLayout
from ansible_collections.evenkeel.apphost.plugins.module_utils.release import host
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.environment import environment_file, launcher
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.identity import env_digest
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.journal import STAGED, Journal
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.lock import hold_lock
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.manifest import (
    Manifest,
    read_manifest,
    write_manifest,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.unpack import Chown, unpack
from ansible_collections.evenkeel.apphost.plugins.module_utils.supervisor.systemd import undefined_processes

# Seconds to wait for another run that is at work on the same app.
_LOCK_WAIT = 60.0

# Space asked for before anything is written: the files (a tar pads them to 512 bytes, a file system to 4,096, hence
# the tenth), and 64 MiB for the rest. How large dependencies become nobody knows before; a disk that fills up in
# the middle is told and tidied just as well.
_SPACE_FACTOR = 1.1
_SPACE_MARGIN = 64 * 1024 * 1024

# Folders and launchers: root changes them, the app's group uses them, nobody else sees them.
_OPEN_TO_GROUP = 0o750

_SITE = "Run site.yml for this host first."

# The program of each runtime that must be there.
_PROGRAMS = {"nodejs": "node"}


@dataclass
class Report:
    """What staging did. ``seconds`` by phase: verify, unpack, install, export, finish, total."""

    changed: bool
    dependencies: InstallResult | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    #: SHA-256 of the tar at ``Stage.export``, if it was written.
    exported: str | None = None


@dataclass(frozen=True)
class Stage:
    """One release and the host it goes to. ``secrets`` complete ``manifest["env"]``."""

    layout: AppLayout
    manifest: Manifest
    secrets: t.Mapping[str, str]
    run: RunCommand
    #: Options of ``lockfile_install`` that are the host's: ``registry``, ``registry_tokens``, ``ca_file`` …
    host_options: t.Mapping[str, t.Any] = field(default_factory=dict, repr=False)
    #: Where to write the built tree for other hosts, as a tar.
    export: str | None = None
    install: t.Callable[[InstallRequest, RunCommand], InstallResult] = install_dependencies
    group_id: t.Callable[[str], int] = lambda name: grp.getgrnam(name).gr_gid
    chown: Chown = os.chown
    clock: t.Callable[[], float] = time.monotonic

    @property
    def release(self) -> str:
        """The id."""
        return self.manifest["id"]

    @property
    def staged(self) -> bool:
        """Whether the release is on the host already."""
        return os.path.isdir(self.layout.release(self.release))

    def lacks(self) -> str | None:
        """What the release needs of site.yml and does not find, in words; None when all is there."""
        if not os.path.isdir(self.layout.root):
            return "this host was never set up for it"
        found = [f"the folder {folder}" for folder in host.missing_folders(self.layout)]
        runtime = self.manifest["runtime"]
        program = f"{runtime['root']}/bin/{_PROGRAMS[runtime['name']]}"
        if not os.access(program, os.X_OK):
            found.append(f"{runtime['name']} {runtime['version']} ({program})")
        try:
            self.group_id(self.manifest["group"])
        except KeyError:
            found.append(f"the group {self.manifest['group']}")
        found += [f"a unit for process {name}" for name in undefined_processes(self.layout, self.manifest["processes"])]
        return f"this host lacks {', '.join(found)}" if found else None

    def check(self) -> None:
        """Refuse what cannot succeed, before anything is written. Raises :class:`ApphostError`."""
        app = self.manifest["app"]
        if env_digest(app, self._environment()) != self.manifest["env_digest"]:
            raise ApphostError(
                f"the secrets are not those that release {self.release} was made with",
                f"app {app}",
                "Give release_stage the same as release_bundle.",
            )
        lacks = self.lacks()
        if lacks:
            raise ApphostError(lacks, f"app {app}", _SITE)

    def check_space(self) -> None:
        """Raises :class:`ApphostError` when the files cannot fit."""
        artifact = self.manifest["artifact"]
        needed = int(artifact["size"] * _SPACE_FACTOR) + _SPACE_MARGIN
        disk = os.statvfs(self.layout.releases)
        free = disk.f_bavail * disk.f_frsize
        if free < needed:
            raise ApphostError(
                f"release {self.release} needs {_mebibytes(needed)} and {_mebibytes(free)} are free",
                self.layout.releases,
                "Free some space (or prune old releases) and run again.",
            )
        # Some file systems (btrfs) have no fixed number of inodes and say 0.
        if disk.f_files and disk.f_favail < artifact["files"]:
            raise ApphostError(
                f"release {self.release} needs {artifact['files']} inodes and {disk.f_favail} are free",
                self.layout.releases,
                "Prune old releases, or make a file system with more inodes.",
            )

    def carry_out(self, bundle: str) -> Report:
        """Stage the release from the tar at ``bundle``; nothing to do when it is on the host already.

        Raises :class:`ApphostError`, and ``LacksTree`` when dependencies are missing that are not to be built here;
        then the host is as it was.
        """
        self.check()
        with hold_lock(self.layout.lock, f"stage {self.release}", _LOCK_WAIT):
            for leftover in host.leftovers(self.layout):
                shutil.rmtree(leftover)
            if self.staged:
                self._check_staged()
                return Report(changed=False)
            self.check_space()
            return self._stage(bundle)

    def skip(self) -> Report:
        """The report for a release that is on the host already. Raises :class:`ApphostError` when it is damaged."""
        self.check()
        with hold_lock(self.layout.lock, f"look at {self.release}", _LOCK_WAIT):
            self._check_staged()
        return Report(changed=False)

    def _check_staged(self) -> None:
        read_manifest(self.layout, self.release)
        journal = Journal(self.layout.journal)
        if self.release not in journal.newest_first():
            # A run was killed between the last two steps, staging and saying so.
            journal.append(STAGED, self.release)

    def _stage(self, bundle: str) -> Report:
        staging = f"{self.layout.releases}/{host.STAGING}{self.release}"
        times = _Times(self.clock)
        try:
            self._verify(bundle)
            times.lap("verify")
            self._unpack(bundle, staging)
            times.lap("unpack")
            dependencies = self._install(f"{staging}/app")
            times.lap("install")
            exported = None
            if self.export and dependencies.identity:
                exported = self._export(dependencies.identity, self.export)
                times.lap("export")
            self._finish(staging)
        except BaseException as error:
            shutil.rmtree(staging, ignore_errors=True)
            if isinstance(error, OSError):
                raise from_os_error(error, f"staging release {self.release}") from error
            raise
        Journal(self.layout.journal).append(STAGED, self.release)
        times.lap("finish")
        return Report(True, dependencies, times.seconds(), exported)

    def _verify(self, bundle: str) -> None:
        artifact = self.manifest["artifact"]
        # Its path is one of the moment, on a host that did not make it.
        where = f"the bundle of release {self.release}"
        size = os.path.getsize(bundle)
        if size != artifact["size"]:
            raise ApphostError(
                f"has {size} bytes instead of {artifact['size']}: it did not arrive whole", where, "Run again."
            )
        digest = hashlib.sha256()
        with open(bundle, "rb") as file:
            while chunk := file.read(1024 * 1024):
                digest.update(chunk)
        if digest.hexdigest() != artifact["sha256"]:
            raise ApphostError(
                f"has the SHA-256 {digest.hexdigest()} instead of {artifact['sha256']}: it was altered",
                where,
                "Bundle the app again.",
            )

    def _unpack(self, bundle: str, staging: str) -> None:
        gid = self.group_id(self.manifest["group"])
        for folder in (staging, f"{staging}/app", f"{staging}/bin"):
            os.mkdir(folder, 0o700)
            self.chown(folder, -1, gid)
            os.chmod(folder, _OPEN_TO_GROUP)
        count = unpack(bundle, f"{staging}/app", gid, chown=self.chown)
        if count != self.manifest["artifact"]["files"]:
            raise ApphostError(f"holds {count} files instead of {self.manifest['artifact']['files']}", bundle)

    def _install(self, folder: str) -> InstallResult:
        root = self.manifest["runtime"]["root"]
        return self.install(asked_for(self.manifest, folder, self.layout.store, root, self.host_options), self.run)

    def _export(self, identity: str, path: str) -> str:
        # Only loaded where something is shipped.
        from ansible_collections.evenkeel.apphost.plugins.module_utils.install.ship import export_tree
        from ansible_collections.evenkeel.apphost.plugins.module_utils.install.store import TreeStore

        return export_tree(TreeStore(self.layout.store, None), identity, path)

    def _finish(self, staging: str) -> None:
        """Everything but the app's own files, then the name. After a power cut the release is whole or not there."""
        gid = self.group_id(self.manifest["group"])
        final = self.layout.release(self.release)
        runtime_bin = f"{self.manifest['runtime']['root']}/bin"
        for name, process in self.manifest["processes"].items():
            content = launcher(
                self.manifest["app"], self.release, name, process["command"], f"{final}/app", runtime_bin
            )
            write_atomic(f"{staging}/bin/{name}", content, _OPEN_TO_GROUP, gid)
        app = f"app {self.manifest['app']}"
        write_atomic(f"{staging}/environment", environment_file(self._environment(), app), 0o600)
        write_manifest(staging, self.manifest, gid)
        sync_file_system(staging, self.run)
        os.rename(staging, final)
        sync_directory(self.layout.releases)

    def _environment(self) -> dict[str, str]:
        return {**self.manifest["env"], **self.secrets}


def asked_for(
    manifest: Manifest, folder: str, store: str, runtime_root: str, host_options: t.Mapping[str, t.Any]
) -> InstallRequest:
    """What a release asks to be installed into the ``folder`` with its files. Raises :class:`ApphostError`."""
    lockfile = manifest["lockfile"]
    manager = lockfile["manager"] if lockfile else None
    options = app_options(manifest["dependencies"], {**host_options, "runtime_root": runtime_root}, manager)
    return install_request(folder, store, options)


class _Times:
    """A stopwatch with laps."""

    def __init__(self, clock: t.Callable[[], float]) -> None:
        self._clock = clock
        self._start = self._last = clock()
        self._laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = self._clock()
        self._laps[name] = round(now - self._last, 3)
        self._last = now

    def seconds(self) -> dict[str, float]:
        return {**self._laps, "total": round(self._last - self._start, 3)}


def _mebibytes(size: int) -> str:
    return f"{size / 1024 / 1024:,.0f} MiB"
