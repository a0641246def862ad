# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloads from servers that behave well, badly, or not at all."""

from __future__ import annotations

import datetime
import errno
import hashlib
import ipaddress
import pathlib
import socket
import ssl
import threading
import time
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.checksum import Checksum
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.download import Downloader, NotFound
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

CONTENT = bytes(range(256)) * 4096
ONE_DAY = datetime.timedelta(days=1)
GOOD = Checksum("sha256", hashlib.sha256(CONTENT).digest())


def answer(status: int, announced: int | None = None, body: bytes = b"") -> t.Callable[[t.Any], None]:
    """A page with any status, that may announce more than it sends."""

    def page(handler: t.Any) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body) if announced is None else announced))
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = True

    return page


def in_turn(*pages: t.Any) -> t.Callable[[t.Any], None]:
    """A page that is another one each time."""
    left = iter(pages)

    def page(handler: t.Any) -> None:
        next(left)(handler)

    return page


@pytest.fixture(name="target")
def fixture_target(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "target"


def test_a_good_file(server: t.Any, download: Downloader, target: pathlib.Path) -> None:
    server.pages["/file"] = CONTENT
    assert download.file(f"{server.url}/file", str(target), GOOD) == len(CONTENT)
    assert target.read_bytes() == CONTENT


def test_a_wrong_checksum_does_not_stay_and_is_not_tried_again(
    server: t.Any, download: Downloader, target: pathlib.Path
) -> None:
    server.pages["/file"] = CONTENT[:-1] + b"!"
    with pytest.raises(
        ApphostError, match=rf"/file: the checksum is wrong: expected {GOOD}, got sha256:[0-9a-f]{{64}}\."
    ):
        download.file(f"{server.url}/file", str(target), GOOD)
    assert not target.exists()
    assert server.requests == ["/file"]


def test_a_truncated_answer_is_tried_again(
    server: t.Any, download: Downloader, target: pathlib.Path, sleeps: list[float]
) -> None:
    server.pages["/file"] = in_turn(answer(200, len(CONTENT), CONTENT[:1000]), answer(200, None, CONTENT))
    download.file(f"{server.url}/file", str(target), GOOD)
    assert target.read_bytes() == CONTENT
    assert sleeps == [1.0]


def test_always_truncated_says_how_far_it_came(server: t.Any, download: Downloader, target: pathlib.Path) -> None:
    server.pages["/file"] = answer(200, len(CONTENT), CONTENT[:1000])
    with pytest.raises(ApphostError, match=r"1000 (of 1048576 )?bytes.*; 3 tries\. Check the address"):
        download.file(f"{server.url}/file", str(target), GOOD)


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_a_failing_server_is_tried_again_with_growing_pauses(
    server: t.Any, download: Downloader, sleeps: list[float], status: int
) -> None:
    server.pages["/text"] = in_turn(answer(status), answer(status), answer(200, None, b"fine"))
    assert download.text(f"{server.url}/text") == "fine"
    assert sleeps == [1.0, 2.0]


def test_a_server_that_keeps_failing(server: t.Any, download: Downloader) -> None:
    server.pages["/text"] = answer(503)
    with pytest.raises(ApphostError, match=r"/text: the server answered 503 Service Unavailable; 3 tries\."):
        download.text(f"{server.url}/text")
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refusal_is_not_tried_again(server: t.Any, download: Downloader, status: int) -> None:
    server.pages["/text"] = answer(status)
    with pytest.raises(ApphostError, match=f"the server answered {status}"):
        download.text(f"{server.url}/text")
    assert server.requests == ["/text"]


def test_not_found_is_its_own_error(server: t.Any, download: Downloader) -> None:
    with pytest.raises(NotFound):
        download.text(f"{server.url}/nothing")
    assert server.requests == ["/nothing"]


def test_a_slow_server_times_out(server: t.Any, target: pathlib.Path) -> None:
    gone = threading.Event()

    def silent(_handler: t.Any) -> None:
        gone.wait(5)

    def stalling(handler: t.Any) -> None:
        answer(200, len(CONTENT), CONTENT[:10])(handler)
        handler.wfile.flush()
        gone.wait(5)

    server.pages.update({"/silent": silent, "/stalling": stalling})
    download = Downloader(timeout=0.2, retries=0)
    start = time.monotonic()
    with pytest.raises(ApphostError, match=r"/silent: cannot be reached \(timed out\); 1 try"):
        download.text(f"{server.url}/silent")
    with pytest.raises(ApphostError, match=r"/stalling: the answer broke off after \d+ bytes \(timed out\); 1 try"):
        download.file(f"{server.url}/stalling", str(target), GOOD)
    assert time.monotonic() - start < 3
    gone.set()


def test_nobody_listens(download: Downloader, sleeps: list[float]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/x"
        with pytest.raises(
            ApphostError, match=r"cannot be reached \(Connection refused\); 3 tries\. Check the address"
        ):
            download.text(url)
    assert sleeps == [1.0, 2.0]


def test_a_full_disk_is_not_taken_for_the_network(server: t.Any, download: Downloader) -> None:
    server.pages["/file"] = CONTENT
    with pytest.raises(ApphostError, match=r"no space left on the device\. Free some space") as caught:
        download.file(f"{server.url}/file", "/dev/full", GOOD)
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.ENOSPC
    assert server.requests == ["/file"]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "registry.example/x"])
def test_only_http(download: Downloader, url: str) -> None:
    with pytest.raises(ApphostError, match="is not an http:// or https:// address"):
        download.text(url)


def test_what_is_not_json_says_so(server: t.Any, download: Downloader) -> None:
    server.pages["/page"] = b"<html>Please log in</html>"
    with pytest.raises(ApphostError, match="/page: the answer is not JSON"):
        download.json(f"{server.url}/page")


@pytest.fixture(name="certificate", scope="module")
def fixture_certificate(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A certificate of 127.0.0.1 that only itself vouches for, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "lab")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + ONE_DAY)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + certificate.public_bytes(pem))
    return str(path)


@pytest.fixture(name="secure")
def fixture_secure(server: t.Any, certificate: str) -> t.Any:
    """The server with TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server._server.socket = context.wrap_socket(server._server.socket, server_side=True)
    server.url = server.url.replace("http:", "https:")
    server.pages["/text"] = b"fine"
    return server


def test_an_unknown_authority_names_the_remedy(secure: t.Any, download: Downloader, sleeps: list[float]) -> None:
    with pytest.raises(ApphostError, match=r"its certificate is not trusted \(.*\)\. .*apphost_ca_file"):
        download.text(f"{secure.url}/text")
    assert sleeps == []


def test_a_given_authority_is_trusted(secure: t.Any, certificate: str) -> None:
    assert Downloader(ca_file=certificate, timeout=5).text(f"{secure.url}/text") == "fine"


def test_never_from_https_to_http(secure: t.Any, certificate: str) -> None:
    def away(handler: t.Any) -> None:
        handler.send_response(302)
        handler.send_header("Location", secure.url.replace("https:", "http:") + "/text")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    secure.pages["/away"] = away
    with pytest.raises(ApphostError, match=r"/away: redirects to an address without TLS \(http:"):
        Downloader(ca_file=certificate, timeout=5).text(f"{secure.url}/away")


@pytest.mark.parametrize(("content", "why"), [(None, "No such file"), ("no certificate", "cannot be read as CA")])
def test_a_ca_file_that_is_none(tmp_path: pathlib.Path, content: str | None, why: str) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ApphostError, match=why):
        Downloader(ca_file=str(path)).text("https://127.0.0.1/x")
