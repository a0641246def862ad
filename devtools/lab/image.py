# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The image of a lab host, built once for each content."""

from __future__ import annotations

import hashlib
import os
import shutil
import ssl
import tempfile
from pathlib import Path

from devtools import debian
from devtools.terminal import DevError, attempt, run_logged, step

SUITES = ("bookworm", "trixie")
SOURCES = Path(__file__).parent
RECIPE = ("Dockerfile", "add_authorities.py")


def ensure_image(suite: str) -> str:
    """The tag of a suite's image; builds it when there is none with this content."""
    if suite not in SUITES:
        raise DevError(f"no such suite: {suite}; there are {', '.join(SUITES)}")
    authorities = controller_authorities()
    tag = f"evenkeel-lab:{suite}-{_digest(suite, authorities)}"
    if not _exists(tag):
        base = _ensure_base(suite)
        with step(f"build the image of lab hosts, {suite}"):
            _build(base, tag, authorities)
    return tag


def controller_authorities() -> bytes:
    """The certificate authorities that this machine trusts, PEM; empty when it keeps them elsewhere."""
    candidates = (
        os.environ.get("SSL_CERT_FILE"),
        ssl.get_default_verify_paths().cafile,
        "/etc/ssl/certs/ca-certificates.crt",
    )
    for name in candidates:
        if name and Path(name).is_file():
            return Path(name).read_bytes()
    return b""


def _digest(suite: str, authorities: bytes) -> str:
    parts = [suite.encode(), authorities, *((SOURCES / name).read_bytes() for name in RECIPE)]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def _exists(tag: str) -> bool:
    return attempt(["docker", "image", "inspect", tag]).returncode == 0


def _build(base: str, tag: str, authorities: bytes) -> None:
    with tempfile.TemporaryDirectory() as context:
        for name in RECIPE:
            shutil.copy(SOURCES / name, context)
        (Path(context) / "authorities.pem").write_bytes(authorities)
        command = ["docker", "build", "--build-arg", f"BASE={base}", "--tag", tag, context]
        run_logged(command, f"image-{tag.partition(':')[2]}")


def _ensure_base(suite: str) -> str:
    """Debian without anything: the official image, or one made here where no registry can be reached."""
    official, made = f"debian:{suite}", f"evenkeel-debian:{suite}"
    for tag in (official, made):
        if _exists(tag):
            return tag
    pull = attempt(["docker", "pull", "--quiet", official])
    if pull.returncode == 0:
        return official
    if not shutil.which("mmdebstrap"):
        if not debian.can_install():
            why = pull.stderr.strip()
            raise DevError(f"cannot pull {official} ({why}), and to make it the program mmdebstrap is missing")
        debian.install(["mmdebstrap", "debian-archive-keyring"], why="makes Debian images where none can be pulled")
    with step(f"make a Debian {suite} base image (no registry can be reached)"):
        _bootstrap(suite, made)
    return made


def _bootstrap(suite: str, tag: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        tar = Path(folder) / "root.tar"
        run_logged(["mmdebstrap", "--variant=minbase", "--include=ca-certificates", suite, tar], f"mmdebstrap-{suite}")
        with tar.open("rb") as content:
            run_logged(["docker", "import", "-", tag], f"import-{suite}", stdin=content)
