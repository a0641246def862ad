# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A packed set: a folder, or a tar, of package archives that an installation takes everything from.

Which archive is which package is known by its hash, so names in the set mean nothing, and what is not in the lockfile
is not even copied.
"""

from __future__ import annotations

import hashlib
import os
import re
import tarfile
import typing as t
import zlib

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.managers.base import Job
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.integrity import strong_hashes
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Package, Source
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.policy import joined

#: Where the archives that are needed go, below ``Job.work``.
FOLDER = "packed"
#: No honest archive of a package comes near this many bytes.
MAX_BYTES = 2 * 1024**3

_Hash = tuple[str, bytes]


def take_out(
    packed: str,
    packages: t.Iterable[Package],
    job: Job,
    may_lack: t.Callable[[Package], bool] = lambda _package: False,
) -> dict[str, list[str]]:
    """Copy the archives of ``packages`` out of the set into ``<work>/packed``; returns package path -> files there.

    A package has several archives where there is one for each platform (Python).
    Packages that are in no archive of their own (bundled, links, from git) are not looked for; ``may_lack`` says of
    which it does not matter when the set has them not.
    Raises ApphostError naming those that the set lacks.
    """
    wanted = [p for p in packages if p.source in (Source.REGISTRY, Source.ADDRESS)]
    by_hash: dict[_Hash, list[Package]] = {}
    for package in wanted:
        for known in strong_hashes(package.integrity):
            by_hash.setdefault(known, []).append(package)
    algorithms = sorted({algorithm for algorithm, _digest in by_hash})
    found: dict[str, list[str]] = {}
    names: set[str] = set()
    for name, content in _archives(packed):
        hashes = [(algorithm, hashlib.new(algorithm, content).digest()) for algorithm in algorithms]
        matching = {package.path for known in hashes for package in by_hash.get(known, ())}
        if matching:
            # A wheel's name says what it is for, so it stays.
            file = f"{len(names)}/{name}" if name in names else name
            names.add(file)
            job.write(f"{FOLDER}/{file}", content)
            for path in matching:
                found.setdefault(path, []).append(file)
    missing = [package.spec for package in wanted if package.path not in found and not may_lack(package)]
    if missing:
        # No archive in the set has the hash that the lockfile has for the package.
        raise ApphostError(
            f"the packed set lacks {joined(missing)}",
            packed,
            "Add the very archives that the lockfile was made with, or install without packed.",
        )
    return found


def _archives(packed: str) -> t.Iterator[tuple[str, bytes]]:
    """Name and content of every regular file in the set."""
    if os.path.isdir(packed):
        for folder, folders, names in os.walk(packed):
            folders.sort()
            for name in sorted(names):
                path = os.path.join(folder, name)
                if os.path.isfile(path) and not os.path.islink(path):
                    _check_bytes(os.path.getsize(path), path)
                    with open(path, "rb") as file:
                        yield _plain(name), file.read()
        return
    try:
        with tarfile.open(packed) as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isreg() else None
                if content is not None:
                    _check_bytes(member.size, f"{packed}: {member.name}")
                    yield _plain(os.path.basename(member.name)), content.read()
    except FileNotFoundError:
        # The option packed names something that is not on the host.
        raise ApphostError("is neither a folder nor a tar", packed, "Put the packed set there, on the host.") from None
    except (tarfile.TarError, EOFError, zlib.error) as error:
        # The file is damaged, or was not copied completely.
        raise ApphostError(f"is no readable tar ({error})", packed, "Make the packed set again.") from error


def _check_bytes(size: int, where: str) -> None:
    if size > MAX_BYTES:
        # Something in the packed set is no package.
        raise ApphostError(f"has {size} bytes; no package has more than {MAX_BYTES}", where, "Take it out of the set.")


def _plain(name: str) -> str:
    """A name that is a plain file name everywhere."""
    return re.sub(r"[^A-Za-z0-9._+!-]", "_", name).lstrip(".-") or "archive"
