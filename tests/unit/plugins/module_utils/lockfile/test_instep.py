# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a lockfile was made for the manifests that are there."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.model import Lockfile, Manifest
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.npm import in_step, parse_lockfile
from ansible_collections.evenkeel.apphost.plugins.module_utils.lockfile.packagejson import parse_manifest


def lockfile(packages: dict[str, t.Any] | None = None, **root: t.Any) -> Lockfile:
    content = json.dumps({"lockfileVersion": 3, "packages": {"": root, **(packages or {})}})
    return parse_lockfile(content.encode(), "package-lock.json")


def manifests(**folders: dict[str, t.Any]) -> dict[str, Manifest]:
    """By folder; ``root`` is the project's own."""
    return {
        folder.replace("root", ""): parse_manifest(json.dumps(value).encode(), "package.json")
        for folder, value in folders.items()
    }


@pytest.mark.parametrize("kind", ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"])
def test_every_kind_of_dependency_must_be_in_step(kind: str) -> None:
    said = "" if kind == "dependencies" else f" ({kind})"
    entry: dict[str, t.Any] = {"node_modules/a": {}}
    asks = manifests(root={kind: {"a": "^2"}})

    assert in_step(lockfile(entry, **{kind: {"a": "^2"}}), asks) == []
    assert in_step(lockfile(entry, **{kind: {"a": "^1"}}), asks) == [
        f"package.json asks a ^2{said}, package-lock.json was made for ^1"
    ]
    assert in_step(lockfile(entry), asks) == [f"package.json asks a ^2{said}, package-lock.json was made without it"]
    assert in_step(lockfile(entry, **{kind: {"a": "^1"}}), manifests(root={})) == [
        f"package.json does not ask a{said}, package-lock.json was made for ^1"
    ]


def test_a_dependency_must_have_an_entry() -> None:
    asks = {"dependencies": {"a": "^2"}}

    assert in_step(lockfile(**asks), manifests(root=asks)) == ["package-lock.json has no entry for a"]


def test_workspaces_must_be_in_step() -> None:
    root = {"workspaces": ["*"]}
    entries: dict[str, t.Any] = {"web": {"dependencies": {"a": "^1"}}, "node_modules/a": {}}
    made = lockfile({**entries, "node_modules/web": {"resolved": "web", "link": True}}, **root)

    assert in_step(made, manifests(root=root, web={"dependencies": {"a": "^1"}})) == []
    assert in_step(made, manifests(root=root, web={"dependencies": {"a": "^2"}}, new={})) == [
        "web/package.json asks a ^2, package-lock.json was made for ^1",
        "package-lock.json was made without the workspace new",
    ]
    assert in_step(made, manifests(root=root)) == ["package-lock.json was made for a workspace web, which is not there"]
