# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An app for the tests, at port 8000 of the address given.

``/slow?seconds`` takes that long. While ``/run/lab-app.<address>.ill`` exists it answers 503 to everything.
"""

from __future__ import annotations

import http.server
import os
import sys
import time

ADDRESS = sys.argv[1]
ILL = f"/run/lab-app.{ADDRESS}.ill"


class App(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path, _, seconds = self.path.partition("?")
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if path == "/slow":
            time.sleep(float(seconds))
        body = f"{ADDRESS}\n".encode()
        self.send_response(503 if os.path.exists(ILL) else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128


if __name__ == "__main__":
    Server((ADDRESS, 8000), App).serve_forever()
