# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of ``status.yml``: what runs where, since when, and what the balancers think of it."""

from __future__ import annotations

import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.rollout.fleet import Answer, trouble

HEADINGS = ("HOST", "APP", "RELEASE", "SINCE", "RUNTIME", "INSTANCES", "BALANCER")
_SILENT = "no answer"


def status_rows(
    hosts: t.Mapping[str, Answer], balancers: t.Sequence[Answer], apps: t.Sequence[str]
) -> list[tuple[str, ...]]:
    """One row an app and host, one for a host that gave no answer."""
    rows: list[tuple[str, ...]] = []
    for host, answer in hosts.items():
        if trouble(answer, "apps"):
            rows.append((host, "-", _SILENT, "-", "-", "-", _balancer(host, apps[0], balancers) if apps else "-"))
            continue
        for app in apps:
            info = answer["apps"][app]
            rows.append((host, app, *_release(info), _balancer(host, app, balancers)))
    return rows


def _release(info: Answer) -> tuple[str, str, str, str]:
    """Release, since, runtime and instances of one app on one host."""
    if info.get("missing"):
        return ("never set up", "-", "-", "-")
    manifest = info.get("manifest") or {}
    runtime = manifest.get("runtime") or {}
    instances = info.get("instances") or []
    running = sum(1 for i in instances if i.get("state") == "active" and i.get("release") == info.get("live"))
    release = info.get("live") or "none"
    if info.get("pending"):
        release += " (activation interrupted)"
    return (
        release,
        info.get("since") or "-",
        f"{runtime['name']} {runtime['version']}" if runtime else "-",
        f"{running}/{len(instances)} running",
    )


def _balancer(host: str, app: str, balancers: t.Sequence[Answer]) -> str:
    """What every balancer says of the server; named only when there are several."""
    words = []
    for answer in balancers:
        state = _SILENT if trouble(answer, "backends") else _server(answer["backends"].get(app, {}).get(host))
        words.append(f"{answer['item']}: {state}" if len(balancers) > 1 else state)
    return ", ".join(words) or "-"


def _server(server: Answer | None) -> str:
    if server is None:
        return "unknown"
    admin = "" if server["admin"] == "ready" else f" ({server['admin']}{', ours' if server.get('owner') else ''})"
    return f"{server['op']}{admin}"


def table(rows: t.Sequence[t.Sequence[str]]) -> list[str]:
    """Left-aligned columns, two spaces between them.

    >>> table([("a", "b"), ("long", "c")])
    ['a     b', 'long  c']
    """
    widths = [max(len(cell) for cell in column) for column in zip(*rows)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def status_table(hosts: t.Mapping[str, Answer], balancers: t.Sequence[Answer], apps: t.Sequence[str]) -> list[str]:
    """The lines of the table, headings first; below it, why somebody gave no answer."""
    silent = {f"host {name}": trouble(answer, "apps") for name, answer in hosts.items()}
    silent.update({f"balancer {answer['item']}": trouble(answer, "backends") for answer in balancers})
    reasons = [f"{who} {reason}" for who, reason in silent.items() if reason]
    return [*table([HEADINGS, *status_rows(hosts, balancers, apps)]), *([""] if reasons else []), *reasons]
