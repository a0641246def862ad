# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Installing dependencies, ours beside npm and the usual module, on the same host in one run.

Two projects: examples/hello, and a large one with about 1,050 packages. All ways take turns, so that a busy machine is
busy for all. What counts is the time of the module's process on the host, with the start of Python and of Ansible's own
code: each module is sent there by Ansible once, as it sends it always, and this very file is then run by a stopwatch on
the host. Beside it stand what lockfile_install says of itself (``seconds.total``), and how long its task takes for
Ansible, with the way to the host.

``./dev bench install``, ``./dev bench install --runs 3``.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shutil
import statistics
import tempfile
import typing as t
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measuring import HERE, NODE, NODE_VERSION, Bench, verdict
from devtools import environment
from devtools.lab import inventory
from devtools.paths import DEV, ROOT
from devtools.terminal import Command, output_of, run_logged, say, step

HOST = "app1"
BASE = "/srv/bench"
PAYLOADS = f"{BASE}/payloads"
ASIDE = f"{BASE}/aside"
STOPWATCH = "/usr/local/lib/evenkeel-stopwatch.py"
# What the large project's lockfile is made of came out before this day: the same packages every time.
BEFORE = "2026-06-01"
LOCKING = ("--package-lock-only", "--no-audit", "--no-fund", "--omit-lockfile-registry-resolved=false")
TUNED = ("--prefer-offline", "--no-audit", "--no-fund", "--ignore-scripts")

COLD = "npm ci, cold cache"
WARM = "npm ci, warm cache"
QUICK = "npm ci, warm, told to do no more than it must"
USUAL = "community.general.npm, ci: true, warm"
FIRST = "ours, nothing there yet"
NEW = "ours, unchanged, into a new folder"
NOTHING = "ours, nothing to do"
PING = "ansible.builtin.ping, the floor of a module"
LINKS = "cp -al of the tree"
# Tasks of dependencies/install.yml of which it is told how long they take for Ansible.
TASKS = {
    "Install into a new folder": NEW,
    "Install with nothing to do": NOTHING,
    "Run a module that does nothing": PING,
}
WIDTH = 46
WAYS = (COLD, WARM, QUICK, USUAL, FIRST, NEW, NOTHING, LINKS, PING)

bench = Bench("bench-install")


@dataclass
class Figures:
    """Seconds of one way, a value a run: the process on the host, what our module says of itself, Ansible's task."""

    process: list[float] = field(default_factory=list)
    work: list[float] = field(default_factory=list)
    task: list[float] = field(default_factory=list)


class Project:
    """One project on the host, and what was measured with it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.base = f"{BASE}/{name}"
        self.store = f"{self.base}/store"
        self.figures = {way: Figures() for way in WAYS}
        #: What our module said of the tree last.
        self.tree: dict[str, t.Any] = {}
        lab = json.loads(inventory.path(bench.fleet).read_text())["all"]["vars"]
        self.variables = {
            "PATH": f"{NODE}/bin:/usr/bin:/bin",
            "NODE_EXTRA_CA_CERTS": lab["apphost_ca_file"],
            "npm_config_registry": lab["apphost_npm_registry"],
            "npm_config_cache": f"{self.base}/cache",
        }
        self.stopwatch = ["python3", STOPWATCH, "--aside", ASIDE]
        self.new = [*self.stopwatch, "--fresh", f"{BASE}/projects/{self.name}"]
        with step(f"send the modules for the {name} project"):
            self.tasks(keep=True)
        payloads = output_of(bench.on(HOST, "find", f"{PAYLOADS}/{name}", "-name", "AnsiballZ_*.py")).splitlines()
        #: The usual module, ours and the smallest one, each with its options, as Ansible sends them.
        self.usual, self.ours, self.ping = (
            ("python3", next(path for path in payloads if f"_{module}.py" in path))
            for module in ("npm", "lockfile_install", "ping")
        )

    def tasks(self, *options: str, keep: bool = False) -> dict[str, float]:
        """Have Ansible run the tasks; seconds by name. ``keep``: what it sends stays on the host."""
        variables = {
            "bench_node": NODE,
            "bench_new": " ".join(self.new),
            "bench_base": self.base,
            "bench_payloads": f"{PAYLOADS}/{self.name}",
            "bench_environment": self.variables,
        }
        said = output_of(
            [*bench.playbook(HERE / "dependencies" / "install.yml", variables), *options],
            env={
                **os.environ,
                **environment.tool_environment(),
                "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
                "ANSIBLE_KEEP_REMOTE_FILES": str(keep),
            },
        )
        return {task["task"]["name"]: _duration(task["task"]) for task in json.loads(said)["plays"][0]["tasks"]}

    def time(self, way: str, folder: str, *command: str, fresh: bool = True, without: str | None = None) -> None:
        """Measure a command in one of the project's folders, once; ``without``: a path that goes before."""
        words = [*(self.new if fresh else self.stopwatch), *(("--without", without) if without else ())]
        words += [f"{self.base}/{folder}", "--", *command]
        measured = json.loads(output_of(bench.on(HOST, *words, variables=self.variables)))
        self.figures[way].process.append(measured["seconds"])
        if way in (FIRST, NEW, NOTHING):
            self.tree = json.loads(measured["output"])
            self.figures[way].work.append(self.tree["seconds"]["total"])

    def turn(self, links_first: bool) -> None:
        """Measure every way once."""
        npm = f"{NODE}/bin/npm"
        self.time(COLD, "npm", npm, "ci", without=self.variables["npm_config_cache"])
        self.time(WARM, "npm", npm, "ci")
        self.time(QUICK, "npm", npm, "ci", *TUNED)
        self.time(USUAL, "usual", *self.usual)
        self.time(FIRST, "ours", *self.ours, without=self.store)
        stored = f"{self.store}/trees/{self.tree['identity']}/node_modules"
        for links in (links_first, not links_first):
            if links:
                self.time(LINKS, "links", "cp", "-al", stored, "node_modules")
            else:
                self.time(NEW, "ours", *self.ours)
        self.time(NOTHING, "ours", *self.ours, fresh=False)
        self.time(PING, "ours", *self.ping, fresh=False)
        for name, seconds in self.tasks("--skip-tags", "usual").items():
            if name in TASKS:
                self.figures[TASKS[name]].task.append(seconds)

    def median(self, way: str) -> float:
        """Seconds of the process on the host."""
        return statistics.median(self.figures[way].process)

    def work(self, way: str) -> float:
        """Seconds that our module says it needed."""
        return statistics.median(self.figures[way].work)

    def ratio(self, way: str, other: str) -> float:
        return self.median(way) / self.median(other)


