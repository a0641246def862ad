# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program with its configuration: packages, folders, files and service, brought to a wanted state in one go.

The files are checked by the program itself while they lie in their places for nobody else: in a mount namespace of its
own, with each candidate over the file that it is to replace, the program reads its complete, real configuration. A
candidate that fails never is in force, not for a moment and not at the next boot.
"""

from __future__ import annotations

import contextlib
import glob
import os
import tempfile
import typing as t
from collections.abc import Iterator
from dataclasses import dataclass, field

from ansible_collections.evenkeel.apphost.plugins.module_utils.apt import Apt
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, RunCommand
from ansible_collections.evenkeel.apphost.plugins.module_utils.files import remove_if_there, write_atomic
from ansible_collections.evenkeel.apphost.plugins.module_utils.supervisor.base import Supervisor
from ansible_collections.evenkeel.apphost.plugins.module_utils.supervisor.systemd import UNITS

FOLDER_MODE = 0o755

NO_NAMESPACE = 125
"""Exit status of the check when it could not be set up (the program itself was not asked)."""

# Arguments: pairs of candidate and place, then "--", then the program. unshare makes the mounts private.
IN_PLACE = f"""
while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit {NO_NAMESPACE}; shift 2; done
shift
exec "$@"
"""

PENDING = "/run/apphost-{}.pending"
"""Exists from before files are written until the service has taken them over, so that an interrupted run is finished by
the next. A boot needs no reminder: the service starts with what is there."""


@dataclass(frozen=True)
class File:
    """A file with its content and mode, owned by root."""

    path: str
    content: str
    mode: int = 0o644


@dataclass(frozen=True)
class Wanted:
    """How things should be."""

    service: str | None = None
    """The unit; ``None``: only the files matter."""
    running: bool = True
    """Now and at boot; ``False``: neither."""
    packages: t.Sequence[str] = ()
    folders: t.Sequence[str] = ()
    """Made (root, 0755) when they are not there; else left as they are."""
    files: t.Sequence[File] = ()
    absent: t.Sequence[str] = ()
    """Paths or patterns of files that must not be there. What is in ``files`` may match."""
    check: t.Sequence[str] = ()
    """The command that refuses bad files."""
    on_change: str | None = None
    """``reload`` or ``restart`` a service that runs when files changed; ``None``: it needs neither."""


@dataclass(frozen=True)
class Change:
    """A file that is not as it should be; ``None``: no file."""

    path: str
    before: str | None
    after: str | None
    mode: int = 0o644

    def as_diff(self) -> dict[str, str]:
        """The form of Ansible's ``--diff``."""
        headers = {"before_header": self.path, "after_header": self.path}
        return {"before": self.before or "", "after": self.after or "", **headers}


Step = tuple[str, t.Callable[[], None]]
"""Something to do, with the words for it; without words when it goes without saying."""


@dataclass
class Outcome:
    """What was, or would be, done."""

    done: list[str] = field(default_factory=list)
    """In words, such as ``package nginx`` or ``start nginx.service``."""
    changes: list[Change] = field(default_factory=list)


