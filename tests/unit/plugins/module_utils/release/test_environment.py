# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment file, read back as systemd reads it, and the launchers, run by a real shell."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.environment import (
    LONGEST_ASSIGNMENT,
    environment_file,
    launcher,
)

# Values that a naive quoting breaks. Each was given to a service by systemd 252 and 257 and came out as it went in.
VALUES = [
    "",
    "plain",
    " blanks around ",
    "two words",
    "a\nsecond line\n\n",
    "\n",
    "tab\there",
    "carriage\rreturn\r\n",
    'double " quote',
    "single ' quote",
    "$HOME ${HOME} $$ $(id)",
    "`id`",
    "back\\slash \\n \\\\ \\",
    "\\",
    '\\"',
    "\\\n",
    "# no comment",
    "; no comment",
    "a=b=c",
    "%n %% %i",
    "!history",
    "grüße 日本語 🙂",
    "\x01\x1b[31m\x7f",
    "{'a': \"b\"}",
    "postgres://u:p%40ss@db/x?y=z&w=1#f",
]


def read_like_systemd(content: str) -> dict[str, str]:
    """What systemd.exec(5) says about values in double quotes, and nothing else: all of ours are of that kind."""
    found, at = {}, 0
    while at < len(content):
        match = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)="((?:\\.|[^"\\])*)"\n', re.DOTALL).match(content, at)
        assert match, content[at:]
        found[match[1]] = re.sub(r'\\(["\\`$\n])', lambda kept: kept[1].strip("\n"), match[2])
        at = match.end()
    return found


@pytest.mark.parametrize("value", VALUES)
def test_every_value_comes_back(value: str) -> None:
    content = environment_file({"B": value, "A_1": "other"}, "app hello").decode()
    assert content.startswith("A_1=")
    assert read_like_systemd(content) == {"A_1": "other", "B": value}


def test_nothing_gives_an_empty_file() -> None:
    assert environment_file({}, "app hello") == b""


@pytest.mark.parametrize("value", ["\0", "\ufeff", "\uffff", "\ufdd0", "\U0010fffe", "\ud800"])
def test_what_systemd_can_not_read_is_refused_without_being_shown(value: str) -> None:
    with pytest.raises(ApphostError) as caught:
        environment_file({"PASSWORD": f"hunter2{value}"}, "app hello")
    assert caught.value.message == (
        "app hello: the value of PASSWORD holds a character that systemd refuses in an environment file"
    )


def test_a_variable_that_linux_would_refuse_is_refused() -> None:
    fits = "x" * (LONGEST_ASSIGNMENT - len("A="))
    assert environment_file({"A": fits}, "app hello").endswith(b'x"\n')
    subprocess.run(["/bin/true"], env={"A": fits}, check=True)
    with pytest.raises(OSError, match="Argument list too long"):
        subprocess.run(["/bin/true"], env={"A": f"{fits}x"}, check=True)
    with pytest.raises(ApphostError, match="app hello: A is longer than the 131071 bytes"):
        environment_file({"A": f"{fits}x"}, "app hello")


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "A=B", "A\n", "É"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ApphostError, match="is not the name of an environment variable"):
        environment_file({name: "x"}, "app hello")


@pytest.mark.parametrize("name", ["PORT", "APPHOST_RELEASE", "APPHOST_X"])
def test_what_the_collection_sets_is_refused(name: str) -> None:
    with pytest.raises(ApphostError, match=f"app hello: {name} is set by the collection itself"):
        environment_file({name: "x"}, "app hello")


def run_launcher(tmp_path: Path, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    app = tmp_path / "it's an app"
    runtime_bin, app_bin = tmp_path / "runtime" / "bin", app / "node_modules" / ".bin"
    for folder, name in ((runtime_bin, "node"), (runtime_bin, "tool"), (app_bin, "tool"), (app_bin, "local")):
        folder.mkdir(parents=True, exist_ok=True)
        program = folder / name
        report = f'echo "{folder.parent.name} {name}:" "$@"; env | grep -E "^(APPHOST|PATH)" | sort'
        program.write_text(f"#!/bin/sh\n{report}\n")
        program.chmod(0o755)
    script = tmp_path / "web"
    script.write_bytes(launcher("hello", "1.0-0123456789", "web", command, str(app), str(runtime_bin)))
    script.chmod(0o755)
    variables = {"PATH": "/nowhere", **environment}
    return subprocess.run([str(script)], env=variables, capture_output=True, text=True, check=True)


def test_a_launcher_gives_the_release_s_own_programs_and_names(tmp_path: Path) -> None:
    result = run_launcher(tmp_path, "node server.js --port $PORT 'two words'", PORT="3000", APPHOST_INSTANCE="3000")
    first, *variables = result.stdout.splitlines()
    own = f"{tmp_path}/it's an app"
    assert first.startswith("runtime node: server.js --port 3000 two words")
    assert variables == [
        "APPHOST_APP=hello",
        "APPHOST_INSTANCE=3000",
        "APPHOST_PROCESS=web",
        "APPHOST_RELEASE=1.0-0123456789",
        f"PATH={tmp_path}/runtime/bin:{own}/node_modules/.bin:{own}/.venv/bin:/usr/local/bin:/usr/bin:/bin",
    ]


def test_the_runtime_comes_before_the_app_s_own_programs(tmp_path: Path) -> None:
    assert run_launcher(tmp_path, "tool").stdout.startswith("runtime tool:")
    assert run_launcher(tmp_path, "local").stdout.startswith("node_modules local:")


def test_the_command_takes_the_launcher_s_place(tmp_path: Path) -> None:
    script = tmp_path / "web"
    script.write_bytes(launcher("hello", "1.0-0123456789", "web", "sleep 60", "/app", "/runtime/bin"))
    script.chmod(0o755)
    process = subprocess.Popen([str(script)])
    try:
        expected = b"sleep\x0060\x00"
        while Path(f"/proc/{process.pid}/cmdline").read_bytes() != expected:
            assert process.poll() is None, "the launcher ended"
    finally:
        process.kill()
        process.wait()
