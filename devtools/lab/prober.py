#!/usr/bin/env python3
# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Send real traffic through a balancer and say exactly what became of every request.

Standard library only: it is copied into a lab container and run there against that container's own
127.0.0.1 or another lab host. Its clients keep their connections alive, pause like people do, mix GET and
POST, and never retry: a request that got no complete answer is lost. It ends by itself (``--seconds``), when
``--stop-file`` appears, or on SIGTERM; the summary goes to standard output as one JSON object, and one JSON line
a request to ``--log`` so that the ids can be compared with those the app executed.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import itertools
import json
import os
import pathlib
import signal
import sys
import time
import typing as t

# A request is delayed when it takes this much longer than the work it asked for (../shared/MEASURED.md: 0.9 s).
DELAYED_SECONDS = 0.9
# No single answer of the example apps takes longer; a hanging connection counts as lost after this.
ANSWER_TIMEOUT_SECONDS = 20.0
BODY = b'{"item":"tea","quantity":1}'


@dataclasses.dataclass(frozen=True)
class Target:
    """One app behind the balancer: ``name,host=H,get=/,post=/orders,slow=/slow,own=2.0`` on the command line.

    ``own`` is how long the slow path works, in seconds.
    """

    name: str
    host: str
    get: str = "/"
    post: str = "/orders"
    slow: str = ""
    own: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Target:
        name, *pairs = text.split(",")
        values: dict[str, t.Any] = dict(pair.split("=", 1) for pair in pairs)
        if "own" in values:
            values["own"] = float(values["own"])
        return cls(name=name, host=values.pop("host", name), **values)


@dataclasses.dataclass
class Request:
    """One request and what became of it; times in seconds."""

    id: str
    target: str
    method: str
    path: str
    own: float
    sent: float = 0.0
    elapsed: float = 0.0
    status: int = 0
    release: str = ""
    error: str = ""

    @property
    def lost(self) -> bool:
        """No complete answer, or an answer that is not the app's."""
        return bool(self.error) or self.status >= 400

    @property
    def delayed(self) -> bool:
        return not self.lost and self.elapsed > self.own + DELAYED_SECONDS


class Connection:
    """A keep-alive HTTP/1.1 connection; after any failure it is closed and the next request opens a new one."""

    def __init__(self, address: str, port: int) -> None:
        self.address, self.port = address, port
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def exchange(self, head: bytes, body: bytes) -> tuple[int, dict[str, str]]:
        """Send one request and read its whole answer; returns the status and the headers."""
        if self.reader is None or self.writer is None:
            self.reader, self.writer = await asyncio.open_connection(self.address, self.port)
        self.writer.write(head + body)
        await self.writer.drain()
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(lines[0].split(" ", 2)[1])
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)
        }
        if "content-length" in headers:
            await self.reader.readexactly(int(headers["content-length"]))
        elif headers.get("transfer-encoding") == "chunked":
            while size := int((await self.reader.readuntil(b"\r\n")).split(b";")[0], 16):
                await self.reader.readexactly(size + 2)
            await self.reader.readuntil(b"\r\n")
        else:
            await self.reader.read()
            headers["connection"] = "close"
        if headers.get("connection", "").lower() == "close":
            self.close()
        return status, headers

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
        self.reader = self.writer = None