class ServiceConfig:
    """Brings a service to its wanted state on this host. ``base`` prefixes every path, for tests."""

    def __init__(self, run: RunCommand, apt: Apt, supervisor: Supervisor, base: str = "") -> None:
        self._run = run
        self._apt = apt
        self._supervisor = supervisor
        self._base = base

    def bring_about(self, wanted: Wanted, check_mode: bool = False) -> Outcome:
        """Do what is missing; in check mode only say so. Raises when the files are refused, and writes none of them."""
        missing = self._apt.missing(wanted.packages)
        outcome = Outcome([f"package {package}" for package in missing])
        if missing and not check_mode:
            self._install(missing, wanted.service)
        outcome.done += self._make_folders(wanted.folders, check_mode)
        outcome.changes = self._differences(wanted)
        outcome.done += [f"{'remove' if one.after is None else 'write'} {one.path}" for one in outcome.changes]
        checkable = not check_mode or not (missing or self._to_be_made(wanted))
        if outcome.changes and wanted.check and wanted.running and checkable:
            self._check(wanted.check, outcome.changes)
        outcome.done += self._settle(wanted, outcome.changes, check_mode)
        return outcome

    def _install(self, packages: t.Sequence[str], service: str | None) -> None:
        """Install without starting the service: it would run with the configuration of its package."""
        if service is None:
            self._apt.install(packages)
            return
        self._systemctl("mask", "--runtime", service)
        try:
            self._apt.install(packages)
        finally:
            self._systemctl("unmask", "--runtime", service)

    def _make_folders(self, folders: t.Sequence[str], check_mode: bool) -> list[str]:
        missing = [folder for folder in folders if not os.path.isdir(self._base + folder)]
        for folder in missing if not check_mode else []:
            self._make_folder(self._base + folder)
        return [f"folder {folder}" for folder in missing]

    def _make_folder(self, path: str) -> None:
        """With its parents; whatever the umask, others may look into it."""
        if not os.path.isdir(path):
            self._make_folder(os.path.dirname(path))
            os.mkdir(path)
            os.chmod(path, FOLDER_MODE)

    def _differences(self, wanted: Wanted) -> list[Change]:
        changes = []
        for file in wanted.files:
            before, mode = self._read(file.path)
            if (before, mode) != (file.content, file.mode):
                changes.append(Change(file.path, before, file.content, file.mode))
        kept = {file.path for file in wanted.files}
        for pattern in wanted.absent:
            paths = (path[len(self._base) :] for path in sorted(glob.glob(self._base + pattern)))
            changes += [Change(path, self._read(path)[0], None) for path in paths if path not in kept]
        return changes

    def _read(self, path: str) -> tuple[str | None, int | None]:
        """Content and mode; of a link that leads nowhere the content is empty."""
        try:
            with open(self._base + path, encoding="utf-8", errors="replace") as file:
                return file.read(), os.fstat(file.fileno()).st_mode & 0o7777
        except FileNotFoundError:
            return ("" if os.path.islink(self._base + path) else None), None

    def _to_be_made(self, wanted: Wanted) -> bool:
        """Something is not there yet that the check would need and check mode cannot make."""
        places = [*wanted.folders, *(file.path for file in wanted.files)]
        return not all(os.path.exists(self._base + place) for place in places)

    def _check(self, command: t.Sequence[str], changes: t.Sequence[Change]) -> None:
        with tempfile.TemporaryDirectory(prefix="apphost-check-") as folder, self._places(changes):
            pairs: list[str] = []
            for number, change in enumerate(changes):
                place = self._base + change.path
                candidate = f"{folder}/{number}"
                # A program may refuse a file for its mode.
                write_atomic(candidate, (change.after or "").encode(), change.mode)
                if os.path.exists(place):
                    pairs += [candidate, place]
            status, out, err = self._run(["unshare", "--mount", "sh", "-c", IN_PLACE, "sh", *pairs, "--", *command])
        said = "\n".join(line for line in (err or out).splitlines() if line.strip())
        if status == NO_NAMESPACE or (status and said.startswith("unshare:")):
            raise ApphostError(f"the new files cannot be checked: {said}", " ".join(command))
        if status:
            raise ApphostError(f"{command[0]} refuses the new configuration: {said}", do="The old one stays in force.")

    @contextlib.contextmanager
    def _places(self, changes: t.Sequence[Change]) -> Iterator[None]:
        """Something to lay the candidates over: an empty file where there is none, for the time of the check."""
        made = [change.path for change in changes if not os.path.lexists(self._base + change.path)]
        for path in made:
            self._make_folder(os.path.dirname(self._base + path))
            with open(self._base + path, "x", encoding="utf-8"):
                pass
        try:
            yield
        finally:
            for path in made:
                remove_if_there(self._base + path)

    def _settle(self, wanted: Wanted, changes: t.Sequence[Change], check_mode: bool) -> list[str]:
        """Stop what is to go, write and remove files, start what is to run, let it take over the changes."""
        pending = self._base + PENDING.format(wanted.service or "files")
        fresh = bool(changes) or os.path.exists(pending)
        before, after = self._service_steps(wanted, fresh) if wanted.service else ([], [])
        if not check_mode:
            for _words, do in before:
                do()
            if fresh:
                self._write(changes, pending)
            for _words, do in after:
                do()
            remove_if_there(pending)
        return [words for words, _do in before + after if words]

    def _service_steps(self, wanted: Wanted, fresh: bool) -> tuple[list[Step], list[Step]]:
        """What the service needs before and after the files are written."""
        service, supervisor = str(wanted.service), self._supervisor
        state = supervisor.states([service])[service]
        before: list[Step] = []
        after: list[Step] = []
        if not wanted.running:
            if state.active not in ("inactive", "failed"):
                before.append((f"stop {service}", lambda: supervisor.stop([service])))
            if state.enabled:
                before.append((f"disable {service}", lambda: supervisor.disable([service])))
            return before, after
        if not state.defined:
            # A run that was killed while it installed the package left it masked.
            after.append(("", lambda: self._systemctl("unmask", "--runtime", service)))
        if not state.enabled:
            after.append((f"enable {service}", lambda: supervisor.enable([service])))
        if state.active != "active":
            after.append((f"start {service}", lambda: supervisor.start([service])))
        elif fresh and wanted.on_change:
            after.append((f"{wanted.on_change} {service}", lambda: self._systemctl(str(wanted.on_change), service)))
        return before, after

    def _write(self, changes: t.Sequence[Change], pending: str) -> None:
        self._make_folder(os.path.dirname(pending))
        with open(pending, "w", encoding="utf-8"):
            pass
        for change in changes:
            path = self._base + change.path
            if change.after is None:
                remove_if_there(path)
            else:
                self._make_folder(os.path.dirname(path))
                write_atomic(path, change.after.encode(), change.mode)
        if not changes or any(change.path.startswith(f"{UNITS}/") for change in changes):
            self._systemctl("daemon-reload")

    def _systemctl(self, *arguments: str) -> None:
        status, out, err = self._run(["systemctl", *arguments])
        if status:
            raise ApphostError(f"systemctl {arguments[0]} failed: {err.strip() or out.strip()}", arguments[-1])
