# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a program as somebody who may do nothing, knowing nothing of us."""

from __future__ import annotations

import os
import pwd
import typing as t
from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import BUILD_USER

#: Builds on a host that the role app_host has not prepared; every system has it.
FALLBACK_USER = "nobody"


@dataclass(frozen=True)
class Account:
    """A user that programs run as."""

    name: str
    uid: int
    gid: int


def build_account(name: str | None) -> Account | None:
    """The account that fetches and builds; ``None`` when this process is not root and builds as itself."""
    if os.geteuid() != 0:
        return None
    for candidate in [name] if name else [BUILD_USER, FALLBACK_USER]:
        try:
            entry = pwd.getpwnam(candidate)
        except KeyError:
            continue
        if entry.pw_uid == 0:
            # The build user that is named has all rights, and would run what comes from the internet.
            raise ApphostError(f"the build user {candidate} is root", do="Name an account without rights.")
        return Account(candidate, entry.pw_uid, entry.pw_gid)
    # This process is root, and the host does not have the user that is to fetch and build.
    raise ApphostError(f"the build user {name or FALLBACK_USER} does not exist", do="Create it, or name another.")


def as_account(
    argv: t.Sequence[str],
    account: Account | None,
    folder: str,
    environment: t.Mapping[str, str],
    limit: float,
    contained: bool = False,
) -> list[str]:
    """The argument list that runs ``argv`` in ``folder`` with exactly ``environment`` (which must hold no secret).

    It cannot gain rights by setuid programs, is ended after ``limit`` seconds (exit status 124 or 137), and killed when
    this process dies; as an account it has no groups. ``contained`` ends every process that was started, however it
    hides, as soon as the program ends.
    """
    rights = [] if account is None else [f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups"]
    # Each of the two dies with its parent: timeout with us, and the program with timeout.
    dies = "--pdeathsig=KILL"
    outer = ["setpriv", *rights, "--no-new-privs", dies, "--", "timeout", "--kill-after=5", f"{limit:.0f}"]
    variables = [f"{name}={environment[name]}" for name in sorted(environment)]
    command = [*outer, "setpriv", dies, "--", "env", "-i", f"--chdir={folder}", *variables, *argv]
    return ["unshare", "--pid", "--fork", "--kill-child", "--", *command] if contained and account else command
