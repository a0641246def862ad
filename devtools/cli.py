# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of ./dev."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from devtools import environment, scenarios
from devtools.engine import ensure_engine
from devtools.lab import command as lab
from devtools.paths import ROOT, link_collection
from devtools.terminal import DevError, say


def main() -> int:
    """Run one command; returns the exit status."""
    arguments = _parser().parse_args()
    try:
        return int(arguments.run(arguments))
    except DevError as error:
        print(f"dev: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("dev: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./dev", description="Everything a developer of evenkeel.apphost does.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    setup = commands.add_parser("setup", help="install the tools into .dev/venv (other commands do it when needed)")
    setup.add_argument("--repin", action="store_true", help="choose new versions from requirements/dev.in first")
    setup.set_defaults(run=_setup)

    docs = commands.add_parser("docs", help="write the documentation that follows from the code")
    docs.add_argument("--check", action="store_true", help="change nothing; fail when a file is out of date")
    docs.set_defaults(run=_docs)

    lab_parser = commands.add_parser("lab", help="start, reboot, list and remove fleets of Debian hosts in containers")
    lab.add_arguments(lab_parser)
    lab_parser.set_defaults(run=lab.run)

    molecule = commands.add_parser("molecule", help="run molecule scenarios on lab hosts")
    molecule.add_argument("scenario", nargs="*", help="which (all)")
    molecule.add_argument("--keep", action="store_true", help="leave the fleet up; remove it with ./dev lab down")
    molecule.set_defaults(run=_molecule)
    return parser


def _setup(arguments: argparse.Namespace) -> int:
    if arguments.repin:
        environment.repin()
    if not environment.setup():
        say("nothing to do")
    return 0


def _docs(arguments: argparse.Namespace) -> int:
    environment.setup()
    command = [str(environment.tool("python")), "-m", "devtools.docs", *(["--check"] if arguments.check else [])]
    # The app schema is read from the collection itself.
    env = {**os.environ, **environment.tool_environment(), "PYTHONPATH": str(link_collection())}
    return subprocess.run(command, cwd=ROOT, env=env, check=False).returncode


def _molecule(arguments: argparse.Namespace) -> int:
    chosen = scenarios.choose(arguments.scenario)
    environment.setup()
    ensure_engine()
    for scenario in chosen:
        scenarios.run(scenario, keep=arguments.keep)
    return 0
