# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What npm and pnpm say about vulnerabilities and signatures, read."""

from __future__ import annotations

import json
import typing as t

#: Least severe first.
SEVERITIES = ("low", "moderate", "high", "critical")


def read_object(out: str) -> dict[str, t.Any]:
    """The JSON object in what a program printed; empty when there is none."""
    try:
        value = json.loads(out[out.index("{") :])
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def vulnerable(report: t.Mapping[str, t.Any], level: str) -> list[str] | None:
    """The packages of a report (npm's or pnpm's) that are at least so vulnerable, with why; ``None``: no report."""
    enough = SEVERITIES[SEVERITIES.index(level) :]
    found = report.get("vulnerabilities")
    if isinstance(found, dict):
        entries = [(str(name), entry) for name, entry in found.items() if isinstance(entry, dict)]
        return [
            f"{name} ({entry['severity']}{_title(entry)})" for name, entry in entries if entry.get("severity") in enough
        ]
    found = report.get("advisories")
    if isinstance(found, dict):
        advisories = [entry for entry in found.values() if isinstance(entry, dict)]
        return [
            f"{entry.get('module_name')} ({entry['severity']}: {str(entry.get('title'))[:100]})"
            for entry in advisories
            if entry.get("severity") in enough
        ]
    return None


def _title(entry: t.Mapping[str, t.Any]) -> str:
    """Why, as far as the package itself is the reason."""
    via = entry.get("via")
    titles = [cause.get("title") for cause in via if isinstance(cause, dict)] if isinstance(via, list) else []
    return f": {str(titles[0])[:100]}" if titles else ""


def unsigned(report: t.Mapping[str, t.Any]) -> list[str] | None:
    """The packages whose signature is missing or wrong; ``None``: no report."""
    if not isinstance(report.get("invalid"), list) or not isinstance(report.get("missing"), list):
        return None
    wrong = [f"{_spec(entry)} has a wrong signature" for entry in report["invalid"]]
    return [*wrong, *(f"{_spec(entry)} has no signature" for entry in report["missing"])]


def _spec(entry: t.Any) -> str:
    return f"{entry.get('name')}@{entry.get('version')}" if isinstance(entry, dict) else "a package"
