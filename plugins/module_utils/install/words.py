# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What package managers say, in words for people: short, on one line, without secrets."""

from __future__ import annotations

import json
import re
import typing as t
import urllib.parse

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError

#: Characters of a manager's words that are shown.
SHOWN = 600

FREE_SPACE = "Free some space (or prune old releases) and run again."


def shortened(words: str, secrets: t.Iterable[str]) -> str:
    """The words in one bounded line, without secrets."""
    for secret in secrets:
        words = words.replace(secret, "***").replace(urllib.parse.quote(secret, safe=""), "***")
    words = re.sub(r"//[^/\s@]+@", "//***@", words)
    words = re.sub(r"npm_[0-9A-Za-z]{20,}|(_authToken|_auth|_password)\s*=\s*\S+", "***", words)
    line = re.sub(r"\s+", " ", words).strip()
    return line if len(line) <= SHOWN else f"{line[:SHOWN]} …"


def json_lines(*texts: str) -> t.Iterator[dict[str, t.Any]]:
    """The objects among the lines of what a program printed."""
    for line in (line for text in texts for line in text.splitlines()):
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            yield value


def registry_host(registry: str | None, default: str = "the npm registry") -> str:
    """How a registry is called in an error: its host, never a password in its address."""
    match = re.match(r"[a-z+]+://(?:[^/@]*@)?([^/\s]+)", registry or "")
    return f"the registry {match[1]}" if match else default


class Failures:
    """Errors of one manager's run: ``where`` begins each; ``said`` are its words, already shortened."""

    def __init__(self, where: str, said: str) -> None:
        self.where = where
        self.said = said

    def error(self, what: str, do: str) -> ApphostError:
        """Any failure."""
        return ApphostError(what, self.where, do, manager_output=self.said)

    def unknown(self, what: str) -> ApphostError:
        """A failure that nobody knows the meaning of."""
        # The package manager has words for it that are not known here.
        do = "See what it says about it, and try its command in a copy of the project. Nothing was changed."
        return self.error(f"{what}: {self.said}", do)

    def no_space(self) -> ApphostError:
        # The disk of the store is full, or a quota is used up.
        return self.error("no space left on the device", FREE_SPACE)

    def unreachable(self, registry: str, code: str) -> ApphostError:
        # No connection: a wrong address, a firewall, no proxy where there must be one, a registry that is down.
        do = "Check the registry's address, the network and the proxy; nothing was changed."
        return self.error(f"{registry} cannot be reached ({code})", do)

    def silent(self, registry: str, code: str) -> ApphostError:
        # A connection is there, and nothing comes through it.
        do = "It was tried again; is the registry, or what is between it and this host, too busy? Nothing was changed."
        return self.error(f"{registry} does not answer in time ({code})", do)

    def broken_off(self, registry: str, code: str) -> ApphostError:
        # The registry, or a proxy or firewall in between, ends the connection before a package is complete.
        do = "It was tried again; see what is between this host and the registry. Nothing was changed."
        return self.error(f"{registry} breaks off in the middle of a package ({code})", do)

    def server_error(self, registry: str, code: str) -> ApphostError:
        # The registry answers with a status of 5xx, or with 429 (too many requests).
        do = "It was tried again; look at the registry's own log. Nothing was changed."
        return self.error(f"{registry} fails ({code})", do)

    def refused_by_proxy(self, code: str) -> ApphostError:
        # The proxy wants a user and a password, and gets none or wrong ones.
        do = "Check the account in the proxy's address. Nothing was changed."
        return self.error(f"the proxy refuses access ({code})", do)

    def untrusted(self, registry: str, code: str) -> ApphostError:
        # The registry, or a proxy that looks into connections, has a certificate of an authority that this host does
        # not know, or that ran out.
        do = "Set ca_file to a file on the host with the authority's certificate."
        return self.error(f"the certificate of {registry} is not trusted ({code})", do)

    def refused(self, registry: str, code: str, file: str) -> ApphostError:
        # The registry wants a token and gets none or a wrong one (401), or the token has no right to this package
        # (403).
        do = f"Check the registry token. ({file} of the artifact is not read for registries or tokens.)"
        return self.error(f"{registry} refuses access ({code})", do)

    def no_package(self, registry: str, summary: str, file: str) -> ApphostError:
        # The registry answers with 404: it never had the package, or hides it from whoever has no right to it.
        do = f"Is it private, or at another registry? ({file} of the artifact is not read for registries.)"
        return self.error(f"{registry} does not have a package: {summary}", do)

    def no_version(self, registry: str, summary: str) -> ApphostError:
        # The registry knows the package, and not this version of it.
        do = "Was it withdrawn, or is the registry a mirror that lags behind?"
        return self.error(f"{registry} lacks a version that the lockfile names: {summary}", do)

    def altered(self, package: str, registry: str) -> ApphostError:
        # Its bytes do not have the hash that the lockfile has for it.
        return self.error(
            f"{package} from {registry} is not what the lockfile was made with (integrity mismatch)",
            "Somebody changed the package at the registry, or the lockfile by hand: find out before you go on.",
        )

    def not_cached(self, summary: str) -> ApphostError:
        # Nothing may be fetched, and the package was never fetched on this host.
        do = "Install once without offline, or give the packages as a packed set."
        return self.error(f"the cache of this host lacks a package, and offline is set: {summary}", do)
