# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client's end of a WebSocket (RFC 6455), as much of it as the tests need: short messages of text."""

from __future__ import annotations

import base64
import os
import socket
from types import TracebackType

TIMEOUT = 10.0
"""Seconds to wait for anything from the other side."""

LAST_TEXT_FRAME = 0x81
SHORT = 126
"""A length from here on stands in bytes of its own."""


class WebSocket:
    """A connection that was upgraded; the ``with`` block closes it."""

    def __init__(self, address: tuple[str, int], path: str, host: str = "localhost") -> None:
        self._connection = socket.create_connection(address, timeout=TIMEOUT)
        self._stream = self._connection.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        self._connection.sendall(
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        answer = self._stream.readline()
        while self._stream.readline().strip():
            pass
        if not answer.startswith(b"HTTP/1.1 101 "):
            self.close()
            raise ConnectionError(f"no WebSocket at {path}: {answer.decode(errors='replace').strip()}")

    def __enter__(self) -> WebSocket:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()

    def send(self, text: str) -> None:
        """Send a message of less than 126 bytes; a client masks what it sends."""
        payload, mask = text.encode(), os.urandom(4)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        self._connection.sendall(bytes([LAST_TEXT_FRAME, 0x80 | len(payload)]) + mask + masked)

    def receive(self) -> str:
        """Wait for a message of less than 64 KiB."""
        length = self._stream.read(2)[1]
        if length == SHORT:
            length = int.from_bytes(self._stream.read(2), "big")
        return self._stream.read(length).decode()

    def close(self) -> None:
        """Hang up, as a client that goes away does."""
        self._stream.close()
        self._connection.close()
