# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP requests of the molecule tests, sent from here or from a lab host; every answer is an answer, also a 503."""

from __future__ import annotations

import json
import subprocess
import sys
import typing as t
from collections.abc import Mapping
from dataclasses import dataclass

from devtools.terminal import DevError

# Runs where the request is to come from, with the standard library of a bare host. http.client follows no redirect.
SCRIPT = """
import http.client, json, sys, time, urllib.parse
method, url, headers, data, timeout = json.loads(sys.argv[1])
parts = urllib.parse.urlsplit(url)
kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
connection = kind(parts.hostname, parts.port, timeout=timeout)
started = time.monotonic()
connection.request(method, urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, "")), data, headers)
answer = connection.getresponse()
body = answer.read().decode("utf-8", "replace")
seconds = time.monotonic() - started
print(json.dumps([answer.status, [[k.lower(), v] for k, v in answer.getheaders()], body, seconds]))
"""


@dataclass(frozen=True)
class Answer:
    """What came back. Names of headers are in lower case; ``seconds`` are from connecting to the last byte."""

    status: int
    headers: dict[str, str]
    body: str
    seconds: float


class Runs(t.Protocol):
    """The part of a testinfra host that is needed."""

    def check_output(self, command: str, *arguments: str) -> str:
        """Run a command, arguments quoted; returns what it printed."""


def request(
    url: str,
    *,
    on: Runs | None = None,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    data: str | None = None,
    timeout: float = 10.0,
) -> Answer:
    """Send one request, from the host ``on`` or from here; no answer within ``timeout`` seconds is an error."""
    order = json.dumps([method, url, dict(headers or {}), data, timeout])
    if on:
        printed = on.check_output("python3 -c %s %s", SCRIPT, order)
    else:
        done = subprocess.run([sys.executable, "-c", SCRIPT, order], text=True, capture_output=True, check=False)
        if done.returncode:
            raise DevError(f"{method} {url}: {done.stderr.strip().splitlines()[-1]}")
        printed = done.stdout
    status, pairs, body, seconds = json.loads(printed)
    return Answer(status, dict(pairs), body, seconds)
