# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a project came to when it was last read and judged: no lockfile is read twice for the same answer.

An answer is remembered in the store, where only we write, under the hash of everything that it was made from and that
is cheap to know: the files of the project, the options, and the code that judges. What else it depends on (programs of
the host, files that the lockfile names) is remembered beside it as facts, and looked at each time.
"""

from __future__ import annotations

import hashlib
import json
import os
import pkgutil
import typing as t
from dataclasses import asdict, dataclass

from ansible_collections.evenkeel.apphost.plugins.module_utils import install, lockfile
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.files import write_atomic
from ansible_collections.evenkeel.apphost.plugins.module_utils.install import managers
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.facts import CONTENT, Facts, fact, facts_of
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.identity import cpu, libc_version
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import InstallRequest
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.store import KNOWN
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.formats import MANIFESTS
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.jsonfile import read_regular_file
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.reader import Sources

_PACKAGE_JSON = MANIFESTS["node"].name


@dataclass(frozen=True)
class Answer:
    """What a project came to: all its checks passed, and this is its identity."""

    identity: str
    manager: str
    manager_version: str
    places: tuple[str, ...]
    #: Kind of fact, path (relative to the project, or absolute), and what was there.
    facts: Facts


def key_of(request: InstallRequest, sources: Sources) -> str:
    """The name of the answer for these sources and options."""
    network = request.network
    value = {
        "code": _code(),
        "host": [cpu(), libc_version()],
        "files": {name: _file(sources, name) for name in sources.files},
        "lockfile": hashlib.sha256(sources.content).hexdigest(),
        "policy": asdict(request.policy),
        "registries": network.addresses(),
        "network": [network.offline, network.packed is not None],
        "supply": [request.supply.signatures, request.supply.audit],
        "programs": [request.runtime_root, request.python, request.manager_path],
        "manager": [request.manager, request.manager_version],
        "options": [request.allow_scripts, request.trust_project_config, request.check_engines],
    }
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode("utf-8", "surrogatepass")).hexdigest()


def _file(sources: Sources, name: str) -> str:
    """What a file of the project decides.

    The version of an app decides nothing, and is another one in each release; in a workspace, others may ask for it.
    """
    path = os.path.join(sources.folder, name)
    if name == _PACKAGE_JSON and len(sources.manifests) == 1:
        manifest = json.loads(read_regular_file(path) or b"{}")
        return json.dumps({**manifest, "version": None}, sort_keys=True)
    return fact(path, CONTENT)


def _code() -> str:
    """A hash of the code that reads, judges and plans: with other code, the answer could be another one."""
    digest = hashlib.sha256()
    for package in (lockfile, install, managers):
        folder = next(iter(package.__path__))
        loader: t.Any = package.__loader__
        for module in sorted(info.name for info in pkgutil.iter_modules(package.__path__) if not info.ispkg):
            # Out of a zip as well, which is how Ansible sends it.
            content = loader.get_data(os.path.join(folder, f"{module}.py"))
            digest.update(f"{module} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def recall(store: str, key: str, folder: str) -> Answer | None:
    """The answer that is remembered under ``key``, if all its facts still hold; ``None``: it has to be found again."""
    try:
        content = read_regular_file(os.path.join(store, KNOWN, key))
        value = json.loads(content) if content else {}
        facts = tuple((kind, path, found) for kind, path, found in value["facts"])
        answer = Answer(**{**value, "places": tuple(value["places"]), "facts": facts})
    except (ApphostError, OSError, ValueError, TypeError, KeyError):
        return None
    return answer if facts_of(folder, [(kind, path) for kind, path, _found in facts]) == facts else None


def remember(store: str, key: str, answer: Answer) -> None:
    """Remember an answer, if there is a store to do it in."""
    path = os.path.join(store, KNOWN, key)
    if os.path.isdir(os.path.dirname(path)) and not os.path.exists(path):
        write_atomic(path, json.dumps(asdict(answer)).encode(), 0o600)
