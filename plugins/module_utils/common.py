# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module shares: the one domain exception, the one way in and out, and the shape of what runs programs."""

from __future__ import annotations

import errno
import typing as t

from ansible.module_utils.basic import AnsibleModule

RunCommand = t.Callable[[list[str]], tuple[int, str, str]]
"""Run an argument list; returns exit status, standard output, standard error. ``OSError``: it could not be started."""


class ApphostError(Exception):
    """Something a person has to know about: what is wrong, where, and what to do.

    The message reads ``<where>: <what>. <do>``. ``details`` are extra keys of the
    module's failed result (log lines, paths, seconds) and must never hold a secret.
    """

    def __init__(self, what: str, where: str | None = None, do: str | None = None, **details: t.Any) -> None:
        self.what = what.rstrip(".")
        self.where = where
        self.do = do
        self.details = details
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """The sentence shown to the user."""
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}. {self.do}" if self.do else text

    def as_result(self) -> dict[str, t.Any]:
        """The failed result of a module: ``msg`` and the details."""
        return {**self.details, "msg": self.message}


class Problem(str):
    """One of several things that are wrong, in words; an ApphostError names them together.

    ``do`` is what to do about this one; empty: that is said for all of them.
    """

    __slots__ = ("do",)

    do: str

    def __new__(cls, what: str, do: str = "") -> Problem:
        """A text that also says what to do."""
        problem = super().__new__(cls, what)
        problem.do = do
        return problem


def from_os_error(error: OSError, doing: str | None = None) -> ApphostError:
    """Turn an ``OSError`` into words; a full disk and a full quota say what to do."""
    where = str(error.filename) if error.filename else doing
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        cure = "Free some space (or prune old releases) and run again."
        return ApphostError("no space left on the device", where, cure)
    what = error.strerror or str(error)
    return ApphostError(f"{what} (while {doing})" if doing and where != doing else what, where)


def runner(module: AnsibleModule) -> RunCommand:
    """What starts programs for ``module``: with the arguments as they are, in the C locale, without questions."""
    environment = {"LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}

    def run(command: list[str]) -> tuple[int, str, str]:
        # Left to itself, run_command puts root's variables in place of a $NAME that is meant for somebody else.
        status, out, err = module.run_command(
            command, environ_update=environment, expand_user_and_vars=False, handle_exceptions=False
        )
        return status, out, err

    return run


def run_module(
    argument_spec: dict[str, t.Any],
    work: t.Callable[[AnsibleModule], dict[str, t.Any]],
    **module_options: t.Any,
) -> None:
    """Build the module, do the work, leave by the one exit.

    ``work`` returns the module's result. An :class:`ApphostError` or an ``OSError`` becomes a clear failure. Anything
    else is a bug, and gets a message too (Ansible adds the traceback at -vvv): where a task may not fail
    (``failed_when: false``), Ansible lets the exception of a module that crashed disappear.
    """
    module = AnsibleModule(argument_spec=argument_spec, supports_check_mode=True, **module_options)
    try:
        result = work(module)
    except ApphostError as error:
        module.fail_json(**error.as_result())
    except OSError as error:
        module.fail_json(**from_os_error(error).as_result())
    except Exception as error:
        bug = ApphostError(f"a bug of this module: {error!r}", do="See where with -vvv, and report it.")
        module.fail_json(**bug.as_result())
    module.exit_json(**result)
