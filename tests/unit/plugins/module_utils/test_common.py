# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every module shares, with real modules: how they end, and how they start programs."""

from __future__ import annotations

import errno
import json
import typing as t

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.testing import patch_module_args
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import (
    ApphostError,
    from_os_error,
    run_module,
    runner,
)


@pytest.fixture
def module() -> t.Iterator[AnsibleModule]:
    with patch_module_args({}):
        yield AnsibleModule({})


def end(capsys: pytest.CaptureFixture[str], work: t.Callable[[AnsibleModule], dict[str, t.Any]]) -> dict[str, t.Any]:
    """The printed result of a module that does ``work``."""
    with patch_module_args({}), pytest.raises(SystemExit):
        run_module({}, work)
    result: dict[str, t.Any] = json.loads(capsys.readouterr().out)
    return result


def test_a_result_is_passed_on(capsys: pytest.CaptureFixture[str]) -> None:
    assert end(capsys, lambda module: {"changed": module.check_mode})["changed"] is False


def test_an_error_names_place_and_cure_and_keeps_its_details(capsys: pytest.CaptureFixture[str]) -> None:
    def work(module: AnsibleModule) -> dict[str, t.Any]:
        raise ApphostError("is full.", "/srv", "Free some space.", log_lines=["no space"])

    result = end(capsys, work)
    assert (result["failed"], result["msg"]) == (True, "/srv: is full. Free some space.")
    assert result["log_lines"] == ["no space"]


def test_an_error_of_the_system_is_one_too(capsys: pytest.CaptureFixture[str]) -> None:
    def work(module: AnsibleModule) -> dict[str, t.Any]:
        with open("/nowhere/at/all", encoding="utf-8") as file:
            return {"text": file.read()}

    assert end(capsys, work)["msg"] == "/nowhere/at/all: No such file or directory"


def test_a_bug_has_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    result = end(capsys, lambda module: {"changed": module.no_such_thing})
    assert "a bug of this module: AttributeError" in result["msg"] and "no_such_thing" in result["msg"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_says_what_to_do(code: int) -> None:
    message = from_os_error(OSError(code, "as the system says it"), "unpacking").message
    assert message == ("unpacking: no space left on the device. Free some space (or prune old releases) and run again.")


def test_an_error_without_a_file_says_what_was_being_done() -> None:
    assert (
        from_os_error(OSError(errno.EIO, "Input/output error"), "unpacking").message == "unpacking: Input/output error"
    )
    other = OSError(errno.EACCES, "Permission denied", "/srv/app")
    assert from_os_error(other, "unpacking").message == "/srv/app: Permission denied (while unpacking)"


def test_programs_get_their_arguments_as_they_are(module: AnsibleModule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE", "ours")
    assert runner(module)(["printf", "%s|", "$MINE", "~", "a b", "*"]) == (0, "$MINE|~|a b|*|", "")


def test_programs_speak_the_c_locale_and_ask_nothing(module: AnsibleModule) -> None:
    status, out, err = runner(module)(["sh", "-c", "echo $LC_ALL $DEBIAN_FRONTEND; echo oh >&2; exit 3"])
    assert (status, out, err) == (3, "C noninteractive\n", "oh\n")


def test_a_program_that_is_not_there(module: AnsibleModule) -> None:
    with pytest.raises(FileNotFoundError):
        runner(module)(["no-such-program"])
