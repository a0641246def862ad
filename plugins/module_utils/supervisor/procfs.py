# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernel says about a process: the proof of which release it runs from, whoever supervises it."""

from __future__ import annotations

import os

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import AppLayout

DELETED = " (deleted)"  # the kernel's suffix of a folder that is gone


def release_of(pid: int, layout: AppLayout, proc: str = "/proc") -> str | None:
    """The release whose app folder is the working directory of ``pid``; ``None``: none of ours, or the process is gone.

    The link ``current`` is resolved at start, so this tells what a process really runs, not what is live now.
    """
    try:
        folder = os.readlink(f"{proc}/{pid}/cwd")
    except (FileNotFoundError, ProcessLookupError):
        return None
    except PermissionError:
        raise ApphostError(
            "may not look at its working directory",
            f"process {pid}",
            "Run as root (become: true); in a container give it CAP_SYS_PTRACE.",
        ) from None
    return release_in(folder, os.path.realpath(layout.releases))


def release_in(folder: str, releases: str) -> str | None:
    """The release that a working directory ``folder`` belongs to; ``releases``: where they really are."""
    folder = folder.removesuffix(DELETED)
    release, _slash, below = folder[len(releases) + 1 :].partition("/")
    return release if folder.startswith(f"{releases}/") and (below + "/").startswith("app/") else None
