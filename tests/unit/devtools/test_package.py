# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may be in the built collection."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from devtools import package
from devtools.terminal import DevError


def test_an_archive_that_lacks_files_or_has_others_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "evenkeel-apphost.tar.gz"
    (tmp_path / "file").write_text("")
    with tarfile.open(archive, "w:gz") as tar:
        for name in ("README.md", "MANIFEST.json", "plugins/cache.pyc", "devtools/cli.py"):
            tar.add(tmp_path / "file", name)
    with pytest.raises(DevError) as failure:
        package.check_contents(archive)
    said = str(failure.value)
    assert "has plugins/cache.pyc" in said
    assert "has devtools/cli.py" in said
    assert "lacks plugins/module_utils/common.py" in said
    assert "lacks FILES.json" in said
    assert "README.md" not in said.replace("/README.md", "")
