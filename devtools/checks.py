# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that can be right or wrong about a checkout."""

from __future__ import annotations

import xml.etree.ElementTree
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from devtools import package, sanity, scenarios
from devtools.engine import ensure_engine
from devtools.environment import tool, tool_environment
from devtools.outcome import Check, Tally
from devtools.paths import LOGS, ROOT, link_collection
from devtools.terminal import Command, run_logged

TYPED = ("benchmarks", "devtools", "molecule", "tests")
UNIT_REPORT = LOGS / "unit.xml"


def lint() -> list[Check]:
    """Style, types and metadata; needs neither Docker nor a network."""
    # By this way they have the names by which they import each other.
    plugins = link_collection() / "ansible_collections" / "evenkeel" / "apphost" / "plugins"
    return [
        _tool("ruff", "ruff", "check", "--no-cache"),
        _tool("ruff format", "ruff", "format", "--check", "--no-cache"),
        _tool("mypy", "mypy", plugins, *TYPED),
        _tool("yamllint", "yamllint", "--strict", "."),
        _tool("ansible-lint", "ansible-lint", "-q"),
        _tool("changelog fragments", "antsibull-changelog", "lint"),
    ]


def unit() -> list[Check]:
    """The tests that need no host."""

    def run() -> None:
        UNIT_REPORT.unlink(missing_ok=True)
        command: Command = [tool("pytest"), "--quiet", f"--junit-xml={UNIT_REPORT}"]
        run_logged(command, "unit", env=tool_environment(), what="pytest")

    return [Check("unit tests", run, partial(read_junit, UNIT_REPORT))]


def built() -> list[Check]:
    """The collection as users get it."""
    return [Check("package", package.try_out)]


def sanity_tests() -> list[Check]:
    """What ansible-test asks of any collection."""
    return [Check("ansible-test sanity", sanity.run, sanity.count)]


def molecule(chosen: Sequence[str] = (), *, keep: bool = False, full: bool = False) -> list[Check]:
    """The molecule scenarios; all, when none is named. ``full``: with more rounds of what happens at random moments."""

    def run(name: str) -> None:
        ensure_engine()
        scenarios.run(name, keep, full)

    return [Check(f"molecule {name}", partial(run, name)) for name in scenarios.choose(chosen)]


def long_runs() -> list[Check]:
    """What shows and measures rather than tests."""
    return [
        Check("demo", lambda: run_logged([ROOT / "dev", "demo"], "demo")),
        Check("demo --down", lambda: run_logged([ROOT / "dev", "demo", "--down"], "demo-down")),
        Check("bench deploy", lambda: run_logged([ROOT / "dev", "bench", "deploy"], "bench-deploy")),
    ]


def read_junit(report: Path) -> Tally | None:
    """What a JUnit report says; None when there is none."""
    if not report.exists():
        return None
    failed = ran = 0
    for suite in xml.etree.ElementTree.parse(report).iter("testsuite"):
        failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        ran += int(suite.get("tests", 0)) - int(suite.get("skipped", 0))
    return Tally(ran - failed, failed)


def _tool(name: str, program: str, *arguments: str | Path) -> Check:
    command: Command = [tool(program), *arguments]
    return Check(name, lambda: run_logged(command, name.replace(" ", "-"), env=tool_environment(), what=program))
