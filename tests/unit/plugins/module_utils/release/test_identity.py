# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The release id and the manifest. The literal id here is what hosts out there remember: never adapt it in passing."""

from __future__ import annotations

import copy
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import AppLayout
from ansible_collections.evenkeel.apphost.plugins.module_utils.release import identity
from ansible_collections.evenkeel.apphost.plugins.module_utils.release import manifest as m

MANIFEST: dict[str, Any] = {
    "schema": 1,
    "id": "overwritten below",
    "app": "hello",
    "version": "1.4.2",
    "artifact": {"sha256": "a" * 64, "size": 10240, "files": 3},
    "lockfile": {"path": "package-lock.json", "sha256": "b" * 64, "manager": "npm"},
    "runtime": {"name": "nodejs", "version": "24.21.0", "root": "/opt/apphost/runtimes/nodejs/24.21.0"},
    "dependencies": {"manager": "auto", "allow_scripts": []},
    "processes": {
        "web": {
            "command": "node server.js",
            "instances": 1,
            "port": 3000,
            "stop_signal": "SIGTERM",
            "stop_timeout": 30,
            "memory_max": None,
            "file_limit": 65536,
            "umask": "0027",
        }
    },
    "instances": [{"process": "web", "id": "3000", "port": 3000, "unit": "apphost-hello-web@3000.service"}],
    "health": {"process": "web", "path": "/healthz"},
    "env": {"NODE_ENV": "production"},
    "env_digest": "c" * 64,
    "supervisor": "systemd",
    "user": "apphost-hello",
    "group": "apphost-hello",
    "release_command": None,
    "keep_releases": 5,
}
FROZEN_ID = "1.4.2-e68c34b109"
FROZEN_ENV_DIGEST = "b248d5899ff7c96b3446eb505283d03345b4238d1d0648a5d9767413b75fcb52"


def manifest() -> dict[str, Any]:
    return {**copy.deepcopy(MANIFEST), "id": FROZEN_ID}


def test_the_id_is_frozen() -> None:
    assert identity.release_id(MANIFEST) == FROZEN_ID


def test_where_dependencies_are_built_makes_no_other_release() -> None:
    dependencies = {**MANIFEST["dependencies"], "build_on": "first_host"}
    assert identity.release_id({**MANIFEST, "dependencies": dependencies}) == FROZEN_ID


def test_the_digest_of_the_environment_is_frozen() -> None:
    assert identity.env_digest("hello", {"B": "ü\n", "A": "1"}) == FROZEN_ENV_DIGEST


def test_the_digest_knows_the_app_and_every_value() -> None:
    digests = {
        identity.env_digest("hello", {"A": "1"}),
        identity.env_digest("shop", {"A": "1"}),
        identity.env_digest("hello", {"A": "2"}),
        identity.env_digest("hello", {"B": "1"}),
        identity.env_digest("hello", {}),
    }
    assert len(digests) == 5


@pytest.mark.parametrize("key", identity.BEHAVIOUR)
def test_what_decides_behaviour_changes_the_id(key: str) -> None:
    assert identity.release_id({**MANIFEST, key: "something else"}) != FROZEN_ID


@pytest.mark.parametrize("key", sorted(set(MANIFEST) - set(identity.BEHAVIOUR) - {"version"}))
def test_everything_else_does_not(key: str) -> None:
    assert identity.release_id({**MANIFEST, key: "something else"}) == FROZEN_ID


def test_the_order_of_keys_does_not_matter() -> None:
    assert identity.release_id(json.loads(json.dumps(dict(reversed(MANIFEST.items()))))) == FROZEN_ID


def test_canonical_json_has_one_spelling() -> None:
    assert identity.canonical_json({"b": [1, None, True], "a": "ü"}) == '{"a":"ü","b":[1,null,true]}'.encode()
    with pytest.raises(ValueError, match="JSON compliant"):
        identity.canonical_json({"a": float("nan")})


@pytest.mark.parametrize(
    ("version", "clean"),
    [
        ("1.4.2", "1.4.2"),
        ("v1.4.2-rc.1+build~5", "v1.4.2-rc.1+build~5"),
        (" feature/new thing \n", "feature-new-thing"),
        ("../../etc", "etc"),
        ("..", None),
        ("", None),
        ("émoi", "moi"),
        ("x" * 300, "x" * 100),
    ],
)
def test_a_version_becomes_a_folder_name(version: str, clean: str | None) -> None:
    if clean is None:
        with pytest.raises(ApphostError, match="holds none of the characters"):
            identity.sanitise_version(version)
    else:
        assert identity.sanitise_version(version) == clean
        identity.check_release_id(f"{clean}-0123456789")


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "1.4.2",
        "1.4.2-01234",
        "../1-0123456789",
        "a/b-0123456789",
        ".x-0123456789",
        "1-012345678G",
        "1-0123456789\n",
    ],
)
def test_what_is_no_id_never_becomes_a_path(bad: str) -> None:
    with pytest.raises(ApphostError, match="is not a release id"):
        identity.check_release_id(bad)


def staged(tmp_path: Path, content: str) -> AppLayout:
    layout = AppLayout("hello", str(tmp_path))
    folder = Path(layout.release(FROZEN_ID))
    folder.mkdir(parents=True)
    (folder / "release.json").write_text(content)
    return layout


def test_a_manifest_comes_back_as_it_was_written(tmp_path: Path) -> None:
    layout = staged(tmp_path, "")
    folder = Path(layout.release(FROZEN_ID))
    m.write_manifest(str(folder), m.parse_manifest(manifest(), "here"), (tmp_path).stat().st_gid)
    assert m.read_manifest(layout, FROZEN_ID) == manifest()
    assert stat.S_IMODE((folder / "release.json").stat().st_mode) == 0o640


def test_reading_a_release_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(ApphostError, match=f"release {FROZEN_ID} is not on this host. Stage it first"):
        m.read_manifest(AppLayout("hello", str(tmp_path)), FROZEN_ID)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not readable as JSON"),
        ("[]", "is not a release manifest"),
        ('{"schema": 2}', "has schema 2, this collection reads 1"),
        ('{"schema": 1, "id": "x"}', "lacks app, artifact, dependencies"),
    ],
)
def test_a_damaged_manifest_is_an_error_with_its_path(tmp_path: Path, content: str, message: str) -> None:
    layout = staged(tmp_path, content)
    with pytest.raises(ApphostError) as caught:
        m.read_manifest(layout, FROZEN_ID)
    assert message in caught.value.message
    assert caught.value.where == f"{layout.release(FROZEN_ID)}/release.json"


def test_a_manifest_that_was_edited_is_refused() -> None:
    edited = manifest()
    edited["processes"]["web"]["command"] = "node other.js"
    with pytest.raises(ApphostError, match=f"names release {FROZEN_ID}, but describes 1.4.2-"):
        m.parse_manifest(edited, "release.json")
