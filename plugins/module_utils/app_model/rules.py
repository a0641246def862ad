# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What depends on more than one key: defaults that look at other keys, and clashes inside and between apps.

A rule runs only when what it looks at was read without a problem, so that one mistake gives one message.
"""

from __future__ import annotations

import typing as t
from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.app_model import declaration
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import USER_PREFIX
from ansible_collections.evenkeel.apphost.plugins.module_utils.schema import Reading, Record, did_you_mean


@dataclass(frozen=True)
class Entry:
    """One app as read: where it stands, its content, and what was wrong with its shape."""

    path: str
    app: dict[str, t.Any]
    shape: Reading

    def sound(self, *keys: str) -> bool:
        """Whether these keys of the app (``processes.web`` reaches below) were read without a problem."""
        return not any(self.shape.spoiled(f"{self.path}.{key}") for key in keys)

    @property
    def serving(self) -> list[str]:
        """The processes that have a port."""
        return [name for name, process in self.app["processes"].items() if process["port"] is not None]


def ports(process: dict[str, t.Any]) -> range:
    """The ports of the instances of a process on a host; empty for a process without a port."""
    first = process["port"]
    return range(first, first + process["instances"]) if first is not None else range(0)


def complete(entry: Entry, found: Reading) -> None:
    """Fill in the defaults of one app that depend on its other keys, and check what one key says about another."""
    app = entry.app
    if app["user"] is None and entry.sound("name", "user"):
        user = app["user"] = f"{USER_PREFIX}{app['name']}"
        if reason := declaration.system_name(user):
            found.add(f"{entry.path}.user", reason)
    if app["group"] is None and entry.sound("group"):
        app["group"] = app["user"]
    if entry.sound("processes"):
        _complete_routes(entry, found)
        _check_ports(entry, found)
    if entry.sound("processes", "logs"):
        _complete_log_files(entry, found)
    if entry.sound("env"):
        _check_reserved(app["env"], f"{entry.path}.env", found)


def _complete_routes(entry: Entry, found: Reading) -> None:
    """``health`` and ``proxy``: which process they mean; both are null for an app that serves nothing."""
    serving = entry.serving
    only = serving[0] if len(serving) == 1 else None
    health = _complete_route(entry, "health", declaration.HEALTH, "web" if "web" in serving else only, found)
    # Where health has no process that is an error already; one message is enough.
    _complete_route(entry, "proxy", declaration.PROXY, health or next(iter(serving), None), found)


def _complete_route(entry: Entry, key: str, record: Record, default: str | None, found: Reading) -> str | None:
    """Fill in one route and return its process."""
    app, path, serving = entry.app, f"{entry.path}.{key}", entry.serving
    if not entry.sound(key):
        return None
    if not serving:
        if app[key] is not None:
            found.add(path, "no process has a port; give one a port or leave this out")
        return None
    if app[key] is None:
        app[key] = record.read({}, path, found)
    chosen: str | None = app[key]["process"] or default
    if chosen is None:
        found.add(f"{path}.process", f"is required: {', '.join(serving)} have a port, and none of them is web")
    elif chosen not in app["processes"]:
        found.add(f"{path}.process", f"there is no process {chosen}; {did_you_mean(chosen, serving)}")
    elif chosen not in serving:
        found.add(f"{path}.process", f"process {chosen} has no port (with a port: {', '.join(serving)})")
    app[key]["process"] = chosen
    return chosen


def _check_ports(entry: Entry, found: Reading) -> None:
    """Ports that do not exist, and ports that only root may open."""
    access = entry.app["port_access"]["provider"] if entry.sound("port_access") else None
    for name in entry.serving:
        process, path = entry.app["processes"][name], f"{entry.path}.processes.{name}"
        last = ports(process)[-1]
        if last > declaration.HIGHEST_PORT:
            found.add(f"{path}.instances", f"the last one would get port {last}, above {declaration.HIGHEST_PORT}")
        if process["port"] < declaration.PRIVILEGED_BELOW and access in ("none", "redirect"):
            found.add(
                f"{path}.port",
                f"{process['port']} is for root only; take {declaration.PRIVILEGED_BELOW} or more, "
                "or set port_access.provider to ambient",
            )
    if access == "redirect" and not entry.serving:
        found.add(f"{entry.path}.port_access.provider", "no process has a port to redirect to")


def _complete_log_files(entry: Entry, found: Reading) -> None:
    """Which process is told to open its log again; null where none is told."""
    processes = entry.app["processes"]
    proxy = entry.app["proxy"] if entry.sound("proxy") else None
    default = proxy["process"] if proxy else next(iter(processes)) if len(processes) == 1 else None
    for index, file in enumerate(entry.app["logs"]["files"]):
        path = f"{entry.path}.logs.files[{index}].process"
        if file["process"] is None and file["rotate"] == "signal":
            file["process"] = default
            if default is None:
                found.add(path, f"is required: which process gets {file['signal']} ({', '.join(processes)})")
        elif file["process"] is not None and file["process"] not in processes:
            found.add(path, f"there is no process {file['process']}; {did_you_mean(file['process'], processes)}")


def _check_reserved(names: t.Iterable[str], path: str, found: Reading) -> None:
    """Refuse environment variables that the collection sets itself."""
    for name in names:
        if name == "PORT":
            found.add(f"{path}.PORT", "is set for each instance; write the port under processes")
        elif name == "PATH":
            found.add(f"{path}.PATH", "is set to the release's runtime and programs; call others by their full path")
        elif name.startswith("APPHOST_"):
            found.add(f"{path}.{name}", "names that begin with APPHOST_ are set by the collection")


def check_between(entries: list[Entry], found: Reading) -> None:
    """What two apps on one host cannot both have: a name, a port, a domain, the place of the default app."""
    names: dict[str, str] = {}
    taken = _Ports(found)
    routes: dict[tuple[int, str], str] = {}
    for entry in entries:
        app, path = entry.app, entry.path
        if entry.sound("name"):
            first = names.setdefault(app["name"], f"{path}.name")
            if first != f"{path}.name":
                found.add(f"{path}.name", f"{app['name']} is the name of {first} already")
        _claim_ports(entry, taken)
        if entry.sound("processes", "proxy", "domains") and app["proxy"]:
            _claim_domains(entry, routes, found)


class _Ports:
    """Who has which port of a host. Proxies of several apps may share one; nothing else may."""

    def __init__(self, found: Reading) -> None:
        self._found = found
        self._owners: dict[int, tuple[str, bool]] = {}

    def claim(self, path: str, wanted: t.Iterable[int], shared: bool = False) -> None:
        """Take ports for what stands at ``path``; say once who has one of them already."""
        refused = set()
        for port in wanted:
            owner, owner_shares = self._owners.setdefault(port, (path, shared))
            if owner != path and not (shared and owner_shares) and owner not in refused:
                refused.add(owner)
                self._found.add(path, f"port {port} is taken by {owner} already")


def _claim_ports(entry: Entry, taken: _Ports) -> None:
    app, path = entry.app, entry.path
    processes = app["processes"] if isinstance(app["processes"], dict) else {}
    for name, process in processes.items():
        if entry.sound(f"processes.{name}"):
            taken.claim(f"{path}.processes.{name}.port", ports(process))
    if entry.sound("processes", "proxy") and app["proxy"]:
        taken.claim(f"{path}.proxy.port", [app["proxy"]["port"]], shared=True)
    if entry.sound("port_access") and app["port_access"]["provider"] == "redirect":
        taken.claim(f"{path}.port_access.port", [app["port_access"]["port"]])


def _claim_domains(entry: Entry, routes: dict[tuple[int, str], str], found: Reading) -> None:
    """Each domain leads to one app a proxy port; so does "every other domain", for the app without any."""
    app, path, port = entry.app, entry.path, entry.app["proxy"]["port"]
    for index, domain in enumerate(app["domains"]):
        here = f"{path}.domains[{index}]"
        first = routes.setdefault((port, domain), here)
        if first != here:
            found.add(here, f"{domain} is {first} already, on the same proxy port {port}")
    if not app["domains"]:
        first = routes.setdefault((port, ""), f"{path}.domains")
        if first != f"{path}.domains":
            found.add(
                f"{path}.domains", f"is empty, and so is {first}; only one app on proxy port {port} can do without"
            )


def check_secrets(secrets: t.Any, path: str, entries: list[Entry], found: Reading) -> None:
    """Secrets belong to an app that exists, and to no name that is set elsewhere. Shows names, never values."""
    shape = Reading()
    read = declaration.SECRETS.read({} if secrets is None else secrets, path, shape) or {}
    found.problems += shape.problems
    apps = {entry.app["name"]: entry for entry in entries}
    for app, values in read.items():
        if app not in apps:
            found.add(f"{path}.{app}", f"there is no app {app}; {did_you_mean(app, filter(None, apps))}")
        elif values is not None:
            _check_reserved(values, f"{path}.{app}", found)
            env = apps[app].app["env"] or {}
            for name in filter(env.__contains__, values):
                found.add(f"{path}.{app}.{name}", f"is in {apps[app].path}.env too; keep it in one place")
