# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What something depended on that is outside of a project's own files: looked at again instead of worked out again."""

from __future__ import annotations

import hashlib
import os
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.jsonfile import read_regular_file

#: How a fact is looked at: by the file's content, by its status (what changes with the file), by what kind it is.
CONTENT, STATUS, KIND = "content", "status", "kind"

#: Kind of fact, path (relative to the project, or absolute), and what was there.
Facts = tuple[tuple[str, str, str], ...]


def facts_of(folder: str, wanted: t.Iterable[tuple[str, str]]) -> Facts:
    """What is there now, of each kind and path."""
    return tuple((kind, path, fact(os.path.join(folder, path), kind)) for kind, path in dict.fromkeys(wanted))


def fact(path: str, kind: str) -> str:
    """What is at ``path`` now; empty: nothing."""
    if kind == CONTENT:
        try:
            content = read_regular_file(path)
        except (ApphostError, OSError):
            content = None
        return "" if content is None else hashlib.sha256(content).hexdigest()
    if kind == KIND:
        return "folder" if os.path.isdir(path) else "file" if os.path.isfile(path) else ""
    try:
        status = os.stat(path)
    except OSError:
        return ""
    return f"{os.path.realpath(path)} {status.st_ino} {status.st_size} {status.st_mtime_ns} {status.st_mode}"
