# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every mistake that a user can make gets exactly the lines that app_mistakes.yml says."""

from __future__ import annotations

import pathlib
import typing as t

import pytest
import yaml
from ansible_collections.evenkeel.apphost.plugins.module_utils.app_model.resolve import resolve_apps
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError

from tests.unit.app_examples import app

CASES = yaml.safe_load(pathlib.Path(__file__).with_name("app_mistakes.yml").read_text())

# The longest hint: every key that a user may write in an app.
KNOWN = (
    "known here: name, user, group, source, version, runtime, dependencies, processes, health, env, release_command, "
    "domains, proxy, port_access, logs, keep_releases, supervisor"
)


@pytest.mark.parametrize("case", [pytest.param(case, id=case["it"]) for case in CASES])
def test_every_mistake_is_named(case: dict[str, t.Any]) -> None:
    apps = case["raw"] if "raw" in case else [app(**changes) for changes in case.get("apps", [{}])]

    with pytest.raises(ApphostError) as failure:
        resolve_apps(apps, secrets=case.get("secrets"))

    head, *lines = failure.value.message.split("\n")
    expected = [line.replace("{known}", KNOWN) for line in case["errors"]]
    assert (lines or [head]) == expected
    assert not lines or head == f"{len(expected)} problems"
    assert "geheim" not in failure.value.message


def test_case_names_are_unique() -> None:
    names = [case["it"] for case in CASES]
    assert sorted(set(names)) == sorted(names)
