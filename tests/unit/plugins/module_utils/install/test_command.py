# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who builds."""

from __future__ import annotations

import os
import pwd

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.command import (
    Account,
    as_account,
    build_account,
)

PEOPLE = {"root": 0, "nobody": 65534, "apphost-build": 990, "toor": 0}


@pytest.fixture(autouse=True)
def people(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    people = dict(PEOPLE)

    def getpwnam(name: str) -> pwd.struct_passwd:
        return pwd.struct_passwd((name, "x", people[name], people[name], "", "/", "/bin/false"))

    monkeypatch.setattr(pwd, "getpwnam", getpwnam)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return people


def test_the_account_made_for_it_comes_first(people: dict[str, int]) -> None:
    assert build_account(None) == Account("apphost-build", 990, 990)
    del people["apphost-build"]
    assert build_account(None) == Account("nobody", 65534, 65534)
    assert build_account("nobody") == Account("nobody", 65534, 65534)


@pytest.mark.parametrize("name", ["root", "toor"])
def test_nothing_is_built_as_root(name: str) -> None:
    with pytest.raises(ApphostError, match=rf"the build user {name} is root\. Name an account without rights\."):
        build_account(name)


def test_an_account_that_is_not_there() -> None:
    with pytest.raises(ApphostError, match=r"the build user shop does not exist\. Create it, or name another\."):
        build_account("shop")


def test_who_is_not_root_builds_as_himself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert build_account("nobody") is None
    assert as_account(["npm", "ci"], None, "/work", {"B": "2", "A": "1 1"}, 60, contained=True) == [
        "setpriv",
        "--no-new-privs",
        "--pdeathsig=KILL",
        "--",
        "timeout",
        "--kill-after=5",
        "60",
        "setpriv",
        "--pdeathsig=KILL",
        "--",
        "env",
        "-i",
        "--chdir=/work",
        "A=1 1",
        "B=2",
        "npm",
        "ci",
    ]
