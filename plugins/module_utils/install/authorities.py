# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of authorities that a registry's own one is checked with."""

from __future__ import annotations

import ssl

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.jsonfile import read_regular_file

#: Where Debian and Ubuntu keep the certificates that every program trusts.
USUAL = "/etc/ssl/certs/ca-certificates.crt"


def read_authorities(ca_file: str) -> bytes:
    """The certificates (PEM) in the file that the option names. Raises ApphostError when there are none.

    Package managers pass over a file that they cannot use, and then call the registry untrusted.
    """
    try:
        # A link is fine: the operator named it, and Debian has many of them there.
        with open(ca_file, "rb") as file:
            content = file.read()
    except OSError as error:
        # The option ca_file names a file that is not on the host.
        raise ApphostError(f"cannot be read ({error.strerror})", ca_file, "Put it there, or change ca_file.") from error
    try:
        # Words in between may be in any script.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=content.decode("ascii", "ignore"))
    except (ssl.SSLError, ValueError) as error:
        # The file is empty, cut off, in the form of Windows (DER), or something else than certificates.
        do = "Put the authority's certificate there in PEM form, or change ca_file."
        raise ApphostError("holds no certificates that can be read", ca_file, do) from error
    return content


def usual_authorities() -> bytes:
    """The certificates that this host trusts anyway; empty where they are elsewhere."""
    return read_regular_file(USUAL) or b""
