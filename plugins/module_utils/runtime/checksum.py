# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checksums as people and registries write them."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import typing as t
from dataclasses import dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError

# Strongest first. MD5 and SHA-1 prove nothing any more and are refused.
ALGORITHMS = ("sha512", "sha384", "sha256")

_HEX = re.compile(r"(?:(sha\d+):)?([0-9a-fA-F]{64,128})")
_INTEGRITY = re.compile(r"(sha\d+)-([A-Za-z0-9+/]+={0,2})")


@dataclass(frozen=True)
class Checksum:
    """The digest a file must have."""

    algorithm: str
    digest: bytes

    @classmethod
    def parse(cls, text: str, where: str | None = None) -> Checksum:
        """Read ``sha256:<hex>``, bare hex, or an npm ``integrity``: ``sha512-<base64>``, of several the strongest."""
        found = [checksum for checksum in map(cls._parse_one, text.split()) if checksum]
        if not found:
            raise ApphostError(
                f"{text!r} is no checksum that can be trusted",
                where,
                "Write sha256:<hex> as in SHASUMS256.txt, or sha512-<base64> as in the integrity of an npm package.",
            )
        return min(found, key=lambda checksum: ALGORITHMS.index(checksum.algorithm))

    @classmethod
    def _parse_one(cls, word: str) -> Checksum | None:
        if match := _HEX.fullmatch(word):
            digest = bytes.fromhex(match[2]) if len(match[2]) % 2 == 0 else b""
            algorithm = match[1] or next((name for name in ALGORITHMS if _size(name) == len(digest)), "")
        elif match := _INTEGRITY.fullmatch(word):
            algorithm = match[1]
            try:
                digest = base64.b64decode(match[2], validate=True)
            except binascii.Error:
                return None
        else:
            return None
        return cls(algorithm, digest) if algorithm in ALGORITHMS and len(digest) == _size(algorithm) else None

    def hasher(self) -> t.Any:
        """A fresh hash object of this algorithm."""
        return hashlib.new(self.algorithm)

    def __str__(self) -> str:
        """As its world writes it: hex for SHA-256, npm's ``integrity`` for the others."""
        if self.algorithm == "sha256":
            return f"sha256:{self.digest.hex()}"
        return f"{self.algorithm}-{base64.b64encode(self.digest).decode()}"


def _size(algorithm: str) -> int:
    return hashlib.new(algorithm).digest_size


def read_shasums(text: str, where: str) -> dict[str, Checksum]:
    """File name -> checksum, from the text of a ``SHASUMS256.txt``; lines of another form are passed over."""
    lines = (line.split() for line in text.splitlines())
    return {words[1]: Checksum.parse(words[0], where) for words in lines if len(words) == 2 and len(words[0]) == 64}
