# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What npm's failures mean."""

from __future__ import annotations

import json
import re
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.words import Failures, registry_host, shortened
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Lockfile

NETWORK_CODES = frozenset(
    {
        "ECONNREFUSED",
        "EAI_AGAIN",
        "ENOTFOUND",
        "ENETUNREACH",
        "EHOSTUNREACH",
        "ETIMEDOUT",
        "ECONNECTIONTIMEOUT",
        "ERR_SOCKET_TIMEOUT",
    }
)
#: The connection was there, and no answer came, or no more of it.
SILENT_CODES = frozenset({"ERESPONSETIMEOUT", "ETRANSFERTIMEOUT", "EIDLETIMEOUT"})
#: It ended, or fell silent, in the middle of an answer: worth another try, for npm itself makes none.
BROKEN_CODES = frozenset(
    {"ECONNRESET", "EPIPE", "FETCH_ERROR", "ERR_STREAM_PREMATURE_CLOSE", "Z_BUF_ERROR", "EIDLETIMEOUT"}
)
CERTIFICATE_CODES = frozenset(
    {
        "CERT_HAS_EXPIRED",
        "DEPTH_ZERO_SELF_SIGNED_CERT",
        "ERR_TLS_CERT_ALTNAME_INVALID",
        "SELF_SIGNED_CERT_IN_CHAIN",
        "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
        "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    }
)


def failure(out: str, err: str) -> tuple[str, str]:
    """The error code and the words of npm, from ``--json`` output or, failing that, from the log."""
    code, words = _failure(out, err)
    # One code for many things. After this one npm has tried again by itself, and each try takes a minute.
    return ("ERESPONSETIMEOUT" if code == "FETCH_ERROR" and "timeout" in words else code), words


def _failure(out: str, err: str) -> tuple[str, str]:
    try:
        error = json.loads(out[out.index("{") :])["error"]
        return str(error.get("code") or ""), f"{error.get('summary') or ''}\n{error.get('detail') or ''}".strip()
    except (ValueError, KeyError, TypeError, AttributeError):
        lines = [line for line in err.splitlines() if line.startswith("npm error")]
        code = next((line.split()[-1] for line in lines if line.startswith("npm error code ")), "")
        text = "\n".join(line[len("npm error ") :] for line in lines if not line.startswith("npm error code "))
        return code, text or err.strip() or out.strip()


def explain(
    code: str, words: str, where: str, registry: str | None, secrets: t.Sequence[str], lockfile: Lockfile
) -> ApphostError:
    """The error for a person: what went wrong in one sentence, what to do, and npm's own words, short and clean."""
    said = shortened(words, secrets)
    summary = shortened(words.partition("\n")[0], secrets)
    failures = Failures(where, said)
    # npm names the address that it could not get, or its host, which may be a scope's.
    address = re.search(r"https?://[^\s'\"]+", re.sub(r"\bhost `([^`\s]+)`", r"https://\1", words))
    at = registry_host(address[0] if address and code not in ("EUSAGE", "ETARGET") else registry)
    if code == "EINTEGRITY":
        wanted = set(re.findall(r"sha\d+-[0-9A-Za-z+/]+=*", words))
        named = [package.spec for package in lockfile.packages.values() if package.integrity in wanted]
        return failures.altered(named[0] if named else "a package", at)
    if code in ("ENOSPC", "EDQUOT"):
        return failures.no_space()
    if code == "ENOTCACHED":
        return failures.not_cached(summary)
    if code in NETWORK_CODES:
        return failures.unreachable(at, code)
    if code in SILENT_CODES:
        return failures.silent(at, code)
    if code in BROKEN_CODES:
        return failures.broken_off(at, code)
    if re.fullmatch(r"E(429|5\d\d)", code):
        return failures.server_error(at, code)
    if code == "E407":
        return failures.refused_by_proxy(code)
    if code in CERTIFICATE_CODES:
        return failures.untrusted(at, code)
    if code in ("E401", "E403", "ENEEDAUTH"):
        return failures.refused(at, code, "An .npmrc")
    if code == "E404":
        return failures.no_package(at, summary, "An .npmrc")
    if code == "ETARGET":
        return failures.no_version(at, summary)
    if code == "EUSAGE":
        found = re.findall(r"^(?:Missing|Invalid): .+", words, re.MULTILINE)
        what = shortened("; ".join(found[:3]), secrets) if found else said
        # npm itself finds that they differ, in something that was not seen before it ran.
        return failures.error(
            f"the lockfile does not match package.json: {what}", "Run npm install and commit the lockfile."
        )
    # npm has an error code that is not known here, or none at all.
    return failures.unknown(f"npm failed{f' ({code})' if code else ''}")
