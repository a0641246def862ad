# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is of an app on a host, gathered by a small shell script and read where Ansible runs.

Every deploy asks every host. A Python module costs a host 0.2 s of CPU before its first line runs (Ansible sends its
library along and Python compiles it); these few commands cost a tenth.

The script writes lines of ``<key> <value>``, those of files with the key before each of their lines, between
``apphost-look`` and ``apphost-end``. So words of a login shell do no harm, and what was cut short is noticed.
"""

from __future__ import annotations

import shlex
import typing as t
from dataclasses import dataclass, field

from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import UNIT_PREFIX, AppLayout
from ansible_collections.evenkeel.apphost.plugins.module_utils.supervisor.systemd import PROPERTIES, wants_folder

_BEGIN, _END = "apphost-look", "apphost-end"

#: In the words of ``date -u`` when ``TZ`` is UTC, e.g. "Sat 2026-11-21 10:38:00 UTC".
SINCE = "ActiveEnterTimestamp"

#: Of a file: 500 deploys and more of a journal, all of any manifest.
_LINES = 2000

_FUNCTIONS = r"""
export LC_ALL=C TZ=UTC
set -f
say() { printf '%s\n' "$*"; }
file() { if [ -e "$2" ]; then tail -n @LINES@ "$2" | sed "s/^/$1 /" && echo; fi; }
look() {
    name=$1 root=$2 state=$3 logs=$4 target=$5 wants=$6 proc=$7
    say app "$name"
    for folder in "$root" "$root/releases" "$state" "$state/data" "$logs"; do
        if [ -d "$folder" ]; then say folder "$folder"; fi
    done
    if [ -d "$root/releases" ]; then
        say really "$(cd -P "$root/releases" && pwd)"
        stat --file-system --format 'free %a %S' "$root/releases"
        ls -A "$root/releases" | sed 's/^/release /'
    fi
    if [ -L "$root/current" ]; then say current "$(readlink "$root/current")"; fi
    file journal "$state/journal.jsonl"
    file manifest "$root/current/release.json"
    enabled=$(ls "$wants" 2>/dev/null | grep '^@PREFIX@-.*@.*\.service$')
    units=$(systemctl show --property=@PROPERTIES@ -- "$target" "@PREFIX@-$name-*@*.service" $enabled 2>&1) ||
        say trouble systemctl show failed: "$units"
    say "$units" | sed 's/^/unit /'
    for pid in $(say "$units" | sed -n 's/^MainPID=\([1-9][0-9]*\)$/\1/p'); do
        if folder=$(readlink -v "$proc/$pid/cwd" 2>&1); then
            say cwd "$pid" "$folder"
        else
            case $folder in *"ermission denied"*)
                say trouble process "$pid": may not look at its working directory ;;
            esac
        fi
    done
}
"""


@dataclass
class Look:
    """What was found of one app. ``cwd``: process id -> working directory; ``units``: what ``systemctl show`` said."""

    folders: set[str] = field(default_factory=set)
    real_releases: str = ""
    free_bytes: int | None = None
    releases: list[str] = field(default_factory=list)
    current: str | None = None
    journal: bytes = b""
    manifest: str | None = None
    units: str = ""
    cwd: dict[int, str] = field(default_factory=dict)


def script(layouts: t.Sequence[AppLayout], proc: str = "/proc") -> str:
    """The text for ``sh``. It reads only, and needs root. ``proc`` is the kernel's, but in tests."""
    values = {"PREFIX": UNIT_PREFIX, "PROPERTIES": ",".join([*PROPERTIES, SINCE]), "LINES": str(_LINES)}
    functions = _FUNCTIONS
    for key, value in values.items():
        functions = functions.replace(f"@{key}@", value)
    lines = [functions, f"echo {_BEGIN}", 'say uid "$(id -u)"']
    for layout in layouts:
        wants = wants_folder(layout)
        arguments = [layout.name, layout.root, layout.state, layout.logs, layout.target, wants, proc]
        lines.append(f"look {shlex.join(arguments)}")
    return "\n".join([*lines, f"echo {_END}\n"])


def parse(output: str) -> dict[str, Look]:
    """What the script wrote, by app. Raises ApphostError when it could not look, or was cut short."""
    # Not splitlines(): JSON may hold other characters that end a line. A terminal in between adds carriage returns.
    lines = [line.removesuffix("\r") for line in output.split("\n")]
    if _BEGIN not in lines or _END not in lines:
        raise ApphostError(f"looking at the apps was cut short: {output[-500:].strip() or 'nothing was said'}")
    looks: dict[str, Look] = {}
    texts: dict[str, dict[str, list[str]]] = {}
    name = ""
    for line in lines[lines.index(_BEGIN) + 1 : lines.index(_END)]:
        key, _blank, value = line.partition(" ")
        if key == "uid" and value != "0":
            raise ApphostError("only root may look at the apps", do="Run with become: true.")
        if key == "trouble":
            raise ApphostError(value, f"app {name}", "Run as root (become: true); see 'systemctl status' on the host.")
        if key == "app":
            name = value
            looks[name], texts[name] = Look(), {"journal": [], "manifest": [], "unit": []}
        elif key in ("journal", "manifest", "unit"):
            texts[name][key].append(value)
        elif name:
            _note(looks[name], key, value)
    for name, look in looks.items():
        look.journal = "\n".join(texts[name]["journal"]).encode("utf-8", "surrogateescape")
        look.manifest = "\n".join(texts[name]["manifest"]) or None
        look.units = "\n".join(texts[name]["unit"])
    return looks


def _note(look: Look, key: str, value: str) -> None:
    if key == "folder":
        look.folders.add(value)
    elif key == "really":
        look.real_releases = value
    elif key == "free":
        blocks, size = value.split()
        look.free_bytes = int(blocks) * int(size)
    elif key == "release":
        look.releases.append(value)
    elif key == "current":
        look.current = value
    elif key == "cwd":
        pid, _blank, folder = value.partition(" ")
        look.cwd[int(pid)] = folder
