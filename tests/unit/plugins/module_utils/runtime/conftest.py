# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the runtimes share: a server on 127.0.0.1 that can be told to misbehave, and made-up archives."""

from __future__ import annotations

import http.server
import io
import tarfile
import threading
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.download import Downloader


class FakeServer:
    """Serves ``pages``: path -> bytes, or a function that answers by itself. ``requests`` are the paths asked for."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes | t.Callable[[http.server.BaseHTTPRequestHandler], None]] = {}
        self.requests: list[str] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.requests.append(self.path)
                page = outer.pages.get(self.path)
                if callable(page):
                    page(self)
                elif page is None:
                    self.send_error(404)
                else:
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(page)))
                    self.end_headers()
                    self.wfile.write(page)

            def log_message(self, *_arguments: t.Any) -> None:
                """Say nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(name="server")
def fixture_server(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[FakeServer]:
    # Whatever proxy the developer's machine uses, 127.0.0.1 is not behind it.
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = FakeServer()
    yield server
    server.close()


@pytest.fixture(name="sleeps")
def fixture_sleeps() -> list[float]:
    """The pauses the downloader made, instead of making them."""
    return []


@pytest.fixture(name="download")
def fixture_download(sleeps: list[float]) -> Downloader:
    return Downloader(timeout=5, retries=2, sleep=sleeps.append)


class Entry(t.NamedTuple):
    """One member of a made-up archive."""

    name: str
    content: bytes = b""
    mode: int = 0o644
    kind: bytes = tarfile.REGTYPE
    link: str = ""


def make_tar(*entries: Entry, compression: str = "gz") -> bytes:
    """The bytes of an archive with exactly these members, however odd."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{compression}") as tar:
        for entry in entries:
            member = tarfile.TarInfo(entry.name)
            member.size, member.mode, member.type = len(entry.content), entry.mode, entry.kind
            member.linkname, member.uid, member.gid, member.uname = entry.link, 1234, 1234, "somebody"
            tar.addfile(member, io.BytesIO(entry.content))
    return buffer.getvalue()


@pytest.fixture(name="make_tar")
def fixture_make_tar() -> t.Callable[..., bytes]:
    return make_tar


@pytest.fixture(name="entry")
def fixture_entry() -> type[Entry]:
    return Entry
