# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bill of materials of what is live."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import AppLayout
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.identity import release_id
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.manifest import parse_manifest, write_manifest
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.materials import of_live

from .test_identity import manifest


@pytest.fixture
def layout(tmp_path: Path) -> AppLayout:
    """A host on which a release without dependencies is live."""
    made = AppLayout("hello", str(tmp_path))
    raw = {**manifest(), "lockfile": None}
    raw["id"] = release_id(raw)
    folder = Path(made.release(raw["id"]))
    (folder / "app").mkdir(parents=True)
    write_manifest(str(folder), parse_manifest(raw, "here"), os.getgid())
    Path(made.current).symlink_to(f"releases/{raw['id']}")
    return made


def test_the_release_and_its_runtime(layout: AppLayout) -> None:
    live = of_live(layout)

    assert live
    assert live.sbom["metadata"]["component"] == {
        "type": "application",
        "bom-ref": "application",
        "name": "hello",
        "version": live.release,
    }
    version = manifest()["runtime"]["version"]
    assert [component["purl"] for component in live.sbom["components"]] == [f"pkg:generic/node@{version}"]


def test_nothing_is_live(tmp_path: Path) -> None:
    assert of_live(AppLayout("hello", str(tmp_path))) is None


def test_a_damaged_release_is_an_error(layout: AppLayout) -> None:
    Path(layout.current, "release.json").write_text("{")

    with pytest.raises(ApphostError, match="is not readable as JSON"):
        of_live(layout)
