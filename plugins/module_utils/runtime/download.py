# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Downloads: retried with back-off, hashed while they stream, and errors that say what to do."""

from __future__ import annotations

import functools
import http.client
import json
import os
import ssl
import time
import typing as t
import urllib.error
import urllib.parse
import urllib.request

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, from_os_error
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.checksum import Checksum

T = t.TypeVar("T")

CHUNK = 256 * 1024
# The largest document read into memory; the full one of the npm package "npm" has 5 MB.
MAX_DOCUMENT = 64 * 1024 * 1024
# As npm itself asks: a registry then sends the short form of a package's document; others do not mind.
_ACCEPT = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*"
# Answers that may be different in a moment: timeout, too many requests, and any failure of the server.
_PASSING = frozenset({408, 429, 500, 502, 503, 504})


class NotFound(ApphostError):
    """The server says that there is no such thing."""


class _Broken(Exception):
    """The answer did not come whole."""


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Never from HTTPS to plain HTTP: a checksum is worth what its transport is worth."""

    def redirect_request(self, req: t.Any, fp: t.Any, code: int, msg: str, headers: t.Any, newurl: str) -> t.Any:
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise ApphostError(f"redirects to an address without TLS ({newurl})", req.full_url)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Authorization(urllib.request.BaseHandler):
    """Says who we are, to the server that was asked."""

    def __init__(self, header: str) -> None:
        self.header = header

    def http_request(self, request: urllib.request.Request) -> urllib.request.Request:
        # A redirection makes requests that the user did not ask for.
        if not request.unverifiable:
            request.add_unredirected_header("Authorization", self.header)
        return request

    https_request = http_request


class Downloader:
    """One host's way out.

    ``ca_file`` adds to the system's authorities. ``timeout`` (s) limits each wait for the server. ``retries`` are tries
    after the first. The usual proxy variables of the environment count, unless ``proxy`` names one. ``authorization``
    is a header for the server that is asked, and for no other one that it sends us to.
    """

    def __init__(
        self,
        ca_file: str | None = None,
        timeout: float = 30.0,
        retries: int = 3,
        sleep: t.Callable[[float], None] = time.sleep,
        accept: str = _ACCEPT,
        authorization: str | None = None,
        proxy: str | None = None,
    ) -> None:
        self.timeout = timeout
        self.retries = retries
        self.sleep = sleep
        self.ca_file = ca_file
        self.accept = accept
        self.authorization = authorization
        self.proxy = proxy

    @functools.cached_property
    def _opener(self) -> urllib.request.OpenerDirector:
        """Made when first needed: a run that has nothing to fetch reads no certificates."""
        context = ssl.create_default_context()
        if self.ca_file:
            try:
                context.load_verify_locations(self.ca_file)
            except OSError as error:
                why = error.strerror or str(error)
                raise ApphostError(f"cannot be read as CA certificates ({why})", self.ca_file) from error
        handlers: list[urllib.request.BaseHandler] = [urllib.request.HTTPSHandler(context=context), _SafeRedirects()]
        if self.authorization:
            handlers.append(_Authorization(self.authorization))
        if self.proxy:
            handlers.append(urllib.request.ProxyHandler({"http": self.proxy, "https": self.proxy}))
        opener = urllib.request.build_opener(*handlers)
        opener.addheaders = [("User-Agent", "evenkeel.apphost"), ("Accept", self.accept)]
        return opener

    def text(self, url: str) -> str:
        """The document at ``url``."""

        def read(response: t.Any) -> str:
            return b"".join(_chunks(response, MAX_DOCUMENT)).decode("utf-8", "replace")

        return self._try(url, read)

    def json(self, url: str) -> t.Any:
        """The JSON document at ``url``."""
        try:
            return json.loads(self.text(url))
        except ValueError as error:
            raise ApphostError("the answer is not JSON", url, "Check that the address is the right one.") from error

    def file(self, url: str, path: str, checksum: Checksum) -> int:
        """Save ``url`` to ``path`` and verify it on the way; return its size in bytes. A wrong file does not stay."""

        def save(response: t.Any) -> tuple[int, bytes]:
            hasher, size = checksum.hasher(), 0
            try:
                with open(path, "wb") as file:
                    for chunk in _chunks(response):
                        hasher.update(chunk)
                        size += file.write(chunk)
            except OSError as error:
                raise from_os_error(error, f"saving {url} as {path}") from error
            return size, hasher.digest()

        size, digest = self._try(url, save)
        if digest != checksum.digest:
            os.unlink(path)
            raise ApphostError(
                f"the checksum is wrong: expected {checksum}, got {Checksum(checksum.algorithm, digest)}",
                url,
                "Nothing was unpacked. Correct the pinned checksum, or find out who changed the file.",
            )
        return size

    def _try(self, url: str, use: t.Callable[[t.Any], T]) -> T:
        """``use`` the answer; again after 1, 2, 4 … 10 s when the trouble may pass."""
        if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
            raise ApphostError("is not an http:// or https:// address", url)
        problem = ""
        for attempt in range(self.retries + 1):
            if attempt:
                self.sleep(min(2.0 ** (attempt - 1), 10.0))
            try:
                response = self._opener.open(url, timeout=self.timeout)
            except urllib.error.HTTPError as error:
                problem = f"the server answered {error.code} {error.reason}"
                error.close()
                if error.code in (404, 410):
                    raise NotFound(problem, url) from error
                if error.code not in _PASSING:
                    raise ApphostError(problem, url) from error
                continue
            except (OSError, http.client.HTTPException) as error:
                reason = getattr(error, "reason", error)
                if isinstance(reason, ssl.SSLCertVerificationError):
                    raise ApphostError(
                        f"its certificate is not trusted ({reason.verify_message})",
                        url,
                        "Behind a company's proxy or a private authority, name its certificate (apphost_ca_file).",
                    ) from error
                problem = f"cannot be reached ({_in_words(reason)})"
                continue
            try:
                with response:
                    return use(response)
            except _Broken as error:
                problem = str(error)
        tries = "1 try" if self.retries == 0 else f"{self.retries + 1} tries"
        raise ApphostError(f"{problem}; {tries}", url, "Check the address, and this host's network and proxy settings.")


def _in_words(reason: object) -> str:
    if isinstance(reason, TimeoutError):
        return "timed out"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return str(reason) or type(reason).__name__


def _chunks(response: t.Any, limit: int | None = None) -> t.Iterator[bytes]:
    """The answer's bytes; :class:`_Broken` when fewer come than announced (``read`` itself does not always tell)."""
    announced = response.headers.get("Content-Length")
    size = 0
    while True:
        try:
            chunk = response.read(CHUNK)
        except (OSError, http.client.HTTPException) as error:
            raise _Broken(f"the answer broke off after {size} bytes ({_in_words(error)})") from error
        if not chunk:
            break
        size += len(chunk)
        if limit is not None and size > limit:
            raise ApphostError(f"the answer is larger than {limit} bytes", response.url)
        yield chunk
    if announced is not None and size != int(announced):
        raise _Broken(f"the answer ended after {size} of {announced} bytes")
