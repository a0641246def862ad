# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is between an app host and its registry, and misbehaves when it is told to.

Port 4443 is the registry, over TLS: what it answers comes from Verdaccio. Port 3128 is a proxy that wants a password
and alone knows where ``npm.hidden.test`` is. Port 4890 is a registry of somebody else, who would like to see a token.
Port 4899 takes the orders (``PUT``: a list of faults) and tells what was asked since the last ones (``GET``).

A fault is ``{"path": <pattern>, "do": …, "with": …, "times": …}``, without ``times`` for as long as it is ordered:

- ``wait``: answer after so many seconds
- ``status``: answer with this status
- ``reset``: break the connection in the middle of the answer
- ``stall``: fall silent in the middle of the answer, until the other side ends the connection
- ``tamper``: replace these two words (of one length) in the archive
"""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import re
import select
import socket
import ssl
import struct
import threading
import time
import typing as t
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REGISTRY = ("127.0.0.1", 4873)
CERTIFICATE, KEY = "/etc/ssl/front.pem", "/etc/ssl/front.key"
PASSWORD = "Basic " + base64.b64encode(b"deploy:open sesame").decode()
HIDDEN = {"npm.hidden.test:443": ("127.0.0.1", 4443)}

LOCK = threading.Lock()
FAULTS: list[dict[str, t.Any]] = []
SEEN: list[dict[str, t.Any]] = []


class Handler(BaseHTTPRequestHandler):
    """What all ports share."""

    protocol_version = "HTTP/1.1"
    at = ""

    def log_message(self, format: str, *args: t.Any) -> None:
        """Nothing: what was asked is told on port 4899."""

    def note(self) -> None:
        """Remember the request, and whether it came with a token, but not which."""
        headers = self.headers
        token = headers.get("Authorization") is not None
        with LOCK:
            SEEN.append({"at": self.at, "path": self.path, "host": headers.get("Host"), "token": token})

    def answer(self, status: int, body: bytes, content_type: str = "application/json", only: int | None = None) -> None:
        """Answer with ``body``, or its first ``only`` bytes."""
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:only])
        self.wfile.flush()


class Front(Handler):
    """The registry."""

    at = "registry"

    def do_GET(self) -> None:
        self.note()
        fault = order_for(self.path)
        if fault.get("do") == "wait":
            time.sleep(fault["with"])
        if fault.get("do") == "status":
            self.answer(fault["with"], b"{}")
            return
        status, body, content_type = self.ask()
        if fault.get("do") == "tamper":
            before, after = fault["with"]
            body = gzip.compress(gzip.decompress(body).replace(before.encode(), after.encode()))
        if fault.get("do") not in ("reset", "stall"):
            self.answer(status, body, content_type)
            return
        self.answer(status, body, content_type, only=len(body) // 2)
        self.close_connection = True
        if fault["do"] == "stall":
            self.connection.recv(1)
        else:
            # Closed with an RST instead of a FIN.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def ask(self) -> tuple[int, bytes, str]:
        """What Verdaccio answers."""
        passed = ("Host", "Accept", "Authorization")
        headers = {name: self.headers[name] for name in passed if name in self.headers}
        connection = http.client.HTTPConnection(*REGISTRY, timeout=30)
        connection.request("GET", self.path, headers={**headers, "X-Forwarded-Proto": "https"})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, body, answer.getheader("Content-Type", "application/json")


def order_for(path: str) -> dict[str, t.Any]:
    """The fault that is due for ``path``; empty: none."""
    with LOCK:
        for fault in FAULTS:
            if fault.get("times", 1) and re.search(fault["path"], path):
                if "times" in fault:
                    fault["times"] -= 1
                return fault
    return {}


class Proxy(Handler):
    """A proxy: nothing but tunnels."""

    at = "proxy"

    def do_CONNECT(self) -> None:
        self.note()
        if self.headers.get("Proxy-Authorization") != PASSWORD:
            self.answer(407, b"{}")
        elif self.path not in HIDDEN:
            self.answer(502, b"{}")
        else:
            with socket.create_connection(HIDDEN[self.path]) as there:
                self.send_response(200)
                self.end_headers()
                pass_on(self.connection, there)
            self.close_connection = True


def pass_on(one: socket.socket, other: socket.socket) -> None:
    """Pass everything on between two connections until one of them ends."""
    while True:
        for ready in select.select([one, other], [], [])[0]:
            content = ready.recv(65536)
            if not content:
                return
            (other if ready is one else one).sendall(content)


class Stranger(Handler):
    """A registry that nobody should ask."""

    at = "stranger"

    def do_GET(self) -> None:
        self.note()
        self.answer(404, b"{}")


class Orders(Handler):
    """What the tests talk to."""

    def do_PUT(self) -> None:
        faults = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with LOCK:
            FAULTS[:] = faults
            SEEN.clear()
        self.answer(200, b"{}")

    def do_GET(self) -> None:
        with LOCK:
            told = json.dumps(SEEN).encode()
        self.answer(200, told)


class Server(ThreadingHTTPServer):
    """One port; ``tls`` is what it speaks."""

    daemon_threads = True

    def __init__(self, port: int, handler: type[Handler], tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("", port), handler)
        self.tls = tls

    def finish_request(self, request: t.Any, client_address: t.Any) -> None:
        # In the connection's own thread: a handshake may take its time.
        if self.tls:
            request = self.tls.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)

    def shutdown_request(self, request: t.Any) -> None:
        self.close_request(request)

    def handle_error(self, request: t.Any, client_address: t.Any) -> None:
        """Nothing: clients that go away are part of it."""


def main() -> None:
    """Serve until the end."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(CERTIFICATE, KEY)
    servers = [Server(4443, Front, tls), Server(3128, Proxy), Server(4890, Stranger), Server(4899, Orders)]
    threads = [threading.Thread(target=server.serve_forever) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
