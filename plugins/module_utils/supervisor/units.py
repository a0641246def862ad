# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of an app's systemd units: one template unit a process, one target an app."""

from __future__ import annotations

import re
import typing as t
from dataclasses import dataclass, field

Value = t.Union[str, int, float, bool, None, t.Sequence[str]]
Directives = dict[str, Value]

HEADER = "# Ansible managed: evenkeel.apphost. Changes by hand are overwritten; put them into a drop-in.\n"

# What ends or escapes in a quoted Environment= value.
_ESCAPED = re.compile(r'["\\]')

# RestartSteps= and RestartMaxDelaySec= came with this version; an older one would warn about them at every reload.
BACK_OFF_SINCE = 254
BACK_OFF_STEPS = 5

# What an ordinary app does not need. `systemd-analyze security` rates it 1.3 on Debian 12 (systemd 252).
# Left out, because Node.js or what runs on it needs them (tried with Node.js 20 and 24): MemoryDenyWriteExecute (V8
# compiles at run time), PrivateUsers (it hides the owners of files), ProcSubset=pid (os.cpus() would be empty, and a
# cluster without workers).
SANDBOX: Directives = {
    "NoNewPrivileges": True,
    "CapabilityBoundingSet": "",
    "AmbientCapabilities": "",
    "ProtectSystem": "strict",
    "ProtectHome": True,
    "PrivateTmp": True,
    "PrivateDevices": True,
    "ProtectClock": True,
    "ProtectControlGroups": True,
    "ProtectHostname": True,
    "ProtectKernelLogs": True,
    "ProtectKernelModules": True,
    "ProtectKernelTunables": True,
    "ProtectProc": "invisible",
    "LockPersonality": True,
    "RemoveIPC": True,
    "RestrictNamespaces": True,
    "RestrictRealtime": True,
    "RestrictSUIDSGID": True,
    # AF_NETLINK: os.networkInterfaces() asks the kernel through it.
    "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "SystemCallArchitectures": "native",
    # A call that is not allowed fails with EPERM instead of killing the program: V8 tries memory protection keys
    # (@pkey) and goes on without them. os.setPriority() fails too; `extra` can allow it.
    "SystemCallFilter": ["@system-service @pkey", "~@privileged @resources"],
    "SystemCallErrorNumber": "EPERM",
}


@dataclass(frozen=True)
class UnitOptions:
    """What the role offers besides the app's own definition. Times in seconds.

    ``extra``: ``<app>/<process>`` -> directives of ``[Service]`` that replace or add to ours; a list gives a
    directive several times, an empty text takes back what was set before, as systemd has it.
    """

    systemd_version: int
    restart_delay: float = 1.0
    restart_delay_max: float = 30.0
    start_limit: int = 60
    start_limit_interval: float = 300.0
    slice: str | None = None
    environment: t.Mapping[str, t.Any] = field(default_factory=dict)
    ca_file: str | None = None
    extra: t.Mapping[str, Directives] = field(default_factory=dict)


def app_units(app: t.Mapping[str, t.Any], options: UnitOptions) -> dict[str, str]:
    """Unit name -> text, for everything a resolved app needs."""
    units = {app["units"]["target"]: target_unit(app)}
    for process in sorted(app["processes"]):
        units[app["units"]["templates"][process]] = process_unit(app, process, options)
    return units


def target_unit(app: t.Mapping[str, t.Any]) -> str:
    """All instances of an app as one: stopping it stops them, starting it starts those that start with the host."""
    return _unit(
        {
            "Unit": {"Description": f"App {app['name']}"},
            "Install": {"WantedBy": "multi-user.target"},
        }
    )


