# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of ./dev."""

from __future__ import annotations

import argparse
import sys

from devtools.lab import command as lab
from devtools.terminal import DevError


def main() -> int:
    """Run one command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="./dev", description="Everything a developer of evenkeel.apphost does.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    lab_parser = commands.add_parser("lab", help="start, reboot, list and remove fleets of Debian hosts in containers")
    lab.add_arguments(lab_parser)
    lab_parser.set_defaults(run=lab.run)
    arguments = parser.parse_args()
    try:
        return int(arguments.run(arguments))
    except DevError as error:
        print(f"dev: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("dev: interrupted", file=sys.stderr)
        return 130
