# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kill installations at random instants, on the host, and look at what is left.

The input is an order: ``{"folder": …, "store": …, "builder": <account that builds>, "rounds": …, "seed": …, "run": <the
program that runs the module>, "projects": {name: {"source": <folder>, "options": {…}, "cached": bool}}}``. The output
is a report: ``{"problems": [...], "killed": <installations that were not over>}``.

One project after the other is installed into one and the same folder. Every installation is first killed at a random
instant; then there must be the whole old tree or the whole new one, and no process. Then it runs to its end, which must
leave the new tree and nothing else. A project that is not ``cached`` is built each time.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import typing as t

#: Seconds until what was killed has to be gone, with everything that it started.
PATIENCE = 10.0
#: Seconds of an installation of which it is not known yet how long it takes.
FIRST_GUESS = 3.0
#: The module's process alone, or everything in its session, as when a connection ends.
WAYS = ((os.kill, signal.SIGKILL), (os.killpg, signal.SIGKILL), (os.killpg, signal.SIGTERM))
PRODUCTS = ("node_modules", ".venv")

Files = frozenset[tuple[str, int, str]]


class Killing:
    """The folder, and what happens to it."""

    def __init__(self, order: dict[str, t.Any]) -> None:
        self.order = order
        self.folder: str = order["folder"]
        self.seconds = dict.fromkeys(order["projects"], FIRST_GUESS)
        self.problems: list[str] = []
        self.killed = 0

    def round(self, name: str) -> None:
        """Kill one installation, run it again, and look each time."""
        project = self.order["projects"][name]
        before = self.tree()
        self.bring(project["source"])
        if not project["cached"]:
            trees = os.path.join(self.order["store"], "trees")
            for identity in os.listdir(trees) if os.path.isdir(trees) else ():
                shutil.rmtree(os.path.join(trees, identity))
        delay = random.uniform(0, self.seconds[name])
        kill, number = random.choice(WAYS)
        process = self.start(name)
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            kill(process.pid, number)
            self.killed += 1
        process.communicate()
        what = f"{name}, {kill.__name__} {number.name} after {delay:.3f} s"
        self.look_for_processes(what)
        left = self.tree()
        began = time.monotonic()
        process = self.start(name)
        output, errors = process.communicate()
        self.seconds[name] = time.monotonic() - began
        result = json.loads(output or "{}")
        if process.returncode:
            self.problems.append(f"{what}: the next run fails: {result.get('msg') or errors}")
            return
        after = self.tree()
        if left not in (before, after):
            self.problems.append(f"{what}: neither the old tree nor the new one: {sorted(left ^ before)[:10]}")
        if after == before:
            self.problems.append(f"{what}: the next run changed nothing")
        self.problems += [f"{what}: the next run leaves {path}" for path in self.rubbish()]

    def bring(self, source: str) -> None:
        """Replace the project's own files."""
        for name in os.listdir(self.folder):
            path = os.path.join(self.folder, name)
            if os.path.isfile(path):
                os.unlink(path)
        for entry in os.scandir(source):
            if entry.is_file():
                shutil.copy(entry.path, self.folder)

    def start(self, name: str) -> subprocess.Popen[str]:
        """Start the module."""
        options = {"path": self.folder, "store": self.order["store"], **self.order["projects"][name]["options"]}
        process = subprocess.Popen(
            [sys.executable, "-c", self.order["run"]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )
        assert process.stdin
        process.stdin.write(json.dumps([options, {}]))
        process.stdin.close()
        process.stdin = None
        return process

    def tree(self) -> Files:
        """What is in place: path, inode, and target of a link."""
        found = set()
        for product in PRODUCTS:
            for folder, folders, files in os.walk(os.path.join(self.folder, product)):
                for name in folders + files:
                    path = os.path.join(folder, name)
                    status = os.lstat(path)
                    target = os.readlink(path) if os.path.islink(path) else ""
                    found.add((os.path.relpath(path, self.folder), status.st_ino, target))
        return frozenset(found)

    def look_for_processes(self, what: str) -> None:
        """Nobody who builds may be left."""
        deadline = time.monotonic() + PATIENCE
        look = ["pgrep", "-u", self.order["builder"]]
        while subprocess.run(look, stdout=subprocess.DEVNULL, check=False).returncode == 0:
            if time.monotonic() > deadline:
                self.problems.append(f"{what}: processes are left")
                return
            time.sleep(0.02)

    def rubbish(self) -> list[str]:
        """What should not be in the folder and in the store."""
        beside = [name for name in os.listdir(self.folder) if name.startswith(".apphost-beside-")]
        found = [os.path.join(self.folder, name) for name in beside]
        for part in ("scratch", "locks"):
            folder = os.path.join(self.order["store"], part)
            found += [os.path.join(folder, name) for name in os.listdir(folder)]
        programs = os.path.join(self.order["store"], "managers")
        return found + [os.path.join(programs, name) for name in os.listdir(programs) if name.endswith(".partial")]


def main() -> None:
    """Do as ordered."""
    order = json.load(sys.stdin)
    random.seed(order["seed"])
    killing = Killing(order)
    names = list(order["projects"])
    for number in range(order["rounds"]):
        killing.round(names[number % len(names)])
    json.dump({"problems": killing.problems, "killed": killing.killed}, sys.stdout)


if __name__ == "__main__":
    main()