def process_unit(app: t.Mapping[str, t.Any], process: str, options: UnitOptions) -> str:
    """The template unit of one process; its instance name is the instance's id (its port, when it has one)."""
    definition = app["processes"][process]
    service: Directives = {
        **_program(app, process, definition, options),
        **_life(definition, options),
        **_output(app, process),
        **SANDBOX,
        "ReadWritePaths": f"{app['paths']['data']} {app['paths']['logs']}/own",
        **options.extra.get(f"{app['name']}/{process}", {}),
    }
    return _unit(
        {
            "Unit": {
                "Description": f"App {app['name']}, process {process}, instance %i",
                "Wants": "network-online.target",
                "After": "network-online.target",
                "PartOf": app["units"]["target"],
                # Before the first release, and after one was taken away, there is nothing to start: no failure.
                "ConditionPathExists": f"{app['paths']['current']}/release.json",
                "StartLimitIntervalSec": options.start_limit_interval,
                "StartLimitBurst": options.start_limit,
            },
            "Service": service,
            "Install": {"WantedBy": app["units"]["target"]},
        }
    )


def _program(
    app: t.Mapping[str, t.Any], process: str, definition: t.Mapping[str, t.Any], options: UnitOptions
) -> Directives:
    current = app["paths"]["current"]
    given = {name: str(value) for name, value in options.environment.items()}
    if options.ca_file and app["runtime"]["name"] == "nodejs":
        given.setdefault("NODE_EXTRA_CA_CERTS", options.ca_file)
    environment = {name: _ESCAPED.sub(r"\\\g<0>", value).replace("%", "%%") for name, value in given.items()}
    environment.update({"APPHOST_INSTANCE": "%i", "APPHOST_DATA": app["paths"]["data"]})
    if definition["port"]:
        environment["PORT"] = "%i"
    return {
        "Type": "exec",
        "User": app["user"],
        "Group": app["group"],
        "Slice": options.slice,
        "WorkingDirectory": f"{current}/app",
        "Environment": [f'"{name}={value}"' for name, value in sorted(environment.items())],
        "EnvironmentFile": f"{current}/environment",
        "ExecStart": f"{current}/bin/{process}",
    }


def _life(definition: t.Mapping[str, t.Any], options: UnitOptions) -> Directives:
    back_off = options.systemd_version >= BACK_OFF_SINCE and options.restart_delay_max > options.restart_delay
    return {
        "Restart": "always",
        "RestartSec": options.restart_delay,
        "RestartSteps": BACK_OFF_STEPS if back_off else None,
        "RestartMaxDelaySec": options.restart_delay_max if back_off else None,
        "KillSignal": definition["stop_signal"],
        # The main process alone is asked to stop, it takes care of its children; what is left is killed in the end.
        "KillMode": "mixed",
        "TimeoutStopSec": definition["stop_timeout"],
        # What a shell or a program of a shell's habits says after SIGINT or SIGTERM.
        "SuccessExitStatus": "130 143",
        "LimitNOFILE": definition["file_limit"],
        "MemoryMax": definition["memory_max"],
        "UMask": definition["umask"],
    }


def _output(app: t.Mapping[str, t.Any], process: str) -> Directives:
    if app["logs"]["output"] == "file":
        log = f"append:{app['paths']['logs']}/{process}-%i.log"
        return {"StandardOutput": log, "StandardError": log}
    return {"StandardOutput": "journal", "StandardError": "journal", "SyslogIdentifier": f"{app['name']}-{process}"}


def _unit(sections: t.Mapping[str, Directives]) -> str:
    lines = []
    for section, directives in sections.items():
        lines.append(f"\n[{section}]\n")
        lines += [f"{name}={text}\n" for name, value in directives.items() for text in _texts(value)]
    return HEADER + "".join(lines)


def _texts(value: Value) -> list[str]:
    """A directive's values as systemd writes them; ``None``: the directive is left out."""
    if value is None:
        return []
    if isinstance(value, bool):
        return ["yes" if value else "no"]
    if isinstance(value, float):
        return [f"{value:g}"]
    if isinstance(value, (str, int)):
        return [str(value)]
    return [str(text) for text in value]
