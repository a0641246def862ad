# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses in lockfiles: of which kind they are, and whether one belongs to the package that is said to be there."""

from __future__ import annotations

import functools
import re
import typing as t
import urllib.parse
from dataclasses import dataclass

#: The registries that the tools ask when nobody names another one, by manager.
PUBLIC_HOSTS: dict[str, tuple[str, ...]] = {
    "npm": ("registry.npmjs.org",),
    "pnpm": ("registry.npmjs.org",),
    "yarn": ("registry.yarnpkg.com", "registry.npmjs.org"),
    "uv": ("pypi.org", "files.pythonhosted.org"),
    "pip": ("pypi.org", "files.pythonhosted.org"),
}

#: What a name in a registry looks like: one or two parts, none of which could lead to another folder or address.
_NAME = re.compile(r"(@[^/@\s%?#]+/)?[^/@.\s%?#][^/@\s%?#]*")
_GIT = re.compile(r"(git(\+[a-z]+)?|ssh|github|gitlab|bitbucket|gist):")
# Only what Node.js, Python and curl read alike: with a backslash, a control character or a percent sign in the host
# they would not all go to the same one.
_ADDRESS = re.compile(
    r"(?:git\+)?(?P<scheme>[a-z]+)://(?:(?P<user>[A-Za-z0-9._~!$&'()*+,;=:%-]*)@)?"
    r"(?P<host>[A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>/[!-\"$->@-\[\]-~]*)?(?P<more>[?#][!-\[\]-~]*)?"
)
#: Answers about addresses that are kept: those of every package of a very large lockfile.
_REMEMBERED = 2**15
_PORTS = {"https": "443", "http": "80", "ssh": "22", "git": "9418"}


@dataclass(frozen=True)
class Address:
    """The parts of an address on the web, or of a git repository."""

    scheme: str
    #: In small letters, with the port when it is not the scheme's own: ``npm.example.com:4873``.
    host: str
    path: str
    #: It has a user's name or a password in it.
    user: bool
    #: A query, a fragment.
    more: str = ""

    @property
    def place(self) -> str:
        """Host and path: ``npm.example.com/ms/-/ms-2.0.0.tgz``."""
        return self.host + self.path


# The formats ask about every address of a lockfile, and then the policy does.
@functools.lru_cache(maxsize=_REMEMBERED)
def parse(address: str) -> Address | None:
    """The parts of ``address``; ``None`` for one that programs could understand differently."""
    match = _ADDRESS.fullmatch(address)
    # Who asks for "a/../b" gets "b", or not.
    if match is None or {".", ".."} & {*urllib.parse.unquote(match["path"] or "").split("/")}:
        return None
    scheme, port = match["scheme"], match["port"]
    host = match["host"].lower() + (f":{port}" if port and port != _PORTS.get(scheme) else "")
    return Address(scheme, host, match["path"] or "/", match["user"] is not None, match["more"] or "")


def place(text: str) -> str:
    """A host that somebody allows, in the one form that ``Address.place`` begins with: ``host:port/path/``.

    ``text`` is a host, with its port and a path if need be, or a whole address.
    """
    known = parse(text if "://" in text else f"https://{text}")
    return known.place.rstrip("/") + "/" if known else text


def shown(address: str) -> str:
    """An address for a message: short, without a user's name, password or query."""
    plain = re.sub(r"\?[^#]*", "", re.sub(r"(//)[^/@]*@", r"\1", address))
    return plain if len(plain) <= 200 else f"{plain[:200]}…"


def is_web(address: str) -> bool:
    """Whether ``address`` begins with ``https://`` or ``http://``."""
    return address.startswith(("https://", "http://"))


def is_git(address: str) -> bool:
    """Whether a package manager of Node.js would clone ``address``."""
    if _GIT.match(address):
        return True
    # "owner/repository#commit" is short for one on GitHub.
    return re.fullmatch(r"[\w-][\w.-]*/[\w.-]+(#.*)?", address) is not None


