# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The limit on a tree's size."""

from __future__ import annotations

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import InstallRequest
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.tree import Tree, read_record

#: Packages that are named.
_NAMED = 5


def check_size(request: InstallRequest, tree: Tree, base: str) -> None:
    """Raise ApphostError when the tree below ``base`` is larger than was asked for, with the largest packages."""
    if request.max_size is None or tree.bytes <= request.max_size:
        return
    record = read_record(base, tree)
    entries = sorted(record.packages.values(), key=lambda entry: -entry.bytes) if record else []
    largest = ", ".join(f"{entry.name}@{entry.version} {mebibytes(entry.bytes)}" for entry in entries[:_NAMED])
    # The tree has more bytes than the option max_size allows.
    raise ApphostError(
        f"the dependencies have {mebibytes(tree.bytes)}, more than max_size ({mebibytes(request.max_size)}); "
        f"the largest: {largest}",
        request.folder,
        "Take out what the app does not need in production, or raise max_size.",
    )


def mebibytes(size: int) -> str:
    """``12.3 MiB``."""
    return f"{size / 1024**2:,.1f} MiB"
