# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes two releases the same: the release id.

The id is ``<version>-<10 hex>``. The hex digits are the first 40 bits of the SHA-256 over the canonical
JSON of the manifest's keys in :data:`BEHAVIOUR`: what decides how the release behaves, and how it is proven
to work. A staged release is never altered, so a mended health check makes a new one.

**Frozen.** Hosts remember releases by their ids. A change of what is hashed, or how, makes every app on
every host a "new" release and restarts it: raise :data:`SCHEMA` for that, knowingly. A test holds a literal id.
"""

from __future__ import annotations

import hashlib
import json
import re
import typing as t

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError

# Version of the manifest and of the id; part of what is hashed.
SCHEMA = 1

# The keys of the manifest that decide how a release behaves.
BEHAVIOUR = (
    "schema",
    "app",
    "artifact",
    "lockfile",
    "runtime",
    "dependencies",
    "processes",
    "instances",
    "health",
    "env_digest",
    "supervisor",
    "user",
    "group",
    "release_command",
)

# 40 bits: among 10,000 releases of one app and version a clash has a chance of 1 in 20,000.
ID_DIGITS = 10

# The id is a folder's name (255 bytes) and goes into paths, units and headers.
VERSION_LENGTH = 100
_VERSION = re.compile(r"[A-Za-z0-9_+~][A-Za-z0-9._+~-]*")
_RELEASE_ID = re.compile(rf"{_VERSION.pattern}-[0-9a-f]{{{ID_DIGITS}}}")

# The digest of the environment is shown to people and covers secrets, so guessing a weak secret from it
# must be slow: 100,000 rounds are about 30 ms on a server, once per app and deploy.
_ENV_ROUNDS = 100_000


def canonical_json(value: t.Any) -> bytes:
    """JSON with one spelling for one value: sorted keys, no blanks, UTF-8, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def env_digest(app: str, environment: t.Mapping[str, str]) -> str:
    """Digest (64 hex) of what the app finds in its environment, secrets included."""
    return hashlib.pbkdf2_hmac("sha256", canonical_json(dict(environment)), app.encode(), _ENV_ROUNDS).hex()


def release_id(manifest: t.Mapping[str, t.Any]) -> str:
    """The id of the release that ``manifest`` describes (its ``id`` key, if any, is not looked at)."""
    behaviour = {key: _deciding(manifest[key]) if key == "dependencies" else manifest[key] for key in BEHAVIOUR}
    digest = hashlib.sha256(canonical_json(behaviour)).hexdigest()
    return f"{manifest['version']}-{digest[:ID_DIGITS]}"


def _deciding(dependencies: t.Any) -> t.Any:
    """All that an app says about its dependencies, but for where they are built: they are the same everywhere."""
    if not isinstance(dependencies, dict):
        return dependencies
    return {key: value for key, value in dependencies.items() if key != "build_on"}


def sanitise_version(version: str) -> str:
    """A version that can begin a folder's name: other characters become ``-``. Never empty, hidden or an option."""
    clean = re.sub(r"[^A-Za-z0-9._+~-]+", "-", version.strip()).lstrip(".-").rstrip("-")[:VERSION_LENGTH]
    if not clean:
        raise ApphostError(f"version {version!r} holds none of the characters A-Z a-z 0-9 . _ + ~ -")
    return clean


def is_release_id(name: str) -> bool:
    """Whether ``name`` has the form of a release id."""
    return bool(_RELEASE_ID.fullmatch(name))


def check_release_id(release: str) -> str:
    """Return ``release`` if it has the form of an id; it is about to become part of a path."""
    if not is_release_id(release):
        raise ApphostError(
            f"{release!r} is not a release id",
            do=f"An id is <version>-<{ID_DIGITS} hex digits>, as release_info lists them.",
        )
    return release