def is_short_git(address: str) -> bool:
    """Whether ``address`` is a repository in a form that is no URL, and that managers fetch by HTTPS or SSH.

    ``github:owner/repository``, ``owner/repository`` and ``git+ssh://git@host:owner/repository``, each with a ``#…``.
    """
    # No part begins with a dash, which a program could take for an option, or with a dot.
    parts = r"\w[\w.~-]*(?:/\w[\w.~-]*)*"
    at_host = rf"(?:git\+)?ssh://\w[\w.-]*@\w[\w.-]*:/?{parts}"
    at_service = rf"(?:(?:github|gitlab|bitbucket|gist):)?{parts}"
    return re.fullmatch(rf"(?:{at_host}|{at_service})(?:#[\w./:=&-]*)?", address, re.ASCII) is not None


@functools.lru_cache(maxsize=_REMEMBERED)
def is_tarball_of(address: str, name: str, version: str | None) -> bool:
    """Whether ``address`` is the one that a registry of Node.js packages has for this very name and version.

    Understood are the forms of npm's own registry (``<name>/-/<base>-<version>.tgz``), GitLab (the scope again in the
    file name), Gitea (the version as a folder too) and GitHub (``download/<name>/<version>/<hash>``).
    """
    known = parse(address)
    if known is None or known.more or not is_web(address) or not version or not _NAME.fullmatch(name):
        return False
    segments = _segments(known.path)
    base = name.rpartition("/")[2]
    # Build metadata is no part of the file's name.
    number = version.partition("+")[0]
    folder = name.split("/")
    file = f"{base}-{number}.tgz"
    usual = [*folder, "-", file]
    if known.host in PUBLIC_HOSTS["yarn"]:
        return segments == usual
    forms = [usual, [*folder, "-", *folder[:-1], file], [*folder, "-", number, file]]
    if segments and re.fullmatch(r"[0-9a-f]{40,128}", segments[-1]):
        forms.append(["download", *folder, number, segments[-1]])
    return any(_ends(segments, form) for form in forms)


def is_distribution_of(address: str, name: str, version: str | None) -> bool:
    """Whether the file at ``address`` has the name of a wheel or source archive of this Python package and version."""
    known = parse(address)
    segments = _segments(known.path) if known and is_web(address) and "?" not in known.more else []
    return bool(segments) and is_distribution_file(segments[-1], name, version)


def is_distribution_file(file: str, name: str, version: str | None) -> bool:
    """Whether a wheel or source archive is called as those of this Python package and version are.

    ``version`` is ``None`` when nobody knows it. Source archives may have any spelling of name and version.
    """
    if file.endswith(".whl"):
        parts = file.split("-")
        return len(parts) >= 5 and normal(parts[0]) == normal(name) and _same_version(parts[1], version)
    parts = re.sub(r"(\.tar\.(gz|bz2|xz)|\.tgz|\.zip)$", "", file).split("-")
    return any(
        normal("-".join(parts[:split])) == normal(name) and _same_version("-".join(parts[split:]), version)
        for split in range(1, len(parts))
    )


def _same_version(text: str, version: str | None) -> bool:
    if version is None:
        return text[:1].isdigit()
    if normal(text) == normal(version):
        return True
    from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pep440 import parse_version

    # "1.0-beta" is "1.0b0".
    one, other = parse_version(text), parse_version(version)
    return one is not None and other is not None and one.key == other.key


def normal(name: str) -> str:
    """A Python package's name or version as it is compared: case, and which of ``-_.`` there is, do not matter."""
    return re.sub(r"[-_.]+", "-", name.lower())


def _segments(path: str) -> list[str]:
    """The folders and the file of a path; none for one that is not in its plainest form."""
    segments = urllib.parse.unquote(path).split("/")[1:]
    odd = any(segment in ("", ".", "..") or "\\" in segment or not segment.isprintable() for segment in segments)
    return [] if odd else segments


def _ends(segments: t.Sequence[str], form: t.Sequence[str]) -> bool:
    before = len(segments) - len(form)
    # With a scope in front it would be another package: "@somebody/ms/-/ms-2.0.0.tgz" for "ms".
    return before >= 0 and list(segments[before:]) == list(form) and not (before and segments[before - 1][0] == "@")
