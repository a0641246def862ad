# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a release's processes find their environment: a systemd ``EnvironmentFile`` and one launcher a process."""

from __future__ import annotations

import re
import shlex
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError

# The Linux kernel refuses to start a program when one `NAME=value` and its NUL is longer (MAX_ARG_STRLEN, 32 pages).
LONGEST_ASSIGNMENT = 131_072 - 1

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

# systemd.exec(5): a file with NUL, a byte order mark, a Unicode noncharacter or a lone surrogate is refused as a whole.
_NONCHARACTERS = "".join(chr(plane * 0x10000 + last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
_IMPOSSIBLE = re.compile(f"[\\x00\\ud800-\\udfff\\ufdd0-\\ufdef\\ufeff{_NONCHARACTERS}]")

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


def environment_file(environment: t.Mapping[str, str], where: str) -> bytes:
    """The content of an ``EnvironmentFile`` that gives exactly these variables, sorted by name.

    In double quotes systemd takes everything as it stands, line ends included, but for the four characters
    that a backslash keeps: ``"``, the backslash, the backtick and ``$``. ``where`` (``app hello``) begins the
    :class:`ApphostError` for what no such file can hold; no value is ever shown.
    """
    lines = []
    for name in sorted(environment):
        value = environment[name]
        if not _NAME.fullmatch(name):
            raise ApphostError(f"{name!r} is not the name of an environment variable", where)
        if name == "PORT" or name.startswith("APPHOST_"):
            # What a file says beats what a unit says, so one of these would reach every instance.
            raise ApphostError(f"{name} is set by the collection itself", where, "Take it out of env and the secrets.")
        if _IMPOSSIBLE.search(value):
            raise ApphostError(
                f"the value of {name} holds a character that systemd refuses in an environment file", where
            )
        if len(f"{name}={value}".encode()) > LONGEST_ASSIGNMENT:
            raise ApphostError(
                f"{name} is longer than the {LONGEST_ASSIGNMENT} bytes that Linux allows one variable",
                where,
                "Put it into a file of the app.",
            )
        lines.append('{}="{}"\n'.format(name, re.sub(r'(["\\`$])', r"\\\1", value)))
    return "".join(lines).encode()


def search_path(runtime_bin: str, app_folder: str) -> str:
    """The ``PATH`` of everything that runs from a release: its runtime first, then its own programs."""
    return f"{runtime_bin}:{app_folder}/node_modules/.bin:{app_folder}/.venv/bin:{SYSTEM_PATH}"


def launcher(app: str, release: str, process: str, command: str, app_folder: str, runtime_bin: str) -> bytes:
    """The script ``bin/<process>``: the release's runtime and programs first in PATH, then the command takes over.

    What differs between instances (``PORT``, ``APPHOST_INSTANCE``, ``APPHOST_DATA``) comes from the unit.
    ``command`` is a simple command, checked by the resolver; the shell expands variables in it.
    """
    exports = {
        "PATH": search_path(runtime_bin, app_folder),
        "APPHOST_APP": app,
        "APPHOST_RELEASE": release,
        "APPHOST_PROCESS": process,
    }
    lines = [
        "#!/bin/sh",
        *(f"export {name}={shlex.quote(value)}" for name, value in exports.items()),
        f"exec {command}",
    ]
    return "".join(f"{line}\n" for line in lines).encode()
