# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything an app needs on a host before its first release: accounts, folders, kernel settings, limits.

Each thing is a step that says how it is and how it should be; what differs is the diff, and is made so.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import stat
import tempfile
import typing as t
from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, RunCommand
from ansible_collections.evenkeel.apphost.plugins.module_utils.files import remove_if_there, write_atomic
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import (
    BUILD_USER,
    LOGS_BASE,
    RELEASES_BASE,
    STATE_BASE,
    STORE,
    AppLayout,
)

NO_LOGIN = "/usr/sbin/nologin"
NO_HOME = "/nonexistent"
"""What Debian gives accounts such as ``nobody`` for a home."""

SYSCTL_FILE = "/etc/sysctl.d/60-apphost.conf"
LIMITS_FILE = "/etc/security/limits.d/60-apphost.conf"
SYSCTL_PROGRAM = "/usr/lib/systemd/systemd-sysctl"

HEADER = "# Ansible managed: evenkeel.apphost\n"


class Step(t.Protocol):
    """One thing on the host."""

    @property
    def name(self) -> str:
        """What it is, for people."""

    def before(self) -> str | None:
        """How it is now; ``None``: it is not there."""

    def after(self) -> str | None:
        """How it should be."""

    def make(self) -> None:
        """Make it so. Only called when the two differ."""


@dataclass(frozen=True)
class Account:
    """A system group or user. One that exists is left as it is, whatever its home or shell."""

    kind: str
    """``group`` or ``user``."""
    account: str
    run: RunCommand
    options: tuple[str, ...] = ()
    """For ``groupadd`` or ``useradd``."""

    @property
    def name(self) -> str:
        """What it is."""
        return f"{self.kind} {self.account}"

    def before(self) -> str | None:
        """Whether it is there."""
        there = _gid(self.account) if self.kind == "group" else _uid(self.account)
        return "present" if there is not None else None

    def after(self) -> str | None:
        """It is there."""
        return "present"

    def make(self) -> None:
        """Add it."""
        _command(self.run, [f"{self.kind}add", "--system", *self.options, self.account])


@dataclass(frozen=True)
class Folder:
    """A folder with its owner and mode. A link to a folder (a disk mounted elsewhere) is followed."""

    path: str
    mode: int
    owner: str = "root"
    group: str = "root"

    @property
    def name(self) -> str:
        """What it is."""
        return f"folder {self.path}"

    def before(self) -> str | None:
        """Owner, group and mode as they are."""
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            return None
        if not stat.S_ISDIR(found.st_mode):
            raise ApphostError("is not a folder", self.path, "Move it out of the way and run again.")
        return f"{_user_name(found.st_uid)}:{_group_name(found.st_gid)} {stat.S_IMODE(found.st_mode):04o}"

    def after(self) -> str | None:
        """Owner, group and mode as they should be."""
        return f"{self.owner}:{self.group} {self.mode:04o}"

    def make(self) -> None:
        """Create it or set it right. Never readable for more people than it should be, not even for a moment."""
        with contextlib.suppress(FileExistsError):
            os.mkdir(self.path, 0o700)
        os.chown(self.path, _uid(self.owner) or 0, _gid(self.group) or 0)
        os.chmod(self.path, self.mode)


@dataclass(frozen=True)
class Settings:
    """A file that a program reads at boot, and what makes a change of it count now. No text: no file."""

    path: str
    text: str | None
    run: RunCommand
    apply: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What it is."""
        return f"file {self.path}"

    def before(self) -> str | None:
        """Its text."""
        try:
            with open(self.path, encoding="utf-8", errors="replace") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def after(self) -> str | None:
        """Its text as it should be."""
        return self.text

    def make(self) -> None:
        """Apply and write it: a file the program refuses never gets there. What it no longer sets stays until boot."""
        if self.text is None:
            remove_if_there(self.path)
            return
        os.makedirs(os.path.dirname(self.path), mode=0o755, exist_ok=True)
        if self.apply:
            with tempfile.NamedTemporaryFile("w", prefix="apphost-", suffix=".conf", encoding="utf-8") as candidate:
                candidate.write(self.text)
                candidate.flush()
                _command(self.run, [*self.apply, candidate.name])
        write_atomic(self.path, self.text.encode(), 0o644)


def steps(
    apps: t.Sequence[t.Mapping[str, t.Any]],
    sysctl: t.Mapping[str, t.Any],
    limits: t.Mapping[str, t.Any],
    run: RunCommand,
    base: str = "",
) -> list[Step]:
    """Everything for resolved ``apps``, in the order in which it has to be made. ``base`` prefixes paths, for tests."""
    found: list[Step] = [
        *(Folder(f"{base}{path}", 0o755) for path in (RELEASES_BASE, STORE, STATE_BASE, LOGS_BASE)),
        *_accounts(BUILD_USER, BUILD_USER, NO_HOME, run),
    ]
    for app in apps:
        found += _accounts(app["user"], app["group"], AppLayout(app["name"]).state, run)
        found += _folders(AppLayout(app["name"], base), app["user"], app["group"])
    kernel = "".join(f"{key} = {value}\n" for key, value in sorted(sysctl.items()))
    users = sorted({app["user"] for app in apps})
    sessions = "".join(f"{user} - {item} {value}\n" for user in users for item, value in sorted(limits.items()))
    found += [
        Settings(f"{base}{SYSCTL_FILE}", HEADER + kernel if kernel else None, run, (SYSCTL_PROGRAM,)),
        Settings(f"{base}{LIMITS_FILE}", HEADER + sessions if sessions else None, run),
    ]
    return found


def _accounts(user: str, group: str, home: str, run: RunCommand) -> list[Account]:
    """A user that nobody can log in as, with its group. Its home is not made here."""
    options = ("--gid", group, "--home-dir", home, "--no-create-home", "--shell", NO_LOGIN)
    return [Account("group", group, run), Account("user", user, run, options)]


def _folders(layout: AppLayout, user: str, group: str) -> list[Folder]:
    """Those of layout.py. The app writes in two of them only, and cannot replace those: their parents are root's."""
    return [
        Folder(layout.root, 0o755),
        Folder(layout.releases, 0o755),
        Folder(layout.state, 0o755),
        Folder(layout.data, 0o750, user, group),
        Folder(layout.logs, 0o755),
        Folder(f"{layout.logs}/own", 0o750, user, group),
    ]


def bring_about(wanted: t.Sequence[Step], check_mode: bool) -> list[dict[str, str]]:
    """Make every step that differs so, unless in check mode; returns the differences in the form of ``--diff``."""
    differences = []
    for step in wanted:
        before, after = step.before(), step.after()
        if before == after:
            continue
        if not check_mode:
            step.make()
        differences.append(
            {
                "before_header": step.name,
                "after_header": step.name,
                "before": _line(before),
                "after": _line(after),
            }
        )
    return differences


def _line(text: str | None) -> str:
    return f"{(text or 'absent').rstrip()}\n"


def _command(run: RunCommand, argv: list[str]) -> None:
    status, out, err = run(argv)
    if status != 0:
        raise ApphostError(f"{argv[0]} failed: {err.strip() or out.strip()}", argv[-1])


def _uid(user: str) -> int | None:
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return None


def _gid(group: str) -> int | None:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        return None


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
