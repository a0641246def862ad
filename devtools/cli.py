# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of ./dev."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from benchmarks import deploy as bench_deploy
from benchmarks import install as bench_install
from devtools import checks, demo, environment
from devtools.lab import command as lab
from devtools.outcome import Check, run_all
from devtools.terminal import DevError, say

DESCRIPTION = """\
Everything a developer of evenkeel.apphost does. What a command needs, it installs below .dev or starts: the tools
from requirements/dev.txt, a Docker engine where that is possible. Outputs of steps are kept in .dev/logs."""


def main() -> int:
    """Run one command; returns the exit status."""
    parser = _parser()
    arguments, rest = parser.parse_known_args()
    if rest and arguments.run is not _unit:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    arguments.pytest = rest
    try:
        return int(arguments.run(arguments))
    except DevError as error:
        print(f"dev: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"dev: {error.strerror}: {error.filename}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ndev: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./dev", description=DESCRIPTION)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[..., int], text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        added.set_defaults(run=run)
        return added

    setup = command("setup", _setup, "install the tools into .dev/venv; other commands do it when needed")
    setup.add_argument("--repin", action="store_true", help="choose new versions from requirements/dev.in first")

    show = command(
        "demo", lambda arguments: demo.run(arguments.down), "see a fleet set up and a release rolled under load"
    )
    show.add_argument("--down", action="store_true", help="remove the demo's fleet")

    test = command("test", _test, "run everything below and print a summary")
    test.add_argument("--full", action="store_true", help="the benchmarks and the demo, too, and more random moments")
    command("lint", _checking(checks.lint), "check style, types and metadata")
    command("unit", _unit, "run the tests that need no host; what follows goes to pytest")
    command("sanity", _checking(checks.sanity_tests), "run ansible-test sanity on the built collection")
    command("package", _checking(checks.built), "build the collection, install it elsewhere and load it from there")

    molecule = command("molecule", _molecule, "run molecule scenarios on lab hosts")
    molecule.add_argument("scenario", nargs="*", help="which (all)")
    molecule.add_argument("--keep", action="store_true", help="leave the fleet up; remove it with ./dev lab down")
    molecule.add_argument("--full", action="store_true", help="more random moments")

    docs = command("docs", _docs, "write the generated documentation")
    docs.add_argument("--check", action="store_true", help="change nothing; fail when a file is out of date")

    lab.add_arguments(command("lab", lab.run, "start, reboot, list and remove fleets of Debian hosts in containers"))

    bench = command("bench", bench_deploy.run, "compare with what users would do instead")
    which = bench.add_subparsers(required=True, metavar="deploy|install")
    bench_deploy.add_arguments(which.add_parser("deploy", help="a rolling deploy"))
    install = which.add_parser("install", help="installing dependencies")
    install.set_defaults(run=bench_install.run)
    bench_install.add_arguments(install)
    return parser


def _setup(arguments: argparse.Namespace) -> int:
    if arguments.repin:
        environment.repin()
    if not environment.setup():
        say("nothing to do")
    return 0


def _test(arguments: argparse.Namespace) -> int:
    environment.setup()
    quick = [*checks.lint(), *checks.unit(), *checks.built(), *checks.sanity_tests()]
    everything = [*quick, *checks.molecule(full=arguments.full)]
    return run_all([*everything, *checks.long_runs()] if arguments.full else everything)


def _checking(which: Callable[[], list[Check]]) -> Callable[[argparse.Namespace], int]:
    def run(arguments: argparse.Namespace) -> int:
        del arguments
        environment.setup()
        return run_all(which())

    return run


def _unit(arguments: argparse.Namespace) -> int:
    environment.setup()
    return environment.run_tool("pytest", *arguments.pytest) if arguments.pytest else run_all(checks.unit())


def _molecule(arguments: argparse.Namespace) -> int:
    chosen = checks.molecule(arguments.scenario, keep=arguments.keep, full=arguments.full)
    environment.setup()
    return run_all(chosen)


def _docs(arguments: argparse.Namespace) -> int:
    environment.setup()
    return environment.run_tool("python", "-m", "devtools.docs", *(["--check"] if arguments.check else []))
