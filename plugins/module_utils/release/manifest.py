# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest of a release (``release.json``): what it is made of, without secrets."""

from __future__ import annotations

import json
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.files import write_atomic
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import AppLayout
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.identity import SCHEMA, release_id

Environment = dict[str, str]


class Artifact(t.TypedDict):
    """The app's own files as packed bytes. ``size`` in bytes of the tar, ``files`` a count."""

    sha256: str
    size: int
    files: int


class Lockfile(t.TypedDict):
    """The lockfile in the artifact. ``path`` is relative to the app's folder."""

    path: str
    sha256: str
    manager: str


class Runtime(t.TypedDict):
    """Where the programs of the runtime are: ``<root>/bin``."""

    name: str
    version: str
    root: str


class Process(t.TypedDict):
    """A kind of program the app runs. ``stop_timeout`` in seconds, ``port`` that of the first instance."""

    command: str
    instances: int
    port: int | None
    stop_signal: str
    stop_timeout: int
    memory_max: str | None
    file_limit: int
    umask: str


class Instance(t.TypedDict):
    """One running copy of a process; ``id`` is its port, or its number when it has none."""

    process: str
    id: str
    port: int | None
    unit: str


class Health(t.TypedDict):
    """The check of an instance. ``interval``, ``timeout`` and ``request_timeout`` in seconds."""

    process: str
    path: str
    status: int
    consecutive: int
    interval: float
    timeout: float
    request_timeout: float
    release_header: str


class Manifest(t.TypedDict):
    """``release.json``. ``env`` is the plain environment, ``env_digest`` covers it and the secrets."""

    schema: int
    id: str
    app: str
    version: str
    artifact: Artifact
    lockfile: Lockfile | None
    runtime: Runtime
    dependencies: dict[str, t.Any]
    processes: dict[str, Process]
    instances: list[Instance]
    health: Health | None
    env: Environment
    env_digest: str
    supervisor: str
    user: str
    group: str
    release_command: str | None
    keep_releases: int


def parse_manifest(raw: t.Any, where: str) -> Manifest:
    """Check that ``raw`` is a whole manifest of this schema and that its id is the one it describes.

    ``where`` names the source in the :class:`ApphostError`.
    """
    if not isinstance(raw, dict):
        raise ApphostError("is not a release manifest", where)
    if raw.get("schema") != SCHEMA:
        raise ApphostError(f"has schema {raw.get('schema')!r}, this collection reads {SCHEMA}", where)
    missing = sorted(Manifest.__annotations__.keys() - raw.keys())
    if missing:
        raise ApphostError(f"lacks {', '.join(missing)}", where)
    manifest = t.cast(Manifest, raw)
    expected = release_id(manifest)
    if manifest["id"] != expected:
        raise ApphostError(f"names release {manifest['id']}, but describes {expected}", where)
    return manifest


def read_manifest(layout: AppLayout, release: str) -> Manifest:
    """The manifest of a release on this host. Raises :class:`ApphostError` when it is not staged, or damaged."""
    path = f"{layout.release(release)}/release.json"
    try:
        with open(path, "rb") as file:
            content = file.read()
    except FileNotFoundError:
        raise ApphostError(
            f"release {release} is not on this host", path, "Stage it first (deploy.yml does)."
        ) from None
    return load_manifest(content, path)


def load_manifest(content: str | bytes, path: str) -> Manifest:
    """The manifest in the content of the file ``path``. Raises :class:`ApphostError` when it is damaged."""
    try:
        raw = json.loads(content)
    except ValueError as error:
        raise ApphostError(f"is not readable as JSON ({error})", path, "Prune the release and deploy again.") from None
    return parse_manifest(raw, path)


def write_manifest(folder: str, manifest: Manifest, gid: int) -> None:
    """Write ``release.json`` into a release's folder, readable by the app's group."""
    content = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"
    write_atomic(f"{folder}/release.json", content, 0o640, gid)