class Prober:
    """All clients of one run, and what they saw."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.run_id = f"{os.getpid():x}-{time.time_ns() & 0xFFFFFF:06x}"
        self.stopping = asyncio.Event()
        self.done: list[Request] = []
        self.log: t.TextIO | None = None

    async def run(self) -> dict[str, t.Any]:
        """Run every client until it is time to stop; returns the summary."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopping.set)
        targets = self.arguments.target
        clients = [
            self.client(index, targets[index % len(targets)], patient=bool(index // len(targets) % 2))
            for index in range(self.arguments.clients)
        ]
        with contextlib.ExitStack() as files:
            if self.arguments.log:
                self.log = files.enter_context(pathlib.Path(self.arguments.log).open("w"))
            watcher = asyncio.ensure_future(self.watch())
            await asyncio.gather(*clients)
            self.stopping.set()
            await watcher
        return summarise(self.done)

    async def watch(self) -> None:
        """Stop at the time limit or when the stop file appears."""
        end = time.monotonic() + self.arguments.seconds
        stop_file = pathlib.Path(self.arguments.stop_file) if self.arguments.stop_file else None
        while not self.stopping.is_set() and time.monotonic() < end and not (stop_file and stop_file.exists()):
            await asyncio.sleep(0.1)
        self.stopping.set()

    async def client(self, index: int, target: Target, patient: bool) -> None:
        """One client: alternates GET and POST, every ``--slow-every``-th request goes to the slow path."""
        connection = Connection(self.arguments.address, self.arguments.port)
        # Half of the clients hardly pause, half do: a reload or a restart catches busy and idle connections alike.
        pause = self.arguments.pause / 1000 * (3 if patient else 1)
        for number in itertools.count():
            if self.stopping.is_set():
                break
            slow = bool(target.slow) and number % self.arguments.slow_every == self.arguments.slow_every - 1
            method = "POST" if number % 2 and not slow else "GET"
            path = target.slow if slow else target.post if method == "POST" else target.get
            request = Request(f"{self.run_id}-{index}-{number}", target.name, method, path, target.own if slow else 0.0)
            await self.send(connection, request, target)
            await asyncio.sleep(pause)
        connection.close()

    async def send(self, connection: Connection, request: Request, target: Target) -> None:
        """Send one request once and record its outcome."""
        body = BODY if request.method == "POST" else b""
        head = (
            f"{request.method} {request.path} HTTP/1.1\r\nHost: {target.host}\r\nX-Request-Id: {request.id}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode()
        request.sent = time.time()
        begin = time.monotonic()
        try:
            request.status, headers = await asyncio.wait_for(connection.exchange(head, body), ANSWER_TIMEOUT_SECONDS)
            request.release = headers.get("x-apphost-release", "")
        except (TimeoutError, OSError, EOFError, ValueError) as error:
            request.error = f"{type(error).__name__}: {error}"
            connection.close()
        request.elapsed = time.monotonic() - begin
        self.done.append(request)
        if self.log:
            self.log.write(json.dumps(dataclasses.asdict(request)) + "\n")


def percentile(values: t.Sequence[float], share: float) -> float:
    """The value below which ``share`` (0..1) of the sorted values lie."""
    return values[min(len(values) - 1, int(share * len(values)))] if values else 0.0


def longest_gap(requests: t.Sequence[Request]) -> float:
    """The longest time, in seconds, in which no request was answered."""
    answered = sorted(request.sent + request.elapsed for request in requests if not request.lost)
    return max((after - before for before, after in itertools.pairwise(answered)), default=0.0)


def summarise(requests: t.Sequence[Request]) -> dict[str, t.Any]:
    """Count what happened, for all targets together and each alone; times in seconds."""

    def count(part: t.Sequence[Request]) -> dict[str, t.Any]:
        beyond = sorted(request.elapsed - request.own for request in part if not request.lost)
        releases: dict[str, int] = {}
        for request in part:
            if request.release:
                releases[request.release] = releases.get(request.release, 0) + 1
        return {
            "sent": len(part),
            "lost": sum(request.lost for request in part),
            "delayed": sum(request.delayed for request in part),
            "p50": round(percentile(beyond, 0.50), 4),
            "p99": round(percentile(beyond, 0.99), 4),
            "slowest": round(beyond[-1], 4) if beyond else 0.0,
            "longest_gap": round(longest_gap(part), 4),
            "releases": releases,
        }

    losses = [dataclasses.asdict(request) for request in requests if request.lost]
    by_target = {
        name: count([r for r in requests if r.target == name]) for name in sorted({r.target for r in requests})
    }
    return {**count(requests), "targets": by_target, "first_losses": losses[:10]}


def main() -> int:
    """Parse the command line, run, print the summary; 0 even when requests were lost (the caller judges)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", default="127.0.0.1", help="where the balancer listens (a lab address)")
    parser.add_argument("--port", type=int, default=80)
    parser.add_argument("--target", type=Target.parse, action="append", required=True, help=Target.__doc__)
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--pause", type=float, default=20.0, help="pause between a client's requests, in ms")
    parser.add_argument("--slow-every", type=int, default=50, help="every n-th request takes the slow path")
    parser.add_argument("--seconds", type=float, default=60.0, help="the longest it may run")
    parser.add_argument("--stop-file", help="stop as soon as this file exists")
    parser.add_argument("--log", help="write one JSON line a request here")
    arguments = parser.parse_args()
    json.dump(asyncio.run(Prober(arguments).run()), sys.stdout, indent=1)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
