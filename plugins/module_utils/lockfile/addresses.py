# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses in lockfiles: of which kind they are, and whether one belongs to the package that is said to be there."""

from __future__ import annotations

import re
import typing as t
import urllib.parse

#: The registries that the tools ask by default: their addresses have one form.
PUBLIC_NODE_HOSTS = ("registry.npmjs.org", "registry.yarnpkg.com")

#: What a name in a registry looks like: one or two parts, none of which could lead to another folder or address.
_NAME = re.compile(r"(@[^/@\s%?#]+/)?[^/@.\s%?#][^/@\s%?#]*")
_GIT = re.compile(r"(git(\+[a-z]+)?|ssh|github|gitlab|bitbucket|gist):")


def is_git(address: str) -> bool:
    """Whether a package manager of Node.js would clone ``address``."""
    if _GIT.match(address):
        return True
    # "owner/repository#commit" is short for one on GitHub.
    return re.fullmatch(r"[\w.-]+/[\w.-]+(#.*)?", address) is not None


def is_web(address: str) -> bool:
    """Whether ``address`` begins with ``https://`` or ``http://``."""
    return address.startswith(("https://", "http://"))


def is_tarball_of(address: str, name: str, version: str | None) -> bool:
    """Whether ``address`` is the one that a registry of Node.js packages has for this very name and version.

    Understood are the forms of npm's own registry (``<name>/-/<base>-<version>.tgz``), GitLab (the scope again in the
    file name), Gitea (the version as a folder too) and GitHub (``download/<name>/<version>/<hash>``).
    """
    parts = urllib.parse.urlsplit(address)
    if not is_web(address) or parts.query or parts.fragment or not version or not _NAME.fullmatch(name):
        return False
    path = urllib.parse.unquote(parts.path)
    segments = path.split("/")[1:]
    if any(segment in ("", ".", "..") for segment in segments) or "\\" in path:
        return False
    base = name.rpartition("/")[2]
    # Build metadata is no part of the file's name.
    number = version.partition("+")[0]
    folder = name.split("/")
    file = f"{base}-{number}.tgz"
    forms: list[list[str]] = [[*folder, "-", file]]
    if parts.hostname in PUBLIC_NODE_HOSTS:
        return segments in forms
    forms += [[*folder, "-", *folder[:-1], file], [*folder, "-", number, file]]
    if len(segments) > len(folder) + 2 and re.fullmatch(r"[0-9a-f]{40,128}", segments[-1]):
        forms.append(["download", *folder, number, segments[-1]])
    return any(_ends(segments, form) for form in forms)


def _ends(segments: t.Sequence[str], form: t.Sequence[str]) -> bool:
    before = len(segments) - len(form)
    # With a scope in front it would be another package: "@somebody/ms/-/ms-2.0.0.tgz" for "ms".
    return before >= 0 and list(segments[before:]) == list(form) and not (before and segments[before - 1][0] == "@")
