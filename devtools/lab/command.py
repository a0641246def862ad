# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command ./dev lab."""

from __future__ import annotations

import argparse
from pathlib import Path

from devtools import environment
from devtools.engine import ensure_engine
from devtools.lab import fleet, inventory
from devtools.lab.image import SUITES
from devtools.paths import shown
from devtools.terminal import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="up|down|restart|status")
    up = actions.add_parser("up", help="start a fleet and write its inventory")
    up.add_argument(
        "--hosts",
        default=",".join(fleet.DEFAULT_HOSTS),
        help="app… are app hosts, lb… balancers; app1:trixie names a suite (%(default)s)",
    )
    up.add_argument("--suite", choices=SUITES, default=SUITES[0], help="suite of hosts that name none (%(default)s)")
    up.add_argument(
        "--group-vars",
        type=Path,
        default=inventory.GROUP_VARS,
        metavar="FOLDER",
        help=f"variables to link beside the inventory ({shown(inventory.GROUP_VARS)})",
    )
    down = actions.add_parser("down", help="remove a fleet")
    restart = actions.add_parser("restart", help="reboot hosts of a fleet and wait for them")
    restart.add_argument("hosts", nargs="+", metavar="HOST")
    for action in (up, down, restart):
        action.add_argument("--name", default="lab", help="which fleet (%(default)s)")
    actions.add_parser("status", help="list all fleets of this checkout")


def run(arguments: argparse.Namespace) -> int:
    """Do it."""
    ensure_engine()
    match arguments.action:
        case "up":
            environment.setup()
            hosts = fleet.parse_hosts(arguments.hosts, arguments.suite)
            fleet.up(arguments.name, hosts, arguments.group_vars)
            say(f"inventory: {shown(inventory.path(arguments.name))}")
        case "down":
            fleet.down(arguments.name)
        case "restart":
            fleet.restart(arguments.name, arguments.hosts)
        case "status":
            _status()
    return 0


def _status() -> None:
    names = fleet.fleets()
    if not names:
        say("no fleet is up")
    for name in names:
        say(f"{name}   (inventory: {shown(inventory.path(name))})")
        for host in fleet.members(name):
            where = f"{host.address:<16}ssh 127.0.0.1:{host.ssh_port:<8}{host.url or ''}"
            say(f"  {host.name:<8}{host.suite:<10}{host.state:<10}{where}".rstrip())