def _duration(task: dict[str, t.Any]) -> float:
    begin, end = (datetime.datetime.fromisoformat(task["duration"][key]) for key in ("start", "end"))
    return (end - begin).total_seconds()


def lock_large() -> Path:
    """The large project with its lockfile, which is made once."""
    large, known = HERE / "dependencies" / "large" / "package.json", DEV / "bench-large"
    if not (known / large.name).exists() or (known / large.name).read_bytes() != large.read_bytes():
        with step("make the lockfile of the large project"), tempfile.TemporaryDirectory(dir=DEV) as folder:
            shutil.rmtree(known, ignore_errors=True)
            making = Path(folder) / "large"
            making.mkdir()
            shutil.copy(large, making)
            command: Command = [environment.tool("npm"), "install", *LOCKING, f"--before={BEFORE}"]
            run_logged(command, "bench-lockfile", cwd=making, env=environment.tool_environment())
            making.rename(known)
    return known


def make_projects() -> Path:
    """The two projects as a host gets them."""
    folder = bench.work / "projects"
    for name, source in (("small", ROOT / "examples" / "hello"), ("large", lock_large())):
        for file in ("package.json", "package-lock.json"):
            (folder / name).mkdir(parents=True, exist_ok=True)
            shutil.copy(source / file, folder / name)
    return folder


def prepare() -> None:
    """A host that has Node.js, the stopwatch and the projects, and nothing of an earlier run."""
    bench.start([HOST])
    projects = make_projects()
    output_of(bench.on(HOST, "rm", "-rf", BASE))
    bench.install(HERE / "stopwatch.py", HOST, STOPWATCH)
    with step("set up the host"):
        variables = {
            "bench_node_version": NODE_VERSION,
            "bench_projects": str(projects),
            "bench_root": BASE,
            "bench_payloads": PAYLOADS,
        }
        setup = bench.playbook(HERE / "dependencies" / "setup.yml", variables)
        run_logged(setup, "bench-setup", env=environment.tool_environment())


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; 0 when our promises hold, 1 when one does not."""
    prepare()
    projects = [Project(name) for name in ("small", "large")]
    for number in range(arguments.runs):
        for project in projects:
            with step(f"turn {number + 1} of {arguments.runs}, {project.name} project"):
                project.turn(links_first=bool(number % 2))
    for project in projects:
        tell(project)
    kept = verdict(promises(*projects))
    with step("delete what was put aside"):
        # Not before: see the stopwatch.
        output_of(bench.on(HOST, "rm", "-rf", BASE))
    return kept


def tell(project: Project) -> None:
    """Print the medians and their ratios."""
    tree, runs = project.tree, len(project.figures[LINKS].process)
    size = f"{tree['packages']:,} packages, {tree['files']:,} files, {tree['bytes'] / 1024**2:,.0f} MiB"
    say(f"\nThe {project.name} project: {size}. Medians of {runs} runs, in seconds")
    say(f"{'':<{WIDTH}}{'on the host':>12}{'of cp -al':>11}{'of npm warm':>13}{'its own work':>14}{'Ansible task':>14}")
    for way in WAYS:
        figures = project.figures[way]
        own, task = (f"{statistics.median(values):.3f}" if values else "" for values in (figures.work, figures.task))
        ratios = f"{project.ratio(way, LINKS):>11.2f}{project.ratio(way, WARM):>13.3f}"
        say(f"{way:<{WIDTH}}{project.median(way):>12.3f}{ratios}{own:>14}{task:>14}")


def promises(small: Project, large: Project) -> dict[str, bool]:
    """What we promise, with what came out, and whether it holds."""
    links, faster = large.ratio(NEW, LINKS), large.ratio(WARM, NEW)
    kept = {
        f"large, into a new folder: {links:.2f} times cp -al (promised at most 1.5)": links <= 1.5,
        f"large, into a new folder: {faster:.1f} times faster than npm ci, warm (promised 12)": faster >= 12.0,
    }
    for project in (small, large):
        nothing, first = project.work(NOTHING), project.ratio(FIRST, COLD)
        kept[f"{project.name}, nothing to do: {nothing:.3f} s of work (promised less than 0.15)"] = nothing < 0.15
        kept[f"{project.name}, first install: {first:.2f} times npm ci, cold (promised at most 1.15)"] = first <= 1.15
    return kept


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``./dev bench install``."""
    parser.add_argument("--runs", type=int, default=5, help="measurements of each way (%(default)s)")
