# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The declaration of ``apphost_apps``: every key with its kind, default, unit and meaning.

``docs/apps.md`` is generated from here, so the words are written for users.
"""

from __future__ import annotations

import re
import shlex

from ansible_collections.evenkeel.apphost.plugins.module_utils.app_model.dependencies import DEPENDENCIES
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import BUILD_USER
from ansible_collections.evenkeel.apphost.plugins.module_utils.schema import (
    UNPRINTABLE,
    Choice,
    Derived,
    Field,
    Integer,
    ListOf,
    MapOf,
    Number,
    OneOf,
    Record,
    Text,
    Variable,
)

PRIVILEGED_BELOW = 1024  # ports that the Linux kernel keeps for root (net.ipv4.ip_unprivileged_port_start)
HIGHEST_PORT = 65535


def simple_command(text: str) -> str | None:
    """What is wrong with a command that a launcher runs as ``exec <command>``, or None."""
    if re.match(r"\w+=", text):
        return f"begins with the variable {text.split('=')[0]}; write it under env"
    try:
        shlex.split(text)
    except ValueError as error:
        return f"is not a command: {str(error).lower()}"
    return None


def system_name(text: str) -> str | None:
    """Why an app must not run as this user or group, or None."""
    if text == "root":
        return "an app never runs as root; leave the key out or name another"
    if text == BUILD_USER:
        return f"{BUILD_USER} builds the dependencies of all apps; name another"
    return None


NAME = Text(
    r"[a-z][a-z0-9-]*[a-z0-9]",
    "a name of lower-case letters, digits and dashes that begins with a letter",
    max_length=20,  # so that `apphost-<name>` is a user name (32 characters) with room to spare
)
PROCESS_NAME = Text(
    r"[a-z][a-z0-9_]*",
    "a name of lower-case letters, digits and underscores that begins with a letter",
    max_length=16,
)
SYSTEM_NAME = Text(r"[a-z_][a-z0-9_-]*", "a user or group name that useradd takes", 32, system_name)
COMMAND = Text(
    rf"[^;|&<>{UNPRINTABLE}]+",
    "a simple command: no ; | & < > and no newline (put a pipeline into a script of the app)",
    complaint=simple_command,
)
VARIABLE_NAME = Text(
    r"[A-Za-z_][A-Za-z0-9_]*",
    "the name of an environment variable (letters, digits, underscores)",
    max_length=255,
)
SIGNAL = Choice(("SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH"))
PORT = Integer(1, HIGHEST_PORT)
DOMAIN = Text(
    r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?",
    "a host name in lower-case letters (no scheme, port or wildcard)",
)
SOURCE = OneOf(
    "type",
    {
        "directory": Record(
            {
                "path": Field(
                    Text(),
                    "A folder on the controller. A relative path starts at the folder of the inventory.",
                    required=True,
                ),
            }
        ),
        "git": Record(
            {
                "repo": Field(
                    Text(rf"[^- {UNPRINTABLE}][^{UNPRINTABLE}]*", "the address or path of a git repository"),
                    "A git repository: a URL, or a path on the controller. A path that begins with a dot is relative.",
                    required=True,
                ),
                "ref": Field(
                    Text(rf"\w[^ ~^:?*\[\\{UNPRINTABLE}]*", "a branch, tag or commit"),
                    "The branch, tag or commit to release.",
                    required=True,
                ),
            }
        ),
    },
    later=("archive", "npm"),
)

RUNTIME = Record(
    {
        "name": Field(Choice(("nodejs",)), "The runtime that the app's commands find first in `PATH`.", required=True),
        "version": Field(
            Text(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){2}", "an exact version such as 24.21.0"),
            "Its exact version. It is installed beside others; a release remembers its own.",
            required=True,
        ),
        "root": Field(Derived("path"), "The folder where this version is installed."),
    }
)

PROCESS = Record(
    {
        "command": Field(
            COMMAND,
            "What to run, from the app's own folder. A simple command: variables such as `$PORT` expand, pipes and "
            "redirections are refused.",
            required=True,
        ),
        "instances": Field(Integer(1, 256), "How many copies run on each host.", default=1),
        "port": Field(
            PORT,
            "The port of the first instance, given to it as `PORT`; the next instance gets the next port. Leave it out "
            "for a process that serves nothing.",
        ),
        "stop_signal": Field(SIGNAL, "The signal that asks the process to stop gracefully.", default="SIGTERM"),
        "stop_timeout": Field(
            Integer(1, 3600),
            "How long it may take to stop before it is killed.",
            default=30,
            unit="seconds",
        ),
        "memory_max": Field(
            Text(r"[1-9][0-9]*[KMGT]?", "a size such as 512M or 2G"),
            "The most memory an instance may use; beyond it the instance is killed and restarted.",
            default_words="no limit",
            unit="bytes, with K, M, G or T",
        ),
        "file_limit": Field(
            Integer(64, 1048576),
            "How many files and sockets an instance may have open.",
            default=65536,
            unit="files",
        ),
        "umask": Field(
            Text(r"0?[0-7]{3}", 'an octal mask such as "0027"'),
            "The file mode bits that are taken away from what the app creates.",
            default="0027",
        ),
    }
)

HEALTH = Record(
    {
        "process": Field(
            PROCESS_NAME,
            "The process that is asked.",
            default_words="`web` if it has a port, else the only one with a port",
        ),
        "path": Field(
            Text(r"/[^\s#\x00-\x1f\x7f\ud800-\udfff]*", "a path that begins with a slash"),
            "The path to ask for, at every instance of the process.",
            default="/healthz",
        ),
        "status": Field(Integer(100, 599), "The status code of a healthy answer.", default=200),
        "consecutive": Field(Integer(1, 100), "How many good answers in a row make an instance healthy.", default=3),
        "interval": Field(Number(0.01, 60), "The pause between two questions.", default=0.1, unit="seconds"),
        "timeout": Field(
            Number(0.1, 3600),
            "How long after its start an instance may take to become healthy. After that, the old release is put back.",
            default=30,
            unit="seconds",
        ),
        "request_timeout": Field(Number(0.1, 300), "How long one answer may take.", default=2, unit="seconds"),
        "release_header": Field(
            Text(r"[A-Za-z0-9-]+", "the name of a header"),
            "When an answer has this header, its value must be the id of the release: the value of `APPHOST_RELEASE`.",
            default="X-Apphost-Release",
        ),
    }
)

PROXY = Record(
    {
        "port": Field(
            PORT,
            "The port of the on-host proxy for this app, where a balancer sends its requests. Apps may share it.",
            default=80,
        ),
        "process": Field(PROCESS_NAME, "The process that gets the requests.", default_words="`health.process`"),
    }
)

PORT_ACCESS = Record(
    {
        "provider": Field(
            Choice(("none", "ambient", "redirect")),
            f"How the app serves on a port below {PRIVILEGED_BELOW} without root. `ambient`: its processes may bind "
            "such ports. `redirect`: the firewall sends `port` to the instances of `proxy.process`.",
            default="none",
        ),
        "port": Field(PORT, "The port that `redirect` takes.", default=80),
    }
)

LOG_FILE = Record(
    {
        "path": Field(
            Text(rf"own(/(?!\.)[^/{UNPRINTABLE}]+)+", "a path below own/, such as own/app.log"),
            "The file, below the app's log folder. Apps write into its folder `own` only.",
            required=True,
        ),
        "rotate": Field(
            Choice(("copytruncate", "signal")),
            "`copytruncate` copies and empties the file, and may lose the lines of that moment; `signal` moves it and "
            "tells the process to open a new one.",
            default="copytruncate",
        ),
        "signal": Field(SIGNAL, "The signal that makes the process open its log again.", default="SIGUSR2"),
        "process": Field(
            PROCESS_NAME,
            "The process that gets the signal.",
            default_words="`proxy.process`, else the only process",
        ),
    }
)

LOGS = Record(
    {
        "output": Field(
            Choice(("journal", "file")),
            "Where standard output and standard error go: the systemd journal, or one file an instance.",
            default="journal",
        ),
        "max_size": Field(
            Text(r"[1-9][0-9]*[kMG]?", "a size such as 100M"),
            "A log file is rotated every day, and as soon as it is larger than this.",
            default="100M",
            unit="bytes, with k, M or G",
        ),
        "keep": Field(Integer(0, 3650), "How many rotated files of each log are kept.", default=14, unit="files"),
        "files": Field(ListOf(LOG_FILE), "Log files that the app writes by itself.", default=[]),
    }
)

APP = Record(
    {
        "name": Field(NAME, "The name of the app: in paths, units, the balancer and all output.", required=True),
        "user": Field(SYSTEM_NAME, "The user that runs it.", default_words="`apphost-<name>`"),
        "group": Field(SYSTEM_NAME, "The group that runs it.", default_words="the same as `user`"),
        "source": Field(SOURCE, "Where the app's files come from.", required=True),
        "version": Field(
            Text(r"[A-Za-z0-9][A-Za-z0-9._+-]*", "a version of letters, digits and . _ + -", 64),
            "What people call this version; the first part of the release's id.",
            default_words="what the source knows: the version in `package.json`, or `git describe`",
        ),
        "runtime": Field(RUNTIME, "The program that runs the app's own.", required=True),
        "dependencies": Field(DEPENDENCIES, "How its dependencies are installed.", default={}),
        "processes": Field(
            MapOf(PROCESS_NAME, PROCESS, may_be_empty=False),
            "The kinds of program the app runs, by name, as in a Procfile.",
            required=True,
        ),
        "instances": Field(
            Derived("list of {process, id, port, unit}"),
            "Every instance on a host, sorted by process and number. `id` is the port, or counts from 1.",
        ),
        "health": Field(
            HEALTH,
            "When the app counts as healthy. An app without a port is healthy when all its instances run.",
            default_words="its defaults, if a process has a port",
        ),
        "env": Field(
            MapOf(VARIABLE_NAME, Variable()),
            "Environment variables. `true`, `false` and numbers become strings. `PORT`, `PATH` and `APPHOST_…` are set "
            "by the collection; passwords belong in `apphost_secrets`.",
            default={},
        ),
        "release_command": Field(
            COMMAND,
            "A simple command that runs once a rollout, on one host, before any instance stops: a database migration.",
        ),
        "domains": Field(
            ListOf(DOMAIN),
            "Host names whose requests go to this app. An app without any gets all others; one app a port can be that.",
            default=[],
        ),
        "proxy": Field(
            PROXY,
            "How requests reach the app on its host.",
            default_words="its defaults, if a process has a port",
        ),
        "port_access": Field(PORT_ACCESS, f"Ports below {PRIVILEGED_BELOW} without root.", default={}),
        "logs": Field(LOGS, "Where logs go, and how long they are kept.", default={}),
        "keep_releases": Field(
            Integer(2, 100),
            "How many releases stay on a host. The live and the last good one always do.",
            default=5,
            unit="releases",
        ),
        "supervisor": Field(Choice(("systemd",)), "What keeps the instances running.", default="systemd"),
        "units": Field(
            Derived("mapping"),
            "The names of the systemd `target` and of the `templates` of each process.",
        ),
        "paths": Field(
            Derived("mapping"),
            "Its folders on a host: `root`, `releases`, `current`, `state`, `data`, `logs`.",
        ),
    }
)

APPS = ListOf(APP)

SECRETS = MapOf(NAME, MapOf(VARIABLE_NAME, Variable()))
