# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs while an image is built: trust the certificates of a PEM file which Debian's bundle does not have."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)

wanted = CERTIFICATE.findall(Path(sys.argv[1]).read_text())
known = set(CERTIFICATE.findall(Path("/etc/ssl/certs/ca-certificates.crt").read_text()))
folder = Path("/usr/local/share/ca-certificates")
for number, certificate in enumerate(dict.fromkeys(c for c in wanted if c not in known)):
    (folder / f"lab-{number}.crt").write_text(certificate + "\n")
subprocess.run(["update-ca-certificates"], check=True)
