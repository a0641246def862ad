# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When versions of packages came out, asked from their registries; what was answered once is not asked again."""

from __future__ import annotations

import base64
import json
import os
import re
import typing as t
import urllib.parse
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone

from ansible_collections.evenkeel.apphost.plugins.module_utils.files import write_atomic
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import Network, Registry
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.jsonfile import read_regular_file
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Package
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.pep508 import normal_name
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.download import Downloader, NotFound

#: Requests at the same time: a registry should not mind them.
_AT_ONCE = 8
#: Answers that are remembered, some megabytes of them.
_REMEMBERED = 50_000

#: Registries without a configured one.
_DEFAULTS = {"node": "https://registry.npmjs.org/", "python": "https://pypi.org/simple/"}
_ACCEPTED = {
    # Not the short form, which has no times.
    "node": "application/json",
    "python": "application/vnd.pypi.simple.v1+json, text/html; q=0.5",
}


class Published:
    """Asks the registries of one ecosystem (``node``, ``python``); ``memory`` is a file of ours."""

    def __init__(self, network: Network, ecosystem: str, memory: str) -> None:
        self.network = network
        self.ecosystem = ecosystem
        self.memory = memory

    def times(self, wanted: t.Mapping[str, Package]) -> dict[str, datetime]:
        """When each of ``wanted`` (``name@version`` -> package) came out; what no registry knows is not there.

        Raises ApphostError when a registry does not answer.
        """
        known = self._remembered()
        unknown = {spec: package for spec, package in wanted.items() if self._key(spec, package) not in known}
        by_document: dict[tuple[str, str], list[tuple[str, Package]]] = {}
        for spec, package in unknown.items():
            by_document.setdefault(self._document(package), []).append((spec, package))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            texts = list(pool.map(self._fetch, by_document))
        for text, asked in zip(texts, by_document.values()):
            for spec, package in asked:
                moment = self._moment(text, package)
                if moment:
                    known[self._key(spec, package)] = moment
        if unknown:
            self._remember(known)
        found = {spec: _time(known.get(self._key(spec, package))) for spec, package in wanted.items()}
        return {spec: moment for spec, moment in found.items() if moment}

    def _registry(self, package: Package) -> Registry:
        scope = package.known_as.partition("/")[0] if self.ecosystem == "node" else None
        chosen = next((known for known in self.network.registries if known.scope and known.scope == scope), None)
        return chosen or self.network.default or Registry(_DEFAULTS[self.ecosystem])

    def _key(self, spec: str, package: Package) -> str:
        return f"{self._registry(package).url} {spec}"

    def _document(self, package: Package) -> tuple[str, str]:
        """The address of what the registry says about a package, and what entitles to it."""
        registry = self._registry(package)
        base = registry.url.rstrip("/")
        if self.ecosystem == "python":
            url = f"{base}/{normal_name(package.known_as)}/"
        else:
            url = f"{base}/{urllib.parse.quote(package.known_as, safe='@')}"
        if not registry.token:
            return url, ""
        user = registry.user or ("__token__" if self.ecosystem == "python" else None)
        basic = base64.b64encode(f"{user}:{registry.token}".encode()).decode()
        return url, f"Basic {basic}" if user else f"Bearer {registry.token}"

    def _fetch(self, document: tuple[str, str]) -> str:
        url, authorization = document
        network = self.network
        downloader = Downloader(
            ca_file=network.ca_file,
            accept=_ACCEPTED[self.ecosystem],
            authorization=authorization or None,
            proxy=network.proxy,
        )
        try:
            return downloader.text(url)
        except NotFound:
            return ""

    def _moment(self, text: str, package: Package) -> str | None:
        """When the version came out, as the registry writes it; of several archives the first."""
        if self.ecosystem == "node":
            times = _object(text).get("time")
            moment = times.get(package.version) if isinstance(times, dict) else None
            return moment if isinstance(moment, str) else None
        archive = re.compile(
            rf"{_spelled(package.known_as)}-{re.escape(package.version or '')}(-|\.(tar|zip|tgz))", re.I
        )
        files = _object(text).get("files")
        if isinstance(files, list):
            found = [(file.get("filename"), file.get("upload-time")) for file in files if isinstance(file, dict)]
        else:
            found = [
                (name, time) for time, name in re.findall(r'data-upload-time="([^"]+)"[^>]*>\s*([^<\s]+)\s*<', text)
            ]
        return min((str(time) for name, time in found if time and archive.match(str(name))), default=None)

    def _remembered(self) -> dict[str, str]:
        content = read_regular_file(self.memory)
        value = _object(content.decode("utf-8", "replace")) if content else {}
        return {key: moment for key, moment in value.items() if isinstance(moment, str)}

    def _remember(self, known: dict[str, str]) -> None:
        newest = dict(list(known.items())[-_REMEMBERED:])
        write_atomic(self.memory, json.dumps(newest).encode(), 0o600)


def _spelled(name: str) -> str:
    """A pattern for the name of a Python package as archives spell it."""
    return re.sub(r"[-_.]+", "[-_.]+", name)


def _object(text: str) -> dict[str, t.Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _time(text: str | None) -> datetime | None:
    """A time as registries write it (``2026-11-01T11:20:07.123Z``), with its zone."""
    try:
        # Python 3.9 knows neither the Z nor any number of digits.
        moment = datetime.fromisoformat(re.sub(r"(\.\d+)?Z?$", "", text or ""))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def memory_path(store: str) -> str:
    """Where the answers are remembered."""
    return os.path.join(store, "published.json")
