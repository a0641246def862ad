# Copyright (c) Evenkeel contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules release_stage and release_prune: check mode, diff, and no secret in a result."""

from __future__ import annotations

import functools
import json
import os
import typing as t
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.evenkeel.apphost.plugins.module_utils.app_model.resolve import resolve_apps
from ansible_collections.evenkeel.apphost.plugins.module_utils.common import ApphostError
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.installer import InstallRequest, LacksTree
from ansible_collections.evenkeel.apphost.plugins.module_utils.install.request import Shipped
from ansible_collections.evenkeel.apphost.plugins.module_utils.layout import AppLayout
from ansible_collections.evenkeel.apphost.plugins.module_utils.release import host
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.bundle import Bundle, bundle_apps
from ansible_collections.evenkeel.apphost.plugins.module_utils.release.stage import Stage
from ansible_collections.evenkeel.apphost.plugins.modules import release_prune, release_stage

SECRETS = {"PASSWORD": "hunter2"}


class FakeModule:
    """What the modules' ``work`` needs of AnsibleModule."""

    def __init__(self, spec: dict[str, t.Any], check_mode: bool, options: dict[str, t.Any]) -> None:
        self.params = {**{name: option.get("default") for name, option in spec.items()}, **options}
        self.check_mode = check_mode
        self.warnings: list[str] = []

    def run_command(self, command: list[str], **_options: t.Any) -> tuple[int, str, str]:
        if command[0] == "systemctl":
            return 0, "Id=apphost-hello.target\nLoadState=loaded\n" if "apphost-hello.target" in command else "", ""
        assert command[0] == "sync", command
        return 0, "", ""

    def warn(self, message: str) -> None:
        self.warnings.append(message)


class Host:
    """A host below a folder, set up for the app hello, which has no dependencies."""

    def __init__(self, tmp_path: Path) -> None:
        self.layout = AppLayout("hello", str(tmp_path / "host"))
        self.source = tmp_path / "hello"
        self.source.mkdir()
        (self.source / "server.js").write_text("")
        self.bundles = tmp_path / "bundles"
        self.runtime = tmp_path / "runtime"
        self.warnings: list[str] = []

    def set_up(self) -> None:
        for folder in (self.layout.releases, self.layout.state, self.layout.data, self.layout.logs):
            Path(folder).mkdir(parents=True)
        (self.runtime / "bin").mkdir(parents=True)
        (self.runtime / "bin" / "node").touch(0o755)
        units = Path(self.layout.base, "etc/systemd/system")
        units.mkdir(parents=True)
        (units / self.layout.template_unit("web")).touch()

    def bundle(self, **env: str) -> Bundle:
        raw = {
            "name": "hello",
            "source": {"type": "directory", "path": str(self.source)},
            "version": "1.0",
            "runtime": {"name": "nodejs", "version": "24.21.0"},
            "processes": {"web": {"command": "node server.js"}},
            "env": env,
        }
        app = resolve_apps([raw])[0]
        app["runtime"]["root"] = str(self.runtime)
        return bundle_apps([app], {"hello": SECRETS}, str(self.bundles), write=True)["hello"]

    def stage(self, bundle: Bundle, check: bool = False, carried: bool = True, **options: t.Any) -> dict[str, t.Any]:
        path = bundle.path if carried else None
        given = {"release": bundle.manifest, "bundle": path, "secrets": json.dumps(SECRETS)}
        return self._work(release_stage, check, {**given, **options})

    def prune(self, check: bool = False, **options: t.Any) -> dict[str, t.Any]:
        return self._work(release_prune, check, {"app": "hello", **options})

    def _work(self, module: t.Any, check: bool, options: dict[str, t.Any]) -> dict[str, t.Any]:
        fake = FakeModule(module.ARGUMENT_SPEC, check, options)
        result: dict[str, t.Any] = module.work(fake)
        self.warnings = fake.warnings
        return result


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    placed = functools.partial(AppLayout, base=str(tmp_path / "host"))
    for module in (release_stage, release_prune):
        monkeypatch.setattr(module, "AppLayout", placed)
    monkeypatch.setattr(release_stage, "Stage", functools.partial(Stage, group_id=lambda _name: os.getgid()))
    return Host(tmp_path)


