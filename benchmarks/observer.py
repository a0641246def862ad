#!/usr/bin/env python3
# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watch HAProxy's runtime socket and say how long each server was not taking requests.

Runs in the balancer's container until the stop file appears (at most ``--seconds``); prints one JSON object:
``{"<backend>/<server>": seconds}``, the time a server spent in any state but plain ``UP`` since it was first seen UP.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import socket
import sys
import time

POLL_SECONDS = 0.02


def states(path: str) -> dict[str, str]:
    """``show stat``, reduced to the status of every server."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        connection.sendall(b"show stat -1 4 -1\n")
        answer = b""
        while part := connection.recv(65536):
            answer += part
    rows = csv.DictReader(answer.decode().lstrip("# ").splitlines())
    return {f"{row['pxname']}/{row['svname']}": row["status"] for row in rows}


def main() -> int:
    """Poll until told to stop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--socket", default="/run/haproxy/admin.sock")
    parser.add_argument("--stop-file", required=True)
    parser.add_argument("--seconds", type=float, default=300.0)
    arguments = parser.parse_args()
    out: dict[str, float] = {}
    before = time.monotonic()
    end = before + arguments.seconds
    while time.monotonic() < end and not os.path.exists(arguments.stop_file):
        now = time.monotonic()
        for name, status in states(arguments.socket).items():
            if status == "UP":
                out.setdefault(name, 0.0)
            elif name in out:
                out[name] += now - before
        before = now
        time.sleep(POLL_SECONDS)
    json.dump(out, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
