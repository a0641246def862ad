# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a file of JSON that somebody else wrote, maybe with bad intent."""

from __future__ import annotations

import collections
import errno
import json
import os
import stat
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError

#: A lockfile of 20,000 packages has about 10 MB; nothing honest comes near this.
MAX_BYTES = 100 * 1024 * 1024

_REPLACE = "Put a plain file there: links, pipes and devices of an artifact are not followed."


def read_regular_file(path: str) -> bytes | None:
    """The bytes of a file, ``None`` when there is none.

    A link, a pipe or a device is refused: an artifact must not make root read another file for it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            # It is a link, or something that is no file at all: root would read another file for the artifact.
            raise ApphostError("is not a regular file", path, _REPLACE) from error
        raise
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            # A folder, a pipe or a device has the name of the file.
            raise ApphostError("is not a regular file", path, _REPLACE)
        if status.st_size > MAX_BYTES:
            # No honest file comes near that.
            size = status.st_size
            do = "See what wrote it, and make it again."
            raise ApphostError(f"has {size} bytes, more than the {MAX_BYTES} that are read", path, do)
        return file.read()


def parse_object(content: bytes, where: str, mend: str, unique_keys: bool = False) -> dict[str, t.Any]:
    """The JSON object in ``content``. ``mend`` is what to do about a broken file; ``where`` names it.

    ``unique_keys`` refuses a key given twice: programs differ in which of the two they believe.
    """
    if not content.strip():
        raise ApphostError("is empty", where, mend)

    def unique(pairs: list[tuple[str, t.Any]]) -> dict[str, t.Any]:
        value = dict(pairs)
        if len(value) != len(pairs):
            counts = collections.Counter(key for key, _value in pairs)
            twice = next(key for key, count in counts.items() if count > 1)
            raise ApphostError(f'has the key "{twice[:200]}" twice in one object', where, mend)
        return value

    try:
        # npm accepts a byte order mark, so this does.
        value = json.loads(content.decode("utf-8-sig"), object_pairs_hook=unique if unique_keys else None)
    except UnicodeDecodeError as error:
        raise ApphostError(f"is not UTF-8 (byte {error.start})", where, mend) from error
    except RecursionError as error:
        raise ApphostError("is nested too deeply to be read", where, mend) from error
    except json.JSONDecodeError as error:
        if b"\n<<<<<<< " in content:
            raise ApphostError("holds the marks of an unresolved merge", where, mend) from error
        place = f"line {error.lineno}, column {error.colno}"
        raise ApphostError(f"is no JSON: {error.msg} ({place})", where, mend) from error
    except ValueError as error:
        raise ApphostError(f"is no JSON: {error}", where, mend) from error
    if not isinstance(value, dict):
        raise ApphostError("is JSON, but no object", where, mend)
    return value
