# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is refused on the lockfile alone."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.npm import parse_lockfile
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.packagejson import parse_manifest
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.policy import (
    check_engines,
    check_policy,
    strong_integrity,
)

SHA512 = "sha512-" + "A" * 86 + "=="
SHA1 = "sha1-" + "A" * 27 + "="


def refusal(check: t.Callable[..., None], *arguments: t.Any) -> str:
    with pytest.raises(ApphostError) as caught:
        check(*arguments)
    return caught.value.message


def lockfile(packages: dict[str, t.Any] | None = None, **root: t.Any) -> t.Any:
    content = json.dumps({"lockfileVersion": 3, "packages": {"": root, **(packages or {})}})
    return parse_lockfile(content.encode(), "package-lock.json")


def manifest(**value: t.Any) -> t.Any:
    return parse_manifest(json.dumps(value).encode(), "package.json")


@pytest.mark.parametrize(
    ("integrity", "strong"),
    [
        (SHA512, True),
        ("sha384-" + "A" * 64, True),
        ("sha256-" + "A" * 43 + "=", True),
        (f"{SHA1} {SHA512}", True),
        (f"{SHA512}?option", True),
        (SHA1, False),
        ("sha512-AAAA", False),
        ("sha512-" + "!" * 88, False),
        ("sha512", False),
        ("md5-" + "A" * 22 + "==", False),
        ("", False),
        (None, False),
    ],
)
def test_strength_of_a_hash(integrity: str | None, strong: bool) -> None:
    assert strong_integrity(integrity) is strong


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"version": "1.0.0"}, "a@1.0.0 has no integrity hash."),
        ({"version": "1.0.0", "integrity": SHA1}, "a@1.0.0 has only a weak integrity hash (sha1)."),
        (
            {"version": "1.0.0", "resolved": "git+ssh://git@example.com/a.git#0123"},
            "a@1.0.0 has no integrity hash (from git+ssh:).",
        ),
        ({"version": "1.0.0", "dev": True}, "a@1.0.0 has no integrity hash."),
        (
            {"resolved": "packages/a", "link": True},
            "node_modules/a is a link to packages/a (workspaces and file: links",
        ),
    ],
)
def test_entries_that_are_refused(entry: dict[str, t.Any], words: str) -> None:
    assert words in refusal(check_policy, lockfile({"node_modules/a": entry}))


def test_entries_that_are_let_pass() -> None:
    check_policy(
        lockfile(
            {
                "node_modules/a": {"version": "1.0.0", "integrity": SHA512, "bundleDependencies": ["b"]},
                "node_modules/a/node_modules/b": {"version": "1.0.0", "inBundle": True},
            }
        )
    )


def test_the_apps_own_engines() -> None:
    asks = manifest(engines={"node": "^20 || ^22"})

    check_engines(lockfile(), asks, "22.1.0")
    assert refusal(check_engines, lockfile(), asks, "24.21.0") == (
        "package.json: the app is for Node.js ^20 || ^22, its runtime is 24.21.0. "
        "Change the runtime's version, or engines.node in package.json."
    )


def test_engines_of_packages_that_cannot_be_left_out() -> None:
    old = {"version": "1.0.0", "integrity": SHA512, "engines": {"node": "<20"}}

    assert "a@1.0.0 is for Node.js <20, the runtime is 24.21.0" in refusal(
        check_engines, lockfile({"node_modules/a": old}), manifest(), "24.21.0"
    )
    for reason in ("dev", "optional", "devOptional"):
        check_engines(lockfile({"node_modules/a": {**old, reason: True}}), manifest(), "24.21.0")


@pytest.mark.parametrize("engines", ["node 20", {"node": 20}, {"node": "whatever"}, {"npm": "6"}])
def test_engines_that_say_nothing_understandable_let_pass(engines: t.Any) -> None:
    check_engines(lockfile(), manifest(engines=engines), "24.21.0")
