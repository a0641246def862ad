# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the user's ``apphost_apps`` to resolved apps: checked, filled in, plain data.

In three steps: the declaration reads every key; :mod:`rules` fills and checks what depends on other keys
and other apps; what is derived (instances, units, paths) is added.
"""

from __future__ import annotations

import os.path
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.app_model import declaration, rules
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import AppLayout, runtime_root
from ansible_collections.evenkeel.apphost.plugins.module_utils.schema import Reading

APPS_VARIABLE = "apphost_apps"
SECRETS_VARIABLE = "apphost_secrets"


def resolve_apps(
    apps: t.Any,
    secrets: t.Any = None,
    base_dir: str | None = None,
    digits_are_numbers: bool = False,
) -> list[dict[str, t.Any]]:
    """Check and fill in the apps, in the order given. Resolving what came out gives the same again.

    ``secrets`` (app -> name -> value) are checked against the apps; no value is ever part of the result or of
    a message. Relative source paths start at ``base_dir`` (absolute); without it they stay as written.
    ``digits_are_numbers`` is explained at :class:`Reading`.

    Raises :class:`ApphostError` with every mistake, one a line.
    """
    apps = [] if apps is None else apps
    shape = Reading(digits_are_numbers)
    resolved = declaration.APPS.read(apps, APPS_VARIABLE, shape) or []
    entries = [
        rules.Entry(f"{APPS_VARIABLE}[{index}]", app, shape) for index, app in enumerate(resolved) if app is not None
    ]

    found = Reading()
    for entry in entries:
        rules.complete(entry, found)
    rules.check_between(entries, found)
    rules.check_secrets(secrets, SECRETS_VARIABLE, entries, found)
    shape.problems += found.problems
    shape.finish()

    for given, entry in zip(apps, entries):
        _derive(entry.app)
        if base_dir is not None:
            _anchor(entry, base_dir, shape)
        declaration.APP.check_derived(given, entry.app, entry.path, shape)
    shape.finish()
    return [entry.app for entry in entries]


def select_apps(resolved: list[dict[str, t.Any]], names: str | t.Iterable[str] | None = None) -> list[dict[str, t.Any]]:
    """The resolved apps with these names (a list, or a string with commas), in their own order; no names are all."""
    wanted = names.split(",") if isinstance(names, str) else list(names or [])
    wanted = [str(name).strip() for name in wanted if str(name).strip()]
    defined = [app["name"] for app in resolved]
    unknown = [name for name in dict.fromkeys(wanted) if name not in defined]
    if unknown:
        known = f"(defined: {', '.join(defined) or 'none'})"
        raise ApphostError("\n".join(f"app {name} is not defined in {APPS_VARIABLE} {known}" for name in unknown))
    return [app for app in resolved if not wanted or app["name"] in wanted]


def _derive(app: dict[str, t.Any]) -> None:
    """Add what follows from the rest: the runtime's folder, instances, units and paths."""
    layout = AppLayout(app["name"])
    app["runtime"]["root"] = runtime_root(app["runtime"]["name"], app["runtime"]["version"])
    app["instances"] = [
        {"process": name, "id": instance_id, "port": port, "unit": layout.unit(name, instance_id)}
        for name, process in app["processes"].items()
        for instance_id, port in _instances(process)
    ]
    app["units"] = {
        "target": layout.target,
        "templates": {name: layout.template_unit(name) for name in app["processes"]},
    }
    app["paths"] = layout.paths()


def _instances(process: dict[str, t.Any]) -> list[tuple[str, int | None]]:
    """Id and port of each copy of a process: named by its port, or counted from 1."""
    if process["port"] is None:
        return [(str(number), None) for number in range(1, process["instances"] + 1)]
    return [(str(port), port) for port in rules.ports(process)]


def _anchor(entry: rules.Entry, base_dir: str, found: Reading) -> None:
    """Make a local source absolute. A repository is local when it begins with a dot or a tilde."""
    source = entry.app["source"]
    key = "path" if source["type"] == "directory" else "repo"
    if key == "repo" and not source[key].startswith((".", "~")):
        return
    absolute = os.path.normpath(os.path.join(base_dir, os.path.expanduser(source[key])))
    if os.path.isabs(absolute):
        source[key] = absolute
    else:
        # Ansible's `inventory_dir` is no folder when the inventory is a list of hosts on the command line.
        found.add(f"{entry.path}.source.{key}", f"{source[key]} is relative, but to no folder; write an absolute path")
