# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of formats says what the formats say of themselves."""

from __future__ import annotations

import subprocess
import sys

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile import addresses
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.formats import (
    KNOWN,
    MANAGERS,
    MANIFESTS,
    NAMES,
    Known,
    of,
)

HERE = "ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile"


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.load.__name__)
def test_the_table_and_the_format_agree(known: Known) -> None:
    found = known.load()

    assert (found.manager, {*found.names}, found.ecosystem) == (known.manager, {*known.names}, known.ecosystem)
    assert found.remake.endswith(".")
    assert (found.workspace_file is None) is (found.workspace_patterns is None)
    # Whoever is in the table has hosts that it asks by default, and manifests.
    assert addresses.PUBLIC_HOSTS[known.manager]
    assert known.ecosystem in MANIFESTS
    assert known.manager in MANAGERS


def test_of_formats_with_one_name_the_last_takes_every_content() -> None:
    for name in NAMES:
        formats = [known.load() for known in KNOWN if name in known.names]
        assert all(found.recognises for found in formats[:-1])


@pytest.mark.parametrize(
    ("name", "content", "version"),
    [
        ("yarn.lock", b"# yarn lockfile v1\n\n\n", "classic"),
        ("yarn.lock", b"", "classic"),
        ("yarn.lock", b"__metadata:\n  version: 8\n", "berry"),
        ("package-lock.json", b"", "npm"),
    ],
)
def test_the_content_tells_formats_apart(name: str, content: bytes, version: str) -> None:
    found = of(name, content)

    assert found is not None
    assert found.parse.__module__.endswith(version)


def test_a_name_nobody_has() -> None:
    assert of("bun.lock", b"") is None


def test_only_what_is_used_is_loaded() -> None:
    program = f"""
import sys
from {HERE} import reader
from {HERE}.formats import of
of("package-lock.json", b"")
print(" ".join(name.rpartition(".")[2] for name in sys.modules if name.startswith("{HERE}.")))
"""
    collections = str(addresses.__file__).partition("/ansible_collections/")[0]
    environment = {"PYTHONPATH": ":".join([collections, *sys.path])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)

    assert "npm" in done.stdout.split()
    assert not {"pnpm", "yarn_classic", "yarn_berry", "uv", "pip", "yamlfile", "tomlfile"} & {*done.stdout.split()}
