# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules of the collection, run on a lab host without a play around them: in half a second, and watched."""

from __future__ import annotations

import io
import json
import shlex
import subprocess
import tarfile
import time
import typing as t
from collections.abc import Callable, Mapping
from pathlib import Path

import ansible

from devtools.lab import keys
from devtools.lab.fleet import Host
from devtools.paths import link_collection
from devtools.terminal import DevError

#: Where a host has Ansible's own code and ours.
LIBRARY = "/opt/module"
_ANSIBLE = ("ansible/__init__.py", "ansible/release.py", "ansible/_vendor", "ansible/module_utils")
_OURS = tuple(f"ansible_collections/evenkeel/apphost/plugins/{kind}" for kind in ("module_utils", "modules"))

#: Runs lockfile_install; what it is given is in its input. Every program that it starts is a line of its errors.
RUN = f"""
import json, os, sys
sys.path.insert(0, {LIBRARY!r})
arguments, environment = json.load(sys.stdin)
os.environ.update(environment)
def watch(event, of):
    if event == "subprocess.Popen":
        print(json.dumps([os.fsdecode(word) for word in of[1]]), file=sys.stderr, flush=True)
sys.addaudithook(watch)
from ansible.module_utils.testing import patch_module_args
from ansible_collections.evenkeel.apphost.plugins.modules.lockfile_install import main
with patch_module_args(arguments):
    main()
"""


class Ran(t.NamedTuple):
    """A module that ran."""

    result: dict[str, t.Any]
    #: The argument lists of the programs that it started.
    started: list[list[str]]
    #: Everything that it printed.
    output: str


class AppHost:
    """A host, as root. It takes files and inputs, of which nothing is in an argument list or a log."""

    def __init__(self, host: Host) -> None:
        self.address = host.address
        self._login = ["ssh", *keys.ssh_options(), "-p", str(host.ssh_port), f"{keys.ADMIN}@127.0.0.1", "sudo"]

    def start(self, *argv: str, **options: t.Any) -> subprocess.Popen[str]:
        """Start a program."""
        return subprocess.Popen([*self._login, shlex.join(argv)], text=True, **options)

    def run(self, *argv: str, given: bytes = b"") -> tuple[int, str]:
        """Run a program; its exit status and what it printed."""
        status, output, errors = self._run(argv, given)
        return status, output or errors

    def _run(self, argv: t.Sequence[str], given: bytes) -> tuple[int, str, str]:
        done = subprocess.run([*self._login, shlex.join(argv)], input=given, capture_output=True, check=False)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def printed(self, *argv: str, given: bytes = b"") -> str:
        """What a program prints that succeeds; DevError when it fails."""
        status, output = self.run(*argv, given=given)
        if status:
            raise DevError(f"{shlex.join(argv)[:200]}: {output}")
        return output.strip()

    def install(
        self,
        options: Mapping[str, t.Any],
        check: bool = False,
        environment: Mapping[str, str] | None = None,
        network: bool = True,
    ) -> Ran:
        """Run lockfile_install; without ``network`` there is none, not even the host's own address."""
        arguments = {**options, "_ansible_check_mode": check}
        given = json.dumps([arguments, dict(environment or {})]).encode()
        argv = ["python3", "-c", RUN]
        _status, output, errors = self._run(argv if network else ["unshare", "--net", "--", *argv], given)
        if not output:
            raise DevError(f"lockfile_install said nothing: {errors}")
        result: dict[str, t.Any] = json.loads(output)
        result.pop("invocation", None)
        return Ran(result, [json.loads(line) for line in errors.splitlines()], output + errors)

    def unpack(self, content: Callable[[tarfile.TarFile], None]) -> None:
        """Unpack a tar below ``/``."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w", dereference=True) as tar:
            content(tar)
        self.printed("tar", "--extract", "--no-same-owner", "--directory=/", given=archive.getvalue())

    def write(self, files: Mapping[str, str]) -> None:
        """Write files, given by their paths."""

        def add(tar: tarfile.TarFile) -> None:
            for path, text in files.items():
                entry = tarfile.TarInfo(path.lstrip("/"))
                entry.size, entry.mtime = len(text.encode()), int(time.time())
                tar.addfile(entry, io.BytesIO(text.encode()))

        self.unpack(add)

    def bring_modules(self) -> None:
        """Bring the modules and what they are made of."""

        def add(tar: tarfile.TarFile) -> None:
            for folder, parts in {Path(ansible.__file__).parents[1]: _ANSIBLE, link_collection(): _OURS}.items():
                for part in parts:
                    tar.add(folder / part, f"{LIBRARY}/{part}", filter=_without_caches)

        self.unpack(add)


def _without_caches(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "__pycache__" in entry.name else entry
