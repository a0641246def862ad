# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checksums: the forms people write, and the ones nobody should trust."""

from __future__ import annotations

import base64
import hashlib

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.runtime.checksum import Checksum, read_shasums

DATA = b"data"
SHA256 = hashlib.sha256(DATA).hexdigest()
SHA512 = hashlib.sha512(DATA).digest()
INTEGRITY = "sha512-" + base64.b64encode(SHA512).decode()


@pytest.mark.parametrize("text", [SHA256, SHA256.upper(), f"sha256:{SHA256}"])
def test_hex_forms_mean_the_same(text: str) -> None:
    assert str(Checksum.parse(text)) == f"sha256:{SHA256}"


def test_integrity_keeps_its_form() -> None:
    checksum = Checksum.parse(INTEGRITY)
    assert checksum.digest == SHA512
    assert str(checksum) == INTEGRITY


def test_the_strongest_of_several_counts() -> None:
    sha1 = "sha1-" + base64.b64encode(hashlib.sha1(DATA).digest()).decode()
    sha256 = "sha256-" + base64.b64encode(hashlib.sha256(DATA).digest()).decode()
    assert Checksum.parse(f"{sha1} {sha256} {INTEGRITY}").algorithm == "sha512"


def test_the_hasher_gives_the_digest() -> None:
    checksum = Checksum.parse(INTEGRITY)
    hasher = checksum.hasher()
    hasher.update(DATA)
    assert hasher.digest() == checksum.digest


@pytest.mark.parametrize(
    "text",
    [
        "",
        "banana",
        SHA256[:-1],
        f"sha256:{SHA256}00",
        f"sha512:{SHA256}",
        "md5:" + hashlib.md5(DATA).hexdigest(),
        "sha1-" + base64.b64encode(hashlib.sha1(DATA).digest()).decode(),
        INTEGRITY[:-4],
        "sha512-" + "A" * 87,
    ],
)
def test_anything_else_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(ApphostError, match=r"^runtimes\[0\]\.checksums\.x64: .* is no checksum that can be trusted"):
        Checksum.parse(text, "runtimes[0].checksums.x64")


def test_shasums_file() -> None:
    text = f"{SHA256}  node-v24.21.0-linux-x64.tar.xz\n{SHA256} win-x64/node.exe\n\n-----BEGIN PGP SIGNATURE-----\n"
    sums = read_shasums(text, "SHASUMS256.txt")
    assert list(sums) == ["node-v24.21.0-linux-x64.tar.xz", "win-x64/node.exe"]
    assert str(sums["win-x64/node.exe"]) == f"sha256:{SHA256}"
