# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Traffic through a lab balancer while something else happens: the prober, run inside the balancer's container."""

from __future__ import annotations

import json
import subprocess
import typing as t
from collections.abc import Sequence
from pathlib import Path

from devtools.lab.fleet import container_name
from devtools.terminal import DevError, output_of

PROBER = Path(__file__).with_name("prober.py")
IN_CONTAINER = "/usr/local/lib/evenkeel-prober.py"
STOP_FILE = "/run/evenkeel-prober.stop"
LOG = "/run/evenkeel-prober.jsonl"
MAX_SECONDS = 600.0
"""Traffic ends by itself after this, whatever became of us."""


class Traffic:
    """Keep-alive GET and POST requests from the balancer's own 127.0.0.1, for as long as the ``with`` block lasts.

    Afterwards ``summary`` is the prober's summary (see prober.py) and ``requests`` every single request.
    """

    def __init__(
        self, fleet: str, targets: Sequence[str], *, balancer: str = "lb1", clients: int = 12, pause: float = 20.0
    ) -> None:
        self.container = container_name(fleet, balancer)
        self.options = [word for target in targets for word in ("--target", target)]
        self.options += ["--clients", str(clients), "--pause", str(pause)]
        self.summary: dict[str, t.Any] = {}
        self.requests: list[dict[str, t.Any]] = []

    def __enter__(self) -> Traffic:
        output_of(["docker", "cp", PROBER, f"{self.container}:{IN_CONTAINER}"])
        output_of(["docker", "exec", self.container, "rm", "-f", STOP_FILE])
        limits = ["--seconds", str(MAX_SECONDS), "--stop-file", STOP_FILE, "--log", LOG]
        self._prober = subprocess.Popen(
            ["docker", "exec", self.container, "python3", IN_CONTAINER, *limits, *self.options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_error: object) -> None:
        output_of(["docker", "exec", self.container, "touch", STOP_FILE])
        out, err = self._prober.communicate(timeout=60)
        if self._prober.returncode:
            raise DevError(
                f"the prober in {self.container} failed: {err.strip().splitlines()[-1:] or 'no reason given'}"
            )
        self.summary = json.loads(out)
        log = output_of(["docker", "exec", self.container, "cat", LOG])
        self.requests = [json.loads(line) for line in log.splitlines()]
