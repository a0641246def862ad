# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rolling deploy of examples/hello, ours beside the usual way, on the same hosts in one run.

The usual way is ``benchmarks/usual/deploy.yml``: ten well-known tasks a host. Both have pipelining on, the same HAProxy
and nginx in front, the same Node.js, two instances a host, and one host at a time. They take turns, so that a busy
machine is busy for both. An observer in the balancer measures for both how long each host is out.

``./dev bench deploy`` (3 hosts), ``./dev bench deploy --hosts 8``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import time
import typing as t
from pathlib import Path

from benchmarks.measuring import HERE, NODE, Bench, verdict
from devtools import environment
from devtools.paths import ROOT
from devtools.terminal import Command, output_of, run_logged, say, step

SOCKET = "/run/haproxy/admin.sock"
PORTS = (4000, 4001)
STOP = "/run/evenkeel-observer.stop"
OBSERVER = "/usr/local/lib/evenkeel-observer.py"
# A dependency more or less changes the lockfile; small, so that the package managers' own work is what is compared.
EXTRA = ("is-number@7.0.0", "is-odd@3.0.1")

bench = Bench("bench")

RESTART = """
import subprocess, sys, time, urllib.request
units, ports = sys.argv[1].split(","), sys.argv[2].split(",")
begin = time.monotonic()
subprocess.run(["systemctl", "restart", *units], check=True)
for port in ports:
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1).read()
            break
        except OSError:
            time.sleep(0.01)
print(time.monotonic() - begin)
"""


class Way:
    """One way to deploy: brings a version of the app onto the fleet."""

    name: str
    backend: str

    def deploy(self, app: Path, version: str) -> Command:
        """The command that deploys the app folder."""
        raise NotImplementedError


class Ours(Way):
    """This collection."""

    name = "evenkeel"
    backend = "hello"

    def deploy(self, app: Path, version: str) -> Command:
        return playbook(ROOT / "playbooks" / "deploy.yml", lab_hello=app)


class Usual(Way):
    """What most people have."""

    name = "usual"
    backend = "usual"

    def deploy(self, app: Path, version: str) -> Command:
        archive = bench.work / f"hello-{version}.tar.gz"
        output_of(["tar", "--create", "--gzip", "--file", archive, "--directory", app, "."])
        return playbook(HERE / "usual" / "deploy.yml", usual_archive=archive, usual_release=version)


def playbook(path: Path, **variables: t.Any) -> Command:
    """The command that runs a playbook on the fleet, with what both ways have to know."""
    common = {
        "usual_node": NODE,
        "usual_socket": SOCKET,
        "usual_ports": PORTS,
        "usual_first": False,
        "usual_units": [f"usual-web@{port}" for port in PORTS],
    }
    return bench.playbook(path, {**common, **{name: str(value) for name, value in variables.items()}})


def make_app(version: str, extra: str | None) -> Path:
    """A copy of the example at a version of its own; ``extra`` adds a dependency, and so changes the lockfile."""
    app = bench.work / version
    shutil.rmtree(app, ignore_errors=True)
    shutil.copytree(ROOT / "examples" / "hello", app, ignore=shutil.ignore_patterns("node_modules"))
    manifest = app / "package.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "version": version}, indent=2) + "\n")
    if extra:
        output_of([environment.tool("npm"), "install", "--package-lock-only", "--no-audit", extra], cwd=app)
    return app


def timed_deploy(way: Way, app: Path, version: str) -> tuple[float, float]:
    """Deploy; returns the whole time and the longest time a host was out, in seconds."""
    command = way.deploy(app, version)
    output_of(bench.on("lb1", "rm", "-f", STOP))
    watching = bench.on("lb1", "python3", OBSERVER, "--stop-file", STOP)
    observer = subprocess.Popen(watching, stdout=subprocess.PIPE, text=True)
    begin = time.monotonic()
    run_logged(command, f"bench-{way.name}", env=environment.tool_environment())
    whole = time.monotonic() - begin
    output_of(bench.on("lb1", "touch", STOP))
    seen = json.loads(observer.communicate(timeout=30)[0])
    return whole, max(out for server, out in seen.items() if server.startswith(f"{way.backend}/"))


def restart_time() -> float:
    """How long the app itself takes from the restart of both instances to the first healthy answers, median of 3."""
    units = ",".join(f"apphost-hello-web@{port}" for port in (3000, 3001))
    command = bench.on("app1", "python3", "-c", RESTART, units, "3000,3001")
    return statistics.median(float(output_of(command)) for _run in range(3))


def prepare(hosts: int) -> None:
    """A fleet on which both ways have deployed once."""
    bench.start(["lb1", *(f"app{number}" for number in range(1, hosts + 1))])
    # The usual app is known to the balancer and the proxies alone; its own playbook does the rest.
    apps = HERE / "usual" / "apps.yml"
    with step("set up the fleet for both"):
        first = make_app("1.0.0", None)
        for command in (
            [*playbook(ROOT / "playbooks" / "site.yml", lab_hello=first), "-e", f"@{apps}"],
            playbook(HERE / "usual" / "setup.yml"),
            [*Usual().deploy(first, "1.0.0"), "-e", '{"usual_first": true}'],
        ):
            run_logged(command, "bench-setup", env=environment.tool_environment())
    bench.install(HERE / "observer.py", "lb1", OBSERVER)


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; 0 when our promises hold, 1 when one does not."""
    prepare(arguments.hosts)
    ways: tuple[Way, ...] = (Ours(), Usual())
    results: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for case in ("unchanged", "changed"):
        results[case] = {way.name: [] for way in ways}
        for turn in range(1, arguments.runs + 1):
            version = f"{2 if case == 'unchanged' else 3}.{turn}.0"
            app = make_app(version, EXTRA[turn % 2] if case == "changed" else None)
            for way in ways:
                with step(f"{way.name} deploys {version} (lockfile {case})"):
                    results[case][way.name].append(timed_deploy(way, app, version))
    return tell(results, restart_time(), arguments.hosts)


def tell(results: dict[str, dict[str, list[tuple[float, float]]]], restart: float, hosts: int) -> int:
    """Print medians and ratios beside what we promise."""
    wanted = 2.0 if hosts <= 3 else 3.0
    runs = len(results["unchanged"]["usual"])
    say(f"\nRolling deploy of examples/hello, {hosts} hosts one at a time, medians of {runs} runs")
    say("lockfile    way        whole deploy   a host out of the balancer (longest)")
    medians = {}
    for case, ways in results.items():
        for way, measured in ways.items():
            whole = statistics.median(seconds for seconds, _out in measured)
            out = statistics.median(out for _seconds, out in measured)
            medians[case, way] = whole, out
            say(f"{case:<12}{way:<11}{whole:>8.1f} s     {out:>8.2f} s")
    faster = medians["unchanged", "usual"][0] / medians["unchanged", "evenkeel"][0]
    changed = medians["changed", "usual"][0] / medians["changed", "evenkeel"][0]
    beyond = medians["unchanged", "evenkeel"][1] - restart
    return verdict(
        {
            f"lockfile unchanged: {faster:.2f} times faster (promised {wanted:.0f})": faster >= wanted,
            f"lockfile changed: {changed:.2f} times faster (promised 1)": changed >= 1.0,
            f"out of the balancer: the app's own restart of {restart:.2f} s + {beyond:.2f} s (promised 1.0)": beyond
            <= 1.0,
        }
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``./dev bench deploy``."""
    parser.add_argument("--hosts", type=int, default=3, help="app hosts (%(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="deploys of each kind (%(default)s)")
