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
    contained: bool = False,
) -> list[str]:
    """The argument list that runs ``argv`` in ``folder`` with exactly ``environment`` (which must hold no secret).

    As an account it has no groups, cannot gain rights by setuid programs, and is killed when this process dies.
    ``contained`` ends every process that was started, however it hides, as soon as the program ends.
    """
    variables = [f"{name}={environment[name]}" for name in sorted(environment)]
    command = ["env", "-i", f"--chdir={folder}", *variables, *argv]
    if account is None:
        return command
    rights = [f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups", "--no-new-privs"]
    command = ["setpriv", *rights, "--pdeathsig=KILL", "--", *command]
    return ["unshare", "--pid", "--fork", "--kill-child", "--", *command] if contained else command
