# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run programs and tell people what is going on."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
import typing as t
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from devtools.paths import LOGS, ROOT, shown

Command = Sequence[str | os.PathLike[str]]


class DevError(Exception):
    """Something a person has to know, in one line. Leads to exit status 1 and never to a traceback."""


def say(line: str) -> None:
    """One line for people, at once even through a pipe."""
    print(line, flush=True)


def seconds(duration: float) -> str:
    """``0.4 s``, ``12.3 s``, ``3 min 20 s``."""
    if duration < 60:
        return f"{duration:.1f} s"
    minutes, rest = divmod(round(duration), 60)
    return f"{minutes} min {rest} s"


@contextlib.contextmanager
def step(title: str) -> Iterator[None]:
    """Say what begins, and how long it took at the end, also when it failed."""
    say(f"==> {title}")
    started = time.monotonic()
    outcome = "failed after"
    try:
        yield
        outcome = "done in"
    finally:
        say(f"    {outcome} {seconds(time.monotonic() - started)}")


def output_of(command: Command, **options: t.Any) -> str:
    """Standard output of a quick command, stripped; a failure is a DevError with what the program said."""
    done = attempt(command, **options)
    if done.returncode:
        said = (done.stderr or done.stdout).strip() or f"exit status {done.returncode}"
        raise DevError(f"{_name(command)} failed: {said}")
    return done.stdout.strip()


def attempt(command: Command, **options: t.Any) -> subprocess.CompletedProcess[str]:
    """Run a quick command and keep its output; a failure is the caller's to judge, a missing program is not."""
    if "input" not in options:
        options.setdefault("stdin", subprocess.DEVNULL)
    try:
        words = [os.fspath(part) for part in command]
        return subprocess.run(words, text=True, capture_output=True, check=False, **options)
    except FileNotFoundError as error:
        raise DevError(f"the program {error.filename} is not installed") from error


def run_logged(
    command: Command,
    log: str,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    stdin: t.IO[bytes] | int = subprocess.DEVNULL,
    what: str | None = None,
    tell: Callable[[str], str | None] | None = None,
) -> Path:
    """Run a long command with its output in ``.dev/logs/<log>.log``; show the output when it fails.

    ``env`` is added to the environment, ``what`` names the command in errors. ``tell`` gets each line of output
    without its end and returns what people should see of it at once. Returns the log's path.
    """
    LOGS.mkdir(parents=True, exist_ok=True)
    path = LOGS / f"{log}.log"
    words = [os.fspath(part) for part in command]
    with path.open("w", encoding="utf-8") as sink:
        try:
            process = subprocess.Popen(
                words,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env={**os.environ, **(env or {}), "NO_COLOR": "1", "ANSIBLE_NOCOLOR": "1"},
                encoding="utf-8",
                errors="replace",
            )
        except FileNotFoundError as error:
            raise DevError(f"the program {error.filename} is not installed") from error
        with process:
            for line in process.stdout or ():
                sink.write(line)
                if tell and (shown_now := tell(line.rstrip("\r\n"))):
                    say(f"    {shown_now}")
    if process.returncode:
        sys.stdout.write(path.read_text())
        name = what or _name(command)
        raise DevError(f"{name} failed with exit status {process.returncode}; its output is in {shown(path)}")
    return path


def _name(command: Command) -> str:
    words = [os.path.basename(os.fspath(command[0])), *(os.fspath(part) for part in command[1:3])]
    return " ".join(words)