def test_staging_reports_what_it_did_and_no_secret(here: Host) -> None:
    here.set_up()
    bundle = here.bundle()
    release = bundle.manifest["id"]
    result = here.stage(bundle)
    assert result["changed"] is True
    assert result["release"] == release
    assert result["folder"] == here.layout.release(release)
    assert result["dependencies"]["changed"] is False
    assert result["seconds"]["total"] >= 0
    assert result["diff"] == {"before": "", "after": f"{release}\n"}
    assert "hunter2" not in json.dumps(result)
    again = here.stage(bundle)
    assert again["changed"] is False
    assert again["diff"]["before"] == again["diff"]["after"] == f"{release}\n"
    assert here.stage(bundle, carried=False)["changed"] is False


def test_a_host_says_which_dependencies_it_lacks(here: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    here.set_up()
    asked: list[InstallRequest] = []

    def install(request: InstallRequest, _run: t.Any) -> t.Any:
        asked.append(request)
        raise LacksTree(t.cast(t.Any, SimpleNamespace(identity="a" * 64, platform="linux x64")))

    monkeypatch.setattr(
        release_stage, "Stage", functools.partial(Stage, group_id=lambda _name: os.getgid(), install=install)
    )
    bundle = here.bundle()
    answer = here.stage(bundle, build=False)
    assert answer == {"changed": False, "needs_tree": {"identity": "a" * 64, "platform": "linux x64"}}
    assert os.listdir(here.layout.releases) == []
    here.stage(bundle, shipped={"path": "/tmp/x/tree.tar", "sha256": "b" * 64})
    assert [(request.may_build, request.shipped) for request in asked] == [
        (False, None),
        (True, Shipped("/tmp/x/tree.tar", "b" * 64)),
    ]


def test_check_mode_says_the_same_and_writes_nothing(here: Host) -> None:
    here.set_up()
    bundle = here.bundle()
    before = sorted(Path(here.layout.root).rglob("*")), sorted(Path(here.layout.state).rglob("*"))
    checked = here.stage(bundle, check=True, carried=False)
    assert (sorted(Path(here.layout.root).rglob("*")), sorted(Path(here.layout.state).rglob("*"))) == before
    assert here.warnings == []
    done = here.stage(bundle)
    assert (checked["changed"], checked["diff"]) == (done["changed"], done["diff"])
    assert here.stage(bundle, check=True)["changed"] is False


def test_check_mode_goes_on_where_site_yml_has_yet_to_run(here: Host) -> None:
    result = here.stage(here.bundle(), check=True)
    assert result["changed"] is True
    assert here.warnings == ["app hello: this host was never set up for it. Run site.yml for this host first."]
    with pytest.raises(ApphostError, match="never set up"):
        here.stage(here.bundle())


def test_a_release_that_is_not_there_needs_a_bundle(here: Host) -> None:
    here.set_up()
    with pytest.raises(ApphostError, match=r"release 1.0-.* is not on the host, and no bundle is given"):
        here.stage(here.bundle(), carried=False)


def test_pruning_reports_in_check_mode_what_it_would_do(here: Host) -> None:
    here.set_up()
    old, new = (here.stage(here.bundle(A=value))["release"] for value in "12")
    Path(here.layout.current).symlink_to(f"releases/{new}")
    checked = here.prune(check=True, keep=1)
    assert host.staged_releases(here.layout) == sorted([old, new])
    assert checked == {
        "changed": True,
        "kept": [new],
        "pruned": [old],
        "diff": {
            "before": "".join(f"{r}{' (live)' if r == new else ''}\n" for r in sorted([old, new])),
            "after": f"{new} (live)\n",
        },
    }
    assert here.prune(keep=1) == checked
    assert host.staged_releases(here.layout) == [new]
    assert here.prune(keep=1)["changed"] is False


def test_keeping_none_is_refused(here: Host) -> None:
    here.set_up()
    with pytest.raises(ApphostError, match=r"^keep: 0 is less than 1"):
        here.prune(keep=0)
