# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""apt by its command line. Outputs as printed by apt 2.6.1 and dpkg 1.21.22 (Debian 12), 2026-11."""

from __future__ import annotations

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.apt import LOCK_WAIT, Apt
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError

INSTALLED = """\
ca-certificates installed 20250419~deb12u2
libatomic1 not-installed\x20
libstdc++6 installed 12.2.0-14+deb12u1
nodejs config-files 18.20.4+dfsg-1~deb12u1
"""
UNKNOWN = "E: Unable to locate package libatomic1\n"
LOCKED = """\
E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 4321 (apt-get)
E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?
"""


class Script:
    """Answers each command with the next of its answers and remembers what was run; the clock moves by sleeping."""

    def __init__(self, *answers: tuple[int, str, str]) -> None:
        self.answers = list(answers)
        self.log: list[str] = []
        self.now = 0.0

    def run(self, command: list[str]) -> tuple[int, str, str]:
        self.log.append(" ".join(command))
        return self.answers.pop(0)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def apt(self) -> Apt:
        return Apt(self.run, lambda: self.now, self.sleep)


def test_what_is_installed_and_what_is_missing() -> None:
    packages = ["ca-certificates", "libatomic1", "libstdc++6", "nodejs", "unheard-of"]
    script = Script((1, INSTALLED, "dpkg-query: no packages found matching unheard-of\n"))
    assert script.apt().missing(packages) == ["libatomic1", "nodejs", "unheard-of"]
    assert script.log[0].endswith(" ".join(packages))


def test_no_packages_need_no_apt() -> None:
    script = Script()
    assert script.apt().missing([]) == []
    script.apt().install([])
    assert script.log == []


def test_missing_lists_are_fetched() -> None:
    script = Script((100, "", UNKNOWN), (0, "", ""), (0, "", ""))
    script.apt().install(["libatomic1"])
    install = "apt-get --quiet install --yes --no-install-recommends libatomic1"
    assert script.log == [install, "apt-get --quiet update", install]


def test_what_fails_for_good_says_why() -> None:
    script = Script((100, "", UNKNOWN), (0, "", ""), (100, "Reading package lists...", UNKNOWN))
    with pytest.raises(ApphostError, match=r"^apt-get install failed: E: Unable to locate package libatomic1$"):
        script.apt().install(["libatomic1"])


def test_a_silent_failure_gives_its_status() -> None:
    with pytest.raises(ApphostError, match=r"^apt-get update failed: exit status 100$"):
        Script((100, "", "")).apt().update()


def test_another_apt_is_waited_for() -> None:
    script = Script((100, "", LOCKED), (100, "", LOCKED), (0, "", ""))
    script.apt().update()
    assert script.log == ["apt-get --quiet update"] * 3
    assert script.now == 2


def test_not_for_ever() -> None:
    script = Script(*[(100, "", LOCKED)] * 1000)
    with pytest.raises(ApphostError, match=r"Could not get lock .* held by process 4321 \(apt-get\)"):
        script.apt().update()
    assert script.now == LOCK_WAIT


def test_a_host_without_apt() -> None:
    def missing(command: list[str]) -> tuple[int, str, str]:
        raise FileNotFoundError(2, "No such file or directory", command[0])

    with pytest.raises(ApphostError, match=r"this host has no dpkg-query.*\. Install what is needed by other means"):
        Apt(missing).missing(["libatomic1"])
