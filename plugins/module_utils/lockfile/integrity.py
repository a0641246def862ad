# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hashes of packages as in subresource integrity: ``sha512-<base64>``, several separated by spaces."""

from __future__ import annotations

import base64
import binascii

#: Hashes that count, with their length in bytes. SHA-1 collisions are practical, so it does not.
STRONG_HASHES = {"sha512": 64, "sha384": 48, "sha256": 32}


def strong_hashes(integrity: str | None) -> list[tuple[str, bytes]]:
    """The well-formed hashes in ``integrity`` that count: algorithm and digest."""
    found = []
    for value in (integrity or "").split():
        algorithm, _dash, text = value.partition("-")
        try:
            digest = base64.b64decode(text.split("?")[0], validate=True)
        except (binascii.Error, ValueError):
            continue
        if len(digest) == STRONG_HASHES.get(algorithm):
            found.append((algorithm, digest))
    return found


def strong_integrity(integrity: str | None) -> bool:
    """Whether there is a well-formed hash that counts."""
    return bool(strong_hashes(integrity))


def from_hex(algorithm: str, digest: str) -> str:
    """A hash that is written in hexadecimal digits, as subresource integrity. Raises ``ValueError``."""
    return f"{algorithm}-{base64.b64encode(bytes.fromhex(digest)).decode()}"
