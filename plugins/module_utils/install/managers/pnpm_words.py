# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pnpm's failures mean."""

from __future__ import annotations

import re
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.failure_kinds import explain
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.words import Failures, json_lines, shortened
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.reader import Project


def said(out: str, err: str) -> str:
    """What pnpm says went wrong: code, message, address and hint of its last error; else its last words."""
    errors = []
    for value in json_lines(out, err):
        if value.get("level") == "error":
            inner = _table(value, "err")
            cause = _table(inner, "cause")
            words = (value.get("code"), inner.get("message"), value.get("message"), value.get("resource"))
            parts = (*words, cause.get("code"), cause.get("message"), value.get("hint"))
            errors.append("\n".join(dict.fromkeys(str(part) for part in parts if part)))
    return errors[-1] if errors else (err.strip() or out.strip())[-2000:]


def printed(out: str) -> str:
    """What lifecycle scripts printed, which pnpm passes on line by line."""
    lines = (value.get("line") for value in json_lines(out) if value.get("name") == "pnpm:lifecycle")
    return "\n".join(line for line in lines if isinstance(line, str))


def _table(value: dict[str, t.Any], key: str) -> dict[str, t.Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def explain_pnpm(words: str, project: Project, registry: str | None, secrets: t.Sequence[str]) -> ApphostError:
    """The error for a person: what went wrong, what to do, and pnpm's own words, short and clean."""
    failures = Failures(f"pnpm install, {project.lockfile.path}", shortened(words, secrets))
    if re.search(r"OUTDATED_LOCKFILE|LOCKFILE_CONFIG_MISMATCH|NO_IMPORTER|BROKEN_LOCKFILE", words):
        # package.json was changed without pnpm install, in a way that only pnpm sees.
        what = f"the lockfile does not match package.json: {failures.said}"
        return failures.error(what, project.format.remake)
    if "NO_OFFLINE_TARBALL" in words:
        missing = re.search(r"[Ff]ailed to resolve (\S+)|tarball (?:of|for) (\S+)", words)
        return failures.not_cached(next((name for name in missing.groups() if name), "") if missing else failures.said)
    if "UNSUPPORTED_ENGINE" in words:
        # engines of a package does not take the version of the runtime.
        do = "Change the runtime's version, or set check_engines to false."
        return failures.error(f"a package is not for this Node.js: {failures.said}", do)
    # The archive's address has the package's name and version.
    named = re.search(r"/((?:@[^/\s]+/)?[^/\s]+)/-/[^/\s]*?-(\d+\.\d+\.\d+[^/\s]*)\.tgz", words)
    altered = f"{named[1]}@{named[2]}" if named else None
    return explain(words, failures, registry, secrets, "An .npmrc", altered)
