# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SSH keys of the lab, made once for each checkout: the admin's, and the one all lab hosts identify themselves with.

Since the host key is known beforehand, host key checking stays on and nothing has to be scanned or accepted.
"""

from __future__ import annotations

import io
import shlex
import shutil
import tarfile
from pathlib import Path

from devtools import debian
from devtools.paths import LAB
from devtools.terminal import DevError, output_of

ADMIN = "admin"
ADMIN_UID = 1000
ADMIN_KEY = LAB / "admin_key"
HOST_KEY = LAB / "host_key"
KNOWN_HOSTS = LAB / "known_hosts"
HOST_ALIAS = "evenkeel-lab"


def ensure_keys() -> None:
    """Create what is missing."""
    if not (shutil.which("ssh") and shutil.which("ssh-keygen")):
        if not debian.can_install():
            raise DevError("the programs ssh and ssh-keygen are not installed; install an OpenSSH client")
        debian.install(["openssh-client"], why="the lab's hosts are reached by SSH")
    LAB.mkdir(parents=True, exist_ok=True)
    for key in (ADMIN_KEY, HOST_KEY):
        if not key.exists():
            output_of(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", HOST_ALIAS, "-f", key])
    KNOWN_HOSTS.write_text(f"{HOST_ALIAS} {HOST_KEY.with_suffix('.pub').read_text()}")


def ssh_options() -> list[str]:
    """What an ssh client needs, beside user, address and port."""
    options: dict[str, str | Path] = {
        "IdentityFile": ADMIN_KEY,
        "IdentitiesOnly": "yes",
        "UserKnownHostsFile": KNOWN_HOSTS,
        "HostKeyAlias": HOST_ALIAS,
        "StrictHostKeyChecking": "yes",
    }
    # One connection for Ansible, testinfra and us, where the socket's path fits: a socket's address has 104 bytes
    # (108 on Linux), %C becomes 40 and ssh appends 17 while it makes the socket.
    if len(str(LAB)) <= 45:
        options["ControlPath"] = LAB / "%C"
    return [word for name, value in options.items() for word in ("-o", f"{name}={value}")]


def ssh_arguments() -> str:
    """The same as one string for Ansible's inventory."""
    return shlex.join(ssh_options())


def host_files() -> bytes:
    """A tar of the files that make a bare container a host of this checkout, to be unpacked at its root."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        _add(tar, "etc/ssh/lab_host_key", HOST_KEY.read_bytes(), owner=0)
        _add(tar, f"home/{ADMIN}/.ssh/authorized_keys", ADMIN_KEY.with_suffix(".pub").read_bytes(), owner=ADMIN_UID)
    return content.getvalue()


def _add(tar: tarfile.TarFile, path: str, data: bytes, owner: int) -> None:
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode, entry.uid, entry.gid = len(data), 0o600, owner, owner
    tar.addfile(entry, io.BytesIO(data))
