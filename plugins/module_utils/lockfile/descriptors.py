# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The little languages in a ``yarn.lock`` of yarn 2 and later.

A descriptor is what was asked for (``ms@npm:^2.1.3``), a locator what it is then (``ms@npm:2.1.3``): a name, and behind
the ``@`` a range or a reference. Both begin with a protocol; ``::key=value&…`` may follow.
"""

from __future__ import annotations

import functools
import posixpath
import re
import typing as t
import urllib.parse
from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile import addresses
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Source
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.npm import package_name

_CONDITION = re.compile(r"(!?)(os|cpu|libc)=([A-Za-z0-9_.-]{1,50})")
_ARCHIVE = re.compile(r"\.(tgz|tar\.gz|tar)$")

#: A patch of a patch of a patch …: nobody has that.
MAX_PATCHES = 5

#: Patches of yarn itself, for a few packages that Plug'n'Play breaks: ``…#optional!builtin<compat/resolve>``.
_BUILTIN = "builtin<compat/"


@dataclass(frozen=True)
class Reference:
    """Where a locator's content comes from."""

    source: str
    #: The name it has there.
    name: str
    #: As far as the reference has one.
    version: str | None
    #: An address, or a folder or file relative to the lockfile.
    resolved: str | None
    #: The locator that is patched.
    patched: str | None = None


def split(text: str) -> tuple[str, str]:
    """Name and range (or reference) of ``@scope/name@range``. Raises ``ValueError`` for what has none of them."""
    name, _at, wanted = text[1:].partition("@")
    name = text[:1] + name
    if not wanted or not _is_name(name):
        raise ValueError("is no package's name with a range")
    return name, wanted


@functools.lru_cache(maxsize=65536)
def _is_name(name: str) -> bool:
    return package_name(f"node_modules/{name}") == name


def with_protocol(wanted: str) -> str:
    """A range as it is compared: ``^1.0.0`` is ``npm:^1.0.0``, in the original of a patch too (yarn 2 and 3)."""
    if ":" not in wanted and "/" not in wanted:
        return f"npm:{wanted}"
    if not wanted.startswith("patch:"):
        return wanted
    original, mark, rest = wanted[len("patch:") :].partition("#")
    name, at, inner = original[1:].partition("@")
    return f"patch:{original[:1]}{name}{at}{with_protocol(urllib.parse.unquote(inner))}{mark}{rest}"


def without_protocol(wanted: str) -> str:
    """A range as people write it: ``npm:^1.0.0`` as ``^1.0.0``; an alias (``npm:ms@^2.0.0``) stays."""
    plain = wanted[len("npm:") :]
    return plain if wanted.startswith("npm:") and "@" not in plain else wanted


def bound(wanted: str, locator: str) -> str:
    """A range that is relative to the package or workspace which asks for it."""
    # As JavaScript's encodeURIComponent writes it.
    text = urllib.parse.quote(locator, safe="!~*'()")
    return f"{wanted}::locator={text}"


def alias_of(wanted: str) -> str | None:
    """``ms`` for ``npm:ms@^2.0.0``; ``None`` when the range is no alias."""
    plain = wanted[len("npm:") :]
    if not wanted.startswith("npm:") or "@" not in plain:
        return None
    at = plain.find("@", 1)
    return plain if at < 0 else plain[:at]


def builtin_patch_of(wanted: str) -> str | None:
    """The range that a patch of yarn itself is put on, of a range ``with_protocol``; ``None``: it is no such patch."""
    original, mark, file = wanted.partition("#")
    if not wanted.startswith("patch:") or not mark or _BUILTIN not in file:
        return None
    return original[len("patch:") + 1 :].partition("@")[2]


def conditions(text: str | None) -> dict[str, tuple[str, ...]]:
    """``os=linux & (cpu=x64 | cpu=arm64) & !libc=musl`` as lists like those of ``package.json``.

    Raises ``ValueError`` for what is not understood.
    """
    found: dict[str, tuple[str, ...]] = {}
    for part in text.split(" & ") if text else ():
        words = part[1:-1].split(" | ") if part[:1] == "(" and part[-1:] == ")" else [part]
        matches = [_CONDITION.fullmatch(word) for word in words]
        keys = {match[2] for match in matches if match}
        if None in matches or len(keys) != 1 or not keys.isdisjoint(found):
            raise ValueError("has conditions that are not understood")
        found[keys.pop()] = tuple(match[1] + match[3] for match in matches if match)
    return found


def reference(locator: str, depth: int = 0) -> Reference:
    """Where a locator's content comes from.

    Raises ``ValueError`` when that is not understood, or leads out of the project.
    """
    name, text = split(locator)
    plain, _mark, rest = text.partition("::")
    if plain.startswith("npm:") and not rest:
        return Reference(Source.REGISTRY, name, plain[len("npm:") :], None)
    parameters = dict(urllib.parse.parse_qsl(rest, keep_blank_values=True))
    protocol, colon, path = plain.partition(":")
    if not colon:
        raise ValueError(f"has a reference without a protocol: {text[:100]}")
    if protocol == "npm":
        address = parameters.get("__archiveUrl")
        regular = address is None or addresses.is_tarball_of(address, name, path)
        return Reference(Source.REGISTRY if regular else Source.ADDRESS, name, path, address)
    if protocol == "patch":
        return _patch(plain, path, parameters, depth)
    if protocol == "workspace":
        return Reference(Source.WORKSPACE, name, None, inside("", path))
    if protocol in ("link", "portal", "file"):
        path = path.partition("#")[0]
        is_archive = protocol == "file" and _ARCHIVE.search(path)
        return Reference(Source.FILE if is_archive else Source.LINK, name, None, inside(_folder(parameters), path))
    if protocol == "exec":
        raise ValueError("runs a program of the project when it is fetched (exec:), whatever is said about scripts")
    if "#commit=" in text or addresses.is_git(plain):
        return Reference(Source.GIT, name, None, text)
    if addresses.is_web(plain):
        return Reference(Source.ADDRESS, name, None, text)
    raise ValueError(f"has a protocol that is not understood: {protocol[:40]}")


def _patch(plain: str, path: str, parameters: t.Mapping[str, str], depth: int) -> Reference:
    if depth >= MAX_PATCHES:
        raise ValueError(f"is a patch of more than {MAX_PATCHES} patches")
    original, mark, files = path.partition("#")
    if not mark:
        raise ValueError(f"is a patch without a file: {plain[:100]}")
    for selector in files.split("&"):
        # "optional!", and "~" with yarn 3: it need not apply. "~/" is the project's folder.
        file = selector.rpartition("!")[2]
        if file.startswith("~/"):
            inside("", file[2:])
        elif not file.lstrip("~").startswith("builtin<"):
            inside(_folder(parameters), file.lstrip("~"))
    patched = urllib.parse.unquote(original)
    inner = reference(patched, depth + 1)
    return Reference(inner.source, inner.name, inner.version, inner.resolved, patched)


def _folder(parameters: t.Mapping[str, str]) -> str:
    """The folder of the project that a relative path begins at."""
    _name, found, where = parameters.get("locator", "").rpartition("@workspace:")
    return where if found else ""


def inside(folder: str, path: str) -> str:
    """``path`` as seen from ``folder``, relative to the lockfile.

    Raises ``ValueError`` when it leads out of the project.
    """
    whole = posixpath.normpath(posixpath.join(folder, path))
    if not whole.isprintable() or "\\" in whole or whole.startswith("/") or whole.split("/")[0] in ("..", "~"):
        raise ValueError(f"leads out of the project: {path[:100]}")
    return "" if whole == "." else whole
