# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask an instance on this host how it is, past every proxy and balancer."""

from __future__ import annotations

import concurrent.futures
import http.client
import socket
import typing as t
from dataclasses import dataclass

# Readiness pages are small; what comes beyond this many bytes is not waited for.
BODY_LIMIT = 65536

# Instances asked at the same moment. A host runs about as many as it has cores.
PARALLEL = 16


@dataclass(frozen=True)
class Check:
    """What to ask and which answer is well. ``timeout``: seconds for one request."""

    path: str
    status: int
    timeout: float
    release_header: str
    host: str = "localhost"


@dataclass(frozen=True)
class Answer:
    """What came back: a status and the release the app names in its header, or why there was no answer."""

    status: int | None = None
    release: str | None = None
    error: str | None = None


def ask(port: int, check: Check) -> Answer:
    """One GET on a connection of its own. Never raises for what the other side does or fails to do."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=check.timeout)
    headers = {"Host": check.host, "User-Agent": "evenkeel-health", "Connection": "close"}
    try:
        connection.request("GET", check.path, headers=headers)
        response = connection.getresponse()
        response.read(BODY_LIMIT)
        return Answer(response.status, response.getheader(check.release_header))
    except socket.timeout:  # an alias of TimeoutError only from Python 3.10 on
        return Answer(error=f"no answer within {check.timeout:g} s")
    except ConnectionRefusedError:
        return Answer(error="nothing listens")
    except (OSError, http.client.HTTPException) as error:
        return Answer(error=str(error) or type(error).__name__)
    finally:
        connection.close()


def ask_all(ports: t.Sequence[int], check: Check) -> dict[int, Answer]:
    """Ask several instances side by side: the first request of a cold program is often its slowest."""
    if len(ports) < 2:
        return {port: ask(port, check) for port in ports}
    with concurrent.futures.ThreadPoolExecutor(min(len(ports), PARALLEL)) as pool:
        return dict(zip(ports, pool.map(lambda port: ask(port, check), ports)))


def verdict(answer: Answer, check: Check, release: str) -> str | None:
    """What is wrong with an answer that the release ``release`` should have given; ``None``: nothing.

    An app that does not name its release is taken at its status.
    """
    if answer.status is None:
        return answer.error or "no answer"
    if answer.release is not None and answer.release != release:
        return f"GET {check.path} is still answered by release {answer.release}"
    if answer.status != check.status:
        return f"GET {check.path} answers {answer.status}, expected {check.status}"
    return None
