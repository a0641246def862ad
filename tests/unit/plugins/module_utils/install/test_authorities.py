# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The certificates that an option names."""

from __future__ import annotations

import pathlib
import ssl

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.authorities import read_authorities

AUTHORITY = pathlib.Path(__file__).parent / "fixtures" / "authority.pem"


def test_certificates_with_words_around_them_behind_a_link(tmp_path: pathlib.Path) -> None:
    content = "# Müller & Söhne\n".encode() + AUTHORITY.read_bytes() + b"\n# another\n" + AUTHORITY.read_bytes()
    (tmp_path / "real.pem").write_bytes(content)
    (tmp_path / "link.pem").symlink_to("real.pem")

    assert read_authorities(str(tmp_path / "link.pem")) == content


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no certificate",
        ssl.PEM_cert_to_DER_cert(AUTHORITY.read_text()),
        AUTHORITY.read_bytes()[:300],
        AUTHORITY.read_bytes() + AUTHORITY.read_bytes()[:300],
    ],
)
def test_what_holds_none(tmp_path: pathlib.Path, content: bytes) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(content)

    with pytest.raises(ApphostError) as caught:
        read_authorities(str(path))
    words = f"{path}: holds no certificates that can be read. Put the authority's certificate there in PEM form, or "
    assert caught.value.message.startswith(words)


def test_a_file_that_is_not_there(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ApphostError, match=r"cannot be read \(No such file or directory\)\. Put it there, or change"):
        read_authorities(str(tmp_path / "nowhere.pem"))
