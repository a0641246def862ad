# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Package managers that come from the registry: the exact version that a project names, fetched once a host."""

from __future__ import annotations

import hashlib
import io
import os
import re
import tarfile
import tempfile
import typing as t
from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.locks import Locks
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.place import remove
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.jsonfile import parse_object, read_regular_file
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.unpack import unpack

#: Seconds to wait for another process that fetches the same program.
_WAIT = 600.0

#: ``pnpm@10.33.0+sha512.<hex>``, as ``packageManager`` in a manifest has it.
_PINNED = re.compile(
    r"(?P<name>[a-z]+)@(?P<version>\d+\.\d+\.\d+[0-9A-Za-z.-]*)(\+(?P<algorithm>\w+)\.(?P<hash>[0-9a-f]+))?"
)
_ALGORITHMS = ("sha224", "sha256", "sha384", "sha512")


@dataclass(frozen=True)
class Pinned:
    """A package manager at an exact version, and the hash that its archive (or its program) must have."""

    name: str
    version: str
    algorithm: str | None = None
    digest: str | None = None


def pinned(text: t.Any, where: str) -> Pinned | None:
    """What ``packageManager`` in a manifest says; ``None``: nothing. Raises ApphostError for what is no such thing."""
    if text is None:
        return None
    match = _PINNED.fullmatch(text) if isinstance(text, str) else None
    if match is None or match["algorithm"] not in (None, *_ALGORITHMS):
        # What packageManager has is a range or a tag, is misspelt, or has a hash that is too weak.
        do = "Write it as pnpm@10.33.0, or with a hash of SHA-224 or more, as corepack does."
        raise ApphostError(f"packageManager is {str(text)[:100]!r}, no exact version", where, do)
    return Pinned(match["name"], match["version"], match["algorithm"], match["hash"])


class Programs:
    """The package managers in the store. ``folder`` has one for each name and version; only we write to it."""

    def __init__(self, folder: str, locks: Locks) -> None:
        self.folder = folder
        self.locks = locks

    def get(self, package: str, version: str, fetch: t.Callable[[], bytes]) -> str:
        """The folder of ``package``, whose archive ``fetch`` brings when it is needed. Raises ApphostError."""
        name = f"{package.replace('/', '-').lstrip('@')}-{version}"
        path = os.path.join(self.folder, name)
        if not os.path.isdir(path):
            with self.locks.held(f"program-{name}", timeout=_WAIT):
                if not os.path.isdir(path):
                    _unpack(fetch(), path)
        return path


def _unpack(archive: bytes, path: str) -> None:
    """Unpack an archive of the registry; the folder has its name when it is whole."""
    partial = f"{path}.partial"
    remove(partial)
    with tempfile.NamedTemporaryFile(suffix=".tgz") as file:
        file.write(archive)
        file.flush()
        unpack(file.name, partial)
    os.rename(partial, path)


def check_hash(archive: bytes, file: str, wanted: Pinned, where: str) -> None:
    """Raise ApphostError when neither the archive nor ``file`` in it has the hash that was asked for.

    corepack hashes what it downloads, which for yarn 2 and later is the program alone.
    """
    if wanted.algorithm is None:
        return
    found = hashlib.new(wanted.algorithm, archive).hexdigest()
    if wanted.digest not in (found, hashlib.new(wanted.algorithm, _member(archive, file)).hexdigest()):
        # Not the program that the project was made with: the registry has another one, or the hash was changed.
        raise ApphostError(
            f"{wanted.name} {wanted.version} from the registry has not the hash that packageManager names, "
            f"but {wanted.algorithm}.{found[:16]}…",
            where,
            "Find out whether the registry or the manifest is wrong before you go on.",
        )


def _member(archive: bytes, file: str) -> bytes:
    """A file in an archive of the registry, which has one folder around everything; empty when it is not there."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            if member.isreg() and member.name.partition("/")[2] == file:
                content = tar.extractfile(member)
                return content.read() if content else b""
    return b""


def version_in(runtime_root: str, name: str) -> tuple[str, str] | None:
    """Version and program of a package manager that came with the runtime; ``None``: there is none."""
    program = os.path.join(runtime_root, "bin", name)
    # bin/pnpm is a link to …/pnpm/bin/pnpm.cjs.
    path = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(program))), "package.json")
    try:
        content = read_regular_file(path)
        package = parse_object(content, path, "") if content else {}
    except (ApphostError, OSError):
        return None
    if package.get("name") not in (name, f"@{name}pkg/cli-dist") or not isinstance(package.get("version"), str):
        return None
    return package["version"], program
