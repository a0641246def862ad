# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hashes count."""

from __future__ import annotations

import hashlib

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.integrity import (
    from_hex,
    strong_hashes,
    strong_integrity,
)

SHA512 = "sha512-" + "A" * 86 + "=="
SHA1 = "sha1-" + "A" * 27 + "="


@pytest.mark.parametrize(
    ("integrity", "strong"),
    [
        (SHA512, True),
        ("sha384-" + "A" * 64, True),
        ("sha256-" + "A" * 43 + "=", True),
        (f"{SHA1} {SHA512}", True),
        (f"{SHA512}?option", True),
        (SHA1, False),
        ("sha512-AAAA", False),
        ("sha512-" + "!" * 88, False),
        ("sha512", False),
        ("md5-" + "A" * 22 + "==", False),
        ("", False),
        (None, False),
    ],
)
def test_strength_of_a_hash(integrity: str | None, strong: bool) -> None:
    assert strong_integrity(integrity) is strong


def test_a_hash_in_hexadecimal_digits_is_the_same_hash() -> None:
    digest = hashlib.sha256(b"content")

    assert strong_hashes(from_hex("sha256", digest.hexdigest())) == [("sha256", digest.digest())]
