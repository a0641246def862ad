# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lifecycle scripts that failed: what of everything that was printed says why."""

from __future__ import annotations

import re

#: Lines of npm and node-gyp about themselves.
_NOISE = re.compile(
    r"npm |> |gyp info|"
    r"gyp ERR! (?:System|command|cwd|node|not ok|configure error|build error|\$|find Python|stack\s+at\b)"
)
_TELLING = re.compile(r"\berror\b(?!\.)|ERR!|not found|no such file|cannot find|fatal", re.IGNORECASE)
#: make, a shell or node-gyp looked for a program that compiles, and there is none.
_NO_TOOLS = re.compile(
    r"not found: make\b|could not find any python|"
    r"\b(?:make|cc|c\+\+|gcc|g\+\+|clang)(?:-\d+)?: (?:not found|no such file|command not found)",
    re.IGNORECASE,
)


def reason(out: str, err: str) -> str:
    """Why scripts failed, out of what they and the manager printed; the lines that tell most, else the last ones."""
    lines = [line.strip() for line in (*err.splitlines(), *out.splitlines())]
    own = [line for line in lines if line and not _NOISE.match(line)]
    telling = [line for line in own if _TELLING.search(line)]
    return "\n".join(telling or own[-10:])


def lacks_tools(words: str) -> bool:
    """Whether they failed because the host cannot compile."""
    return bool(_NO_TOOLS.search(words))
