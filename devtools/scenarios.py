# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The molecule scenarios: every folder of ``molecule/`` with a ``molecule.yml``."""

from __future__ import annotations

import contextlib
import fcntl
import re
from collections.abc import Iterator, Sequence

from devtools.environment import tool, tool_environment
from devtools.paths import DEV, ROOT
from devtools.terminal import DevError, run_logged

ACTION = re.compile(r" > (\w+)\] Executing$")

ENVIRONMENT = {
    "MOLECULE_COMMAND_BORDERS": "0",
    # Creating and destroying happens before and after there is an inventory.
    "MOLECULE_ANSIBLE_ARGS_STRICT_MODE": "1",
}


def names() -> list[str]:
    """All scenarios, ``default`` first, since it tells most."""
    found = [path.parent.name for path in ROOT.glob("molecule/*/molecule.yml")]
    return sorted(found, key=lambda name: (name != "default", name))


def choose(wanted: Sequence[str]) -> list[str]:
    """The scenarios a person asked for; all, when none were named."""
    known = names()
    for name in wanted:
        if name not in known:
            raise DevError(f"there is no scenario {name}; there are {', '.join(known)}")
    return list(wanted) or known


def run(scenario: str, keep: bool = False, full: bool = False) -> None:
    """Run a scenario's whole sequence; ``keep`` leaves its fleet up, to look at. ``full``: chance gets more chances."""
    molecule, environment = str(tool("molecule")), {**tool_environment(), **ENVIRONMENT}
    if full:
        environment["EVENKEEL_FULL"] = "1"
    with _alone(scenario):
        if keep:
            # What was kept before is in the way, and `never` means: not at the beginning either.
            run_logged([molecule, "destroy", "--scenario-name", scenario], f"molecule-{scenario}", env=environment)
        run_logged(
            [molecule, "test", "--scenario-name", scenario, *(["--destroy=never"] if keep else [])],
            f"molecule-{scenario}",
            env=environment,
            what=f"scenario {scenario}",
            tell=_action,
        )


@contextlib.contextmanager
def _alone(scenario: str) -> Iterator[None]:
    """Refuse a second run of a scenario: it would begin with removing the fleet of the first."""
    with (DEV / f"molecule-{scenario}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DevError(f"scenario {scenario} is running already, from this checkout") from None
        yield


def _action(line: str) -> str | None:
    found = ACTION.search(line)
    return found[1] if found else None
