# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From resolved apps to releases, on the controller: artifacts, ids and manifests."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
import typing as t
from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError, from_os_error
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.policy import Policy
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.reader import checked_project, read_manifest
from ansible_collections.evenkeel.apphost.plugins.module_utils.release import artifact, identity
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.environment import environment_file
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.manifest import Artifact, Lockfile, Manifest
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.source import Source, open_source

# What an app is called whose version nobody knows.
UNVERSIONED = "unversioned"

# A bundle that no run has used for so long is removed, in seconds: a week.
_FORGET_AFTER = 7 * 86400

Secrets = t.Mapping[str, t.Mapping[str, str]]


@dataclass(frozen=True)
class Bundle:
    """The release of one app, and where its tar is (or would be, in check mode)."""

    manifest: Manifest
    path: str


def bundle_apps(apps: t.Iterable[t.Mapping[str, t.Any]], secrets: Secrets, dest: str, write: bool) -> dict[str, Bundle]:
    """Bundle every app; ``secrets`` is app -> name -> value. Without ``write`` the ids are the same and no tar is left.

    Raises one :class:`ApphostError` for all apps that cannot be bundled, one line or more each.
    """
    bundles: dict[str, Bundle] = {}
    problems: list[str] = []
    for app in apps:
        bundle, said = _bundle_or_problems(app, secrets.get(app["name"], {}), dest, write)
        problems += [f"app {app['name']}: {line}" for line in said]
        if bundle:
            bundles[app["name"]] = bundle
    if problems:
        raise ApphostError("\n".join(problems))
    if write:
        _forget_unused(dest)
    return bundles


def _bundle_or_problems(
    app: t.Mapping[str, t.Any], secrets: t.Mapping[str, str], dest: str, write: bool
) -> tuple[Bundle | None, list[str]]:
    try:
        return bundle_app(app, secrets, dest, write), []
    except ApphostError as error:
        return None, error.message.splitlines()
    except OSError as error:
        return None, [from_os_error(error, "bundling").message]


def bundle_app(app: t.Mapping[str, t.Any], secrets: t.Mapping[str, str], dest: str, write: bool) -> Bundle:
    """Bundle one resolved app. Raises :class:`ApphostError`, and ``OSError`` for what cannot be read or written."""
    environment = {**app["env"], **secrets}
    environment_file(environment, "env")
    with open_source(app["source"], os.path.join(dest, "git")) as source:
        members = artifact.scan(source.folder)
        if not members:
            raise ApphostError(f"source {source.name} is empty")
        try:
            lockfile = _lockfile(source, app["dependencies"], {member.path for member in members})
            version = identity.sanitise_version(app["version"] or _version(source))
        except ApphostError as error:
            # A commit is looked at in a folder for the moment; people know it by its name.
            what, where = (text and text.replace(source.folder, source.name) for text in (error.what, error.where))
            raise ApphostError(what or "", where, error.do) from None
        packed, path = _pack(source.folder, members, dest if write else None)
    manifest = _manifest(app, version, packed, lockfile, identity.env_digest(app["name"], environment))
    return Bundle(manifest, path or os.path.join(dest, f"{packed['sha256']}.tar"))


def _manifest(
    app: t.Mapping[str, t.Any], version: str, packed: Artifact, lockfile: Lockfile | None, env_digest: str
) -> Manifest:
    kept = (
        "runtime",
        "dependencies",
        "processes",
        "instances",
        "health",
        "env",
        "supervisor",
        "user",
        "group",
        "release_command",
        "keep_releases",
    )
    manifest = {
        "schema": identity.SCHEMA,
        "app": app["name"],
        "version": version,
        "artifact": packed,
        "lockfile": lockfile,
        "env_digest": env_digest,
        **{key: app[key] for key in kept},
    }
    return t.cast(Manifest, {**manifest, "id": identity.release_id(manifest)})


def _version(source: Source) -> str:
    project = read_manifest(source.folder)
    return (project and project.version) or source.described or UNVERSIONED


def _lockfile(source: Source, dependencies: t.Mapping[str, t.Any], packed: set[str]) -> Lockfile | None:
    """The lockfile that the host will install from, checked now: a mistake in it must not wait for the hosts."""
    # Which registries the hosts ask is not known here: they look at the addresses.
    policy = Policy.of({**dependencies, "allowed_hosts": ["*"], "allow_http": ["*"]})
    project = checked_project(source.folder, dependencies["manager"], policy)
    if project is None:
        return None
    lockfile = project.lockfile
    for name in project.files:
        if name not in packed:
            raise ApphostError("is left out by .apphostignore, but the host needs it", os.path.join(source.name, name))
    return {"path": lockfile.name, "sha256": lockfile.sha256, "manager": lockfile.manager}


def _pack(folder: str, members: list[artifact.Member], dest: str | None) -> tuple[Artifact, str | None]:
    """Pack into ``<dest>/<sha256>.tar``; without ``dest`` only count and digest the bytes."""
    digest, size = hashlib.sha256(), 0

    def emit(piece: bytes) -> None:
        nonlocal size
        digest.update(piece)
        size += len(piece)
        if file:
            file.write(piece)

    with _new_file(dest) as file:
        artifact.pack(folder, members, emit)
        path = None
        if file and dest:
            file.flush()
            path = os.path.join(dest, f"{digest.hexdigest()}.tar")
            os.rename(file.name, path)
    return {"sha256": digest.hexdigest(), "size": size, "files": len(members)}, path


@contextlib.contextmanager
def _new_file(dest: str | None) -> t.Iterator[t.IO[bytes] | None]:
    """A file below ``dest`` that is gone after the block unless it was renamed; None without ``dest``."""
    if dest is None:
        yield None
        return
    os.makedirs(dest, mode=0o700, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=dest, prefix=".bundling-", delete=False) as file:
        try:
            yield file
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(file.name)


def _forget_unused(dest: str) -> None:
    """Remove what no run needed for a week, and what a killed run left half made."""
    with os.scandir(dest) as entries:
        old = [
            entry.path
            for entry in entries
            if entry.name.endswith(".tar") or entry.name.startswith(".bundling-")
            if entry.is_file(follow_symlinks=False) and entry.stat().st_mtime < time.time() - _FORGET_AFTER
        ]
    for path in old:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
