# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What kind of failure the words of a package manager are about, for managers that have no codes for it."""

from __future__ import annotations

import re
import time
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.words import Failures, registry_host, shortened

#: Seconds to wait before everything is tried once more: managers do not try again in the middle of an archive.
PAUSE = 2.0

#: What comes before the status of an answer.
_STATUS = (
    r"(?:FETCH_|Response Code: |returned HTTP |failed \"|status code:? |HTTP (?:error |status \w+ error \()|error: \(?)"
)

#: Kind -> what stands for it in the words of any manager; the first that matches counts.
_KINDS: dict[str, tuple[str, ...]] = {
    "altered": (
        r"\bintegrity\b",
        "TARBALL_INTEGRITY",
        "checksum",
        "[Hh]ash mismatch",
        "HASHES (DO NOT MATCH|FROM THE REQUIREMENTS)",
    ),
    "no_space": (r"\bENOSPC\b", r"\bEDQUOT\b", "No space left on device", "Disk quota exceeded"),
    "untrusted": (
        "self.signed certificate",
        r"\b[A-Z_]*CERT_[A-Z_]+",
        "unable to (?:get|verify)[a-z ]* (?:certificate|signature)",
        "certificate verify failed",
        r"invalid peer certificate: \w+",
    ),
    "refused": (
        f"{_STATUS}40[13]\\b",
        r"\b40[13] (?:Unauthorized|Forbidden)",
        r"\b40[13] Client Error",
        "Invalid authentication",
        "ENEEDAUTH",
    ),
    "no_package": (f"{_STATUS}404\\b", r"\b404 (?:Not Found|Client Error)", "Package not found"),
    "server_error": (f"{_STATUS}(?:429|5\\d\\d)\\b", r"\b5\d\d Server Error"),
    "broken_off": (
        "ECONNRESET",
        "ECONNABORTED",
        "EPIPE",
        r"\baborted\b",
        "incorrect (?:length|data|header) check",
        "unexpected end of file",
        "IncompleteRead",
        "[Cc]onnection (?:reset|aborted|closed)",
        "error decoding response body",
    ),
    "unreachable": (
        "ECONNREFUSED",
        "EAI_AGAIN",
        "ENOTFOUND",
        "E(?:SOCKET)?TIMEDOUT",
        "ENETUNREACH",
        "EHOSTUNREACH",
        "[Tt]imed? ?out",
        "[Cc]onnection refused",
        "dns error",
        "Name or service not known",
        "Temporary failure in name resolution",
        "Network is unreachable",
    ),
}


def kind_of_failure(words: str) -> tuple[str, str]:
    """The kind of failure that a manager's words are about, and the words that say so; empty for an unknown one."""
    for kind, patterns in _KINDS.items():
        for pattern in patterns:
            match = re.search(pattern, words)
            if match:
                return kind, match[0]
    return "", ""


def second_try(install: t.Callable[[], str | None]) -> str | None:
    """Have a manager install, once more when the connection broke in the middle; what it says when that fails too."""
    words = install()
    if words and kind_of_failure(words)[0] == "broken_off":
        time.sleep(PAUSE)
        words = install()
    return words


def explain(
    words: str,
    failures: Failures,
    registry: str | None,
    secrets: t.Sequence[str],
    file: str,
    altered: str | None = None,
) -> ApphostError:
    """The error for a person about any manager's ``words``.

    ``registry`` is the configured one; ``file`` are the artifact's settings that are not read ("A .yarnrc");
    ``altered`` is the package that the words are about, as far as that is known.
    """
    kind, found = kind_of_failure(words)
    line = next((line for line in words.splitlines() if found in line), words)
    address = re.search(r"https?://[^\s'\"()]+", line) or re.search(r"https?://[^\s'\"()]+", words)
    at = registry_host(address[0] if address else registry, "the registry")
    status = re.search(r"(?<!\d)[45]\d\d(?!\d)", found)
    code = status[0] if status else found
    summary = shortened(line, secrets)
    errors: dict[str, t.Callable[[], ApphostError]] = {
        "altered": lambda: failures.altered(altered or "a package", at),
        "no_space": failures.no_space,
        "untrusted": lambda: failures.untrusted(at, code),
        "refused": lambda: failures.refused(at, code, file),
        "no_package": lambda: failures.no_package(at, summary, file),
        "server_error": lambda: failures.server_error(at, code),
        "broken_off": lambda: failures.broken_off(at, code),
        "unreachable": lambda: failures.unreachable(at, code),
        # The manager says something that is not known here.
        "": lambda: failures.unknown("failed"),
    }
    return errors[kind]()
