# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""./dev demo: the main job on a real fleet, from bare Debian to a rolling deploy under traffic."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import typing as t
from pathlib import Path

from devtools import environment
from devtools.engine import ensure_engine
from devtools.lab import fleet, http, inventory
from devtools.lab.traffic import Traffic
from devtools.paths import DEV, ROOT, shown
from devtools.terminal import DevError, run_logged, say, step

FLEET = "demo"
FIRST, SECOND = "1.0.0", "1.1.0"
APP = DEV / "demo" / "hello"
REPORT = DEV / "demo" / "report.json"
TARGET = "hello,get=/,post=/orders"


def run(down: bool) -> int:
    """Show the demo, or remove its fleet."""
    if down:
        fleet.down(FLEET)
        shutil.rmtree(APP.parent, ignore_errors=True)
        return 0
    environment.setup()
    ensure_engine()
    hosts = {host.name: host for host in fleet.up(FLEET)}
    url = str(hosts["lb1"].url)

    put_app(FIRST)
    with step(f"set up the fleet and deploy hello {FIRST}: ansible-playbook playbooks/site.yml"):
        run_logged(playbook("site.yml"), "demo-site", env=environment.tool_environment())
    say(f"    {url} says: {ask(url)}")

    put_app(SECOND)
    say(f"==> roll hello {SECOND} across the fleet under traffic: ansible-playbook playbooks/deploy.yml")
    with Traffic(FLEET, [TARGET]) as traffic:
        done = subprocess.run(
            [*playbook("deploy.yml"), "-e", f"rollout_report={REPORT}"],
            cwd=ROOT,
            env={**os.environ, **environment.tool_environment()},
            check=False,
        )
    if done.returncode:
        raise DevError(
            f"deploy.yml failed with exit status {done.returncode}; `{shown_command('status.yml')}` shows the fleet"
        )
    tell(traffic.summary, json.loads(REPORT.read_text()), url)
    return 1 if traffic.summary["lost"] else 0


def put_app(version: str) -> None:
    """The example app as its users would have it on disk, at a version of its own."""
    shutil.rmtree(APP, ignore_errors=True)
    shutil.copytree(ROOT / "examples" / "hello", APP, ignore=shutil.ignore_patterns("node_modules"))
    manifest = APP / "package.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "version": version}, indent=2) + "\n")


def playbook(name: str) -> list[str | Path]:
    """The command that runs one of our playbooks on the demo's fleet."""
    return [
        environment.tool("ansible-playbook"),
        *("-i", inventory.path(FLEET)),
        *("-e", f"lab_hello={APP}"),
        ROOT / "playbooks" / name,
    ]


def shown_command(name: str) -> str:
    """The same as a person would type it."""
    return (
        f".dev/venv/bin/ansible-playbook -i {shown(inventory.path(FLEET))} -e lab_hello={shown(APP)} playbooks/{name}"
    )


def ask(url: str) -> str:
    """What the app answers."""
    return http.request(url).body.strip()


def tell(traffic: dict[str, t.Any], report: dict[str, t.Any], url: str) -> None:
    """What happened and where to look."""
    out = [f"{host} {seconds:.1f} s" for host, seconds in report["seconds_out"].items()]
    releases = ", ".join(f"{release} ({count:,})" for release, count in traffic["releases"].items())
    say(
        f"""
What happened
  requests sent during the roll   {traffic["sent"]:,} (keep-alive GET and POST, no client ever retries)
  failures                        {traffic["lost"]}
  delayed by more than 0.9 s      {traffic["delayed"]}
  p99, slowest                    {traffic["p99"] * 1000:.0f} ms, {traffic["slowest"] * 1000:.0f} ms
  longest time without an answer  {traffic["longest_gap"] * 1000:.0f} ms
  out of the balancer             {", ".join(out)}
  answered by                     {releases}

Where to look
  the app, through the balancer   {url}  ->  {ask(url)}
  the fleet                       {shown_command("status.yml")}
  back to {FIRST}                   {shown_command("rollback.yml")}
  a host                          ./dev lab status
  remove it all                   ./dev demo --down"""
    )
