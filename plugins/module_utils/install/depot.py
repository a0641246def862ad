# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Built trees on their way from one host to others, at the controller, for the length of one Ansible run.

Every host is served by a process of its own. Whoever gets a tree's turn first builds it; the others wait for theirs,
and find it, or learn that it could not be built. A process that dies, or loses its host, gives the turn to the next.
"""

from __future__ import annotations

import contextlib
import json
import os
import typing as t
from dataclasses import asdict, dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils.files import write_atomic
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.locks import Locks


@dataclass(frozen=True)
class Parcel:
    """A tree in a tar."""

    path: str
    sha256: str
    #: The host that built it.
    builder: str


class Depot:
    """The depot in ``folder``, which only this run knows and which goes away with it."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        os.makedirs(folder, 0o700, exist_ok=True)

    @contextlib.contextmanager
    def turn(self, identity: str) -> t.Iterator[None]:
        """Be the only one who builds this tree, however long that takes."""
        with Locks(self.folder).held(f"{identity}.lock", timeout=float("inf")):
            yield

    def path(self, identity: str) -> str:
        """Where the tree's tar belongs."""
        return os.path.join(self.folder, f"{identity}.tar")

    def find(self, identity: str) -> Parcel | None:
        """The tree, if somebody built it in this run."""
        try:
            with open(os.path.join(self.folder, f"{identity}.json"), encoding="utf-8") as file:
                return Parcel(**json.load(file))
        except FileNotFoundError:
            return None

    def put(self, identity: str, sha256: str, builder: str) -> Parcel:
        """The tree's tar is where it belongs."""
        parcel = Parcel(self.path(identity), sha256, builder)
        write_atomic(os.path.join(self.folder, f"{identity}.json"), json.dumps(asdict(parcel)).encode(), 0o600)
        return parcel

    def give_up(self, identity: str, task: str, builder: str) -> None:
        """Say that the tree cannot be built, to those who wait for it in the same task."""
        write_atomic(self._given_up(identity, task), builder.encode(), 0o600)

    def given_up_by(self, identity: str, task: str) -> str | None:
        """Who tried in vain to build the tree in this task."""
        try:
            with open(self._given_up(identity, task), encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return None

    def _given_up(self, identity: str, task: str) -> str:
        return os.path.join(self.folder, f"{identity}-{task}.failed")
